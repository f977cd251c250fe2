"""Whatever is lost, doubled, reordered or killed on the way: no order is doubled, no fill invented, no risk unseen.

`WORKBENCH_DEEP=1` asks far more questions, and other ones each time.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import event, update

from tests.properties.exchange_double import ExchangeDouble
from tests.properties.order_path import LIMITS, OrderPath
from workbench.execution.journal.journal import Journal
from workbench.execution.replacement import replace_order
from workbench.market.order import IntentState, Side
from workbench.store.engine import open_engine, transaction
from workbench.store.tables.execution import IntentRow

DEEP = bool(os.environ.get("WORKBENCH_DEEP"))
# A failing run is found again by its steps, not by its shortest form: shrinking takes longer than the whole proof.
FAST = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
THOROUGH = settings(
    FAST, max_examples=1500, stateful_step_count=70, derandomize=False, phases=[Phase.generate, Phase.shrink]
)
HUNT = settings(FAST, max_examples=300)  # over as soon as it has found the mistake
PROOF = THOROUGH if DEEP else FAST
_again = itertools.count(1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One database for all examples, each with an account of its own; no waiting for the disk."""
    opened = open_engine(f"sqlite:///{tmp_path_factory.mktemp('machine') / 'test.db'}")
    event.listen(opened, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    opened.dispose()
    yield opened
    opened.dispose()


def machine(engine, kind=OrderPath):
    return type(kind.__name__, (kind,), {"engine": engine})


def test_any_interleaving_keeps_the_order_path_right(engine):
    run_state_machine_as_test(machine(engine), settings=PROOF)


def test_what_was_sent_in_silence_is_not_unsent_because_the_next_attempt_came_too_often(engine):
    """Found by the machine: 429 made an order of unknown fate look unsent, and a cancel then ended it only here."""
    path = machine(engine)()
    path.open_an_account()
    path.wish_and_work([("AAA", Side.BUY, 2, None)], ["late"])
    for _ in range(4):
        path.work_on([], 2)
        path.exchange.fates.append("limited")
    assert path.journal.intents()[0].attempt >= 2
    path.ask_cancel(0)
    assert path.journal.intents()[0].state is not IntentState.CANCELED
    path.risk_counts_at_least_what_may_happen()
    path.teardown()
    assert path.exchange.open_ones() == []


# --- mistakes that others make: the proof must find each of them


class NewIdPerAttempt(ExchangeDouble):
    """A client that sends again under a new id when it has heard nothing, and looks nothing up."""

    def __init__(self, time):
        super().__init__(time)
        self.tried = Counter()

    def submit(self, order):
        self.tried[order.client_order_id] += 1
        number = self.tried[order.client_order_id]
        if number > 1:
            order = dataclasses.replace(order, client_order_id=f"{order.client_order_id}-{number}")
        return super().submit(order)

    def order_by_client_id(self, client_order_id):
        return None


class UnknownIsNothing(Journal):
    """A book that forgets orders of unknown fate."""

    def open_exposure(self):
        forgotten = {intent.client_order_id for intent in self.unknown()}
        return [order for order in super().open_exposure() if order.client_order_id not in forgotten]


class EachEventIsAFill(Journal):
    """A book that believes an event's own quantity, as often as it comes."""

    def book_event(self, told):
        if told.fill is not None:
            again = f"{told.fill.execution_id}-{next(_again)}"
            told = dataclasses.replace(told, fill=dataclasses.replace(told.fill, execution_id=again, cum_qty=None))
        return super().book_event(told)


class SendsWithoutAsking(Journal):
    """A submitter that forgets, when its process dies, that a request was under way."""

    def recover(self, lease):
        with transaction(self.engine) as session:
            gone = (IntentRow.account == self.account, IntentRow.state == "sending")
            session.execute(update(IntentRow).where(*gone).values(state="rejected"))
        return []


class NeverReconciles(OrderPath):
    """A desk that trusts the stream."""

    def reconcile(self, occasion):
        pass


class ReplacesUnchecked(OrderPath):
    """A replacement that no limit stops."""

    def held_against_limits(self, intent, book, changes):
        boundless = LIMITS.model_copy(update={"max_position_notional": Decimal(10) ** 9})
        newest = dict.fromkeys(("AAA", "BBB"), changes["limit_price"])
        return replace_order(self.journal, intent.id, prices=newest, book=book, limits=boundless, **changes)


@pytest.mark.parametrize(
    "planted",
    [
        {"exchange_type": NewIdPerAttempt},
        {"journal_type": UnknownIsNothing},
        {"journal_type": EachEventIsAFill},
        {"journal_type": SendsWithoutAsking},
        {"base": NeverReconciles},
        {"base": ReplacesUnchecked},
    ],
    ids=[
        "new id per attempt",
        "unknown is nothing",
        "each event is a fill",
        "forgets in death",
        "never reconciles",
        "replaces unchecked",
    ],
)
def test_a_planted_mistake_is_found(engine, planted):
    base = machine(engine, planted.pop("base", OrderPath))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(type("Planted", (base,), planted), settings=HUNT)
