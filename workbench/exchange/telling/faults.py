"""Faults on demand: what a bad network and a bad day at the broker do to a client, set by text or by the admin API.

kind                  what the client sees                                            is the order placed?
504-before-accept     504 at once                                                     no
504-after-accept      504 after the work was done                                     yes
500-html, 502-html    500 or 502 with an HTML body                                    no
reset-before          the connection is reset before anything was done                no
reset-after           the connection is reset after the work was done                 yes
hang                  the work is done, the answer never comes                        yes
slow                  the work is done, the answer comes `seconds` later              yes
429                   429 with Retry-After and X-RateLimit headers, for `seconds`     no
unknown-status        the answer carries an order status that no client knows         yes
clock-skew            every moment that is told is `seconds` off                      —
duplicate-events      a message of the stream is sent twice                           —
drop-events           a message of the stream is not sent                             —
reorder-events        a message of the stream comes after the next one                —
disconnect            the stream is cut before a message and refused for `seconds`    —

A fault strikes by `probability` (seeded, so that a run can be repeated) or for the next `count` requests (messages for
the stream kinds). Without either it strikes once; a clock stays skewed. Its `path` is `/v2/account` for every method,
or `GET /v2/orders*` with shell wildcards; without one it is `POST /v2/orders`, `/stream` for the stream kinds, and
everything for a skewed clock. The admin API under /sim is never struck.

As text: `kind[:how][@seconds][:path]`, where `how` is a probability (`0.1`) or a count (`2x`):

    504-after-accept:0.1        slow:0.2@1.5s        hang:2x        429:0.05:/v2/account        clock-skew@-90s
"""

from __future__ import annotations

import fnmatch
import math
import random
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_KINDS = (
    "504-before-accept",
    "504-after-accept",
    "500-html",
    "502-html",
    "reset-before",
    "reset-after",
    "hang",
    "slow",
    "429",
    "unknown-status",
)
STREAM_KINDS = ("duplicate-events", "drop-events", "reorder-events", "disconnect")
SKEW = "clock-skew"
KINDS = (*REQUEST_KINDS, SKEW, *STREAM_KINDS)
DEFAULT_PATH = "POST /v2/orders"
STREAM_PATH = "/stream"
UNKNOWN_STATUS = "held_by_the_moon"
LONGEST_SECONDS = 600.0
_SECONDS = {"slow": 1.0, "429": 1.0, "disconnect": 1.0, SKEW: 60.0, "hang": LONGEST_SECONDS}
_TEXT = re.compile(
    r"(?P<kind>[a-z0-9-]+)"
    r"(?::(?P<how>\d+x|\d*\.?\d+))?"
    r"(?:@(?P<seconds>[+-]?\d+(?:\.\d+)?)s)?"
    r"(?::(?P<path>(?:[A-Z]+ )?[/*].*))?"
)


@dataclass(slots=True)
class Fault:
    """One switched-on fault; `left` None means by probability, `struck` counts how often it did."""

    kind: str
    path: str
    probability: float
    left: int | None
    seconds: float = 0.0
    struck: int = 0

    def __post_init__(self) -> None:
        """Check the bounds. Raises ParameterError."""
        if self.kind not in KINDS:
            raise ParameterError(
                f"kind={self.kind!r} is not a fault; the known ones are {', '.join(KINDS)}.", remedy="name one of them."
            )
        if isinstance(self.left, bool) or not (self.left is None or (isinstance(self.left, int) and self.left >= 1)):
            raise ParameterError(f"count={self.left!r} must be a whole number ≥ 1.", remedy="write it as in `hang:2x`.")
        if isinstance(self.probability, bool) or not (
            isinstance(self.probability, (int, float)) and 0 < self.probability <= 1
        ):
            raise ParameterError(
                f"probability={self.probability!r} must lie in (0, 1].", remedy="write it as in `hang:0.1`."
            )
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, (int, float)):
            raise ParameterError(f"seconds={self.seconds!r} must be a number.", remedy="write it as in `slow@1.5s`.")
        least, most = (-math.inf, math.inf) if self.kind == SKEW else (0.0, LONGEST_SECONDS)
        if not math.isfinite(self.seconds) or not least <= self.seconds <= most:
            raise ParameterError(
                f"seconds={self.seconds!r} must be finite, and between 0 and {LONGEST_SECONDS:.0f} for a pause.",
                remedy="write it as in `slow@1.5s`.",
            )

    @classmethod
    def of(cls, body: dict[str, Any]) -> Fault:
        """A fault from the fields `kind`, `count`, `probability`, `path`, `seconds`. Raises ParameterError."""
        kind = str(body.get("kind", ""))
        count, probability, seconds = body.get("count"), body.get("probability"), body.get("seconds")
        if count is not None and probability is not None:
            raise ParameterError(
                f"count={count!r} and probability={probability!r} are both given.", remedy="give one of the two."
            )
        if count is None and probability is None and kind != SKEW:
            count = 1
        return cls(
            kind=kind,
            path=str(body.get("path") or _default_path(kind)),
            probability=1.0 if probability is None else probability,
            left=count,
            seconds=_SECONDS.get(kind, 0.0) if seconds is None else seconds,
        )

    def covers(self, method: str, path: str) -> bool:
        """Whether the fault applies to this request."""
        wanted_method, _, pattern = self.path.rpartition(" ")
        return wanted_method in {"", method} and fnmatch.fnmatchcase(path, pattern)


def parse(text: str) -> Fault:
    """A fault from its text, e.g. `504-after-accept:0.1`; the grammar stands in the module's description.

    Raises:
        ParameterError: the text does not follow the grammar, the kind is not known, or a number is out of bounds.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ParameterError(
            f"fault {text!r} is not understood; nothing was switched on.",
            remedy="write kind[:probability or count][@seconds][:path], e.g. slow:0.2@1.5s or hang:2x:/v2/account.",
        )
    how, seconds = found["how"], found["seconds"]
    counted = how is not None and how.endswith("x")
    return Fault.of(
        {
            "kind": found["kind"],
            "count": int(how[:-1]) if counted else None,
            "probability": float(how) if how is not None and not counted else None,
            "seconds": None if seconds is None else float(seconds),
            "path": found["path"],
        }
    )


class Faults:
    """The switched-on faults of one exchange. `clock` counts seconds, for the gap after a disconnect."""

    def __init__(self, *, seed: int = 7, clock: Callable[[], float] = time.monotonic) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(seed)
        self._clock = clock
        self._gaps: list[tuple[str, float]] = []
        self.struck: Counter[str] = Counter()

    def add(self, fault: Fault | dict[str, Any]) -> Fault:
        """Switch a fault on, from its fields or from `{"text": …}`. Raises Refusal 422 where it is not one."""
        try:
            if isinstance(fault, dict):
                fault = parse(str(fault["text"])) if "text" in fault else Fault.of(fault)
        except ParameterError as error:
            raise Refusal(422, None, error.message) from error
        self._faults.append(fault)
        return fault

    def clear(self) -> int:
        """Switch all faults off, gaps too; returns how many there were."""
        count = len(self._faults)
        self._faults.clear()
        self._gaps.clear()
        return count

    def listed(self) -> list[dict[str, Any]]:
        """The faults that are on."""
        return [asdict(fault) for fault in self._faults]

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, None mostly. The one switched on first has the first chance."""
        return self._first(REQUEST_KINDS, method, path) if self._faults else None

    def strike_message(self, path: str) -> Fault | None:
        """The fault that hits the next message of the stream at `path`, None mostly."""
        return self._first(STREAM_KINDS, "GET", path) if self._faults else None

    def skew(self, method: str, path: str) -> float:
        """By how many seconds the moments in this answer are off; 0 mostly."""
        fault = self._first((SKEW,), method, path) if self._faults else None
        return 0.0 if fault is None else fault.seconds

    def cut(self, path: str, seconds: float) -> None:
        """The stream at `path` is not to be had for so many seconds."""
        self._gaps.append((path, self._clock() + seconds))

    def is_cut(self, path: str) -> bool:
        """Whether the stream at `path` is refused now."""
        now = self._clock()
        self._gaps = [gap for gap in self._gaps if gap[1] > now]
        return any(where == path for where, _ in self._gaps)

    def _first(self, kinds: tuple[str, ...], method: str, path: str) -> Fault | None:
        if path.startswith("/sim/"):
            return None
        for fault in self._faults:
            if fault.kind in kinds and fault.covers(method, path) and self._hits(fault):
                fault.struck += 1
                self.struck[fault.kind] += 1
                return fault
        return None

    def _hits(self, fault: Fault) -> bool:
        if fault.left is None:
            return fault.probability == 1 or self._random.random() < fault.probability
        fault.left -= 1
        if fault.left == 0:
            self._faults.remove(fault)
        return True


def _default_path(kind: str) -> str:
    if kind in STREAM_KINDS:
        return STREAM_PATH
    return "*" if kind == SKEW else DEFAULT_PATH
