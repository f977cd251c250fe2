"""What a desk says about itself in the database, and how anybody reads it: who trades an account, and how it is."""

from __future__ import annotations

import datetime as dt
import enum
import html
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from workbench.errors import LeaseLost
from workbench.market.order import IntentState
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.processes import process_runs
from workbench.store.schema import utc_now
from workbench.store.tables.execution import DeskRow, IntentRow, LeaseRow, ReconciliationRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

_UNRESOLVED = (IntentState.SENDING.value, IntentState.UNKNOWN.value, IntentState.UNKNOWN_EXPIRED.value)


class DeskState(enum.StrEnum):
    """The life of a desk. READY: stream up, book reconciled. DEGRADED: it goes on, but stream or broker is away."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DeskStatus:
    """One account's desk as it stands.

    Attributes:
        alive: whether a process holds the account's lease now; the rest are its last words otherwise.
        waiting: intents written and not sent. unresolved: intents whose fate is not known.
        reconciled_at, clean: when the newest reconciliation began, and whether it found nothing; None before the first.
    """

    account: str
    alive: bool
    state: DeskState | None
    detail: str
    holder: str
    host: str
    pid: int
    url: str
    waiting: int
    unresolved: int
    reconciled_at: dt.datetime | None
    clean: bool | None
    heartbeat_at: dt.datetime | None

    @property
    def ready(self) -> bool:
        """Whether it is alive and takes orders to the broker."""
        return self.alive and self.state in {DeskState.READY, DeskState.DEGRADED}

    @property
    def line(self) -> str:
        """The status on one line."""
        if not self.alive:
            last = f" (last: {self.state}{f', {self.detail}' if self.detail else ''})" if self.state else ""
            return (
                f"desk of {self.account}: none runs{last} · {self.waiting} intents wait, {self.unresolved} unresolved"
            )
        found = "not reconciled yet" if self.clean is None else "book clean" if self.clean else "book had differences"
        counts = (
            f"{self.waiting} intents wait, {self.unresolved} unresolved{f' · {self.detail}' if self.detail else ''}"
        )
        return f"desk of {self.account}: {self.state} · process {self.pid} on {self.host} · {found} · {counts}"

    def __str__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(self.line)}</div>"


def lease_name(account: str) -> str:
    """The name under which an account is leased."""
    return f"account:{account}"


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


def read(engine: Engine, account: str) -> DeskStatus:
    """How the desk of an account is."""
    with transaction(engine) as session:
        row, lease = session.get(DeskRow, account), session.get(LeaseRow, lease_name(account))
        count = select(func.count()).where(IntentRow.account == account)
        waiting = session.scalar(count.where(IntentRow.state == IntentState.INTENT.value)) or 0
        unresolved = session.scalar(count.where(IntentRow.state.in_(_UNRESOLVED))) or 0
        last = session.execute(
            select(ReconciliationRow.started_at, ReconciliationRow.clean)
            .where(ReconciliationRow.account == account)
            .order_by(ReconciliationRow.started_at.desc())
            .limit(1)
        ).one_or_none()
    return DeskStatus(
        account=account,
        alive=row is not None and lease is not None and _holds(row, lease),
        state=None if row is None else DeskState(row.state),
        detail="" if row is None else row.detail,
        holder="" if row is None else row.holder,
        host="" if row is None else row.host,
        pid=0 if row is None else row.pid,
        url="" if row is None else row.url,
        waiting=waiting,
        unresolved=unresolved,
        reconciled_at=None if last is None else last.started_at,
        clean=None if last is None else last.clean,
        heartbeat_at=None if row is None else row.heartbeat_at,
    )


def take(engine: Engine, account: str, *, ttl: dt.timedelta, clock: Callable[[], dt.datetime]) -> Lease:
    """The lease of an account, at once when its last holder is a dead process of this machine.

    Raises:
        LeaseLost: a live desk has it; the message says which.
    """
    free_the_lease_of_a_dead_process(engine, account)
    lease = Lease.acquire(engine, lease_name(account), new_holder(), ttl=ttl, clock=clock)
    if lease is None:
        holder = read(engine, account).holder
        raise LeaseLost(
            f"account {account!r} is traded by another desk: {holder or 'not named yet'}. This one did nothing.",
            remedy="stop that one, wait until its lease ends, or start this one with --standby.",
            account=account,
            holder=holder,
        )
    return lease


def announce(engine: Engine, account: str, lease: Lease, *, url: str) -> None:
    """A new desk writes itself down, over the one before it."""
    with transaction(engine) as session:
        lease.check(session)
        row = session.get(DeskRow, account)
        if row is None:
            row = DeskRow(account=account, asks=0, answered=0)
            session.add(row)
        row.holder, row.host, row.pid, row.token = lease.holder, host_name(), os.getpid(), lease.token
        row.url, row.state, row.detail = url, DeskState.STARTING.value, "has the lease"
        row.started_at = row.heartbeat_at = utc_now()
        row.trace_id = trace_id()


def say(engine: Engine, account: str, token: int, state: DeskState, detail: str) -> None:
    """Write down how the desk with this token is; the words of one that was replaced are dropped."""
    with transaction(engine) as session:
        session.execute(
            update(DeskRow)
            .where(DeskRow.account == account, DeskRow.token == token)
            .values(state=state.value, detail=detail, heartbeat_at=utc_now())
        )


def ask(engine: Engine, account: str) -> int:
    """Ask for a reconciliation; the number of the question. 0: no desk has ever traded this account."""
    with transaction(engine) as session:
        number = session.execute(
            update(DeskRow).where(DeskRow.account == account).values(asks=DeskRow.asks + 1).returning(DeskRow.asks)
        ).scalar_one_or_none()
    return number or 0


def asked(session: Session, account: str) -> tuple[int, int, str | None]:
    """How many reconciliations were asked for, how many are answered, and the id of the newest answer."""
    row = session.execute(
        select(DeskRow.asks, DeskRow.answered, DeskRow.answer).where(DeskRow.account == account)
    ).one_or_none()
    return (0, 0, None) if row is None else (row.asks, row.answered, row.answer)


def answer(engine: Engine, account: str, token: int, *, number: int, reconciliation: str) -> None:
    """Say which reconciliation answers every question up to `number`."""
    with transaction(engine) as session:
        session.execute(
            update(DeskRow)
            .where(DeskRow.account == account, DeskRow.token == token)
            .values(answered=number, answer=reconciliation)
        )


def free_the_lease_of_a_dead_process(engine: Engine, account: str) -> bool:
    """Let the next desk in at once when the holder's process on this machine is gone. True when that was so.

    The token guards the race: if somebody took over since the look, nothing happens.
    """
    with transaction(engine) as session:
        row, lease = session.get(DeskRow, account), session.get(LeaseRow, lease_name(account))
        if row is None or lease is None or row.token != lease.token or row.host != host_name():
            return False
        if lease.expires_at <= utc_now() or row.pid == os.getpid() or process_runs(row.pid):
            return False
        session.execute(
            update(LeaseRow)
            .where(LeaseRow.name == lease.name, LeaseRow.token == row.token)
            .values(expires_at=utc_now())
        )
        return True


def _holds(row: DeskRow, lease: LeaseRow) -> bool:
    if row.token != lease.token or lease.expires_at <= utc_now():
        return False
    return row.host != host_name() or process_runs(row.pid)
