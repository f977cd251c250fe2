"""The one door: a wish of any size becomes an order or a stored parent order, with the reasons, once per key."""

import dataclasses
import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from tests.execution.algos.conftest import SYMBOL, T0, World, after
from workbench.errors import NoData, ParameterError
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.trading_state import change
from workbench.execution.routing import ordering
from workbench.execution.routing.router import Urgency
from workbench.market.order import IntentState, OrderType, OrderWish, Side, TimeInForce
from workbench.market.trading_state import TradingState
from workbench.store.engine import transaction
from workbench.store.tables.algo import ParentOrderRow
from workbench.store.tables.execution import IntentRow, RiskRefusalRow

PRICES = {SYMBOL: Decimal("50.00")}
ADV = Decimal(100_000)
NIGHT = dt.datetime(2015, 7, 1, 3, tzinfo=dt.UTC)
WIDE = Limits(max_order_qty=Decimal(1_000), max_order_notional=Decimal(10**6))


@pytest.fixture
def world(journal, broker, lease):
    return World(journal, broker, lease, limits=WIDE)


def ask(world, qty=100, *, key="k", moment=T0, side=Side.BUY, limit=None, **more):
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    wish = OrderWish(SYMBOL, side, Decimal(qty), kind, limit_price=limit)
    named = {"prices": PRICES, "adv": ADV, "limits": WIDE, **more}
    return ordering.order(world.journal, wish, key=key, moment=moment, **named)


def counts(world):
    """How many intents, parents and refusals of the account are stored."""
    with transaction(world.journal.engine) as opened:
        tables = (IntentRow, ParentOrderRow, RiskRefusalRow)
        asked = (select(func.count()).where(one.account == world.journal.account) for one in tables)
        return tuple(opened.scalar(one) for one in asked)


def test_a_small_wish_becomes_one_order_as_the_router_says(world):
    done = ask(world)
    assert (done.outcome, done.rule, done.stood) == ("ordered", "direct", False)
    intent = world.journal.intent(done.intent_id)
    assert (intent.type, intent.time_in_force, intent.limit_price) == ("limit", TimeInForce.DAY, Decimal("50.25"))
    assert (intent.bot, intent.reference_price, intent.session) == ("by-hand", 50, "2015-06-30")
    assert intent.reason.startswith("direct: ")
    world.desk()
    assert world.journal.intent(done.intent_id).state is IntentState.ACKED


def test_a_middling_wish_starts_a_stored_parent_that_the_engine_works(world):
    done = ask(world, 5_000)
    assert (done.outcome, done.rule, done.intent_id) == ("started", "medium", None)
    (progress,) = world.parents.all()
    assert (progress.parent.id, progress.parent.key, progress.parent.algorithm) == (done.parent_id, "k", "twap")
    assert (progress.parent.qty, progress.parent.decision_price) == (5_000, 50)
    world.reborn()  # whatever asked is gone; the rows are enough
    world.step(0)
    (child,) = world.children()
    assert (child.algo_id, child.state) == (done.parent_id, IntentState.INTENT)
    assert child.qty < 1_000, "no child is above the size of one order, though the whole is"


def test_a_large_wish_follows_the_volume(world):
    assert (ask(world, 12_000).rule, world.parents.all()[0].parent.algorithm) == ("large", "pov")


@pytest.mark.parametrize("qty", [100, 5_000])
def test_the_same_key_writes_nothing_twice_and_says_the_same(world, qty):
    first = ask(world, qty)
    before = counts(world)
    again = ask(world, qty, moment=after(3), prices={SYMBOL: Decimal(51)})
    assert again == dataclasses.replace(first, stood=True)
    assert counts(world) == before
    with pytest.raises(ParameterError, match="belongs to another wish"):
        ask(world, qty + 1)
    assert counts(world) == before


def test_another_key_is_another_order_of_the_same_symbol(world):
    wide = WIDE.model_copy(update={"one_order_per_symbol": False})
    names = {ask(world, key=key, limits=wide).intent_id for key in ("a", "b", "c")}
    assert len(names) == 3
    assert {one.generation for one in world.journal.intents()} == {0, 1, 2}


@pytest.mark.parametrize("qty", [100, 5_000])
def test_the_reasons_are_stored_with_what_was_written(world, qty):
    done = ask(world, qty)
    assert ordering.explained(world.journal, "k") == [done]
    assert any("of the 100000 that trade on an average day" in sentence for sentence in done.why)
    assert ordering.explained(world.journal, "other") == []


def test_a_crash_leaves_neither_the_order_nor_the_reasons(world):
    wish = OrderWish(SYMBOL, Side.BUY, Decimal(5_000))
    with transaction(world.journal.engine) as opened:
        done = ordering.order_in(opened, world.journal, wish, key="k", moment=T0, prices=PRICES, adv=ADV, limits=WIDE)
        assert done.outcome == "started"
        opened.rollback()
    assert (counts(world), ordering.explained(world.journal, "k")) == ((0, 0, 0), [])


def test_an_order_that_breaks_a_limit_is_refused_with_a_row_and_may_be_asked_again(world):
    tight = Limits(max_order_qty=Decimal(50))
    done = ask(world, limits=tight)
    assert (done.outcome, done.intent_id) == ("refused", None)
    assert "its quantity is above 50 shares per order" in done.why[-1]
    assert counts(world) == (0, 0, 1)
    assert ask(world).outcome == "ordered"
    assert [one.outcome for one in ordering.explained(world.journal, "k")] == ["refused", "ordered"]


def test_a_parent_whose_whole_would_break_a_limit_never_starts(world):
    tight = WIDE.model_copy(update={"max_position_notional": Decimal(100_000)})
    done = ask(world, 5_000, limits=tight)
    assert (done.outcome, done.parent_id) == ("refused", None)
    assert "the holding could reach 250000.00, above 100000" in done.why[-1]
    assert counts(world) == (0, 0, 1)


@pytest.mark.parametrize("qty", [100, 5_000])
def test_a_halted_account_gets_neither(world, qty, tmp_path):
    change(world.journal.engine, world.journal.account, TradingState.HALTED, reason="test", home=tmp_path)
    done = ask(world, qty)
    assert done.outcome == "refused"
    assert "HALTED" in done.why[-1]
    assert counts(world) == (0, 0, 1)


def test_outside_the_session_a_wish_is_parked_with_its_moment_and_asked_again_under_its_key(world):
    done = ask(world, moment=NIGHT)
    assert (done.outcome, done.send_at, counts(world)) == ("parked", "2015-07-01T13:30:00+00:00", (0, 0, 0))
    assert repr(done).endswith("ask again then, under the key k.")
    then = ask(world, moment=dt.datetime.fromisoformat(done.send_at))
    assert then.outcome == "ordered"
    assert world.journal.intent(then.intent_id).session == "2015-07-01"
    assert [one.outcome for one in ordering.explained(world.journal, "k")] == ["parked", "ordered"]


def test_urgency_changes_the_choice(world):
    done = ask(world, 5_000, urgency=Urgency.URGENT, limits=WIDE.model_copy(update={"max_order_qty": Decimal(10**4)}))
    assert (done.outcome, done.rule) == ("ordered", "urgent")
    assert world.journal.intent(done.intent_id).time_in_force == TimeInForce.IOC


@pytest.mark.parametrize("wrong", [{"key": ""}, {"key": "k" * 65}, {"qty": "NaN"}, {"qty": -1}, {"adv": Decimal(0)}])
def test_what_is_no_wish_is_named_and_nothing_is_written(world, wrong):
    with pytest.raises(ParameterError, match="nothing was"):
        ask(world, **wrong)
    assert counts(world) == (0, 0, 0)


def test_without_a_price_it_is_refused_and_without_a_book_nothing_is_guessed(journal, world):
    assert ask(world, prices={}).outcome == "refused"
    stranger = dataclasses.replace(journal, account=f"{journal.account}-new")
    wish = OrderWish(SYMBOL, Side.BUY, Decimal(1))
    with pytest.raises(NoData):
        ordering.order(stranger, wish, key="k", moment=T0, prices=PRICES, adv=ADV)
