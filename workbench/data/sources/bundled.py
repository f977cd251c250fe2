"""Bundled bars: real daily data that ships inside libraries the workbench depends on, so that it needs no network.

- 20 US stocks, 1990-01-02 to 2022-12-28: the S&P 500 panel of skfolio. Adjusted closes and nothing else.
- `^GSPC` and `^IXIC`, 1999-01-04 to 2018-12-31: the index series of arch. Open, high, low, close and volume; an index
  pays no dividend and does not split, so its adjusted close is its close.

skfolio ships its panel for tests and examples only, and arch states no terms for its series: keep to that use.

What to know before believing a number made of them:

- **An adjusted close contains what was learned later.** It is the price divided by every split and dividend *after*
  that session, up to the day on which the sample was made. Price levels are therefore not those a reader saw: "Apple at
  0.264" was never on a screen, and a rule about levels (a price below 5, a round number, an order of so many shares for
  so much cash) knows of later splits. Returns from one session to another are right (total returns: dividends are in
  them), because both closes are divided by the same later adjustments. Decide on returns and ratios, not on levels.
- **`learned = happened` is an assumption.** The sample does not say when a row was published or corrected; we say that
  each close was known when its session closed.
- **The 20 stocks were chosen by somebody who knew the end** (all of them live through 1990–2022): survivorship is in
  every result, and buy-and-hold profits from it most.
- Closes of the stocks are rounded to a thousandth of a dollar, which is coarse where the adjusted price is below 1.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.source import DAILY_COLUMNS, PRICES, no_bars, symbols_of
from workbench.errors import DataError

STOCKS: Final = tuple("AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM".split())  # noqa: SIM905 - one line
INDICES: Final = {"^GSPC": "sp500", "^IXIC": "nasdaq"}


class BundledSource:
    """Real daily bars without a network: see the module for what they are and what they are not."""

    name = "bundled"
    label = "real · US stocks (survivors) and indices, adjusted closes"
    synthetic = False
    venue = "XNYS"

    def symbols(self) -> tuple[str, ...]:
        """The 20 stocks, then the two indices."""
        return (*STOCKS, *INDICES)

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Daily bars; see `BarSource.bars`. Open, high, low and volume are NaN for the stocks.

        Raises:
            DataError: a symbol or a timeframe that the sample does not have.
        """
        if timeframe != "1d":
            raise DataError(
                f"timeframe={timeframe!r}: the bundled data is daily; nothing was read.",
                remedy="use timeframe='1d', or source='synthetic', which has intraday bars.",
            )
        symbols = symbols_of(symbols) if isinstance(symbols, str) else symbols
        unknown = [symbol for symbol in symbols if symbol not in self.symbols()]
        if unknown:
            raise DataError(
                f"the bundled data has no {', '.join(unknown)}; nothing was read.",
                remedy=f"it has {', '.join(self.symbols())}.",
            )
        parts = [self._one(symbol).loc[start:end] for symbol in dict.fromkeys(symbols)]
        parts = [part for part in parts if len(part)]
        if not parts:
            return no_bars()
        rows = pd.concat(parts).rename_axis("session").reset_index()
        days = pd.DatetimeIndex(rows["session"].unique()).sort_values()
        closes = pd.Series(sessions.close_times(self.venue, days).as_unit("us"), index=days)
        rows["happened"] = pd.DatetimeIndex(closes.loc[rows["session"]])
        rows["learned"] = rows["happened"]
        return rows.loc[:, list(DAILY_COLUMNS)]

    def _one(self, symbol: str) -> pd.DataFrame:
        """All bars of one symbol, indexed by session."""
        if symbol in INDICES:
            found = self._indices[symbol]
        else:
            found = pd.DataFrame({"close": self._stocks[symbol].dropna()}).assign(
                open=np.nan, high=np.nan, low=np.nan, volume=np.nan
            )
        return found.assign(symbol=symbol)

    @functools.cached_property
    def _stocks(self) -> pd.DataFrame:
        return _table("skfolio", "datasets/data/sp500_dataset.csv.gz", written="%Y-%m-%d")

    @functools.cached_property
    def _indices(self) -> dict[str, pd.DataFrame]:
        tables = {}
        for symbol, name in INDICES.items():
            table = _table("arch", f"data/{name}/{name}.csv.gz", written="%m/%d/%Y")
            tables[symbol] = table.rename(columns=str.lower)[[*PRICES, "volume"]].astype(float)
        return tables


def _table(package: str, path: str, *, written: str) -> pd.DataFrame:
    """A CSV file inside an installed package, by session (`written` is the format of its dates).

    The package is not imported: that would take seconds, and only its file is needed.
    """
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    found = next((Path(folder) / path for folder in folders if (Path(folder) / path).is_file()), None)
    if found is None:
        raise DataError(
            f"the file {path} of the package {package!r} is not installed; no bundled bar was read.",
            remedy=f"reinstall the workbench's pinned {package}, or use source='synthetic'.",
        )
    table = pd.read_csv(found, index_col=0)
    table.index = pd.DatetimeIndex(pd.to_datetime(table.index, format=written)).as_unit("us")
    return table.sort_index()
