"""Replay: bar by bar, one book, every rule that `simulate` states; slower than vectorbt, and complete."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.backtest.booked import Booked, Delisted, Fills, Flows
from workbench.backtest.day_orders import day_orders, fillable, on_step
from workbench.backtest.fees import Fees
from workbench.backtest.financing import borrow_fees, interest
from workbench.backtest.preconditions import TOLERANCE
from workbench.backtest.simulation import FINANCING_COLUMNS
from workbench.backtest.sizing import Offer, Sizing, Terms
from workbench.backtest.slippage import Worse
from workbench.market.actions import Delisting, Dividend, Split, after
from workbench.market.book import Book
from workbench.market.order import Fill, Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.backtest.costs import Costs
    from workbench.backtest.fees import Schedule
    from workbench.backtest.fill_rules import FillRules
    from workbench.backtest.tape import Tape

BORROW, INTEREST, DIVIDENDS, DELISTED = range(len(FINANCING_COLUMNS))


def replay(
    weights: np.ndarray,
    tape: Tape,
    *,
    costs: Costs,
    rules: FillRules,
    schedule: Schedule | None,
    initial_cash: float,
    lag: int,
) -> Booked:
    """What happens to a book of `initial_cash` under the rules of `workbench.backtest.engine.simulate`.

    Args:
        weights: wished fractions (bar × symbol).
        schedule: regulatory fees; None: none.
        lag: how many bars after its decision a wish can be filled at the earliest.
    """
    state = _Replay(tape, costs=costs, rules=rules, schedule=schedule, initial_cash=initial_cash)
    for row in range(len(weights)):
        if state.ruined is None:
            state.finance(row)
            state.take_effect(row, before_fills=True)
            if rules.sized_at == "decision":
                state.fill_orders(row)
            else:
                if row >= lag:
                    state.hear(weights[row - lag], row - lag)
                state.fill(row)
            state.take_effect(row, before_fills=False)
            state.end(row)
            if rules.sized_at == "decision":
                state.order(weights[row], row)
        state.record(row)
    return state.booked()


class _Replay:
    """The book while the bars go by. `cash` and `held` repeat the book's own numbers as floats."""

    def __init__(
        self, tape: Tape, *, costs: Costs, rules: FillRules, schedule: Schedule | None, initial_cash: float
    ) -> None:
        self.tape = tape
        self.costs = costs
        self.rules = rules
        # Orders are sized in decimals: there a float stands for the number it is written as, not for its last bit.
        self.exact: Callable[[float], Decimal] = _as_written if rules.sized_at == "decision" else Decimal
        self.orders: dict[int, Decimal] = {}
        self.fees = Fees(costs, schedule)
        self.sizing = Sizing(costs, rules, self.fees)
        self.borrowed = max(0.0, rules.max_gross - 1.0)
        self.dust = TOLERANCE * initial_cash
        self.book = Book(cash=self.exact(float(initial_cash)))
        length, width = tape.close.shape
        self.cash = float(initial_cash)
        self.held = np.zeros(width)
        self.wish = np.full(width, np.nan)
        self.since = np.zeros(width, dtype=np.int64)
        self.last = tape.known.copy()
        self.ruined: int | None = None
        self.cash_at = np.empty(length)
        self.held_at = np.empty((length, width))
        self.fills: list[tuple[Any, ...]] = []
        self.flows: list[tuple[int, int, int, float]] = []
        self.delisted: list[tuple[int, int, float, float]] = []
        self.financed = bool(costs.borrow or costs.cash_interest or costs.margin_interest)

    def finance(self, row: int) -> None:
        """Borrow fees and interest for the calendar days since the bar before."""
        days = (self.tape.days[row] - self.tape.days[row - 1]).days if row else 0
        if not days or not self.financed:
            return
        shorts = np.where(self.held < 0.0, -self.held * self.last, 0.0)
        own = self.cash - math.fsum(shorts.tolist())
        if self.costs.borrow:
            for column, amount in enumerate(borrow_fees(self.costs, days, shorts).tolist()):
                self._pay(row, column, BORROW, amount)
        self._pay(row, -1, INTEREST, interest(self.costs, days, own))

    def take_effect(self, row: int, *, before_fills: bool) -> None:
        """Splits and dividends at the open, delistings after the close."""
        for column, action in self.tape.effects.get(row, ()):
            if isinstance(action, Delisting) == before_fills:
                continue
            held, cash = float(self.held[column]), self.book.cash
            self.book = after(self.book, action)
            self._read(column)
            if isinstance(action, Split):
                self.last[column] /= action.ratio
                if column in self.orders:
                    self.orders[column] *= Decimal(action.ratio)
            elif held:
                kind = DIVIDENDS if isinstance(action, Dividend) else DELISTED
                self.flows.append((row, column, kind, float(self.book.cash - cash)))
            if isinstance(action, Delisting):
                self.wish[column] = np.nan
                if held:
                    self.delisted.append((row, column, held, action.value))

    def hear(self, weights: np.ndarray, row: int) -> None:
        """A newer wish replaces the one that waits."""
        newer = ~np.isnan(weights)
        self.wish[newer] = weights[newer] * (1.0 - self.rules.cushion)
        self.since[newer] = row

    def fill(self, row: int) -> None:
        """Fill what can be filled in this bar: sales first, then purchases from small to large."""
        due = np.flatnonzero(~np.isnan(self.wish) & self.tape.possible[row])
        if not len(due):
            return
        reference = self.tape.reference[row]
        prices = np.where(np.isnan(reference), self.last, reference)
        value = self._value(prices)
        if value <= 0.0:
            return
        money = self.wish[due] * value - self.held[due] * reference[due]
        for column in due[np.argsort(money, kind="stable")].tolist():
            self._fill(row, column, value, prices)

    def order(self, weights: np.ndarray, row: int) -> None:
        """What is wished at the close of this bar becomes the orders of the next one."""
        if self.ruined is None:
            self.orders = day_orders(
                weights, book=self.book, symbols=self.tape.symbols, prices=self.last, rules=self.rules
            )
            self.since[list(self.orders)] = row

    def fill_orders(self, row: int) -> None:
        """Fill the orders of the bar before as far as this bar goes; the rest of them lapses."""
        orders, self.orders = self.orders, {}
        for column, wanted in orders.items():
            if not self.tape.possible[row, column]:
                continue
            offer = self._offer(row, column)
            signed = float(fillable(wanted, volume=offer.volume, participation=self.rules.max_participation))
            if signed:
                terms = self.sizing.terms(abs(signed), buys=signed > 0.0, offer=offer)
                terms = dataclasses.replace(terms, price=on_step(terms.price))
                self._book(row, column, signed, terms, decided=int(self.since[column]))

    def end(self, row: int) -> None:
        """Mark the book at the close; where nothing is left of it, close everything there, free of costs."""
        close = self.tape.close[row]
        self.last = np.where(np.isnan(close), self.last, close)
        if self._value(self.last) > 0.0:
            return
        self.ruined = row
        self.wish[:] = np.nan
        for column in np.flatnonzero(self.held).tolist():
            last = float(self.last[column])
            terms = Terms(reference=last, price=last, worse=Worse(0.0, 0.0, 0.0), fee=0.0)
            self._book(row, column, -float(self.held[column]), terms, decided=row, ruin=True)

    def record(self, row: int) -> None:
        """Write down what there is after this bar."""
        self.cash_at[row] = self.cash
        self.held_at[row] = self.held

    def booked(self) -> Booked:
        """Everything that was written down."""
        kinds = [np.int64] * 3 + [float] * 8 + [bool]
        return Booked(
            fills=Fills(*_columns(self.fills, kinds)),
            cash=self.cash_at,
            positions=self.held_at,
            flows=Flows(*_columns(self.flows, [np.int64] * 3 + [float])),
            delisted=Delisted(*_columns(self.delisted, [np.int64] * 2 + [float] * 2)),
            growth=self.tape.growth,
            ruined=self.ruined,
        )

    def _fill(self, row: int, column: int, value: float, prices: np.ndarray) -> None:
        """Fill one wish as far as it goes. What the bar's volume did not allow goes on waiting, nothing else does."""
        offer = self._offer(row, column)
        held, decided = float(self.held[column]), int(self.since[column])
        wanted = self.sizing.wanted(float(self.wish[column]), value=value, held=held, offer=offer)
        signed, waits = self.sizing.allowed(wanted, held=held, offer=offer)
        if not waits:
            self.wish[column] = np.nan
        if signed > 0.0:
            owed = math.fsum((self.held * prices)[self.held < 0.0].tolist())
            available = self.cash + owed + self.borrowed * value
            signed = self.sizing.affordable(signed, held=held, available=available, offer=offer)
        if abs(signed) * offer.reference <= self.dust:
            return
        terms = self.sizing.terms(abs(signed), buys=signed > 0.0, offer=offer)
        # A small sale whose least fee is more than it brings is not made with money that is not there.
        if signed < 0.0 and self.cash - signed * terms.price - terms.fee < min(0.0, self.cash):
            return
        self._book(row, column, signed, terms, decided=decided)

    def _offer(self, row: int, column: int) -> Offer:
        tape = self.tape
        return Offer(
            symbol=tape.symbols[column],
            day=tape.days[row],
            reference=float(tape.reference[row, column]),
            volume=float(tape.volume[row, column]),
            sigma=float(tape.sigma[row, column]),
            mean_volume=float(tape.mean_volume[row, column]),
        )

    def _book(self, row: int, column: int, signed: float, terms: Terms, *, decided: int, ruin: bool = False) -> None:
        """Enter a fill. All that is held, to the last digit, is what the book says, not its float."""
        qty, reference, worse = abs(signed), terms.reference, terms.worse
        exact = abs(self._position(column)) if signed == -self.held[column] else Decimal(qty)
        self.book = self.book.apply(
            Fill(
                execution_id=f"{row}-{len(self.fills)}",
                broker_order_id="",
                client_order_id="",
                symbol=self.tape.symbols[column],
                side=Side.BUY if signed > 0.0 else Side.SELL,
                qty=exact,
                price=self.exact(terms.price),
                happened=self.tape.moments[row],
                fee=self.exact(terms.fee),
            )
        )
        self._read(column)
        self.fees.remember(self.tape.days[row], qty * terms.price)
        value = qty * reference
        lost = (value * worse.slippage, value * worse.spread, value * worse.impact)
        held = float(self.held[column])
        self.fills.append((row, column, decided, signed, terms.price, reference, terms.fee, *lost, held, ruin))

    def _pay(self, row: int, column: int, kind: int, amount: float) -> None:
        if amount:
            self.book = dataclasses.replace(self.book, cash=self.book.cash + Decimal(amount))
            self.cash = float(self.book.cash)
            self.flows.append((row, column, kind, amount))

    def _read(self, column: int) -> None:
        """Repeat what the book says about its cash and one symbol."""
        self.cash = float(self.book.cash)
        self.held[column] = float(self._position(column))

    def _position(self, column: int) -> Decimal:
        position = self.book.positions.get(self.tape.symbols[column])
        return Decimal(0) if position is None else position.qty

    def _value(self, prices: np.ndarray) -> float:
        """Cash and holdings at these prices. The sum is exact, so that no order of symbols can change it."""
        held = np.flatnonzero(self.held)
        return math.fsum([self.cash, *(self.held[held] * prices[held]).tolist()])


def _as_written(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _columns(rows: list[tuple[Any, ...]], kinds: list[Any]) -> list[np.ndarray]:
    """The columns of rows, as arrays."""
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * len(kinds)
    return [np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)]
