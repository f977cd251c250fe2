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
from workbench.execution.alpaca import AlpacaBroker
from workbench.execution.discrepancy import load
from workbench.execution.journal import Journal
from workbench.market.book import Book
from workbench.market.order import IntentState, OrderWish, Side
from workbench.market.rebalance import rebalance
from workbench.orchestration import desk_state
from workbench.orchestration.accounts import MULTIPLIER
from workbench.orchestration.desk_process import Desk
from workbench.store.engine import open_engine, transaction

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.execution.intent import Intent
    from workbench.market.history import History
    from workbench.strategy import Strategy

BOT = "fidelity"
# A replay of years must not be cut short by a slow machine; a step that brings nothing for so long will bring nothing.
PATIENCE_STEPS = 2_000
WAIT_SECONDS = 0.01
# The desk compares its book when it is asked to, at each close; not by the wall's clock, which means nothing here.
NEVER_BY_ITSELF = 1e9
_ON_THE_WAY = frozenset({IntentState.INTENT, IntentState.SENDING, IntentState.UNKNOWN})


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
        desk = Desk(engine, broker, url=url, reconcile_seconds=NEVER_BY_ITSELF)
        try:
            desk.start()
            replay = _Replay(strategy, history, desk, engine, url=url, cushion=cushion)
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

    def __init__(
        self, strategy: Strategy, history: History, desk: Desk, engine: Engine, *, url: str, cushion: float
    ) -> None:
        self.strategy, self.history = strategy, history
        self.desk, self.engine, self.journal = desk, engine, Journal(engine, desk.account)
        self.url, self.cushion = url, cushion
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
        self._advance(_close(venue, days[-1]))
        self._reconciled()

    def _trade(self, wishes: list[OrderWish], *, decided: pd.Timestamp, fills_in: pd.Timestamp) -> None:
        """Write intents at the close of `decided`, let the desk send them, move to the next close, book the fills."""
        venue, day = self.history.study.venue, decided.date()
        self._advance(_close(venue, decided))
        written = [one.intent for one in self.journal.write(wishes, bot=BOT, session=day)]
        for intent in written:
            self.done.ordered[fills_in, intent.symbol] = intent.side.sign * intent.qty
        for intent in self._sent(day):
            if intent.state is IntentState.REJECTED:
                self.done.refused[fills_in, intent.symbol] = intent.note
        self._advance(_close(venue, fills_in))
        self._reconciled()
        mine = {intent.client_order_id for intent in written}
        for fill in self.journal.fills():
            if fill.client_order_id in mine:
                self.book = self.book.apply(fill)
                ordered = abs(self.done.ordered[fills_in, fill.symbol])
                self.done.fills.append(ExchangeFill(fills_in, fill.symbol, fill.side, fill.qty, fill.price, ordered))

    def _sent(self, day: dt.date) -> list[Intent]:
        """Step the desk until the broker has every order of the day, or has refused it; the orders then."""
        mine: list[Intent] = []
        for _ in range(PATIENCE_STEPS):
            self.desk.step()
            mine = self.journal.intents(session=day, bot=BOT)
            if not any(intent.state in _ON_THE_WAY for intent in mine):
                return mine
            self.desk.wake.wait(WAIT_SECONDS)
        said = ", ".join(f"{one.symbol} {one.state} ({one.note})" for one in mine if one.state in _ON_THE_WAY)
        raise ExecutionError(
            f"orders of {day} did not reach the exchange: {said}. The replay stopped.",
            remedy="run it again; it starts with a new account.",
        )

    def _reconciled(self) -> None:
        """Let the desk compare its book with the exchange's, which books what the stream has not brought yet.

        Raises:
            ExecutionError: they differ and stay different, or the desk gave no answer.
        """
        number = desk_state.ask(self.engine, self.desk.account)
        for _ in range(PATIENCE_STEPS):
            self.desk.step()
            with transaction(self.engine) as session:
                _, answered, identifier = desk_state.asked(session, self.desk.account)
                done = load(session, identifier) if answered >= number and identifier is not None else None
            if done is None:
                self.desk.wake.wait(WAIT_SECONDS)
            elif done.clean:
                return
            else:
                raise ExecutionError(
                    f"the desk's book and the exchange's differ, so the replay cannot be compared. {done!r}",
                    remedy="this is a defect of the workbench; report it with the study.",
                )
        raise ExecutionError("the desk did not compare its book.", remedy="run it again; it starts with a new account.")

    def _advance(self, to: dt.datetime) -> None:
        embedded.advance(self.url, name=self.desk.account, to=to)


def _close(venue: str, session: pd.Timestamp) -> dt.datetime:
    return sessions.closes(venue, session).to_pydatetime()
