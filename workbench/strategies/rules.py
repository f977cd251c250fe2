"""The declarative indicator rules of a bot: enter when all of these hold, leave when any of those does.

Source of the default, buying an oversold RSI: J. W. Wilder 1978, "New Concepts in Technical Trading Systems".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from workbench.strategies.indicators import Term
from workbench.strategies.wishes import emit_changes
from workbench.strategy import Strategy

if TYPE_CHECKING:
    from workbench.market.bars import Bars
    from workbench.market.history import History


class Condition(BaseModel):
    """A comparison of two terms, e.g. `Condition(left="rsi(14)", op="<", right=30)`.

    `crosses_above` holds in a session in which left > right after left ≤ right in the symbol's session before;
    `crosses_below` mirrors it. A condition with an unknown side does not hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: str
    op: Literal["<", "<=", ">", ">=", "crosses_above", "crosses_below"]
    right: str | float

    @field_validator("left", "right")
    @classmethod
    def _can_be_read(cls, value: str | float) -> str | float:
        Term.parse(value)
        return value

    @property
    def terms(self) -> tuple[Term, Term]:
        """Both sides, parsed."""
        return Term.parse(self.left), Term.parse(self.right)

    def holds(self, bars: Bars, symbol: str) -> tuple[np.ndarray, np.ndarray]:
        """(holds, known), each of shape (session,): where the comparison is true, and where both sides have a value.

        Raises:
            NoData: a side needs a field that the bars do not have.
        """
        left, right = pd.DataFrame({"left": self.terms[0].values(bars, symbol)}).align(
            pd.DataFrame({"right": self.terms[1].values(bars, symbol)}), join="inner", axis=0
        )
        a, b = left["left"].to_numpy(), right["right"].to_numpy()
        if self.op == "crosses_above":
            true = (a > b) & _before(a <= b)
        elif self.op == "crosses_below":
            true = (a < b) & _before(a >= b)
        else:
            true = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[self.op](a, b)
        rows = bars.sessions.get_indexer(left.index)
        holds, known = np.zeros(len(bars.sessions), dtype=bool), np.zeros(len(bars.sessions), dtype=bool)
        holds[rows] = true
        known[rows] = ~(np.isnan(a) | np.isnan(b))
        return holds, known

    def __str__(self) -> str:
        return f"{self.terms[0]} {self.op} {self.terms[1]}"


class Rules(Strategy):
    """Long a symbol with 1/N of book value from the session all `entry` conditions hold until an `exit` condition does.

    Between the two nothing changes (hysteresis); where both hold at once, the exit wins. Every symbol is flat before
    `study.start`, so the answer does not depend on how much warm-up was loaded.

    Attributes:
        entry: all must hold.
        exit: one is enough.
    """

    name: ClassVar[str] = "rules"

    entry: Annotated[tuple[Condition, ...], Field(min_length=1)] = (Condition(left="rsi(14)", op="<", right=30.0),)
    exit: Annotated[tuple[Condition, ...], Field(min_length=1)] = (Condition(left="rsi(14)", op=">", right=70.0),)

    @property
    def warm_up(self) -> int:
        """The longest memory of any term."""
        return 1 + max(term.warm_up for condition in (*self.entry, *self.exit) for term in condition.terms)

    @property
    def line(self) -> str:
        """The rules as a sentence."""
        enter, leave = (
            " and ".join(str(item) for item in self.entry),
            " or ".join(str(item) for item in self.exit),
        )
        return f"rules(enter {enter}; leave {leave})"

    def target_weights(self, history: History) -> pd.DataFrame:
        """Weights (session × symbol): whole rows when a symbol enters or leaves, NaN otherwise.

        A symbol has no wish while a term has no value yet (the indicator's own start, a gap in the prices).

        Raises:
            NoData: a condition needs a field that the bars do not have, such as ATR on close-only data.
        """
        first = history.begins
        share = 1.0 / len(history.symbols)
        wanted = np.full(history.close.shape, np.nan)
        for column, symbol in enumerate(history.symbols):
            entries = [condition.holds(history.bars, symbol) for condition in self.entry]
            exits = [condition.holds(history.bars, symbol) for condition in self.exit]
            enter = np.logical_and.reduce([holds for holds, _ in entries])
            leave = np.logical_or.reduce([holds for holds, _ in exits])
            known = np.logical_and.reduce([known for _, known in (*entries, *exits)])
            held = False
            for row in range(first, len(wanted)):
                if known[row]:
                    held = not leave[row] and (held or bool(enter[row]))
                    wanted[row, column] = share if held else 0.0
        return emit_changes(pd.DataFrame(wanted, index=history.close.index, columns=history.close.columns), history)


def _before(flags: np.ndarray) -> np.ndarray:
    """The flags of the row before; False in the first."""
    return np.concatenate(([False], flags[:-1])) if len(flags) else flags
