"""Who listens to market data, and the telling of what an account's clock passes: the same numbers that REST tells.

Data flows as an account's clock moves: with each step of an advance for a replayed account, with the wall for a real
one. A step tells the trade and the quote of each print, then the bar that ended:

- `bars` are minute bars: they flow in an exchange of minute bars only. `dailyBars` is the bar of the running session
  so far after each bar that ends; in an exchange of daily bars the bar of the session at its close.
- `statuses` tells when the exchange's admin halts a symbol or lets it trade again. `updatedBars`, `lulds`,
  `corrections` and `cancelErrors` can be subscribed to and are silent: prints here are never late and never wrong.
- Options have `trades` and `quotes`, made by a model. Coins have all but the stocks' own channels, and `orderbooks`.

Who does not read fast enough is waited for in an advance, for `SLOW_SECONDS` without any progress, and is then told
407 and cut. A real clock waits for nobody: 407 comes with `MOST_PENDING_BYTES` unread.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Protocol

from workbench.exchange.clock import Step, StepKind
from workbench.exchange.market import crypto
from workbench.exchange.market.newsroom import article_message
from workbench.exchange.market.prices import Candle, day_start, joined
from workbench.exchange.telling.data_wire import bar_message, orderbook_message, quote_message, trade_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.exchange.market.crypto import CryptoMarket
    from workbench.exchange.market.market import Market
    from workbench.exchange.market.newsroom import Newsroom

CHANNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "stocks": (
        "trades",
        "quotes",
        "bars",
        "updatedBars",
        "dailyBars",
        "statuses",
        "lulds",
        "corrections",
        "cancelErrors",
    ),
    "options": ("trades", "quotes"),
    "crypto": ("trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks"),
    "news": ("news",),
}
EVERYTHING: Final = "*"
PATIENT_BYTES: Final = 256 * 1024
MOST_PENDING_BYTES: Final = 16 * 1024 * 1024
SLOW_SECONDS: Final = 10.0
_MINUTE: Final = dt.timedelta(minutes=1)


class Wire(Protocol):
    """One connection of a data stream."""

    kind: str
    endpoint: str
    account_id: str
    cursor: dt.datetime
    wanted: dict[str, set[str]]

    def tell(self, messages: list[dict[str, Any]]) -> None:
        """Send messages as one frame; never raises."""
        ...

    def pending(self) -> int:
        """Bytes handed over that the client has not taken yet."""
        ...

    async def progress(self, seconds: float) -> bool:
        """Wait until the client has taken something; False where it did not within so many seconds."""
        ...

    def slow(self) -> None:
        """Tell 407 and cut the connection."""
        ...


class DataHub:
    """Who listens to which account's market data. Used from one event loop."""

    def __init__(self, market: Market, coins: CryptoMarket, newsroom: Newsroom) -> None:
        self._market, self._coins, self._newsroom = market, coins, newsroom
        self._wires: defaultdict[str, set[Wire]] = defaultdict(set)
        self._days: dict[str, Candle] = {}

    def is_taken(self, endpoint: str, account_id: str) -> bool:
        """Whether the account has a connection at the endpoint already; one is allowed."""
        return any(wire.endpoint == endpoint for wire in self._wires.get(account_id, ()))

    def add(self, wire: Wire) -> None:
        """Start telling a connection."""
        self._wires[wire.account_id].add(wire)

    def remove(self, wire: Wire) -> None:
        """Stop telling a connection."""
        listening = self._wires.get(wire.account_id)
        if listening is not None:
            listening.discard(wire)
            if not listening:
                del self._wires[wire.account_id]

    def count(self, account_id: str) -> int:
        """How many data connections the account has."""
        return len(self._wires.get(account_id, ()))

    def moved(self, account_id: str, now: dt.datetime) -> None:
        """The clock of an account stands at `now`: tell its connections what has happened since they were told last."""
        for wire in tuple(self._wires.get(account_id, ())):
            if wire.cursor < now:
                after, wire.cursor = wire.cursor, now
                for messages in self._since(wire, after, now):
                    if messages:
                        wire.tell(messages)
                if wire.pending() > MOST_PENDING_BYTES:
                    wire.slow()

    def halted(self, symbol: str, *, halted: bool) -> None:
        """Tell every connection that asked for statuses that trading in a stock has stopped or goes on."""
        code, text = ("H", "Trading Halt") if halted else ("T", "Trading Resumption")
        for wires in tuple(self._wires.values()):
            for wire in tuple(wires):
                if wire.kind == "stocks" and symbol in self._symbols(wire, "statuses"):
                    status = {"T": "s", "S": symbol, "sc": code, "sm": text, "rc": "", "rm": "", "z": "A"}
                    wire.tell([status | {"t": wire.cursor}])

    async def drained(self, account_id: str) -> None:
        """Wait until the account's connections have taken most of what they were told; cut those that take nothing."""
        for wire in tuple(self._wires.get(account_id, ())):
            while wire.pending() > PATIENT_BYTES:
                if not await wire.progress(SLOW_SECONDS):
                    wire.slow()
                    break
        await asyncio.sleep(0)

    def _since(self, wire: Wire, after: dt.datetime, until: dt.datetime) -> Iterator[list[dict[str, Any]]]:
        match wire.kind:
            case "stocks" | "options":
                for step in self._market.timeline.steps(after, until):
                    yield list(self._at_step(wire, step))
            case "crypto":
                minute = after.replace(second=0, microsecond=0) + _MINUTE
                while minute <= until:
                    yield list(self._at_minute(wire, minute))
                    minute += _MINUTE
            case "news":
                yield list(self._news(wire, after, until))

    def _at_step(self, wire: Wire, step: Step) -> Iterator[dict[str, Any]]:
        trades, quotes = self._symbols(wire, "trades"), self._symbols(wire, "quotes")
        for symbol in sorted(trades | quotes):
            seen = self._market.last(symbol, step.moment) if self._market.knows(symbol) else None
            if seen is None or seen.moment != step.moment:
                continue
            if symbol in trades:
                yield {"T": "t", "S": symbol} | trade_message(seen)
            if symbol in quotes:
                yield {"T": "q", "S": symbol} | quote_message(self._market.around(seen))
        if step.kind is not StepKind.CLOSE or wire.kind != "stocks":
            return
        bars = self._symbols(wire, "bars") if self._market.timeline.timeframe == "1m" else set()
        days = self._symbols(wire, "dailyBars")
        for symbol in sorted((bars | days) & self._market.stocks()):
            candle = self._market.candle(symbol, step)
            if candle is None:
                continue
            if symbol in bars:
                yield {"T": "b", "S": symbol} | bar_message(candle)
            if symbol in days:
                yield {"T": "d", "S": symbol} | bar_message(self._day(symbol, step, candle))

    def _day(self, symbol: str, step: Step, candle: Candle) -> Candle:
        """The running day with `candle` as its newest part. Kept, as joining the parts anew would take ever longer."""
        if not self._market.timeline.intraday:
            return candle
        begins, before = day_start(step.session.date), self._days.get(symbol)
        if before is not None and before.begins == begins and before.ends <= candle.begins:
            whole = self._market.running_day(symbol, candle.ends) if before.ends < candle.begins else None
            day = joined([before, candle], begins) if whole is None else whole
        elif before is not None and before.begins == begins and before.ends == candle.ends:
            day = before  # another account was told of it a moment ago
        else:
            parts = list(self._market.candles(symbol, step.session, known_at=step.moment))
            day = joined(parts, begins)
        self._days[symbol] = day
        return day

    def _at_minute(self, wire: Wire, minute: dt.datetime) -> Iterator[dict[str, Any]]:
        channels = {name: self._symbols(wire, name) for name in CHANNELS["crypto"]}
        for symbol in crypto.COINS:
            seen, quote = self._coins.last(symbol, minute), self._coins.quote(symbol, minute)
            if seen is None or quote is None:
                continue
            told = quote_message(quote)
            if symbol in channels["trades"]:
                yield {"T": "t", "S": symbol} | trade_message(seen)
            if symbol in channels["quotes"]:
                yield {"T": "q", "S": symbol} | told
            if symbol in channels["orderbooks"]:
                yield {"T": "o", "S": symbol} | orderbook_message(told) | {"r": True}
            if symbol in channels["bars"]:
                yield {"T": "b", "S": symbol} | bar_message(self._coins.minute(symbol, minute))
            if symbol in channels["dailyBars"]:
                yield {"T": "d", "S": symbol} | bar_message(self._coins.day_until(symbol, minute))

    def _news(self, wire: Wire, after: dt.datetime, until: dt.datetime) -> Iterable[dict[str, Any]]:
        wanted, feed = wire.wanted["news"], self._market.feed
        for article in self._newsroom.published(after, until) if wanted else ():
            if EVERYTHING in wanted or article.symbol in wanted:
                yield {"T": "n"} | article_message(article, label=feed.label, name=feed.name)

    def _symbols(self, wire: Wire, channel: str) -> set[str]:
        wanted = wire.wanted[channel]
        if EVERYTHING not in wanted:
            return wanted
        return set(crypto.COINS) if wire.kind == "crypto" else set(self._market.stocks())
