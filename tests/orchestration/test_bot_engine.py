import datetime as dt
import itertools
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from workbench import sessions
from workbench.data.source import no_bars
from workbench.errors import DataError
from workbench.execution.bots.bot import BotState
from workbench.execution.bots.roster import Bots
from workbench.execution.journal.bookings import book_fill
from workbench.execution.journal.journal import Journal
from workbench.execution.risk import trading_state
from workbench.execution.risk.limits import Limits
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.market.order import Fill, Side
from workbench.market.trading_state import TradingState
from workbench.orchestration.bot_bars import Seen
from workbench.orchestration.bot_engine import BotEngine
from workbench.orchestration.bot_orders import act
from workbench.store.engine import open_engine, transaction
from workbench.store.event_log import EventLog
from workbench.store.tables.bot import BotDecisionRow, BotRow
from workbench.store.tables.execution import IntentRow, ReconciliationRow
from workbench.strategies import build
from workbench.study import Study

DAY = dt.date(2024, 3, 6)
OPEN = dt.datetime(2024, 3, 6, 14, 30, tzinfo=dt.UTC)
CLOSE = dt.datetime(2024, 3, 6, 21, tzinfo=dt.UTC)
FAST = {"strategy": "sma_cross", "params": {"fast": 2, "slow": 4}}
_number = itertools.count(1)


def at(minute, day=OPEN):
    return day + dt.timedelta(minutes=minute)


class MemoryFeed:
    """Minute bars given as closes per symbol from the open of a session on; daily ones are their last closes."""

    name, venue = "memory", "XNYS"

    def __init__(self, first="2024-03-05", last="2024-03-08"):
        self.ends = sessions.bar_ends("XNYS", first, last, minutes=1)
        self.days = sessions.sessions("XNYS", first, last)
        self.close = pd.DataFrame(index=self.ends, dtype=float)
        self.asked, self.broken, self.close_only = [], "", False

    def set(self, symbol, closes, start=OPEN):
        """Closes of the bars that end one minute after `start`, two, …; the last one stays, the first was before."""
        place = self.ends.searchsorted(pd.Timestamp(start) + pd.Timedelta(minutes=1))
        values = pd.Series(np.nan, index=self.ends)
        values.iloc[place : place + len(closes)] = closes
        self.close[symbol] = values.ffill().bfill()

    def bars(self, symbols, *, first, as_of, timeframe, after):
        self.asked.append((timeframe, tuple(symbols), after))
        if self.broken:
            raise DataError(self.broken)
        assert timeframe == "1m"
        moment, begin = pd.Timestamp(as_of), pd.Timestamp(after or sessions.opens("XNYS", pd.Timestamp(first)))
        part = self.close.loc[(self.ends > begin) & (self.ends <= moment), [s for s in symbols if s in self.close]]
        if part.empty:
            return no_bars(intraday=True)
        long = part.rename_axis(index="happened").reset_index().melt(id_vars="happened", var_name="symbol")
        long = long.rename(columns={"value": "close"})
        of = sessions.of_bars("XNYS", pd.DatetimeIndex(long["happened"]))
        long["session"], long["learned"] = of, long["happened"]
        for name in ("open", "high", "low", "volume"):
            long[name] = np.nan if self.close_only else long["close"]
        return long

    def prices(self, symbols, *, as_of):
        if self.broken:
            raise DataError(self.broken)
        known = self.close.loc[self.ends <= pd.Timestamp(as_of)]
        if known.empty:
            return {}
        stamp = known.index[-1].to_pydatetime()
        return {s: Seen(Decimal(str(known[s].iloc[-1])), stamp) for s in symbols if s in known}


class Site:
    """An account with bots, an engine and a market; orders are filled by hand."""

    def __init__(self, engine, account, feed=None, limits=None):
        self.engine, self.account = engine, account
        self.wall = OPEN
        self.journal = Journal(engine, account, clock=lambda: self.wall)
        self.bots = Bots(engine, account)
        self.feed = feed or MemoryFeed()
        self.limits = limits or Limits(max_orders_per_session=100_000)
        with transaction(engine) as session:
            session.add(
                ReconciliationRow(
                    account=account, occasion="start", clean=True, orders=0, positions=0, fills=0,
                    cash=Decimal(1_000_000), equity=Decimal(1_000_000), buying_power=Decimal(4_000_000),
                    cash_basis=Decimal(1_000_000), trace_id="t", started_at=OPEN,
                )
            )  # fmt: skip
        self.restart()

    def restart(self):
        self.clock = itertools.count(step=10.0)
        self.bot_engine = BotEngine(self.journal, self.feed, limits=self.limits, monotonic=lambda: next(self.clock))
        self.bot_engine.start()

    def bot(self, name="one", *, capital=10_000, symbols="ACME", timeframe="1m", **more):
        self.bots.create(name, capital=capital, symbols=symbols, timeframe=timeframe, **{**FAST, **more})
        return self.bots.start(name)

    def step(self, moment):
        """Let every bot look that is due, however many steps that takes."""
        self.wall = moment
        due = self.bot_engine.step(moment)
        for _ in range(200):
            if due is None or due > moment:
                return due
            due = self.bot_engine.step(moment)
        raise AssertionError("bots are due for ever")

    def orders(self, bot=None):
        with transaction(self.engine) as session:
            rows = session.scalars(
                select(IntentRow)
                .where(IntentRow.account == self.account)
                .order_by(IntentRow.created_at, IntentRow.symbol)
            )
            return [(r.bot, r.symbol, r.side, r.qty) for r in rows if bot in (None, r.bot)]

    def fill(self, *, bot=None, price=None):
        """Fill every unsent order wholly at the price it was sized with."""
        with transaction(self.engine) as session:
            rows = session.scalars(
                select(IntentRow).where(IntentRow.account == self.account, IntentRow.state == "intent")
            ).all()
            for row in rows:
                if bot in (None, row.bot):
                    number = next(_number)
                    paid = Decimal(str(price)) if price is not None else row.reference_price
                    happened = self.wall + dt.timedelta(microseconds=number)
                    fill = Fill(f"x{number}", f"b{number}", row.client_order_id, row.symbol, Side(row.side), row.qty,
                                paid, happened, cum_qty=row.qty)  # fmt: skip
                    _filled(row)
                    book_fill(session, row, fill, source="stream")

    def decisions(self, bot="one"):
        frame = self.bots.decisions(bot)
        return [tuple(row) for row in frame[["symbol", "action", "outcome"]].iloc[::-1].itertuples(index=False)]

    def holding(self, symbol="ACME", bot="one"):
        frame = self.bots.positions(bot).set_index("symbol")
        return float(frame["qty"].get(symbol, 0.0))


def _filled(row):
    row.state = "sending"
    row.state, row.filled_qty = "filled", row.qty


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    opened = open_engine(f"sqlite:///{tmp_path_factory.mktemp('bots') / 'test.db'}")
    yield opened
    opened.dispose()


@pytest.fixture
def site(database):
    return Site(database, f"site-{next(_number)}")


UP = [10, 10, 10, 10, 11, 12, 13, 14]  # crosses above in the fifth minute
UP_DOWN = [10, 10, 10, 10, 11, 12, 13, 14, 12, 10, 8, 8, 8, 8]


def test_a_bot_buys_when_its_strategy_does_and_says_why(site):
    site.feed.set("ACME", UP)
    site.bot()
    site.step(at(4))
    assert site.orders() == []
    site.step(at(5))
    assert site.orders() == [("one", "ACME", "buy", 907)]  # 10 000 × 0.998 / 11, whole shares
    decision = site.bots.decisions("one").iloc[0]
    assert decision["indicators"] == {"close": 11.0, "sma(2)": 10.5, "sma(4)": 10.25}
    assert (decision["action"], decision["reason"], decision["outcome"]) == ("buy", "target weight 1.0000", "written")
    assert decision["at"] == pd.Timestamp(at(5))
    made = [e.event for e in EventLog(site.engine).read(kinds=["DecisionMade"]) if e.event.account == site.account]
    assert [(e.bot, e.symbol, e.action, e.price) for e in made] == [("one", "ACME", "buy", 11)]


RULES = {
    "entry": [{"left": "rsi(3)", "op": "<", "right": 35}],
    "exit": [{"left": "rsi(3)", "op": ">", "right": 60}],
}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("sma_cross", {"fast": 3, "slow": 8}),
        ("ema_cross", {"fast": 3, "slow": 8}),
        ("rules", RULES),
        ("buy_and_hold", {}),
    ],
)
def test_a_bots_wishes_are_those_of_the_backtest(site, name, params):
    rng = np.random.default_rng(5)
    symbols = ["AAA", "BBB", "CCC"]
    for symbol in symbols:
        site.feed.set(symbol, np.round(50 * np.exp(np.cumsum(rng.normal(0, 0.01, 45))), 2))
    site.bot(symbols=symbols, capital=100_000, strategy=name, params=params)
    for minute in range(1, 46):
        site.step(at(minute))
        site.fill()
    index = site.feed.ends[site.feed.ends <= pd.Timestamp(at(45))]
    close = site.feed.close.loc[index, symbols]
    study = Study(tuple(symbols), pd.Timestamp(DAY), pd.Timestamp(DAY), pd.Timestamp(at(45)), timeframe="1m")
    bars = Bars(close=close, open=close, high=close, low=close, volume=close)
    weights = build(name, **params).target_weights(History(study, bars, "x")).dropna(how="all")
    # The backtest's wishes, sized here by hand.
    cash, held, expected = Decimal(100_000), dict.fromkeys(symbols, Decimal(0)), []
    for moment, row in weights.iterrows():
        prices = {s: Decimal(str(close.loc[moment, s])) for s in symbols}
        worth = cash + sum(held[s] * prices[s] for s in symbols)
        changes = []
        for symbol in symbols:
            wanted = Decimal(str(row[symbol])) * worth * Decimal("0.998") / prices[symbol]
            change = Decimal(math.floor(wanted)) - held[symbol]
            if change:
                changes.append((change > 0, symbol, change))
        for _, symbol, change in sorted(changes):
            held[symbol] += change
            cash -= change * prices[symbol]
            expected.append((moment, symbol, "buy" if change > 0 else "sell", abs(change)))
    with transaction(site.engine) as session:
        rows = session.execute(
            select(BotDecisionRow.at, IntentRow.symbol, IntentRow.side, IntentRow.qty)
            .join(IntentRow, IntentRow.id == BotDecisionRow.intent_id)
            .where(IntentRow.account == site.account)
            .order_by(BotDecisionRow.at, IntentRow.side.desc(), IntentRow.symbol)
        ).all()
    assert [(pd.Timestamp(r[0]), *r[1:]) for r in rows] == expected
    assert len(expected) >= (3 if name == "buy_and_hold" else 6)
    assert site.bots.frame()["cash"].tolist() == [float(cash)]


def test_what_nobody_looked_at_is_caught_up(site):
    site.feed.set("ACME", UP_DOWN)
    site.bot()
    site.step(at(4))
    site.step(at(8))  # the cross of minute 5 was not looked at
    site.fill()
    assert site.holding() == 712
    site.restart()
    site.step(at(12))  # the cross below of minute 10 was not looked at
    assert site.orders()[-1] == ("one", "ACME", "sell", 712)


def test_a_restart_goes_on_with_the_positions(site):
    site.feed.set("ACME", UP_DOWN)
    site.bot()
    site.step(at(5))
    site.wall = at(5)
    site.restart()
    site.step(at(6))
    assert len(site.orders()) == 1
    site.fill()
    site.restart()
    for minute in range(7, 13):
        site.step(at(minute))
    assert [row[2:] for row in site.orders()] == [("buy", 907), ("sell", 907)]


def test_nothing_happens_outside_the_window(site):
    site.feed.set("ACME", [10, 10, 10, *range(11, 100)])
    site.bot(window={"start": "10:00", "end": "15:00"})
    assert site.step(at(29)) == at(30)
    assert site.orders() == []
    site.step(at(30))
    assert len(site.orders()) == 1
    with transaction(site.engine) as session:
        row = session.scalars(select(IntentRow).where(IntentRow.account == site.account)).one()
    assert row.deadline == dt.datetime(2024, 3, 6, 20, tzinfo=dt.UTC)
    assert site.step(at(330)) == at(30, OPEN + dt.timedelta(days=1))


def test_looks_lie_on_the_clock(site):
    site.feed.set("ACME", [10])
    site.bot(every_seconds=300)
    assert site.step(at(2)) == at(5)
    assert site.step(at(5)) == at(10)
    site.bot_engine._lag = 3.0
    assert site.step(at(10)) == at(10) + dt.timedelta(seconds=3)


def test_a_paused_bot_decides_nothing_and_its_stop_still_works(site):
    site.feed.set("ACME", [10, 10, 10, 10, 11, 11, 9, 9])
    site.bot(risk={"stop_loss": 0.1})
    site.bot("two", strategy="buy_and_hold", params={})
    site.step(at(5))
    site.fill()
    site.bots.pause("one")
    site.bots.pause("two")
    site.step(at(7))
    assert site.orders() == [("one", "ACME", "buy", 907), ("one", "ACME", "sell", 907)]
    assert site.bots.decisions("one").iloc[0]["reason"] == "stop loss: 9.0 has reached 9.9"


def test_after_a_stop_the_symbol_stays_out_until_the_strategy_wishes_otherwise(site):
    #                      1   2   3   4   5   6   7     8   9   10 11 12 13  14  15
    site.feed.set("ACME", [10, 10, 10, 10, 11, 14, 10.4, 16, 18, 9, 8, 8, 12, 13, 14])
    site.feed.set("BETA", [10, 10, 10, 10, 10, 10, 10, 10, 11, 12, 12, 9, 9, 9, 9])
    site.bot(symbols=["ACME", "BETA"], risk={"stop_loss": 0.05})
    for minute in range(1, 10):
        site.step(at(minute))
        site.fill()
    # Bought in minute 5, stopped in 7; in 9 BETA crosses, and the whole row is said again: ACME stays out.
    assert [row[1:3] for row in site.orders()] == [("ACME", "buy"), ("ACME", "sell"), ("BETA", "buy")]
    for minute in range(10, 15):
        site.step(at(minute))
        site.fill()
    assert ("ACME", "buy") in [row[1:3] for row in site.orders()[3:]]


def test_take_profit_and_trailing_stop(site):
    site.feed.set("ACME", [10, 10, 10, 10, 11, 12, 13.5])
    site.feed.set("BETA", [10, 10, 10, 10, 11, 12, 13, 11.6])
    site.bot("gain", risk={"take_profit": 0.2})
    site.bot("trail", symbols="BETA", risk={"trailing": 0.1})
    for minute in range(1, 9):
        site.step(at(minute))
        site.fill()
    assert site.bots.trades("gain")["why_out"].tolist() == ["take profit: 13.5 has reached 13.2"]
    assert site.bots.trades("trail")["why_out"].tolist() == ["trailing stop: 11.6 is 10.00% behind the best price 13"]


def test_a_window_that_flattens_is_left_flat_and_joined_again(site):
    site.feed.set("ACME", [*UP, *range(15, 900)])
    site.bot(window={"start": "09:30", "end": "16:00", "at_end": "flatten"})
    site.step(at(5))
    site.fill()
    assert site.step(at(388)) == CLOSE - dt.timedelta(seconds=60)
    site.step(CLOSE - dt.timedelta(seconds=60))
    assert site.orders()[-1][2:] == ("sell", 907)
    site.step(CLOSE - dt.timedelta(seconds=30))
    assert len(site.orders()) == 2
    site.fill()
    site.step(CLOSE - dt.timedelta(seconds=10))
    assert (site.holding(), len(site.orders())) == (0, 2)
    site.step(at(0, OPEN + dt.timedelta(days=1)))
    assert site.orders()[-1][1:3] == ("ACME", "buy")


def test_what_was_not_flattened_goes_first_when_the_window_opens_again(site):
    site.feed.set("ACME", UP)
    site.bot(window={"at_end": "flatten"})
    site.step(at(5))
    site.fill()
    site.step(at(1, OPEN + dt.timedelta(days=1)))
    assert site.bots.decisions("one").iloc[0]["reason"] == "it was held past the end of its window"


def test_an_ending_bot_sells_and_stops(site):
    site.feed.set("ACME", UP)
    site.bot()
    site.step(at(5))
    site.fill()
    site.bots.stop("one", flatten=True)
    site.step(at(6))
    assert site.orders()[-1][2:] == ("sell", 907)
    assert site.bots.get("one").ending
    site.fill()
    site.step(at(6) + dt.timedelta(seconds=1))
    assert site.bots.get("one").state is BotState.STOPPED


def test_a_strategy_that_raises_stops_its_bot_alone(site):
    site.feed.close_only = True
    site.feed.set("ACME", UP)
    atr = {"entry": [{"left": "atr(3)", "op": ">", "right": 1}], "exit": [{"left": "close", "op": "<", "right": 1}]}
    site.bot("bad", strategy="rules", params=atr)
    site.bot()
    site.step(at(5))
    bad = site.bots.get("bad")
    assert bad.state is BotState.FAILED
    assert "needs the high of ACME" in bad.detail
    assert site.orders() == [("one", "ACME", "buy", 907)]
    assert site.step(at(6)) is not None


def test_a_feed_that_does_not_answer_fails_nobody(site):
    site.feed.set("ACME", UP)
    site.bot()
    site.feed.broken = "nobody answers"
    site.step(at(5))
    assert site.bots.get("one").state is BotState.RUNNING
    site.feed.broken = ""
    site.step(at(6))
    assert len(site.orders()) == 1


def test_of_two_engines_one_decides(site):
    site.feed.set("ACME", UP)
    site.bot()
    site.step(at(4))
    found = []

    def both(journal, bot, look, *, limits):
        found.append(act(journal, bot, look, limits=limits))
        again = act(journal, bot, look, limits=limits)  # the other engine read the bot before the first one wrote
        assert again.stale
        assert again.written == 0
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.orchestration.bot_engine.act", both)
        site.step(at(5))
    assert found[0].written == 1
    assert len(site.orders()) == 1


def test_a_crash_in_the_transaction_leaves_nothing_and_the_next_look_does_it(site):
    site.feed.set("ACME", UP)
    site.bot()
    site.step(at(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "workbench.orchestration.bot_writing.publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            site.step(at(5))
    assert site.orders() == []
    assert site.decisions() == []
    assert site.bots.get("one").decisions == 0
    site.restart()
    site.step(at(6))
    assert site.decisions() == [("ACME", "buy", "written")]


def test_a_symbol_with_an_open_order_waits_for_its_end(site):
    site.feed.set("ACME", UP_DOWN)
    site.bot()
    site.step(at(5))
    due = site.step(at(10))  # the strategy wants out, the purchase is not filled yet
    assert site.bots.get("one").waiting == {"ACME": 0.0}
    assert due == at(10) + dt.timedelta(seconds=1)
    assert len(site.orders()) == 1
    site.fill()
    site.step(at(10) + dt.timedelta(seconds=1))
    assert site.orders()[-1][2:] == ("sell", 907)
    assert site.bots.get("one").waiting == {}


def test_a_fill_that_is_told_and_not_booked_is_waited_for(site):
    site.feed.set("ACME", UP_DOWN)
    site.bot()
    site.step(at(5))
    with transaction(site.engine) as session:
        _filled(session.scalars(select(IntentRow).where(IntentRow.account == site.account)).one())
    site.step(at(10))
    assert len(site.orders()) == 1
    assert site.bots.get("one").waiting == {"ACME": 0.0}


def test_another_bots_open_order_is_waited_for_where_the_account_wants_it(site):
    site.feed.set("ACME", UP)
    site.bot("a")
    site.bot("b")
    site.step(at(5))
    assert [row[0] for row in site.orders()] == ["a"]
    site.fill()
    site.step(at(5) + dt.timedelta(seconds=1))
    assert [row[0] for row in site.orders()] == ["a", "b"]


def test_a_bot_stays_inside_its_capital_and_budget(site):
    site.feed.set("ACME", UP)
    site.feed.set("BETA", UP)
    site.bot("third", symbols=["ACME", "BETA"], risk={"budget": 3_000})
    site.bot("slim", symbols=["ACME", "BETA"], risk={"max_position_fraction": 0.1})
    for second in range(4):
        site.step(at(5) + dt.timedelta(seconds=second))
        site.fill()
    assert site.orders("third") == [("third", "ACME", "buy", 136), ("third", "BETA", "buy", 136)]
    assert site.orders("slim") == [("slim", "ACME", "buy", 90), ("slim", "BETA", "buy", 90)]
    assert all(bot.cash > 0 for bot in site.bots)


def test_after_its_daily_loss_a_bot_only_reduces(site):
    #                      1   2   3   4   5   6   7   8  9  10 11  12  13  14
    site.feed.set("ACME", [10, 10, 10, 10, 11, 12, 12, 8, 8, 8, 12, 14, 14, 14])
    site.bot(risk={"daily_loss": 0.1})
    for minute in range(1, 13):
        site.step(at(minute))
        site.fill()
    outcomes = site.decisions()
    assert outcomes[:2] == [("ACME", "buy", "written"), ("ACME", "sell", "written")]
    assert outcomes[2][:2] == ("ACME", "buy")
    assert outcomes[2][2].startswith("refused: daily loss of")
    assert len(site.orders()) == 2


def test_a_halted_account_gets_nothing_and_says_so(site, tmp_path):
    site.feed.set("ACME", UP)
    site.bot()
    trading_state.change(site.engine, site.account, TradingState.HALTED, reason="test", home=tmp_path)
    site.step(at(5))
    assert site.orders() == []
    assert site.decisions() == [("ACME", "buy", "refused: trading_halted")]
    assert site.bots.get("one").state is BotState.RUNNING


def test_bars_are_read_once_for_all_and_only_what_is_new(site):
    for symbol in ("ACME", "BETA", "CCC"):
        site.feed.set(symbol, UP)
    site.bot("a", symbols=["ACME", "BETA"])
    site.bot("b", symbols=["BETA", "CCC"])
    site.bot("c", symbols=["ACME", "CCC"])
    site.step(at(2))
    site.feed.asked.clear()
    for minute in (3, 4):
        site.step(at(minute))
    assert [set(symbols) for _, symbols, _ in site.feed.asked] == [{"ACME", "BETA", "CCC"}] * 2
    assert all(after is not None for _, _, after in site.feed.asked)


def test_a_bot_that_was_never_reconciled_waits(database):
    site = Site(database, f"site-{next(_number)}")
    with transaction(database) as session:
        session.delete(
            session.scalars(select(ReconciliationRow).where(ReconciliationRow.account == site.account)).one()
        )
    site.feed.set("ACME", UP)
    site.bot()
    site.step(at(5))
    assert (site.orders(), site.bots.get("one").state) == ([], BotState.RUNNING)


def test_a_symbol_without_a_price_is_not_guessed(site):
    site.feed.set("ACME", UP)
    site.bot(symbols=["ACME", "NONE"])
    site.step(at(5))
    assert site.orders() == [("one", "ACME", "buy", 453)]


def test_a_new_strategy_joins_the_market_anew(site):
    site.feed.set("ACME", UP)
    site.bot()
    site.step(at(5))
    site.fill()
    site.bots.pause("one")
    site.bots.update("one", strategy="buy_and_hold")
    site.bots.resume("one")
    site.step(at(6))
    assert site.bots.get("one").plan.strategy == "buy_and_hold"
    with transaction(site.engine) as session:
        row = session.scalars(select(BotRow).where(BotRow.account == site.account)).one()
    assert row.bar_at == at(6)


def test_a_long_stretch_begins_anew_without_changing_a_wish(site, monkeypatch):
    monkeypatch.setattr("workbench.orchestration.bot_signal.LONGEST", 400)
    monkeypatch.setattr("workbench.orchestration.bot_signal.EVERY", 5)
    rng = np.random.default_rng(1)
    site.feed.set("ACME", np.round(50 * np.exp(np.cumsum(rng.normal(0, 0.01, 1000))), 2))
    site.bot()
    close = site.feed.close["ACME"]
    above = close.rolling(2).mean() > close.rolling(4).mean()
    seen, expected = [], []
    for day in range(3):
        for minute in range(30, 390, 30):
            moment = at(minute, OPEN + dt.timedelta(days=day))
            site.step(moment)
            site.fill()
            seen.append(site.holding() > 0)
            expected.append(bool(above.loc[moment]))
    assert seen == expected
    assert 5 < sum(seen) < 31
    assert site.bots.get("one").began > DAY


@pytest.mark.parametrize(
    ("sizing", "qty"),
    [
        ({"kind": "fixed_notional", "notional": 3_000}, 272),  # 3 000 / 11
        ({"kind": "fixed_fraction", "fraction": 0.5}, 454),  # 5 000 / 11
        ({"kind": "kelly", "win_rate": 0.6, "payoff": 1.0, "part": 0.5, "most": 0.5}, 90),  # 0.5 × 20 % of 10 000
    ],
)
def test_a_rule_for_the_size_replaces_the_weight(site, sizing, qty):
    site.feed.set("ACME", UP_DOWN)
    site.bot(risk={"sizing": sizing})
    site.step(at(5))
    assert site.orders() == [("one", "ACME", "buy", qty)]
    assert site.bots.decisions("one").iloc[0]["reason"].startswith(f"target {qty}: ")
    site.fill()
    site.step(at(10))
    assert site.orders()[-1][2:] == ("sell", qty)


def test_a_size_that_cannot_be_computed_is_a_refusal(site):
    site.feed.set("ACME", UP)
    site.bot(risk={"sizing": {"kind": "atr", "period": 2_000}})
    site.step(at(5))
    assert site.orders() == []
    decision = site.bots.decisions("one").iloc[0]
    assert decision["outcome"].startswith("refused: not sized: ")
    assert site.bots.get("one").state is BotState.RUNNING


def test_history_is_read_before_the_market_waits_for_it(site):
    site.feed.set("ACME", UP)
    site.bot()
    assert site.bot_engine.warm_up(at(3)) == 1
    assert [after for _, _, after in site.feed.asked] == [None]
    site.step(at(5))
    assert [after is None for _, _, after in site.feed.asked] == [True, False]
    site.feed.broken = "away"
    site.restart()
    assert site.bot_engine.warm_up(at(6)) == 0
