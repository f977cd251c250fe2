"""The replay on the exchange: decide with what was known, order through the broker, move the clock, collect."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions
from workbench.backtest.weights import weights_of
from workbench.errors import ExecutionError
from workbench.exchange import embedded
from workbench.execution.alpaca import AlpacaBroker
from workbench.execution.broker import OrderRequest, Outcome
from workbench.market.book import Book
from workbench.market.order import Fill, OrderWish, Side, client_order_id
from workbench.market.rebalance import rebalance
from workbench.orchestration.trading_day import MULTIPLIER

if TYPE_CHECKING:
    from workbench.market.history import History
    from workbench.strategy import Strategy

BOT = "fidelity"


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """One fill of the exchange: `qty` shares > 0 in `session`, `ordered` shares having been asked for."""

    session: pd.Timestamp
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    ordered: Decimal


@dataclass(slots=True)
class Played:
    """What came of a replay.

    Attributes:
        wishes: what was wished at the close of each session in which something was, by symbol, without NaN.
        fills: in the order in which the exchange booked them.
        refused: (session of the fill that did not come, symbol) and the exchange's words.
        ordered: shares that were ordered for (session of the fill, symbol), signed.
        reported: equity that the exchange itself reports in the end, None where it does not.
    """

    wishes: dict[pd.Timestamp, dict[str, float]] = field(default_factory=dict)
    fills: list[ExchangeFill] = field(default_factory=list)
    refused: dict[tuple[pd.Timestamp, str], str] = field(default_factory=dict)
    ordered: dict[tuple[pd.Timestamp, str], Decimal] = field(default_factory=dict)
    reported: Decimal | None = None


def play(strategy: Strategy, history: History, *, url: str, account: str, cushion: float) -> Played:
    """Trade every wish of the evaluated sessions through the exchange at `url`, with a new account.

    At each close the strategy is asked with a history that ends there, so it cannot know more. What the newest row says
    becomes market day orders by the desk's `rebalance`, in whole shares; they fill in the next session.

    Raises:
        ExecutionError: the exchange did not say what became of an order, or its book is not the sum of its fills.
    """
    study, days = history.study, history.evaluated
    keys = embedded.open_account(
        url,
        name=account,
        cash=study.initial_cash,
        at=_close(study.venue, days[0]),
        multiplier=MULTIPLIER,
        shorting=False,
    )
    broker = AlpacaBroker(name=account, url=url, key_id=keys.key_id, secret_key=keys.secret_key)
    try:
        return _Replay(strategy, history, broker, url=url, cushion=cushion).played()
    finally:
        broker.close()


class _Replay:
    """One account on its way through the sessions; `book` is what its fills say."""

    def __init__(self, strategy: Strategy, history: History, broker: AlpacaBroker, *, url: str, cushion: float) -> None:
        self.strategy, self.history, self.broker = strategy, history, broker
        self.url, self.cushion = url, cushion
        self.book = Book(cash=Decimal(str(history.study.initial_cash)))
        self.done = Played()
        self.seen: set[str] = set()

    def played(self) -> Played:
        """Walk from the first evaluated close to the last one."""
        days, venue = self.history.evaluated, self.history.study.venue
        for day, following in itertools.pairwise(days):
            known = self.history.until(day)
            wish = {str(symbol): float(w) for symbol, w in weights_of(self.strategy, known).iloc[-1].dropna().items()}
            if not wish:
                continue
            self.done.wishes[day] = wish
            wishes = rebalance(wish, book=self.book, prices=known.view().prices(), cushion=self.cushion)
            if wishes:
                self._trade(wishes, decided=day, fills_in=following)
        self._advance(_close(venue, days[-1]))
        self._reconcile()
        return self.done

    def _trade(self, wishes: list[OrderWish], *, decided: pd.Timestamp, fills_in: pd.Timestamp) -> None:
        """Send orders at the close of `decided`, move on to the next close, book what was filled."""
        closes = _close(self.history.study.venue, decided)
        self._advance(closes)
        for wish in wishes:
            self.done.ordered[fills_in, wish.symbol] = wish.side.sign * wish.qty
            reply = self.broker.submit(
                OrderRequest(
                    client_order_id=client_order_id(
                        account=self.broker.name, bot=BOT, session=decided.date(), symbol=wish.symbol
                    ),
                    symbol=wish.symbol,
                    side=wish.side,
                    qty=wish.qty,
                    type=wish.type,
                    time_in_force=wish.time_in_force,
                )
            )
            if reply.outcome is Outcome.REFUSED:
                self.done.refused[fills_in, wish.symbol] = reply.message
            elif reply.outcome is not Outcome.PLACED:
                raise ExecutionError(
                    f"the exchange's answer to {wish.side} {wish.qty} {wish.symbol} of {decided.date()} was "
                    f"{reply.outcome}: {reply.message}. The replay stopped.",
                    remedy="run it again; it starts with a new account.",
                )
        self._advance(_close(self.history.study.venue, fills_in))
        for fill in self.broker.fills_since(after=closes):
            if fill.execution_id not in self.seen:
                self._book(fill, fills_in)

    def _book(self, fill: Fill, session: pd.Timestamp) -> None:
        self.seen.add(fill.execution_id)
        self.book = self.book.apply(fill)
        ordered = abs(self.done.ordered.get((session, fill.symbol), Decimal(0)))
        self.done.fills.append(ExchangeFill(session, fill.symbol, fill.side, fill.qty, fill.price, ordered))

    def _advance(self, to: dt.datetime) -> None:
        embedded.advance(self.url, name=self.broker.name, to=to)

    def _reconcile(self) -> None:
        """The exchange's holdings must be the sum of its fills."""
        theirs = {position.symbol: position.qty for position in self.broker.positions()}
        ours = {symbol: position.qty for symbol, position in self.book.positions.items() if position.qty}
        if theirs != ours:
            raise ExecutionError(
                f"the exchange holds {theirs}, its fills add up to {ours}; the replay cannot be compared.",
                remedy="this is a defect of the local exchange; report it with the study.",
            )
        self.done.reported = self.broker.account().equity


def _close(venue: str, session: pd.Timestamp) -> dt.datetime:
    return sessions.closes(venue, session).to_pydatetime()
