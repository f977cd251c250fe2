"""Vendor: what the gateway must know of one vendor to ask it politely."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from workbench.errors import ParameterError
from workbench.store.vendor_budget import MOST_AHEAD, MOST_LIMITED, Limit

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Vendor:
    """One vendor: its address, its limits, and how patient we are with it. Times are seconds.

    Attributes:
        name: what its budget, breaker, cache and statistics are kept under, over all processes.
        url: base address; a path is appended to it.
        limits: all hold at once, each over all processes that share the database.
        headers: sent with every request and not secret, e.g. `User-Agent`.
        hosts: other addresses (`https://www.example.org`) that secrets may be sent to as well.
        timeout: to connect, and between two pieces of an answer.
        whole: for one whole answer.
        patience: a call that would wait longer for its turn raises SourceUnavailable, which says when.
        attempts: requests for one call, the first included; waits are 1, 2, 4, … s plus jitter.
        busy_statuses: what the vendor answers when it is asked too often; SEC: 403 as well.
        busy_for: how long it is left alone then, where it does not say (`Retry-After`).
        busy_at_most: how long at most, whatever it says.
        breaker_after: failures in a row, over all processes, after which it is left alone.
        breaker_for: for how long at first; doubled each time the probe fails, up to `breaker_at_most`.
        largest: bytes of an answer, unpacked.

    Raises:
        ParameterError: a name, an address or a number that cannot be.
    """

    name: str
    url: str
    limits: tuple[Limit, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    timeout: tuple[float, float] = (5.0, 30.0)
    whole: float = 120.0
    patience: float = 120.0
    attempts: int = 4
    busy_statuses: tuple[int, ...] = (429,)
    busy_for: float = 5.0
    busy_at_most: float = 3600.0
    breaker_after: int = 5
    breaker_for: float = 30.0
    breaker_at_most: float = 600.0
    largest: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ParameterError(f"name={self.name!r} must be like alpaca: a-z, 0-9, _ or -, at most 64.")
        for address in (self.url, *self.hosts):
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
                raise ParameterError(
                    f"vendor {self.name}: an address must be like https://host, without user or query.",
                    remedy="keys go into headers or secrets, never into an address.",
                )
        times = (*self.timeout, self.whole, self.busy_for, self.busy_at_most, self.breaker_for, self.breaker_at_most)
        if not all(math.isfinite(value) and value > 0 for value in times) or self.busy_at_most > MOST_LIMITED:
            raise ParameterError(
                f"vendor {self.name}: times must be finite numbers of seconds above 0, busy_at_most at most a day."
            )
        if not 0 <= self.patience <= MOST_AHEAD:
            raise ParameterError(f"vendor {self.name}: patience={self.patience!r} must be from 0 to {MOST_AHEAD:g} s.")
        if min(self.attempts, self.breaker_after, self.largest) < 1:
            raise ParameterError(f"vendor {self.name}: attempts, breaker_after and largest must be at least 1.")
        if len({limit.window_us for limit in self.limits}) < len(self.limits):
            raise ParameterError(f"vendor {self.name}: two limits have the same window; give the smaller one only.")
        object.__setattr__(self, "limits", tuple(self.limits))
        object.__setattr__(self, "headers", dict(self.headers))
