"""Admission: whether and when a request may leave; one short transaction over all processes for budget and breaker."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Engine, select

from workbench.data.gateway import breaker
from workbench.data.gateway.vendor import Vendor
from workbench.errors import SourceUnavailable
from workbench.store import vendor_budget
from workbench.store.tables.connector import ConnectorRow
from workbench.store.vendor_budget import SECOND, USE_WITHIN, Standing

_LONG = 600.0  # seconds; a window above it could outlast a restart of the machine, so its tokens wait for the disk


@dataclass(frozen=True, slots=True)
class Token:
    """The right to send one request, between `moment_us` and `use_by_us` (microseconds since 1970 UTC).

    Attributes:
        probe: it is the one request that finds out whether a vendor is back.
        clean: the vendor had not failed since its last success, so a success has nothing to store.
        waited: seconds until it came.
    """

    moment_us: int
    use_by_us: int
    probe: bool
    clean: bool
    waited: float = 0.0


NO_TOKEN: Final = Token(0, 0, probe=False, clean=True)


class Admission:
    """The door to all vendors.

    Args:
        engine: where all processes meet.
        quick: an engine on the same database that does not wait for the disk.
        clock: the wall clock (UTC).
        sleep: waits so many seconds.
    """

    def __init__(
        self, engine: Engine, quick: Engine, *, clock: Callable[[], dt.datetime], sleep: Callable[[float], None]
    ) -> None:
        self._engine = engine
        self._quick = quick
        self._clock = clock
        self._sleep = sleep
        # SQLite has one writer, and threads that wait here do so better than in its own busy loop.
        self._turn: contextlib.AbstractContextManager[object] = (
            threading.Lock() if quick.dialect.name == "sqlite" else contextlib.nullcontext()
        )

    def enter(self, vendor: Vendor, *, patience: float) -> Token:
        """Wait for a token, at most `patience` seconds, and take it.

        Raises:
            SourceUnavailable: the breaker is open, or the wait would be longer; no token was taken.
        """
        latest = self._now() + round(patience * SECOND)
        waited = 0.0
        while True:
            token = self._take(vendor, latest, patience)
            began = self._now()
            if token.moment_us <= began:
                return replace(token, waited=waited) if waited else token
            while (left := token.moment_us - self._now()) > 0:
                self._sleep(left / SECOND)
            waited += (self._now() - began) / SECOND
            # The vendor may have asked to be left alone meanwhile, or we slept too long.
            if self._still(vendor, token):
                return replace(token, waited=waited)

    def in_time(self, token: Token) -> bool:
        """True while a request may leave on this token."""
        return self._now() < token.use_by_us

    def succeeded(self, vendor: Vendor, token: Token) -> None:
        """The vendor answered, whatever it said."""
        if token.clean and not token.probe:
            return
        with self.transaction() as connection:
            standing = vendor_budget.locked(connection, vendor.name)
            changed = breaker.after_success(standing, probe=token.probe)
            if changed:
                vendor_budget.change(connection, vendor.name, **changed)

    def failed(self, vendor: Vendor, token: Token, said: str, *, alone: float = 0.0) -> None:
        """The vendor did not answer, or answered with a fault of its own.

        Args:
            said: what it did, without a secret.
            alone: seconds for which it asked to be left alone.
        """
        with self.transaction() as connection:
            standing = vendor_budget.locked(connection, vendor.name)
            now = self._now()
            changed = breaker.after_failure(standing, vendor, probe=token.probe, at_us=now)
            if alone > 0:
                changed["limited_until_us"] = _later(standing, now, alone)
            vendor_budget.change(connection, vendor.name, last_error=said, last_failure=_moment(now), **changed)

    def busy(self, vendor: Vendor, seconds: float, said: str) -> None:
        """The vendor asked to be left alone: no process has a token for so many seconds."""
        with self.transaction() as connection:
            standing = vendor_budget.locked(connection, vendor.name)
            now = self._now()
            until = _later(standing, now, seconds)
            vendor_budget.change(
                connection, vendor.name, limited_until_us=until, last_error=said, last_failure=_moment(now)
            )

    def give_up_probe(self, vendor: Vendor) -> None:
        """The probe was stopped before anything was known; another one may start."""
        with self.transaction() as connection:
            vendor_budget.locked(connection, vendor.name)
            vendor_budget.change(connection, vendor.name, probe_until_us=None)

    def _take(self, vendor: Vendor, latest: int, patience: float) -> Token:
        durable = any(limit.seconds > _LONG for limit in vendor.limits)
        with self.transaction(durable=durable) as connection:
            standing = vendor_budget.locked(connection, vendor.name)
            now = self._now()  # after the lock: waiting for it must not age the token
            closed = breaker.closed_until(standing, vendor, now)
            if closed is None:
                probe = standing.open_until_us is not None
                moment, taken = vendor_budget.take(
                    connection, vendor.name, standing, vendor.limits, at_us=now, latest_us=max(latest, now)
                )
                if taken and probe:
                    until = breaker.probe_until(vendor, moment)
                    vendor_budget.change(connection, vendor.name, probe_until_us=until)
        if closed is not None:
            raise self._left_alone(vendor, standing, closed)
        if not taken:
            raise _too_long(vendor, moment, now, patience)
        clean = not standing.failures and not standing.opened
        return Token(moment, moment + round(USE_WITHIN * SECOND), probe, clean)

    def _still(self, vendor: Vendor, token: Token) -> bool:
        """After a wait: nothing has changed that the token does not know."""
        with self.transaction() as connection:
            standing = vendor_budget.locked(connection, vendor.name)
        now = self._now()
        if (standing.limited_until_us or 0) > now or now >= token.use_by_us:
            if token.probe:
                self.give_up_probe(vendor)
            return False
        return token.probe or standing.open_until_us is None

    def _left_alone(self, vendor: Vendor, standing: Standing, until_us: int) -> SourceUnavailable:
        with self.transaction() as connection:
            last = connection.scalar(select(ConnectorRow.last_error).where(ConnectorRow.vendor == vendor.name))
        until = _moment(until_us)
        return SourceUnavailable(
            f"{vendor.name} failed {standing.failures} times in a row and is left alone until "
            f"{until:%Y-%m-%d %H:%M:%S} UTC; nothing was asked.{f' The last time it {last}.' if last else ''}",
            remedy="it is tried again by itself then; health() shows its state.",
            until=until.isoformat(),
        )

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Connection]:
        """A transaction of the gateway's own; threads of one process take turns on SQLite."""
        with self._turn, (self._engine if durable else self._quick).begin() as connection:
            yield connection

    def _now(self) -> int:
        moment = self._clock()
        return (int(moment.timestamp()) * SECOND) + moment.microsecond


def _later(standing: Standing, now: int, seconds: float) -> int:
    """Until when a vendor is left alone that asks for so many seconds; never sooner than it asked for before."""
    before = vendor_budget.believed(standing, at_us=now).limited_until_us or 0
    return max(now + round(seconds * SECOND), before)


def _too_long(vendor: Vendor, moment_us: int, now_us: int, patience: float) -> SourceUnavailable:
    when = _moment(moment_us)
    limits = ", ".join(str(limit) for limit in vendor.limits) or "what it said itself"
    return SourceUnavailable(
        f"{vendor.name} may be asked again at {when:%Y-%m-%d %H:%M:%S} UTC, in {(moment_us - now_us) / SECOND:.1f} s "
        f"(limits: {limits}); that is longer than patience={patience:g} s. Nothing was asked.",
        remedy="ask again then, or give more patience.",
        until=when.isoformat(),
    )


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(microseconds / SECOND, dt.UTC)
