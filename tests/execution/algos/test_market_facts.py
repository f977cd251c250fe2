"""Facts from bars: nothing later than the asked moment, and unknown is None."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.data.source import INTRADAY_COLUMNS, no_bars
from workbench.data.sources.synthetic import SyntheticSource
from workbench.errors import AlgorithmRefused
from workbench.execution.algos.market_facts import BarFacts
from workbench.execution.algos.vwap import profile_of

OPENS = dt.datetime(2015, 6, 30, 13, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAYS = ["2015-06-26", "2015-06-29", "2015-06-30"]


def bars(day, count=390, *, price=50.0, volume=100.0):
    """Minutes of one session: bar i closes at price + i cents and trades volume · (i + 1)."""
    opens = sessions.opens("XNYS", day)
    steps = np.arange(count)
    time = opens + pd.to_timedelta(steps, "min")
    close = price + (steps + 1) / 100
    frame = pd.DataFrame({"symbol": "SYN01", "session": pd.Timestamp(day), "time": time, "open": close - 0.01})
    frame = frame.assign(high=close + 0.02, low=close - 0.02, close=close, volume=volume * (steps + 1))
    frame["happened"] = frame["learned"] = frame["time"] + pd.Timedelta(1, "min")
    return frame[list(INTRADAY_COLUMNS)]


class Source:
    venue, name, label, synthetic = "XNYS", "hand", "by hand", True

    def __init__(self, frames):
        self.frames, self.asked = frames, 0

    def symbols(self):
        return ("SYN01",)

    def bars(self, symbols, *, start, end, timeframe="1d"):
        self.asked += 1
        return self.frames.get(start.strftime("%Y-%m-%d"), no_bars(intraday=True))


@pytest.fixture
def source():
    return Source({day: bars(day, price=50.0 + i) for i, day in enumerate(DAYS)})


@pytest.fixture
def facts(source):
    return BarFacts(source)


def test_the_price_is_the_newest_that_was_made(facts):
    assert facts.price("SYN01", OPENS - MINUTE) == (Decimal("54.9"), OPENS - dt.timedelta(hours=17.5))  # yesterday's
    assert facts.price("SYN01", OPENS) == facts.price("SYN01", OPENS - MINUTE)  # the first print comes a second later
    opened = OPENS + dt.timedelta(seconds=1)
    assert facts.price("SYN01", opened) == (Decimal("52.0"), opened)
    assert facts.price("SYN01", OPENS + MINUTE) == (Decimal("52.01"), OPENS + MINUTE)
    assert facts.price("SYN01", OPENS + 390 * MINUTE) == (Decimal("55.9"), OPENS + 390 * MINUTE)


def test_volumes_and_average_prices_count_whole_bars_only(facts):
    assert facts.volume("SYN01", OPENS, OPENS + 3 * MINUTE) == 600
    assert facts.volume("SYN01", OPENS, OPENS + 3.9 * MINUTE) == 600
    assert facts.volume("SYN01", OPENS + 0.5 * MINUTE, OPENS + 3 * MINUTE) == 500
    average = (100 * 52.01 + 200 * 52.02 + 300 * 52.03) / 600
    assert float(facts.vwap("SYN01", OPENS, OPENS + 3 * MINUTE)) == pytest.approx(average, abs=1e-9)
    assert facts.volume("SYN01", OPENS, OPENS + 390 * MINUTE) == 100 * 390 * 391 / 2


def test_what_is_not_known_is_none(source):
    facts = BarFacts(source)
    assert facts.volume("SYN01", OPENS, OPENS + 0.5 * MINUTE) is None
    assert facts.vwap("SYN01", OPENS, OPENS) is None
    source.frames["2015-06-30"].loc[1, "volume"] = np.nan
    facts = BarFacts(source)
    assert facts.volume("SYN01", OPENS, OPENS + MINUTE) == 100
    assert facts.volume("SYN01", OPENS, OPENS + 3 * MINUTE) is None
    assert facts.vwap("SYN01", OPENS, OPENS + 3 * MINUTE) is None
    assert BarFacts(Source({})).price("SYN01", OPENS) is None


@pytest.mark.parametrize("minutes", [0, 1, 2.5, 100, 389.9])
def test_the_future_may_be_anything(source, minutes):
    at = OPENS + minutes * MINUTE
    other = Source({day: frame.copy() for day, frame in source.frames.items()})
    today = other.frames["2015-06-30"]
    later = today["happened"] > at
    running = later & (today["time"] + pd.Timedelta(1, "s") <= at)
    today.loc[later, ["high", "low", "close", "volume"]] = 1e6
    today.loc[later & ~running, "open"] = 1e6

    def answers(facts):
        return facts.price("SYN01", at), facts.volume("SYN01", OPENS, at), facts.vwap("SYN01", OPENS, at)

    assert answers(BarFacts(other)) == answers(BarFacts(source))


def test_a_session_that_grows_is_read_again_and_a_finished_one_is_not(source):
    whole = source.frames["2015-06-30"]
    source.frames["2015-06-30"] = whole.head(2)
    facts = BarFacts(source)
    assert facts.volume("SYN01", OPENS, OPENS + 2 * MINUTE) == 300
    source.frames["2015-06-30"] = whole
    assert facts.volume("SYN01", OPENS, OPENS + 3 * MINUTE) == 600
    asked = source.asked
    for minutes in range(4, 390):
        facts.volume("SYN01", OPENS, OPENS + minutes * MINUTE)
    assert source.asked == asked


def test_a_profile_is_the_mean_of_the_sessions_known_then(source):
    source.frames["2015-06-29"].loc[0, "volume"] = np.nan
    frame = pd.concat(source.frames.values(), ignore_index=True)
    profile = profile_of(frame, symbol="SYN01", as_of=OPENS + 100 * MINUTE, venue="XNYS")
    assert (profile.seconds, len(profile.volumes), profile.sessions) == (60.0, 390, 2)
    assert profile.until == dt.datetime(2015, 6, 29, 20, tzinfo=dt.UTC)
    assert profile.volumes[0] == 100.0  # of the one session that knows it: NaN is not 0
    assert profile.volumes[1] == 200.0
    frame.loc[frame["happened"] > OPENS, "volume"] = 1e9  # today's is not looked at before its close
    assert profile_of(frame, symbol="SYN01", as_of=OPENS + 100 * MINUTE, venue="XNYS").volumes == profile.volumes
    with pytest.raises(AlgorithmRefused, match="volume profile"):
        profile_of(frame, symbol="SYN01", as_of=OPENS - dt.timedelta(days=30), venue="XNYS")


def test_an_early_close_is_no_part_of_a_profile_and_a_bucket_nobody_traded_in_is_unknown():
    days = {"2015-11-25": bars("2015-11-25"), "2015-11-27": bars("2015-11-27", 210)}
    frame = pd.concat([days["2015-11-25"].drop(index=[5]), days["2015-11-27"], bars("2015-11-30").drop(index=[5])])
    profile = profile_of(frame, symbol="SYN01", as_of=dt.datetime(2015, 12, 1, tzinfo=dt.UTC), venue="XNYS")
    assert profile.sessions == 2
    assert np.isnan(profile.volumes[5])


def test_the_synthetic_market_has_facts_too():
    facts = BarFacts(SyntheticSource(seed=7))
    at = OPENS + 30 * MINUTE
    assert facts.price("SYN01", at).at == at
    low, high = Decimal(0), Decimal(10**9)
    assert low < facts.volume("SYN01", OPENS, at) < high
    assert abs(facts.vwap("SYN01", OPENS, at) / facts.price("SYN01", at).value - 1) < Decimal("0.1")
