"""Writing the audit: one row per change of state, in the transaction of the change."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any

from workbench.store.tables.audit import AuditRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


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
    session.add(
        AuditRow(
            who=who or actor(),
            entity=entity,
            entity_id=entity_id,
            action=action,
            before=before,
            after=after,
            trace_id=trace_id(),
        )
    )


def actor() -> str:
    """Who is acting: `WORKBENCH_ACTOR` if set, else the operating system's user."""
    named = os.environ.get("WORKBENCH_ACTOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
