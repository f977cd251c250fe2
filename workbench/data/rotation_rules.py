"""Rules by which a universe rotates: what is chosen, from whom, how many, and how often. A rule is stored data."""

from __future__ import annotations

import difflib
import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench import sessions
from workbench.errors import ParameterError
from workbench.features.feature import Feature
from workbench.features.registry import feature

Every = Literal["session", "week", "month", "quarter"]
Venue = Annotated[str, Field(min_length=1)]
_PERIOD = {"week": "W", "month": "M", "quarter": "Q"}


class Rule(BaseModel):
    """What every rule has.

    Attributes:
        every: it rotates on the first session of each of these.
        venue: whose calendar counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ClassVar[str]
    every: Every = "month"
    venue: Venue = "XNYS"

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as plain JSON values."""
        return self.model_dump(mode="json")

    @property
    def line(self) -> str:
        """The rule on one line; of a long list its length."""
        shown = (f"{name}={_short(value)}" for name, value in self.params.items() if value is not None)
        return f"{self.kind}({', '.join(shown)})"

    def __str__(self) -> str:
        return self.line


class Manual(Rule):
    """Nobody enters or leaves by itself: `universe.define` and `universe.leave` say who."""

    kind: ClassVar[str] = "manual"


class IndexMembership(Rule):
    """Who is in an index by what is known then.

    Attributes:
        index: name of the universe that holds the dated list (`universe.supply`).
    """

    kind: ClassVar[str] = "index_membership"
    index: Annotated[str, Field(min_length=1, max_length=64)]


class Ranked(Rule):
    """The `top` symbols of a pool by a feature of their bars, the highest first.

    A member stays while its rank is at most `top` + `buffer`; places that are free go to the best of the others. So a
    symbol at the edge does not enter and leave with every session. Never more than `top` are in.

    Attributes:
        top: how many.
        buffer: how far a member may fall behind `top`.
        pool: symbols, or the name of a universe whose members of that moment are ranked.
        source: whose bars.
        seed: of a synthetic source.
        actions: source of the corporate actions of raw bars, see `history.load`; None takes the bars as they are.
        stale: how many sessions the newest bar of a symbol may lie back; beyond, it is not ranked.
    """

    top: Annotated[int, Field(ge=1)]
    buffer: Annotated[int, Field(ge=0)] = 0
    pool: Annotated[str, Field(min_length=1, max_length=64)] | Annotated[tuple[str, ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)] = "bundled"
    seed: int = 7
    actions: str | None = None
    stale: Annotated[int, Field(ge=0, le=60)] = 5

    @property
    @abstractmethod
    def by(self) -> Feature:
        """The feature that is ranked by."""


class Liquidity(Ranked):
    """The most traded: by the median of close times volume.

    Attributes:
        window: sessions.
    """

    kind: ClassVar[str] = "liquidity"
    window: Annotated[int, Field(ge=1, le=5_000)] = 63

    @property
    def by(self) -> Feature:
        """The median dollar volume."""
        return feature(f"dollar_volume({self.window})")


class Momentum(Ranked):
    """The strongest: by momentum or another registered feature of the close.

    Attributes:
        feature: its text, e.g. `momentum_12_1` or `return(126)`.
    """

    kind: ClassVar[str] = "momentum"
    feature: str = "momentum_12_1"

    @field_validator("feature")
    @classmethod
    def _is_registered(cls, value: str) -> str:
        return str(feature(value))

    @property
    def by(self) -> Feature:
        """The feature named."""
        return feature(self.feature)


RULES: Mapping[str, type[Rule]] = {rule.kind: rule for rule in (Liquidity, Momentum, IndexMembership, Manual)}


def rule(kind: str, **params: Any) -> Rule:
    """A rule by its kind, e.g. `rule("liquidity", top=100, window=63, buffer=20, pool="us", source="alpaca")`.

    Raises:
        ParameterError: no kind or parameter has that name (the nearest one is suggested), or a value is wrong.
    """
    if kind not in RULES:
        raise ParameterError(f"rule={kind!r} is not known; nothing was stored.", remedy=_near(kind, RULES))
    model = RULES[kind]
    for name in params:
        if name not in model.model_fields:
            raise ParameterError(f"{kind} has no parameter {name!r}.", remedy=_near(name, model.model_fields))
    try:
        return model.model_validate_json(json.dumps(params, allow_nan=False), strict=True)
    except (TypeError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise ParameterError(f"the parameters of {kind} are not plain JSON values: {error}.") from error
        rows = "; ".join(
            f"{'.'.join(map(str, row['loc'][:1]))}={row['input']!r}: {row['msg']}"
            if row["type"] != "missing"
            else f"{row['loc'][-1]} is missing"
            for row in error.errors(include_url=False)
        )
        remedy = f"it has {', '.join(model.model_fields)}."
        raise ParameterError(f"the rule {kind} cannot be built: {rows}.", remedy=remedy) from error


def rotation_sessions(rule: Rule, start: Any, end: Any) -> pd.DatetimeIndex:
    """The sessions on which a rule rotates, from `start` to `end`, both included: the first of each period.

    Whether a session is the first is asked of the calendar, so `start` may lie within a period. Empty for `manual`.
    """
    first, last = pd.Timestamp(start).normalize(), pd.Timestamp(end).normalize()
    calendar = sessions.sessions(rule.venue, first - pd.Timedelta(days=14), last)
    if isinstance(rule, Manual):
        return calendar[:0]
    if rule.every == "session":
        return calendar[calendar >= first]
    periods = calendar.to_period(_PERIOD[rule.every])
    begins = periods[1:] != periods[:-1]
    found = calendar[1:][begins]
    return found[found >= first]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) if len(value) <= 5 else f"{len(value)} symbols"
    return str(value)


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(known)}."
