"""The rulebook: what bull, bear and risk look for, each rule with its source. Rules are data, hashable."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from workbench.arena.evidence import EvidencePack, Item

Comparison = Literal[">", ">=", "<", "<="]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Condition(NamedTuple):
    """`fact comparison bound`, e.g. `trend_200 > 0`."""

    fact: str
    comparison: Comparison
    bound: float


class Rule(BaseModel):
    """When all conditions hold, `says` is claimed and weighs `points` of probability."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: str
    when: tuple[Condition, ...] = Field(min_length=1)
    points: float = Field(ge=0, le=0.5)
    source: str
    veto: bool = False

    def read(self, pack: EvidencePack) -> tuple[Item, ...] | None:
        """The facts of the rule, None when one is missing."""
        items = [pack.item(condition.fact) for condition in self.when]
        known = tuple(item for item in items if item is not None)
        return known if len(known) == len(items) else None

    def holds(self, items: tuple[Item, ...]) -> bool:
        """Whether every condition is met by its fact."""
        return all(
            _COMPARE[condition.comparison](item.value, condition.bound)
            for condition, item in zip(self.when, items, strict=True)
        )


TREND = "Brock, Lakonishok & LeBaron 1992, J. Finance 47(5): moving-average rules"
TIME_SERIES = "Moskowitz, Ooi & Pedersen 2012, J. Financial Economics 104(2): time-series momentum"
CROSS_SECTION = "Jegadeesh & Titman 1993, J. Finance 48(1): winners minus losers, newest month left out"
HIGH = "George & Hwang 2004, J. Finance 59(5): nearness to the 52-week high"
CHANNEL = "the breakout of a price channel, a convention of trend followers since Donchian"
BREADTH = "market breadth, a convention; no claim of a source"
VOLUME = "Gervais, Kaniel & Mingelgrin 2001, J. Finance 56(3): the high-volume return premium"
REVERSAL = "Jegadeesh 1990, J. Finance 45(3): reversal after a strong month; RSI by Wilder 1978"
MANAGED = "Moreira & Muir 2017, J. Finance 72(4): less exposure after volatile months"
CRASH = "Daniel & Moskowitz 2016, J. Financial Economics 122(2): momentum crashes after falls"
TAIL = "a caution, not a finding: what fell this far in one session may do it again"

BULL_RULES = (
    Rule(
        says="is in an up-trend",
        when=(Condition("trend_200", ">", 0), Condition("trend_50_200", ">", 0)),
        points=0.03,
        source=TREND,
    ),
    Rule(says="rose over the year", when=(Condition("return_252", ">", 0),), points=0.03, source=TIME_SERIES),
    Rule(
        says="is among the winners of its universe",
        when=(Condition("rank_momentum", ">=", 0.7),),
        points=0.04,
        source=CROSS_SECTION,
    ),
    Rule(says="is near its 52-week high", when=(Condition("below_high_252", ">=", -0.05),), points=0.03, source=HIGH),
    Rule(
        says="broke out of its quarter's range", when=(Condition("breakout_63", ">", 0),), points=0.02, source=CHANNEL
    ),
    Rule(says="has the universe with it", when=(Condition("breadth_200", ">=", 0.6),), points=0.01, source=BREADTH),
    Rule(
        says="rises on rising volume",
        when=(Condition("volume_ratio_5_63", ">=", 1.2), Condition("return_5", ">", 0)),
        points=0.01,
        source=VOLUME,
    ),
)
BEAR_RULES = (
    Rule(
        says="is in a down-trend",
        when=(Condition("trend_200", "<", 0), Condition("trend_50_200", "<", 0)),
        points=0.03,
        source=TREND,
    ),
    Rule(says="fell over the year", when=(Condition("return_252", "<", 0),), points=0.03, source=TIME_SERIES),
    Rule(
        says="is among the losers of its universe",
        when=(Condition("rank_momentum", "<=", 0.3),),
        points=0.04,
        source=CROSS_SECTION,
    ),
    Rule(says="is near its 52-week low", when=(Condition("above_low_252", "<=", 0.05),), points=0.03, source=HIGH),
    Rule(says="is overbought", when=(Condition("rsi_14", ">=", 75),), points=0.03, source=REVERSAL),
    Rule(says="is stretched above its mean", when=(Condition("trend_50", ">=", 0.15),), points=0.02, source=REVERSAL),
    Rule(
        says="deteriorates",
        when=(Condition("return_21", "<", 0), Condition("return_63", "<", 0)),
        points=0.02,
        source=TIME_SERIES,
    ),
    Rule(says="has the universe against it", when=(Condition("breadth_200", "<=", 0.4),), points=0.01, source=BREADTH),
)
RISK_RULES = (
    Rule(says="is volatile", when=(Condition("volatility_21", ">=", 0.4),), points=0.05, source=MANAGED),
    Rule(
        says="is more volatile than it was",
        when=(Condition("volatility_ratio", ">=", 1.5),),
        points=0.04,
        source=MANAGED,
    ),
    Rule(says="is deep in a drawdown", when=(Condition("below_high_252", "<=", -0.2),), points=0.04, source=CRASH),
    Rule(
        says="fell far within the year", when=(Condition("worst_drawdown_252", "<=", -0.35),), points=0.03, source=CRASH
    ),
    Rule(says="fell in one session", when=(Condition("worst_session_252", "<=", -0.1),), points=0.04, source=TAIL),
    Rule(says="opened with a gap", when=(Condition("worst_gap_252", "<=", -0.07),), points=0.04, source=TAIL),
    Rule(
        says="is too volatile to hold",
        when=(Condition("volatility_21", ">=", 1.0),),
        points=0.15,
        source=TAIL,
        veto=True,
    ),
    Rule(
        says="has lost most of its value",
        when=(Condition("below_high_252", "<=", -0.6),),
        points=0.15,
        source=TAIL,
        veto=True,
    ),
)
