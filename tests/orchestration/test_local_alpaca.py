"""The local exchange as a vendor: an invented market that says so, stands at a moment, and knows nothing later."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.data.gateway import Gateway
from workbench.data.sources import open_source
from workbench.errors import DataError
from workbench.exchange import embedded
from workbench.orchestration.hosting import exchange_folder
from workbench.orchestration.local_alpaca import open_local
from workbench.settings import Settings
from workbench.store.workspace import Workspace

AS_OF = pd.Timestamp("2015-06-30 20:00", tz="UTC")
START, END = pd.Timestamp("2015-06-22"), pd.Timestamp("2015-07-10")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace whose exchange, once started, serves all tests of this file."""
    opened = Workspace.open(tmp_path_factory.mktemp("local") / "home")
    yield opened
    opened.close()
    embedded.stop(exchange_folder(opened.home))


@pytest.fixture
def gateway():
    with Gateway() as opened:
        yield opened


@pytest.fixture
def local(place, gateway):
    def opened(as_of=AS_OF, *, seed=7, url=""):
        return open_local(place, Settings(exchange_url=url), gateway, as_of=as_of, seed=seed)

    return opened


def urls(workspace):
    return embedded.addresses(exchange_folder(workspace.home))


def seventh(workspace):
    return embedded.running(exchange_folder(workspace.home), source="synthetic", seed=7).url


def test_it_says_that_its_market_is_invented_and_has_a_name_of_its_own(local):
    source = local()
    assert (source.name, source.synthetic, source.as_of) == ("exchange-7", True, AS_OF)
    assert source.label.startswith("SYNTHETIC · seed 7")
    assert "exchange-7" in repr(source)
    assert "2015-06-30T20:00" in repr(source)


def test_its_bars_are_those_of_the_synthetic_market_up_to_its_moment(local):
    mine = local().bars(["SYN01", "SYN02"], start=START, end=END)
    truth = open_source("synthetic", seed=7).bars(["SYN01", "SYN02"], start=START, end=AS_OF.tz_localize(None))
    assert mine["session"].max() == pd.Timestamp("2015-06-30")
    for column in ("symbol", "session", "open", "high", "low", "close", "volume"):
        assert mine[column].tolist() == truth[column].tolist(), column
    assert (mine["learned"] <= AS_OF).all()


def test_its_news_are_not_of_tomorrow_either(local):
    symbols = [f"SYN{number:02}" for number in range(1, 21)]
    news = local().news(symbols, start=START, end=END)
    assert len(news)
    assert (news["learned"] <= AS_OF).all()
    assert set(news["source"]) == {"exchange-7"}


def test_each_moment_stands_alone_to_the_microsecond(local, place):
    late, early = (AS_OF + pd.Timedelta(seconds=one) for one in (50, 10))
    local(late)
    assert local(early).as_of == early
    clocks = {state.clock for state in embedded.accounts(seventh(place))}
    assert {late.to_pydatetime(), early.to_pydatetime()} <= clocks
    assert local(AS_OF + pd.Timedelta(nanoseconds=900)).as_of == AS_OF  # never later than asked for
    assert local(AS_OF.tz_convert("Asia/Tokyo")).as_of == AS_OF


def test_a_clock_that_somebody_moved_is_refused(local, place):
    moment = pd.Timestamp("2015-03-02 21:00", tz="UTC")
    local(moment)
    url = seventh(place)
    name = next(state.name for state in embedded.accounts(url) if state.clock == moment)
    embedded.advance(url, name=name, to=(moment + pd.Timedelta(days=1)).to_pydatetime())
    with pytest.raises(DataError, match="2015-03-03"):
        local(moment)


def test_a_moment_without_a_timezone_is_refused(local):
    with pytest.raises(DataError, match="has no timezone"):
        local(pd.Timestamp("2015-06-30 20:00"))


def test_the_exchange_of_the_settings_is_asked_where_it_serves_this_market(local, exchange, place):
    before = urls(place)
    local(AS_OF + pd.Timedelta(hours=1), url=exchange.url)
    assert urls(place) == before
    names = {state.clock for state in embedded.accounts(exchange.url)}
    assert (AS_OF + pd.Timedelta(hours=1)).to_pydatetime() in names


def test_another_market_than_the_one_asked_for_is_never_passed_off_as_it(local, exchange):
    source = local(seed=11, url=exchange.url)  # which serves seed 7
    mine = source.bars("SYN01", start=START, end=END)
    truth = open_source("synthetic", seed=11).bars("SYN01", start=START, end=AS_OF.tz_localize(None))
    assert mine["close"].tolist() == truth["close"].tolist()
    assert (source.name, "seed 11" in source.label) == ("exchange-11", True)


def test_one_way_to_it_with_the_health_of_its_own(local, gateway):
    local().bars("SYN03", start=START, end=END)
    health = gateway.health().set_index("vendor")
    assert health.loc["exchange", "state"] == "up"
    assert "alpaca" not in health.index
