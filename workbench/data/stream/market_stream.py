"""MarketStream: market data of one endpoint as it happens: subscribe, start, read the state, stop."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Self

import pandas as pd

from workbench.data.access import Access
from workbench.data.stream.address import address_of
from workbench.data.stream.buffer import Ring
from workbench.data.stream.counts import Counts
from workbench.data.stream.decode import Decoder
from workbench.data.stream.events import BY_CODE
from workbench.data.stream.folding import Folding
from workbench.data.stream.gap import NEW_YORK
from workbench.data.stream.listening import Listening
from workbench.data.stream.moments import midnights
from workbench.data.stream.pacing import Pacing
from workbench.data.stream.stage import ENDED, FAILED, LIVE, STOPPED, Stage
from workbench.data.stream.state import TickState, Windows
from workbench.data.stream.subscriptions import Subscription, Subscriptions, named
from workbench.data.stream.warm_up import compile_kernels
from workbench.errors import DataError, ParameterError, SourceRefused, SourceUnavailable
from workbench.trace import get_logger

Handler = Callable[[Any], object]


class MarketStream:
    """Market data over one WebSocket, on two threads of its own; everything here is called from any thread.

    What happens to an event: it is decoded where it arrives, waits in a bounded buffer (the oldest are dropped and
    counted when it is full), is folded into the state of its symbol, and reaches the handlers in a batch of its
    channel. Late events are handed on and marked; duplicates and events that cannot be true are counted and are not.

    When a connection ends, a new one is made, with growing waits; everything is subscribed to again, and what was
    missed is asked of `fill`, handed on before anything newer, marked as filled. A wrong key, a feed outside the plan
    and a place that is taken end the stream: `state` is `failed` and `reason` says why.

    Args:
        url: `wss://host` and `feed`, or the whole address; empty: Alpaca's own.
        access: key and secret; they are sent to this address only and never shown.
        feed: `iex`, `sip`, `delayed_sip`, `opra`, `indicative`, `crypto`, `news`, `test`.
        fill: a source with any of the methods `trades`, `quotes`, `bars`, `news`, to fill gaps from; it is asked from a
            thread of the stream, so give it one that nobody else uses.
        windows: how far back the indicators of `ticks` look.
        days: the first moments of days, on which day figures begin anew (see `TickState`); None: midnights of New York,
            of UTC for coins.
        most, linger: a handler gets at most so many events at once, and the first of them has waited at most so many
            seconds for the others; 0: whatever is there.
        capacity: events that may wait.
        pacing: heartbeat, login, waits between tries.
        clock: ns since 1970; the arrival of an event.
        rng: spreads the waits between tries.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        *,
        feed: str = "",
        fill: object | None = None,
        windows: Windows | None = None,
        days: pd.DatetimeIndex | None = None,
        most: int = 1024,
        linger: float = 0.02,
        capacity: int = 65_536,
        pacing: Pacing | None = None,
        clock: Callable[[], int] = time.time_ns,
        rng: random.Random | None = None,
    ) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ParameterError(f"most={most!r} must be a whole number ≥ 1.", remedy="1024 is usual.")
        if not isinstance(linger, (int, float)) or not 0 <= linger <= 60:
            raise ParameterError(f"linger={linger!r} must lie in [0, 60] seconds.", remedy="0.02 is usual.")
        self.address = address_of(url, feed)
        self.ring = Ring(capacity)
        self._decoder = Decoder()
        usual = midnights(clock(), "UTC" if self.address.feed == "crypto" else NEW_YORK)
        self.ticks = TickState(self._decoder.symbols, windows=windows, days=usual if days is None else days)
        self._subscriptions, self._counts = Subscriptions(), Counts()
        self._stage = Stage(clock, get_logger(__name__).bind(stream=self.address.url))
        self._folding = Folding(
            self.ring,
            self.ticks,
            self._subscriptions,
            self._counts,
            most=most,
            linger=linger,
            fill=fill,
            delay=self.address.delay,
            clock=clock,
            failed=self._fail,
        )
        self._listening = Listening(
            self.address,
            access,
            decoder=self._decoder,
            ring=self.ring,
            subscriptions=self._subscriptions,
            counts=self._counts,
            pacing=pacing or Pacing(),
            clock=clock,
            rng=rng or random.Random(),
            told=self._stage.move,
        )
        self._threads: tuple[threading.Thread, ...] = ()

    def __repr__(self) -> str:
        return f"MarketStream({self.address.url!r}, state={self.state!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- what is wanted

    def subscribe_trades(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear trades: `handler(batch)`, or `handler(event)` for each where `each`; `"*"`: of every symbol."""
        self._subscribe("trades", handler, symbols, each=each)

    def subscribe_quotes(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear best bids and asks of stocks or coins."""
        self._subscribe("quotes", handler, symbols, each=each)

    def subscribe_option_quotes(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear best bids and asks of option contracts (OCC symbols); the feed is `opra` or `indicative`."""
        self._subscribe("option_quotes", handler, symbols, each=each)

    def subscribe_bars(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear minute bars when their minute has ended."""
        self._subscribe("bars", handler, symbols, each=each)

    def subscribe_updated_bars(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear minute bars again when trades reported late have changed them."""
        self._subscribe("updated_bars", handler, symbols, each=each)

    def subscribe_daily_bars(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear the bar of the running day, so far, after each minute."""
        self._subscribe("daily_bars", handler, symbols, each=each)

    def subscribe_news(self, handler: Handler, *symbols: str | Sequence[str], each: bool = False) -> None:
        """Hear news: `handler(articles)`, a tuple of `Article`, or `handler(article)` for each where `each`."""
        self._subscribe("news", handler, symbols, each=each)

    def unsubscribe(self, channel: str, *symbols: str | Sequence[str]) -> None:
        """Hear no more of these symbols in a channel; none named: of the whole channel."""
        self._subscriptions.remove(self._channel(channel), named(symbols) if symbols else ())
        self._listening.ask()

    # ---- its life

    def start(self) -> Self:
        """Connect in the background, and return at once. Raises DataError where it has been started before."""
        if self._threads:
            raise DataError("this stream has been started before.", remedy="make a new MarketStream.")
        compile_kernels()
        self._threads = (
            threading.Thread(target=self._folding.run, name="stream-folding", daemon=True),
            threading.Thread(target=self._listen, name="stream-listening", daemon=True),
        )
        for thread in self._threads:
            thread.start()
        return self

    def wait_live(self, seconds: float = 20.0) -> Self:
        """Wait until everything is subscribed to.

        Raises:
            SourceRefused: the server will not.
            SourceUnavailable: not within so many seconds; it is still tried.
        """
        state, reason = self._stage.wait_live(seconds)
        if state == LIVE:
            return self
        if state in ENDED:
            raise SourceRefused(f"the stream is {state}: {reason or 'somebody stopped it'}", remedy="see its reason.")
        raise SourceUnavailable(
            f"the stream is {state} after {seconds:g} s. {reason}".strip(), remedy="wait longer, or see `stats()`."
        )

    def stop(self, seconds: float = 10.0) -> None:
        """Close the connection, hand on what is still waiting, end both threads. Again and again does no harm.

        Raises:
            DataError: a handler, or a source that fills a gap, did not return within so many seconds.
        """
        self._listening.end()
        deadline = time.monotonic() + seconds
        if not self._threads:
            self._stage.move(STOPPED, "")
            return
        folding, listening = self._threads
        self._join(listening, deadline, again=self._listening.end)
        self._folding.end()
        self._join(folding, deadline)
        self._stage.move(STOPPED, "")

    @property
    def state(self) -> str:
        """`new`, `connecting`, `live`, `reconnecting`, `stopped` or `failed`."""
        return self._stage.state

    @property
    def reason(self) -> str:
        """Why it is in that state; empty where that needs no reason."""
        return self._stage.reason

    # ---- what can be seen

    def stats(self) -> pd.DataFrame:
        """One row: state, reason, trouble, and everything that is counted since the stream was made."""
        tally, (dropped, dropped_objects) = self.ticks.tally(), self.ring.dropped()
        counts = self._counts
        row = {
            "feed": self.address.feed,
            "state": self._stage.state,
            "reason": self._stage.reason,
            "since": self._stage.since,
            **asdict(counts),
            "reconnects": counts.reconnects,
            "events": int(tally["events"].sum()),
            "late": int(tally["late"].sum()) + counts.late_articles,
            "duplicates": int(tally["duplicates"].sum()) + counts.duplicate_articles,
            "bad": int(tally["bad"].sum()),
            "dropped": int(dropped.sum()) + dropped_objects,
            "waiting": len(self.ring),
            "most_waiting": self.ring.highest,
            "capacity": self.ring.capacity,
            "symbols": len(self.ticks.symbols),
            "trouble": self._folding.trouble or self._listening.trouble,
        }
        return pd.DataFrame([row], index=pd.Index([self.address.url], name="stream"))

    def channels(self) -> pd.DataFrame:
        """One row per channel of numbers: events folded, late, duplicates, bad, dropped."""
        dropped, _ = self.ring.dropped()
        return self.ticks.tally().assign(dropped=[int(dropped[code]) for code in BY_CODE])

    def gaps(self) -> pd.DataFrame:
        """One row per gap and channel: from when to when a source was asked, what was new, and what was not filled."""
        columns = ["channel", "start", "end", "events", "why", "trouble"]
        rows = [[getattr(gap, name) for name in columns] for gap in tuple(self._folding.gaps)]
        return pd.DataFrame(rows, columns=pd.Index(columns))

    # ---- inside

    def _subscribe(self, channel: str, handler: Handler, symbols: Sequence[str | Sequence[str]], *, each: bool) -> None:
        if not callable(handler):
            raise ParameterError(
                f"handler={handler!r} cannot be called; nothing was subscribed to.",
                remedy="the handler comes first, then the symbols.",
            )
        name = self._channel(channel)
        self._subscriptions.add(Subscription(name, handler, named(symbols), each=each))
        self._listening.ask()

    def _channel(self, channel: str) -> str:
        if channel not in self.address.channels:
            raise ParameterError(
                f"the feed {self.address.feed or self.address.url} has no {channel}; nothing was changed.",
                remedy=f"it has {', '.join(self.address.channels)}.",
            )
        return "quotes" if channel == "option_quotes" else channel

    def _listen(self) -> None:
        try:
            self._listening.run()
        except Exception as error:  # noqa: BLE001 - a thread's failure must be seen, not printed
            self._fail(f"the listening failed: {type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        self._stage.move(FAILED, reason)
        self._listening.end()

    def _join(self, thread: threading.Thread, deadline: float, again: Callable[[], None] | None = None) -> None:
        if thread is threading.current_thread():  # a handler stops its own stream
            return
        while thread.is_alive():
            thread.join(0.1)
            if again is not None:
                again()  # asyncio can swallow one cancellation
            if time.monotonic() > deadline and thread.is_alive():
                raise DataError(
                    f"the thread {thread.name} did not end in time.",
                    remedy="a handler, or the source that fills gaps, has not returned; end it, then stop again.",
                )
