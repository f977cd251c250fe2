import datetime as dt
import itertools
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from workbench import sessions
from workbench.data.access import Access
from workbench.data.gateway import Gateway
from workbench.data.sources import open_source
from workbench.data.sources.alpaca import LOCAL, AlpacaSource
from workbench.errors import DataError
from workbench.exchange import embedded
from workbench.orchestration.bot_bars import LiveFeed, Panels, SourceFeed

SYMBOLS = ("SYN01", "SYN02", "SYN03")
OPEN = dt.datetime(2015, 6, 30, 13, 30, tzinfo=dt.UTC)
FIRST = dt.date(2015, 6, 29)
_number = itertools.count(1)


@pytest.fixture
def gateway():
    with Gateway() as opened:
        yield opened


class Holed:
    """A synthetic source of minutes in which many bars are missing, and some come some minutes late."""

    def __init__(self, seed=0):
        inner = open_source("synthetic")
        self.name, self.venue = inner.name, inner.venue
        rows = inner.bars(SYMBOLS, start=pd.Timestamp(FIRST), end=pd.Timestamp("2015-06-30"), timeframe="1m")
        rng = np.random.default_rng(seed)
        rows = rows.loc[rng.random(len(rows)) < 0.5]
        late = pd.to_timedelta(rng.integers(0, 3, len(rows)) * (rng.random(len(rows)) < 0.3), unit="min")
        self.rows = rows.assign(learned=rows["happened"] + late)

    def bars(self, symbols, *, first, as_of, timeframe, after):
        rows = self.rows.loc[self.rows["symbol"].isin(symbols) & (self.rows["session"] >= pd.Timestamp(first))]
        known = rows["learned"] <= pd.Timestamp(as_of)
        return rows.loc[known if after is None else known & (rows["happened"] > pd.Timestamp(after))]


def at(minute):
    return OPEN + dt.timedelta(minutes=minute)


@pytest.mark.parametrize("seed", range(3))
def test_a_panel_that_grew_is_the_one_that_is_read_at_once(seed):
    feed = Holed(seed)
    grown = Panels(feed)
    for minute in [1, 2, 3, 5, 6, 9, 15, 16, 17, 18, 40, 41]:
        bars = grown.upto(at(minute), timeframe="1m", symbols=SYMBOLS, first=FIRST)
        whole = Panels(feed).upto(at(minute), timeframe="1m", symbols=SYMBOLS, first=FIRST)
        for name, frame in whole:
            pd.testing.assert_frame_equal(getattr(bars, name), frame, check_freq=False)


def test_nothing_later_than_the_moment_comes_out():
    feed = SourceFeed(open_source("synthetic"), finest="1m")
    panels = Panels(feed)
    for minute in (0, 1, 30):
        bars = panels.upto(at(minute), timeframe="1m", symbols=SYMBOLS, first=FIRST)
        assert bars.sessions[-1] <= pd.Timestamp(at(minute))
        seen = feed.prices(SYMBOLS, as_of=at(minute))
        assert {symbol: float(one.price) for symbol, one in seen.items()} == bars.close.iloc[-1].to_dict()
        assert all(one.at <= at(minute) for one in seen.values())
    daily = panels.upto(at(30), timeframe="1d", symbols=SYMBOLS, first=FIRST)
    assert daily.sessions.tolist() == [pd.Timestamp(FIRST)]


def test_symbols_and_sessions_that_join_are_read_too():
    panels = Panels(SourceFeed(open_source("synthetic"), finest="1m"))
    one = panels.upto(at(5), timeframe="1m", symbols=["SYN01"], first=FIRST)
    two = panels.upto(at(5), timeframe="1m", symbols=["SYN02", "SYN01"], first=dt.date(2015, 6, 26))
    assert two.symbols == ("SYN02", "SYN01")
    assert len(two.sessions) == len(one.sessions) + 390
    again = panels.upto(at(6), timeframe="1m", symbols=["SYN01"], first=FIRST)
    assert len(again.sessions) == len(two.sessions) + 1


def test_what_nobody_needs_is_forgotten():
    panels = Panels(SourceFeed(open_source("synthetic"), finest="1m"))
    panels.upto(at(5), timeframe="1m", symbols=SYMBOLS, first=FIRST)
    panels.forget("1m", first=dt.date(2015, 6, 30), symbols=["SYN02"])
    kept = panels.upto(at(5), timeframe="1m", symbols=["SYN02"], first=dt.date(2015, 6, 30))
    assert (kept.symbols, len(kept.sessions)) == (("SYN02",), 5)


def test_a_feed_that_fails_leaves_what_was_known():
    feed = Holed()
    panels = Panels(feed)
    before = panels.upto(at(5), timeframe="1m", symbols=SYMBOLS, first=FIRST)
    whole, feed.bars = feed.bars, lambda *_, **__: (_ for _ in ()).throw(DataError("away"))
    with pytest.raises(DataError):
        panels.upto(at(6), timeframe="1m", symbols=SYMBOLS, first=FIRST)
    feed.bars = whole
    after = panels.upto(at(6), timeframe="1m", symbols=SYMBOLS, first=FIRST)
    assert after.sessions[: len(before.sessions)].equals(before.sessions)


def test_the_brokers_market_data_is_the_source_behind_it(exchange, gateway):
    close = sessions.closes("XNYS", "2015-06-30").to_pydatetime()
    keys = embedded.open_account(exchange.url, name=f"feed-{next(_number)}", cash=1_000, at=close)
    access = Access(key=SecretStr(keys.key_id), secret=SecretStr(keys.secret_key), url=exchange.url)
    source = AlpacaSource(gateway, access, vendor=LOCAL)
    live, replayed = LiveFeed(source), SourceFeed(open_source("synthetic"))
    first = dt.date(2015, 6, 1)
    panels = [Panels(feed).upto(close, timeframe="1d", symbols=SYMBOLS, first=first) for feed in (live, replayed)]
    for name, frame in panels[1]:
        pd.testing.assert_frame_equal(getattr(panels[0], name), frame)
    assert live.prices(SYMBOLS, as_of=close) == replayed.prices(SYMBOLS, as_of=close)
    assert live.prices(SYMBOLS, as_of=close - dt.timedelta(minutes=1)) == {}
    assert all(isinstance(seen.price, Decimal) for seen in live.prices(SYMBOLS, as_of=close).values())
