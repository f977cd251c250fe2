"""What a desk says about itself in the database, and how anybody reads it: who trades an account, and how it is."""

from __future__ import annotations

import datetime as dt
import enum
import html
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from workbench.events import DeskStatusChanged, DeskStepDone, Event
from workbench.market.order import IntentState
from workbench.orchestration.desk_counters import Counters
from workbench.orchestration.desk_lease import host_name, is_dead
from workbench.orchestration.startup import StartupReport, StepReport
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.event_log import publish
from workbench.store.lease import Lease, account_lease, now_of
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
        phase, phase_until: the market's hours as it sees them, and when they change; empty where it does not watch.
        counters: what it has done since it started, as of its last heartbeat; None before the first.
        startup: the steps of its start.
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
    phase: str = ""
    phase_until: dt.datetime | None = None
    counters: Counters | None = None
    startup: StartupReport | None = field(default=None, repr=False)

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


def read(engine: Engine, account: str) -> DeskStatus:
    """How the desk of an account is."""
    with transaction(engine) as session:
        row, lease = session.get(DeskRow, account), session.get(LeaseRow, account_lease(account))
        count = select(func.count()).where(IntentRow.account == account)
        waiting = session.scalar(count.where(IntentRow.state == IntentState.INTENT.value)) or 0
        unresolved = session.scalar(count.where(IntentRow.state.in_(_UNRESOLVED))) or 0
        last = session.execute(
            select(ReconciliationRow.started_at, ReconciliationRow.clean)
            .where(ReconciliationRow.account == account)
            .order_by(ReconciliationRow.started_at.desc())
            .limit(1)
        ).one_or_none()
        alive = row is not None and lease is not None and _holds(row, lease, now_of(session))
    return DeskStatus(
        account=account,
        alive=alive,
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
        phase="" if row is None else row.phase or "",
        phase_until=None if row is None else row.phase_until,
        counters=None if row is None or row.counters is None else Counters.of(row.counters),
        startup=None if row is None or row.startup is None else StartupReport.of(row.startup),
    )


def announce(engine: Engine, account: str, lease: Lease, *, url: str, startup: StartupReport | None = None) -> None:
    """A new desk writes itself down, over the one before it, with the steps of its start so far."""
    steps = startup.steps if startup is not None else ()
    with transaction(engine) as session:
        lease.check(session)
        row = session.get(DeskRow, account)
        before = "" if row is None else row.state
        if row is None:
            row = DeskRow(account=account, asks=0, answered=0)
            session.add(row)
        row.holder, row.host, row.pid, row.token = lease.holder, host_name(), os.getpid(), lease.token
        row.url, row.state, row.detail = url, DeskState.STARTING.value, "has the lease"
        row.startup = None if startup is None else startup.to_dict()
        row.counters, row.phase, row.phase_until = None, None, None
        row.started_at = row.heartbeat_at = utc_now()
        row.trace_id = trace_id()
        _changed(session, row, before)
        publish(session, *(step_event(account, one) for one in steps))


def say(
    engine: Engine,
    account: str,
    token: int,
    state: DeskState,
    detail: str,
    *,
    counters: Counters | None = None,
    startup: StartupReport | None = None,
    phase: tuple[str, dt.datetime | None] | None = None,
    events: tuple[Event, ...] = (),
) -> None:
    """Write down how the desk with this token is; the words of one that was replaced are dropped.

    Args:
        counters, startup, phase: replace what was said of them before; None: they stay.
        events: published with it.
    """
    with transaction(engine) as session:
        row = session.get(DeskRow, account, with_for_update=True)
        if row is None or row.token != token:
            return
        before = row.state
        row.state, row.detail, row.heartbeat_at = state.value, detail, utc_now()
        if counters is not None:
            row.counters = counters.to_dict()
        if startup is not None:
            row.startup = startup.to_dict()
        if phase is not None:
            row.phase, row.phase_until = phase
        if before != row.state:
            _changed(session, row, before)
        publish(session, *events)


def step_event(account: str, one: StepReport) -> DeskStepDone:
    """The event of a step of the start that is over, or was closed."""
    return DeskStepDone(
        account=account,
        number=one.number,
        step=one.step,
        ok=one.state != "failed",
        state=one.state,
        seconds=one.seconds,
        detail=one.detail,
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


def _holds(row: DeskRow, lease: LeaseRow, now: dt.datetime) -> bool:
    return row.token == lease.token and lease.expires_at > now and not is_dead(row)


def _changed(session: Session, row: DeskRow, before: str) -> None:
    """The audit's row and the event of a desk that is in another state now."""
    told = {"state": row.state, "holder": row.holder, "token": row.token, "detail": row.detail}
    was = {"state": before}
    audit.record(session, entity="desk", entity_id=row.account, action=row.state, before=was, after=told)
    event = DeskStatusChanged(
        account=row.account,
        before=before,
        after=row.state,
        holder=row.holder,
        token=row.token,
        detail=row.detail,
    )
    publish(session, event)
