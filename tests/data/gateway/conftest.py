"""What the tests of the gateway share: a vendor on loopback, a clock that moves when somebody sleeps."""

import datetime as dt
import threading

import pytest
from pydantic import SecretStr

from tests.vendors.server import Vendor as Server
from workbench.data.gateway import Gateway, Vendor

START = dt.datetime(2026, 1, 5, 15, 30, tzinfo=dt.UTC)
KEY = "K3y+of/nobody=7"


class Clock:
    """Time that passes only when somebody sleeps or a test says so."""

    def __init__(self, now=START):
        self.now, self.slept, self._lock = now, [], threading.Lock()

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        with self._lock:
            self.slept.append(seconds)
            self.now += dt.timedelta(seconds=seconds)

    def later(self, seconds):
        self.now += dt.timedelta(seconds=seconds)

    @property
    def passed(self):
        return (self.now - START).total_seconds()


class Steady:
    """A source of jitter without any: waits are exactly 1, 2, 4."""

    def random(self):
        return 0.0


@pytest.fixture(scope="module")
def running():
    with Server() as opened:
        yield opened


@pytest.fixture
def server(running):
    running.routes.clear()
    running.asked.clear()
    running._next.clear()
    running.route("/ok", {"value": 1})
    return running


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    """Makes gateways on the test's clock and closes them."""
    opened = []

    def made(**given):
        opened.append(Gateway(**({"clock": clock, "sleep": clock.sleep, "rng": Steady()} | given)))
        return opened[-1]

    yield made
    for gateway in opened:
        gateway.close()


@pytest.fixture
def gateway(make):
    return make()


@pytest.fixture
def vendor(server):
    """Makes vendors at the server's address."""

    def made(**given):
        return Vendor(**({"name": "acme", "url": server.url} | given))

    return made


@pytest.fixture
def key():
    return SecretStr(KEY)
