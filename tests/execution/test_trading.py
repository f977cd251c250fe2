import datetime as dt
import threading
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import NoData, ParameterError
from workbench.execution.halts import clear, halt
from workbench.execution.journal import Journal
from workbench.execution.limits import Limits
from workbench.execution.trading import propose
from workbench.market.book import Book, Position
from workbench.market.order import IntentState, Side
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.arena import DecisionRow, EvidencePackRow
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import IntentRow, OutboxRow, ReconciliationRow, RiskRefusalRow
from workbench.trace import tracing

DAY = "2015-06-30"
AS_OF = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
PRICES = {"AAPL": 100.0, "MSFT": 50.0, "XOM": 80.0}
CASH = Book(Decimal(100_000))


@pytest.fixture
def journal(engine):
    return Journal(engine, "a")


def rows(engine, kind):
    with transaction(engine) as session:
        return session.scalars(select(kind)).all()


def test_weights_become_intents_with_their_trace_and_decision(engine, journal):
    with transaction(engine) as session:
        session.add(EvidencePackRow(hash="p", symbol="AAPL", as_of=AS_OF, body={}, trace_id="x"))
        session.flush()
        decision = DecisionRow(
            id="d1", symbol="AAPL", as_of=AS_OF, pack_hash="p", config_hash="c", action="buy", p_up=0.6, confidence=0.2,
            horizon=21, expires=AS_OF, label="rules", reasons=[], evidence=[], cost=Decimal(0), trace_id="x",
        )  # fmt: skip
        session.add(decision)
    with tracing("f" * 32):
        done = propose(
            journal,
            {"AAPL": 0.5, "MSFT": 0.25},
            bot="bot",
            session=DAY,
            prices=PRICES,
            book=CASH,
            decisions={"AAPL": "d1"},
        )
    assert [(i.symbol, i.side, i.qty) for i in done.written] == [("AAPL", Side.BUY, 499), ("MSFT", Side.BUY, 499)]
    assert {(i.symbol, i.decision_id, i.trace_id, i.state) for i in done.intents} == {
        ("AAPL", "d1", "f" * 32, IntentState.INTENT),
        ("MSFT", None, "f" * 32, IntentState.INTENT),
    }
    assert "2 intents written" in done.line
    assert len(rows(engine, OutboxRow)) == 2
    assert done.frame()["outcome"].tolist() == ["written", "written"]


def test_a_second_run_writes_nothing_even_when_the_world_has_moved(engine, journal):
    first = propose(journal, {"AAPL": 0.5}, bot="bot", session=DAY, prices=PRICES, book=CASH)
    moved = Book(Decimal(50_000), {"AAPL": Position("AAPL", Decimal(499), Decimal(101))})
    again = propose(
        journal, {"AAPL": 0.4, "XOM": 0.5}, bot="bot", session=DAY, prices={**PRICES, "AAPL": 120.0}, book=moved
    )
    assert again.written == ()
    assert again.existed == first.written
    assert "1 intents were already written; nothing new was written" in again.line
    assert again.frame()["outcome"].tolist() == ["already written"]
    assert len(rows(engine, IntentRow)) == 1


def test_another_bot_session_or_generation_is_another_proposal(engine, journal):
    propose(journal, {"AAPL": 0.1}, bot="bot", session=DAY, prices=PRICES, book=CASH)
    loose = Limits(one_order_per_symbol=False)
    for bot, day, generation in (("other", DAY, 0), ("bot", "2015-07-01", 0), ("bot", DAY, 1)):
        done = propose(
            journal, {"AAPL": 0.1}, bot=bot, session=day, prices=PRICES, book=CASH, generation=generation, limits=loose
        )
        assert len(done.written) == 1
    assert len({row.client_order_id for row in rows(engine, IntentRow)}) == 4


def test_refusals_are_stored_once_with_audit_and_the_rest_is_written(engine, journal):
    with transaction(engine) as session:
        halt(session, journal.account, "MSFT", reason="drift")
    for _ in range(2):
        done = propose(journal, {"AAPL": 0.3, "MSFT": 0.3}, bot="bot", session=DAY, prices=PRICES, book=CASH)
        assert [refusal["code"] for refusal in done.refusals] == ["symbol_halted"]
        assert "1 refused" in done.line
    (row,) = rows(engine, RiskRefusalRow)
    assert (row.symbol, row.code, row.numbers["limit"], row.numbers["reason"]) == (
        "MSFT", "symbol_halted", "halted", "drift",
    )  # fmt: skip
    assert [a.action for a in rows(engine, AuditRow) if a.entity == "risk_refusal"] == ["refused"]
    assert [i.symbol for i in done.existed] == ["AAPL"]
    assert "MSFT" in repr(done)


def test_when_everything_was_refused_a_later_run_may_write(engine, journal):
    with transaction(engine) as session:
        halt(session, journal.account, reason="keys")
    refused = propose(journal, {"AAPL": 0.3}, bot="bot", session=DAY, prices=PRICES, book=CASH)
    assert (refused.intents, refused.refusals[0]["code"]) == ((), "account_halted")
    assert "nothing to write, 1 refused" in refused.line
    clear(engine, journal.account, reason="new keys")
    done = propose(journal, {"AAPL": 0.3}, bot="bot", session=DAY, prices=PRICES, book=CASH)
    assert (len(done.written), done.refusals) == (1, ())
    assert len(rows(engine, RiskRefusalRow)) == 1


def test_orders_that_may_be_live_count_before_new_ones(engine, journal):
    propose(journal, {"AAPL": 0.9}, bot="first", session=DAY, prices=PRICES, book=CASH)
    done = propose(journal, {"MSFT": 0.5, "AAPL": 0.1}, bot="second", session=DAY, prices=PRICES, book=CASH)
    assert {refusal["symbol"]: refusal["code"] for refusal in done.refusals} == {
        "AAPL": "open_order",
        "MSFT": "gross_exposure",
    }
    assert len(rows(engine, IntentRow)) == 1


def test_the_limit_of_orders_counts_those_of_the_session(engine, journal):
    limits = Limits(max_orders_per_session=2)
    propose(journal, {"AAPL": 0.1}, bot="first", session=DAY, prices=PRICES, book=CASH, limits=limits)
    done = propose(
        journal, {"MSFT": 0.1, "XOM": 0.1}, bot="second", session=DAY, prices=PRICES, book=CASH, limits=limits
    )
    assert ([i.symbol for i in done.written], [r["code"] for r in done.refusals]) == (["MSFT"], ["orders_per_session"])
    assert len(rows(engine, IntentRow)) == 2


def test_an_old_price_is_refused(engine, journal):
    done = propose(
        journal,
        {"AAPL": 0.1},
        bot="bot",
        session=DAY,
        prices=PRICES,
        book=CASH,
        as_of=AS_OF,
        priced_at={"AAPL": AS_OF - dt.timedelta(days=9)},
    )
    assert [refusal["code"] for refusal in done.refusals] == ["stale_price"]
    assert rows(engine, IntentRow) == []


def test_the_book_and_the_buying_power_come_from_the_newest_reconciliation(engine, journal):
    with pytest.raises(NoData, match="never reconciled"):
        propose(journal, {"AAPL": 0.1}, bot="bot", session=DAY, prices=PRICES)
    with transaction(engine) as session:
        session.add(
            ReconciliationRow(
                id=new_id(),
                account=journal.account,
                occasion="start",
                clean=True,
                orders=0,
                positions=0,
                fills=0,
                cash=Decimal(50_000),
                cash_basis=Decimal(50_000),
                buying_power=Decimal(4_000),
                trace_id="t",
                started_at=AS_OF,
            )
        )
    done = propose(journal, {"AAPL": 0.05, "XOM": 0.9}, bot="bot", session=DAY, prices=PRICES)
    assert [(i.symbol, i.qty) for i in done.written] == [("AAPL", 24)]
    assert [refusal["code"] for refusal in done.refusals] == ["buying_power"]


def test_a_bad_weight_or_price_writes_nothing(engine, journal):
    for weights, prices in (({"AAPL": float("nan")}, PRICES), ({"NEW": 0.1}, PRICES)):
        with pytest.raises(ParameterError):
            propose(journal, weights, bot="bot", session=DAY, prices=prices, book=CASH)
    assert rows(engine, IntentRow) == []
    assert rows(engine, RiskRefusalRow) == []


def test_a_book_that_stands_as_wished_needs_nothing(journal):
    done = propose(journal, {"AAPL": 0.0}, bot="bot", session=DAY, prices=PRICES, book=CASH)
    assert done.intents == ()
    assert "nothing to do" in done.line
    assert done.frame().empty


def test_two_notebooks_at_once_write_one_proposal(engine, journal):
    done, errors = [], []

    def run(weights):
        try:
            done.append(propose(journal, weights, bot="bot", session=DAY, prices=PRICES, book=CASH))
        except Exception as error:  # noqa: BLE001 - any failure at all is the finding
            errors.append(error)

    threads = [threading.Thread(target=run, args=({name: 0.2},)) for name in PRICES for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(rows(engine, IntentRow)) == 1
    assert sorted(len(one.written) for one in done) == [0, 0, 0, 0, 0, 1]
