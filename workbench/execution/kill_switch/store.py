"""The database as the kill switch uses it: on a thread of its own, so that a lock held by others delays nothing."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from workbench.errors import WorkbenchError
from workbench.trace import get_logger, trace_id, tracing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")


class PatientStore:
    """Runs one thing at a time against the database and waits for it only so long. `trouble`: what went wrong, newest.

    A hung process that holds SQLite's write lock keeps everybody waiting; the broker must be told all the same.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.trouble = ""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kill-store")
        self._pending: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=False)

    @property
    def busy(self) -> bool:
        """Whether something is still waiting for the database."""
        return self._pending is not None and not self._pending.done()

    def attempt(self, what: str, work: Callable[[], T], *, patience: float | None = None) -> T | None:
        """The result; None when it failed, or did not end in time (it goes on by itself), or something else is waiting.

        Args:
            what: in words, for `trouble`.
        """
        if self.busy:
            self.trouble = f"{what}: the database is still busy"
            return None
        trace = trace_id()

        def traced() -> T:
            with tracing(trace):
                return work()

        future = self._pool.submit(traced)
        self._pending = future
        try:
            return future.result(self.patience if patience is None else patience)
        except NotYet:
            self.trouble = f"{what}: no answer of the database yet"
        except (SQLAlchemyError, WorkbenchError) as error:
            self.trouble = f"{what}: {error.message if isinstance(error, WorkbenchError) else type(error).__name__}"
        get_logger(__name__).warning("the kill switch goes on without the database", trouble=self.trouble)
        return None
