"""Seizing an account: its lease for the kill switch, whoever holds it; the old holder's token is worth nothing then."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.holders import this_process
from workbench.store.lease import Lease, account_lease
from workbench.store.tables.execution import LeaseRow

if TYPE_CHECKING:
    from workbench.execution.journal.journal import Journal


def _me() -> str:
    return f"kill {this_process()}"[:96]


def free_lease(journal: Journal) -> Lease | None:
    """The account's lease where nobody holds it, else None."""
    return Lease.acquire(journal.engine, account_lease(journal.account), _me(), clock=journal.clock)


def seize(journal: Journal) -> tuple[Lease, str]:
    """The account's lease, whoever holds it, and who that was. His token is worth nothing from here on."""
    ttl, name = dt.timedelta(seconds=30), account_lease(journal.account)
    with transaction(journal.engine) as opened:
        row = opened.scalars(select(LeaseRow).where(LeaseRow.name == name).with_for_update()).one()
        before = row.holder
        row.holder, row.token, row.expires_at = _me(), row.token + 1, journal.clock() + ttl
        audit.record(
            opened,
            entity="lease",
            entity_id=name,
            action="taken over",
            before={"holder": before, "token": row.token - 1},
            after={"holder": row.holder, "token": row.token, "reason": "kill switch"},
        )
        token = row.token
    return Lease(journal.engine, name, _me(), token, ttl, journal.clock), before
