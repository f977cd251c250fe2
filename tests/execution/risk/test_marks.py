import datetime as dt
import itertools
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import NoData, ParameterError
from workbench.execution.risk import marks
from workbench.execution.risk.limits import Equity
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import FillRow, IntentRow

MONDAY, TUESDAY = dt.date(2015, 6, 29), dt.date(2015, 6, 30)
_number = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def account():
    return f"marks-{next(_number)}"


def at(day, hour=18, minute=0):
    return dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=dt.UTC)


def mark(engine, account, equity, moment=at(MONDAY)):  # noqa: B008 - a moment is frozen
    with transaction(engine) as session:
        return marks.record(session, account, None if equity is None else Decimal(str(equity)), moment)


def equity(engine, account, of=None):
    with transaction(engine) as session:
        return marks.equity_of(session, account, of)


def test_a_session_remembers_its_start_its_low_and_its_newest(engine, account):
    for value in (100, 110, 95, 105):
        last = mark(engine, account, value)
    # From the peak of 110 it fell to 95: 13.6 %.
    assert (last.start, last.low, last.newest) == (100, 95, 105)
    assert last.drawdown == (1 - Decimal(95) / 110).quantize(Decimal("1e-12"))
    assert equity(engine, account, MONDAY) == last


def test_a_new_session_starts_afresh_and_its_peak_does_not(engine, account):
    for value in (100, 90):
        mark(engine, account, value)
    last = mark(engine, account, 92, at(TUESDAY))
    assert (last.start, last.low, last.drawdown) == (92, 92, Decimal("0.1"))
    assert equity(engine, account, MONDAY).start == 100
    assert equity(engine, account, dt.date(2015, 7, 1)) == Equity(92, 92, 92, Decimal("0.1"))
    assert equity(engine, account).start == 92


def test_accounts_do_not_mix_and_an_unmarked_one_has_nothing(engine, account):
    mark(engine, account, 100)
    assert equity(engine, account + "-other") is None


@pytest.mark.parametrize("value", [None, "NaN", "Infinity", "0", "-5"])
def test_a_figure_that_is_no_number_makes_the_equity_unknown_until_the_next_good_one(engine, account, value):
    assert mark(engine, account, value) is None
    assert equity(engine, account) is None
    mark(engine, account, 100)
    assert mark(engine, account, value) is None
    seen = equity(engine, account)
    assert (seen.start, seen.low, seen.newest.is_nan()) == (100, 100, True)
    assert mark(engine, account, 99).newest == 99
    assert equity(engine, account).newest == 99


def test_a_drawdown_stays_until_a_person_clears_it_even_at_a_new_peak(engine, account):
    for value in (100, 80, 120):
        mark(engine, account, value)
    assert equity(engine, account).drawdown == Decimal("0.2")
    mark(engine, account, 130, at(TUESDAY))
    assert equity(engine, account).drawdown == Decimal("0.2")
    with pytest.raises(ParameterError, match="the bound stands"):
        marks.clear_drawdown(engine, account, reason=" ")
    assert marks.clear_drawdown(engine, account, reason="looked at it", who="ann").drawdown == 0
    assert mark(engine, account, 117, at(TUESDAY)).drawdown == Decimal("0.1")
    with transaction(engine) as session:
        row = session.scalars(select(AuditRow).where(AuditRow.entity_id == account)).one()
        assert (row.action, row.who, row.after["reason"]) == ("drawdown cleared", "ann", "looked at it")
        assert Decimal(row.before["drawdown"]) == Decimal("0.2")


def test_there_is_nothing_to_clear_without_a_mark(engine, account):
    with pytest.raises(NoData, match="no equity mark"):
        marks.clear_drawdown(engine, account, reason="x")


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        (at(MONDAY, 13, 30), MONDAY),
        (at(MONDAY, 5), MONDAY),  # the night before
        (at(MONDAY, 22), MONDAY),  # the evening after
        (dt.datetime(2015, 7, 3, 16, tzinfo=dt.UTC), dt.date(2015, 7, 6)),  # a holiday, then a weekend
        (dt.datetime(2015, 7, 4, 16, tzinfo=dt.UTC), dt.date(2015, 7, 6)),
    ],
)
def test_closed_hours_belong_to_the_session_that_comes_next(moment, session):
    assert marks.session_for("XNYS", moment) == session


# --- trades in a row


def fill(engine, account, qty, price, minute, *, symbol="SYN01", bot="bot", fee="0"):
    with transaction(engine) as session:
        side = "buy" if qty > 0 else "sell"
        row = IntentRow(
            id=new_id(), account=account, bot=bot, session="2015-06-30", symbol=symbol, client_order_id=new_id(),
            side=side, generation=minute, qty=Decimal(abs(qty)), type="market", time_in_force="day",
            state="filled", trace_id="x",
        )  # fmt: skip
        session.add(row)
        session.flush()
        done = FillRow(
            id=new_id(), account=account, execution_id=new_id(), intent_id=row.id, broker_order_id=new_id(),
            symbol=symbol, side=side, qty=Decimal(abs(qty)), price=Decimal(str(price)), fee=Decimal(fee),
            happened=at(TUESDAY, 14, minute), source="stream", trace_id="x",
        )  # fmt: skip
        session.add(done)


def losses(engine, account, bot=""):
    with transaction(engine) as session:
        return marks.losses_in_a_row(session, account, bot=bot)


def test_losing_round_trips_are_counted_back_from_the_newest(engine, account):
    assert losses(engine, account) == 0
    steps = [(10, 100), (-10, 90), (10, 100), (-10, 101), (10, 100), (-10, 99), (-10, 100), (10, 102)]
    for minute, (qty, price) in enumerate(steps):
        fill(engine, account, qty, price, minute)
    assert losses(engine, account) == 2  # long 100 → 99, short 100 → 102; before them a win
    fill(engine, account, 10, 100, 20)
    assert losses(engine, account) == 2  # an open trade says nothing
    fill(engine, account, -4, 90, 21)
    assert losses(engine, account) == 2  # nor does one that is half closed
    fill(engine, account, -6, 200, 22)
    assert losses(engine, account) == 0  # in all it won


def test_a_fee_can_make_a_loss_of_a_trade_and_a_flat_trade_is_neither(engine, account):
    fill(engine, account, 10, 100, 0, fee="0.5")
    fill(engine, account, -10, 100, 1, fee="0.5")
    assert losses(engine, account) == 1
    fill(engine, account, 10, 100, 2)
    fill(engine, account, -10, 100, 3)
    assert losses(engine, account) == 1


def test_crossing_zero_ends_a_trade_and_begins_one(engine, account):
    fill(engine, account, 10, 100, 0)
    fill(engine, account, -20, 90, 1)
    assert losses(engine, account) == 1
    fill(engine, account, 10, 95, 2)
    assert losses(engine, account) == 2


def test_each_bot_has_a_row_of_its_own(engine, account):
    for minute, (bot, qty, price) in enumerate([("a", 10, 100), ("a", -10, 90), ("b", 10, 100), ("b", -10, 110)]):
        fill(engine, account, qty, price, minute, symbol=bot.upper(), bot=bot)
    assert (losses(engine, account, "a"), losses(engine, account, "b"), losses(engine, account)) == (1, 0, 0)


def test_a_person_clears_them_with_a_reason(engine, account):
    for minute, price in enumerate([100, 90] * 3):
        fill(engine, account, 10 if price == 100 else -10, price, minute)
    with pytest.raises(ParameterError, match="the bound stands"):
        marks.clear_losses(engine, account, at=at(TUESDAY, 15), reason="")
    assert marks.clear_losses(engine, account, at=at(TUESDAY, 14, 3), reason="a bad feed") == 3
    assert losses(engine, account) == 1  # the one that ended after that moment
    assert losses(engine, account, "bot") == 3  # the bot's own row stands
    assert marks.clear_losses(engine, account, at=at(TUESDAY, 15), reason="again", bot="bot") == 3
    assert losses(engine, account, "bot") == 0
