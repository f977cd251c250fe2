"""Decisions as frames for a notebook: the table of decisions, and the transcript of one debate."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from workbench.arena.consensus import Action
from workbench.arena.decision import Decision

_ORDER = {Action.BUY: 0, Action.HOLD: 1, Action.SELL: 2, Action.ABSTAIN: 3}
HEAD = 60  # characters of a claim in the table
_LAST = ["horizon", "because", "label", "status", "reused", "as_of", "decision"]


def as_frame(decisions: Sequence[Decision]) -> pd.DataFrame:
    """One row per decision, index symbol: buys first, then holds, sells, abstentions; within these by p_up, descending.

    Columns: `action`, `p_up`, `confidence`, one per analyst with what it said in the end (NaN: it abstained; for risk
    it is a ceiling), `horizon` in sessions, `because` (each claim's head; the whole is in the transcript), `label`
    ("rules"), `status`, `reused`, `as_of`, `decision`.
    """
    analysts = sorted({view.analyst for decision in decisions for view in decision.views})
    rows = []
    for decision in sorted(decisions, key=lambda one: (_ORDER[one.action], -(one.p_up or 0.0), one.symbol)):
        final = {view.analyst: view.p_up for view in decision.views if view.round == 1}
        rows.append(
            {
                "symbol": decision.symbol,
                "action": str(decision.action),
                "p_up": decision.p_up,
                "confidence": decision.confidence,
                **{name: final.get(name) for name in analysts},
                "horizon": decision.horizon,
                "because": _because(decision),
                "label": decision.label,
                "status": str(decision.status),
                "reused": decision.reused,
                "as_of": decision.as_of,
                "decision": decision.id,
            }
        )
    columns = ["symbol", "action", "p_up", "confidence", *analysts, *_LAST]
    frame = pd.DataFrame(rows, columns=columns).set_index("symbol")
    return frame.astype(dict.fromkeys(["p_up", "confidence", *analysts], float))


def _because(decision: Decision) -> str:
    if decision.action is Action.ABSTAIN:
        return decision.reasons[-1].text
    spoken = []
    for view in decision.views:
        heads = [textwrap.shorten(claim.text.split(": ")[0], HEAD, placeholder="…") for claim in view.reasons]
        if view.round == 0 and heads:
            spoken.append(f"{view.analyst}: {', '.join(heads)}")
    return "; ".join(spoken)


def transcript(decision: Decision) -> pd.DataFrame:
    """Who said what in which round on which evidence: one row per claim, in the order spoken.

    Columns: `round` ("blind", "rebuttal"), `analyst`, `kind`, `role`, `p_up` (a ceiling for risk; NaN: abstained),
    `says`, `evidence` (ids, comma-separated). The last row is the consensus with the decision's own p_up.
    """
    rows = []
    for view in decision.views:
        claims = [(claim.text, claim.evidence) for claim in view.reasons]
        if view.note:
            claims.append((f"abstains: {view.note}" if view.abstained else view.note, ()))
        for text, evidence in claims:
            rows.append(
                {
                    "round": "blind" if view.round == 0 else "rebuttal",
                    "analyst": view.analyst,
                    "kind": view.kind,
                    "role": str(view.role),
                    "p_up": view.p_up,
                    "says": f"{text} — VETO" if view.veto else text,
                    "evidence": ", ".join(evidence),
                }
            )
    rows.append(
        {
            "round": "consensus",
            "analyst": "consensus",
            "kind": "arithmetic",
            "role": str(decision.action),
            "p_up": decision.p_up,
            "says": decision.reasons[-1].text,
            "evidence": "",
        }
    )
    columns = ["round", "analyst", "kind", "role", "p_up", "says", "evidence"]
    return pd.DataFrame(rows, columns=columns).astype({"p_up": float})
