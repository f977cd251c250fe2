"""Keeping the account's lease while the desk is busy, and asking for it again before anything is sent.

The desk's loop may wait seconds for a broker's answer, so a thread renews the lease beside it: as long as the loop
shows signs of life, and no longer, so that a loop that hangs loses the account to a standby. A whole process that was
stopped renews nothing either; when it wakes up, `Fenced` finds out whose the lease is before the next order leaves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from workbench.errors import LeaseLost
from workbench.trace import get_logger

if TYPE_CHECKING:
    from workbench.execution.brokers.broker import Broker
    from workbench.store.lease import Lease

# The longest that a living loop may be silent: four orders of a batch that each wait for their timeouts, and a
# reconciliation that reads several pages, end well before it.
PATIENCE: Final = 90.0
_SENDS: Final = frozenset({"submit", "replace", "cancel", "cancel_all", "close_all", "suspend"})


class Held:
    """A lease with the moment of its last renewal, on this process's own clock, which runs on while it is stopped."""

    def __init__(self, lease: Lease, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.lease = lease
        self._now = monotonic
        self._renewed = monotonic()
        self._lost: LeaseLost | None = None

    def renew(self) -> None:
        """Renew now. Raises LeaseLost."""
        before = self._now()  # the lease runs from before the database was asked, whatever the answer took
        try:
            self.lease.renew()
        except LeaseLost as error:
            self._lost = error
            raise
        self._renewed = max(self._renewed, before)

    def prove(self) -> None:
        """Be sure that it is ours: renew it if more than half of its time is over. Raises LeaseLost."""
        if self._lost is not None:
            raise self._lost
        if self._now() - self._renewed > self.lease.ttl.total_seconds() / 2:
            self.renew()


class Keeper:
    """Renews a lease on a thread of its own while the loop lives.

    Args:
        silent_for: seconds since the loop's last sign of life.
    """

    def __init__(self, held: Held, silent_for: Callable[[], float], *, patience: float = PATIENCE) -> None:
        self._held, self._silent_for, self._patience = held, silent_for, patience
        self._every = held.lease.ttl.total_seconds() / 4
        self._end = threading.Event()
        self._log = get_logger(__name__).bind(lease=held.lease.name)
        self._thread = threading.Thread(target=self._run, name=f"keeper-{held.lease.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop renewing."""
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(self._every):
            if self._silent_for() > self._patience:
                self._log.error("the desk's loop is silent; its lease is left to expire", seconds=self._silent_for())
                self._end.wait(self._every)
                continue
            try:
                self._held.renew()
            except LeaseLost as error:
                self._log.warning("the lease is lost", error=error.message)
                return
            except SQLAlchemyError as error:
                self._log.warning(
                    "the lease was not renewed; it is tried again", error=f"{type(error).__name__}: {error}"
                )


class Fenced:
    """A broker to which nothing is sent unless the lease is proved ours right before; asking it is always allowed.

    What was already on its way when a process was stopped cannot be called back; it carries the same client_order_id as
    whatever its successor sends for that intent, so the broker takes one of the two.
    """

    def __init__(self, broker: Broker, held: Held) -> None:
        self._broker, self._held = broker, held

    def __getattr__(self, name: str) -> Any:
        """The broker's own; proved first where it sends."""
        found = getattr(self._broker, name)
        if name not in _SENDS:
            return found

        def proved(*arguments: Any, **named: Any) -> Any:
            self._held.prove()
            return found(*arguments, **named)

        return proved
