"""Decoder: frames in, rows of events out; a frame that cannot be read is refused as a whole and counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workbench.data.stream import walk
from workbench.data.stream.article import Article
from workbench.data.stream.events import BY_LETTER, ROW
from workbench.data.stream.messages import CONTROL, article_of, row_of, unpacked
from workbench.data.stream.symbol_table import SymbolTable
from workbench.errors import BadData, ParameterError

_LEAST_EVENT: Final = 16  # bytes of the shortest message that can be an event: letter, symbol, moment
_FIRST_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one frame said.

    Attributes:
        rows: one per event, in the order of the frame; valid until the next frame is decoded. Events that the kernel
            left to the slow path come last.
        controls: messages about the connection itself.
        articles: news.
        others: messages of channels that nobody here reads, and single messages without a symbol or a moment.
    """

    rows: np.ndarray
    controls: Sequence[Mapping[str, Any]] = ()
    articles: Sequence[Article] = ()
    others: int = 0


class Decoder:
    """Decodes the frames of one connection. Used from one thread."""

    def __init__(self, symbols: SymbolTable | None = None) -> None:
        self.symbols = SymbolTable() if symbols is None else symbols
        self._rows = np.zeros(_FIRST_ROWS, dtype=ROW)
        self._spans = np.zeros((64, 2), dtype=np.int64)
        self._progress = np.zeros(walk.PROGRESS, dtype=np.int64)
        self._new: set[str] = set()  # symbols that this frame has brought

    def decode(self, frame: bytes | bytearray | memoryview | str, learned: int) -> Decoded:
        """Read one frame: msgpack where it is bytes, JSON where it is text.

        Args:
            learned: when it arrived, ns since 1970; stands in every row.

        Raises:
            BadData: the frame is not an array of maps, or is cut; nothing of it was taken.
        """
        self._new.clear()
        try:
            if isinstance(frame, str):
                return self._by_hand(_parsed(frame), learned, self._rows[:0])
            return self._walked(frame, learned)
        except BadData:
            self.symbols.forget(self._new)
            raise

    def _walked(self, frame: bytes | bytearray | memoryview, learned: int) -> Decoded:
        seen, progress = np.frombuffer(frame, dtype=np.uint8), self._progress
        if walk.begin(seen, progress) != walk.DONE:
            raise _unreadable(len(seen))
        self._make_room(min(int(progress[walk.LEFT]), len(seen) // _LEAST_EVENT + 1), int(progress[walk.LEFT]))
        while True:
            table = self.symbols
            outcome = walk.walk(seen, progress, self._rows, self._spans, table.slots, table.words, learned)
            if outcome == walk.DONE:
                break
            if outcome == walk.FULL and len(self._spans) < progress[walk.SPANS] + progress[walk.LEFT]:
                self._spans = np.concatenate([self._spans, np.zeros_like(self._spans)])
            elif outcome != walk.UNKNOWN_SYMBOL or not self._learned_symbol(seen):
                raise _unreadable(len(seen))
        rows = self._rows[: progress[walk.ROWS]]
        spans = self._spans[: progress[walk.SPANS]].tolist()
        if not spans:
            return Decoded(rows)
        return self._by_hand([unpacked(bytes(seen[first:last])) for first, last in spans], learned, rows)

    def _learned_symbol(self, seen: np.ndarray) -> bool:
        at, length = int(self._progress[walk.SYMBOL_AT]), int(self._progress[walk.SYMBOL_LENGTH])
        try:
            symbol = bytes(seen[at : at + length]).decode()
        except UnicodeDecodeError:
            return False
        return self._number(symbol) is not None

    def _by_hand(self, messages: Sequence[Any], learned: int, rows: np.ndarray) -> Decoded:
        controls: list[Mapping[str, Any]] = []
        articles: list[Article] = []
        made: list[np.ndarray] = []
        others = 0
        for message in messages:
            letter = message.get("T")
            channel = BY_LETTER.get(letter) if isinstance(letter, str) else None
            article = article_of(message, learned) if letter == "n" else None
            row = None
            if channel is not None:
                number = self._number(message.get("S"))
                row = None if number is None else row_of(message, channel, number, learned)
            if row is not None:
                made.append(row)
            elif article is not None:
                articles.append(article)
            elif isinstance(letter, str) and letter in CONTROL:
                controls.append(message)
            else:
                others += 1
        return Decoded(np.concatenate([rows, *made]) if made else rows, controls, articles, others)

    def _number(self, symbol: Any) -> int | None:
        if not isinstance(symbol, str):
            return None
        known = self.symbols.find(symbol)
        if known is not None:
            return known
        try:
            number = self.symbols.number(symbol)
        except ParameterError:
            return None
        self._new.add(symbol)
        return number

    def _make_room(self, rows: int, messages: int) -> None:
        if len(self._rows) < rows:
            self._rows = np.zeros(max(rows, 2 * len(self._rows)), dtype=ROW)
        if len(self._spans) > max(64, 4 * messages):  # a frame of many controls is rare: its room is given back
            self._spans = np.zeros((64, 2), dtype=np.int64)


def _parsed(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(len(text)) from error
    if not isinstance(found, list) or not all(isinstance(message, dict) for message in found):
        raise _unreadable(len(text))
    return found


def _unreadable(size: int) -> BadData:
    return BadData(
        f"a frame of {size} bytes is no array of messages; nothing of it was taken.",
        remedy="nothing needs to be done: it is counted, and the stream goes on.",
    )
