"""What has been seen already: a bounded memory of events for the kernels, so that each counts once."""

from __future__ import annotations

import numpy as np

from workbench.data.stream.compiled import Row, Whole, inlined

_CANONICAL_NAN = 0x7FF8000000000000
_US = 1_000


def new_memory(events: int) -> np.ndarray:
    """A memory of at least the last `events` events, (2 × power of two) hashes: this generation's and the last one's.

    Two events are taken for the same where 64 bits of their hashes agree: with 65,536 remembered that happens once in
    10¹⁴ events by chance.
    """
    size = 2
    while size < 2 * events:
        size *= 2
    return np.zeros((2, size), dtype=np.uint64)


@inlined
def is_new(memory: np.ndarray, count: np.ndarray, identity: Whole) -> Whole:
    """Whether an event has not been seen; from now on it has. `count` holds how many this generation remembers."""
    mask = np.int64(memory.shape[1] - 1)
    if identity == 0:  # an empty place is 0
        identity = np.uint64(1)
    for generation in (1, 0):
        place = np.int64(identity & np.uint64(mask))
        while memory[generation, place] != 0:
            if memory[generation, place] == identity:
                return False
            place = (place + 1) & mask
    memory[0, place] = identity
    count[0] += 1
    if 2 * count[0] > mask:
        memory[1, :] = memory[0, :]
        memory[0, :] = 0
        count[0] = 0
    return True


@inlined
def identity_of(row: Row, numbers: Whole) -> Whole:
    """What names an event: kind, symbol, moment, the vendor's number of it, and its first numbers (2 or 5).

    The moment counts in microseconds, since what a vendor tells again over REST may have lost the rest. A trade
    without a number is the same as another with the same moment, price and size: nothing else tells them apart.
    """
    mixed = _mix(np.uint64(0), np.uint64(row["kind"]))
    mixed = _mix(mixed, np.uint64(row["symbol"]))
    mixed = _mix(mixed, np.uint64(row["time"] // _US))
    mixed = _mix(mixed, np.uint64(row["key"]))
    mixed = _mix(mixed, _bits(row["v0"]))
    mixed = _mix(mixed, _bits(row["v1"]))
    if numbers > 2:
        mixed = _mix(mixed, _bits(row["v2"]))
        mixed = _mix(mixed, _bits(row["v3"]))
        mixed = _mix(mixed, _bits(row["v4"]))
    return mixed


@inlined
def _mix(mixed: Whole, value: Whole) -> Whole:
    """One step of a multiplicative hash with a xor-shift after it (constants of MurmurHash3's finalizer)."""
    mixed = (mixed ^ value) * np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(29))


@inlined
def _bits(value: float) -> Whole:
    return np.uint64(_CANONICAL_NAN) if value != value else np.float64(value).view(np.uint64)  # noqa: PLR0124 - NaN
