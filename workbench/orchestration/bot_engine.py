"""The engine that runs an account's bots: a few of them per turn of the desk's loop, on its thread, never mid-order."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from workbench import sessions
from workbench.errors import (
    BotRefused,
    DataError,
    ExchangeUnavailable,
    ExecutionError,
    LeaseLost,
    NoData,
    WorkbenchError,
)
from workbench.execution.bots.book import credit
from workbench.execution.bots.bot import Bot, BotState
from workbench.execution.bots.intents import UNENDED
from workbench.execution.bots.roster import Bots
from workbench.market.hours import session_at
from workbench.orchestration.bot_bars import BarFeed, Panels, Seen
from workbench.orchestration.bot_look import Acted, Look
from workbench.orchestration.bot_orders import FLATTEN_SECONDS, act
from workbench.orchestration.bot_signal import first_needed, indicators, signal
from workbench.store.engine import transaction
from workbench.store.tables.bot import BotPositionRow, BotRow
from workbench.store.tables.execution import FillRow, IntentRow, PositionRow
from workbench.strategies.schema import parse_params
from workbench.study import canonical
from workbench.trace import get_logger, tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.execution.journal.journal import Journal
    from workbench.execution.risk.limits import Limits
    from workbench.market.bars import Bars
    from workbench.orchestration.bot_signal import Signal
    from workbench.strategy import Strategy

SLICE_SECONDS = 0.5  # one step lasts about this long at most, so that the desk hears its broker in between
READ_SECONDS = 1.0  # how often it is looked for bots that were started or stopped
SOON_SECONDS = 1.0  # when a bot with something unfinished looks again
BATCH_SECONDS = 10.0  # bots that wait for their turn see what the first of them saw, unless it is older than this


@dataclass(slots=True)
class _Prices:
    """The newest prices as of one moment, and the symbols that were asked for."""

    as_of: dt.datetime
    asked: set[str] = field(default_factory=set)
    seen: dict[str, Seen] = field(default_factory=dict)


class NotNow(ExecutionError):
    """A bot could not look for a reason that passes: no market data, no reconciliation yet. It looks again."""


class BotEngine:
    """Lets the bots of an account look at the market when their time has come: `warm_up`, `start`, `step`s, `close`.

    Each look is: newest bars → the strategy's newest weights → the bot's own book → its limits and the account's →
    intents. What a bot is and owns lies in the database, so a new engine goes on where the last one stopped.

    Args:
        journal: of the account; its desk sends what is written.
        feed: where bars and prices come from.
        limits: the account's bounds; `Limits()` when None. Count on one order per bot, symbol and minute.
        lag_seconds: how long after the full minute a bot looks: a broker's bar comes a little after its end.
        monotonic: for the length of a step.
    """

    def __init__(
        self,
        journal: Journal,
        feed: BarFeed,
        *,
        limits: Limits | None = None,
        lag_seconds: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.journal, self.account, self.feed, self.limits = journal, journal.account, feed, limits
        self.bots = Bots(journal.engine, journal.account, clock=journal.clock)
        self._panels = Panels(feed)
        self._lag, self._monotonic = lag_seconds, monotonic
        self._due: dict[tuple[str, int], dt.datetime] = {}  # by bot and version of its plan
        self._live: tuple[Bot, ...] = ()
        self._read_at = -math.inf
        self._fills: tuple[int, int] | None = None
        self._strategies: dict[tuple[str, str], Strategy] = {}
        self._prices: _Prices | None = None
        self._batch: dt.datetime | None = None
        self._tidied: dt.date | None = None
        self._log = get_logger(__name__).bind(account=journal.account)

    def warm_up(self, now: dt.datetime) -> int:
        """Read the history that running bots need, before the market waits for it; how many have theirs.

        A bot whose bars cannot be read now is left to its first look.
        """
        self._read()
        ready = 0
        for bot in self._live:
            if bot.state is not BotState.RUNNING or bot.ending:
                continue
            session = session_at(bot.plan.window.venue, now)
            session = session or sessions.next_session(bot.plan.window.venue, now.date()).date()
            try:
                self._bars(bot, self._strategy(bot), session, now)
            except WorkbenchError as error:
                self._log.warning("no history yet", bot=bot.name, error=error.message)
            else:
                ready += 1
        return ready

    def start(self) -> int:
        """Credit what was filled while nobody ran, and find the bots that are at work; how many."""
        self._credit()
        self._read()
        self._log.info("bots", at_work=len(self._live))
        return len(self._live)

    def step(self, now: dt.datetime) -> dt.datetime | None:
        """Credit new fills, then let bots whose time has come look, for about half a second at most.

        Call it between two steps of the desk, never while an order is being sent.

        Args:
            now: the market's moment, UTC: the wall clock, or the clock of a replayed account.

        Returns:
            When it wants to be called again, by the same clock: `now` when bots are still waiting for their turn; None
            when no bot is at work.

        Raises:
            LeaseLost: another desk owns the account.
        """
        begun = self._monotonic()
        self._credit()
        if begun >= self._read_at + READ_SECONDS:
            self._read()
        if self._batch is None or now - self._batch > dt.timedelta(seconds=BATCH_SECONDS) or now < self._batch:
            self._batch = now
        waiting = sorted((due, bot.name, bot.id) for bot in self._live if (due := self._due_of(bot, now)) <= now)
        looked = 0
        while looked < len(waiting) and (not looked or self._monotonic() - begun < SLICE_SECONDS):
            self._look(waiting[looked][2], now, as_of=self._batch)
            looked += 1
        if looked == len(waiting):
            self._batch = None
            self._tidy(now)
        return min((max(self._due_of(bot, now), now) for bot in self._live), default=None)

    def close(self) -> None:
        """Forget what was read; everything that counts is in the database."""
        self._credit()
        self._live, self._due, self._panels = (), {}, Panels(self.feed)

    def _tidy(self, now: dt.datetime) -> None:
        """Once a day forget the bars that no bot needs any more."""
        if self._tidied == now.date():
            return
        self._tidied = now.date()
        needs: dict[str, tuple[dt.date, set[str]]] = {}
        for bot in self._live:
            strategy = self._strategies.get((bot.plan.strategy, canonical(bot.plan.params)))
            if bot.state is BotState.RUNNING and bot.began is not None and strategy is not None:
                first = first_needed(bot, strategy, now_session=bot.began)
                known = needs.get(bot.plan.timeframe, (first, set()))
                needs[bot.plan.timeframe] = min(first, known[0]), known[1] | set(bot.plan.symbols)
        for timeframe, (first, symbols) in needs.items():
            self._panels.forget(timeframe, first=first, symbols=symbols)

    # --- who is at work

    def _read(self) -> None:
        self._read_at = self._monotonic()
        self._live = tuple(bot for bot in self.bots.list() if bot.state.is_watched)
        known = {(bot.id, bot.number) for bot in self._live}
        self._due = {key: due for key, due in self._due.items() if key in known}

    def _credit(self) -> None:
        """Credit new fills; a count of fills and busts says whether there can be any."""
        with transaction(self.journal.engine) as session:
            found = session.execute(
                select(func.count(), func.count(FillRow.busted_at)).where(FillRow.account == self.account)
            ).one()
            counted = (int(found[0]), int(found[1]))
            if counted != self._fills:
                credit(session, self.account, at=self.journal.clock())
                self._fills = counted

    def _due_of(self, bot: Bot, now: dt.datetime) -> dt.datetime:
        """When the bot looks next: at once when it is new here."""
        key, window = (bot.id, bot.number), bot.plan.window
        if key not in self._due:
            self._due[key] = now if window.contains(now) else window.next_open(now)
        return self._due[key]

    def _plan_next(self, bot: Bot, now: dt.datetime, *, soon: bool) -> None:
        window, every = bot.plan.window, bot.plan.every_seconds
        current = window.current(now)
        if current is None:
            self._due[bot.id, bot.number] = window.next_open(now)
            return
        count = math.floor((now.timestamp() - self._lag) / every) + 1
        due = dt.datetime.fromtimestamp(count * every + self._lag, dt.UTC)
        if soon:
            due = min(due, now + dt.timedelta(seconds=SOON_SECONDS))
        flatten = current[1] - dt.timedelta(seconds=FLATTEN_SECONDS)
        if window.at_end == "flatten" and now < flatten < due:
            due = flatten
        self._due[bot.id, bot.number] = due if due < current[1] else window.next_open(now)

    # --- one look

    def _look(self, identifier: str, now: dt.datetime, *, as_of: dt.datetime) -> None:
        """Let one bot look; whatever goes wrong in it stays in it."""
        bot = next(one for one in self._live if one.id == identifier)
        acted = Acted(soon=False)
        with tracing():
            try:
                bot = self.bots.get(identifier)
                acted = self._judge(bot, now, as_of)
                if bot.ending:
                    self.bots.ended(bot.id)
            except (LeaseLost, SQLAlchemyError):
                raise
            except NotNow as error:
                self._log.warning("a bot could not look", bot=bot.name, error=str(error))
            except Exception as error:  # noqa: BLE001 - one bot's fault must not stop the others
                self._fail(bot, error)
        self._live = tuple(self.bots.get(one.id) if one.id == identifier else one for one in self._live)
        self._live = tuple(one for one in self._live if one.state.is_watched and one.deleted_at is None)
        self._plan_next(bot, now, soon=acted.soon)

    def _judge(self, bot: Bot, now: dt.datetime, as_of: dt.datetime) -> Acted:
        window = bot.plan.window
        current, session = window.current(now), session_at(window.venue, now)
        if current is None or session is None or bot.deleted_at is not None or not bot.state.is_watched:
            return Acted()
        decides = bot.state is BotState.RUNNING and not bot.ending
        held = self._held(bot)
        if not decides and not held and not bot.ending:
            return Acted()
        strategy = self._strategy(bot) if decides else None
        bars = None if strategy is None else self._bars(bot, strategy, session, as_of)
        said = None if strategy is None or bars is None else self._signal(bot, strategy, bars, as_of)
        if said is None and not held and not bot.waiting and not bot.ending:
            return Acted()
        look = Look(
            now=now,
            session=session,
            opens=current[0],
            closes=current[1],
            prices=self._newest(bot, held, as_of),
            bars=bars,
            signal=said,
            indicators=lambda symbol: self._seen(bot, strategy, said, symbol),
        )
        try:
            done = act(self.journal, bot, look, limits=self.limits)
        except NoData as error:
            raise NotNow(error.message) from error
        if done.written or done.refused:
            self._log.info("bot decided", bot=bot.name, written=done.written, refused=done.refused)
        return done

    def _signal(self, bot: Bot, strategy: Strategy, bars: Bars, as_of: dt.datetime) -> Signal | None:
        return signal(bot, strategy, bars, as_of=as_of, source=self.feed.name)

    def _bars(self, bot: Bot, strategy: Strategy, session: dt.date, as_of: dt.datetime) -> Bars | None:
        begin = first_needed(bot, strategy, now_session=session)
        try:
            bars = self._panels.upto(as_of, timeframe=bot.plan.timeframe, symbols=bot.plan.symbols, first=begin)
        except (DataError, ExchangeUnavailable) as error:
            raise NotNow(f"the bars of bot {bot.name!r} could not be read: {error.message}") from error
        if bars is None:
            return None
        index = bars.sessions
        first = pd.Timestamp(begin) if index.tz is None else sessions.opens(self.feed.venue, pd.Timestamp(begin))
        return bars.between(first, index[-1])

    def _strategy(self, bot: Bot) -> Strategy:
        key = (bot.plan.strategy, canonical(bot.plan.params))
        if key not in self._strategies:
            self._strategies[key] = parse_params(bot.plan.strategy, bot.plan.params)
        return self._strategies[key]

    def _seen(self, bot: Bot, strategy: Strategy | None, said: Signal | None, symbol: str) -> dict[str, float | None]:
        """The indicator values behind a decision; empty where the strategy had no part in it."""
        if strategy is None or said is None or symbol not in said.wish:
            return {}
        return indicators(strategy, said.bars, symbol)

    def _held(self, bot: Bot) -> set[str]:
        with transaction(self.journal.engine) as opened:
            rows = opened.execute(
                select(BotPositionRow.symbol, BotPositionRow.qty).where(BotPositionRow.bot_id == bot.id)
            )
            return {symbol for symbol, qty in rows if qty}

    def _newest(self, bot: Bot, held: set[str], as_of: dt.datetime) -> Mapping[str, Seen]:
        """The newest prices of what the account's bots may trade and of all it holds, read once for each moment.

        The account's limits need the price of everything that is held; where the feed has none, it is the one that the
        broker told at the last reconciliation.
        """
        if self._prices is None or self._prices.as_of != as_of:
            self._prices = _Prices(as_of)
        told = self._told()
        wanted = {*bot.plan.symbols, *held, *told}
        if missing := wanted - self._prices.asked:
            everyone = {symbol for one in self._live for symbol in one.plan.symbols} | missing
            try:
                found = self.feed.prices(tuple(sorted(everyone)), as_of=as_of)
            except (DataError, ExchangeUnavailable) as error:
                raise NotNow(f"the prices of bot {bot.name!r} could not be read: {error.message}") from error
            self._prices.asked |= everyone
            self._prices.seen |= found
        return {symbol: seen for symbol, seen in told.items() if seen is not None} | self._prices.seen

    def _told(self) -> dict[str, Seen | None]:
        """Symbols that the account holds or has on order, with the price that the broker told last."""
        with transaction(self.journal.engine) as opened:
            held = opened.execute(
                select(PositionRow.symbol, PositionRow.qty, PositionRow.market_price, PositionRow.synced_at).where(
                    PositionRow.account == self.account
                )
            ).all()
            ordered = opened.scalars(
                select(IntentRow.symbol)
                .where(IntentRow.account == self.account, IntentRow.state.in_(UNENDED))
                .distinct()
            ).all()
            owned = opened.execute(
                select(BotPositionRow.symbol, BotPositionRow.qty)
                .join(BotRow, BotRow.id == BotPositionRow.bot_id)
                .where(BotRow.account == self.account)
            ).all()
        told: dict[str, Seen | None] = dict.fromkeys([*ordered, *(symbol for symbol, qty in owned if qty)])
        for symbol, qty, price, at in held:
            if qty:
                told[symbol] = None if price is None else Seen(price, at)
        return told

    def _fail(self, bot: Bot, error: Exception) -> None:
        why = error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
        self._log.error("bot failed", bot=bot.name, why=why, exc_info=not isinstance(error, WorkbenchError))
        try:
            self.bots.fail(bot.id, why[:2000])
        except BotRefused:
            self._log.info("bot had stopped already", bot=bot.name)
