"""The replay on the exchange: decide with what was known, write intents, let the desk trade, move the clock."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions
from workbench.backtest.weights import weights_of
from workbench.errors import ExecutionError
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.market.book import Book
from workbench.market.order import IntentState, OrderWish, Side
from workbench.market.rebalance import rebalance
from workbench.orchestration.accounts import MULTIPLIER
from workbench.orchestration.stepped_desk import SteppedDesk
from workbench.store.engine import open_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

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
        refused: (session of the fill that did not come, symbol) and the exchange's words, as the journal keeps them.
        ordered: shares that were ordered for (session of the fill, symbol), signed.
        reported: equity that the exchange itself reports in the end, None where it does not.
    """

    wishes: dict[pd.Timestamp, dict[str, float]] = field(default_factory=dict)
    fills: list[ExchangeFill] = field(default_factory=list)
    refused: dict[tuple[pd.Timestamp, str], str] = field(default_factory=dict)
    ordered: dict[tuple[pd.Timestamp, str], Decimal] = field(default_factory=dict)
    reported: Decimal | None = None


def play(strategy: Strategy, history: History, *, url: str, account: str, cushion: float) -> Played:
    """Trade every wish of the evaluated sessions through a desk and the exchange at `url`, with a new account.

    At each close the strategy is asked with a history that ends there, so it cannot know more. What the newest row says
    becomes market day orders by `rebalance`, in whole shares, written to a journal of its own. The real desk takes them
    to the exchange; the account's clock is moved to the next close; the desk hears of the fills and reconciles. Nothing
    waits for the wall's clock.

    Raises:
        ExecutionError: the desk could not bring an order to an end, or its book differs from the exchange's.
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
    with _journal_of_its_own() as engine:
        desk = SteppedDesk(engine, broker, url=url)
        try:
            desk.start()
            replay = _Replay(strategy, history, desk, cushion=cushion)
            replay.play()
            replay.done.reported = broker.account().equity
        finally:
            desk.close()
    return replay.done


@contextlib.contextmanager
def _journal_of_its_own() -> Iterator[Engine]:
    """A database for one replay: what was only rehearsed has no place in the account books of the workspace."""
    with tempfile.TemporaryDirectory(prefix="workbench-replay-") as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'journal.db'}")
        try:
            yield engine
        finally:
            engine.dispose()


class _Replay:
    """One account on its way through the sessions; `book` is what its booked fills say."""

    def __init__(self, strategy: Strategy, history: History, desk: SteppedDesk, *, cushion: float) -> None:
        self.strategy, self.history, self.desk, self.cushion = strategy, history, desk, cushion
        self.book = Book(cash=Decimal(str(history.study.initial_cash)))
        self.done = Played()

    def play(self) -> None:
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
        self.desk.advance(_close(venue, days[-1]))
        self._reconciled()

    def _trade(self, wishes: list[OrderWish], *, decided: pd.Timestamp, fills_in: pd.Timestamp) -> None:
        """Write intents at the close of `decided`, let the desk send them, move to the next close, book the fills."""
        venue, day = self.history.study.venue, decided.date()
        self.desk.advance(_close(venue, decided))
        written = [one.intent for one in self.desk.journal.write(wishes, bot=BOT, session=day)]
        for intent in written:
            self.done.ordered[fills_in, intent.symbol] = intent.side.sign * intent.qty
        self.desk.send()
        for intent in self.desk.journal.intents(session=day, bot=BOT):
            if intent.state is IntentState.REJECTED:
                self.done.refused[fills_in, intent.symbol] = intent.note
        self.desk.advance(_close(venue, fills_in))
        self._reconciled()
        mine = {intent.client_order_id for intent in written}
        for fill in self.desk.journal.fills():
            if fill.client_order_id in mine:
                self.book = self.book.apply(fill)
                ordered = abs(self.done.ordered[fills_in, fill.symbol])
                self.done.fills.append(ExchangeFill(fills_in, fill.symbol, fill.side, fill.qty, fill.price, ordered))

    def _reconciled(self) -> None:
        """The desk's book must be the exchange's. Raises ExecutionError where they differ and stay different."""
        done = self.desk.reconcile()
        if not done.clean:
            raise ExecutionError(
                f"the desk's book and the exchange's differ, so the replay cannot be compared. {done!r}",
                remedy="this is a defect of the workbench; report it with the study.",
            )


def _close(venue: str, session: pd.Timestamp) -> dt.datetime:
    return sessions.closes(venue, session).to_pydatetime()
