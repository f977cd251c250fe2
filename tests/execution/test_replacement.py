"""A replacement is held against every limit like a new order: what it adds is counted, what is refused leaves a row."""

import dataclasses
import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import NoData
from workbench.execution.brokers.broker import BrokerOrder, Outcome, Reply
from workbench.execution.replacement import replace_in, replace_order
from workbench.execution.risk.halts import halt
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.trading_state import change
from workbench.execution.submitter.submit import pump
from workbench.execution.trading import place
from workbench.market.book import Book, Position
from workbench.market.hours import Phase
from workbench.market.order import Fill, IntentState, OrderClass, OrderType, OrderWish, Side, TimeInForce
from workbench.market.trading_state import TradingState
from workbench.store.engine import transaction
from workbench.store.tables.execution import OutboxRow, ReconciliationRow, RiskRefusalRow

SESSION = dt.date(2015, 6, 30)
NOON = dt.datetime(2015, 6, 30, 16, tzinfo=dt.UTC)
WISH = OrderWish("AAPL", Side.BUY, Decimal(100), OrderType.LIMIT, TimeInForce.DAY, limit_price=Decimal(50))
PRICES = {"AAPL": Decimal(50), "MSFT": Decimal(50)}
RICH = Book(Decimal(20_000), {})
HOLDING = Book(Decimal(20_000), {"AAPL": Position("AAPL", Decimal(100), Decimal(50))})
ROOM = Limits(max_position_fraction=10, max_gross_exposure=10)


@pytest.fixture
def live(journal, broker, lease):
    return at_broker(journal, broker, lease, WISH)


def at_broker(journal, broker, lease, wish, *, bot="daily"):
    (written,) = journal.write([wish], bot=bot, session=SESSION)
    pump(journal, broker, lease)
    intent = journal.intent(written.intent.id)
    assert intent.state is IntentState.ACKED
    return intent


def asked(journal, intent, *, book=RICH, limits=ROOM, prices=PRICES, **more):
    return replace_order(journal, intent.id, prices=prices, book=book, limits=limits, **more)


def rows(journal):
    with transaction(journal.engine) as opened:
        found = opened.scalars(
            select(RiskRefusalRow).where(RiskRefusalRow.account == journal.account).order_by(RiskRefusalRow.generation)
        )
        return [(row.code, row.numbers) for row in found]


LIMITS_BROKEN = [
    ("order_qty", {"qty": 150}, {"max_order_qty": 120}, {}),
    ("order_notional", {"qty": 150}, {"max_order_notional": 6_000}, {}),
    ("order_notional", {"limit_price": 54}, {"max_order_notional": 5_200}, {}),
    ("position_notional", {"qty": 150}, {"max_position_notional": 6_000}, {}),
    ("position_fraction", {"qty": 150}, {"max_position_fraction": "0.3"}, {}),
    ("gross_exposure", {"qty": 150}, {"max_gross_exposure": "0.3"}, {}),
    ("net_exposure", {"qty": 150}, {"max_net_exposure": "0.3"}, {}),
    ("account_budget", {"qty": 150}, {"account_budget": 6_000}, {}),
    ("bot_budget", {"qty": 150}, {"bot_budget": 6_000}, {}),
    ("cash", {"qty": 150}, {"min_cash": 15_000}, {}),
    ("price_collar", {"limit_price": 60}, {}, {}),
    ("no_price", {"limit_price": 51}, {}, {"prices": {"AAPL": float("nan")}}),
    ("stale_price", {"limit_price": 51}, {}, {"as_of": NOON, "priced_at": {"AAPL": NOON - dt.timedelta(days=9)}}),
    ("tick", {"limit_price": "50.001"}, {}, {}),
    ("lot", {"qty": 150}, {"lot": 100}, {}),
    ("symbol_denied", {"qty": 150}, {"deny": {"AAPL"}}, {}),
    ("outside_hours", {"qty": 150}, {}, {"phase": Phase.AFTER}),
    ("orders_per_session", {"qty": 150}, {"max_orders_per_session": 1}, {}),
    ("not_a_number", {"qty": "NaN"}, {}, {}),
    ("not_a_number", {"qty": "Infinity"}, {}, {}),
    ("not_a_number", {"qty": 0}, {}, {}),
    ("not_a_number", {"qty": -5}, {}, {}),
    ("not_a_number", {"limit_price": "NaN"}, {}, {}),
    ("not_a_number", {"limit_price": "-Infinity"}, {}, {}),
]


@pytest.mark.parametrize(("code", "changes", "bounds", "more"), LIMITS_BROKEN)
def test_what_a_limit_forbids_a_new_order_it_forbids_a_replacement(  # noqa: PLR0917 - fixtures and a table
    journal, broker, lease, live, code, changes, bounds, more
):
    limits = Limits(**{**ROOM.model_dump(), **bounds})
    changes = {name: Decimal(value) for name, value in changes.items()}
    done = asked(journal, live, limits=limits, **changes, **more)
    assert [refusal["code"] for refusal in done.refusals] == [code], done
    assert done.written == ()
    ((stored, numbers),) = rows(journal)
    assert stored == code
    assert numbers["limit"]
    assert (numbers["replaces"], set(numbers["asked"])) == (live.client_order_id, set(changes))
    assert journal.intents() == [live], "the old order is untouched"
    pump(journal, broker, lease)
    assert [order.qty for order in broker.live.values()] == [100]


def test_every_refusal_is_a_row_of_its_own(journal, live):
    limits = Limits(**{**ROOM.model_dump(), "max_order_qty": 120})
    for qty in (150, 160, 160):
        asked(journal, live, limits=limits, qty=Decimal(qty))
    assert [numbers["qty"] for _, numbers in rows(journal)] == [150, 160, 160]
    assert asked(journal, live, limits=limits, qty=Decimal(110)).written
    assert place(journal, [dataclasses.replace(WISH, symbol="MSFT")], bot="daily", session=SESSION,
                 prices=PRICES, book=RICH, limits=ROOM, generation=1).refusals == ()  # fmt: skip


def test_what_is_within_every_limit_is_written_with_its_work(journal, live):
    done = asked(
        journal, live, qty=Decimal(150), limits=Limits(**{**ROOM.model_dump(), "max_position_notional": 7_500})
    )
    (new,) = done.written
    assert (new.qty, new.replaces_id, done.refusals, rows(journal)) == (150, live.id, (), [])
    with transaction(journal.engine) as opened:
        assert opened.scalars(select(OutboxRow.kind).where(OutboxRow.intent_id == new.id)).all() == ["replace"]


def test_old_and_new_count_once_at_the_larger_and_the_dearer(journal, live):
    tight = Limits(**{**ROOM.model_dump(), "account_budget": 7_500})
    assert asked(journal, live, limits=tight, qty=Decimal(150)).written  # 100 + 150 would be above
    other = dataclasses.replace(WISH, symbol="MSFT", qty=Decimal(1))
    (refused,) = place(journal, [other], bot="two", session=SESSION, prices=PRICES, book=RICH, limits=tight).refusals
    assert refused["code"] == "account_budget"


def test_a_cheaper_and_larger_order_is_counted_at_the_price_of_the_old_one(journal, live):
    tight = Limits(**{**ROOM.model_dump(), "max_position_notional": 5_400})
    done = asked(journal, live, limits=tight, prices={"AAPL": Decimal(49)}, qty=Decimal(109), limit_price=Decimal(49))
    assert [refusal["code"] for refusal in done.refusals] == ["position_notional"]  # 109 × 50, not 109 × 49


def test_what_has_filled_is_taken_off_the_total_and_counted_as_held(journal, broker, live, time):
    time.sleep(1)
    journal.book_order(broker.change(live.client_order_id, status="partially_filled", filled_qty="40"))
    tight = Limits(**{**ROOM.model_dump(), "max_position_notional": 6_000})
    assert asked(journal, live, limits=tight, qty=Decimal(121)).refusals[0]["code"] == "position_notional"
    assert asked(journal, live, limits=tight, qty=Decimal(120)).written


def test_an_order_of_unknown_fate_stands_beside_the_replacement(journal, broker, lease, live):
    journal.write([dataclasses.replace(WISH, symbol="MSFT")], bot="lost", session=SESSION)
    broker.script = ["lost"]
    pump(journal, broker, lease)
    assert [one.symbol for one in journal.unknown()] == ["MSFT"]
    tight = Limits(**{**ROOM.model_dump(), "account_budget": 11_000})
    assert asked(journal, live, limits=tight, qty=Decimal(130)).refusals[0]["code"] == "account_budget"
    assert asked(journal, live, limits=tight, qty=Decimal(120)).written


def test_how_many_orders_a_minute_brings_counts_replacements(journal, live):
    limits = Limits(**{**ROOM.model_dump(), "max_orders_per_minute": 1})
    clocked = dataclasses.replace(journal, clock=lambda: dt.datetime.now(dt.UTC))
    assert asked(clocked, live, limits=limits, qty=Decimal(90)).refusals[0]["code"] == "orders_per_minute"


@pytest.mark.parametrize("raised", [{"qty": Decimal(101)}, {"limit_price": Decimal("50.01")}])
def test_while_reducing_only_what_is_lowered_may_be_replaced(journal, broker, lease, live, raised):
    change(journal.engine, journal.account, TradingState.REDUCING, reason="test")
    assert asked(journal, live, **raised).refusals[0]["code"] == "trading_reducing"
    tight = Limits(max_order_qty=Decimal(1), deny={"AAPL"})  # no limit stands in the way of less
    (new,) = asked(journal, live, limits=tight, qty=Decimal(60)).written
    broker.replace = lambda *_, client_order_id, qty=None, **__: broker_says(broker, live, client_order_id, qty)
    pump(journal, broker, lease)
    assert journal.intent(new.id).state is IntentState.ACKED, "what passed the check is sent, too"


def broker_says(broker, old, client_order_id, qty):
    raw = {**broker.live[old.client_order_id].raw, "id": "r1", "client_order_id": client_order_id, "replaces": "b1"}
    raw["qty"] = str(qty if qty is not None else old.qty)
    return Reply(Outcome.PLACED, BrokerOrder.of(raw), 200, raw=raw)


def test_while_reducing_a_sale_of_what_is_held_may_be_repriced_upwards_and_is_sent(journal, broker, lease, live, time):
    """Old and new sale of the same shares are one sale, for the check and for what sends it."""
    time.sleep(1)
    journal.book_order(broker.change(live.client_order_id, status="filled", filled_qty="100"))
    fill(journal, live, 100)
    sale = at_broker(journal, broker, lease, dataclasses.replace(WISH, side=Side.SELL), bot="seller")
    change(journal.engine, journal.account, TradingState.REDUCING, reason="test")
    assert asked(journal, sale, book=HOLDING, qty=Decimal(101)).refusals[0]["code"] == "trading_reducing"
    (new,) = asked(journal, sale, book=HOLDING, limit_price=Decimal(52)).written
    broker.replace = lambda *_, client_order_id, qty=None, **__: broker_says(broker, sale, client_order_id, qty)
    pump(journal, broker, lease)
    assert journal.intent(new.id).state is IntentState.ACKED


def fill(journal, intent, qty):
    journal.book_fill(
        Fill("f1", intent.broker_order_id, intent.client_order_id, "AAPL", intent.side, Decimal(qty), Decimal(50), NOON)
    )


def test_while_halted_nothing_is_replaced(journal, live, tmp_path):
    change(journal.engine, journal.account, TradingState.HALTED, reason="test", home=tmp_path)
    assert asked(journal, live, qty=Decimal(10)).refusals[0]["code"] == "trading_halted"
    with transaction(journal.engine) as opened:
        halt(opened, journal.account, "AAPL", reason="drift")
    change(journal.engine, journal.account, TradingState.ACTIVE, reason="test", home=tmp_path)
    assert asked(journal, live, qty=Decimal(10)).refusals[0]["code"] == "symbol_halted"


def test_a_lower_price_is_still_held_against_the_newest_one(journal, live):
    assert asked(journal, live, limit_price=Decimal(5)).refusals[0]["code"] == "price_collar"


def test_a_sale_may_not_grow_beyond_what_is_held(journal, broker, lease):
    sale = at_broker(journal, broker, lease, dataclasses.replace(WISH, side=Side.SELL, qty=Decimal(60)))
    assert asked(journal, sale, book=HOLDING, qty=Decimal(101)).refusals[0]["code"] == "short"
    assert asked(journal, sale, book=HOLDING, qty=Decimal(100)).written


def test_a_replacement_may_not_meet_another_order_of_ours(journal, broker, lease, live):
    at_broker(journal, broker, lease, dataclasses.replace(WISH, side=Side.SELL, limit_price=Decimal(52)), bot="two")
    assert asked(journal, live, book=HOLDING, limit_price=Decimal(52)).refusals[0]["code"] == "self_cross"
    assert asked(journal, live, book=HOLDING, limit_price=Decimal(51)).written


def test_buying_power_that_the_broker_holds_for_the_old_order_may_be_used_by_the_new_one(journal, live):
    """Once the broker's figure is newer than the old order, and not before."""
    reconciled(journal, live.sent_at - dt.timedelta(seconds=1), buying_power=400)
    assert asked(journal, live, qty=Decimal(101)).refusals[0]["code"] == "buying_power"
    reconciled(journal, live.sent_at + dt.timedelta(seconds=1), buying_power=400)
    assert asked(journal, live, qty=Decimal(109)).refusals[0]["code"] == "buying_power"  # 9 × 50 > 400
    assert asked(journal, live, qty=Decimal(108)).written


def reconciled(journal, moment, *, buying_power):
    with transaction(journal.engine) as opened:
        opened.add(
            ReconciliationRow(
                account=journal.account,
                occasion="test",
                clean=True,
                orders=0,
                positions=0,
                fills=0,
                buying_power=Decimal(buying_power),
                trace_id="t",
                started_at=moment,
            )
        )


def test_an_unsent_replacement_that_is_replaced_never_becomes_a_second_order(journal, broker, lease, live):
    """The order at the broker keeps its one successor, however often that is wished otherwise before it is sent."""
    (first,) = asked(journal, live, qty=Decimal(120)).written
    (second,) = asked(journal, first, qty=Decimal(110)).written
    assert journal.intent(first.id).state is IntentState.CANCELED
    assert second.replaces_id == live.id
    broker.patched = []
    broker.replace = lambda broker_order_id, *, client_order_id, qty=None, **_: (
        broker.patched.append(broker_order_id) or broker_says(broker, live, client_order_id, qty)
    )
    pump(journal, broker, lease)
    assert (broker.patched, len(broker.posts)) == ([live.broker_order_id], 1)


def test_a_replacement_that_was_withdrawn_before_it_was_sent_leaves_its_place_free(journal, live):
    (first,) = asked(journal, live, qty=Decimal(120)).written
    journal.ask_cancel(first.id)
    assert asked(journal, live, qty=Decimal(110)).written


def test_an_exit_is_counted_at_most_with_what_its_entry_has_filled(journal, broker, lease):
    """The broker holds the exits of an entry that has filled nothing: moving a stop must not look like a short sale."""
    wish = dataclasses.replace(
        WISH, order_class=OrderClass.BRACKET, take_profit_price=Decimal(55), stop_loss_price=Decimal(45)
    )
    entry = at_broker(journal, broker, lease, wish)
    raw = broker.live[entry.client_order_id].raw
    leg = {**raw, "side": "sell", "status": "held", "limit_price": None}
    legs = [
        {**leg, "id": "x1", "client_order_id": "exit-1", "type": "limit", "limit_price": "55"},
        {**leg, "id": "x2", "client_order_id": "exit-2", "type": "stop", "stop_price": "45"},
    ]
    journal.book_order(BrokerOrder.of({**raw, "legs": legs}))
    stop = next(one for one in journal.intents() if one.role == "stop_loss")
    assert asked(journal, stop, stop_price=Decimal(46)).written, "its entry has filled nothing"


def test_without_a_book_nothing_is_written(journal, live):
    with pytest.raises(NoData):
        replace_order(journal, live.id, prices=PRICES, qty=Decimal(120))
    assert journal.intents() == [live]


def test_a_replacement_is_rolled_back_with_the_transaction_it_is_wished_in(journal, live):
    with transaction(journal.engine) as opened:
        named = {"book": RICH, "limits": ROOM, "qty": Decimal(120)}
        assert replace_in(opened, journal, live.id, prices=PRICES, **named).written
        opened.rollback()
    assert journal.intents() == [live]
