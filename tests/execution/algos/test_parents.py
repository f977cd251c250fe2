"""Parent orders: stored, worked from what is booked, resumed, cancelled, ended; on both databases."""

import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from tests.execution.algos.conftest import SESSION, SYMBOL, T0, after
from tests.execution.conftest import ask_replace
from workbench.errors import AlgorithmRefused, DataError, StoreError
from workbench.execution.algos.engine import AlgoEngine
from workbench.execution.algos.parents import Parents
from workbench.execution.algos.tally import tally_in
from workbench.execution.algos.vwap import VolumeProfile
from workbench.execution.risk.halts import halt
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.trading_state import change
from workbench.execution.submitter.submit import pump
from workbench.execution.trading import place
from workbench.market.order import IntentState, OrderClass, OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.store.engine import transaction
from workbench.store.tables.algo import ParentOrderRow, ParentSliceRow
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import FillRow, IntentRow, OutboxRow

IMPACT = {"sigma": 0.95, "eta": 2.5e-6, "gamma": 2.5e-7, "epsilon": 0.0625}


def sent(world):
    return [int(intent.qty) for intent in world.children()]


def states(world, parent):
    return world.parents.schedule(parent.id)["state"].tolist()


def test_a_twap_orders_its_slices_one_by_one_and_is_done(world):
    parent = world.start(1000)
    for number in range(7):
        following = world.step(10 * number)
        assert following == after(10 * (number + 1))
        world.desk()
        world.fill()
    assert sent(world) == [143] * 6 + [142]
    assert world.step(69) == after(70)  # nobody looks before there is something to do
    assert world.step(70) is None
    progress = world.parents.progress(parent.id)
    assert (progress.parent.state, progress.filled, progress.left) == ("done", 1000, 0)
    assert progress.parent.arrival_price == Decimal("50.00")
    assert progress.parent.market_vwap == Decimal("50.10")
    assert "done (1000 filled), 1000 filled at 50.0000" in progress.line


def test_children_carry_the_parents_id_name_and_nothing_is_sent_twice(world):
    parent = world.start(1000, decision_price=Decimal("49.90"))
    world.step(0)
    world.step(0)
    world.reborn()
    world.step(5)
    (child,) = world.children()
    with transaction(world.journal.engine) as opened:
        row = opened.scalars(select(IntentRow).where(IntentRow.id == child.id)).one()
        one = opened.get(ParentSliceRow, (parent.id, 0))
        audited = opened.scalars(select(AuditRow.action).where(AuditRow.entity_id == f"{parent.id}:0")).all()
        assert (row.algo_id, one.intent_id, one.state, one.sent_qty) == (parent.id, child.id, "sent", 143)
        assert audited == ["sent"]
        assert row.trace_id == parent.trace_id
    assert (child.bot, child.type, child.reference_price) == ("bot", "market", Decimal("50.00"))
    assert child.generation == 5000
    assert len(child.client_order_id) <= 48


def test_what_did_not_fill_goes_to_the_slices_that_are_left(world):
    parent = world.start(1000)
    world.step(0)
    world.desk()
    world.fill(43)  # of 143
    assert world.step(10) == after(10) + dt.timedelta(seconds=0.5)  # the order before is asked away first
    assert len(world.children()) == 1
    world.desk()
    world.step(10.1)
    assert sent(world) == [143, 160]  # 957 shares in 6 slices: 159.5
    assert world.parents.progress(parent.id).filled == 43


def test_a_fill_that_crosses_its_cancel_is_counted(world):
    world.start(1000)
    world.step(0)
    world.desk()
    world.step(10)
    world.fill()  # the cancel came too late
    world.desk()
    world.step(10.1)
    assert sent(world) == [143, 143]
    assert world.booked() == 143


def test_a_fill_that_is_reported_and_not_booked_holds_the_next_slice_back(world):
    world.start(1000)
    world.step(0)
    world.desk()
    (order,) = world.live()
    world.say("filled", order.client_order_id, filled_qty="143")  # the order says so, no execution has come
    assert world.journal.intents()[0].state is IntentState.FILLED
    world.step(10)
    assert sent(world) == [143]


def test_an_order_of_unknown_fate_holds_everything_back_and_is_said_at_the_end(world):
    parent = world.start(1000, minutes=20)
    world.step(0)
    world.broker.script = ["lost"]
    world.desk()
    assert world.open_children()[0].state is IntentState.UNKNOWN
    for minutes in (10, 11, 19):
        world.step(minutes)
    assert sent(world) == [500]
    with transaction(world.journal.engine) as opened:
        row = opened.scalars(select(IntentRow).where(IntentRow.account == world.journal.account)).one()
        row.state = IntentState.UNKNOWN_EXPIRED.value
    assert world.step(20) is None
    ended = world.parents.progress(parent.id)
    assert ended.parent.state == "expired"
    assert "1000 of 1000 not filled" in ended.parent.detail
    assert "500 of them are in an order of unknown fate" in ended.parent.detail
    assert (ended.to_come, ended.left) == (500, 500)


def test_at_its_end_the_open_order_is_cancelled_and_what_is_left_is_said(world):
    parent = world.start(1000, minutes=20)
    world.step(0)
    world.desk()
    world.fill()
    world.step(10)
    world.desk()
    world.fill(100)
    assert world.step(20) == after(20) + dt.timedelta(seconds=0.5)
    assert len(world.children()) == 2
    world.desk()
    assert world.step(20.1) is None
    ended = world.parents.progress(parent.id).parent
    assert (ended.state, ended.detail) == ("expired", "400 of 1000 not filled: its time is over")
    assert ended.ended_at == after(20.1)


def test_slices_that_nobody_worked_are_made_up_for_by_the_next(world):
    parent = world.start(1000)
    world.step(0)
    world.desk()
    world.fill()
    world.reborn()
    world.step(35)  # 10, 20 and 30 are due; 857 shares are left for 30, 40, 50 and 60
    assert sent(world) == [143, 215]
    assert states(world, parent) == ["sent", "skipped", "skipped", "sent", "planned", "planned", "planned"]


def test_a_parent_that_was_never_worked_expires_with_nothing_sent(world):
    parent = world.start(1000)
    assert world.step(71) is None
    assert world.children() == []
    assert world.parents.progress(parent.id).parent.detail == "1000 of 1000 not filled: its time is over"


def test_a_sweep_takes_all_that_is_left_shortly_before_the_end(world):
    parent = world.start(1000, minutes=20, params={"sweep_seconds": 60, "max_child": "100"})
    for minutes in (0, 10, 19):
        world.step(minutes)
        world.desk()
        world.fill()
    assert sent(world) == [100, 100, 800]
    assert world.step(20) is None
    assert world.parents.progress(parent.id).parent.state == "done"


def test_a_limit_of_the_parent_is_the_limit_of_every_child_and_on_the_tick(world):
    parent = world.start(1000, limit=Decimal("50.129"))
    world.step(0)
    (child,) = world.children()
    assert (child.type, child.limit_price, parent.limit_price) == ("limit", Decimal("50.12"), Decimal("50.12"))


def test_cancelling_a_parent_cancels_its_child_and_nothing_follows(world):
    parent = world.start(1000)
    world.step(0)
    world.desk()
    progress = world.parents.cancel(parent.id, reason="changed my mind")
    assert (progress.parent.state, progress.parent.detail) == ("cancelled", "changed my mind")
    assert states(world, parent) == ["sent", *["skipped"] * 6]
    world.desk()
    assert world.children()[0].state is IntentState.CANCELED
    assert world.step(30) is None
    assert sent(world) == [143]
    assert world.parents.progress(parent.id).parent.market_vwap == Decimal("50.10")
    again = world.parents.cancel(parent.id, reason="twice")
    assert again.parent.detail == "changed my mind"


def test_a_child_that_was_never_sent_is_cancelled_at_once(world):
    parent = world.start(1000)
    world.step(0)
    world.parents.cancel_all(reason="kill")
    assert world.children()[0].state is IntentState.CANCELED
    assert world.broker.posts == []
    assert world.parents.progress(parent.id).parent.state == "cancelled"


def test_a_halted_account_ends_its_parents_and_they_stay_ended(world):
    parent = world.start(1000)
    world.step(0)
    world.desk()
    change(world.journal.engine, world.journal.account, TradingState.HALTED, reason="kill switch")
    assert world.step(5) is None or world.step(10) is None
    change(world.journal.engine, world.journal.account, TradingState.ACTIVE, reason="looked at it")
    world.step(20)
    assert sent(world) == [143]
    assert world.parents.progress(parent.id).parent.detail == "the account is HALTED"
    with transaction(world.journal.engine) as opened:
        kinds = opened.scalars(select(OutboxRow.kind).where(OutboxRow.account == world.journal.account)).all()
    assert "cancel" in kinds


def test_a_refused_slice_says_why_and_its_shares_go_to_the_next(world):
    parent = world.start(1000)
    with transaction(world.journal.engine) as opened:
        halt(opened, world.journal.account, SYMBOL, reason="drift")
    world.step(0)
    assert world.children() == []
    schedule = world.parents.schedule(parent.id)
    assert schedule["state"].tolist()[:2] == ["refused", "planned"]
    assert "halted" in schedule["detail"][0]


def test_a_slice_without_a_price_is_skipped_and_not_guessed(world):
    parent = world.start(1000)
    world.facts.prices = {}
    world.step(0)
    world.facts.prices = {SYMBOL: Decimal(50)}
    world.step(10)
    assert sent(world) == [167]
    assert "no price of SYN01 is known" in world.parents.schedule(parent.id)["detail"][0]


def test_two_parents_of_one_bot_in_one_symbol_do_not_meet(world):
    first, second = world.start(1000), world.start(700)
    world.limits = Limits(one_order_per_symbol=False)
    world.reborn()
    world.step(0)
    assert sorted(sent(world)) == [100, 143]
    assert len({child.client_order_id for child in world.children()}) == 2
    assert {world.parents.progress(one.id).to_come for one in (first, second)} == {143, 100}


def test_the_bots_own_orders_are_neither_found_nor_taken_for_children(world):
    wish = OrderWish(SYMBOL, Side.BUY, Decimal(10), reference_price=Decimal(50))
    prices = {SYMBOL: 50.0}
    place(world.journal, [wish], bot="bot", session=SESSION, prices=prices, as_of=T0)
    world.desk()
    world.fill()
    parent = world.start(1000)
    world.step(0)
    world.desk()
    world.fill()
    assert world.parents.progress(parent.id).filled == 143
    assert sorted(sent(world)) == [10, 143]


def test_pov_follows_the_volume_of_the_others(world):
    parent = world.start(5000, algorithm="pov", params={"rate": 0.1}, minutes=50)
    world.facts.volumes = {10: Decimal(9000), 20: Decimal(9000), 30: Decimal(18_000)}
    orders = []
    for minutes in (0, 10, 20, 30, 40):
        world.step(minutes)
        world.desk()
        if world.live():
            world.fill()
            orders.append((minutes, int(world.children()[-1].qty)))
    assert orders == [(10, 1000), (30, 1000)]
    schedule = world.parents.schedule(parent.id)
    assert schedule["state"].tolist() == ["sent", "skipped", "sent", "skipped"]
    assert "no lot is due" in schedule["detail"][1]
    assert schedule["detail"][3] == "the volume is not known"


def test_pov_takes_its_own_prints_out_of_a_volume_that_has_them(world):
    world.start(5000, algorithm="pov", params={"rate": 0.1}, minutes=50)
    world.facts.includes_own = True
    world.facts.volumes = {10: Decimal(9000), 20: Decimal(19_000)}
    for minutes in (10, 20):
        world.step(minutes)
        world.desk()
        world.fill()
    assert sent(world) == [1000, 1000]  # 19,000 less our 1,000: the others traded 18,000


def test_a_busted_fill_is_made_up_for(world):
    world.start(1000)
    world.step(0)
    world.desk()
    world.fill()
    with transaction(world.journal.engine) as opened:
        for fill in opened.scalars(select(FillRow).where(FillRow.account == world.journal.account)):
            fill.busted_at = T0
        row = opened.scalars(select(IntentRow).where(IntentRow.account == world.journal.account)).one()
        row.filled_qty = Decimal(0)
    world.step(10)
    assert sent(world) == [143, 167]


# --- asking


def test_the_same_key_finds_the_parent_and_another_wish_under_it_is_refused(world):
    first = world.start(1000, key="mine")
    again = world.start(1000, key="mine")
    assert again.id == first.id
    with pytest.raises(AlgorithmRefused, match=r"qty 1000.* stands, 999 was asked"):
        world.start(999, key="mine")
    assert len(world.parents.all()) == 1
    with pytest.raises(AlgorithmRefused, match="key"):
        world.start(1000, key="x" * 65)


def test_parents_are_listed_by_state_and_bot(world):
    first, second = world.start(1000), world.start(500, bot="other")
    world.parents.cancel(first.id, reason="no")
    assert [one.parent.id for one in world.parents.all(states=["working"])] == [second.id]
    assert [one.parent.id for one in world.parents.all(bot="bot")] == [first.id]
    with pytest.raises(StoreError, match="no parent order"):
        world.parents.progress("nobody")
    stranger = Parents(world.journal.engine, "somebody else")
    with pytest.raises(StoreError, match="is not of account"):
        stranger.cancel(first.id, reason="not mine")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"starts_at": dt.datetime(2015, 6, 30, 13, tzinfo=dt.UTC)}, "regular hours of 2015-06-30"),
        ({"minutes": 361}, "regular hours"),
        ({"session": dt.date(2015, 7, 4)}, "no session of XNYS"),
        ({"session": dt.date(2015, 7, 1)}, "regular hours of 2015-07-01"),
        ({"starts_at": T0.replace(tzinfo=None)}, "timezone"),
        ({"minutes": 10}, "horizon"),
        ({"qty": "10.5"}, "no multiple of lot"),
        ({"qty": "NaN"}, "qty"),
        ({"limit": Decimal("NaN")}, "limit_price"),
        ({"decision_price": Decimal(0)}, "decision_price"),
        ({"algorithm": "iceberg"}, "iceberg"),
        ({"params": {"interval_seconds": -1}}, "interval_seconds"),
        ({"algorithm": "vwap"}, "profile"),
        ({"wish": {"extended_hours": True}}, "no limit"),
        ({"wish": {"order_class": OrderClass.BRACKET}}, "bracket"),
    ],
)
def test_what_makes_no_parent_is_refused_and_nothing_is_stored(sqlite_world, named, said):
    with pytest.raises(AlgorithmRefused, match=said):
        sqlite_world.start(**named)
    assert sqlite_world.parents.all() == []


def test_an_order_that_waits_for_a_price_is_none_for_an_algorithm(sqlite_world):
    stop = OrderWish(SYMBOL, Side.SELL, Decimal(100), OrderType.STOP, stop_price=Decimal(40))
    with pytest.raises(AlgorithmRefused, match="stop"):
        sqlite_world.parents.start(
            stop, key="s", algorithm="twap", params={"interval_seconds": 60}, bot="bot", session=SESSION,
            starts_at=T0, ends_at=after(10),
        )  # fmt: skip


def test_with_a_limit_a_parent_may_work_in_the_evening(sqlite_world):
    evening = dt.datetime(2015, 6, 30, 21, tzinfo=dt.UTC)
    parent = sqlite_world.start(
        100,
        limit=Decimal(50),
        starts_at=evening,
        ends_at=evening + dt.timedelta(hours=1),
        wish={"extended_hours": True},
    )
    sqlite_world.engine.step(evening)
    assert parent.extended_hours
    with transaction(sqlite_world.journal.engine) as opened:
        row = opened.scalars(select(IntentRow).where(IntentRow.algo_id == parent.id)).one()
        assert (row.extended_hours, row.time_in_force) == (True, "day")


def test_the_database_refuses_a_state_that_is_none(world):
    parent = world.start(1000)
    slices = update(ParentSliceRow).where(ParentSliceRow.parent_id == parent.id)
    with pytest.raises(IntegrityError), transaction(world.journal.engine) as opened:
        opened.execute(slices.values(state="half"))
    with pytest.raises(IntegrityError), transaction(world.journal.engine) as opened:
        opened.execute(update(ParentOrderRow).where(ParentOrderRow.id == parent.id).values(side="hold"))


def test_a_second_engine_does_no_harm(world):
    world.start(1000)
    other = AlgoEngine(world.journal, world.facts)
    other.start()
    world.step(0)
    other.step(after(0))
    assert sent(world) == [143]


def test_vwap_follows_its_profile_and_makes_up_for_what_did_not_fill(world):
    # 14:00 UTC is half an hour after the open: the buckets of its span are 30 … 100 minutes.
    volumes = (9999.0, 9999.0, 9999.0, 400.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0)
    parent = world.start(1000, algorithm="vwap", params={"profile": VolumeProfile(600, volumes)})
    for number in range(7):
        world.step(10 * number)
        world.desk()  # what is left of the order before is cancelled
        world.step(10 * number + 0.1)
        world.desk()
        world.fill(100 if number == 0 else None)  # 100 of 400
    assert sent(world) == [400, 150, 150, 150, 150, 150, 150]
    assert world.step(70) is None
    assert world.parents.progress(parent.id).parent.state == "done"


def test_an_implementation_shortfall_trades_the_more_early_the_more_it_fears(world):
    calm = world.start(10_000, algorithm="shortfall", params={**IMPACT, "risk_aversion": 0.0})
    afraid = world.start(10_000, algorithm="shortfall", params={**IMPACT, "risk_aversion": 1e-3})
    evenly, early = (world.parents.schedule(one.id)["planned"] for one in (calm, afraid))
    assert evenly.max() - evenly.min() <= 1
    assert early.is_monotonic_decreasing
    assert early.iloc[0] > 2 * evenly.iloc[0]
    assert early.sum() == evenly.sum() == 10_000


def test_a_cancel_is_asked_for_once_and_again_only_when_the_order_lives_on(world, time):
    world.start(1000)
    world.step(0)
    world.desk()
    for seconds in range(3):
        world.engine.step(after(10) + dt.timedelta(seconds=seconds))
        pump(world.journal, world.broker, world.lease)  # the broker takes the cancel, and the order stays
    assert len(world.broker.cancels) == 1
    time.sleep(11)
    world.engine.step(after(10.2))
    pump(world.journal, world.broker, world.lease)
    assert len(world.broker.cancels) == 2
    assert sent(world) == [143]


def test_an_order_that_takes_the_place_of_a_child_is_a_child(world):
    parent = world.start(1000, limit=Decimal(50))
    world.step(0)
    world.desk()
    (child,) = world.children()
    newer = ask_replace(world.journal, child.id, limit_price=Decimal("50.01"))
    with transaction(world.journal.engine) as opened:
        names = [one.intent.id for one in tally_in(opened, parent.id).children]
    assert sorted(names) == sorted([child.id, newer.id])
    world.parents.cancel(parent.id, reason="no")
    assert world.journal.intent(newer.id).cancel_asked_at is not None or world.journal.intent(newer.id).state.is_end


def test_the_engine_says_when_it_is_needed_again(world):
    assert world.step(0) is None  # no parent works
    world.start(1000)
    world.start(700, starts_at=after(5), minutes=70)
    assert world.step(-1) == T0
    assert world.step(0) == after(5)
    world.engine.close()
    assert world.engine.start() == 2


def test_a_halt_that_came_and_went_while_nobody_was_at_work_ends_a_parent_and_not_the_next_one(world):
    account = world.journal.account
    parent = world.start(1000)
    world.step(0)
    change(world.journal.engine, account, TradingState.HALTED, reason="kill switch")
    change(world.journal.engine, account, TradingState.ACTIVE, reason="looked at it")
    world.reborn()
    assert world.step(10) is None
    assert "was HALTED at" in world.parents.progress(parent.id).parent.detail
    world.start(1000)
    world.step(20)
    assert len(world.open_children()) == 1


def test_a_source_that_fails_costs_a_slice_and_not_the_desk(world):
    parent = world.start(1000)

    def deaf(*_):
        raise DataError("no answer")

    world.facts.price = world.facts.vwap = deaf
    assert world.step(0) == after(10)
    assert "no price of SYN01 is known" in world.parents.schedule(parent.id)["detail"][0]
    assert world.step(70) is None
    ended = world.parents.progress(parent.id).parent
    assert (ended.state, ended.arrival_price, ended.market_vwap) == ("expired", None, None)
