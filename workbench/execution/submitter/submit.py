"""The submitter: passes over the outbox in which each answer of the broker, and each silence, has one consequence."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

from workbench.execution.brokers.broker import Broker
from workbench.execution.journal.journal import Journal
from workbench.execution.submitter.pace import Pace, Pumped
from workbench.execution.submitter.turn import Turn
from workbench.store.lease import Lease

__all__ = ["Pace", "Pumped", "drain", "pump"]


def pump(journal: Journal, broker: Broker, lease: Lease, *, pace: Pace | None = None, limit: int = 1000) -> Pumped:
    """Do the work of the outbox that is due, once, without sleeping. One process at a time: the lease sees to that.

    The outcomes: placed → ACKED; our id is taken → looked up and compared, equal → ACKED, different → the account is
    halted; refused → REJECTED with the broker's words (bad keys halt the account); too many requests → INTENT again,
    until the broker's reset; anything else, silence included → UNKNOWN: looked up by `client_order_id` at
    `pace.lookups`, sent again under the *same* id only when the broker keeps saying that it has no such order while the
    intent is wanted and within its deadline, and otherwise UNKNOWN_EXPIRED, which is watched, never called rejected.

    Raises:
        LeaseLost: another process owns the account. Stop; it carries on.
    """
    turn = Turn(journal, broker, lease, pace or Pace())
    for work in journal.due(lease, limit=limit, per_minute=turn.pace.per_minute):
        if not turn.stopped(work.kind):
            turn.do(work)
    return Pumped(**turn.counts, next_at=journal.next_due_at(but=turn.kept))


def drain(
    journal: Journal,
    broker: Broker,
    lease: Lease,
    *,
    pace: Pace | None = None,
    timeout: float = 30.0,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Pump until the outbox is empty, renewing the lease.

    Time is the journal's clock; `sleep` must let it pass. Returns False when it is not empty after `timeout` seconds,
    or when a halt holds back all that is left.

    Raises:
        LeaseLost: another process owns the account.
    """
    end = journal.clock() + dt.timedelta(seconds=timeout)
    while True:
        done = pump(journal, broker, lease, pace=pace)
        if done.next_at is None:
            return not done.held
        if journal.clock() >= end:
            return False
        lease.renew()
        pause = (min(done.next_at, end) - journal.clock()).total_seconds()
        if pause > 0:
            sleep(min(pause, lease.ttl.total_seconds() / 3))
