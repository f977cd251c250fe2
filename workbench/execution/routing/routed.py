"""Routed: what came of a wish that the router was asked about, and the audit rows that keep it."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import ParameterError
from workbench.store.tables.audit import AuditRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ORDERED, STARTED, REFUSED, PARKED = "ordered", "started", "refused", "parked"
ENTITY = "route"


@dataclass(frozen=True, slots=True)
class Routed:
    """What came of a wish.

    Attributes:
        outcome: `ordered` (an intent was written), `started` (a parent order was), `refused` (a limit stood in the way,
            a row says which) or `parked` (nothing was written: ask again under the same key at `send_at`).
        plan: the router's choice on one line; `why`: its sentences, those of a refusal last.
        intent_id, parent_id: what was written; None: nothing of the kind.
        stood: whether it was there already, written by an earlier call with the same key.
    """

    account: str
    key: str
    outcome: str
    plan: str
    rule: str
    why: tuple[str, ...]
    intent_id: str | None = None
    parent_id: str | None = None
    send_at: str | None = None
    stood: bool = False

    @property
    def line(self) -> str:
        """The outcome on one line."""
        again = " (it stood already)" if self.stood else ""
        return f"{self.key} on {self.account}: {self.outcome}{again}: {self.plan}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """Why, and what a person has to do where nothing was written."""
        again = f"Nothing was written: ask again then, under the key {self.key}."
        return (*self.why, again) if self.outcome == PARKED else self.why

    def __repr__(self) -> str:
        return "\n".join([self.line, *(f"  {sentence}" for sentence in self.sentences)])

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences)
        return f"<div><b>{html.escape(self.line)}</b><ul>{said}</ul></div>"


def standing(opened: Session, account: str, key: str, asked: dict[str, Any]) -> Routed | None:
    """What an earlier call with this key wrote, if anything.

    Raises:
        ParameterError: the key was another wish's.
    """
    for row in _rows(opened, account, key):
        told = row.after or {}
        if row.action not in {ORDERED, STARTED}:
            continue
        if told["wish"] != asked:
            raise ParameterError(
                f"key={key!r} belongs to another wish ({told['wish']}); nothing was written.",
                remedy="use a new key for a new wish.",
            )
        return replace(_routed(row), stood=True)
    return None


def stored(opened: Session, account: str, key: str) -> list[Routed]:
    """Every answer that was given to a key of the account, oldest first."""
    return [_routed(row) for row in _rows(opened, account, key)]


def _rows(opened: Session, account: str, key: str) -> list[AuditRow]:
    question = select(AuditRow).where(AuditRow.entity == ENTITY, AuditRow.entity_id == key)
    rows = opened.scalars(question.order_by(AuditRow.happened, AuditRow.id))
    return [row for row in rows if row.after is not None and row.after["account"] == account]


def _routed(row: AuditRow) -> Routed:
    told = row.after or {}
    named = {name: told[name] for name in ("account", "plan", "rule", "intent_id", "parent_id", "send_at")}
    return Routed(key=row.entity_id, outcome=row.action, why=tuple(told["why"]), **named)
