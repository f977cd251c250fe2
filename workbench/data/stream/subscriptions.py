"""Subscriptions: who wants to hear what, and what therefore has to be asked of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from workbench.data.source import symbols_of
from workbench.data.stream.article import Article
from workbench.data.stream.batch import Batch
from workbench.data.stream.events import CHANNELS
from workbench.data.stream.symbol_table import SymbolTable
from workbench.errors import ParameterError

EVERYTHING: Final = "*"
Wanted = dict[str, frozenset[str]]  # by the vendor's name of the channel


@dataclass(frozen=True, slots=True)
class Subscription:
    """One handler and what it hears.

    Attributes:
        channel: name in `CHANNELS`.
        symbols: `*` among them: everything that the server sends.
        each: it is called once for each event; otherwise with batches.
    """

    channel: str
    handler: Callable[[Any], object]
    symbols: frozenset[str]
    each: bool = False


class Subscriptions:
    """All subscriptions of a stream. Any thread may change them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: tuple[Subscription, ...] = ()

    def add(self, subscription: Subscription) -> None:
        """One more; the same handler may be there several times."""
        with self._lock:
            self._all = (*self._all, subscription)

    def remove(self, channel: str, symbols: Iterable[str]) -> None:
        """No handler of the channel hears of these symbols by name any more; none named: the channel is left."""
        gone = frozenset(symbols)
        with self._lock:
            self._all = tuple(
                kept for one in self._all for kept in ([one] if one.channel != channel else _without(one, gone))
            )

    def remove_refused(self, refused: Mapping[str, frozenset[str]]) -> None:
        """Leave what the server has refused, named as it names channels."""
        for name, channel in CHANNELS.items():
            if refused.get(channel.wire):
                self.remove(name, refused[channel.wire])

    def wanted(self) -> Wanted:
        """What has to be subscribed to, by the vendor's names; no empty channel."""
        found: Wanted = {}
        for one in self._all:
            wire = CHANNELS[one.channel].wire
            found[wire] = found.get(wire, frozenset()) | one.symbols
        return found

    def symbols(self, channel: str) -> frozenset[str]:
        """The symbols of a channel, `*` among them where everything is wanted."""
        return self.wanted().get(CHANNELS[channel].wire, frozenset())

    def of_batch(self, batch: Batch, table: SymbolTable) -> list[tuple[Subscription, Batch]]:
        """Who hears what of a batch."""
        found = []
        for one in self._all:
            if one.channel != batch.channel.name:
                continue
            if EVERYTHING in one.symbols:
                found.append((one, batch))
                continue
            numbers = [number for number in map(table.find, one.symbols) if number is not None]
            rows = batch.rows[np.isin(batch.rows["symbol"], numbers)]
            if len(rows):
                found.append((one, batch if len(rows) == len(batch) else Batch(batch.channel, rows, table)))
        return found

    def of_articles(self, articles: tuple[Article, ...]) -> list[tuple[Subscription, tuple[Article, ...]]]:
        """Who hears of which articles."""
        found = []
        for one in self._all:
            if one.channel == "news":
                heard = tuple(a for a in articles if EVERYTHING in one.symbols or one.symbols & set(a.symbols))
                if heard:
                    found.append((one, heard))
        return found


def named(symbols: Sequence[str | Sequence[str]]) -> frozenset[str]:
    """Symbols given one by one, or in lists. Raises ParameterError."""
    if not all(isinstance(one, (str, Sequence)) for one in symbols):
        raise ParameterError(f"symbols={symbols!r} are no symbols.", remedy="write 'AAPL', 'MSFT' or ['AAPL', 'MSFT'].")
    return frozenset(symbols_of([name for one in symbols for name in ([one] if isinstance(one, str) else one)]))


def _without(one: Subscription, gone: frozenset[str]) -> list[Subscription]:
    symbols = one.symbols - gone if gone else frozenset[str]()
    return [replace(one, symbols=symbols)] if symbols else []
