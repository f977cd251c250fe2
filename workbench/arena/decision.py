"""Decision: what the arena concluded about one symbol, with its probability, reasons, evidence, cost and status."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from workbench.arena.analysts import Analyst, AnalystView
from workbench.arena.consensus import Action, ArenaRules, Reason
from workbench.arena.debate import seat
from workbench.arena.evidence import EvidencePack
from workbench.study import digest

# Raise it when the way of debating or counting changes: an old decision is then not taken for a new one.
METHOD = 1


class Status(enum.StrEnum):
    """The life of a decision. It goes from proposed to one of the other three, once."""

    PROPOSED = "proposed"
    EXECUTED = "executed"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the arena.

    Attributes:
        id: 32 hex digits derived from (symbol, as_of, pack_hash, config_hash): the same question has the same id.
        as_of: the moment decided at, UTC.
        action: buy, hold, sell or abstain.
        p_up: probability that the close `horizon` sessions later is higher, in (0, 1); None when abstaining.
        confidence: agreement of the voices in [0, 1], not skill; None when abstaining.
        horizon: sessions the probability speaks about.
        expires: close of the last of these sessions, UTC.
        reasons: who claimed what on which evidence; the last line is the arithmetic.
        evidence: all ids cited.
        pack_hash: sha256 of the evidence; config_hash: sha256 of analysts, rules and horizon.
        cost: money spent on it, in currency.
        label: the kinds of analysts seated, `"rules"` when all follow rules.
        views: everything said, by round and name.
        reused: it was in the store already; nothing was debated for this answer.
    """

    id: str
    symbol: str
    as_of: pd.Timestamp
    action: Action
    p_up: float | None
    confidence: float | None
    horizon: int
    expires: pd.Timestamp
    reasons: tuple[Reason, ...]
    evidence: tuple[str, ...]
    pack_hash: str
    config_hash: str
    cost: Decimal
    status: Status
    label: str
    views: tuple[AnalystView, ...]
    reused: bool = False

    @property
    def vetoed(self) -> bool:
        """Whether a risk analyst said that the symbol is not to be held."""
        return any(view.veto and view.heard for view in self.views)

    @property
    def line(self) -> str:
        """The decision on one line."""
        said = "p_up not known" if self.p_up is None else f"p_up {self.p_up:.3f}, confidence {self.confidence:.2f}"
        return f"{self.symbol} · {self.action} · {said} · {self.horizon} sessions from {self.as_of:%Y-%m-%d %H:%M} UTC"

    def __str__(self) -> str:
        return f"{self.line} · {self.label} · {self.status}"


def config_hash(analysts: Sequence[Analyst], rules: ArenaRules, *, horizon: int) -> str:
    """sha256 over everything besides the evidence that a decision depends on; the order of the analysts is not."""
    return digest(
        {
            "method": METHOD,
            "horizon": horizon,
            "rules": rules.model_dump(mode="json"),
            "analysts": [
                {"name": one.name, "kind": one.kind, "role": str(one.role), "config": one.config}
                for one in seat(analysts)
            ],
        }
    )


def decision_id(pack: EvidencePack, config: str) -> str:
    """The id of the decision about a pack under a configuration."""
    return digest(
        {"symbol": pack.symbol, "as_of": pack.as_of, "pack_hash": pack.hash, "config_hash": config},
    )[:32]


def label_of(analysts: Sequence[Analyst]) -> str:
    """The kinds of the analysts, e.g. `"rules"` or `"openai+rules"`; said beside every decision."""
    return "+".join(sorted({one.kind for one in analysts}))
