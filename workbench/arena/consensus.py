"""The consensus: from a debate to one action with one probability. Pure arithmetic; risk can only lower it.

1. Fewer than `quorum` voices heard in the end: abstain.
2. Each voice is held to 0.5 ± `reach`; the aggregate is their median, all with equal weight. (A weight has to be earned
   by settled skill; self-reported confidence is never one.)
3. Risk lowers: p_up = min(aggregate, every ceiling said in either round). Where no risk analyst was heard in the end
   the ceiling is 0.5, so nothing is bought unseen. A veto lowers p_up to `sell_at` and is not undone by failing later.
4. buy when p_up ≥ `buy_at`, sell when p_up ≤ `sell_at`, hold between.

What one bad voice can do. Of two voices it can move p_up by at most `reach + max_shift`. Of three or more it cannot
take p_up outside what the other voices said blind, widened by `max_shift` for what it may have talked them into. A bad
risk analyst can end in `sell`, never in `buy`.
"""

from __future__ import annotations

import enum
import statistics
from dataclasses import dataclass
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.arena.analysts import Role
from workbench.arena.debate import Debate


class Action(enum.StrEnum):
    """What a decision says about one symbol."""

    BUY = "buy"
    HOLD = "hold"
    SELL = "sell"
    ABSTAIN = "abstain"


class ArenaRules(BaseModel):
    """How a debate is held and counted.

    Attributes:
        buy_at: buy at this p_up or above.
        sell_at: sell at this p_up or below.
        quorum: fewest voices heard; below it the decision is an abstention.
        reach: no voice and no ceiling counts as further from 0.5 than this.
        max_shift: the furthest a voice may move in its rebuttal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    buy_at: float = Field(default=0.55, gt=0.5, le=0.95)
    sell_at: float = Field(default=0.45, ge=0.05, lt=0.5)
    quorum: int = Field(default=2, ge=1)
    reach: float = Field(default=0.15, gt=0, le=0.45)
    max_shift: float = Field(default=0.03, ge=0, le=0.5)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.buy_at > 0.5 + self.reach or self.sell_at < 0.5 - self.reach:
            raise ValueError(
                f"buy_at={self.buy_at} and sell_at={self.sell_at} cannot be reached: no voice goes further than "
                f"0.5 ± reach={self.reach}"
            )
        return self


class Reason(NamedTuple):
    """One line of a decision: who said it, what, and on which evidence."""

    analyst: str
    text: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consensus:
    """What came out of one debate.

    Attributes:
        action: see `Action`.
        p_up: probability of a higher close at the horizon, in (0, 1); None when abstaining.
        confidence: agreement, not skill: 1 − (highest − lowest blind voice) / (2·reach), in [0, 1], None when
            abstaining. It is taken before the rebuttal, so talking to each other cannot raise it.
        aggregate: the median of the voices, before risk; None when abstaining.
        reasons: the claims of all who were heard, then the arithmetic as the last line.
    """

    action: Action
    p_up: float | None
    confidence: float | None
    aggregate: float | None
    reasons: tuple[Reason, ...]

    @property
    def evidence(self) -> tuple[str, ...]:
        """All ids cited, sorted, without repeats."""
        return tuple(sorted({name for reason in self.reasons for name in reason.evidence}))


def conclude(debate: Debate, rules: ArenaRules) -> Consensus:
    """Count a debate; the order of its views does not matter."""
    final = sorted(debate.rebuttal, key=lambda view: view.analyst)
    voices = [(view, view.p_up) for view in final if view.role is Role.VOICE and view.heard and view.p_up is not None]
    silent = [view for view in final if not view.heard]
    said = tuple(
        Reason(view.analyst, claim.text, claim.evidence) for view in final if view.heard for claim in view.reasons
    ) + tuple(Reason(view.analyst, f"abstains: {view.note}", ()) for view in silent)
    if len(voices) < rules.quorum:
        line = f"{len(voices)} voices were heard, {rules.quorum} are needed"
        return Consensus(Action.ABSTAIN, None, None, None, (*said, Reason("consensus", line, ())))
    heard = {view.analyst: _within(p_up, rules) for view, p_up in voices}
    aggregate = statistics.median(heard.values())
    ceiling, why = _ceiling(debate, rules)
    p_up = round(min(aggregate, ceiling), 6)
    action = Action.BUY if p_up >= rules.buy_at else Action.SELL if p_up <= rules.sell_at else Action.HOLD
    line = (
        f"median of {', '.join(f'{name} {value:.3f}' for name, value in heard.items())} = {aggregate:.3f}; "
        f"{why}; p_up {p_up:.3f}"
    )
    blind = [_within(view.p_up, rules) for view in debate.blind if view.analyst in heard and view.p_up is not None]
    agreement = round(1.0 - (max(blind) - min(blind)) / (2.0 * rules.reach), 6)
    return Consensus(action, p_up, agreement, round(aggregate, 6), (*said, Reason("consensus", line, ())))


def _ceiling(debate: Debate, rules: ArenaRules) -> tuple[float, str]:
    """The lowest ceiling of the risk analysts in either round, and the words for it."""
    risks = [view for view in debate.views if view.role is Role.RISK and view.heard]
    ceilings = sorted((_within(view.p_up, rules), view.analyst) for view in risks if view.p_up is not None)
    lowest, why = (ceilings[0][0], f"ceiling {ceilings[0][0]:.3f} of {ceilings[0][1]}") if ceilings else (1.0, "")
    if not any(view.round == 1 for view in risks) and lowest > 0.5:
        lowest, why = 0.5, "no risk analyst was heard in the end: ceiling 0.5"
    vetoes = sorted({view.analyst for view in risks if view.veto})
    if vetoes and lowest > rules.sell_at:
        lowest, why = rules.sell_at, f"veto of {', '.join(vetoes)}: ceiling {rules.sell_at:.3f}"
    return lowest, why


def _within(p_up: float, rules: ArenaRules) -> float:
    return min(max(p_up, 0.5 - rules.reach), 0.5 + rules.reach)
