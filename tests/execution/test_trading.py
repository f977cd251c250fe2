import datetime as dt
import threading
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import NoData, ParameterError
from workbench.execution.journal.journal import Journal
from workbench.execution.journal.withdraw import withdraw
from workbench.execution.risk import marks
from workbench.execution.risk.halts import clear, halt, standing
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.trading_state import change
from workbench.execution.trading import place, propose
from workbench.market.book import Book, Position
from workbench.market.order import IntentState, OrderWish, Side
from workbench.market.trading_state import TradingState
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


# --- placing wishes


def wish(symbol="AAPL", qty=10, side=Side.BUY, **more):
    return OrderWish(symbol, side, Decimal(qty), reference_price=Decimal(str(PRICES[symbol])), **more)


def placed(journal, *wishes, bot="bot", **more):
    return place(journal, wishes, bot=bot, session=DAY, prices=PRICES, **{"book": CASH, **more})


def test_wishes_are_checked_and_written_in_one_go(engine, journal):
    done = placed(journal, wish(), wish("MSFT", 10_000_000), generation=3)
    assert [(i.symbol, i.qty, i.generation, i.state) for i in done.written] == [("AAPL", 10, 3, IntentState.INTENT)]
    assert [row["code"] for row in done.refusals] == ["order_qty"]
    assert len(rows(engine, OutboxRow)) == 1
    assert [(row.symbol, row.generation, row.code) for row in rows(engine, RiskRefusalRow)] == [
        ("MSFT", 3, "order_qty")
    ]


def test_placing_again_writes_nothing_twice_and_what_is_new_is_written(engine, journal):
    first = placed(journal, wish())
    again = placed(journal, wish(qty=99), wish("MSFT"))
    assert again.existed == first.written
    assert [(i.symbol, i.qty) for i in again.written] == [("MSFT", 10)]
    assert len(rows(engine, IntentRow)) == 2


def test_each_decision_of_a_bot_keeps_its_own_refusals(engine, journal):
    for generation in range(3):
        placed(journal, wish(qty=10_000_000), generation=generation)
    placed(journal, wish(qty=10_000_000), generation=1)
    assert sorted(row.generation for row in rows(engine, RiskRefusalRow)) == [0, 1, 2]


def test_a_refusal_carries_its_numbers_and_its_limit(engine, journal):
    placed(journal, wish(qty=11), limits=Limits(max_order_qty=Decimal(10)))
    (row,) = rows(engine, RiskRefusalRow)
    assert (row.numbers["qty"], row.numbers["max"], row.numbers["limit"]) == (11, 10, "max_order_qty")


def test_a_halted_account_writes_nothing_and_says_why(engine, journal, tmp_path):
    change(engine, "a", TradingState.HALTED, reason="x", home=tmp_path)
    assert [row["code"] for row in placed(journal, wish()).refusals] == ["trading_halted"]
    assert [row["code"] for row in propose_all(journal).refusals] == ["trading_halted"]
    assert rows(engine, IntentRow) == []
    held = Book(Decimal(0), {"AAPL": Position("AAPL", Decimal(10), Decimal(50))})
    assert placed(journal, wish(side=Side.SELL), bot="kill", book=held).written


def propose_all(journal):
    return propose(journal, {"AAPL": 0.5}, bot="weights", session=DAY, prices=PRICES, book=CASH)


def test_orders_and_repeated_wishes_of_the_last_minute_count(journal):
    limits = Limits(max_orders_per_minute=2, one_order_per_symbol=False)
    assert placed(journal, wish(), wish("MSFT"), limits=limits).written
    assert [row["code"] for row in placed(journal, wish("XOM"), limits=limits).refusals] == ["orders_per_minute"]
    window = Limits(duplicate_window=dt.timedelta(seconds=60), one_order_per_symbol=False)
    repeated = placed(journal, wish(), generation=1, limits=window)
    assert [row["code"] for row in repeated.refusals] == ["duplicate_intent"]
    assert placed(journal, wish(), generation=1, limits=window, bot="other").written


def test_the_equity_and_the_hours_are_asked_for_where_a_limit_needs_them(engine, journal):
    bounded = Limits(max_daily_loss=Decimal("0.03"))
    assert [row["code"] for row in placed(journal, wish(), limits=bounded).refusals] == ["no_equity"]
    for equity in (100, 96):
        with transaction(engine) as session:
            marks.record(session, "a", Decimal(equity), AS_OF)
    assert [row["code"] for row in placed(journal, wish(), limits=bounded, generation=1).refusals] == ["daily_loss"]
    loose = Limits(max_daily_loss=Decimal("0.05"))
    closed = placed(journal, wish(), limits=loose, generation=2, as_of=AS_OF, venue="XNYS")
    assert [row["code"] for row in closed.refusals] == ["outside_hours"]
    noon = AS_OF.replace(hour=16)
    assert placed(journal, wish(), limits=loose, generation=3, as_of=noon, venue="XNYS").written


def test_the_budget_of_a_bot_counts_what_it_has_on_order(journal):
    limits = Limits(bot_budget=Decimal(2000), one_order_per_symbol=False)
    assert placed(journal, wish(qty=15), limits=limits).written
    assert [row["code"] for row in placed(journal, wish(qty=6), generation=1, limits=limits).refusals] == ["bot_budget"]
    assert placed(journal, wish(qty=5), generation=2, limits=limits).written
    assert placed(journal, wish(qty=20), bot="other", limits=limits).written


def test_cancels_are_bounded_and_the_rest_is_refused_and_recorded(engine, journal):
    done = placed(journal, wish(), wish("MSFT"), wish("XOM"))
    limits = Limits(max_cancels_per_minute=2)
    went = withdraw(journal, done.written, bot="bot", session=DAY, limits=limits)
    assert [intent.state for intent in went.asked] == [IntentState.CANCELED] * 2
    assert [row["code"] for row in went.refusals] == ["cancels_per_minute"]
    (row,) = rows(engine, RiskRefusalRow)
    assert (row.code, row.numbers["cancels"], row.numbers["max"]) == ("cancels_per_minute", 3, 2)
    again = withdraw(journal, went.asked, bot="bot", session=DAY, limits=limits)
    assert again.refusals == ()  # what is over counts for nothing
    assert withdraw(journal, done.written, bot="bot", session=DAY).refusals == ()


def test_standing_halts_are_listed(engine):
    with transaction(engine) as session:
        halt(session, "a", "AAPL", reason="drift")
        halt(session, "b", reason="keys")
    clear(engine, "b", reason="new keys")
    assert [(row["account"], row["symbol"], row["reason"]) for row in standing(engine)] == [("a", "AAPL", "drift")]
    assert standing(engine, "b") == []
    assert standing(engine, "a")[0]["since"].tzinfo is not None
