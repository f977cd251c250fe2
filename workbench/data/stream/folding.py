"""Folding: the thread behind the buffer: it fills gaps, folds events into the state, and calls the handlers."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.stream.article import Article
from workbench.data.stream.batch import batches_of
from workbench.data.stream.buffer import Ring
from workbench.data.stream.counts import Counts
from workbench.data.stream.events import BAD, CHANNELS, DUPLICATE
from workbench.data.stream.gap import (
    MOST_SYMBOLS,
    Filling,
    Gap,
    articles_of,
    asked,
    can_fill,
    listened_channels,
    rows_of,
)
from workbench.data.stream.state import NEVER, TickState
from workbench.data.stream.subscriptions import EVERYTHING, Subscription, Subscriptions
from workbench.trace import get_logger

_LOOK_SECONDS = 0.2  # how soon the end is seen where nothing comes
_REMEMBERED_ARTICLES = 65_536
_REMEMBERED_GAPS = 1_000
_LOGGED_FAILURES = 10  # of handlers; later ones are only counted
OVERLAP_NS: Final = 10 * 1_000_000_000  # venues may report a trade ten seconds late: so far before a gap is asked again
_BAR_OVERLAP_NS: Final = 120 * 1_000_000_000


class Folding:
    """The only one who folds and who calls handlers, from one thread.

    Args:
        most, linger: a batch holds at most so many events, and its first waits at most so many seconds.
        fill: a source with methods named after channels, or None.
        delay: how many seconds the feed is behind by agreement.
        clock: ns since 1970.
        failed: told when this thread ends by an error of its own.
    """

    def __init__(
        self,
        ring: Ring,
        state: TickState,
        subscriptions: Subscriptions,
        counts: Counts,
        *,
        most: int,
        linger: float,
        fill: object | None,
        delay: float,
        clock: Callable[[], int],
        failed: Callable[[str], None],
    ) -> None:
        self._ring, self._state, self._subscriptions, self._counts = ring, state, subscriptions, counts
        self._most, self._linger, self._fill, self._clock = most, linger, fill, clock
        self._delay_ns, self._failed = int(delay * 1e9), failed
        self._seen_articles: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._newest_article = NEVER
        self.gaps: deque[Filling] = deque(maxlen=_REMEMBERED_GAPS)
        self.trouble = ""
        self._ending = threading.Event()
        self._log = get_logger(__name__)

    def run(self) -> None:
        """Work until `end`, then take what is still in the ring."""
        try:
            while True:
                item = self._ring.take(self._most, self._linger, patience=_LOOK_SECONDS)
                if item is None:
                    if self._ending.is_set():
                        return
                elif isinstance(item, np.ndarray):
                    self._events(item)
                elif isinstance(item, Gap):
                    self._close_gap(item)
                else:
                    self._articles((item,))
        except Exception as error:  # noqa: BLE001 - a thread's failure must be seen, not printed
            self._failed(f"the folding failed: {type(error).__name__}: {error}")

    def end(self) -> None:
        """Let `run` come to its end."""
        self._ending.set()
        self._ring.close()

    # ---- events and articles

    def _events(self, rows: np.ndarray) -> int:
        """Fold rows and hand on those that are new and can be true; returns how many these are."""
        self._state.fold(rows)
        good = (rows["flags"] & (DUPLICATE | BAD)) == 0
        rows = rows if good.all() else rows[good]
        for batch in batches_of(rows, self._state.symbols) if len(rows) else ():
            heard = np.zeros(len(batch), dtype=bool)
            for subscription, part in self._subscriptions.of_batch(batch, self._state.symbols):
                heard |= True if part is batch else np.isin(batch.rows["symbol"], part.rows["symbol"])
                self._call(subscription, part)
            self._counts.handed_on += int(heard.sum())
        return len(rows)

    def _articles(self, articles: tuple[Article, ...]) -> int:
        fresh = tuple(article for article in articles if self._is_new(article))
        for subscription, part in self._subscriptions.of_articles(fresh):
            self._call(subscription, part)
        self._counts.articles += len(fresh)
        return len(fresh)

    def _is_new(self, article: Article) -> bool:
        happened = article.happened.value
        identity = (article.key, happened // 1_000)
        if identity in self._seen_articles:
            self._counts.duplicate_articles += 1
            return False
        self._seen_articles[identity] = None
        if len(self._seen_articles) > _REMEMBERED_ARTICLES:
            self._seen_articles.popitem(last=False)
        self._counts.late_articles += happened < self._newest_article
        self._newest_article = max(self._newest_article, happened)
        return True

    def _call(self, subscription: Subscription, heard: Any) -> None:
        for given in heard if subscription.each else (heard,):
            try:
                subscription.handler(given)
            except Exception as error:  # noqa: BLE001 - the stream must outlive its handlers
                self._counts.handler_failures += 1
                self.trouble = f"a handler of {subscription.channel} raised {type(error).__name__}: {error}"
                if self._counts.handler_failures <= _LOGGED_FAILURES:
                    self._log.exception("a handler of a stream failed", channel=subscription.channel)

    # ---- gaps

    def _close_gap(self, gap: Gap) -> None:
        while not gap.settled.wait(_LOOK_SECONDS):
            if self._ending.is_set():
                return
        if (
            gap.until is None
        ):  # the connection was lost again before it listened: the next gap begins where this one did
            return
        for channel in listened_channels(gap):
            self._counts.gaps += 1
            filling = self._filling(gap, channel)
            self.gaps.append(filling)
            self._counts.filled += filling.events
            if filling.trouble:
                self._counts.unfilled += 1
                self._log.warning("a gap was not filled", channel=channel, trouble=filling.trouble)

    def _filling(self, gap: Gap, channel: str) -> Filling:
        assert gap.until is not None
        end = gap.until - self._delay_ns
        newest = self._newest_article if channel == "news" else self._state.newest(CHANNELS[channel].code)
        overlap = _BAR_OVERLAP_NS if channel == "bars" else OVERLAP_NS
        start = min(gap.since if newest == NEVER else newest - overlap, end)
        symbols, trouble = self._missed(gap, channel)
        events = 0
        if not trouble:
            try:
                found = asked(self._fill, channel, symbols, start, end)
                if channel == "news":
                    events = self._articles(articles_of(found, self._clock()))
                else:
                    rows = rows_of(found, channel, self._state.symbols, self._clock())
                    events = sum(
                        self._events(rows[first : first + self._most]) for first in range(0, len(rows), self._most)
                    )
            except Exception as error:  # noqa: BLE001 - whatever a source does, the stream goes on and says so
                trouble = f"{type(error).__name__}: {getattr(error, 'message', error)}"
        return Filling(channel, pd.Timestamp(start, tz="UTC"), pd.Timestamp(end, tz="UTC"), events, gap.why, trouble)

    def _missed(self, gap: Gap, channel: str) -> tuple[tuple[str, ...], str]:
        """Which symbols to ask for, and why none can be asked for."""
        if self._fill is None:
            return (), "no source was given to fill gaps from"
        if not can_fill(self._fill, channel):
            return (), f"the source that fills gaps has no {channel}"
        symbols = gap.listened[CHANNELS[channel].wire]
        if EVERYTHING in symbols:
            symbols = frozenset(self._state.symbols.names) | (symbols - {EVERYTHING})
        if not symbols:
            return (), "no symbol has been seen yet"
        if len(symbols) > MOST_SYMBOLS:
            return (), f"{len(symbols)} symbols are more than the {MOST_SYMBOLS} that a source is asked for"
        return tuple(sorted(symbols)), ""
