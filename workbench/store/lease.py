"""Lease: who may act for a name (an account), until when; a fencing token shuts out whoever comes too late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from workbench.errors import LeaseLost
from workbench.store.engine import transaction
from workbench.store.schema import utc_now
from workbench.store.tables.execution import LeaseRow

Clock = Callable[[], dt.datetime]
TTL = dt.timedelta(seconds=30)
# Asked in every transaction of the order path: building a statement costs as much as running it.
_TOKEN = select(LeaseRow.token).where(LeaseRow.name == bindparam("name")).with_for_update(read=True)
_SERVER_TIME = select(func.clock_timestamp())


def now_of(session: Session, clock: Clock | None = None) -> dt.datetime:
    """The time by which leases end, in UTC: `clock`'s, or (None) that of the database.

    Machines whose clocks differ ask the same PostgreSQL server; a SQLite file has one machine and its clock.
    """
    if clock is not None:
        return clock()
    if session.get_bind().dialect.name != "postgresql":
        return utc_now()
    moment: dt.datetime = session.execute(_SERVER_TIME).scalar_one()
    return moment.astimezone(dt.UTC)


def account_lease(account: str) -> str:
    """The name of the lease of an account: whoever holds it, a desk or the kill switch, is the only one that sends."""
    return f"account:{account}"


@dataclass(frozen=True, slots=True)
class Lease:
    """Leadership over `name`. The row in the database is the truth; this value only remembers its token.

    Every change of owner raises the token by one. `check` in the transaction of a write proves that nobody has taken
    over since; an owner that slept through its lease therefore stops writing, however long it slept.
    """

    engine: Engine
    name: str
    holder: str
    token: int
    ttl: dt.timedelta
    clock: Clock | None = None

    @classmethod
    def acquire(
        cls, engine: Engine, name: str, holder: str, *, ttl: dt.timedelta = TTL, clock: Clock | None = None
    ) -> Lease | None:
        """Take the lease if it is free, expired, or held under the same `holder` name (a restarted process).

        Args:
            name: what is led, e.g. an account.
            holder: who leads; unique per process unless a restart shall take over at once.
            ttl: how long it lasts without `renew`.
            clock: by which it ends; None: the time of the database.

        Returns:
            The lease with a token one higher than the owner's before, or None: somebody else holds it.
        """
        while True:
            try:
                with transaction(engine) as session:
                    row = session.get(LeaseRow, name, with_for_update=True)
                    now = now_of(session, clock)  # after the row was waited for
                    if row is None:
                        row = LeaseRow(name=name, holder=holder, token=0, expires_at=now)
                        session.add(row)
                    elif row.expires_at > now and row.holder != holder:
                        return None
                    row.holder, row.token, row.expires_at = holder, row.token + 1, now + ttl
                    token = row.token
            except IntegrityError:
                continue  # two processes met an absent row; the slower one now finds it
            return cls(engine=engine, name=name, holder=holder, token=token, ttl=ttl, clock=clock)

    def renew(self) -> None:
        """Extend by `ttl` from now. Raises LeaseLost when somebody else has taken over; nothing is changed then."""
        with transaction(self.engine) as session:
            renewed = session.execute(
                update(LeaseRow)
                .where(LeaseRow.name == self.name, LeaseRow.token == self.token)
                .values(expires_at=now_of(session, self.clock) + self.ttl)
                .returning(LeaseRow.token)
            ).scalar_one_or_none()
            if renewed is None:
                raise self._lost(session)

    def release(self) -> None:
        """Let the next one in at once; does nothing when the lease is lost already. The token stays spent."""
        with transaction(self.engine) as session:
            session.execute(
                update(LeaseRow)
                .where(LeaseRow.name == self.name, LeaseRow.token == self.token)
                .values(expires_at=now_of(session, self.clock))
            )

    def check(self, session: Session) -> None:
        """Prove inside an open transaction that the lease is still ours, until that transaction ends.

        On PostgreSQL the row is locked for sharing, so a take-over waits for our commit; SQLite has one writer anyway.

        Raises:
            LeaseLost: the token moved on. The transaction must be rolled back.
        """
        token = session.execute(_TOKEN, {"name": self.name}).scalar_one_or_none()
        if token != self.token:
            raise self._lost(session)

    def _lost(self, session: Session) -> LeaseLost:
        row = session.execute(select(LeaseRow.holder, LeaseRow.token).where(LeaseRow.name == self.name)).one_or_none()
        found = f"{row.holder} holds it with token {row.token}" if row else "its row is gone"
        return LeaseLost(
            f"the lease on {self.name} is lost: ours had token {self.token}, but {found}. Nothing was written.",
            remedy="this process must stop acting for it; the new holder carries on.",
            name=self.name,
            token=self.token,
        )
