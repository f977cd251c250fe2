"""What works beside the orders of a desk: bots and algorithms take turns, and the sooner one is heard."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.vendors import alpaca
from tests.vendors.server import Vendor
from workbench.data.gateway import Gateway
from workbench.execution.journal.journal import Journal
from workbench.orchestration.at_work import DESK_LIMITS, AtWork, at_work

NOON = dt.datetime(2024, 3, 5, 17, 0, tzinfo=dt.UTC)


class Half:
    def __init__(self, log, name, number, wants):
        self.log, self.name, self.number, self.wants = log, name, number, wants

    def warm_up(self, now):
        return self.number

    def start(self):
        self.log.append(f"{self.name} starts")
        return self.number

    def step(self, now):
        self.log.append(self.name)
        return self.wants

    def close(self):
        self.log.append(f"{self.name} closes")


@pytest.mark.parametrize(
    ("bots_want", "algorithms_want", "next_at"),
    [
        (None, None, None),
        (NOON, None, NOON),
        (NOON + dt.timedelta(seconds=9), NOON + dt.timedelta(seconds=3), NOON + dt.timedelta(seconds=3)),
    ],
)
def test_both_get_their_turn_and_the_sooner_is_heard(bots_want, algorithms_want, next_at):
    log = []
    both = AtWork(Half(log, "bots", 2, bots_want), Half(log, "algorithms", 1, algorithms_want))
    assert both.warm_up(NOON) == 2
    assert both.start() == 3
    assert both.step(NOON) == next_at
    both.close()
    assert log == ["algorithms starts", "bots starts", "algorithms", "bots", "bots closes", "algorithms closes"]


def test_a_desk_bounds_the_flow_of_orders_and_the_losses():
    assert DESK_LIMITS.max_daily_loss is not None
    assert DESK_LIMITS.max_drawdown is not None
    assert DESK_LIMITS.max_orders_per_minute == 600


def test_what_a_desk_asks_its_broker_is_counted_in_the_database_that_all_processes_share(engine):
    with Vendor() as vendor:
        alpaca.routes(vendor)
        both = at_work(Journal(engine, "paper"), key_id="KEYID", secret_key="HIDDEN", url=vendor.url)
        prices = both.bots.feed.prices(["AAPL"], as_of=NOON)
        both.close()
    assert set(prices) == {"AAPL"}
    with Gateway(engine=engine) as other:
        counted = other.stats()
    assert set(counted["vendor"]) == {"exchange"}
    assert "HIDDEN" not in counted.to_json()
