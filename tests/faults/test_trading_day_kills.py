"""A whole trading day, killed at random instants until it is through: one order per wish, and the book agrees."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest
from sqlalchemy import func, select

from workbench.bench import open_bench
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.orchestration.hosting import exchange_folder
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow
from workbench.store.tables.trading import TradingSessionRow
from workbench.study import Study

KILLS = 6
SYMBOLS = ["AAPL", "JPM", "KO", "PG", "XOM"]
DAY = f"""
import sys
import workbench as wb
bench = wb.open(home=sys.argv[1])
study = wb.Study.of({SYMBOLS!r}, start="2015-01-02", as_of="2015-06-30")
print("begin", flush=True)
run = bench.trade(bench.strategy("buy_and_hold"), bench.load(study), [])
print(run.config["account"], flush=True)
"""


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "home"
    embedded.stop(exchange_folder(tmp_path / "home"))


def live(home):
    """Every process that works on this home, the exchange left out: it is the world, not us."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(home) in words and "workbench.exchange" not in words and process.pid != os.getpid():
            found.append(process.pid)
    return found


def test_a_day_that_is_killed_again_and_again_places_each_order_once(home):
    # The exchange lives on: a kill of the exchange itself is its own test.
    bench = open_bench(home=home)
    study = Study.of(SYMBOLS, start="2015-01-02", as_of="2015-06-30")
    exchange = embedded.ensure(exchange_folder(home), source="bundled")
    chance = random.Random(20150630)
    environment = {**os.environ, "WORKBENCH_EXCHANGE_URL": exchange.url}
    kills, lives, interrupted, account = 0, 0, 0, ""
    while not account:
        day = subprocess.Popen(
            [sys.executable, "-c", DAY, str(home)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert day.stdout.readline() == "begin\n"
        if kills < KILLS:
            # Early kills come at any time; later ones wait until intents are written, so that some fall behind them.
            until = time.monotonic() + 120
            while kills % 2 and day.poll() is None and not written(bench) and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, 0.4) if kills % 2 else chance.uniform(0.5, 2.5))
            victims = live(home)
            if kills % 3 == 2:
                victims = [pid for pid in victims if pid != day.pid] or victims  # the desk alone
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            kills += 1
            interrupted += written(bench) and not closed(bench)
        said, _ = day.communicate(timeout=300)
        if day.returncode == 0:
            account = said.strip()
        lives += 1
        assert lives < KILLS + 5, said
    assert kills == KILLS or interrupted, "the day was over before it was killed often enough"
    assert interrupted, "no kill fell between the intents and the end of the day"
    keys = embedded.account(exchange.url, name=account)
    broker = AlpacaBroker(name=account, url=exchange.url, key_id=keys.key_id, secret_key=keys.secret_key)
    placed = broker.orders_since(keys.clock.replace(month=6, day=1))
    held = {position.symbol: position.qty for position in broker.positions()}
    broker.close()
    assert Counter(order.symbol for order in placed) == dict.fromkeys(SYMBOLS, 1)
    assert held == {order.symbol: order.filled_qty for order in placed}
    again = bench.trade(bench.strategy("buy_and_hold"), bench.load(study), [])
    assert again.reused
    assert again.summary["filled"] == len(SYMBOLS)
    assert again.summary["discrepancies"] == 0
    bench.workspace.close()


def written(bench):
    with transaction(bench.workspace.engine) as session:
        return session.scalar(select(func.count()).select_from(IntentRow)) > 0


def closed(bench):
    with transaction(bench.workspace.engine) as session:
        return session.scalar(select(func.count()).where(TradingSessionRow.status == "CLOSED")) > 0
