"""Who trades an account: taking its lease, at once when its last holder is a dead process of this machine."""

from __future__ import annotations

import datetime as dt
import os
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import update

from workbench.errors import LeaseLost
from workbench.store.engine import transaction
from workbench.store.lease import Lease, account_lease, now_of
from workbench.store.processes import process_runs
from workbench.store.tables.execution import DeskRow, LeaseRow

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A standby may take over this long after the last sign of life of a desk whose process it cannot see. A desk's keeper
# renews four times as often.
DESK_TTL: Final = dt.timedelta(seconds=5)
# How often a standby looks.
STANDBY_SECONDS: Final = 0.25


def host_name() -> str:
    """This machine, and the namespace in which its process ids mean something (a container has its own)."""
    try:
        space = f"/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        space = ""
    return f"{socket.gethostname()[:48]}{space}"


def new_holder() -> str:
    """A name for this process as an owner of leases; unique."""
    return f"{host_name()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def is_free(engine: Engine, account: str) -> bool:
    """Whether nobody holds the account now: what a standby looks at; `take` then decides."""
    with transaction(engine) as session:
        lease, row = session.get(LeaseRow, account_lease(account)), session.get(DeskRow, account)
        if lease is None or lease.expires_at <= now_of(session):
            return True
        return row is not None and row.token == lease.token and is_dead(row)


def take(engine: Engine, account: str, *, ttl: dt.timedelta, clock: Callable[[], dt.datetime] | None = None) -> Lease:
    """The lease of an account, at once when its last holder is a dead process of this machine.

    Raises:
        LeaseLost: a live desk has it; the message says which.
    """
    free_the_lease_of_a_dead_process(engine, account)
    lease = Lease.acquire(engine, account_lease(account), new_holder(), ttl=ttl, clock=clock)
    if lease is None:
        with transaction(engine) as session:
            row = session.get(DeskRow, account)
            holder = "" if row is None else row.holder
        raise LeaseLost(
            f"account {account!r} is traded by another desk: {holder or 'not named yet'}. This one did nothing.",
            remedy="stop that one, wait until its lease ends, or start this one with --standby.",
            account=account,
            holder=holder,
        )
    return lease


def free_the_lease_of_a_dead_process(engine: Engine, account: str) -> bool:
    """Let the next desk in at once when the holder's process on this machine is gone. True when that was so.

    The token guards the race: if somebody took over since the look, nothing happens.
    """
    with transaction(engine) as session:
        row, lease = session.get(DeskRow, account), session.get(LeaseRow, account_lease(account))
        if row is None or lease is None or row.token != lease.token:
            return False
        now = now_of(session)
        if lease.expires_at <= now or not is_dead(row):
            return False
        session.execute(
            update(LeaseRow).where(LeaseRow.name == lease.name, LeaseRow.token == row.token).values(expires_at=now)
        )
        return True


def is_dead(row: DeskRow) -> bool:
    """Whether the process that wrote the row is known to be gone: one of this machine that does not run."""
    return row.host == host_name() and row.pid != os.getpid() and not process_runs(row.pid)
