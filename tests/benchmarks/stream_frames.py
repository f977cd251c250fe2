"""Frames of made-up trades and quotes, written by numpy: so fast that their server is never what is measured."""

from __future__ import annotations

import msgpack
import numpy as np

SYMBOLS = 500
START = 1_700_000_000 * 10**9
_STEP = 7_919  # ns between events


class Market:
    """Trades and quotes of `SYMBOLS` symbols in turn, without an end; each event is a new one."""

    def __init__(self, events: int, seed: int = 7) -> None:
        """`events` per frame: an even number."""
        self.events, self._pairs, self._sent = events, events // 2, 0
        self._rng = np.random.default_rng(seed)
        self._prices = np.full(SYMBOLS, 100.0)
        rows = []
        for number in range(SYMBOLS):
            trade = _message(number, "t", {"i": 1 << 63, "x": "V", "p": 0.0, "s": 0.0, "c": ["@"], "z": "C"})
            quote = _message(
                number, "q", {"bx": "V", "bp": 0.0, "bs": 3.0, "ax": "V", "ap": 0.0, "as": 4.0, "c": ["R"], "z": "C"}
            )
            rows.append(np.frombuffer(trade + quote, dtype=np.uint8))
        self._templates = np.array(rows)
        sample, first = (
            bytes(rows[0]),
            len(_message(0, "t", {"i": 1 << 63, "x": "V", "p": 0.0, "s": 0.0, "c": ["@"], "z": "C"})),
        )
        self._key = sample.index(b"\xa1i\xcf") + 3
        self._price, self._size = sample.index(b"\xa1p\xcb") + 3, sample.index(b"\xa1s\xcb") + 3
        self._bid, self._ask = sample.index(b"\xa2bp\xcb") + 4, sample.index(b"\xa2ap\xcb") + 4
        self._times = [sample.index(b"\xa1t\xd7\xff") + 4, sample.index(b"\xa1t\xd7\xff", first) + 4]

    def frame(self) -> bytes:
        """The next frame: a msgpack array of `events` messages."""
        order = np.arange(self._sent, self._sent + self._pairs)
        owner = order % SYMBOLS
        moves = self._rng.normal(0.0, 0.0005, self._pairs)
        prices = self._prices[owner] * (1.0 + moves)
        self._prices[owner] = prices
        rows = self._templates[owner]
        _put(rows, self._key, (order + 1).astype(">u8"))
        _put(rows, self._price, prices.astype(">f8"))
        _put(rows, self._size, (1.0 + order % 400).astype(">f8"))
        _put(rows, self._bid, (prices - 0.01).astype(">f8"))
        _put(rows, self._ask, (prices + 0.01 + 0.001 * (order % 7)).astype(">f8"))
        for place, offset in zip(self._times, (0, 1), strict=True):
            moments = START + _STEP * (2 * order + offset)
            _put(rows, place, (((moments % 10**9) << 34) | (moments // 10**9)).astype(">u8"))
        self._sent += self._pairs
        return b"\xdc" + self.events.to_bytes(2, "big") + rows.tobytes()


def _message(number: int, letter: str, fields: dict) -> bytes:
    packed: bytes = msgpack.packb(
        {"T": letter, "S": f"S{number:03}"} | fields | {"t": msgpack.Timestamp(1_700_000_000, 1)}
    )
    return packed


def _put(rows: np.ndarray, place: int, values: np.ndarray) -> None:
    rows[:, place : place + 8] = values.view(np.uint8).reshape(-1, 8)
