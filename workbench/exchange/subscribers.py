"""Who listens to which account, and the telling of events to them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.exchange.faults import Faults


class Listener(Protocol):
    """One connection of the stream."""

    def send(self, frame: bytes) -> None:
        """Send one prepared frame; never raises."""
        ...


class Subscribers:
    """Who listens to which account."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._listening: defaultdict[str, set[Listener]] = defaultdict(set)

    def add(self, account_id: str, socket: Listener) -> None:
        """Start telling this socket about the account."""
        self._listening[account_id].add(socket)

    def remove(self, socket: Listener) -> None:
        """Stop telling this socket anything."""
        for listening in self._listening.values():
            listening.discard(socket)

    def count(self, account_id: str) -> int:
        """How many connections listen to the account now."""
        return len(self._listening.get(account_id, ()))

    def publish(self, account_id: str, events: Iterable[dict[str, Any]]) -> None:
        """Tell all who listen to the account, in order. Called after the ledger has committed."""
        listening = self._listening.get(account_id)
        if not listening:
            return
        for event in events:
            frame = json.dumps(event, separators=(",", ":")).encode()
            for _ in range(self._faults.copies()):
                for socket in tuple(listening):
                    socket.send(frame)
