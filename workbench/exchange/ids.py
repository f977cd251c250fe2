"""New ids of orders, fills and activities: random UUIDs of version 4, made in batches because each of them counts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BATCH = 256


def fresh(random: Callable[[int], bytes] = os.urandom) -> Callable[[], str]:
    """A function that gives a new id at each call; `random(n)` gives n random bytes."""

    def stream() -> Iterator[str]:
        while True:
            text = random(16 * _BATCH).hex()
            for start in range(0, 32 * _BATCH, 32):
                found = text[start : start + 32]
                variant = "89ab"[int(found[16], 16) & 3]
                yield f"{found[:8]}-{found[8:12]}-4{found[13:16]}-{variant}{found[17:20]}-{found[20:]}"

    return stream().__next__
