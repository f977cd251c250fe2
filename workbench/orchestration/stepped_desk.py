"""A real desk on a replayed account, moved by hand: the clock stands still until it has sent and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import ExecutionError
from workbench.exchange import embedded
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.discrepancy import Reconciliation, load
from workbench.market.order import IntentState
from workbench.orchestration import desk_state
from workbench.orchestration.desk_process import Desk
from workbench.store.engine import transaction

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Engine

    from workbench.execution.brokers.broker import Broker

# The desk compares its book when it is asked to; not by the wall's clock, which means nothing here.
NEVER_BY_ITSELF = 1e9
# A replay of years must not be cut short by a slow machine; so many steps that bring nothing will bring nothing.
PATIENCE_STEPS = 5_000
WAIT_SECONDS = 0.01
_ON_THE_WAY = (IntentState.INTENT, IntentState.SENDING, IntentState.UNKNOWN)


class SteppedDesk:
    """The desk of one account of the local exchange at `url`: `start`, then moment by moment, then `close`.

    Args:
        broker: the account; the desk closes it.
    """

    def __init__(self, engine: Engine, broker: Broker, *, url: str) -> None:
        self.desk = Desk(engine, broker, url=url, reconcile_seconds=NEVER_BY_ITSELF)
        self.journal = Journal(engine, broker.name)
        self._engine, self._url = engine, url

    def start(self) -> None:
        """See `Desk.start`."""
        self.desk.start()

    def close(self) -> None:
        """See `Desk.close`."""
        self.desk.close()

    def advance(self, to: dt.datetime) -> None:
        """Move the account's clock, and with it the market."""
        embedded.advance(self._url, name=self.journal.account, to=to)

    def send(self) -> None:
        """Step until the broker has every order that is written, or has refused it. Raises ExecutionError."""
        for _ in range(PATIENCE_STEPS):
            waiting = self.journal.intents(states=_ON_THE_WAY)
            if not waiting:
                return
            self.desk.step()
            self.desk.wake.wait(WAIT_SECONDS)
        said = ", ".join(f"{one.symbol} {one.state} ({one.note})" for one in waiting)
        raise ExecutionError(
            f"{len(waiting)} orders of {self.journal.account} came to no end: {said}. Nothing more is traded.",
            remedy="look at the account's halts and its trading state.",
        )

    def reconcile(self) -> Reconciliation:
        """Let the desk compare its book with the exchange's, which books what the stream has not brought yet.

        Raises:
            ExecutionError: it gave no answer.
        """
        number = desk_state.ask(self._engine, self.journal.account)
        for _ in range(PATIENCE_STEPS):
            self.desk.step()
            with transaction(self._engine) as session:
                _, answered, identifier = desk_state.asked(session, self.journal.account)
                if answered >= number and identifier is not None:
                    return load(session, identifier)
            self.desk.wake.wait(WAIT_SECONDS)
        raise ExecutionError(
            f"the desk of {self.journal.account} did not compare its book. Nothing more is traded.",
            remedy="is the local exchange still running?",
        )
