"""What an account's broker knows now: prices never later than its clock, and how much trades on an average day."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.data.sources.synthetic import SyntheticSource
from workbench.exchange import embedded
from workbench.execution.journal.journal import Journal
from workbench.market.order import OrderWish, Side
from workbench.orchestration.accounts import opened
from workbench.orchestration.market_now import market_now
from workbench.settings import Settings
from workbench.store.workspace import Workspace

NOON = dt.datetime(2015, 6, 30, 16, 0, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module", params=["1d", "1m"])
def site(request, tmp_path_factory):
    """A workspace and an account at noon, on an exchange of daily bars and on one of minutes."""
    home = tmp_path_factory.mktemp("now")
    workspace, name = Workspace.open(home), f"at-{request.param}"
    settings = Settings(home=home)
    found = opened(workspace, settings, name, source="synthetic", seed=7, cash=1e6, at=NOON, timeframe=request.param)
    yield request.param, Journal(workspace.engine, name), found
    workspace.close()
    embedded.stop(home / "exchange")


def test_the_newest_price_is_of_the_brokers_own_moment(site):
    timeframe, journal, reach = site
    journal.write([OrderWish("SYN02", Side.BUY, Decimal(1))], bot="b", session=NOON.date())
    now = market_now(journal, reach, "SYN01")
    assert now.moment == NOON
    assert set(now.prices) == {"SYN01", "SYN02"}, "what is on order is valued too"
    assert all(at <= NOON for at in now.priced_at.values())
    young = dt.timedelta(minutes=2) if timeframe == "1m" else dt.timedelta(days=1)
    assert NOON - now.priced_at["SYN01"] < young
    if timeframe == "1d":
        one = pd.Timestamp("2015-06-29")
        days = SyntheticSource(seed=7).bars(["SYN01"], start=one, end=one)
        assert float(now.prices["SYN01"]) == pytest.approx(float(days["close"].iloc[0]))


def test_an_average_day_is_of_twenty_sessions_that_are_over(site):
    _, journal, reach = site
    days = SyntheticSource(seed=7).bars(["SYN01"], start=pd.Timestamp("2015-05-01"), end=pd.Timestamp("2015-06-29"))
    wanted = np.mean(days.sort_values("session")["volume"].astype(float).to_numpy()[-20:])
    assert float(market_now(journal, reach, "SYN01").adv) == pytest.approx(wanted)
    assert pd.notna(wanted)


def test_a_symbol_that_nobody_knows_has_neither(site):
    _, journal, reach = site
    now = market_now(journal, reach, "NOSUCH")
    assert now.adv is None
    assert "NOSUCH" not in now.prices
