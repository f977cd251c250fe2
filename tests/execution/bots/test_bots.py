import datetime as dt
import itertools
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import BotRefused, NoData, ParameterError, VersionConflict
from workbench.execution.bots.bot import STEPS, BotState, check_step
from workbench.execution.bots.plan import BotPlan
from workbench.execution.bots.risk import BotRisk
from workbench.execution.bots.roster import Bots
from workbench.market.hours import TradingWindow
from workbench.market.order import IntentState, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.event_log import EventLog
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.bot import BotPositionRow
from workbench.store.tables.execution import IntentRow

DAY = dt.date(2024, 3, 4)
CROSS = {"strategy": "sma_cross", "params": {"fast": 5, "slow": 20}}


@pytest.fixture
def bots(journal):
    return Bots(journal.engine, journal.account, known_symbols=("ACME", "BETA"))


@pytest.fixture
def one(bots):
    return bots.create("one", capital=10_000, symbols="acme", **CROSS)


def own(bots, name, symbol, qty):
    """Give a bot a holding without a fill; only for what merely looks at it."""
    with transaction(bots.engine) as session:
        session.add(
            BotPositionRow(
                bot_id=bots.get(name).id,
                symbol=symbol,
                qty=Decimal(qty),
                avg_price=Decimal(10),
                realized=Decimal(0),
                synced_at=dt.datetime(2024, 3, 4, tzinfo=dt.UTC),
            )
        )


def audits(bots, name):
    with transaction(bots.engine) as session:
        rows = session.scalars(
            select(AuditRow)
            .where(AuditRow.entity == "bot", AuditRow.entity_id == bots.get(name).id)
            .order_by(AuditRow.happened)
        )
        return [row.action for row in rows]


def told(bots):
    return [
        (e.event.bot, e.event.before, e.event.after)
        for e in EventLog(bots.engine).read(kinds=["BotStatusChanged"])
        if e.event.account == bots.account
    ]


def test_a_bot_is_what_it_was_told(bots):
    window = TradingWindow(dt.time(10), dt.time(15, 30), at_end="flatten")
    risk = BotRisk(stop_loss=Decimal("0.05"), budget=Decimal(5_000))
    made = bots.create(
        "one",
        capital="10000.50",
        symbols=["acme", "BETA", "ACME"],
        every_seconds=30,
        timeframe="5m",
        window=window,
        risk=risk,
        **CROSS,
    )
    read = bots.get("one")
    assert read == bots.get(made.id)
    assert read.plan == BotPlan.of(**made.plan.to_dict())
    assert (read.plan.capital, read.cash, read.plan.symbols) == (
        Decimal("10000.50"),
        Decimal("10000.50"),
        ("ACME", "BETA"),
    )
    assert (read.plan.window, read.plan.risk, read.plan.params) == (window, risk, {"fast": 5, "slow": 20})
    assert (read.state, read.number) == (BotState.CREATED, 1)


def test_rules_are_a_strategy_like_any_other(bots):
    params = {
        "entry": [{"left": "rsi(14)", "op": "<", "right": 25}],
        "exit": [{"left": "close", "op": ">", "right": "sma(20)"}],
    }
    bots.create("ruled", capital=1000, symbols="ACME", strategy="rules", params=params)
    assert bots.get("ruled").plan.built.line == "rules(enter rsi(14) < 25; leave close > sma(20))"


@pytest.mark.parametrize(
    ("change", "loc", "words"),
    [
        ({"name": "One Bot"}, "name", "small letters"),
        ({"name": "kill"}, "name", "uses itself"),
        ({"capital": 0}, "capital", "greater than 0"),
        ({"capital": float("nan")}, "capital", "finite"),
        ({"capital": "much"}, "capital", "finite"),
        ({"capital": True}, "capital", "finite"),
        ({"strategy": "sma_cros"}, "params", "did you mean 'sma_cross'"),
        ({"params": {"fast": 50, "slow": 20}}, "params", "must be less than slow=20"),
        ({"params": {"fst": 5}}, "params", "did you mean 'fast'"),
        ({"symbols": []}, "symbols", "no symbol"),
        ({"symbols": ["ACM"]}, "symbols", "did you mean 'ACME'"),
        ({"symbols": ["AC ME"]}, "symbols", "not a symbol"),
        ({"every_seconds": 0.5}, "every_seconds", "≥ 1"),
        ({"every_seconds": float("inf")}, "every_seconds", "≥ 1"),
        ({"every_seconds": 90_000}, "every_seconds", "longer than a day"),
        ({"timeframe": "2m"}, "timeframe", "1d, 1h, 5m, 1m"),
        ({"window": {"start": "15:00", "end": "10:00"}}, "window", "end must be after start"),
        ({"window": {"begin": "15:00"}}, "window", "begin"),
        ({"risk": {"stop_los": 0.1}}, "risk", "did you mean 'stop_loss'"),
        ({"risk": {"stop_loss": 1.5}}, "risk", "less than 1"),
        ({"risk": {"budget": float("nan")}}, "risk", "finite"),
    ],
)
def test_what_cannot_be_a_bot_is_named_with_its_bound(bots, change, loc, words):
    good = {"name": "one", "capital": 1000, "symbols": "ACME", **CROSS}
    with pytest.raises(ParameterError, match="Nothing was made") as caught:
        bots.create(**{**good, **change})
    rows = caught.value.facts["details"]
    assert [row["loc"][0] for row in rows] == [loc]
    assert words in rows[0]["msg"] or words in str(caught.value)
    assert len(bots) == 0


def test_everything_that_is_wrong_is_said_at_once(bots):
    with pytest.raises(ParameterError) as caught:
        bots.create("X", capital=-1, symbols="ACME", every_seconds=0, **CROSS)
    assert [row["loc"][0] for row in caught.value.facts["details"]] == ["name", "capital", "every_seconds"]


@pytest.mark.usefixtures("one")
def test_a_name_is_taken_for_ever(bots):
    with pytest.raises(BotRefused, match="another bot"):
        bots.create("one", capital=1, symbols="ACME", **CROSS)
    bots.delete("one")
    with pytest.raises(BotRefused, match="a deleted bot"):
        bots.create("one", capital=1, symbols="ACME", **CROSS)


@pytest.mark.usefixtures("one")
def test_a_bot_that_is_not_there_has_a_near_one(bots):
    with pytest.raises(NoData, match="did you mean 'one'"):
        bots.start("onee")


@pytest.mark.parametrize("to", list(BotState))
@pytest.mark.parametrize("current", list(BotState))
def test_the_table_of_states_is_the_law(current, to):
    if to in STEPS[current]:
        check_step("b", current, to)
    else:
        with pytest.raises(BotRefused, match="can become"):
            check_step("b", current, to)


@pytest.mark.usefixtures("one")
def test_a_life_is_audited_and_told(bots):
    for act in (bots.start, bots.pause, bots.resume, bots.stop, bots.start):
        act("one")
    assert bots.fail("one", "its strategy raised").detail == "its strategy raised"
    assert bots.fail("one", "again").detail == "its strategy raised"
    assert bots.start("one").state is BotState.RUNNING
    assert audits(bots, "one") == ["created", "running", "paused", "running", "stopped", "running", "failed", "running"]
    states = ["", "created", "running", "paused", "running", "stopped", "running", "failed", "running"]
    assert told(bots) == [("one", a, b) for a, b in itertools.pairwise(states)]


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("act", ["pause", "resume"])
def test_what_does_not_run_can_neither_pause_nor_resume(bots, act):
    with pytest.raises(BotRefused, match="created"):
        getattr(bots, act)("one")
    bots.start("one")
    with pytest.raises(BotRefused, match="running"):
        bots.start("one")
    bots.stop("one")
    with pytest.raises(BotRefused, match="stopped"):
        getattr(bots, act)("one")


@pytest.mark.usefixtures("one")
def test_others_run_on(bots):
    bots.create("two", capital=1, symbols="BETA", **CROSS)
    bots.start("one")
    bots.start("two")
    bots.pause("one")
    assert [(bot.name, bot.state.value) for bot in bots] == [("one", "paused"), ("two", "running")]
    assert [bot.name for bot in bots.list(states=[BotState.RUNNING])] == ["two"]


@pytest.mark.usefixtures("one")
def test_a_change_of_the_plan_has_a_version(bots):
    changed = bots.update("one", expected=1, capital=12_000, every_seconds=5)
    assert (changed.number, changed.cash, changed.plan.every_seconds) == (2, Decimal(12_000), 5)
    assert bots.update("one", capital=12_000).number == 2
    with pytest.raises(VersionConflict, match="at version 2, not 1"):
        bots.update("one", expected=1, capital=1)
    with pytest.raises(ParameterError, match="did you mean 'capital'"):
        bots.update("one", capitol=1)
    with pytest.raises(ParameterError, match="'name'"):
        bots.update("one", name="other")
    with pytest.raises(ParameterError, match="must be less than slow=200"):
        bots.update("one", params={"fast": 300})
    assert bots.update("one", strategy="ema_cross").plan.params == {"fast": 12, "slow": 26}


@pytest.mark.usefixtures("one")
def test_a_running_bot_is_not_changed(bots):
    bots.start("one")
    with pytest.raises(BotRefused, match="pause it first"):
        bots.update("one", capital=1)


@pytest.mark.usefixtures("one")
def test_a_bot_keeps_the_symbols_it_holds(bots):
    own(bots, "one", "ACME", 5)
    with pytest.raises(BotRefused, match="holds ACME"):
        bots.update("one", symbols=["BETA"])
    with pytest.raises(BotRefused, match="holding ACME"):
        bots.delete("one")


@pytest.mark.usefixtures("one")
def test_stopping_cancels_what_is_open(bots, journal):
    bots.start("one")
    written = journal.write([OrderWish("ACME", Side.BUY, Decimal(1))], bot="one", session=DAY)
    others = journal.write([OrderWish("ACME", Side.BUY, Decimal(1))], bot="two", session=DAY)
    assert bots.stop("one").state is BotState.STOPPED
    assert journal.intent(written[0].intent.id).state is IntentState.CANCELED
    assert journal.intent(others[0].intent.id).state is IntentState.INTENT


@pytest.mark.usefixtures("one")
def test_a_bot_that_shall_be_sold_is_ending_until_it_holds_nothing(bots):
    bots.start("one")
    own(bots, "one", "ACME", 5)
    ending = bots.stop("one", flatten=True)
    assert (ending.state, ending.ending) == (BotState.RUNNING, True)
    assert bots.ended("one").state is BotState.RUNNING
    with transaction(bots.engine) as session:
        session.get(BotPositionRow, (ending.id, "ACME")).qty = Decimal(0)
    ended = bots.ended("one")
    assert (ended.state, ended.ending) == (BotState.STOPPED, False)


@pytest.mark.usefixtures("one")
def test_a_stopped_bot_says_what_it_still_holds(bots):
    bots.start("one")
    own(bots, "one", "ACME", 5)
    assert bots.stop("one").detail == "it still holds ACME"


@pytest.mark.usefixtures("one")
def test_the_list_can_be_looked_at(bots):
    assert repr(bots) == bots.get("one").line
    assert "sma_cross on ACME" in repr(bots)
    assert "<td>one</td>" in bots._repr_html_()
    frame = bots.frame().iloc[0]
    assert (frame["name"], frame["equity"], frame["pnl"], frame["positions"]) == ("one", 10_000.0, 0.0, 0)
    assert repr(Bots(bots.engine, "nobody")).startswith("nobody has no bot")


@pytest.mark.usefixtures("one")
def test_bots_of_another_account_are_not_seen(bots):
    other = Bots(bots.engine, f"{bots.account}-x")
    assert list(other) == []
    other.create("one", capital=1, symbols="ACME", **CROSS)


@pytest.mark.usefixtures("one")
def test_an_unsent_order_keeps_a_bot_from_being_deleted(bots, journal):
    written = journal.write([OrderWish("ACME", Side.BUY, Decimal(1))], bot="one", session=DAY)
    with pytest.raises(BotRefused, match="waiting for an order"):
        bots.delete("one")
    with transaction(journal.engine) as session:
        session.get(IntentRow, written[0].intent.id).state = "canceled"
    assert bots.delete("one").deleted_at is not None
    assert len(bots) == 0
    assert [bot.name for bot in bots.list(deleted=True)] == ["one"]
    with pytest.raises(BotRefused, match="deleted"):
        bots.start("one")
