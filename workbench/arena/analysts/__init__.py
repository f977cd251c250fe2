"""What an analyst is: one voice that reads a pack and answers with a probability and cited reasons, or abstains."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from workbench.arena.evidence import EvidencePack


class Role(enum.StrEnum):
    """What an analyst's probability means to the consensus."""

    VOICE = "voice"  # p_up is a probability; it enters the aggregate
    RISK = "risk"  # p_up is a ceiling; it can only lower the aggregate


class Claim(NamedTuple):
    """One reason: a sentence, and the ids of the evidence it rests on."""

    text: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnalystView:
    """What one analyst says about one pack in one round.

    Attributes:
        analyst: its name, at most 32 characters, unique in a debate.
        kind: where the words come from: `"rules"`, or the provider of a language model.
        role: see `Role`.
        round: 0 is blind, 1 is the rebuttal.
        p_up: probability that the close `horizon` sessions later is higher (a ceiling of it for risk), in (0, 1);
            None when abstaining. Never 0.5 in place of an abstention.
        reasons: claims, each citing evidence ids of the pack.
        abstained: nothing is said; `note` tells why.
        veto: only a risk analyst's counts: the symbol is not to be held.
        cost: money spent on this view, in currency; rules are free.
        note: why it abstained, or what the debate corrected.
    """

    analyst: str
    kind: str
    role: Role = Role.VOICE
    round: int = 0
    p_up: float | None = None
    reasons: tuple[Claim, ...] = ()
    abstained: bool = False
    veto: bool = False
    cost: Decimal = Decimal(0)
    note: str = ""

    @property
    def evidence(self) -> tuple[str, ...]:
        """All ids cited, sorted, without repeats."""
        return tuple(sorted({name for claim in self.reasons for name in claim.evidence}))

    @property
    def heard(self) -> bool:
        """Whether there is a probability to count."""
        return not self.abstained and self.p_up is not None


class Analyst(Protocol):
    """One voice of the arena. `view` and `rebut` must be pure: the same arguments give the same answer.

    An analyst may raise: the debate turns that into an abstention which names the error.
    """

    @property
    def name(self) -> str:
        """Its name in every view and row."""

    @property
    def kind(self) -> str:
        """`"rules"`, or the provider of a language model."""

    @property
    def role(self) -> Role:
        """Voice or risk."""

    @property
    def config(self) -> dict[str, Any]:
        """Everything besides the pack that its answer depends on, as plain JSON values: it enters the config hash."""

    def view(self, pack: EvidencePack) -> AnalystView:
        """Round 0: what this analyst thinks, having heard nobody."""

    def rebut(self, pack: EvidencePack, own: AnalystView, others: tuple[AnalystView, ...]) -> AnalystView:
        """Round 1: what it thinks after hearing the `others` (sorted by name, abstentions included)."""


def abstention(analyst: Analyst, *, why: str, round_: int = 0) -> AnalystView:
    """The view of an analyst that has nothing to say, and why. It leaves every average; it is not a 0.5."""
    return AnalystView(
        analyst=analyst.name, kind=analyst.kind, role=analyst.role, round=round_, abstained=True, note=why
    )
