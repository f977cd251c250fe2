"""The facts an evidence pack is made of: for each its name, unit, window and formula, from bars up to one session.

Every fact looks back at most `ROWS` sessions, so it does not depend on where the history starts once those are known.
What a fact measures is a feature of the registry (`workbench.features`), so that a rule, a model and a pack that speak
of one quantity mean one number; what is here is which closes it is asked about, and when it is not known.
A fact that cannot be computed raises `Unknown` with the reason; it never becomes 0, 50 or any other neutral number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.features.feature import Feature
from workbench.features.registry import feature
from workbench.market.view import MarketView

YEAR = 252
CLOSES = YEAR + 1  # one year of returns needs one close more
ROWS = CLOSES + 21  # a symbol may lack a month of closes and still have its year
RSI_CLOSES = 120  # Wilder's smoothing still carries (13/14)^106 < 0.04 % of its seed after 120 closes
PEERS = 4  # a rank among fewer other symbols says nothing

Floats = npt.NDArray[np.float64]

_RSI, _ATR_RATIO, _VOLUME_RATIO = feature("rsi(14)"), feature("atr_ratio(14)"), feature("volume_ratio(5, 63)")
_VOLATILITY_252, _VOLATILITY_RATIO = feature("volatility(252)"), feature("volatility_ratio(21, 252)")
_SMA_SPREAD, _WORST_DRAWDOWN = feature("sma_spread(50, 200)"), feature("worst_drawdown(252)")


class Unknown(Exception):
    """This fact cannot be computed from what is known; the text says why. It becomes a `missing` line of the pack."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The newest `ROWS` sessions of a view as arrays, shared by the packs of all its symbols.

    `days` are the sessions as ISO dates. Arrays have shape (session × symbol); NaN where there is no bar. Prices not
    finite or not > 0 count as absent. `momentum`, `return_63` have shape (symbol,); `above_200`, `rising_21` hold 1.0,
    0.0 or NaN per symbol: these compare symbols, so they are taken between the same two sessions for all of them, and
    not over each symbol's own closes as a feature is.
    """

    days: tuple[str, ...]
    symbols: tuple[str, ...]
    close: Floats
    open: Floats | None
    high: Floats | None
    low: Floats | None
    volume: Floats | None
    momentum: Floats
    return_63: Floats
    above_200: Floats
    rising_21: Floats

    @classmethod
    def of(cls, view: MarketView) -> Panel:
        """Cut the newest rows out of a view."""
        bars = view.bars

        def cut(frame: pd.DataFrame | None, *, price: bool = True) -> Floats | None:
            if frame is None:
                return None
            values = frame.iloc[-ROWS:].to_numpy(dtype=float, copy=True)
            with np.errstate(invalid="ignore"):
                values[~(np.isfinite(values) & ((values > 0) if price else (values >= 0)))] = np.nan
            return values

        close = cut(bars.close)
        if close is None:  # pragma: no cover - Bars always has closes; this tells the type checker
            raise TypeError("bars without closes")
        nothing = np.full(close.shape[1], np.nan)

        def change(newest: int, oldest: int) -> Floats:
            return close[-newest] / close[-oldest] - 1.0 if len(close) >= oldest else nothing

        def truth(values: Floats) -> Floats:
            # Rounded first, so that an ulp of summation order cannot decide what is above and what is below.
            return np.where(np.isnan(values), np.nan, (np.round(values, 9) > 0).astype(float))

        above = close[-1] / close[-200:].mean(axis=0) - 1.0 if len(close) >= 200 else nothing
        return cls(
            days=tuple(np.datetime_as_string(bars.sessions[-ROWS:].to_numpy(), unit="D").tolist()),
            symbols=view.symbols,
            close=close,
            open=cut(bars.open),
            high=cut(bars.high),
            low=cut(bars.low),
            volume=cut(bars.volume, price=False),
            momentum=change(22, CLOSES),
            return_63=change(1, 64),
            above_200=truth(above),
            rising_21=truth(change(1, 22)),
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one symbol: its newest closes (at most `CLOSES`) and the rows of the panel they stand in."""

    panel: Panel
    column: int
    rows: npt.NDArray[np.int64]
    closes: Floats

    @classmethod
    def of(cls, panel: Panel, symbol: str) -> Known:
        """Pick one symbol out of the panel; sessions without a close are left out."""
        column = panel.symbols.index(symbol)
        rows = np.flatnonzero(~np.isnan(panel.close[:, column]))[-CLOSES:]
        return cls(panel=panel, column=column, rows=rows, closes=np.ascontiguousarray(panel.close[rows, column]))

    def last(self, count: int) -> Floats:
        """The newest `count` closes. Raises Unknown when there are fewer, or none in the newest session."""
        newest = len(self.panel.days) - 1
        if not len(self.rows):
            raise Unknown(f"no close is known in the newest {ROWS} sessions")
        if self.rows[-1] != newest:
            last = self.panel.days[self.rows[-1]]
            raise Unknown(f"no close in the newest session {self.panel.days[newest]}; the last one is of {last}")
        if len(self.closes) < count:
            raise Unknown(f"needs {count} closes; {len(self.closes)} are known")
        return self.closes[-count:]

    def field(self, name: str, count: int) -> Floats:
        """The newest `count` values of another field, one for each close. Raises Unknown when one is absent."""
        frame: Floats | None = getattr(self.panel, name)
        self.last(count)
        values = None if frame is None else np.ascontiguousarray(frame[self.rows[-count:], self.column])
        if values is None or np.isnan(values).all():
            raise Unknown(f"the source gives no {name} for this symbol")
        absent = int(np.isnan(values).sum())
        if absent:
            raise Unknown(f"{name} is absent in {absent} of {count} sessions")
        return values

    def day(self, back: int = 0) -> str:
        """The session of the newest close, or of the one `back` closes before it, as an ISO date."""
        return self.panel.days[int(self.rows[-1 - back])]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the catalogue. `compute` gives the value and how many closes ago it happened (0 = newest)."""

    name: str
    unit: str
    window: int
    compute: Callable[[Known], tuple[float, int]]
    meaning: str


def _count(known: Known) -> tuple[float, int]:
    if not len(known.closes):
        raise Unknown(f"no close is known in the newest {ROWS} sessions")
    return float(len(known.closes)), 0


def _newest(text: str, count: int, back: int = 0) -> Callable[[Known], tuple[float, int]]:
    """A feature of the newest `count` closes, which happened `back` closes ago."""
    asked = feature(text)
    return lambda known: (asked.newest(known.last(count)), back)


def _lowest(text: str, over: Feature, count: int) -> Callable[[Known], tuple[float, int]]:
    """A feature that is the lowest value of another one; it happened where that one was lowest."""
    asked = feature(text)

    def compute(known: Known) -> tuple[float, int]:
        closes = known.last(count)
        values = over.batch({"close": closes})
        return asked.newest(closes), len(closes) - 1 - int(np.nanargmin(values))

    return compute


def _trend_of_trends(known: Known) -> tuple[float, int]:
    known.last(50)  # the reason names the shorter window where even that is not filled
    return _SMA_SPREAD.newest(known.last(200)), 0


def _worst_drawdown(known: Known) -> tuple[float, int]:
    closes = known.last(YEAR)
    falls = closes / np.maximum.accumulate(closes) - 1.0
    return _WORST_DRAWDOWN.newest(closes), YEAR - 1 - int(falls.argmin())


def _volatility_ratio(known: Known) -> tuple[float, int]:
    closes = known.last(CLOSES)
    if _VOLATILITY_252.newest(closes) == 0:
        raise Unknown(f"the close did not move in {YEAR} sessions")
    return _VOLATILITY_RATIO.newest(closes), 0


def _rsi(known: Known) -> tuple[float, int]:
    known.last(RSI_CLOSES)
    if np.ptp(known.closes) == 0:
        raise Unknown("the close did not move, so RSI is not defined")  # TA-Lib would say 0
    return _RSI.newest(known.closes), 0


def _rank(known: Known) -> tuple[float, int]:
    mine, others = _against(known, known.panel.momentum, CLOSES)
    return float(((others < mine) + 0.5 * (others == mine)).mean()), 21


def _excess(known: Known) -> tuple[float, int]:
    mine, others = _against(known, known.panel.return_63, 64)
    return mine - float(np.median(others)), 0


def _against(known: Known, values: Floats, count: int) -> tuple[float, Floats]:
    """One symbol's value and those of the others. Raises Unknown where there is nothing to compare."""
    known.last(1)
    if np.isnan(values[known.column]):
        raise Unknown(f"no close in both the newest session and {count - 1} sessions before")
    others = np.delete(values, known.column)
    others = others[~np.isnan(others)]
    if len(others) < PEERS:
        raise Unknown(f"needs {PEERS} other symbols to compare with; {len(others)} are known")
    return float(values[known.column]), others


def _breadth(name: str) -> Callable[[Known], tuple[float, int]]:
    def compute(known: Known) -> tuple[float, int]:
        values: Floats = getattr(known.panel, name)
        counted = values[~np.isnan(values)]
        known.last(1)
        if len(counted) <= PEERS:
            raise Unknown(f"needs {PEERS + 1} symbols with enough closes; {len(counted)} are known")
        return float(counted.mean()), 0

    return compute


def _gap(text: str, window: int) -> Callable[[Known], tuple[float, int]]:
    asked, one = feature(text), feature("gap")

    def compute(known: Known) -> tuple[float, int]:
        opens, closes = known.field("open", window), known.last(window + 1)
        # The oldest open is not read, and need not be known.
        columns = (closes, np.concatenate((opens[:1], opens)))
        gaps = one.batch({"close": columns[0], "open": columns[1]})
        return asked.newest(*columns), window - int(np.nanargmin(gaps))

    return compute


def _range(known: Known) -> tuple[float, int]:
    closes = known.last(RSI_CLOSES)
    return _ATR_RATIO.newest(closes, known.field("high", RSI_CLOSES), known.field("low", RSI_CLOSES)), 0


def _volume_ratio(known: Known) -> tuple[float, int]:
    volumes = known.field("volume", 63)
    if volumes.sum() == 0:
        raise Unknown("no volume was traded in 63 sessions")
    return _VOLUME_RATIO.newest(known.last(63), volumes), 0


# The order is the numbering (e01, e02, …): append at the end, never insert.
CATALOGUE: tuple[Fact, ...] = (
    Fact("last_close", "currency", 1, lambda known: (known.last(1)[-1], 0), "newest close"),
    Fact("closes_known", "closes", ROWS, _count, f"closes among the newest {ROWS} sessions, at most {CLOSES} counted"),
    Fact("return_5", "fraction", 5, _newest("return(5)", 6), "change of the close"),
    Fact("return_21", "fraction", 21, _newest("return(21)", 22), "change of the close"),
    Fact("return_63", "fraction", 63, _newest("return(63)", 64), "change of the close"),
    Fact("return_126", "fraction", 126, _newest("return(126)", 127), "change of the close"),
    Fact("return_252", "fraction", 252, _newest("return(252)", 253), "change of the close"),
    Fact(
        "momentum_252_21",
        "fraction",
        252,
        _newest("momentum_12_1", CLOSES, 21),
        "change of the close over a year, the newest month left out",
    ),
    Fact("trend_50", "fraction", 50, _newest("sma_ratio(50)", 50), "close over its 50-session mean, minus 1"),
    Fact("trend_200", "fraction", 200, _newest("sma_ratio(200)", 200), "close over its 200-session mean, minus 1"),
    Fact(
        "trend_50_200",
        "fraction",
        200,
        _trend_of_trends,
        "50-session mean over 200-session mean, minus 1",
    ),
    Fact(
        "below_high_252",
        "fraction",
        252,
        _newest("below_high(252)", YEAR),
        "close over its 52-week peak, minus 1: the drawdown now",
    ),
    Fact("above_low_252", "fraction", 252, _newest("above_low(252)", YEAR), "close over its 52-week low, minus 1"),
    Fact(
        "breakout_63",
        "fraction",
        63,
        _newest("breakout(63)", 64),
        "close over the highest of the 63 closes before, minus 1",
    ),
    Fact("worst_drawdown_252", "fraction", 252, _worst_drawdown, "deepest fall from a peak; happened at the trough"),
    Fact("volatility_21", "per year", 21, _newest("volatility(21)", 22), "standard deviation of daily returns × √252"),
    Fact(
        "volatility_252",
        "per year",
        252,
        _newest("volatility(252)", CLOSES),
        "standard deviation of daily returns × √252",
    ),
    Fact("volatility_ratio", "ratio", 252, _volatility_ratio, "volatility_21 over volatility_252"),
    Fact(
        "worst_session_252",
        "fraction",
        252,
        _lowest("worst_return(252)", feature("return(1)"), CLOSES),
        "lowest daily return; happened then",
    ),
    Fact("rsi_14", "0 to 100", 14, _rsi, "relative strength index (Wilder 1978), TA-Lib"),
    Fact("rank_momentum", "share", 252, _rank, "share of the other symbols with a lower momentum_252_21"),
    Fact("excess_63", "fraction", 63, _excess, "return_63 minus the median of the other symbols"),
    Fact("breadth_200", "share", 200, _breadth("above_200"), "share of the view above its 200-session mean"),
    Fact("breadth_21", "share", 21, _breadth("rising_21"), "share of the view that rose in 21 sessions"),
    Fact("gap", "fraction", 1, _gap("gap", 1), "open over the close before, minus 1"),
    Fact(
        "worst_gap_252",
        "fraction",
        252,
        _gap("worst_gap(252)", 252),
        "lowest open over the close before, minus 1; happened then",
    ),
    Fact("range_14", "fraction", 14, _range, "average true range (Wilder 1978) over the close, TA-Lib"),
    Fact("volume_ratio_5_63", "ratio", 63, _volume_ratio, "mean volume of 5 sessions over that of 63"),
)
