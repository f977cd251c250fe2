"""Faults on demand: what a bad network and a bad day at the broker do to a client, switched on through the admin API.

kind                  what the client sees                                            is the order placed?
504-before-accept     504 at once                                                     no
504-after-accept      504 after the work was done                                     yes
500-html              500 with an HTML body                                           no
reset-before          the connection is reset before anything was done                no
reset-after           the connection is reset after the work was done                 yes
hang                  the work is done, the answer never comes                        yes
429                   429 with Retry-After                                            no
unknown-status        the answer carries an order status that no client knows         yes
duplicate-events      each message of the stream is sent twice                        —
drop-events           messages of the stream are not sent                             —

A fault strikes by `probability` (seeded, so that a run can be repeated) or for the next `count` requests (messages for
the stream kinds). It applies to `POST /v2/orders` unless a `path` is given: `/v2/account` for every method, or
`GET /v2/orders*` with shell wildcards.
"""

from __future__ import annotations

import fnmatch
import random
from dataclasses import asdict, dataclass
from typing import Any

from workbench.exchange.wire import Refusal

REQUEST_KINDS = (
    "504-before-accept",
    "504-after-accept",
    "500-html",
    "reset-before",
    "reset-after",
    "hang",
    "429",
    "unknown-status",
)
STREAM_KINDS = ("duplicate-events", "drop-events")
DEFAULT_PATH = "POST /v2/orders"
UNKNOWN_STATUS = "held_by_the_moon"


@dataclass(slots=True)
class Fault:
    """One switched-on fault; `left` None means by probability."""

    kind: str
    path: str
    probability: float
    left: int | None

    def covers(self, method: str, path: str) -> bool:
        """Whether the fault applies to this request."""
        wanted_method, _, pattern = self.path.rpartition(" ")
        return wanted_method in {"", method} and fnmatch.fnmatchcase(path, pattern)


class Faults:
    """The switched-on faults of one exchange."""

    def __init__(self, *, seed: int = 7) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, body: dict[str, Any]) -> Fault:
        """Switch a fault on. Raises Refusal 422 for an unknown kind or a number out of bounds."""
        kind = str(body.get("kind", ""))
        known = REQUEST_KINDS + STREAM_KINDS
        if kind not in known:
            raise Refusal(422, None, f"kind={kind!r} is not a fault; the known ones are {', '.join(known)}")
        count, probability = body.get("count"), body.get("probability")
        if count is None and probability is None:
            count = 1
        if count is not None and probability is not None:
            raise Refusal(422, None, "give count or probability, not both")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise Refusal(422, None, f"count={count!r} must be a whole number ≥ 1")
        if probability is not None and not (isinstance(probability, (int, float)) and 0 < probability <= 1):
            raise Refusal(422, None, f"probability={probability!r} must lie in (0, 1]")
        fault = Fault(kind, str(body.get("path") or DEFAULT_PATH), float(probability or 1.0), count)
        self._faults.append(fault)
        return fault

    def clear(self) -> int:
        """Switch all faults off; returns how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def listed(self) -> list[dict[str, Any]]:
        """The faults that are on."""
        return [asdict(fault) for fault in self._faults]

    def strike(self, method: str, path: str) -> str | None:
        """The kind of fault that hits this request, None mostly. The one switched on first has the first chance."""
        for fault in self._faults:
            if fault.kind in REQUEST_KINDS and fault.covers(method, path) and self._hits(fault):
                return fault.kind
        return None

    def copies(self) -> int:
        """How often the next stream message is sent: 1, or 0 or 2 under a fault."""
        for fault in self._faults:
            if fault.kind in STREAM_KINDS and self._hits(fault):
                return 2 if fault.kind == "duplicate-events" else 0
        return 1

    def _hits(self, fault: Fault) -> bool:
        if fault.left is None:
            return self._random.random() < fault.probability
        fault.left -= 1
        if fault.left == 0:
            self._faults.remove(fault)
        return True
