"""The door of the arena: decide about symbols at a moment, keep the decisions, follow their status, gate weights.

1. Gather the evidence of every symbol from the view: `evidence`.
2. Look for a stored decision on the same evidence under the same configuration; it is the answer.
3. Debate the rest, all analysts at once: `debate`; count: `consensus`.
4. Write packs, decisions, views and audit in one transaction; where another process was faster, its decision counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions
from workbench.arena import archive
from workbench.arena.analysts import Analyst
from workbench.arena.analysts.rules import rule_analysts
from workbench.arena.consensus import Action, ArenaRules, conclude
from workbench.arena.debate import Debate, hold_all
from workbench.arena.decision import Decision, Status, config_hash, decision_id, label_of
from workbench.arena.evidence import EvidencePack
from workbench.arena.frames import as_frame, transcript
from workbench.arena.gate import gate
from workbench.errors import ArenaError, NoData, ParameterError
from workbench.market.view import MarketView
from workbench.store.audit import record
from workbench.store.engine import transaction

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.store.tables.arena import DecisionRow
    from workbench.store.workspace import Workspace

__all__ = [
    "Action",
    "ArenaRules",
    "Decision",
    "Status",
    "as_frame",
    "decide",
    "decide_all",
    "expire",
    "gate",
    "mark",
    "pack",
    "stored",
    "transcript",
]

HORIZON = 21  # sessions: the month after which momentum studies rebalance


def decide(
    symbol: str,
    view: MarketView,
    *,
    workspace: Workspace,
    horizon: int = HORIZON,
    analysts: Sequence[Analyst] | None = None,
    rules: ArenaRules | None = None,
) -> Decision:
    """The decision about one symbol; see `decide_all`."""
    return decide_all(view, workspace=workspace, symbols=(symbol,), horizon=horizon, analysts=analysts, rules=rules)[0]


def decide_all(
    view: MarketView,
    *,
    workspace: Workspace,
    symbols: str | Sequence[str] | None = None,
    horizon: int = HORIZON,
    analysts: Sequence[Analyst] | None = None,
    rules: ArenaRules | None = None,
) -> list[Decision]:
    """Decide about several symbols at the moment of the view, in the order given, without repeats.

    Asking again with the same view and configuration returns the stored decisions, marked `reused`, without a debate.

    Args:
        view: what is known; nothing else is looked at.
        symbols: all of the view when None.
        horizon: sessions that p_up speaks about, ≥ 1.
        analysts: bull, bear and risk by rules when None.
        rules: thresholds; the defaults of `ArenaRules` when None.

    Raises:
        NoData: a symbol is not in the view.
        ParameterError: `horizon` is below 1.
        ArenaError: the analysts cannot debate, or the calendar does not reach the horizon.
    """
    if horizon < 1:
        raise ParameterError(f"horizon={horizon} must be at least 1 session; nothing was decided.", remedy="use 21.")
    seated = tuple(rule_analysts() if analysts is None else analysts)
    house = rules or ArenaRules()
    names = [symbols] if isinstance(symbols, str) else list(view.symbols if symbols is None else symbols)
    config = config_hash(seated, house, horizon=horizon)
    packs = {decision_id(pack, config): pack for pack in EvidencePack.of_all(view, list(dict.fromkeys(names)))}
    with transaction(workspace.engine) as session:
        answers = archive.find(session, packs)
    asked = {name: pack for name, pack in packs.items() if name not in answers}
    if asked:
        expires, label = _horizon_end(view, horizon), label_of(seated)
        debates = hold_all(list(asked.values()), seated, max_shift=house.max_shift)
        fresh = [
            _decision(name, pack, debate, house, config=config, horizon=horizon, expires=expires, label=label)
            for (name, pack), debate in zip(asked.items(), debates, strict=True)
        ]
        with transaction(workspace.engine) as session:
            new = archive.keep(session, list(asked.values()), fresh)
            answers |= archive.find(session, asked.keys() - new)
        answers |= {decision.id: decision for decision in fresh if decision.id in new}
    return [answers[name] for name in packs]


def mark(workspace: Workspace, decision_id: str, status: Status | str, *, because: str = "") -> Decision:
    """Move a decision from proposed to executed, rejected or expired. Marking it the same again changes nothing.

    Raises:
        NoData: no such decision.
        ParameterError: no such status.
        ArenaError: the decision has gone another way already; nothing was changed.
    """
    wanted = _status(status)
    with transaction(workspace.engine) as session:
        row = _row(session, decision_id)
        _step(session, row, wanted, because=because)
        session.flush()
        return archive.find(session, [decision_id])[decision_id]


def expire(workspace: Workspace, as_of: pd.Timestamp) -> list[Decision]:
    """Mark every proposed decision expired whose horizon is over at `as_of` (timezone-aware); returns these."""
    from sqlalchemy import select

    from workbench.store.tables.arena import DecisionRow

    if as_of.tzinfo is None:
        raise ParameterError(f"as_of={as_of} has no timezone; nothing expired.", remedy="pass view.as_of.")
    moment = as_of.floor("us").to_pydatetime()
    with transaction(workspace.engine) as session:
        over = select(DecisionRow).where(DecisionRow.status == Status.PROPOSED.value, DecisionRow.expires <= moment)
        rows = list(session.scalars(over.order_by(DecisionRow.id).with_for_update()))
        for row in rows:
            _step(session, row, Status.EXPIRED, because=f"horizon over at {row.expires.isoformat()}")
        session.flush()
        found = archive.find(session, [row.id for row in rows])
    return [found[row.id] for row in rows]


def stored(
    workspace: Workspace,
    *,
    symbols: str | Sequence[str] | None = None,
    as_of: pd.Timestamp | None = None,
    status: Status | str | None = None,
    limit: int | None = None,
) -> list[Decision]:
    """Stored decisions, newest moment first, then by symbol; only those that match what is given."""
    from sqlalchemy import select

    from workbench.store.tables.arena import DecisionRow

    rows = select(DecisionRow).order_by(DecisionRow.as_of.desc(), DecisionRow.symbol, DecisionRow.id)
    if symbols is not None:
        rows = rows.where(DecisionRow.symbol.in_([symbols] if isinstance(symbols, str) else list(symbols)))
    if as_of is not None:
        rows = rows.where(DecisionRow.as_of == as_of.floor("us").to_pydatetime())
    if status is not None:
        rows = rows.where(DecisionRow.status == _status(status).value)
    with transaction(workspace.engine) as session:
        return archive.read(session, rows.limit(limit))


def pack(workspace: Workspace, pack_hash: str) -> EvidencePack:
    """The evidence behind a decision, checked against its hash. Raises NoData, or StoreError when it was changed."""
    with transaction(workspace.engine) as session:
        return archive.pack_of(session, pack_hash)


def _decision(
    name: str,
    evidence: EvidencePack,
    debate: Debate,
    rules: ArenaRules,
    *,
    config: str,
    horizon: int,
    expires: pd.Timestamp,
    label: str,
) -> Decision:
    consensus = conclude(debate, rules)
    return Decision(
        id=name,
        symbol=evidence.symbol,
        as_of=pd.Timestamp(evidence.as_of),
        action=consensus.action,
        p_up=consensus.p_up,
        confidence=consensus.confidence,
        horizon=horizon,
        expires=expires,
        reasons=consensus.reasons,
        evidence=consensus.evidence,
        pack_hash=evidence.hash,
        config_hash=config,
        cost=debate.cost,
        status=Status.PROPOSED,
        label=label,
        views=debate.views,
    )


def _horizon_end(view: MarketView, horizon: int) -> pd.Timestamp:
    """The close of the session `horizon` sessions after the view's, UTC."""
    far = view.session + pd.Timedelta(days=2 * horizon + 14)
    ahead = sessions.sessions(view.venue, view.session + pd.Timedelta(days=1), far)
    if len(ahead) < horizon:
        raise ArenaError(
            f"the calendar of {view.venue} does not reach {horizon} sessions after {view.session.date()}.",
            remedy="use a shorter horizon.",
        )
    return sessions.closes(view.venue, ahead[horizon - 1])


def _status(status: Status | str) -> Status:
    try:
        return Status(status)
    except ValueError as error:
        raise ParameterError(
            f"status={status!r} is not a status of decisions; nothing was changed.",
            remedy=f"use one of {', '.join(Status)}.",
        ) from error


def _row(session: Session, name: str) -> DecisionRow:
    from sqlalchemy import select

    from workbench.store.tables.arena import DecisionRow

    # Locked, so that of two who mark at once the second sees what the first did.
    row = session.scalars(select(DecisionRow).where(DecisionRow.id == name).with_for_update()).one_or_none()
    if row is None:
        raise NoData(f"no decision {name!r} is stored; nothing was changed.", remedy="take the id of a decision.")
    return row


def _step(session: Session, row: DecisionRow, wanted: Status, *, because: str) -> None:
    """One step forward, with its audit row; none when the row is there already."""
    if row.status == wanted.value:
        return
    if row.status != Status.PROPOSED.value:
        raise ArenaError(
            f"decision {row.id} about {row.symbol} is {row.status} and cannot become {wanted}; nothing was changed.",
            remedy="a decision moves once; decide anew at a later moment.",
            status=row.status,
        )
    record(
        session,
        entity="decision",
        entity_id=row.id,
        action=wanted.value,
        before={"status": row.status},
        after={"status": wanted.value, "because": because},
    )
    row.status = wanted.value
