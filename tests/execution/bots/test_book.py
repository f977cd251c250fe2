import datetime as dt
import itertools
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from workbench.execution.bots.book import book_of, credit, folded, ownership
from workbench.execution.bots.roster import Bots
from workbench.execution.journal.bookings import book_fill, bust
from workbench.execution.journal.journal import Journal
from workbench.market.book import Position
from workbench.market.order import Fill, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.bot import BotDecisionRow, BotFillRow, BotPositionRow, BotRow
from workbench.store.tables.execution import FillRow, IntentRow

DAY = dt.date(2024, 3, 4)
OPEN = dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)
CROSS = {"strategy": "sma_cross", "params": {"fast": 5, "slow": 20}}
_number = itertools.count(1)


class Market:
    """An account with bots `a` and `b` whose orders are filled by hand."""

    def __init__(self, journal, **risk):
        self.journal, self.engine = journal, journal.engine
        self.bots = Bots(journal.engine, journal.account)
        for name in ("a", "b"):
            self.bots.create(name, capital=10_000, symbols=["ACME", "BETA"], risk=risk, **CROSS)

    def order(self, bot, side, qty, symbol="ACME"):
        wish = OrderWish(symbol, side, Decimal(qty))
        written = self.journal.write([wish], bot=bot, session=DAY, generation=next(_number) % 10_000)
        return written[0].intent.id

    def fill(self, intent_id, qty, price, *, minute=None, cum=None, fee=0):
        """Book a fill of an order as the stream would; returns its name."""
        name, number = f"x{next(_number)}", next(_number)
        happened = OPEN + dt.timedelta(minutes=number if minute is None else minute)
        with transaction(self.engine) as session:
            row = session.get(IntentRow, intent_id)
            cum = Decimal(qty) if cum is None else Decimal(cum)
            fill = Fill(
                name,
                f"b-{intent_id}",
                row.client_order_id,
                row.symbol,
                Side(row.side),
                Decimal(qty),
                Decimal(str(price)),
                happened,
                fee=Decimal(str(fee)),
                cum_qty=cum,
            )
            assert book_fill(session, row, fill, source="stream").written
        return name

    def trade(self, bot, side, qty, price, *, symbol="ACME", minute=None, fee=0):
        order = self.order(bot, side, qty, symbol)
        return order, self.fill(order, qty, price, minute=minute, fee=fee)

    def bust(self, intent_id, name):
        with transaction(self.engine) as session:
            assert bust(session, session.get(IntentRow, intent_id), name, at=OPEN)

    def credit(self):
        with transaction(self.engine) as session:
            return credit(session, self.journal.account)

    def state(self):
        """Everything that crediting made: bots, holdings, shares."""
        with transaction(self.engine) as session:
            bots = session.scalars(select(BotRow).where(BotRow.account == self.journal.account)).all()
            ids = {row.id: row.name for row in bots}
            held = session.scalars(select(BotPositionRow).where(BotPositionRow.bot_id.in_(ids)))
            shares = session.execute(
                select(BotFillRow, FillRow.execution_id).join(FillRow).where(FillRow.account == self.journal.account)
            )
            return (
                {row.name: (row.cash, row.realized) for row in bots},
                {
                    (ids[r.bot_id], r.symbol): (r.qty, r.avg_price, r.realized, r.stop, r.target, r.opened_at)
                    for r in held
                },
                {(name, s.share): (ids.get(s.bot_id), s.qty, s.realized, s.busted) for s, name in shares},
            )

    def position(self, bot, symbol="ACME"):
        return self.state()[1].get((bot, symbol))


@pytest.fixture
def market(journal):
    return Market(journal)


@pytest.fixture
def small(sqlite_journal):
    return Market(sqlite_journal)


BUY, SELL = Side.BUY, Side.SELL


def test_a_fill_belongs_to_the_bot_that_wished_it_once(market):
    market.trade("a", BUY, 10, 100)
    market.trade("b", BUY, 5, 102)
    done = market.credit()
    assert (done.shares, done.busted, len(done.bots)) == (2, 0, 2)
    assert market.position("a")[:3] == (Decimal(10), Decimal(100), 0)
    assert market.position("b")[:3] == (Decimal(5), Decimal(102), 0)
    before = market.state()
    assert before[0] == {"a": (Decimal(9_000), 0), "b": (Decimal(9_490), 0)}
    assert market.credit().shares == 0
    assert market.state() == before


def test_closing_realizes_the_difference_less_the_fee(market):
    market.trade("a", BUY, 10, 100, fee=1)
    market.trade("a", SELL, 4, 110, fee=2)
    market.credit()
    cash, realized = market.state()[0]["a"]
    assert market.position("a")[:2] == (Decimal(6), Decimal(100))
    assert (cash, realized) == (Decimal(10_000) - 1_000 - 1 + 440 - 2, Decimal(4 * 10 - 3))


def test_stop_and_target_follow_the_average_price(journal):
    market = Market(journal, stop_loss="0.1", take_profit="0.2")
    market.trade("a", BUY, 10, 100)
    market.credit()
    assert market.position("a")[3:5] == (Decimal(90), Decimal(120))
    market.trade("a", BUY, 10, 110)
    market.credit()
    assert market.position("a")[3:5] == (Decimal("94.5"), Decimal(126))
    market.trade("a", SELL, 5, 120)
    market.credit()
    assert market.position("a")[3:5] == (Decimal("94.5"), Decimal(126))
    market.trade("a", SELL, 15, 120)
    market.credit()
    assert market.position("a")[3:] == (None, None, None)


def test_a_busted_fill_is_taken_back(market):
    market.trade("a", BUY, 10, 100)
    order, name = market.trade("a", BUY, 10, 120)
    market.credit()
    assert market.position("a")[:2] == (Decimal(20), Decimal(110))
    market.bust(order, name)
    assert market.credit().busted == 1
    assert market.position("a")[:2] == (Decimal(10), Decimal(100))
    assert market.state()[0]["a"] == (Decimal(9_000), 0)
    assert market.credit().busted == 0


def test_fills_of_nobody_are_left_alone(market):
    market.trade("a", BUY, 10, 100)
    market.trade("daily", BUY, 7, 100)
    assert market.credit().shares == 1
    owned = ownership(market.engine, market.journal.account)
    assert owned.loc["ACME"].to_dict() == {"a": 10, "unowned": 7, "account": 17}


def test_what_the_kill_switch_sells_leaves_the_bots_in_the_order_of_their_names(market):
    market.trade("a", BUY, 10, 100)
    market.trade("b", BUY, 10, 100)
    market.trade("daily", BUY, 3, 100)
    market.credit()
    order = market.order("kill", SELL, 23)
    market.fill(order, 12, 90, cum=12)
    market.credit()
    assert (market.position("a")[0], market.position("b")[0]) == (0, 8)
    market.fill(order, 11, 80, cum=23)
    market.credit()
    assert (market.position("a")[0], market.position("b")[0]) == (0, 0)
    assert market.state()[0] == {
        "a": (Decimal(9_900), Decimal(-100)),
        "b": (Decimal(10_000 - 1_000 + 180 + 640), Decimal(-180)),
    }
    assert ownership(market.engine, market.journal.account).empty
    before = market.state()
    market.credit()
    assert market.state() == before


def test_an_older_fill_that_comes_late_is_counted_where_it_belongs(market):
    market.trade("a", BUY, 10, 100, minute=1)
    market.trade("a", SELL, 10, 110, minute=3)
    market.credit()
    market.trade("a", BUY, 10, 120, minute=2)
    market.credit()
    # 10 at 100, 10 at 120, then 10 sold at 110: the average is 110, so nothing was realized.
    assert market.position("a")[:3] == (Decimal(10), Decimal(110), 0)


def test_a_fill_knows_its_decision(market):
    order, bot = market.order("a", BUY, 10), market.bots.get("a")
    with transaction(market.engine) as session:
        row = session.get(IntentRow, order)
        session.add(
            BotDecisionRow(
                id=new_id(),
                bot_id=bot.id,
                session=row.session,
                generation=row.generation,
                symbol="ACME",
                action="buy",
                reason="it crossed",
                indicators={"close": 99.0},
                outcome="written",
                intent_id=order,
                at=OPEN,
                trace_id="t",
            )
        )
    market.fill(order, 10, 100)
    market.trade("a", SELL, 10, 105)
    trade = market.bots.trades("a").iloc[0]
    assert (trade["why"], trade["indicators"], trade["why_out"]) == ("it crossed", {"close": 99.0}, "")
    assert (trade["realized"], trade["return"], trade["open"]) == (50.0, 0.05, False)


def test_trades_run_from_flat_to_flat(small):
    for minute, (side, qty, price) in enumerate(
        [(BUY, 10, 100), (BUY, 10, 110), (SELL, 5, 120), (SELL, 25, 100), (BUY, 4, 90)]
    ):
        small.trade("a", side, qty, price, minute=minute)
    frame = small.bots.trades("a")
    assert frame["side"].tolist() == ["long", "short"]
    first, second = frame.iloc[0], frame.iloc[1]
    assert (first["qty"], first["entry_price"], first["exit_price"], first["fills"]) == (20, 105, (600 + 1_500) / 20, 4)
    assert (first["realized"], first["closed"]) == (5 * 15 - 15 * 5, pd.Timestamp(OPEN + dt.timedelta(minutes=3)))
    assert (second["qty"], second["exit_price"], second["realized"], second["open"]) == (10, 90, 40, True)
    assert frame["realized"].sum() == float(small.bots.get("a").realized)


def test_positions_tell_what_is_known(small):
    small.trade("a", BUY, 10, 100)
    row = small.bots.positions("a").iloc[0]
    assert (row["qty"], row["avg_price"], row["source"], row["realized"]) == (10, 100, "fills", 0)
    assert row[["market_price", "value", "unrealized", "stop", "target"]].isna().all()
    assert row["synced_at"] is not pd.NaT
    assert small.bots.positions().equals(small.bots.positions("a"))


def test_folding_keeps_the_money():
    held = folded(
        Position("X", Decimal(3), Decimal(10)), signed=Decimal(-3), price=Decimal("10.37"), fee=Decimal("0.05")
    )
    assert (held.qty, held.realized) == (0, Decimal("1.06"))
    third = folded(Position("X", Decimal(0), Decimal(0)), signed=Decimal(1), price=Decimal(10), fee=Decimal(0))
    third = folded(third, signed=Decimal(2), price=Decimal(11), fee=Decimal(0))
    assert third.avg_price == Decimal("10.666666666667")
    assert folded(third, signed=Decimal(-3), price=Decimal(12), fee=Decimal(0)).realized == Decimal(4)


STEP = st.tuples(
    st.sampled_from(["a", "b", "kill", "daily"]),
    st.sampled_from(["ACME", "BETA"]),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 50),
    st.integers(100, 20_000),
    st.integers(0, 3),
)


@given(steps=st.lists(STEP, min_size=1, max_size=12), busted=st.sets(st.integers(0, 11), max_size=3), data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_money_and_shares_are_conserved_whatever_comes_and_is_taken_back(sqlite_journal, steps, busted, data):
    market = Market(Journal(sqlite_journal.engine, f"p-{next(_number)}", clock=sqlite_journal.clock))
    booked = []
    for number, (bot, symbol, side, qty, cents, fee) in enumerate(steps):
        price = Decimal(cents) / 100
        order, name = market.trade(bot, side, qty, price, symbol=symbol, minute=number, fee=fee)
        booked.append((order, name, bot, symbol, side.sign * Decimal(qty), price, Decimal(fee)))
        if data.draw(st.booleans()):
            market.credit()
    for number in sorted(busted):
        if number < len(booked):
            market.bust(*booked[number][:2])
            booked[number] = None
        if data.draw(st.booleans()):
            market.credit()
    market.credit()
    before = market.state()
    market.credit()
    assert market.state() == before
    bots, held, shares = before
    live = [one for one in booked if one is not None]
    # Shares: what the bots own and what nobody owns is what the account holds.
    owned = ownership(market.engine, market.journal.account)
    for symbol in ("ACME", "BETA"):
        account = sum((one[4] for one in live if one[3] == symbol), Decimal(0))
        row = owned.loc[symbol] if symbol in owned.index else pd.Series({"account": Decimal(0)})
        assert row["account"] == account == sum(row.drop("account"), Decimal(0))
    # Money: cash is the capital and what its shares moved; with the holdings it is capital and profit.
    prices = {one[1]: (one[5], one[6], abs(one[4])) for one in live}
    for name in ("a", "b"):
        mine = [(k[0], qty) for k, (owner, qty, _, gone) in shares.items() if owner == name and not gone]
        flow = sum((-qty * prices[fill][0] for fill, qty in mine), Decimal(0))
        fees = sum((prices[fill][1] * abs(qty) / prices[fill][2] for fill, qty in mine), Decimal(0))
        cash, realized = bots[name]
        assert abs(cash - (10_000 + flow - fees)) < Decimal("1e-9")
        worth = sum((qty * Decimal(77) for (owner, _), (qty, *_) in held.items() if owner == name), Decimal(0))
        gains = sum((q * (Decimal(77) - avg) for (owner, _), (q, avg, *_) in held.items() if owner == name), Decimal(0))
        assert cash + worth == Decimal(10_000) + realized + gains
        assert realized == sum((r for owner, _, r, gone in shares.values() if owner == name and not gone), Decimal(0))


@given(order=st.permutations(range(6)), groups=st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_in_which_fills_arrive_does_not_matter(sqlite_journal, order, groups):
    fills = [(BUY, 10, 100), (BUY, 5, 103), (SELL, 7, 99), (SELL, 12, 104), (BUY, 9, 101), (SELL, 3, 110)]

    def play(sequence):
        market = Market(Journal(sqlite_journal.engine, f"q-{next(_number)}", clock=sqlite_journal.clock))
        for number, at_once in zip(sequence, groups, strict=True):
            market.trade("a", *fills[number], minute=number)
            if not at_once:
                market.credit()
        market.credit()
        bots, held, shares = market.state()
        return bots, held, sorted((qty, realized) for _, qty, realized, _ in shares.values())

    assert play(order) == play(range(6))


def test_a_bots_book_is_its_cash_and_what_it_holds(small):
    small.trade("a", BUY, 10, 100)
    small.trade("a", BUY, 1, 50, symbol="BETA")
    small.trade("a", SELL, 1, 50, symbol="BETA")
    small.credit()
    with transaction(small.engine) as session:
        row = session.scalars(select(BotRow).where(BotRow.account == small.journal.account, BotRow.name == "a")).one()
        book = book_of(session, row)
    assert book.cash == Decimal(9_000)
    assert {symbol: position.qty for symbol, position in book.positions.items()} == {"ACME": Decimal(10)}
