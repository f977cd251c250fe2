"""Strategy: an idea with typed parameters that turns a history into target weights, causally."""

from __future__ import annotations

import hashlib
import inspect
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from workbench.parsing import parsed
from workbench.study import digest

if TYPE_CHECKING:
    import pandas as pd

    from workbench.market.history import History


class Strategy(BaseModel):
    """The base of every idea. Subclasses declare parameters as fields and implement `target_weights`.

    Row t of the weights may use only rows ≤ t of the history; a test that redraws the future after t holds every
    registered strategy to this. The same function serves the past (all rows) and the present (the last row).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @property
    @abstractmethod
    def warm_up(self) -> int:
        """How many sessions before the first meaningful weight are needed."""

    @abstractmethod
    def target_weights(self, history: History) -> pd.DataFrame:
        """Wished signed fractions of book value, frame (session × symbol) over all sessions of `history`.

        A row is decided at the close of its session. NaN: leave the holding as it is. 0: be out. The absolute values of
        a row sum to at most 1 (no leverage). A symbol without a price in a session gets NaN or 0, never a position.
        """

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def code_hash(cls) -> str:
        """sha256 (hex) of the source code: what tells an edited idea from the one before."""
        return hashlib.sha256(_source(cls).encode()).hexdigest()

    @property
    def hash(self) -> str:
        """sha256 over name, parameters and source code: an edited idea is another idea."""
        return digest({"name": self.name, "params": self.params, "code": self.code_hash()})

    @property
    def line(self) -> str:
        """Name and parameters on one line, e.g. `sma_cross(fast=50, slow=200)`."""
        inner = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.name}({inner})"

    def __str__(self) -> str:
        return self.line


def _source(kind: type[Strategy]) -> str:
    """The text of a strategy; of its functions where Python cannot find the class (written in a notebook cell)."""
    try:
        return parsed(lambda: inspect.getsource(kind))
    except (OSError, TypeError):
        found = []
        for _name, member in sorted(vars(kind).items()):
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) and function.__module__ == kind.__module__:
                found.append(inspect.getsource(function))
        if not found:
            raise
        return "\n".join(found)
