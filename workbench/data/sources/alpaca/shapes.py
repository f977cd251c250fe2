"""Alpaca's rows of bars, quotes, trades, snapshots, options and news, read into ours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Final

import pandas as pd

from workbench.data import reading
from workbench.data.quote_sizes import in_shares
from workbench.data.reading import Field
from workbench.data.regular import days_of, fields

# The local exchange writes "NaN" where its source has no value; Alpaca writes 0 for a side that nobody quotes.
_NAN: Final = ("NaN",)
_UNQUOTED: Final = (0, "NaN")

BARS: Final = fields(Field("t", "moment"), ("o", "h", "l", "c", "v"))
QUOTES: Final = {
    "time": Field("t", "moment"),
    "bid": Field("bp", nothing=_UNQUOTED),
    "ask": Field("ap", nothing=_UNQUOTED),
    "bid_size": Field("bs", nothing=_NAN),
    "ask_size": Field("as", nothing=_NAN),
}
TRADES: Final = {
    "time": Field("t", "moment"),
    "price": Field("p"),
    "size": Field("s"),
    "venue": Field("x", "text"),
    "id": Field("i", "whole"),
}
NEWEST: Final = {"time": Field("t", "moment"), "price": Field("p")}
NEWS: Final = {
    "key": Field("id", "whole"),
    "time": Field("created_at", "moment"),
    "revised": Field("updated_at", "moment"),
    "headline": Field("headline", "text"),
    "summary": Field("summary", "text"),
    "publisher": Field("source", "text"),
    "author": Field("author", "text"),
    "url": Field("url", "text", needed=False),
}
OPTIONS: Final = {
    "quoted": Field("latestQuote.t", "moment", needed=False),
    "traded": Field("latestTrade.t", "moment", needed=False),
    "bid": Field("latestQuote.bp", needed=False, nothing=_UNQUOTED),
    "ask": Field("latestQuote.ap", needed=False, nothing=_UNQUOTED),
    "last": Field("latestTrade.p", needed=False),
    "implied_volatility": Field("impliedVolatility", needed=False),
    **{name: Field(f"greeks.{name}", needed=False) for name in ("delta", "gamma", "theta", "vega", "rho")},
}
QUOTED: Final = {"time": Field("t", "moment"), "bid": Field("bp"), "ask": Field("ap")}
SNAPSHOTS: Final = {
    "last_time": Field("latestTrade.t", "moment"),
    "last": Field("latestTrade.p"),
    "quote_time": Field("latestQuote.t", "moment", needed=False),
    "bid": Field("latestQuote.bp", needed=False, nothing=_UNQUOTED),
    "ask": Field("latestQuote.ap", needed=False, nothing=_UNQUOTED),
    "bid_size": Field("latestQuote.bs", needed=False, nothing=_NAN),
    "ask_size": Field("latestQuote.as", needed=False, nothing=_NAN),
    "open": Field("dailyBar.o", needed=False),
    "high": Field("dailyBar.h", needed=False),
    "low": Field("dailyBar.l", needed=False),
    "close": Field("dailyBar.c", needed=False),
    "volume": Field("dailyBar.v", needed=False),
    "previous_close": Field("prevDailyBar.c", needed=False),
}
_SIZES: Final = ("bid_size", "ask_size")


def by_symbol(page: Mapping[str, Any], columns: Mapping[str, Field], *, of: str) -> pd.DataFrame:
    """`{symbol: [row, …]}` as one table with a column `symbol`. Raises BadData."""
    rows: list[Any] = []
    symbols: list[str] = []
    for symbol in page:
        found = reading.part(page, symbol, list, of=of)
        rows += found
        symbols += [symbol] * len(found)
    return reading.table(rows, columns, of=of).assign(symbol=pd.Series(symbols, dtype="str"))


def one_each(page: Mapping[str, Any], columns: Mapping[str, Field], *, of: str) -> pd.DataFrame:
    """`{symbol: row}` as one table with a column `symbol`. Raises BadData."""
    table = reading.table(list(page.values()), columns, of=of)
    return table.assign(symbol=pd.Series(list(page), dtype="str"))


def snapshots(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of a snapshot, in order; sizes in shares."""
    days = days_of(rows["quote_time"])
    sized = {name: in_shares(rows[name], days) for name in _SIZES}
    return rows.assign(**sized).loc[:, ["symbol", *SNAPSHOTS]].reset_index(drop=True)


def quotes(rows: pd.DataFrame, *, delay: dt.timedelta, source: str) -> pd.DataFrame:
    """Columns of kind `quotes`: sizes in shares."""
    rows = _clocked(rows, delay=delay, source=source)
    return rows.assign(**{name: in_shares(rows[name], rows["session"]) for name in _SIZES})


def trades(rows: pd.DataFrame, *, delay: dt.timedelta, source: str) -> pd.DataFrame:
    """Columns of kind `trades`: a trade's id is its own on its venue only, so that the venue is part of the key."""
    return _clocked(rows, delay=delay, source=source).assign(key=rows["venue"] + ":" + rows["id"])


def news(articles: list[Any], wanted: Collection[str], *, source: str) -> pd.DataFrame:
    """Columns of kind `news`: one row for each of the wanted symbols that an article is about. Raises BadData."""
    of = "Alpaca's news"
    table = reading.table(articles, NEWS, of=of)
    about = [_symbols(article, of) for article in articles]
    places = [(place, symbol) for place, symbols in enumerate(about) for symbol in symbols if symbol in wanted]
    rows = table.iloc[[place for place, _ in places]].reset_index(drop=True)
    rows = rows.assign(symbol=pd.Series([symbol for _, symbol in places], dtype="str"))
    # What is read is the newest revision, and nobody could read that before it was made.
    learned = rows["revised"].where(rows["revised"] > rows["time"], rows["time"])
    return rows.assign(session=days_of(rows["time"]), happened=rows["time"], learned=learned, source=source)


def options(page: Mapping[str, Any], underlying: str | None, *, delay: dt.timedelta, source: str) -> pd.DataFrame:
    """Columns of kind `options`; `time` is that of the quote, or of the trade where nobody quotes. Raises BadData.

    Args:
        underlying: of all of them; None: the root of each contract's symbol.
    """
    of = "Alpaca's option snapshots"
    for name, columns in (("latestQuote", QUOTED), ("latestTrade", NEWEST)):  # half a quote is none
        reading.table([shot[name] for shot in page.values() if type(shot) is dict and shot.get(name)], columns, of=of)
    rows = one_each(page, OPTIONS, of=of)
    roots = rows["symbol"].str.slice(stop=-15)
    rows = rows.assign(
        time=rows["quoted"].where(rows["quoted"].notna(), rows["traded"]),
        underlying=roots if underlying is None else pd.Series([underlying] * len(rows), dtype="str"),
    )
    # A contract that nobody quoted or traded has nothing to say yet.
    return _clocked(rows[rows["time"].notna()].reset_index(drop=True), delay=delay, source=source)


def _clocked(rows: pd.DataFrame, *, delay: dt.timedelta, source: str) -> pd.DataFrame:
    time = rows["time"]
    return rows.assign(
        session=days_of(time), happened=time, learned=(time + delay).astype("datetime64[us, UTC]"), source=source
    )


def _symbols(article: Mapping[str, Any], of: str) -> list[str]:
    symbols = reading.part(article, "symbols", list, of=of)
    return reading.table([{"symbol": symbol} for symbol in symbols], {"symbol": Field("symbol", "text")}, of=of)[
        "symbol"
    ].tolist()
