"""TickState: what is known of each symbol after every event: prices, averages, RSI, VWAP, volatility, spread, bars."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.source import symbols_of
from workbench.data.stream import fold
from workbench.data.stream.events import BY_CODE, KINDS
from workbench.data.stream.moments import moments
from workbench.data.stream.seen import new_memory
from workbench.data.stream.symbol_table import SymbolTable
from workbench.errors import NoData, ParameterError

NEVER: Final = np.iinfo(np.int64).min  # before every moment
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Windows:
    """How far back the indicators look; all of trades or quotes, not of bars.

    Attributes:
        ema, sma, rsi: trades.
        spread: quotes.
        decay: λ of the volatility, in (0, 1); 0.94 is RiskMetrics' (J.P. Morgan/Reuters 1996, 5.3).
        remembered: trades and bars that are remembered at least, so that a repeated one counts once.
        ahead_seconds: an event whose moment lies further ahead of its arrival cannot be true.
    """

    ema: int = 20
    sma: int = 20
    rsi: int = 14
    spread: int = 20
    decay: float = 0.94
    remembered: int = 65_536
    ahead_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Check the bounds. Raises ParameterError."""
        for name, least, most in (("ema", 1, 100_000), ("sma", 1, 10_000), ("rsi", 1, 100_000), ("spread", 1, 100_000)):
            self._whole(name, least, most)
        self._whole("remembered", 1, 1 << 24)
        if not (isinstance(self.decay, (int, float)) and 0 < self.decay < 1):
            raise ParameterError(f"decay={self.decay!r} must lie in (0, 1).", remedy="0.94 is usual.")
        if not (isinstance(self.ahead_seconds, (int, float)) and 0 <= self.ahead_seconds < math.inf):
            raise ParameterError(f"ahead_seconds={self.ahead_seconds!r} must be ≥ 0.", remedy="300 is usual.")

    def _whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ParameterError(
                f"{name}={value!r} must be a whole number from {least} to {most}.", remedy="give one, or leave it out."
            )


class TickState:
    """The state of every symbol of a stream, folded batch by batch. One thread folds; any thread may look.

    Per symbol, of trades: `last`; `ema` (α = 2/(n+1), begun by the mean of the first n) and `sma` of n trades; `rsi`
    (Wilder 1978, n changes; NaN where no price has changed); `volatility` (root of the exponentially weighted mean of
    squared log returns from trade to trade); of the running day `high`, `low`, `volume`, `vwap` (trades of known size
    only) and `trades`. Of quotes: `bid`, `ask`, their sizes, `mid`, `spread`, and `spread_ema` (quotes with both sides
    and ask ≥ bid). Of minute bars: the newest bar. What is not known is NaN.

    Rules of event time, for each symbol and sort of event on its own:

    - An event earlier than the newest is *late*. A late trade of the running day still counts in `high`, `low`,
      `volume`, `vwap` and `trades`, where order does not matter; it does not move `last`, the averages, `rsi` or
      `volatility`, which would have to be computed anew. Late quotes and bars change nothing.
    - An event that came before is a *duplicate* and changes nothing: of trades and bars the same identity (see
      `seen.identity_of`), of quotes the same moment and numbers as the newest.
    - An event that cannot be true is *bad* and changes nothing: a price that is not above zero, a size below zero, a
      quote without any side, a bar whose high and low do not hold its prices, a moment far ahead of its arrival.
    - An updated bar replaces the newest bar; one of an earlier minute is late.

    Args:
        symbols: the table that numbers the symbols of the rows.
        days: first moments (UTC) of the days on which `high`, `low`, `volume`, `vwap` and `trades` begin anew; none:
            they go on for ever.
    """

    def __init__(
        self, symbols: SymbolTable, *, windows: Windows | None = None, days: pd.DatetimeIndex | None = None
    ) -> None:
        self.symbols, self.windows = symbols, windows or Windows()
        starts = [] if days is None else days.as_unit("ns").asi8.tolist()
        self._days = np.array([NEVER, *sorted(starts)], dtype=np.int64)
        self._memory, self._remembered = new_memory(self.windows.remembered), np.zeros(1, dtype=np.int64)
        self._settings = np.zeros(fold.SETTINGS)
        self._settings[fold.EMA_WINDOW], self._settings[fold.SMA_WINDOW] = self.windows.ema, self.windows.sma
        self._settings[fold.RSI_WINDOW], self._settings[fold.SPREAD_WINDOW] = self.windows.rsi, self.windows.spread
        self._settings[fold.DECAY] = self.windows.decay
        self._settings[fold.AHEAD_NS] = self.windows.ahead_seconds * _NS
        self._tally = np.zeros((KINDS, fold.TALLY), dtype=np.int64)
        self._lock = threading.Lock()
        self._floats, self._wholes, self._window = self._fresh(0)

    def fold(self, rows: np.ndarray) -> None:
        """Fold rows (dtype `events.ROW`) in their order; sets the marks in `flags`, and NaN for a bid or ask of 0."""
        with self._lock:
            if len(self.symbols) > len(self._floats):
                self._grow()
            fold.fold(
                rows,
                self._floats,
                self._wholes,
                self._window,
                self._days,
                self._memory,
                self._remembered,
                self._settings,
                self._tally,
            )

    def of(self, symbol: str) -> dict[str, Any]:
        """The state of one symbol. Raises NoData: no event of it has come."""
        row = self.frame(symbol).iloc[0]
        return {str(name): value for name, value in row.items()}

    def frame(self, symbols: str | Sequence[str] | None = None) -> pd.DataFrame:
        """One row per symbol, of all that have been met where none is named; index `symbol`.

        Raises:
            NoData: no event of a named symbol has come.
        """
        with self._lock:
            numbers = np.flatnonzero(_met(self._wholes))
            if symbols is not None:
                wanted = [self.symbols.find(name) for name in symbols_of(symbols)]
                absent = [
                    name for name, number in zip(symbols_of(symbols), wanted, strict=True) if number not in numbers
                ]
                if absent:
                    raise NoData(
                        f"no event of {', '.join(absent)} has come over this stream.",
                        remedy="subscribe, or wait for one.",
                    )
                numbers = np.array(wanted, dtype=np.int64)
            names = [self.symbols.names[number] for number in numbers]
            floats, wholes = self._floats[numbers].copy(), self._wholes[numbers].copy()
        return self._told(names, floats, wholes)

    def tally(self) -> pd.DataFrame:
        """How many events of each channel were folded, and how many of them were late, duplicate or bad."""
        with self._lock:
            counts = self._tally.copy()
        return pd.DataFrame(
            [counts[code] for code in BY_CODE],
            index=pd.Index([channel.name for channel in BY_CODE.values()], name="channel"),
            columns=["events", "late", "duplicates", "bad"],
        )

    def newest(self, code: int) -> int:
        """The newest moment (ns) of any symbol in the channel of that code, NEVER where none has come."""
        place = {1: fold.NEWEST_TRADE, 2: fold.NEWEST_QUOTE, 5: fold.NEWEST_DAY}.get(code, fold.NEWEST_BAR)
        with self._lock:
            moments = self._wholes[:, place]
            return int(moments.max()) if len(moments) else NEVER

    def _told(self, names: list[str], floats: np.ndarray, wholes: np.ndarray) -> pd.DataFrame:
        def known(place: int, least: int, count: int = fold.TRADES) -> np.ndarray:
            return np.where(wholes[:, count] >= least, floats[:, place], np.nan)

        windows = self.windows
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = floats[:, fold.GAIN] + floats[:, fold.LOSS]
            rsi = np.where(moved > 0, 100 * floats[:, fold.GAIN] / moved, np.nan)
            vwap = floats[:, fold.NOTIONAL] / floats[:, fold.VOLUME]
        traded = wholes[:, fold.DAY_TRADES] > 0
        sized = floats[:, fold.VOLUME] > 0
        bid, ask = floats[:, fold.BID], floats[:, fold.ASK]
        columns = {
            "time": moments(wholes[:, fold.NEWEST_TRADE]),
            "last": floats[:, fold.LAST],
            "size": floats[:, fold.LAST_SIZE],
            "ema": known(fold.EMA, windows.ema),
            "sma": known(fold.SMA_SUM, windows.sma) / windows.sma,
            "rsi": np.where(wholes[:, fold.TRADES] > windows.rsi, rsi, np.nan),
            "volatility": np.sqrt(known(fold.VARIANCE, 2)),
            "high": floats[:, fold.HIGH],
            "low": floats[:, fold.LOW],
            "volume": np.where(traded & sized, floats[:, fold.VOLUME], np.nan),
            "vwap": np.where(sized, vwap, np.nan),
            "trades": wholes[:, fold.DAY_TRADES],
            "quote_time": moments(wholes[:, fold.NEWEST_QUOTE]),
            "bid": bid,
            "ask": ask,
            "bid_size": floats[:, fold.BID_SIZE],
            "ask_size": floats[:, fold.ASK_SIZE],
            "mid": (bid + ask) / 2,
            "spread": ask - bid,
            "spread_ema": known(fold.SPREAD_EMA, windows.spread, fold.SPREADS),
            "quotes": wholes[:, fold.QUOTES],
            "bar_time": moments(wholes[:, fold.NEWEST_BAR]),
            "bar_open": floats[:, fold.BAR_OPEN],
            "bar_high": floats[:, fold.BAR_HIGH],
            "bar_low": floats[:, fold.BAR_LOW],
            "bar_close": floats[:, fold.BAR_CLOSE],
            "bar_volume": floats[:, fold.BAR_VOLUME],
            "bars": wholes[:, fold.BARS],
            "late": wholes[:, fold.LATES],
            "duplicates": wholes[:, fold.DUPLICATES],
            "bad": wholes[:, fold.BADS],
        }
        return pd.DataFrame(columns, index=pd.Index(names, name="symbol", dtype="str"))

    def _fresh(self, symbols: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        floats = np.full((symbols, fold.FLOATS), np.nan)
        for place in (fold.EMA_SEED, fold.SMA_SUM, fold.GAIN, fold.LOSS, fold.VOLUME, fold.NOTIONAL, fold.SPREAD_SEED):
            floats[:, place] = 0.0
        wholes = np.zeros((symbols, fold.WHOLES), dtype=np.int64)
        for place in (fold.NEWEST_TRADE, fold.DAY_END, fold.NEWEST_QUOTE, fold.NEWEST_BAR, fold.NEWEST_DAY):
            wholes[:, place] = NEVER
        return floats, wholes, np.zeros((symbols, self.windows.sma))

    def _grow(self) -> None:
        had = len(self._floats)
        fresh = self._fresh(max(len(self.symbols), 2 * had, 64))
        for new, old in zip(fresh, (self._floats, self._wholes, self._window), strict=True):
            new[:had] = old
        self._floats, self._wholes, self._window = fresh


def _met(wholes: np.ndarray) -> np.ndarray:
    """Of which symbols anything has come, be it only something that cannot be."""
    newest = wholes[:, [fold.NEWEST_TRADE, fold.NEWEST_QUOTE, fold.NEWEST_BAR, fold.NEWEST_DAY]]
    return np.asarray((newest != NEVER).any(axis=1) | (wholes[:, fold.BADS] > 0), dtype=bool)
