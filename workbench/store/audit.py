"""Writing the audit: one row per change of state, in the transaction of the change."""

from __future__ import annotations

import functools
import getpass
import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from workbench.store.schema import ordered_id, utc_now
from workbench.store.tables.audit import AuditRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

# Written at once and not through the session's unit of work: an audit row is never read back or changed, and the order
# path writes several of them per order.
_INSERT = insert(AuditRow.__table__)  # type: ignore[arg-type]  # a mapped class's table is a Table


def record(
    session: Session,
    *,
    entity: str,
    entity_id: str,
    action: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    who: str | None = None,
) -> None:
    """Add an audit row to the open transaction; it is committed or rolled back together with the change."""
    record_many(session, [(entity_id, after)], entity=entity, action=action, before=before, who=who)


def record_many(
    session: Session,
    changes: Iterable[tuple[str, dict[str, Any] | None]],
    *,
    entity: str,
    action: str,
    before: dict[str, Any] | None = None,
    who: str | None = None,
) -> None:
    """Add a row for each of many changes of one kind: pairs of the entity's id and what it was changed to."""
    same: dict[str, Any] = {
        "who": who or actor(),
        "entity": entity,
        "action": action,
        "trace_id": trace_id(),
        "happened": utc_now(),
    }
    if before is not None:
        same["before"] = before
    rows = [{**same, "id": ordered_id(), "entity_id": entity_id, "after": after} for entity_id, after in changes]
    if rows:
        session.execute(_INSERT, rows)


def actor() -> str:
    """Who is acting: `WORKBENCH_ACTOR` if set, else the operating system's user."""
    named = os.environ.get("WORKBENCH_ACTOR")
    if named:
        return named
    return _user(os.getuid())


@functools.lru_cache(maxsize=8)
def _user(uid: int) -> str:
    """The name of a user of this machine; it is asked several times per order."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{uid}"
