"""The values of a msgpack frame, read by kernels: lengths, texts, numbers, moments, and the way past anything else.

Format: the msgpack specification, with the Timestamp extension −1 in its three lengths. Every reader takes a position
and the end of the frame, reads nothing behind that end, and answers with the position after the value, −1 where the
value is not what was looked for or is cut.
"""

from __future__ import annotations

import numpy as np

from workbench.data.stream.compiled import Whole, compiled, inlined

NOT_A_NUMBER, REAL, WHOLE, NIL = 0, 1, 2, 3
_NS = 1_000_000_000
_MOST_SECONDS = 9_223_372_036  # what 64 bits of nanoseconds can hold


@inlined
def byte(frame: np.ndarray, at: Whole) -> Whole:
    """One byte; the caller has checked that it is there."""
    return np.int64(frame[np.uintp(at)])  # without sign: nobody has to ask whether the index is below zero


@inlined
def read_big(frame: np.ndarray, at: Whole, length: Whole) -> Whole:
    """A big-endian whole number without sign, of 1, 2 or 4 bytes; the caller has checked that they are there."""
    found = np.int64(0)
    for place in range(length):
        found = (found << 8) | byte(frame, at + place)
    return found


@inlined
def read_bits(frame: np.ndarray, at: Whole) -> Whole:
    """Eight bytes, big-endian; the caller has checked that they are there."""
    # Written out: so the compiler sees that it is one load.
    return (
        (_unsigned(frame, at) << np.uint64(56))
        | (_unsigned(frame, at + 1) << np.uint64(48))
        | (_unsigned(frame, at + 2) << np.uint64(40))
        | (_unsigned(frame, at + 3) << np.uint64(32))
        | (_unsigned(frame, at + 4) << np.uint64(24))
        | (_unsigned(frame, at + 5) << np.uint64(16))
        | (_unsigned(frame, at + 6) << np.uint64(8))
        | _unsigned(frame, at + 7)
    )


@inlined
def read_word(frame: np.ndarray, at: Whole) -> Whole:
    """Eight bytes, little-endian; the caller has checked that they are there."""
    return (
        _unsigned(frame, at)
        | (_unsigned(frame, at + 1) << np.uint64(8))
        | (_unsigned(frame, at + 2) << np.uint64(16))
        | (_unsigned(frame, at + 3) << np.uint64(24))
        | (_unsigned(frame, at + 4) << np.uint64(32))
        | (_unsigned(frame, at + 5) << np.uint64(40))
        | (_unsigned(frame, at + 6) << np.uint64(48))
        | (_unsigned(frame, at + 7) << np.uint64(56))
    )


@inlined
def _unsigned(frame: np.ndarray, at: Whole) -> Whole:
    return np.uint64(frame[np.uintp(at)])


@inlined
def read_pairs(frame: np.ndarray, at: Whole, end: Whole) -> tuple[Whole, Whole]:
    """Position after the head of a map, and how many pairs it has; position −1 where it is no map."""
    if at >= end:
        return -1, 0
    code = byte(frame, at)
    if 0x80 <= code <= 0x8F:
        after, count = at + 1, code & 0x0F
    elif code == 0xDE and at + 3 <= end:
        after, count = at + 3, read_big(frame, at + 1, 2)
    elif code == 0xDF and at + 5 <= end:
        after, count = at + 5, read_big(frame, at + 1, 4)
    else:
        return -1, 0
    if 2 * count > end - after:
        return -1, 0
    return after, count


@inlined
def read_text(frame: np.ndarray, at: Whole, end: Whole) -> tuple[Whole, Whole, Whole]:
    """First byte and length of a text, and the position after it; −1 there where it is no text."""
    if at >= end:
        return 0, 0, -1
    code = byte(frame, at)
    if 0xA0 <= code <= 0xBF:
        first, length = at + 1, code & 0x1F
    elif code == 0xD9 and at + 2 <= end:
        first, length = at + 2, byte(frame, at + 1)
    elif code == 0xDA and at + 3 <= end:
        first, length = at + 3, read_big(frame, at + 1, 2)
    elif code == 0xDB and at + 5 <= end:
        first, length = at + 5, read_big(frame, at + 1, 4)
    else:
        return 0, 0, -1
    if length > end - first:
        return 0, 0, -1
    return first, length, first + length


@inlined
def read_number(frame: np.ndarray, at: Whole, end: Whole) -> tuple[float, Whole, Whole, Whole]:  # noqa: C901, PLR0911, PLR0912
    """A number as float and (where it is one) as whole number, its form, and the position after it; −1 if it is none.

    A whole number without sign above 2⁶³ keeps its bits in the second place; the first holds its value.
    """
    if at >= end:
        return np.nan, 0, NOT_A_NUMBER, -1
    code = byte(frame, at)
    left = end - at - 1
    whole = np.int64(0)
    if code <= 0x7F:
        return float(code), code, WHOLE, at + 1
    if code >= 0xE0:
        return float(code - 256), code - 256, WHOLE, at + 1
    if code == 0xCB and left >= 8:
        return np.uint64(read_bits(frame, at + 1)).view(np.float64), 0, REAL, at + 9
    if code == 0xCC and left >= 1:
        whole = byte(frame, at + 1)
        return float(whole), whole, WHOLE, at + 2
    if code == 0xCD and left >= 2:
        whole = read_big(frame, at + 1, 2)
        return float(whole), whole, WHOLE, at + 3
    if code == 0xCE and left >= 4:
        whole = read_big(frame, at + 1, 4)
        return float(whole), whole, WHOLE, at + 5
    if code == 0xCF and left >= 8:
        bits = read_bits(frame, at + 1)
        return np.float64(bits), np.uint64(bits).view(np.int64), WHOLE, at + 9
    if code == 0xD0 and left >= 1:
        whole = byte(frame, at + 1)
        whole = whole - 256 if whole >= 128 else whole
        return float(whole), whole, WHOLE, at + 2
    if code == 0xD1 and left >= 2:
        whole = read_big(frame, at + 1, 2)
        whole = whole - 65536 if whole >= 32768 else whole
        return float(whole), whole, WHOLE, at + 3
    if code == 0xD2 and left >= 4:
        whole = read_big(frame, at + 1, 4)
        whole = whole - 4294967296 if whole >= 2147483648 else whole
        return float(whole), whole, WHOLE, at + 5
    if code == 0xD3 and left >= 8:
        whole = np.uint64(read_bits(frame, at + 1)).view(np.int64)
        return float(whole), whole, WHOLE, at + 9
    if code == 0xCA and left >= 4:
        return float(np.uint32(read_big(frame, at + 1, 4)).view(np.float32)), 0, REAL, at + 5
    if code == 0xC0:
        return np.nan, 0, NIL, at + 1
    return np.nan, 0, NOT_A_NUMBER, -1


@inlined
def read_moment(frame: np.ndarray, at: Whole, end: Whole) -> tuple[Whole, bool, Whole]:
    """Nanoseconds of a Timestamp, whether it is one that fits, and the position after; −1 where nothing can be read."""
    if at >= end:
        return 0, False, -1
    code = byte(frame, at)
    left = end - at - 1
    seconds, ns, after = np.int64(0), np.int64(0), np.int64(0)
    if code == 0xD6 and left >= 5 and byte(frame, at + 1) == 0xFF:
        seconds, after = read_big(frame, at + 2, 4), at + 6
    elif code == 0xD7 and left >= 9 and byte(frame, at + 1) == 0xFF:
        bits = read_bits(frame, at + 2)
        ns, seconds = np.int64(bits >> np.uint64(34)), np.int64(bits & np.uint64(0x3FFFFFFFF))
        after = at + 10
    elif code == 0xC7 and left >= 14 and byte(frame, at + 1) == 12 and byte(frame, at + 2) == 0xFF:
        ns, seconds, after = read_big(frame, at + 3, 4), np.uint64(read_bits(frame, at + 7)).view(np.int64), at + 15
    else:
        return 0, False, skip(frame, at, end)
    if ns >= _NS:
        return 0, False, -1
    if seconds >= _MOST_SECONDS or seconds <= -_MOST_SECONDS:
        return 0, False, after
    return seconds * _NS + ns, True, after


@compiled
def skip(frame: np.ndarray, at: Whole, end: Whole) -> Whole:
    """The position after one value, whatever it is; −1 where it does not end within the frame."""
    pending, position = np.int64(1), at
    while pending > 0:
        position, children = _step(frame, position, end)
        if position < 0:
            return -1
        pending += children - 1
        if pending > end - position:
            return -1
    return position


@compiled
def _step(frame: np.ndarray, at: Whole, end: Whole) -> tuple[Whole, Whole]:  # noqa: C901, PLR0911, PLR0912
    """The position after a value's own bytes, and how many values lie inside it; position −1 where it is cut."""
    if at >= end:
        return -1, 0
    code = byte(frame, at)
    left = end - at - 1
    size = np.int64(0)
    if code <= 0x7F or code >= 0xE0 or code == 0xC0 or code in (0xC2, 0xC3):
        return at + 1, 0
    if code <= 0x8F:
        return at + 1, 2 * (code & 0x0F)
    if code <= 0x9F:
        return at + 1, code & 0x0F
    if code <= 0xBF:
        size = 1 + (code & 0x1F)
    elif code in (0xC4, 0xD9):
        if left < 1:
            return -1, 0
        size = 2 + byte(frame, at + 1)
    elif code in (0xC5, 0xDA):
        if left < 2:
            return -1, 0
        size = 3 + read_big(frame, at + 1, 2)
    elif code in (0xC6, 0xDB):
        if left < 4:
            return -1, 0
        size = 5 + read_big(frame, at + 1, 4)
    elif 0xC7 <= code <= 0xC9:
        width = np.int64(1) << (code - 0xC7)
        if left < width + 1:
            return -1, 0
        length = read_big(frame, at + 1, width)
        size = 2 + width + length
        if byte(frame, at + 1 + width) == 0xFF and not _is_timestamp(frame, at + 2 + width, length, end):
            return -1, 0
    elif 0xD4 <= code <= 0xD8:
        length = np.int64(1) << (code - 0xD4)
        size = 2 + length
        if left >= 1 and byte(frame, at + 1) == 0xFF and not _is_timestamp(frame, at + 2, length, end):
            return -1, 0
    elif code == 0xCA or code in (0xCE, 0xD2):
        size = np.int64(5)
    elif code == 0xCB or code in (0xCF, 0xD3):
        size = np.int64(9)
    elif code in (0xCC, 0xD0):
        size = np.int64(2)
    elif code in (0xCD, 0xD1):
        size = np.int64(3)
    elif code in (0xDC, 0xDE):
        if left < 2:
            return -1, 0
        return at + 3, read_big(frame, at + 1, 2) * (1 if code == 0xDC else 2)
    elif code in (0xDD, 0xDF):
        if left < 4:
            return -1, 0
        return at + 5, read_big(frame, at + 1, 4) * (1 if code == 0xDD else 2)
    else:  # 0xC1 is never used
        return -1, 0
    if size > end - at:
        return -1, 0
    return at + size, 0


@compiled
def _is_timestamp(frame: np.ndarray, at: Whole, length: Whole, end: Whole) -> Whole:
    """Whether the payload of an extension −1 is one: 4, 8 or 12 bytes, less than a second of nanoseconds."""
    if length > end - at:
        return False
    if length == 4:
        return True
    if length == 8:
        return np.int64(read_bits(frame, at) >> np.uint64(34)) < _NS
    return length == 12 and read_big(frame, at, 4) < _NS
