"""The small language rules are written in: `rsi(14)`, `close`, `bb_upper(20, 2)`, `30`; indicators are the features."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import ParameterError
from workbench.features.feature import Feature, columns_of
from workbench.features.registry import named, number_of, registered
from workbench.market.bars import FIELDS

if TYPE_CHECKING:
    from workbench.market.bars import Bars

_TERM = re.compile(r"([a-z_][a-z0-9_]*)\s*(?:\(([^()]*)\))?")


@dataclass(frozen=True, slots=True)
class Term:
    """One side of a condition: a number, a field of the bars, or an indicator with its arguments.

    Every registered feature is an indicator (`workbench.features.table()` lists them): a rule, a model and an evidence
    pack that name `rsi(14)` mean the same number.
    """

    name: str
    arguments: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str | float) -> Term:
        """Read `30`, `close` or `rsi(14)`; nothing is ever evaluated as code.

        Raises:
            ParameterError: the text is none of the three, or an argument is out of bounds; names the nearest word.
        """
        number = number_of(text)
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
        if name not in registered():
            near = difflib.get_close_matches(name, [*registered(), *FIELDS], n=1)
            raise ParameterError(
                f"{text!r} names no indicator or field.",
                remedy=f"did you mean {near[0]!r}?" if near else f"it can be {', '.join([*registered(), *FIELDS])}.",
            )
        return cls(name, named(name, inner, said=str(text)).arguments)

    @property
    def feature(self) -> Feature | None:
        """What is computed; None for a number or a field."""
        return None if self.name in {"number", *FIELDS} else Feature(registered()[self.name], self.arguments)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the bars that are read, the close first."""
        if self.name == "number":
            return ()
        return tuple(dict.fromkeys(("close", self.name))) if self.feature is None else self.feature.fields

    @property
    def warm_up(self) -> int:
        """Sessions until the value no longer depends on where the history begins, to about one part in 10⁹."""
        return 0 if self.feature is None else self.feature.warm_up

    def values(self, bars: Bars, symbol: str) -> pd.Series:
        """The term of one symbol over the sessions in which every field it reads is known; others are left out.

        Raises:
            NoData: a field is needed that the bars do not have (close-only data has no high, low, open or volume).
        """
        if self.feature is not None:
            return self.feature.values(bars, symbol)
        if self.name == "number":
            return pd.Series(self.arguments[0], index=bars.sessions, dtype=float)
        columns = columns_of(bars, symbol, self.fields, name=str(self))
        known: pd.Series = pd.DataFrame(columns).dropna()[self.name]
        return known.astype(float).rename(None)

    def __str__(self) -> str:
        if self.name == "number":
            return f"{self.arguments[0]:g}"
        return self.name + (f"({', '.join(f'{value:g}' for value in self.arguments)})" if self.arguments else "")
