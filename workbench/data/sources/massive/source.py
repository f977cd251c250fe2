"""Massive (once Polygon): bars, quotes, trades, options, news, corporate actions and short sales of US stocks.

What to know before believing a number made of them:

- Bars are adjusted for splits known today, never for dividends (`adjustment="raw"`: not at all). Days are the vendor's;
  shorter bars outside the regular session are left out; hours are counted from the open.
- `learned` is the bar's end plus what the plan holds back: `basic` (free) has a day's bars when the day is over,
  `starter` and `developer` are 15 minutes late, `advanced` and `business` are not. Quotes, trades and options are not
  in the free plan: the vendor refuses.
- Of a dividend `amount` is the amount declared, in dollars; of one in another currency it is NaN, and the currency ends
  the key. The vendor's own split-adjusted amounts and factors are not read: they were found wrong after double entries.
- A split is known from the open of its day, a dividend from the end of the day it was declared on, both at the latest
  when the vendor was asked.
- Short interest names its settlement day only. It is published days later: here it counts as known after 21 days, the
  longest that was measured. Short volume counts as known at the end of the day after its session, news one hour after
  publication: the vendor renews them daily and hourly.

The vendor's next pages are asked for at our own address: only their path and query are used, so that a key never
follows a link to another host.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pandas as pd

from workbench.data import ex_days, learned, reading, regular
from workbench.data.kinds import kind_of
from workbench.data.portions import portions
from workbench.data.quote_sizes import in_shares
from workbench.data.regular import NEW_YORK, days_of
from workbench.data.source import symbols_of
from workbench.data.sources.massive import shapes
from workbench.data.sources.massive.client import PLANS, MassiveClient
from workbench.errors import ParameterError
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway

_SPANS: Final = {"1d": (1, "day"), "1h": (30, "minute"), "5m": (5, "minute"), "1m": (1, "minute")}
_SYMBOLS: Final = 50  # in one question, where it takes several
_SETTLED, _RENEWED, _HOUR, _NONE = (pd.Timedelta(days=21), pd.Timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(0))


class MassiveSource:
    """Facts of Massive. One instance may be used by several threads.

    Args:
        access: `key`; `feed` is the plan: `basic` (where it is empty), `starter`, `developer`, `advanced`, `business`.
        adjustment: of bars: `split` or `raw`.
        clock: now, UTC: a bar that has not ended is left out.

    Raises:
        ParameterError: the key is empty, or there is no such plan or adjustment.
    """

    name = "massive"
    label = "Massive"
    synthetic = False
    venue = "XNYS"
    adjustment: str = "split"

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        *,
        adjustment: str = "split",
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        if adjustment not in {"split", "raw"}:
            raise ParameterError(f"adjustment={adjustment!r} is neither split nor raw; no source was made.")
        self._client = MassiveClient(gateway, access)
        self._clock, self.adjustment = clock, adjustment
        self._delay = PLANS[self._client.plan].delay
        said = "adjusted for splits only" if adjustment == "split" else "raw"
        self.label = f"Massive · {self._client.plan} plan · {said}"

    def __repr__(self) -> str:
        return f"MassiveSource({self._client!r})"

    def symbols(self) -> tuple[str, ...]:
        """Empty: the vendor has all US stocks; which, is not asked."""
        return ()

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of 1d, 1h, 5m or 1m; see `BarSource.bars`. A symbol that Massive does not know has no row.

        Raises:
            DataError: another timeframe; nothing was asked.
            SourceRefused, SourceUnavailable: Massive said no, or did not answer.
            BadData: an answer cannot be read, or is about something else; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        regular.check_timeframe(timeframe)
        now = self._clock()
        number, unit = _SPANS[timeframe]
        query = {"adjusted": "true" if self.adjustment == "split" else "false", "sort": "asc", "limit": 50_000}
        pages = [
            page.assign(symbol=pd.Series([symbol] * len(page), dtype="str"))
            for symbol in wanted
            for page in self._client.pages(
                f"/v2/aggs/ticker/{quote(symbol, safe='')}/range/{number}/{unit}/{_day(start)}/{_day(end)}",
                query,
                shapes.BAR,
                kind="bars",
                about=symbol,
            )
        ]
        rows = pd.concat(pages, ignore_index=True)
        found = regular.bars(rows, wanted, timeframe=timeframe, until=now, of="Massive's bars")
        if self._delay is not None:
            return found.assign(learned=(found["happened"] + self._delay).astype("datetime64[us, UTC]"))
        ends = learned.seen_by(learned.end_of(found["session"], zone=NEW_YORK), now)
        return found.assign(learned=ends.where(ends > pd.DatetimeIndex(found["happened"]), found["happened"]))

    def quotes(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Every best bid and ask of the whole market; sizes in shares; the last one of a microsecond. As `bars`."""
        rows = self._ticks("quotes", symbols, start, end)
        sized = {name: in_shares(rows[name], rows["session"]) for name in ("bid_size", "ask_size")}
        return reading.in_order(kind_of("quotes"), rows.assign(**sized), symbols_of(symbols))

    def trades(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Every trade; `venue` is the vendor's number of it, `key` is venue:reporting facility:id. As `bars`."""
        rows = self._ticks("trades", symbols, start, end)
        keys = rows["venue"] + ":" + rows["facility"] + ":" + rows["id"]
        return reading.in_order(kind_of("trades"), rows.assign(key=keys), symbols_of(symbols))

    def news(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Articles that Massive's publishers tagged with a symbol. Raises as `bars`."""
        wanted, (first, last) = symbols_of(symbols), regular.span(start, end)
        query = {
            "published_utc.gte": _iso(first),
            "published_utc.lt": _iso(last),
            "order": "asc",
            "sort": "published_utc",
            "limit": 1_000,
        }
        rows = pd.concat(
            [
                page.assign(symbol=pd.Series([symbol] * len(page), dtype="str"))
                for symbol in wanted
                for page in self._client.pages(
                    "/v2/reference/news", query | {"ticker": symbol}, shapes.ARTICLE, kind="news"
                )
            ],
            ignore_index=True,
        )
        return reading.in_order(kind_of("news"), self._clocked(rows, _HOUR), wanted)

    def actions(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Splits (stock dividends among them) and cash dividends by ex-day. Raises as `bars`."""
        wanted, now = symbols_of(symbols), self._clock()
        splits = self._listed("/stocks/v1/splits", wanted, "execution_date", (start, end), "actions")
        paid = self._listed("/stocks/v1/dividends", wanted, "ex_dividend_date", (start, end), "actions")
        in_dollars = paid["currency"] == "USD"
        splits = splits.assign(
            key="split:" + splits["key"],
            ratio=splits["new"] / splits["old"],
            happened=ex_days.known(splits["session"], now=now),
        )
        paid = paid.assign(
            key=("dividend:" + paid["key"]).where(in_dollars, "dividend:" + paid["key"] + ":" + paid["currency"]),
            amount=paid["amount"].where(in_dollars),
            happened=ex_days.known(paid["session"], now=now, declared=paid["declared"]),
        )
        rows = pd.concat([splits, paid.drop(columns=["declared"])], ignore_index=True)
        return reading.in_order(kind_of("actions"), rows.assign(learned=rows["happened"], source=self.name), wanted)

    def short_interest(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Short positions by settlement day. Raises as `bars`."""
        wanted = symbols_of(symbols)
        rows = self._listed("/stocks/v1/short-interest", wanted, "settlement_date", (start, end), "short_interest")
        return self._of_days("short_interest", rows, wanted, late=_SETTLED)

    def short_volume(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Short sales in off-exchange trades of each session. Raises as `bars`."""
        wanted = symbols_of(symbols)
        rows = self._listed("/stocks/v1/short-volume", wanted, "date", (start, end), "short_volume")
        return self._of_days("short_volume", rows, wanted, late=_RENEWED)

    def options(self, symbols: str | Sequence[str]) -> pd.DataFrame:
        """The chain of each underlying as it stands now; there is no rho. Raises as `bars`.

        A contract that nobody quoted or traded has no row. Where the vendor says that a quote is delayed, it was known
        15 minutes after its moment.
        """
        wanted = symbols_of(symbols)
        found = [
            page.assign(underlying=pd.Series([symbol] * len(page), dtype="str"))
            for symbol in wanted
            for page in self._client.pages(
                f"/v3/snapshot/options/{quote(symbol, safe='')}", {"limit": 250}, shapes.CONTRACT, kind="options"
            )
        ]
        rows = pd.concat(found, ignore_index=True)
        rows = rows.assign(
            symbol=rows["contract"].str.removeprefix("O:"),
            time=rows["quoted"].where(rows["quoted"].notna(), rows["traded"]),
        )
        rows = rows[rows["time"].notna()].reset_index(drop=True)
        late = pd.to_timedelta((rows["late"] == "DELAYED").astype(int) * 15, unit="min")
        rows = self._clocked(rows, late.where(late > (self._delay or _NONE), self._delay or _NONE))
        place = rows["underlying"].map({symbol: number for number, symbol in enumerate(wanted)})
        return kind_of("options").typed(rows.assign(place=place).sort_values(["place", "symbol"], kind="stable"))

    # --- how it asks

    def _ticks(self, what: str, symbols: str | Sequence[str], start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        first, last = regular.span(start, end)
        query = {
            "timestamp.gte": first.value,
            "timestamp.lt": last.value,
            "order": "asc",
            "sort": "timestamp",
            "limit": 50_000,
        }
        pages = [
            page.assign(symbol=pd.Series([symbol] * len(page), dtype="str"))
            for symbol in symbols_of(symbols)
            for page in self._client.pages(f"/v3/{what}/{quote(symbol, safe='')}", query, shapes.TICKS[what], kind=what)
        ]
        return self._clocked(pd.concat(pages, ignore_index=True), self._delay or _NONE)

    def _clocked(self, rows: pd.DataFrame, late: dt.timedelta | pd.Series) -> pd.DataFrame:
        time = rows["time"]
        # What was answered now is known now, whatever a plan says; and nothing is known before it happened.
        known = pd.Series(learned.seen_by(pd.DatetimeIndex(time + late).as_unit("us"), self._clock()))
        known = known.where(known > time, time).astype("datetime64[us, UTC]")
        return rows.assign(session=days_of(time), happened=time, learned=known, source=self.name)

    def _of_days(self, kind: str, rows: pd.DataFrame, wanted: Sequence[str], *, late: pd.Timedelta) -> pd.DataFrame:
        ended = learned.end_of(rows["session"], zone=NEW_YORK)
        known = learned.end_of(rows["session"] + late, zone=NEW_YORK)
        # What the vendor has already is known already.
        seen = learned.seen_by(known, self._clock())
        known = seen.where(seen > ended, ended)
        return reading.in_order(kind_of(kind), rows.assign(happened=ended, learned=known, source=self.name), wanted)

    def _listed(
        self, path: str, wanted: Sequence[str], by: str, days: tuple[pd.Timestamp, pd.Timestamp], kind: str
    ) -> pd.DataFrame:
        """All pages of a list that takes several symbols at once."""
        pages = [
            page
            for part in portions(wanted, _SYMBOLS)
            for page in self._client.pages(
                path,
                {
                    "ticker.any_of": ",".join(part),
                    f"{by}.gte": _day(days[0]),
                    f"{by}.lte": _day(days[1]),
                    "limit": 1_000,
                    "sort": f"{by}.asc",
                },
                shapes.LISTS[path],
                kind=kind,
                among=set(wanted),
            )
        ]
        return pd.concat(pages, ignore_index=True)


def _day(moment: pd.Timestamp) -> str:
    return f"{pd.Timestamp(moment):%Y-%m-%d}"


def _iso(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
