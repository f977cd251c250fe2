"""The archive: evidence packs, decisions and views to and from their tables, without duplicates, on both databases."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from workbench.arena.analysts import AnalystView, Claim, Role
from workbench.arena.consensus import Action, Reason
from workbench.arena.decision import Decision, Status
from workbench.arena.evidence import EvidencePack
from workbench.errors import NoData, StoreError
from workbench.store.audit import record
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy import Select, Table
    from sqlalchemy.orm import DeclarativeBase, Session

    from workbench.store.tables.arena import AnalystViewRow, DecisionRow


def keep(session: Session, packs: Sequence[EvidencePack], decisions: Sequence[Decision]) -> frozenset[str]:
    """Write what is not there yet, in the open transaction; returns the ids of the decisions that were new.

    Rows are written in the order of their keys, so that two writers wait for each other, never in a circle.
    The first writer of a decision wins whole: no view of the second one is kept.
    """
    from workbench.store.insert import insert_of
    from workbench.store.tables.arena import AnalystViewRow, DecisionRow, EvidencePackRow

    insert = insert_of(session.get_bind())
    trace = trace_id()
    bodies = {pack.hash: pack for pack in packs}
    session.execute(
        insert(_table(EvidencePackRow)).on_conflict_do_nothing(),
        [
            {
                "hash": name,
                "symbol": pack.symbol,
                "as_of": pd.Timestamp(pack.as_of).floor("us").to_pydatetime(),
                "body": pack.body,
                "trace_id": trace,
            }
            for name, pack in sorted(bodies.items())
        ],
    )
    table = _table(DecisionRow)
    ordered = sorted(decisions, key=lambda decision: decision.id)
    new = frozenset(
        session.scalars(
            insert(table).on_conflict_do_nothing().returning(table.c.id),
            [_decision_values(decision, trace) for decision in ordered],
        )
    )
    written = [decision for decision in ordered if decision.id in new]
    if written:
        session.execute(
            insert(_table(AnalystViewRow)),
            [_view_values(decision, view) for decision in written for view in decision.views],
        )
    for decision in written:
        record(
            session,
            entity="decision",
            entity_id=decision.id,
            action=str(decision.status),
            after={"symbol": decision.symbol, "action": str(decision.action), "p_up": decision.p_up},
        )
    return new


def find(session: Session, ids: Collection[str]) -> dict[str, Decision]:
    """The stored decisions among these ids, each marked `reused`."""
    from sqlalchemy import select

    from workbench.store.tables.arena import DecisionRow

    if not ids:
        return {}
    return {
        decision.id: decision for decision in read(session, select(DecisionRow).where(DecisionRow.id.in_(list(ids))))
    }


def read(session: Session, rows: Select[DecisionRow]) -> list[Decision]:
    """The decisions of a selection of rows, in its order, each with all its views and marked `reused`."""
    from sqlalchemy import select

    from workbench.store.tables.arena import AnalystViewRow

    found = list(session.scalars(rows))
    spoken: dict[str, list[AnalystView]] = {row.id: [] for row in found}
    order = (AnalystViewRow.decision_id, AnalystViewRow.round, AnalystViewRow.analyst)
    for view in session.scalars(
        select(AnalystViewRow).where(AnalystViewRow.decision_id.in_(list(spoken))).order_by(*order)
    ):
        spoken[view.decision_id].append(_view(view))
    return [decision_of(row, tuple(spoken[row.id])) for row in found]


def decision_of(row: DecisionRow, views: tuple[AnalystView, ...]) -> Decision:
    """A row as a decision."""
    return Decision(
        id=row.id,
        symbol=row.symbol,
        as_of=pd.Timestamp(row.as_of),
        action=Action(row.action),
        p_up=row.p_up,
        confidence=row.confidence,
        horizon=row.horizon,
        expires=pd.Timestamp(row.expires),
        reasons=tuple(Reason(line["analyst"], line["text"], tuple(line["evidence"])) for line in row.reasons),
        evidence=tuple(row.evidence),
        pack_hash=row.pack_hash,
        config_hash=row.config_hash,
        cost=row.cost,
        status=Status(row.status),
        label=row.label,
        # One order everywhere: databases sort text by their own rules.
        views=tuple(sorted(views, key=lambda view: (view.round, view.analyst))),
        reused=True,
    )


def pack_of(session: Session, name: str) -> EvidencePack:
    """The stored pack of that hash.

    Raises:
        NoData: there is none.
        StoreError: what is stored no longer has the hash it is named by.
    """
    from workbench.store.tables.arena import EvidencePackRow

    row = session.get(EvidencePackRow, name)
    if row is None:
        raise NoData(f"no evidence pack {name!r} is stored.", remedy="take the pack_hash of a stored decision.")
    pack = EvidencePack.from_body(row.body)
    if digest(row.body) != name or pack.hash != name:
        raise StoreError(
            f"the evidence pack {name} was changed after it was stored: its hash is now {digest(row.body)}.",
            remedy="restore the database from a backup; do not trust the decisions that cite it.",
        )
    return pack


def _table(rows: type[DeclarativeBase]) -> Table:
    # Declared as FromClause, which is wider than what a mapped class of ours ever is.
    return cast("Table", rows.__table__)


def _decision_values(decision: Decision, trace: str) -> dict[str, Any]:
    return {
        "id": decision.id,
        "symbol": decision.symbol,
        "as_of": decision.as_of.floor("us").to_pydatetime(),
        "pack_hash": decision.pack_hash,
        "config_hash": decision.config_hash,
        "action": str(decision.action),
        "p_up": decision.p_up,
        "confidence": decision.confidence,
        "horizon": decision.horizon,
        "expires": decision.expires.to_pydatetime(),
        "label": decision.label,
        "reasons": [
            {"analyst": reason.analyst, "text": reason.text, "evidence": list(reason.evidence)}
            for reason in decision.reasons
        ],
        "evidence": list(decision.evidence),
        "cost": decision.cost,
        "status": str(decision.status),
        "trace_id": trace,
        "version": 1,
    }


def _view_values(decision: Decision, view: AnalystView) -> dict[str, Any]:
    values = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    return {
        **values,
        "id": digest([decision.id, view.analyst, view.round])[:32],
        "decision_id": decision.id,
        "role": str(view.role),
        "reasons": [{"text": claim.text, "evidence": list(claim.evidence)} for claim in view.reasons],
        "evidence": list(view.evidence),
    }


def _view(row: AnalystViewRow) -> AnalystView:
    return AnalystView(
        analyst=row.analyst,
        kind=row.kind,
        role=Role(row.role),
        round=row.round,
        p_up=row.p_up,
        reasons=tuple(Claim(line["text"], tuple(line["evidence"])) for line in row.reasons),
        abstained=row.abstained,
        veto=row.veto,
        cost=row.cost,
        note=row.note,
    )
