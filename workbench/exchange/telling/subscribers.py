"""Who listens to which account, and the telling of events to them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from workbench.exchange.telling.delivery import Delivery
from workbench.exchange.telling.faults import STREAM_PATH
from workbench.exchange.telling.skew import skewed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.exchange.telling.delivery import Listener
    from workbench.exchange.telling.faults import Faults


class Subscribers:
    """Who listens to which account."""

    def __init__(self, faults: Faults) -> None:
        self._faults, self._delivery = faults, Delivery(faults, STREAM_PATH)
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
            seconds = self._faults.skew("GET", STREAM_PATH)
            frame = json.dumps(skewed(event, seconds) if seconds else event, separators=(",", ":")).encode()
            self._delivery.send(account_id, frame, listening)
