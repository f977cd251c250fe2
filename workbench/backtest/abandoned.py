"""Answers that a killed process had under way: said to be over, so that no row says RUNNING for ever.

Nothing heavy is imported here: a worker that has just killed its child must be able to say so at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench.backtest.ledger import owner_of
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.tables.backtest import BacktestRunRow

if TYPE_CHECKING:
    from sqlalchemy import Engine


def settle(engine: Engine, process: int, status: str, *, code: str, error: str) -> int:
    """Say how the answers ended that a killed process of this machine had under way; how many there were.

    Asking again answers them anew.

    Args:
        process: its number.
        status: CANCELLED or FAILED.
        code: of the tree of errors.
    """
    owner = owner_of(process)
    query = select(BacktestRunRow).where(BacktestRunRow.owner == owner, BacktestRunRow.status == "RUNNING")
    with transaction(engine) as session:
        rows = session.scalars(query.with_for_update()).all()
        for row in rows:
            row.status, row.error_code, row.error = status, code, error
            audit.record(session, entity="backtest_run", entity_id=row.id, action=status, before={"status": "RUNNING"})
    return len(rows)
