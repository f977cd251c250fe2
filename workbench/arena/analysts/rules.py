"""Bull, Bear and RiskAnalyst: three rule-based analysts, deterministic and free, labelled "rules".

Each rule names its source in the rulebook: Jegadeesh & Titman 1993, Moskowitz, Ooi & Pedersen 2012, George & Hwang 2004
and others. The points have none: they are round numbers chosen by hand, and the probabilities they add up to are
**heuristic and uncalibrated**. They know nothing of the base rate of rising months, nor of each other's overlap
(momentum, trend and the 52-week high are close relatives). They are the baseline that any language model has to beat,
and nothing more may be claimed for them until their forecasts have been settled.

    p_up(Bull)  = 0.5 + min(reach, Σ points of the rules that hold)        in [0.5, 0.5 + reach]
    p_up(Bear)  = 0.5 − min(reach, Σ points of the rules that hold)        in [0.5 − reach, 0.5]
    p_up(Risk)  = 0.5 + reach − min(reach, Σ points of the rules that hold): a ceiling, in [0.5, 0.5 + reach]

A rule whose facts are missing is not read. An analyst that can read fewer than `least` of its rules abstains.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workbench.arena.analysts import AnalystView, Claim, Role, abstention
from workbench.arena.analysts.rulebook import BEAR_RULES, BULL_RULES, RISK_RULES, Rule
from workbench.arena.evidence import EvidencePack, Item

_SHOWN = {
    "fraction": "{:+.1%}",
    "per year": "{:.0%} a year",
    "share": "{:.0%}",
    "ratio": "{:.2f}",
    "0 to 100": "{:.0f}",
}


class RulesAnalyst(BaseModel):
    """An analyst that is a list of rules. Pure: the answer depends on the pack and on these fields alone.

    Attributes:
        rules: what it looks for.
        reach: the furthest it goes from 0.5.
        least: fewest readable rules without which it abstains.
        concession: in the rebuttal, the share of the distance to the other voices that it gives way when all evidence
            they cite is new to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    kind: ClassVar[str] = "rules"
    role: ClassVar[Role] = Role.VOICE
    direction: ClassVar[int]
    nothing: ClassVar[str]

    rules: tuple[Rule, ...]
    reach: float = Field(default=0.15, gt=0, lt=0.5)
    least: int = Field(default=4, ge=1)
    concession: float = Field(default=0.1, ge=0, le=1)

    @property
    def config(self) -> dict[str, Any]:
        """All parameters and rules as plain JSON values."""
        return self.model_dump(mode="json")

    def view(self, pack: EvidencePack) -> AnalystView:
        """Read every rule whose facts are known; add up the points of those that hold."""
        readable = [(rule, items) for rule in self.rules if (items := rule.read(pack)) is not None]
        if len(readable) < self.least:
            known = pack.item("closes_known")
            return abstention(
                self,
                why=f"can read {len(readable)} of {len(self.rules)} rules, needs {self.least}"
                f" ({0 if known is None else int(known.value)} closes are known)",
            )
        found = [(rule, items) for rule, items in readable if rule.holds(items)]
        points = min(self.reach, sum(rule.points for rule, _ in found))
        reasons = tuple(Claim(f"{rule.says}: {_told(items)}", _cited(items)) for rule, items in found)
        if not reasons:
            read = tuple({item.id: item for _, items in readable for item in items}.values())
            reasons = (Claim(f"{self.nothing} in {len(readable)} rules read", _cited(read)),)
        return AnalystView(
            analyst=self.name,
            kind=self.kind,
            role=self.role,
            p_up=self.probability(points),
            reasons=reasons,
            veto=any(rule.veto for rule, _ in found),
        )

    def probability(self, points: float) -> float:
        """p_up for a sum of points; see the head of this file."""
        return round(0.5 + self.direction * points, 6)

    def rebut(self, pack: EvidencePack, own: AnalystView, others: tuple[AnalystView, ...]) -> AnalystView:
        """Give way toward the mean of the other voices by `concession` × the share of their evidence that is new here.

        Nobody is followed who cites nothing new, nor who looked and found nothing (p_up 0.5). With the default fields a
        step is at most 0.1 × 0.3 = 0.03; the debate bounds it whatever is answered here.
        """
        again = dataclasses.replace(own, round=1)
        voices = [other for other in others if other.heard and other.role is Role.VOICE and other.p_up != 0.5]
        cited = {name for voice in voices for name in voice.evidence}
        new = sorted(cited - set(own.evidence))
        if own.p_up is None or not new:
            return again
        mean = sum(voice.p_up for voice in voices if voice.p_up is not None) / len(voices)
        step = round(self.concession * (len(new) / len(cited)) * (mean - own.p_up), 6)
        if step == 0:
            return again
        names = ", ".join(voice.analyst for voice in voices)
        claim = Claim(f"heard {names} on {', '.join(new)}: moves {step:+.3f}", tuple(new))
        return dataclasses.replace(again, p_up=round(own.p_up + step, 6), reasons=(*own.reasons, claim))


class Bull(RulesAnalyst):
    """Looks for trend, momentum and breakout; says 0.5 when it has looked and found none."""

    name: ClassVar[str] = "bull"
    direction: ClassVar[int] = 1
    nothing: ClassVar[str] = "no reason to be long"

    rules: tuple[Rule, ...] = BULL_RULES


class Bear(RulesAnalyst):
    """Looks for weakness, deterioration and over-extension; says 0.5 when it has looked and found none."""

    name: ClassVar[str] = "bear"
    direction: ClassVar[int] = -1
    nothing: ClassVar[str] = "no reason to be out"

    rules: tuple[Rule, ...] = BEAR_RULES


class RiskAnalyst(RulesAnalyst):
    """Looks at volatility, drawdown and gaps. Its `p_up` is a ceiling: it lowers the consensus or leaves it.

    A veto says that the symbol is not to be held, whatever the voices think.
    """

    name: ClassVar[str] = "risk"
    role: ClassVar[Role] = Role.RISK
    direction: ClassVar[int] = -1
    nothing: ClassVar[str] = "no concern"

    rules: tuple[Rule, ...] = RISK_RULES

    def probability(self, points: float) -> float:
        """The ceiling: 0.5 + reach with no concern, down to 0.5."""
        return round(0.5 + self.reach - points, 6)

    def rebut(self, pack: EvidencePack, own: AnalystView, others: tuple[AnalystView, ...]) -> AnalystView:
        """Risk is measured, not negotiated: it says the same again."""
        return dataclasses.replace(own, round=1)


def rule_analysts() -> tuple[RulesAnalyst, ...]:
    """The default arena: bull, bear and risk with their published rules."""
    return (Bull(), Bear(), RiskAnalyst())


def _told(items: tuple[Item, ...]) -> str:
    return ", ".join(f"{item.name} {_SHOWN.get(item.unit, '{:g}').format(item.value)}" for item in items)


def _cited(items: tuple[Item, ...]) -> tuple[str, ...]:
    return tuple(sorted({item.id for item in items}))
