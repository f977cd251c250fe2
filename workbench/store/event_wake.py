"""Wake: notices that something was published: by LISTEN on PostgreSQL, by a look that takes no lock on SQLite."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.exc import OperationalError

from workbench.store.event_reading import CHANNEL

if TYPE_CHECKING:
    from sqlalchemy import Engine

SQLITE_SECONDS = 0.05


class Wake:
    """Tells whether there may be news since it was last asked. Used on one thread; `close` ends its connection.

    On PostgreSQL a transaction that was rolled back can hold others up without a word, and a lost connection is opened
    again later: whoever waits must look by itself now and then.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lent: Any = None
        self._connection: Any = None
        self._fresh = True
        self._seen = -1

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self.close()

    def wait(self, seconds: float) -> bool:
        """Wait for news, at most so long; 0: only look. True: there may be some."""
        try:
            connection = self._open()
            if self._fresh:  # what came before it listened was not announced to it
                self._fresh = False
                return True
            if self._engine.dialect.name == "postgresql":
                return any(True for _ in connection.notifies(timeout=seconds, stop_after=1))
            return self._poll(connection, seconds)
        except self._failures():
            self.close()
            time.sleep(min(seconds, SQLITE_SECONDS))
            return True

    def close(self) -> None:
        """End the connection; the next question opens another one."""
        if self._connection is not None:
            with contextlib.suppress(*self._failures()):
                self._lent.close()
            self._lent = self._connection = None

    def _open(self) -> Any:
        """A driver's own connection outside of the pool: the engine's would begin a transaction to look."""
        if self._connection is None:
            self._lent, self._fresh = self._engine.raw_connection(), True
            self._connection = self._lent.driver_connection
            self._lent.detach()
            if self._engine.dialect.name == "postgresql":
                self._connection.autocommit = True
                self._connection.execute(f"LISTEN {CHANNEL}")
        return self._connection

    def _poll(self, connection: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            newest = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]
            if newest != self._seen:
                self._seen = newest
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(SQLITE_SECONDS, left))

    def _failures(self) -> tuple[type[Exception], ...]:
        failure: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return failure, OperationalError
