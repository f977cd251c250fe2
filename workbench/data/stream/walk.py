"""The kernel that walks a msgpack frame: from bytes straight into rows of numbers, without an object per event.

A frame is an array of maps. Of each map it reads the message's letter `T`, its symbol `S`, its Timestamp `t` and the
numbers of its channel; every other key is passed over, whatever lies behind it. What it does not make a row of (news,
control messages, a moment written as text) it leaves as a span of bytes for the slow path in `messages`.

Format: the msgpack specification, with the Timestamp extension −1 in its three lengths. Every read is bounded by the
length of the frame, and a count of elements that the frame is too short for is refused before anything is walked.
"""

from __future__ import annotations

import numpy as np

from workbench.data.stream.compiled import Row, Whole, compiled, inlined
from workbench.data.stream.msgpack_values import (
    NIL,
    WHOLE,
    byte,
    read_big,
    read_moment,
    read_number,
    read_pairs,
    read_text,
    read_word,
    skip,
)

DONE, MALFORMED, UNKNOWN_SYMBOL, FULL = 0, 1, 2, 3
# The places of `progress`: where the walk stands, so that it can go on after the caller has done something.
POSITION, LEFT, ROWS, SPANS, SYMBOL_AT, SYMBOL_LENGTH = 0, 1, 2, 3, 4, 5
PROGRESS = 6

_LONGEST_SYMBOL = 24
# Slots of the numbers that a message can have; the order within a channel is that of its columns.
_P, _S, _BP, _AP, _BS, _AS, _O, _H, _L, _C, _V, _VW, _N = range(13)
_SLOTS = 13
_ID = 13
# What a message says beside its numbers.
_LETTER, _AT, _LENGTH, _VENUE, _KEY, _TIME, _TIMED, _PLAIN = range(8)
_SAID = 8
_ONE_LETTER, _TWO_LETTERS = 0xA1, 0xA2
_UPPER_T, _UPPER_S, _LOWER_X, _LOWER_T = 84, 83, 120, 116
# What a message says beside its numbers.
_LETTER, _AT, _LENGTH, _VENUE, _KEY, _TIME, _TIMED, _PLAIN = range(8)
_SAID = 8
_UPPER_T, _UPPER_S, _LOWER_X, _LOWER_T = 84, 83, 120, 116
# What a message says beside its numbers.
_LETTER, _AT, _LENGTH, _VENUE, _KEY, _TIME, _TIMED, _PLAIN = range(8)
_SAID = 8
_UPPER_T, _UPPER_S, _LOWER_X, _LOWER_T = 84, 83, 120, 116


@compiled
def begin(frame: np.ndarray, progress: np.ndarray) -> Whole:
    """Read the head of the frame: how many messages it says it has. Returns DONE or MALFORMED."""
    end = len(frame)
    progress[:] = 0
    if end == 0:
        return MALFORMED
    code = byte(frame, 0)
    if 0x90 <= code <= 0x9F:
        count, position = code & 0x0F, 1
    elif code == 0xDC and end >= 3:
        count, position = read_big(frame, 1, 2), 3
    elif code == 0xDD and end >= 5:
        count, position = read_big(frame, 1, 4), 5
    else:
        return MALFORMED
    if count > end - position:
        return MALFORMED
    progress[0], progress[1] = position, count
    return DONE


@compiled
def walk(  # noqa: PLR0917 - a kernel takes what it works on by position
    frame: np.ndarray,
    progress: np.ndarray,
    rows: np.ndarray,
    spans: np.ndarray,
    slots: np.ndarray,
    words: np.ndarray,
    learned: Whole,
) -> Whole:
    """Walk on from where `progress` stands.

    Args:
        frame: the bytes of one frame.
        progress: set by `begin`; where the walk stands on return.
        rows: receives one row per event.
        spans: receives (first byte, byte after the last) of each message left to the slow path.
        slots, words: of the `SymbolTable`.
        learned: the moment of the frame's arrival, ns.

    Returns:
        DONE; MALFORMED, and the whole frame is to be refused; UNKNOWN_SYMBOL, standing before a message whose symbol
        has no number yet; FULL, standing before a message for which `rows` or `spans` are too short.
    """
    end = len(frame)
    numbers = np.empty(_SLOTS, dtype=np.float64)
    said = np.empty(_SAID, dtype=np.int64)
    while progress[LEFT] > 0:
        position = _message(frame, progress[POSITION], end, numbers, said)
        if position < 0:
            return MALFORMED
        code = _code(said[_LETTER])
        if code == 0 or said[_TIMED] == 0 or said[_PLAIN] == 0 or not 0 < said[_LENGTH] <= _LONGEST_SYMBOL:
            if progress[SPANS] >= len(spans):
                return FULL
            span = spans[progress[SPANS]]
            span[0], span[1] = progress[POSITION], position
            progress[SPANS] += 1
        else:
            symbol = _find(frame, said[_AT], said[_LENGTH], slots, words)
            if symbol < 0:
                progress[SYMBOL_AT], progress[SYMBOL_LENGTH] = said[_AT], said[_LENGTH]
                return UNKNOWN_SYMBOL
            if progress[ROWS] >= len(rows):
                return FULL
            row = rows[progress[ROWS]]
            row["kind"], row["flags"], row["venue"], row["symbol"] = code, 0, said[_VENUE], symbol
            row["time"], row["learned"], row["key"] = said[_TIME], learned, said[_KEY]
            _write(row, code, numbers)
            progress[ROWS] += 1
        progress[POSITION] = position
        progress[LEFT] -= 1
    return DONE if progress[POSITION] == end else MALFORMED


@inlined
def _message(frame: np.ndarray, at: Whole, end: Whole, numbers: np.ndarray, said: np.ndarray) -> Whole:
    """Read one map into `numbers` and `said`; the position after it, −1 where it is none."""
    position, pairs = read_pairs(frame, at, end)
    numbers[:] = np.nan
    said[:] = 0
    said[_PLAIN] = 1
    for _ in range(pairs):
        if position < 0:
            return -1
        name = np.int64(0)
        code = byte(frame, position) if position + 3 <= end else 0
        if code == _ONE_LETTER:  # nearly every key
            name = byte(frame, position + 1)
            position += 2
        elif code == _TWO_LETTERS:
            name = byte(frame, position + 1) | (byte(frame, position + 2) << 8)
            position += 3
        else:
            first, length, position = read_text(frame, position, end)
            if position < 0:
                return -1
            if length == 1:
                name = byte(frame, first)
            elif length == 2:
                name = byte(frame, first) | (byte(frame, first + 1) << 8)
        if name in (_UPPER_T, _UPPER_S, _LOWER_X):
            position = _word(frame, position, end, name, said)
        elif name == _LOWER_T:
            said[_TIME], said[_TIMED], position = read_moment(frame, position, end)
        else:
            slot = _slot(name)
            position = skip(frame, position, end) if slot < 0 else _value(frame, position, end, slot, numbers, said)
    return position


@inlined
def _word(frame: np.ndarray, at: Whole, end: Whole, name: Whole, said: np.ndarray) -> Whole:
    """The letter, the symbol or the venue; where it is no text it is not said."""
    first, length, position = read_text(frame, at, end)
    if position < 0:
        length, position = np.int64(0), skip(frame, at, end)
    if name == _UPPER_T:
        said[_LETTER] = byte(frame, first) if length == 1 else 0
    elif name == _UPPER_S:
        said[_AT], said[_LENGTH] = first, length
    else:
        said[_VENUE] = byte(frame, first) if length > 0 else 0
        if length > 1:
            said[_VENUE] |= byte(frame, first + 1) << 8
    return position


@inlined
def _value(  # noqa: PLR0917 - as above
    frame: np.ndarray, at: Whole, end: Whole, slot: Whole, numbers: np.ndarray, said: np.ndarray
) -> Whole:
    """A number, or the vendor's name of a trade; where it is no number it is not said."""
    real, whole, form, position = read_number(frame, at, end)
    if position < 0:
        position = skip(frame, at, end)
    if slot == _ID:
        said[_KEY], said[_PLAIN] = whole, form in (WHOLE, NIL)
    else:
        numbers[slot] = real
    return position


@inlined
def _write(one: Row, code: Whole, numbers: np.ndarray) -> None:
    if code == 1:
        one["v0"], one["v1"] = numbers[_P], numbers[_S]
        one["v2"] = one["v3"] = one["v4"] = one["v5"] = one["v6"] = np.nan
    elif code == 2:
        one["v0"], one["v1"], one["v2"], one["v3"] = numbers[_BP], numbers[_AP], numbers[_BS], numbers[_AS]
        one["v4"] = one["v5"] = one["v6"] = np.nan
    else:
        one["v0"], one["v1"], one["v2"], one["v3"] = numbers[_O], numbers[_H], numbers[_L], numbers[_C]
        one["v4"], one["v5"], one["v6"] = numbers[_V], numbers[_VW], numbers[_N]


@inlined
def _code(letter: Whole) -> Whole:
    if letter == 116:  # t
        return 1
    if letter == 113:  # q
        return 2
    if letter == 98:  # b
        return 3
    if letter == 117:  # u
        return 4
    if letter == 100:  # d
        return 5
    return 0


@inlined
def _slot(name: Whole) -> Whole:  # noqa: C901, PLR0911 - a kernel has no dict
    if name < 256:
        if name == 112:
            return _P
        if name == 115:
            return _S
        if name == 105:
            return _ID
        if name == 99:
            return _C
        if name == 111:
            return _O
        if name == 104:
            return _H
        if name == 108:
            return _L
        if name == 118:
            return _V
        if name == 110:
            return _N
        return -1
    low, high = name & 0xFF, name >> 8
    if high == 112:  # …p
        return _BP if low == 98 else _AP if low == 97 else -1
    if high == 115:  # …s
        return _BS if low == 98 else _AS if low == 97 else -1
    return _VW if low == 118 and high == 119 else -1


@inlined
def _find(frame: np.ndarray, at: Whole, length: Whole, slots: np.ndarray, words: np.ndarray) -> Whole:
    """The number of the symbol at these bytes, −1 where it has none; `symbol_table.hashed` is the same hash."""
    if at + _LONGEST_SYMBOL <= len(frame):  # three loads; what lies behind the symbol is cut away
        first = read_word(frame, at) & _mask(length)
        second = read_word(frame, at + 8) & _mask(length - 8)
        third = read_word(frame, at + 16) & _mask(length - 16)
    else:
        first, second, third = np.uint64(0), np.uint64(0), np.uint64(0)
        for place in range(length):
            part = np.uint64(byte(frame, at + place)) << np.uint64(8 * (place & 7))
            if place < 8:
                first |= part
            elif place < 16:
                second |= part
            else:
                third |= part
    count = np.uint64(length)
    multiplier, shift = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
    mixed = first * multiplier
    mixed = ((mixed ^ (mixed >> shift)) ^ second) * multiplier
    mixed = ((mixed ^ (mixed >> shift)) ^ third) * multiplier
    mixed = ((mixed ^ (mixed >> shift)) ^ count) * multiplier
    mixed ^= mixed >> shift
    mask = np.int64(len(slots) - 1)
    at_slot = np.int64(mixed & np.uint64(mask))
    while slots[at_slot] != 0:
        number = slots[at_slot] - 1
        if (
            words[number, 0] == first
            and words[number, 1] == second
            and words[number, 2] == third
            and words[number, 3] == count
        ):
            return number
        at_slot = (at_slot + 1) & mask
    return -1


@inlined
def _mask(count: Whole) -> Whole:
    """The lowest `count` bytes of a word."""
    if count >= 8:
        return ~np.uint64(0)
    return np.uint64(0) if count <= 0 else (np.uint64(1) << np.uint64(8 * count)) - np.uint64(1)
