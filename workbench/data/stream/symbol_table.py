"""The symbols of a stream and their numbers: found by their bytes inside a kernel, without a Python object."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Final

import numpy as np

from workbench.errors import ParameterError

LONGEST: Final = 24  # bytes; an OCC symbol has 21
MOST: Final = 1 << 20  # more symbols than there are, options included, that anybody subscribes to
_WORDS = LONGEST // 8
_FIRST_SLOTS = 1024
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2⁶⁴ over the golden ratio: Knuth, The Art of Computer Programming 3, 6.4
_MASK = (1 << 64) - 1


class SymbolTable:
    """Symbols numbered from 0 in the order of their coming; an open-addressing table with linear probing.

    Any thread may add symbols while a kernel looks: it may miss the newest ones, and then asks for them here. A kernel
    must be given `slots` as they were before `words`: the words are never fewer than the slots speak of.

    Attributes:
        slots: (power of two) number + 1, or 0 for an empty place; at most half are taken.
        words: (symbol × 4) the bytes of each symbol, little-endian, and their count.
    """

    def __init__(self) -> None:
        self.slots = np.zeros(_FIRST_SLOTS, dtype=np.int32)
        self.words = np.zeros((_FIRST_SLOTS // 2, _WORDS + 1), dtype=np.uint64)
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    def number(self, symbol: str) -> int:
        """The number of a symbol, a new one where it is new.

        Raises:
            ParameterError: it is no symbol of 1 to 24 bytes, or the table is full.
        """
        with self._lock:
            known = self._numbers.get(symbol)
            return self._add(symbol) if known is None else known

    def find(self, symbol: str) -> int | None:
        """The number of a symbol, None where it has none."""
        return self._numbers.get(symbol)

    def forget(self, symbols: Collection[str]) -> None:
        """Forget those of these symbols behind which no other has come: they came in a frame that was refused."""
        with self._lock:
            count = len(self.names)
            while self.names and self.names[-1] in symbols:
                del self._numbers[self.names.pop()]
            if len(self.names) < count:
                self._rebuild(len(self.slots))

    def _add(self, symbol: str) -> int:
        coded = symbol.encode()
        if not 1 <= len(coded) <= LONGEST or not symbol.isprintable():
            raise ParameterError(
                f"symbol {symbol[:40]!r} has {len(coded)} bytes or cannot be printed; a symbol has 1 to {LONGEST}.",
                remedy="write it as the vendor does, e.g. AAPL, BRK.B, AAPL240315C00150000 or BTC/USD.",
            )
        if len(self.names) >= MOST:
            raise ParameterError(
                f"the stream has met {MOST} symbols and takes no more.", remedy="subscribe to fewer symbols."
            )
        number = len(self.names)
        self.names.append(symbol)
        self._numbers[symbol] = number
        if 2 * len(self.names) > len(self.slots):
            self._rebuild(2 * len(self.slots))
        else:
            self._put(number, self.slots, self.words)
        return number

    def _rebuild(self, size: int) -> None:
        slots, words = np.zeros(size, dtype=np.int32), np.zeros((size // 2, _WORDS + 1), dtype=np.uint64)
        for number in range(len(self.names)):
            self._put(number, slots, words)
        self.words = words  # the words first: see above
        self.slots = slots

    def _put(self, number: int, slots: np.ndarray, words: np.ndarray) -> None:
        made = packed(self.names[number].encode())
        words[number] = made
        place = hashed(made) & (len(slots) - 1)
        while slots[place]:
            place = (place + 1) & (len(slots) - 1)
        slots[place] = number + 1


def packed(symbol: bytes) -> list[int]:
    """The words of a symbol, as the kernel makes them."""
    padded = symbol.ljust(LONGEST, b"\0")
    return [int.from_bytes(padded[8 * word : 8 * word + 8], "little") for word in range(_WORDS)] + [len(symbol)]


def hashed(words: list[int]) -> int:
    """The hash of a symbol's words, as the kernel makes it."""
    mixed = 0
    for word in words:
        mixed = ((mixed ^ word) * _MULTIPLIER) & _MASK
        mixed ^= mixed >> 29
    return mixed
