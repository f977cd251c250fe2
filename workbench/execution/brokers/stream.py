"""EventStream: a broker's events on a thread of their own, where no failure goes unseen and closing really ends it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from workbench.errors import ExecutionError
from workbench.execution.brokers.broker import BrokerEvent
from workbench.trace import get_logger

_JOIN_SECONDS = 10.0


class Socket(Protocol):
    """The connection itself: it tells its `EventStream` what happens, and reconnects by itself."""

    async def forever(self) -> None:
        """Connect, listen and reconnect until cancelled."""

    async def close(self) -> None:
        """Close the connection."""


class EventStream:
    """A `StreamHandle`: one socket on a daemon thread. What it misses while it reconnects must be reconciled."""

    def __init__(
        self,
        name: str,
        open_socket: Callable[[EventStream], Socket],
        *,
        on_event: Callable[[BrokerEvent], None],
        on_connect: Callable[[], None],
    ) -> None:
        self.connected = False
        self.failures = 0
        self.trouble = ""
        self._log = get_logger(__name__).bind(account=name)
        self._on_event, self._on_connect = on_event, on_connect
        self._socket = open_socket(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"trade_updates-{name}", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"EventStream(connected={self.connected}, failures={self.failures})"

    def close(self) -> None:
        """End the connection and the thread. Raises ExecutionError when the thread does not end in ten seconds."""
        self._closing.set()
        if threading.current_thread() is self._thread:
            self._cancel()
            return
        for _ in range(int(_JOIN_SECONDS / 0.1)):
            # Again and again: the loop may not have begun yet, and asyncio can swallow one cancellation.
            self._cancel()
            self._thread.join(0.1)
            if not self._thread.is_alive():
                return
        raise ExecutionError(
            f"the stream's thread did not end within {_JOIN_SECONDS:.0f} s.", remedy="end this process."
        )

    def subscribed(self) -> None:
        """The broker has confirmed the subscription (again)."""
        self.connected = True
        try:
            self._on_connect()
        except Exception as error:  # noqa: BLE001 - the stream must outlive its listener
            self.failed("the listener of a reconnect failed", error)

    def received(self, data: Mapping[str, Any]) -> None:
        """Hand one event over. A failure is counted and logged, never swallowed; a reconciliation must repair it."""
        try:
            self._on_event(BrokerEvent.of(data))
        except Exception as error:  # noqa: BLE001 - the stream must outlive its listener
            self.failed("an event was not handled", error, data)

    def failed(self, what: str, error: BaseException, data: Any = None) -> None:
        """Count and log a failure."""
        # In this order: who sees on another thread that there was one more finds its words.
        self.trouble = f"{what}: {type(error).__name__}: {error}"
        self.failures += 1
        self._log.error(what, error=f"{type(error).__name__}: {error}", failures=self.failures, message=data)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main())
        self.connected = False

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._closing.is_set():
            return
        try:
            await self._socket.forever()
        finally:
            await self._socket.close()

    def _cancel(self) -> None:
        loop, task = self._loop, self._task
        if loop is not None and task is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop closed between the two lines
                loop.call_soon_threadsafe(task.cancel)
