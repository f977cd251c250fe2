"""Alpaca's market data of US stocks and their options, news and corporate actions.

What to know before believing a number made of them:

- The feed `iex` is one venue of many, a few percent of the volume: its last price may differ from the market's, and a
  thin stock has no bar in many minutes. `sip` is the whole market and needs a subscription.
- Bars are adjusted for splits and dividends known today (`adjustment="all"`): see `bundled` for what that means.
- `learned` is the end of the bar and the moment of the quote or trade, which is an assumption: a bar of a minute is
  published some seconds later. The feed `delayed_sip` adds its 15 minutes, and so do option quotes where their feed is
  `indicative`: those are not the quotes of any venue but Alpaca's own, made from them.
- Bars outside the regular session are left out; hours are counted from the open (see `workbench.data.regular`).
- Alpaca finds news by the day of their newest revision and corporate actions by the day it carried them out. Both are
  asked for with room, and kept by the day of publication and by the ex-day. News revised more than two days after
  `end`, and actions carried out more than 30 days before or 180 days after their ex-day, are missed.
- Unit splits, distributions of rights and other reorganisations are not asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from workbench.data import reading, regular
from workbench.data.kinds import kind_of
from workbench.data.source import no_bars, symbols_of
from workbench.data.sources.alpaca import shapes
from workbench.data.sources.alpaca.client import VENDOR, AlpacaClient
from workbench.data.sources.alpaca.questions import Questions
from workbench.errors import BadData, ParameterError
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway, Vendor

FEEDS: Final = ("iex", "sip", "delayed_sip", "otc")
_DELAY: Final = dt.timedelta(minutes=15)
_NONE: Final = dt.timedelta(0)
_ASKED: Final = {"1d": "1Day", "1h": "30Min", "5m": "5Min", "1m": "1Min"}
_REVISED: Final = pd.Timedelta(days=2)
_BEFORE, _AFTER = pd.Timedelta(days=30), pd.Timedelta(days=180)


class AlpacaSource:
    """Facts of Alpaca. One instance belongs to one thread.

    Args:
        access: key and secret of a paper or live account (market data is the same); `url` of a local exchange, which
            serves the same paths; `feed`: `iex` (where it is empty), `sip`, `delayed_sip` or `otc`.
        adjustment: of bars: `raw`, `split`, `dividend` or `all`.
        options_feed: `opra` or `indicative`; empty: `opra` with the feed `sip`, otherwise `indicative`.
        vendor: limits and patience: `VENDOR` (the basic plan's 200 requests a minute), `LIVE` for a desk whose orders
            wait meanwhile, `LOCAL` for a local exchange.
        clock: the market's moment, UTC: a bar that has not ended is left out.

    Raises:
        ParameterError: a key is empty, or there is no such feed.
    """

    name = "alpaca"
    label = "Alpaca"
    synthetic = False
    venue = "XNYS"
    adjustment: str = "all"

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        *,
        adjustment: str = "all",
        options_feed: str = "",
        vendor: Vendor = VENDOR,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        feed = access.feed or "iex"
        if feed not in FEEDS:
            raise ParameterError(f"feed={feed!r} is not one of {', '.join(FEEDS)}; no source was made.")
        self._feed, self.adjustment, self._clock = feed, adjustment, clock
        self._options_feed = options_feed or ("opra" if feed == "sip" else "indicative")
        self._delay = _DELAY if feed == "delayed_sip" else _NONE
        self._options_delay = _DELAY if self._options_feed == "indicative" else _NONE
        self._ask = Questions(
            AlpacaClient(gateway, access, vendor=vendor), source=self.name, feed=feed, options_feed=self._options_feed
        )
        self._at = access.url or "Alpaca"
        said = adjustment if adjustment != "all" else "fully adjusted"
        self.label = f"Alpaca · {feed} · {said} · options {self._options_feed}"

    def __repr__(self) -> str:
        return f"AlpacaSource(feed={self._feed!r}, at={self._at!r})"

    def symbols(self) -> tuple[str, ...]:
        """Empty: market data has no list of symbols; the broker's assets do."""
        return ()

    # --- bars

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of 1d, 1h, 5m or 1m; see `BarSource.bars`. A symbol that Alpaca does not know has no row.

        Raises:
            DataError: another timeframe; nothing was asked.
            SourceRefused, SourceUnavailable: Alpaca said no, or did not answer.
            BadData: a bar lacks a field or has an impossible one; none was passed on.
        """
        first, last = regular.span(start, end)
        until = min(last.to_pydatetime(), self._clock())
        return self._bars(symbols, first.to_pydatetime(), until, timeframe, ttl=None)

    def bars_since(
        self, symbols: str | Sequence[str], *, since: dt.datetime, until: dt.datetime, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars that begin at or after `since` and have ended at `until` (UTC); as `bars`, and never from a cache."""
        return self._bars(symbols, since, until, timeframe, ttl=0.0)

    def _bars(
        self, symbols: str | Sequence[str], since: dt.datetime, until: dt.datetime, timeframe: str, *, ttl: float | None
    ) -> pd.DataFrame:
        wanted = symbols_of(symbols)
        regular.check_timeframe(timeframe)
        if since >= until:
            return no_bars(intraday=timeframe != "1d")
        more = {"timeframe": _ASKED[timeframe], "adjustment": self.adjustment}
        rows = self._ask.rows("bars", wanted, since, until, shapes.BARS, more=more, ttl=ttl)
        return regular.bars(
            rows, wanted, timeframe=timeframe, until=until, since=since, delay=self._delay, of="Alpaca's bars"
        )

    # --- quotes and trades

    def quotes(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Every best bid and ask of the feed; sizes in shares; the last one of a microsecond. Raises as `bars`."""
        return self._ticks("quotes", symbols_of(symbols), start, end)

    def trades(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Every trade of the feed; `key` is venue:id. Raises as `bars`; the local exchange knows no sizes: BadData."""
        return self._ticks("trades", symbols_of(symbols), start, end)

    def latest_quotes(self, symbols: str | Sequence[str]) -> pd.DataFrame:
        """The newest quote of each symbol that has one: rows of kind `quotes`. Raises as `bars`."""
        wanted = symbols_of(symbols)
        rows = self._ask.newest("quotes", wanted, shapes.QUOTES)
        return reading.in_order(kind_of("quotes"), shapes.quotes(rows, delay=self._delay, source=self.name), wanted)

    def latest_trades(self, symbols: str | Sequence[str]) -> pd.DataFrame:
        """The newest trade of each symbol that has one: rows of kind `trades`. Raises as `bars`."""
        wanted = symbols_of(symbols)
        rows = self._ask.newest("trades", wanted, shapes.TRADES)
        return reading.in_order(kind_of("trades"), shapes.trades(rows, delay=self._delay, source=self.name), wanted)

    def latest_bars(self, symbols: str | Sequence[str]) -> pd.DataFrame:
        """The newest finished bar of a minute of each symbol, as `bars` has it. Raises as `bars`."""
        wanted = symbols_of(symbols)
        rows = self._ask.newest("bars", wanted, shapes.BARS)
        return regular.bars(
            rows, wanted, timeframe="1m", until=self._clock(), delay=self._delay, of="Alpaca's newest bars"
        )

    def newest_prices(self, symbols: str | Sequence[str]) -> Mapping[str, tuple[float, dt.datetime]]:
        """The newest trade of each symbol that has one: currency per share, and its UTC moment. Never from a cache.

        Raises:
            SourceRefused, SourceUnavailable: Alpaca said no, or did not answer.
            BadData: a trade has no price > 0 or no moment.
        """
        rows = self._ask.newest("trades", symbols_of(symbols), shapes.NEWEST)
        bad = ~(rows["price"] > 0)
        if bad.any():
            raise BadData(f"the newest trade of {rows.loc[bad, 'symbol'].iloc[0]} has no price; none was passed on.")
        moments = (moment.to_pydatetime() for moment in rows["time"])
        return dict(zip(rows["symbol"], zip(rows["price"], moments, strict=True), strict=True))

    def snapshots(self, symbols: str | Sequence[str]) -> pd.DataFrame:
        """How each symbol stands now: one row each, as asked; a symbol that Alpaca does not know has none.

        Returns:
            `symbol`; `last_time`, `last`; `quote_time`, `bid`, `ask`, `bid_size`, `ask_size` (shares); `open`, `high`,
            `low`, `close`, `volume` of the running session; `previous_close`. NaN and NaT where there is none.

        Raises:
            SourceRefused, SourceUnavailable, BadData: as `bars`.
        """
        wanted = symbols_of(symbols)
        rows = self._ask.snapshots(wanted).set_index("symbol", drop=False)
        return shapes.snapshots(rows.loc[[symbol for symbol in wanted if symbol in rows.index]])

    # --- news, actions, options

    def news(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Articles that Alpaca's publishers tagged with a symbol, in their newest revision. Raises as `bars`."""
        wanted, (first, last) = symbols_of(symbols), regular.span(start, end)
        until = min((last + _REVISED).to_pydatetime(), self._clock())
        rows = self._ask.news(wanted, first.to_pydatetime(), until)
        return reading.in_order(kind_of("news"), _within(rows, start, end), wanted)

    def actions(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Splits, dividends, spin-offs, mergers, new names and removals of these symbols, by ex-day. Raises as `bars`.

        `ratio` of a stock dividend is one plus its rate, since a share becomes so many. An action belongs to the symbol
        it happens to: a takeover to the one that is taken over, a new name to the old one.
        """
        wanted = symbols_of(symbols)
        first, last = pd.Timestamp(start) - _BEFORE, pd.Timestamp(end) + _AFTER
        rows = self._ask.actions(wanted, first, last, clock=self._clock)
        return reading.in_order(kind_of("actions"), _within(rows, start, end), wanted)

    def options(self, symbols: str | Sequence[str]) -> pd.DataFrame:
        """The chain of each underlying as it stands now, with quote, last price, volatility and greeks.

        Alpaca says no open interest here (NaN). A contract that nobody quoted or traded has no row. Raises as `bars`.
        """
        wanted = symbols_of(symbols)
        chains = [self._ask.chain(symbol, delay=self._options_delay) for symbol in wanted]
        rows = pd.concat(chains, ignore_index=True)
        # A symbol is a contract here, so that the order is by underlying as asked, then by contract.
        place = rows["underlying"].map({symbol: number for number, symbol in enumerate(wanted)})
        return kind_of("options").typed(rows.assign(place=place).sort_values(["place", "symbol"], kind="stable"))

    def option_snapshots(self, contracts: str | Sequence[str]) -> pd.DataFrame:
        """The same for single contracts by their OCC symbols; `underlying` is the root of the symbol."""
        wanted = symbols_of(contracts)
        rows = self._ask.contracts(wanted, delay=self._options_delay)
        return reading.in_order(kind_of("options"), rows, wanted)

    def _ticks(self, what: str, wanted: tuple[str, ...], start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        columns, shaped = (shapes.QUOTES, shapes.quotes) if what == "quotes" else (shapes.TRADES, shapes.trades)
        first, last = regular.span(start, end)
        until = min(last.to_pydatetime(), self._clock())
        if first.to_pydatetime() >= until:
            return kind_of(what).empty()
        rows = self._ask.rows(what, wanted, first.to_pydatetime(), until, columns)
        return reading.in_order(
            kind_of(what), _within(shaped(rows, delay=self._delay, source=self.name), start, end), wanted
        )


def _within(rows: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    return rows[rows["session"].between(pd.Timestamp(start), pd.Timestamp(end))]
