"""From what a bot sees to its orders: one transaction that judges, checks the limits, writes the intents and says why.

Whatever a look changes is in this one transaction: the marks of the holdings, the decision with its indicator values,
the refusals, the intents with their outbox, and how far the bot has come. A crash leaves all of it or nothing, and of
two engines that judge the same bar one finds that the other has done it. The names of orders follow from bot, session
and number of the decision. An order written outside the regular session, which only a bot with extended hours does,
waits at the broker for the next open.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select

from workbench.errors import ParameterError
from workbench.execution.bots.book import ZERO, book_of
from workbench.execution.bots.bot import Bot, BotState
from workbench.execution.bots.intents import busy, open_intents
from workbench.execution.journal.intent import ask_cancel
from workbench.execution.risk import exits
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.sizing import ONE_LOT, size
from workbench.market.order import OrderWish, Side
from workbench.market.rebalance import rebalance
from workbench.orchestration.bot_look import Acted, Look
from workbench.orchestration.bot_writing import place_wishes
from workbench.store.engine import transaction
from workbench.store.tables.bot import BotPositionRow, BotRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.journal.journal import Journal
    from workbench.market.bars import Bars
    from workbench.market.book import Book

FLATTEN_SECONDS = 60.0  # this long before the end of its window a bot that flattens begins to
_MOVES = 500  # bars; Wilder's average forgets the first of them to less than a part in a million for 14


def act(journal: Journal, bot: Bot, look: Look, *, limits: Limits | None = None) -> Acted:
    """Judge one look of a bot and write what follows from it, in one transaction.

    What leads to an order, in this order: the bot is ending or its window ends (everything goes); a stop or target is
    reached (that holding goes); the strategy wishes. A symbol of which an order is open waits for its end. After a stop
    or target a symbol stays out until the strategy wishes something else for it.

    Args:
        bot: as it was read before the strategy was asked.
        limits: the account's bounds, under which the bot's own ones stand.

    Raises:
        NoData: the account was never reconciled; nothing was written.
        BotRefused: it has decided more often in this session than orders can be named.
    """
    with transaction(journal.engine) as opened:
        row = opened.scalars(select(BotRow).where(BotRow.id == bot.id).with_for_update()).one()
        fresh = Bot.of(row)
        if (fresh.state, fresh.number, fresh.bar_at, fresh.ending) != (bot.state, bot.number, bot.bar_at, bot.ending):
            return Acted(stale=True, soon=True)
        return _Judgement(opened, journal, row, look, limits=limits).done()


class _Judgement:
    """One look of one bot inside its transaction."""

    def __init__(self, opened: Session, journal: Journal, row: BotRow, look: Look, *, limits: Limits | None) -> None:
        self.opened, self.journal, self.row, self.look = opened, journal, row, look
        self.bot = bot = Bot.of(row)
        self.limits = limits or Limits()
        if bot.plan.window.extended:
            self.limits = self.limits.model_copy(update={"allow_queued": True})
        self.risk = bot.plan.risk
        self.book: Book = book_of(opened, row)
        self.prices = {symbol: float(seen.price) for symbol, seen in look.prices.items()}
        self.unsized: dict[str, str] = {}

    def done(self) -> Acted:
        """Marks, exits, wishes, orders."""
        held = self._mark()
        worth = self._worth(held)
        self._open_day(worth)
        leaving = self._leaving(held)
        waits = busy(self.opened, self.row, alone=self.limits.one_order_per_symbol)
        if leaving:
            self._cancel_open()
            self.row.waiting = {}
            out = dict.fromkeys((symbol for symbol, _ in held), leaving)
        else:
            out = self._exits(held)
        pending = {} if leaving else self._pending(out)
        wishes = [self._close(symbol, why) for symbol, why in sorted(out.items()) if symbol not in waits]
        waiting: dict[str, float] = {}
        if pending:
            able = (
                {s: w for s, w in pending.items() if s not in waits and s in self.prices} if worth is not None else {}
            )
            waiting = {symbol: weight for symbol, weight in pending.items() if symbol not in able}
            wishes += self._rebalanced(able, worth, taken=out)
        acted = self._ordered(wishes, worth, waiting, pending)
        if self.row.waiting != waiting:
            self.row.waiting = waiting
        unsold = [symbol for symbol, _ in held] if leaving else []
        return Acted(acted[0], acted[1], soon=bool(waiting or unsold or (set(out) & waits)))

    # --- what it has

    def _mark(self) -> list[tuple[str, BotPositionRow]]:
        """Note the newest prices of what it holds; the holdings by symbol."""
        rows = self.opened.scalars(
            select(BotPositionRow).where(BotPositionRow.bot_id == self.row.id).order_by(BotPositionRow.symbol)
        ).all()
        held = [(row.symbol, row) for row in rows if row.qty]
        for symbol, row in held:
            seen = self.look.prices.get(symbol)
            if seen is not None:
                row.market_price, row.priced_at = seen.price, seen.at
                row.high = exits.better(row.qty, row.high, seen.price)
            elif row.market_price is not None:
                self.prices[symbol] = float(row.market_price)
        return held

    def _worth(self, held: Sequence[tuple[str, BotPositionRow]]) -> Decimal | None:
        """Cash and holdings at the newest prices; None when a holding never had one."""
        worth = self.row.cash
        for _, row in held:
            if row.market_price is None:
                return None
            worth += row.qty * row.market_price
        self.row.equity = worth
        return worth

    def _open_day(self, worth: Decimal | None) -> None:
        day = self.look.session.isoformat()
        if self.row.day != day and worth is not None:
            self.row.day, self.row.day_equity = day, worth

    # --- what it wishes

    def _leaving(self, held: Sequence[tuple[str, BotPositionRow]]) -> str:
        """Why all its holdings must go; empty when they need not."""
        if self.row.ending:
            return "the bot is ending"
        window = self.bot.plan.window
        if window.at_end != "flatten" or self.bot.state is not BotState.RUNNING:
            return ""
        if self.look.now >= self.look.closes - dt.timedelta(seconds=FLATTEN_SECONDS):
            self.row.bar_at = None  # it joins the market anew when the window opens again
            return f"the window ends at {window.end:%H:%M}"
        if any(row.opened_at is not None and row.opened_at < self.look.opens for _, row in held):
            self.row.bar_at = None
            return "it was held past the end of its window"
        return ""

    def _exits(self, held: Sequence[tuple[str, BotPositionRow]]) -> dict[str, str]:
        """Holdings whose stop or target is reached by a price of this look, and why."""
        found: dict[str, str] = {}
        for symbol, row in held:
            seen = self.look.prices.get(symbol)
            if seen is None:
                continue
            bounds: dict[str, Any] = {"stop": row.stop, "target": row.target, "best": row.high}
            why = exits.reached(row.qty, seen.price, **bounds, trailing=self.risk.trailing)
            if why:
                found[symbol] = why
        if found:
            sides = {symbol: 1 if row.qty > 0 else -1 for symbol, row in held if symbol in found}
            self.row.barred = {**self.row.barred, **sides}
        return found

    def _pending(self, out: Collection[str]) -> dict[str, float]:
        """The wishes that were not acted on yet: those that waited, and what the strategy says since."""
        if self.bot.state is not BotState.RUNNING:
            return {}
        pending = {symbol: float(weight) for symbol, weight in self.row.waiting.items()}
        barred = dict(self.row.barred)
        signal = self.look.signal
        for wish in signal.rows if signal is not None else ():
            for symbol, weight in wish.items():
                if weight * barred.get(symbol, 0) > 0:
                    continue  # the wish that its stop or target took it out of
                barred.pop(symbol, None)
                pending[symbol] = weight
        self.row.barred = {**barred, **{symbol: self.row.barred[symbol] for symbol in out}}
        if signal is not None:
            self.row.bar_at, self.row.began = signal.bar_at, signal.began.isoformat()
        return {symbol: weight for symbol, weight in pending.items() if symbol not in out}

    def _close(self, symbol: str, why: str) -> OrderWish:
        """The wish to sell a holding (to buy a short one back)."""
        qty = self.book.positions[symbol].qty
        price = self.prices.get(symbol)
        return OrderWish(
            symbol=symbol,
            side=Side.SELL if qty > 0 else Side.BUY,
            qty=abs(qty),
            reference_price=None if price is None else Decimal(str(price)),
            reason=why,
        )

    def _rebalanced(
        self, weights: Mapping[str, float], worth: Decimal | None, *, taken: Collection[str]
    ) -> list[OrderWish]:
        """The wishes that move its book to the weights, inside its budget."""
        if worth is None or worth <= 0:
            return []
        share = 1.0 if self.risk.budget is None else min(1.0, float(self.risk.budget / worth))
        most = float(self.risk.max_position_fraction)
        bounded = {
            symbol: max(-most, min(most, weight * share)) for symbol, weight in weights.items() if symbol not in taken
        }
        known = {symbol: price for symbol, price in self.prices.items() if symbol in {*bounded, *self.book.positions}}
        sized = [
            self._sized(symbol, weight, worth) for symbol, weight in bounded.items() if weight and self.risk.sizing
        ]
        plain = {symbol: weight for symbol, weight in bounded.items() if not (weight and self.risk.sizing)}
        wishes = rebalance(plain, book=self.book, prices=known, cushion=float(self.risk.cushion))
        wishes += [wish for wish in sized if wish is not None]
        return sorted(wishes, key=lambda wish: (wish.side is Side.BUY, wish.symbol))

    def _sized(self, symbol: str, weight: float, worth: Decimal) -> OrderWish | None:
        """The wish that moves a holding to what the rule of the bot's size asks for; None: it is there already.

        A size that cannot be computed (too few bars, say) is a refusal of the wish, never a guess.
        """
        assert self.risk.sizing is not None, "asked for only where there is a rule"
        price, position = Decimal(str(self.prices[symbol])), self.book.positions.get(symbol)
        held, sign = ZERO if position is None else position.qty, 1 if weight > 0 else -1
        try:
            found = size(self.risk.sizing, equity=worth, price=price, **_moves(self.look.bars, symbol))
        except ParameterError as error:
            self.unsized[symbol] = error.message
            return OrderWish(
                symbol, Side.BUY if sign > 0 else Side.SELL, ONE_LOT, reference_price=price, reason="not sized"
            )
        most = (self.risk.max_position_fraction * worth / price).to_integral_value(ROUND_DOWN)
        change = sign * min(found.qty, most) - held
        if not change:
            return None
        side = Side.BUY if change > 0 else Side.SELL
        return OrderWish(
            symbol, side, abs(change), reference_price=price, reason=f"target {sign * found.qty}: {found.why}"
        )

    def _cancel_open(self) -> None:
        """Wish away its open orders that do not reduce a holding: what is sold on the way out is left alone."""
        for intent in open_intents(self.opened, self.row):
            if intent.cancel_asked_at is not None:
                continue
            position = self.book.positions.get(intent.symbol)
            if position is None or position.qty * Side(intent.side).sign >= 0:
                ask_cancel(self.opened, intent, at=self.journal.clock(), note=f"bot {self.row.name} leaves the market")

    # --- what becomes of it

    def _ordered(
        self,
        wishes: Sequence[OrderWish],
        worth: Decimal | None,
        waiting: dict[str, float],
        pending: Mapping[str, float],
    ) -> tuple[int, int]:
        """Write what passes, and let wait what a limit holds back for a moment; how many were written and refused."""
        refused = self._too_much_lost(wishes, worth)
        refused |= {symbol: f"refused: not sized: {why}" for symbol, why in self.unsized.items()}
        placed = place_wishes(
            self.opened,
            self.journal,
            self.row,
            wishes,
            look=self.look,
            book=self.book,
            prices={symbol: Decimal(str(price)) for symbol, price in self.prices.items()},
            own=self.risk.limits(worth if worth is not None and worth > 0 else Decimal(1)),
            limits=self.limits,
            refused=refused,
        )
        waiting |= {symbol: pending[symbol] for symbol in placed.held_back if symbol in pending}
        return len(placed.intents), len(placed.refused)

    def _too_much_lost(self, wishes: Sequence[OrderWish], worth: Decimal | None) -> dict[str, str]:
        """Wishes that the bot's daily loss forbids, with the outcome to store: all that do not reduce a holding."""
        bound, start = self.risk.daily_loss, self.row.day_equity
        if bound is None or worth is None or start is None or worth > start * (1 - bound):
            return {}
        lost = f"refused: daily loss of {(start - worth) / start:.2%}" if start > 0 else "refused: daily loss"
        return {wish.symbol: lost for wish in wishes if not self._reduces(wish)}

    def _reduces(self, wish: OrderWish) -> bool:
        position = self.book.positions.get(wish.symbol)
        held = ZERO if position is None else position.qty
        return held * wish.side.sign < 0 and wish.qty <= abs(held)


def _moves(bars: Bars | None, symbol: str) -> dict[str, Any]:
    """The newest complete bars of a symbol, for sizes that depend on how much its price moves; empty without any."""
    if bars is None or symbol not in bars.close.columns:
        return {}
    fields = {name: frame[symbol] for name, frame in bars if name in {"high", "low", "close"}}
    rows = pd.DataFrame(fields).dropna().iloc[-_MOVES:]
    return {str(name): rows[name].tolist() for name in rows.columns}
