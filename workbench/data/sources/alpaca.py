"""Alpaca's market data: bars of US stocks and their newest trades, through alpaca-py's client with its retries off.

What to know before believing a number made of them:

- The feed `iex` is one venue of many, a few percent of the volume: its last price may differ from the market's, and a
  thin stock has no bar in many minutes. `sip` is the whole market and needs a subscription.
- Prices are adjusted for splits and dividends known today (`adjustment="all"`): see `bundled` for what that means.
- `learned` is the end of the bar, which is an assumption: a bar of a minute is published some seconds later.
- Bars outside the regular session are left out. An hour is counted from the open, as everywhere here; Alpaca counts it
  from the full hour, so two of its half hours make one of ours.
"""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import requests
from requests.adapters import HTTPAdapter

from workbench import sessions
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, PRICES, no_bars
from workbench.errors import BadData, DataError, ParameterError
from workbench.store.schema import utc_now

with warnings.catch_warnings():
    # alpaca-py 0.44 still builds on the legacy half of websockets, which says so on import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.data.historical.stock import StockHistoricalDataClient

NEW_YORK: Final = "America/New_York"
_ASKED: Final = {"1d": "1Day", "1h": "30Min", "5m": "5Min", "1m": "1Min"}
_MINUTES: Final = {"1h": 30, "5m": 5, "1m": 1}
_PAGE: Final = 10_000
_SYMBOLS: Final = 100  # in one request: an address must not grow without end
_FIELDS: Final = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}


class AlpacaSource:
    """Bars of Alpaca. Keys are given, never read from anywhere; they appear in no repr and no message.

    One instance belongs to one thread.

    Args:
        key_id, secret_key: of a paper or live account; market data is the same.
        url: base address of the API; None: Alpaca itself. A local exchange serves the same paths.
        feed: `iex`, `sip`, `delayed_sip`, `otc`.
        adjustment: `raw`, `split`, `dividend` or `all`.
        timeout: seconds to connect and seconds between bytes of the answer.
        clock: the market's moment, UTC: a bar that has not ended is left out.

    Raises:
        ParameterError: a key is empty.
    """

    name = "alpaca"
    synthetic = False
    venue = "XNYS"

    def __init__(
        self,
        *,
        key_id: str,
        secret_key: str,
        url: str | None = None,
        feed: str = "iex",
        adjustment: str = "all",
        timeout: tuple[float, float] = (2.0, 10.0),
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        if not key_id.strip() or not secret_key.strip():
            raise ParameterError(
                "key_id or secret_key is empty; no source was made.",
                remedy="set WORKBENCH_ALPACA_KEY_ID and WORKBENCH_ALPACA_SECRET_KEY.",
            )
        self._url, self._feed, self._adjustment, self._clock = url, feed, adjustment, clock
        self.label = f"Alpaca · {feed} · {adjustment if adjustment != 'all' else 'fully adjusted'}"
        client = StockHistoricalDataClient(
            key_id.strip(), secret_key.strip(), raw_data=True, url_override=url.rstrip("/") if url else None
        )
        # The library repeats a request after 429 and 504 by itself, three seconds apart, and waits for ever.
        client._retry, client._retry_codes = 0, []  # noqa: SLF001 - the constructor does not offer it
        for prefix in ("http://", "https://"):
            client._session.mount(prefix, _Timeout(timeout))  # noqa: SLF001 - the only place to set a timeout
        self._client = client

    def __repr__(self) -> str:
        return f"AlpacaSource(feed={self._feed!r}, at={self._url or 'Alpaca'!r})"

    def symbols(self) -> tuple[str, ...]:
        """Empty: market data has no list of symbols; the broker's assets do."""
        return ()

    def bars(
        self, symbols: Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of 1d, 1h, 5m or 1m; see `BarSource.bars`. A symbol that Alpaca does not know has no row.

        Raises:
            DataError: another timeframe, or Alpaca refused or did not answer; nothing was read.
            BadData: a bar lacks a field or has an impossible one.
        """
        first = pd.Timestamp(start).tz_localize(NEW_YORK).tz_convert("UTC")
        last = (pd.Timestamp(end) + pd.Timedelta(days=1)).tz_localize(NEW_YORK).tz_convert("UTC")
        until = min(last.to_pydatetime(), self._clock())
        return self.bars_since(symbols, since=first.to_pydatetime(), until=until, timeframe=timeframe)

    def bars_since(
        self, symbols: Sequence[str], *, since: dt.datetime, until: dt.datetime, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars that begin at or after `since` and have ended at `until` (UTC); as `bars` otherwise."""
        if timeframe not in _ASKED:
            raise DataError(
                f"timeframe={timeframe!r} is not one of {', '.join(_ASKED)}; nothing was read.",
                remedy="use one of these.",
            )
        wanted = tuple(dict.fromkeys(symbols))
        rows = [
            {"symbol": symbol, "begins": row.get("t"), **{ours: row.get(theirs) for theirs, ours in _FIELDS.items()}}
            for symbol, row in (self._pages(wanted, since, until, timeframe) if since < until else ())
        ]
        if not rows:
            return no_bars(intraday=timeframe != "1d")
        frame = _checked(pd.DataFrame(rows))
        shaped = self._daily(frame) if timeframe == "1d" else self._intraday(frame, timeframe)
        if timeframe == "1h":  # half of an hour that begins earlier is not that hour
            shaped = shaped.loc[shaped["time"] >= pd.Timestamp(since)]
        shaped = shaped.loc[shaped["happened"] <= pd.Timestamp(until)]
        columns = list(DAILY_COLUMNS if timeframe == "1d" else INTRADAY_COLUMNS)
        order = {symbol: place for place, symbol in enumerate(wanted)}
        place = shaped["symbol"].map(order)
        return shaped.assign(place=place).sort_values(["place", "happened"], ignore_index=True).loc[:, columns]

    def newest_prices(self, symbols: Sequence[str]) -> Mapping[str, tuple[float, dt.datetime]]:
        """The newest trade of each symbol that has one: currency per share, and its UTC moment.

        Raises:
            DataError: Alpaca refused or did not answer.
            BadData: a trade has no price > 0 or no moment.
        """
        found: dict[str, tuple[float, dt.datetime]] = {}
        for part in _parts(symbols):
            answer = self._get("/stocks/trades/latest", {"symbols": ",".join(part), "feed": self._feed})
            for symbol, trade in _mapping(answer.get("trades")).items():
                price, moment = _number(trade.get("p")), pd.to_datetime(trade.get("t"), utc=True, errors="coerce")
                if not price > 0 or pd.isna(moment):
                    raise BadData(f"the newest trade of {symbol} is {trade}; no price was passed on.")
                found[symbol] = (price, moment.floor("us").to_pydatetime())
        return found

    def _pages(
        self, symbols: Sequence[str], since: dt.datetime, until: dt.datetime, timeframe: str
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for part in _parts(symbols):
            query: dict[str, Any] = {
                "symbols": ",".join(part),
                "timeframe": _ASKED[timeframe],
                "start": _iso(since),
                "end": _iso(until),
                "limit": _PAGE,
                "adjustment": self._adjustment,
                "feed": self._feed,
                "sort": "asc",
            }
            while True:
                answer = self._get("/stocks/bars", query)
                for symbol, rows in _mapping(answer.get("bars")).items():
                    yield from ((symbol, row) for row in rows)
                token = answer.get("next_page_token")
                if not token:
                    break
                query["page_token"] = token

    def _daily(self, frame: pd.DataFrame) -> pd.DataFrame:
        days = frame["begins"].dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize().dt.as_unit("us")
        known = sessions.sessions(self.venue, days.min(), days.max()).as_unit("us")
        closes = pd.Series(sessions.close_times(self.venue, known).as_unit("us"), index=known)
        frame = frame.assign(session=days).loc[days.isin(known).to_numpy()]
        frame["happened"] = pd.DatetimeIndex(closes.loc[frame["session"]])
        return frame.assign(learned=frame["happened"])

    def _intraday(self, frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Bars inside the regular session, with their session and their end."""
        length = pd.Timedelta(minutes=_MINUTES[timeframe])
        ends = pd.DatetimeIndex(frame["begins"] + length)
        of = sessions.of_bars(self.venue, pd.DatetimeIndex(frame["begins"]) + pd.Timedelta(microseconds=1))
        days = pd.DatetimeIndex(of.unique())
        opens = pd.Series([sessions.opens(self.venue, day) for day in days], index=days).loc[of].to_numpy()
        closes = pd.Series(sessions.close_times(self.venue, days), index=days).loc[of].to_numpy()
        begins = frame["begins"].to_numpy()
        inside = (begins >= opens) & (begins < closes)
        happened = pd.DatetimeIndex(pd.DatetimeIndex(closes).where(closes < ends, ends)).as_unit("us")
        frame = frame.assign(session=pd.DatetimeIndex(of).as_unit("us"), time=frame["begins"], happened=happened)
        frame, opened = frame.loc[inside], opens[inside]
        if timeframe == "1h":
            frame = _joined(frame, pd.DatetimeIndex(opened))
        return frame.assign(learned=frame["happened"])

    def _get(self, path: str, query: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer: Any = self._client.get(path, dict(query))
        except APIError as error:
            raise DataError(
                f"Alpaca refused GET {path} with HTTP {error.status_code}: {str(error)[:300]}. Nothing was read.",
                remedy="check the keys and the feed's subscription; after 429 wait a minute.",
                http_status=error.status_code,
            ) from error
        except (requests.RequestException, ValueError, OSError) as error:
            raise DataError(
                f"GET {path} at {self!r} brought no readable answer ({type(error).__name__}). Nothing was read.",
                remedy="is the address right, and the network there? It can be asked again.",
            ) from error
        return _mapping(answer)


class _Timeout(HTTPAdapter):
    """Gives every request the timeout that requests leaves infinite."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or self._timeout
        return super().send(request, *args, **options)


def _joined(frame: pd.DataFrame, opened: pd.DatetimeIndex) -> pd.DataFrame:
    """Half hours as hours counted from the open; the last one of a session may be half an hour."""
    number = ((pd.DatetimeIndex(frame["time"]) - opened) // pd.Timedelta(hours=1)).to_numpy()
    hours = frame.assign(number=number).sort_values(["symbol", "time"]).groupby(["symbol", "session", "number"])
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    joined = hours.agg({**how, "happened": "last"}).reset_index()
    begins = pd.Series(opened, index=pd.DatetimeIndex(frame["session"])).groupby(level=0).first()
    later = pd.TimedeltaIndex(joined["number"].to_numpy() * pd.Timedelta(hours=1))
    start = pd.DatetimeIndex(begins.loc[joined["session"]]) + later
    # An hour whose second half has no bar ends when the hour ends, not when its last bar did.
    ends = pd.DatetimeIndex(start + pd.Timedelta(hours=1))
    closes = pd.DatetimeIndex(sessions.close_times("XNYS", pd.DatetimeIndex(joined["session"])))
    return joined.assign(time=start.as_unit("us"), happened=ends.where(ends < closes, closes).as_unit("us"))


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers and moments of the right types; refuses a bar that lacks one."""
    begins = pd.to_datetime(frame["begins"], utc=True, errors="coerce", format="ISO8601")
    numbers = frame[[*PRICES, "volume"]].apply(pd.to_numeric, errors="coerce").astype(float)
    bad = begins.isna() | numbers.isna().any(axis=1) | (numbers[list(PRICES)] <= 0).any(axis=1)
    if bad.any():
        row = frame.loc[bad].to_dict("records")[0]
        raise BadData(
            f"{int(bad.sum())} of {len(frame)} bars lack a field or have an impossible one, the first is {row}; "
            "none was passed on.",
            remedy="ask again; if it stays, look at the symbol on the vendor's page.",
        )
    return pd.DataFrame({"symbol": frame["symbol"].astype("str"), "begins": begins.dt.as_unit("us")}).join(numbers)


def _parts(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    wanted = list(dict.fromkeys(symbols))
    for begin in range(0, len(wanted), _SYMBOLS):
        yield wanted[begin : begin + _SYMBOLS]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
