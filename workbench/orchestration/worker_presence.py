"""Whether a worker is at work on a queue: each one holds a numbered lease for as long as it lives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from workbench.errors import LeaseLost
from workbench.store.engine import transaction
from workbench.store.holders import certainly_gone, this_process
from workbench.store.lease import Lease
from workbench.store.schema import utc_now
from workbench.store.tables.execution import LeaseRow

if TYPE_CHECKING:
    from sqlalchemy import Engine

TTL = dt.timedelta(seconds=15)
STARTING = "worker-start"
_STARTING_TTL = dt.timedelta(seconds=30)
_ALL = "*"


class Presence:
    """The sign of life of one worker: `renew` it every few seconds, `leave` at the end.

    Args:
        kinds: the kinds of jobs it does; all when None.
    """

    def __init__(
        self, engine: Engine, kinds: Collection[str] | None = None, *, clock: Callable[[], dt.datetime] = utc_now
    ) -> None:
        self._engine, self._clock = engine, clock
        self._name = f"worker/{_ALL if kinds is None else '+'.join(sorted(kinds))}"
        self.holder = this_process()
        self._lease: Lease | None = None

    def renew(self) -> None:
        """Say that this worker is there."""
        if self._lease is not None:
            try:
                self._lease.renew()
            except LeaseLost:  # this process slept for long, and its number was taken
                self._lease = None
        number = 0
        while self._lease is None:
            number += 1
            name = f"{self._name}/{number}"
            self._lease = Lease.acquire(self._engine, name, self.holder, ttl=TTL, clock=self._clock)
        if number:
            _started(self._engine, self._clock())

    def leave(self) -> None:
        """Say that this worker takes no further job."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None


def present(engine: Engine, kind: str, *, clock: Callable[[], dt.datetime] = utc_now) -> bool:
    """Whether a worker is there that does jobs of this kind."""
    query = select(LeaseRow.name, LeaseRow.holder).where(
        LeaseRow.name.startswith("worker/", autoescape=True), LeaseRow.expires_at > clock()
    )
    with transaction(engine) as session:
        found = session.execute(query).all()
    kinds = [name.split("/")[1].split("+") for name, holder in found if not certainly_gone(holder)]
    return any(kind in does or _ALL in does for does in kinds)


def may_start(engine: Engine, *, clock: Callable[[], dt.datetime] = utc_now) -> Lease | None:
    """The right to start a worker, for half a minute or until that worker is there; None: somebody else has just done.

    Without it twenty questions in a row would start twenty workers before the first one is up.
    """
    return Lease.acquire(engine, STARTING, this_process(), ttl=_STARTING_TTL, clock=clock)


def _started(engine: Engine, now: dt.datetime) -> None:
    with transaction(engine) as session:
        session.execute(
            update(LeaseRow).where(LeaseRow.name == STARTING, LeaseRow.expires_at > now).values(expires_at=now)
        )
