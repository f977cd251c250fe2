"""Two bots trade a stretch of a replayed market through a real desk; a restart in the middle changes nothing."""

import datetime as dt
import itertools
import time
from decimal import Decimal

import pandas as pd
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from workbench import sessions
from workbench.data.access import Access
from workbench.data.gateway import Gateway
from workbench.data.sources.alpaca import LOCAL, AlpacaSource
from workbench.exchange import embedded
from workbench.execution.bots.book import ownership
from workbench.execution.bots.roster import Bots
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.ledger import Ledger
from workbench.execution.risk.limits import Limits
from workbench.orchestration.bot_bars import LiveFeed
from workbench.orchestration.bot_engine import BotEngine
from workbench.orchestration.desk_process import Desk
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow

SYMBOLS = ["SYN01", "SYN02", "SYN03"]
DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-09")
RULES = {
    "entry": [{"left": "rsi(2)", "op": "<", "right": 50}],
    "exit": [{"left": "rsi(2)", "op": ">", "right": 70}],
}
_number = itertools.count(1)


class Clock:
    """Seconds that pass when they are slept, and ten of them before every turn."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        time.sleep(min(seconds, 0.01))
        self.now += seconds


class Stage:
    """An account of the local exchange with two bots, and a desk that can be restarted."""

    def __init__(self, engine, exchange):
        self.engine, self.url, self.name = engine, exchange.url, f"journey-{next(_number)}"
        begin = sessions.closes("XNYS", sessions.previous_session("XNYS", DAYS[0])).to_pydatetime()
        self.keys = embedded.open_account(self.url, name=self.name, cash=100_000, at=begin)
        self.bots = Bots(engine, self.name, known_symbols=SYMBOLS)
        more = {"symbols": SYMBOLS, "risk": {"cushion": 0.02}}  # of a daily bar, the next price may be far away
        self.bots.create("ruled", capital=30_000, strategy="rules", params=RULES, **more)
        self.bots.create("cross", capital=40_000, strategy="sma_cross", params={"fast": 2, "slow": 4}, **more)
        for bot in self.bots:
            self.bots.start(bot.name)
        self.clock = Clock()
        self.gateway = Gateway(engine=engine)

    def broker(self):
        keys = self.keys
        return AlpacaBroker(name=self.name, url=self.url, key_id=keys.key_id, secret_key=keys.secret_key)

    def open(self):
        self.desk = Desk(self.engine, self.broker(), bots=self.at_work, monotonic=self.clock, sleep=self.clock.sleep)
        self.desk.start()

    def at_work(self, journal):
        keys = self.keys
        access = Access(key=SecretStr(keys.key_id), secret=SecretStr(keys.secret_key), url=self.url)
        source = AlpacaSource(self.gateway, access, vendor=LOCAL)
        limits = Limits(one_order_per_symbol=False, allow_self_cross=True)
        return BotEngine(journal, LiveFeed(source), limits=limits, monotonic=self.clock)

    def turn(self):
        """Turns of the desk until nothing is on its way any more."""
        ledger, quiet, deadline = Ledger(self.engine, self.name), 0, time.monotonic() + 120
        while quiet < 3:
            assert time.monotonic() < deadline, ledger.orders_frame()
            self.clock.now += 10.0
            self.desk.step()
            moving = [one for one in ledger.intents() if one.state.value in {"intent", "sending", "unknown"}]
            booked = sum((fill.qty for fill in ledger.fills()), Decimal(0))
            told = sum((one.filled_qty for one in ledger.intents()), Decimal(0))
            quiet = 0 if moving or booked != told else quiet + 1
            time.sleep(0.002)

    def to(self, moment):
        embedded.advance(self.url, name=self.name, to=moment.to_pydatetime())

    def play(self, days):
        for day in days:
            self.to(sessions.opens("XNYS", day))
            self.turn()
            self.to(sessions.closes("XNYS", day))
            self.turn()


@pytest.fixture
def stage(engine, exchange):
    stages = []

    def make():
        stages.append(Stage(engine, exchange))
        return stages[-1]

    yield make
    for one in stages:
        one.desk.close(grace=0.0)
        one.gateway.close()


def test_two_bots_trade_a_stretch_and_a_restart_in_the_middle_changes_nothing(stage, engine):
    whole, broken = stage(), stage()
    whole.open()
    whole.play(DAYS)
    broken.open()
    broken.play(DAYS[:4])
    before = broken.bots.positions()
    broken.desk.close(grace=0.0)
    broken.open()
    pd.testing.assert_frame_equal(broken.bots.positions(), before)
    broken.play(DAYS[4:])
    told = whole.bots.trades()
    assert len(told) >= 6
    assert set(told["bot"]) == {"ruled", "cross"}
    assert told["why"].str.startswith("target weight").all()
    pd.testing.assert_frame_equal(told, broken.bots.trades())
    for one in (whole, broken):
        check(one, engine)


def check(stage, engine):
    """What the bots own and earned, held against what the exchange itself says."""
    broker = stage.broker()
    fills, held = broker.fills_since(), {position.symbol: position.qty for position in broker.positions()}
    broker.close()
    with transaction(engine) as session:
        names = dict(
            session.execute(
                select(IntentRow.broker_order_id, IntentRow.bot).where(IntentRow.account == stage.name)
            ).all()
        )
    owned = ownership(engine, stage.name)
    assert owned["account"].to_dict() == held
    assert not owned["unowned"].any()
    positions = stage.bots.positions().set_index(["bot", "symbol"])
    for bot in stage.bots:
        mine = [fill for fill in fills if names[fill.broker_order_id] == bot.name]
        qty = {}
        for fill in mine:
            qty[fill.symbol] = qty.get(fill.symbol, Decimal(0)) + fill.side.sign * fill.qty
        flow = sum((fill.side.sign * fill.qty * fill.price + fill.fee for fill in mine), Decimal(0))
        assert owned[bot.name].loc[lambda column: column != 0].to_dict() == {s: q for s, q in qty.items() if q}
        assert bot.cash == bot.plan.capital - flow
        assert bot.cash > 0
        row = stage.bots.frame().set_index("name").loc[bot.name]
        assert row["equity"] == pytest.approx(row["capital"] + row["pnl"], abs=1e-6)
        mine = positions.loc[bot.name] if bot.name in positions.index else positions.iloc[:0]
        assert float(bot.cash) + mine["value"].sum() == pytest.approx(row["equity"], abs=1e-6)
        decisions = stage.bots.decisions(bot.name)
        assert (decisions["outcome"] == "written").all()
        term = "rsi(2)" if bot.name == "ruled" else "sma(2)"
        assert all(found[term] is not None for found in decisions["indicators"])
    days = {dt.date.fromisoformat(day) for day in decisions["session"]}
    assert days <= {day.date() for day in DAYS}
