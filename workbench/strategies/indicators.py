"""The small language rules are written in: `rsi(14)`, `close`, `bb_upper(20, 2)`, `30`; indicators come from TA-Lib."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import NoData, ParameterError
from workbench.market.bars import FIELDS

if TYPE_CHECKING:
    from workbench.market.bars import Bars

_TERM = re.compile(r"([a-z_]+)\s*(?:\(([^()]*)\))?")
_LONGEST = 5_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What an indicator needs: its windows' defaults, how many of them are sessions, and fields beyond the close."""

    defaults: tuple[float, ...]
    windows: int
    fields: tuple[str, ...] = ()


INDICATORS = {
    "rsi": Shape((14,), 1),
    "sma": Shape((20,), 1),
    "ema": Shape((20,), 1),
    "atr": Shape((14,), 1, ("high", "low")),
    "macd": Shape((12, 26, 9), 3),
    "macd_signal": Shape((12, 26, 9), 3),
    "macd_histogram": Shape((12, 26, 9), 3),
    "bb_upper": Shape((20, 2), 1),
    "bb_middle": Shape((20, 2), 1),
    "bb_lower": Shape((20, 2), 1),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One side of a condition: a number, a field of the bars, or an indicator with its arguments."""

    name: str
    arguments: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str | float) -> Term:
        """Read `30`, `close` or `rsi(14)`; nothing is ever evaluated as code.

        Raises:
            ParameterError: the text is none of the three, or an argument is out of bounds; names the nearest word.
        """
        number = _number(text)
        if number is not None:
            return cls("number", (number,))
        match = _TERM.fullmatch(str(text).strip().lower())
        if match is None:
            raise ParameterError(
                f"{text!r} is neither a number, a field nor an indicator.",
                remedy="write e.g. 30, close, rsi(14) or bb_upper(20, 2).",
            )
        name, inner = match.group(1), match.group(2)
        if name in FIELDS:
            if inner is not None:
                raise ParameterError(f"{text!r}: {name} is a field and takes no arguments.", remedy=f"write {name}.")
            return cls(name)
        if name not in INDICATORS:
            near = difflib.get_close_matches(name, [*INDICATORS, *FIELDS], n=1)
            raise ParameterError(
                f"{text!r} names no indicator or field.",
                remedy=f"did you mean {near[0]!r}?" if near else f"it can be {', '.join([*INDICATORS, *FIELDS])}.",
            )
        return cls(name, _arguments(str(text), name, inner))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the bars that are read, the close first."""
        if self.name == "number":
            return ()
        if self.name in FIELDS:
            return tuple(dict.fromkeys(("close", self.name)))
        return ("close", *INDICATORS[self.name].fields)

    @property
    def warm_up(self) -> int:
        """Sessions until the value no longer depends on where the history begins, to about one part in 10⁹.

        A window mean forgets after its window; an exponential mean with decay (n−1)/(n+1), and Wilder's with (n−1)/n,
        only gradually: 10.4·n and 20.8·n sessions.
        """
        windows = self.arguments
        if self.name in {"number", *FIELDS}:
            return 0
        if self.name == "ema":
            return math.ceil(10.4 * windows[0])
        if self.name in {"rsi", "atr"}:
            return math.ceil(20.8 * windows[0])
        if self.name.startswith("macd"):
            return math.ceil(10.4 * (windows[1] + windows[2]))
        return int(windows[0])

    def values(self, bars: Bars, symbol: str) -> pd.Series:
        """The term of one symbol over the sessions in which every field it reads is known; others are left out.

        One NaN would poison TA-Lib's averages for ever, so gaps are taken out before, not after.

        Raises:
            NoData: a field is needed that the bars do not have (close-only data has no high, low, open or volume).
        """
        if self.name == "number":
            return pd.Series(self.arguments[0], index=bars.sessions, dtype=float)
        columns: dict[str, pd.Series] = {}
        never_traded = bool(bars.close[symbol].isna().all())
        for field in self.fields:
            frame = getattr(bars, field)
            if frame is None or (bool(frame[symbol].isna().all()) and not never_traded):
                raise NoData(
                    f"{self} needs the {field} of {symbol}, which these bars do not have"
                    f"{' (close-only data)' if bars.close_only else ''}; nothing was computed.",
                    remedy="use indicators of the close (rsi, macd, sma, ema, bb_…) or a source with full bars.",
                )
            columns[field] = frame[symbol]
        rows = pd.DataFrame(columns).dropna()
        computed = _compute(self, {field: np.ascontiguousarray(rows[field], dtype=float) for field in columns})
        return pd.Series(computed, index=rows.index)

    def __str__(self) -> str:
        if self.name == "number":
            return f"{self.arguments[0]:g}"
        return self.name + (f"({', '.join(f'{value:g}' for value in self.arguments)})" if self.arguments else "")


def _number(text: str | float) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        raise ParameterError(f"{text!r} is not a finite number.", remedy="write e.g. 30.")
    return value


def _arguments(text: str, name: str, inner: str | None) -> tuple[float, ...]:
    shape = INDICATORS[name]
    if inner is None or not inner.strip():
        return tuple(float(value) for value in shape.defaults)
    given = [_number(part) for part in inner.split(",")]
    if len(given) != len(shape.defaults) or any(value is None for value in given):
        raise ParameterError(
            f"{text!r}: {name} takes {len(shape.defaults)} numbers.",
            remedy=f"write e.g. {name}({', '.join(f'{value:g}' for value in shape.defaults)}).",
        )
    values = tuple(float(value) for value in given if value is not None)
    for value in values[: shape.windows]:
        if value != int(value) or not 2 <= value <= _LONGEST:
            raise ParameterError(
                f"{text!r}: a window of {value:g} sessions is not a whole number from 2 to {_LONGEST}.",
                remedy=f"write e.g. {name}({', '.join(f'{default:g}' for default in shape.defaults)}).",
            )
    if name.startswith("macd") and values[0] >= values[1]:
        raise ParameterError(
            f"{text!r}: the fast window {values[0]:g} must be less than the slow one {values[1]:g}.",
            remedy="write e.g. macd(12, 26, 9).",
        )
    if name.startswith("bb_") and values[1] <= 0:
        raise ParameterError(f"{text!r}: the band's width {values[1]:g} must be greater than 0.", remedy="use e.g. 2.")
    return values


def _compute(term: Term, columns: dict[str, np.ndarray]) -> np.ndarray:
    """TA-Lib on arrays without NaN; all NaN when there are fewer rows than the indicator needs."""
    import talib

    close = columns["close"]
    name = term.name
    if name in FIELDS:
        return columns[name]
    if len(close) < 2:
        return np.full(len(close), np.nan)
    window = int(term.arguments[0])
    result: np.ndarray
    if name.startswith("macd"):
        outputs = talib.MACD(close, window, int(term.arguments[1]), int(term.arguments[2]))
        result = outputs[("macd", "macd_signal", "macd_histogram").index(name)]
    elif name.startswith("bb_"):
        width = term.arguments[1]
        result = talib.BBANDS(close, window, width, width)[("bb_upper", "bb_middle", "bb_lower").index(name)]
    elif name == "atr":
        result = talib.ATR(columns["high"], columns["low"], close, window)
    else:
        result = {"rsi": talib.RSI, "sma": talib.SMA, "ema": talib.EMA}[name](close, window)
    return result
