"""Kill -9 under load, again and again: no accepted order is lost, none is invented, and the books add up."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import defaultdict
from decimal import Decimal

import pytest
import requests

from workbench.store.processes import process_runs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # alpaca-py imports websockets.legacy
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient

KILLS = 20
FAMILY_KILLS = 10
SYMBOLS = ["SYN01", "SYN02", "SYN03"]
OPENED = "2020-06-30T20:00:00Z"


# Reading the libraries and the prices takes a second; this process does it once and every life is a fork of it.
NURSERY = """
import os, signal, sys
from pathlib import Path
from workbench.exchange.api.app import Options, run
from workbench.exchange.clock import Timeline
from workbench.exchange.market.market import SourceFeed

feed = SourceFeed("synthetic", seed=7)
for symbol in SYMBOLS:
    feed.series(symbol)
Timeline(feed.venue).first
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
folder = Path(sys.argv[1])
print("ready", flush=True)
for _ in sys.stdin:
    if os.fork() == 0:
        run(feed, Options(db=folder / "exchange.db", ready_file=folder / "ready.json"))
        os._exit(0)
"""


class Lives:
    """One exchange after the other on the same database: forks that are killed, then a whole process of its own."""

    def __init__(self, folder):
        self.folder, self.url, self.pid = folder, None, None
        self._log = (folder / "exchange.log").open("ab")
        self._nursery = self._popen("-c", NURSERY.replace("SYMBOLS", repr(SYMBOLS)), str(folder))
        self._last = None
        assert self._nursery.stdout.readline().strip() == b"ready", (folder / "exchange.log").read_text()

    def begin(self):
        self.ready.unlink(missing_ok=True)
        self._nursery.stdin.write(b"one more\n")
        self._nursery.stdin.flush()
        self._wait()

    def begin_the_last(self):
        self.ready.unlink(missing_ok=True)
        self._last = self._popen(
            "-m",
            "workbench.exchange",
            "--source",
            "synthetic",
            "--db",
            self.folder / "exchange.db",
            "--ready-file",
            self.ready,
        )
        self._wait()

    def kill(self):
        """The end is over when the process is gone: until then it may hold the database, and no new one would start."""
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while process_runs(self.pid):
            assert time.monotonic() < deadline, "it cannot be killed"
            time.sleep(0.001)

    def close(self):
        for process in (self._nursery, self._last):
            if process is not None:
                process.kill()
                process.communicate(timeout=60)
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(self.pid, signal.SIGKILL)
        self._log.close()

    @property
    def ready(self):
        return self.folder / "ready.json"

    def _popen(self, *arguments):
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def _wait(self):
        deadline = time.monotonic() + 120
        while not self.ready.exists():
            assert time.monotonic() < deadline, (self.folder / "exchange.log").read_text()
            time.sleep(0.002)
        found = json.loads(self.ready.read_text())
        self.url, self.pid = found["url"], found["pid"]


@pytest.fixture
def exchange(tmp_path):
    lives = Lives(tmp_path)
    yield lives
    lives.close()


class Load:
    """Clients that place, cancel and advance until the exchange dies, and remember what they were told."""

    def __init__(self):
        self.attempted: set[str] = set()
        self.acked: dict[str, str] = {}
        self.canceled: set[str] = set()
        self.clock = OPENED
        self.unexpected: list[str] = []

    def round(self, url, keys, number, *, kill, acks, pause):
        """One life: kill at a random moment after so many more orders were accepted."""
        wanted = len(self.acked) + acks
        placing = [threading.Thread(target=self._place, args=(url, keys, f"r{number}t{thread}")) for thread in range(2)]
        threads = [*placing, threading.Thread(target=self._advance, args=(url, keys))]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 120
        while len(self.acked) < wanted:
            assert time.monotonic() < deadline, "hardly any load"
            time.sleep(0.002)
        time.sleep(pause)
        kill()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def _place(self, url, keys, prefix):
        dice = random.Random(prefix)
        api = TradingClient(keys["key_id"], keys["secret_key"], raw_data=True, url_override=url)
        api._retry = 0
        with contextlib.closing(api._session), contextlib.suppress(requests.RequestException):
            for number in range(100_000):
                name = f"{prefix}n{number}"
                self.attempted.add(name)
                body = {"symbol": dice.choice(SYMBOLS), "qty": "1", "side": "buy", "client_order_id": name}
                body |= (
                    {"type": "limit", "limit_price": "1", "time_in_force": "gtc"}
                    if number % 3 == 0
                    else {
                        "type": "market",
                        "time_in_force": "day",
                    }
                )
                try:
                    order = api.post("/orders", body)
                except APIError as error:
                    self.unexpected.append(str(error))
                    return
                self.acked[name] = order["id"]
                if number % 6 == 0:
                    api.cancel_order_by_id(order["id"])
                    self.canceled.add(name)

    def _advance(self, url, keys):
        with contextlib.suppress(requests.RequestException):
            while True:
                day = dt.datetime.fromisoformat(self.clock) + dt.timedelta(days=1)
                answer = requests.post(
                    f"{url}/sim/accounts/{keys['name']}/advance", json={"to": day.isoformat()}, timeout=60
                )
                if answer.status_code == 422:  # the exchange died before it could say how far it had come
                    self.clock = day.isoformat()
                    continue
                self.clock = answer.json()["clock"]
                time.sleep(0.002)


def everything(api):
    """All orders, paged by their moment, and all fills, paged by their id."""
    orders, after = [], "2000-01-01T00:00:00Z"
    while page := api.get("/orders", {"status": "all", "direction": "asc", "limit": 500, "after": after}):
        orders += page
        after = page[-1]["submitted_at"]
    fills, token = [], None
    while page := api.get("/account/activities/FILL", {"direction": "asc", "page_token": token}):
        fills += page
        token = page[-1]["id"]
    return orders, fills


def test_twenty_kills_under_load_lose_nothing_and_invent_nothing(exchange):
    exchange.begin()
    keys = requests.post(
        f"{exchange.url}/sim/accounts", json={"name": "victim", "cash": "1000000000", "at": OPENED}, timeout=60
    ).json()
    load, dice = Load(), random.Random(7)
    for number in range(KILLS):
        load.round(
            exchange.url, keys, number, kill=exchange.kill, acks=dice.randint(1, 30), pause=dice.uniform(0, 0.02)
        )
        if number < KILLS - 1:
            exchange.begin()
    exchange.begin_the_last()
    assert load.unexpected == []

    api = TradingClient(keys["key_id"], keys["secret_key"], raw_data=True, url_override=exchange.url)
    with contextlib.closing(api._session):
        orders, fills = everything(api)
        account, positions = api.get_account(), api.get_all_positions()
        clock = requests.get(f"{exchange.url}/sim/accounts/victim", timeout=60).json()["clock"]

    found = {order["client_order_id"]: order for order in orders}
    assert len(found) == len(orders), "an order is there twice"
    lost = {name for name, order_id in load.acked.items() if found.get(name, {}).get("id") != order_id}
    assert not lost, "accepted and gone"
    assert not set(found) - load.attempted, "never asked for"
    assert {found[name]["status"] for name in load.canceled} <= {"canceled"}
    # At most the one order that each of the two clients had under way at each kill is there without having been told.
    assert len(set(found) - set(load.acked)) <= 2 * KILLS
    assert dt.datetime.fromisoformat(clock) >= dt.datetime.fromisoformat(load.clock), "the clock went back"

    filled: dict[str, Decimal] = defaultdict(Decimal)
    held: dict[str, Decimal] = defaultdict(Decimal)
    cash = Decimal(1_000_000_000)
    for fill in fills:
        filled[fill["order_id"]] += Decimal(fill["qty"])
        held[fill["symbol"]] += Decimal(fill["qty"])
        cash -= Decimal(fill["qty"]) * Decimal(fill["price"])
    assert len(fills) > KILLS
    assert {order["id"]: Decimal(order["filled_qty"]) for order in orders if Decimal(order["filled_qty"])} == filled
    assert {position["symbol"]: Decimal(position["qty"]) for position in positions} == held
    assert Decimal(account["cash"]) == cash.quantize(Decimal("0.01"))


class Families(Load):
    """The same with brackets, whose stop-loss fires at once, and with replaces; the clock goes on meanwhile."""

    def __init__(self):
        super().__init__()
        self.replaced: dict[str, str] = {}  # old id → new id, as it was answered
        self.exits: dict[str, set[str]] = {}  # entry id → ids of its exits, as it was answered

    def _place(self, url, keys, prefix):
        dice = random.Random(prefix)
        api = TradingClient(keys["key_id"], keys["secret_key"], raw_data=True, url_override=url)
        api._retry = 0
        with contextlib.closing(api._session), contextlib.suppress(requests.RequestException):
            for number in range(100_000):
                name = f"{prefix}n{number}"
                self.attempted |= {name, f"{name}-again"}
                body = {"symbol": dice.choice(SYMBOLS), "side": "buy", "type": "limit", "time_in_force": "gtc"}
                if number % 2:
                    # Fills at the next open, whatever that is; from then on every price is below the stop.
                    body |= {"qty": "2", "limit_price": "10000", "order_class": "bracket", "client_order_id": name}
                    body |= {"take_profit": {"limit_price": "20000"}, "stop_loss": {"stop_price": "9999"}}
                else:
                    body |= {"qty": "1", "limit_price": "1", "client_order_id": name}
                try:
                    order = api.post("/orders", body)
                    self.acked[name] = order["id"]
                    if number % 2:
                        self.exits[order["id"]] = {leg["id"] for leg in order["legs"]}
                    else:
                        change = {"limit_price": "2", "client_order_id": f"{name}-again"}
                        new = api.patch(f"/orders/{order['id']}", change)
                        self.replaced[order["id"]] = new["id"]
                except APIError as error:
                    self.unexpected.append(str(error))
                    return


def test_kills_among_brackets_and_replaces(exchange):
    exchange.begin()
    keys = requests.post(
        f"{exchange.url}/sim/accounts", json={"name": "victim", "cash": "1000000000", "at": OPENED}, timeout=60
    ).json()
    load, dice = Families(), random.Random(11)
    for number in range(FAMILY_KILLS):
        load.round(
            exchange.url, keys, number, kill=exchange.kill, acks=dice.randint(4, 30), pause=dice.uniform(0, 0.02)
        )
        if number < FAMILY_KILLS - 1:
            exchange.begin()
    exchange.begin_the_last()
    assert load.unexpected == []

    api = TradingClient(keys["key_id"], keys["secret_key"], raw_data=True, url_override=exchange.url)
    with contextlib.closing(api._session):
        # From here on nobody places anything: after two more days every bracket that filled is out again.
        clock = requests.get(f"{exchange.url}/sim/accounts/victim", timeout=60).json()["clock"]
        later = dt.datetime.fromisoformat(clock) + dt.timedelta(days=5)
        requests.post(f"{exchange.url}/sim/accounts/victim/advance", json={"to": later.isoformat()}, timeout=60)
        orders, fills = everything(api)
        account, positions = api.get_account(), api.get_all_positions()
        nested = {}
        for entry in (order for order in orders if order["order_class"] == "bracket" and order["type"] == "limit"):
            if Decimal(entry["limit_price"]) == 10_000:
                nested[entry["id"]] = api.get(f"/orders/{entry['id']}", {"nested": True})["legs"]

    by_id = {order["id"]: order for order in orders}
    assert len(by_id) == len(orders) == len({order["client_order_id"] for order in orders}), "an order is there twice"
    exits = {leg["id"] for legs in nested.values() for leg in legs}
    asked = {order["client_order_id"]: order["id"] for order in orders if order["id"] not in exits}
    assert {name for name, order_id in load.acked.items() if asked.get(name) != order_id} == set(), "accepted and gone"
    assert set(asked) <= load.attempted, "never asked for"
    # Every entry has its two exits and nothing else has any; those that were told are those that are there.
    assert all(len(legs) == 2 for legs in nested.values())
    assert {order_id: {leg["id"] for leg in nested[order_id]} for order_id in load.exits} == load.exits
    # A replace is done wholly or not at all.
    for old, new in load.replaced.items():
        assert (by_id[old]["status"], by_id[old]["replaced_by"], by_id[new]["replaces"]) == ("replaced", new, old)
    assert {order["id"] for order in orders if order["status"] == "replaced"} == {
        order["replaces"] for order in orders if order["replaces"]
    }
    assert len(load.replaced) > FAMILY_KILLS
    assert len(load.exits) > FAMILY_KILLS
    # All entries have filled, so have their stops, and the targets went with them.
    for entry, legs in nested.items():
        ends = {leg["type"]: (leg["status"], leg["filled_qty"]) for leg in legs}
        assert by_id[entry]["status"] == "filled"
        assert ends == {"limit": ("canceled", "0"), "stop": ("filled", "2")}
    assert positions == []
    cash = Decimal(1_000_000_000)
    for fill in fills:
        cash -= (1 if fill["side"] == "buy" else -1) * Decimal(fill["qty"]) * Decimal(fill["price"])
    assert Decimal(account["cash"]) == cash.quantize(Decimal("0.01"))
