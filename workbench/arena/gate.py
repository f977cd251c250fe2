"""The gate: decisions may take a wished weight away, never add to one. Sizing stays with the strategy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from workbench.arena.consensus import Action
from workbench.arena.decision import Decision
from workbench.errors import ArenaError, ParameterError

COLUMNS = ["before", "after", "action", "p_up", "because", "decision"]


def gate(weights: Mapping[str, float], decisions: Sequence[Decision]) -> tuple[dict[str, float], pd.DataFrame]:
    """The weights after the arena was heard: weight × 1 or weight × 0, so that no |weight| grows.

    A long weight is taken away by `sell`, a short one by `buy`, either by a veto of risk. Hold, abstentions and symbols
    without a decision leave the weight as it is. Whether a decision was executed or has expired does not matter here:
    the same decisions and weights always give the same answer.

    Args:
        weights: wished signed fractions of book value per symbol, finite.
        decisions: at most one per symbol.

    Returns:
        The weights, same keys and order; and a frame of what was taken away, index symbol, one row each with columns
        `before`, `after`, `action`, `p_up`, `because`, `decision`.

    Raises:
        ParameterError: a weight is not finite.
        ArenaError: two decisions speak about one symbol.
    """
    spoken: dict[str, Decision] = {}
    for decision in decisions:
        if decision.symbol in spoken:
            raise ArenaError(
                f"two decisions speak about {decision.symbol}; nothing was gated.",
                remedy="pass the decisions of one moment and one configuration.",
            )
        spoken[decision.symbol] = decision
    after: dict[str, float] = {}
    rows = []
    for symbol, weight in weights.items():
        if not math.isfinite(weight):
            raise ParameterError(
                f"weights[{symbol!r}]={weight} is not finite; nothing was gated.",
                remedy="leave the symbol out where its holding is to stay as it is.",
            )
        decision_here = spoken.get(symbol)
        because = "" if decision_here is None else _objection(weight, decision_here)
        after[symbol] = 0.0 if because else weight
        if decision_here is not None and because and weight != 0:
            rows.append(
                {
                    "symbol": symbol,
                    "before": weight,
                    "after": 0.0,
                    "action": str(decision_here.action),
                    "p_up": decision_here.p_up,
                    "because": because,
                    "decision": decision_here.id,
                }
            )
    frame = pd.DataFrame(rows, columns=["symbol", *COLUMNS]).set_index("symbol")
    return after, frame.astype({"before": float, "after": float, "p_up": float})


def _objection(weight: float, decision: Decision) -> str:
    """Why this decision takes the weight away; empty when it does not."""
    if decision.vetoed:
        vetoes = [view for view in decision.views if view.veto]
        return f"veto of {vetoes[-1].analyst}: {'; '.join(claim.text for claim in vetoes[-1].reasons)}"
    against = Action.SELL if weight > 0 else Action.BUY
    if weight != 0 and decision.action is against:
        return f"{against}: {decision.reasons[-1].text}"
    return ""
