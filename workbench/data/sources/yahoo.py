"""Yahoo's chart: bars where no other source has them. Nobody promises these numbers; use is personal.

What to know before believing a number made of them:

- The address is undocumented, answers with 429 in waves, and may change or end any day.
- Prices come adjusted for splits. `adjustment="all"` scales a day's four prices by the vendor's own adjusted close,
  which knows dividends too (the volume stays); `split` leaves them. Shorter bars know splits only, whatever is asked.
- A bar whose five values are all null (a halt, a day without a trade) has no row. A bar with some of them null is an
  error.
- The last entry of a running session is the newest price and no bar. It is left out.
- `learned` is 15 minutes after the bar's end: some venues are delayed so far, and the answer does not say which.
- Bars of a minute reach back a week, of five minutes two months, of an hour two years; the vendor refuses the rest.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import pandas as pd

from workbench.data import reading, regular
from workbench.data.gateway import Limit, Vendor
from workbench.data.reading import Field
from workbench.data.regular import NEW_YORK
from workbench.data.source import PRICES, symbols_of
from workbench.errors import BadData, DataError, ParameterError, SourceRefused
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Answer, Gateway

# No limit is published. One request a second and 300 an hour is what a reader by hand could ask for.
VENDOR: Final = Vendor(
    name="yahoo",
    url="https://query1.finance.yahoo.com",
    limits=(Limit(requests=1, seconds=1.0), Limit(requests=300, seconds=3600.0)),
    headers={"User-Agent": "workbench"},
)
_OF: Final = "Yahoo's chart"
_ASKED: Final = {"1d": "1d", "1h": "1h", "5m": "5m", "1m": "1m"}
_MINUTES: Final = {"1h": 60, "5m": 5, "1m": 1}
_DELAY: Final = dt.timedelta(minutes=15)
_VALUES: Final = (*PRICES, "volume")
_CLASS: Final = re.compile(r"([A-Z]+)\.([A-Z])")  # a class of shares: BRK.B


class YahooSource:
    """Bars of Yahoo's chart. It needs no key; `access` may name another address.

    Args:
        adjustment: of daily bars: `all` or `split`.
        clock: now, UTC: a bar that has not ended is left out.

    Raises:
        ParameterError: there is no such adjustment.
    """

    name = "yahoo"
    label = "Yahoo · undocumented, last resort"
    synthetic = False
    venue = "XNYS"
    adjustment: str = "all"

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        *,
        adjustment: str = "all",
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        if adjustment not in {"all", "split"}:
            raise ParameterError(f"adjustment={adjustment!r} is neither all nor split; no source was made.")
        self._gateway, self._clock, self.adjustment = gateway, clock, adjustment
        self._vendor = replace(VENDOR, url=(access.url or VENDOR.url).rstrip("/"))
        said = "fully adjusted" if adjustment == "all" else "adjusted for splits only"
        self.label = f"{type(self).label} · {said}"

    def __repr__(self) -> str:
        return f"YahooSource(at={self._vendor.url!r})"

    def symbols(self) -> tuple[str, ...]:
        """Empty: the vendor has no list of symbols."""
        return ()

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of 1d, 1h, 5m or 1m; see `BarSource.bars`. A symbol that Yahoo does not know has no row.

        Raises:
            DataError: another timeframe, or a symbol that is not traded in New York.
            SourceRefused, SourceUnavailable: Yahoo said no, or did not answer.
            BadData: an answer cannot be read, or is about something else; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        regular.check_timeframe(timeframe)
        first, last = regular.span(start, end)
        query = {
            "period1": int(first.timestamp()),
            "period2": int(last.timestamp()),
            "interval": _ASKED[timeframe],
            "includePrePost": "false",
            "includeAdjustedClose": "true",
        }
        found = []
        for symbol in wanted:
            theirs = _CLASS.sub(r"\1-\2", symbol) if _CLASS.fullmatch(symbol) else symbol
            answer = self._gateway.get(
                self._vendor, f"/v8/finance/chart/{quote(theirs, safe='')}", query=query, kind="bars", absent=(404,)
            )
            with reading.of(answer):
                found.append(self._rows(answer, theirs, timeframe).assign(symbol=symbol))
        rows = pd.concat(found, ignore_index=True)
        rows = rows[(rows["begins"] >= first) & (rows["begins"] < last)].reset_index(drop=True)
        return regular.bars(
            rows.assign(symbol=rows["symbol"].astype("str")),
            wanted,
            timeframe=timeframe,
            until=self._clock(),
            delay=_DELAY,
            hours_from_open=True,
            of="Yahoo's bars",
        )

    def _rows(self, answer: Answer, symbol: str, timeframe: str) -> pd.DataFrame:
        chart = reading.part(answer.json(), "chart", dict, of=_OF)
        error = chart.get("error")
        if error is not None:
            return self._said(error, answer)
        results = reading.part(chart, "result", list, of=_OF)
        if len(results) != 1 or answer.absent:
            raise BadData(f"{_OF}: {len(results)} charts instead of one (HTTP {answer.status}); none was passed on.")
        meta = reading.part(results[0], "meta", dict, of=_OF)
        if meta.get("symbol") != symbol:
            raise BadData(f"{_OF}: {symbol} was asked for, and the answer is about something else.")
        zone = reading.word(meta, "exchangeTimezoneName", of=_OF)
        if zone is None:
            raise BadData(f"{_OF}: it does not say where {symbol} is traded; none was passed on.")
        if zone != NEW_YORK:
            raise DataError(
                f"{symbol} is not traded in New York; nothing was passed on.", remedy="ask for a US symbol."
            )
        return self._columns(results[0], timeframe)

    def _columns(self, result: Mapping[str, Any], timeframe: str) -> pd.DataFrame:
        """`begins` and the values of each entry of the chart, NaN where it is null."""
        # Where there is nothing at all, the vendor leaves the list of moments out and its lists of values empty.
        indicators = reading.part(result, "indicators", dict, of=_OF)
        quotes = reading.part(indicators, "quote", list, of=_OF)
        if len(quotes) != 1 or type(quotes[0]) is not dict:
            raise BadData(f"{_OF}: {len(quotes)} lists of prices instead of one; none was passed on.")
        if "timestamp" not in result and not quotes[0]:
            return pd.DataFrame({"begins": pd.Series(dtype="datetime64[us, UTC]")} | dict.fromkeys(_VALUES, ())).astype(
                dict.fromkeys(_VALUES, float)
            )
        columns = {"timestamp": reading.part(result, "timestamp", list, of=_OF)}
        columns |= {name: reading.part(quotes[0], name, list, of=_OF) for name in _VALUES}
        scaled = timeframe == "1d" and self.adjustment == "all"
        if scaled:
            adjusted = reading.part(indicators, "adjclose", list, of=_OF)
            if len(adjusted) != 1:
                raise BadData(f"{_OF}: {len(adjusted)} lists of adjusted closes instead of one; none was passed on.")
            columns["adjclose"] = reading.part(adjusted[0], "adjclose", list, of=_OF)
        if len({len(values) for values in columns.values()}) != 1:
            raise BadData(f"{_OF}: its lists are not equally long; none was passed on.")
        fields = {"begins": Field("timestamp", "moment", unit="s")}
        fields |= {name: Field(name, needed=False) for name in columns if name != "timestamp"}
        entries = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        rows = reading.table(entries, fields, of=_OF)
        if not rows["begins"].is_monotonic_increasing:
            raise BadData(f"{_OF}: its moments are not in order; none was passed on.")
        rows = _without_the_newest_price(rows, timeframe)
        values = [name for name in columns if name != "timestamp"]
        rows = rows[rows[values].notna().any(axis=1)].reset_index(drop=True)
        half = rows[values].isna().any(axis=1)
        if half.any():
            raise BadData(f"{_OF}: {int(half.sum())} of {len(rows)} bars have a null value; none was passed on.")
        if scaled:
            if (rows[["adjclose", "close"]] <= 0).any().any():
                raise BadData(f"{_OF}: a close or an adjusted close is not above 0; none was passed on.")
            factor = rows["adjclose"] / rows["close"]
            rows = rows.assign(**{name: rows[name] * factor for name in PRICES})
        return rows.loc[:, ["begins", *_VALUES]]

    def _said(self, error: Any, answer: Answer) -> pd.DataFrame:
        """What the vendor said instead of a chart: that there is nothing, or no."""
        if type(error) is not dict or type(error.get("description")) is not str:
            raise BadData(f"{_OF}: an error that says nothing; nothing was passed on.")
        if answer.absent:
            return pd.DataFrame(
                {"begins": pd.Series(dtype="datetime64[us, UTC]")} | {name: pd.Series(dtype=float) for name in _VALUES}
            )
        raise SourceRefused(
            f"Yahoo refused ({error.get('code')}): {error['description'][:200]} Nothing was read.",
            remedy="ask for less, or another source.",
        )


def _without_the_newest_price(rows: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """Drops the last entry where it is not the beginning of a bar; refuses any other one that is not."""
    if timeframe == "1d":
        return rows
    minutes = _MINUTES[timeframe]
    wall = rows["begins"].dt.tz_convert(NEW_YORK)
    seconds = (wall.dt.hour * 60 + wall.dt.minute - 570) * 60 + wall.dt.second  # since half past nine
    off = ((seconds % (minutes * 60)) != 0).to_numpy() | (wall.dt.microsecond != 0).to_numpy()
    if off[:-1].any():
        raise BadData(f"{_OF}: {int(off.sum())} entries are not the beginning of a bar; none was passed on.")
    return rows[~off] if np.any(off) else rows
