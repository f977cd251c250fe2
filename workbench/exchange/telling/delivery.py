"""Frames on their way to the listeners of a stream, with the stream's faults in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.exchange.telling.faults import Faults

OVERTAKEN_SECONDS = 0.25  # a frame that waits to be overtaken and is not, goes out after so long


class Listener(Protocol):
    """One connection of a stream."""

    def send(self, frame: bytes) -> None:
        """Send one prepared frame; never raises."""
        ...

    def drop(self) -> None:
        """Cut the connection without a goodbye; never raises."""
        ...


class Delivery:
    """Sends frames to the listeners of the stream at one path. Used from one event loop."""

    def __init__(self, faults: Faults, path: str) -> None:
        self._faults, self._path = faults, path
        self._waiting: dict[str, tuple[bytes, list[Listener]]] = {}

    def send(self, key: str, frame: bytes, listeners: Iterable[Listener]) -> None:
        """Send one frame to the listeners of `key`, as often and as late as the faults want it."""
        to = list(listeners)
        fault = self._faults.strike_message(self._path)
        match fault.kind if fault is not None else None:
            case "drop-events":
                return
            case "disconnect":
                assert fault is not None
                self._faults.cut(self._path, fault.seconds)
                self._waiting.pop(key, None)
                for listener in to:
                    listener.drop()
                return
            case "reorder-events" if key not in self._waiting:
                self._waiting[key] = frame, to
                asyncio.get_running_loop().call_later(OVERTAKEN_SECONDS, self._let_go, key, frame)
                return
            case "duplicate-events":
                _tell(frame, to)
        _tell(frame, to)
        if key in self._waiting:
            _tell(*self._waiting.pop(key))

    def _let_go(self, key: str, frame: bytes) -> None:
        """Nothing has overtaken the frame: a fault reorders, it does not lose."""
        if self._waiting.get(key, (None,))[0] is frame:
            _tell(*self._waiting.pop(key))


def _tell(frame: bytes, listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.send(frame)
