"""What Yahoo's charts become."""

import copy

import pandas as pd
import pytest

from tests.vendors import prices, yahoo
from tests.vendors.server import Reply, Vendor
from workbench import sessions
from workbench.data.access import Access
from workbench.data.sources.yahoo import YahooSource
from workbench.errors import BadData, DataError, ParameterError, SourceRefused, SourceUnavailable

DAY = pd.Timestamp("2024-03-05")
DAYS = {"start": pd.Timestamp("2024-03-04"), "end": pd.Timestamp("2024-03-06")}


@pytest.fixture
def vendor():
    with Vendor() as opened:
        yahoo.routes(opened)
        yield opened


@pytest.fixture
def opened(vendor, gateway, clock):
    """Makes a source."""
    return lambda **more: YahooSource(gateway, Access(url=vendor.url), clock=clock, **more)


@pytest.fixture
def chart(opened, vendor):
    """The chart of three days as the vendor sends it, to be changed."""
    opened().bars("AAPL", **DAYS)
    return copy.deepcopy(yahoo.chart(vendor.asked.pop()))


def test_a_day_is_scaled_by_the_vendors_adjusted_close_or_not(opened):
    made = prices.bar("AAPL", DAY.tz_localize("America/New_York").tz_convert("UTC"))
    (whole,) = opened().bars("AAPL", start=DAY, end=DAY).to_dict("records")
    (plain,) = opened(adjustment="split").bars("AAPL", start=DAY, end=DAY).to_dict("records")
    for name in ("open", "high", "low", "close"):
        assert plain[name] == made[name]
        assert whole[name] == pytest.approx(made[name] * yahoo.FACTOR)
    assert whole["volume"] == plain["volume"] == made["volume"]
    assert "splits only" in opened(adjustment="split").label
    assert "last resort" in YahooSource.label


def test_a_class_of_shares_is_spelled_their_way_and_an_index_stays(opened, vendor):
    found = opened().bars(["BRK.B", "^GSPC"], start=DAY, end=DAY)
    assert found["symbol"].tolist() == ["BRK.B"]
    assert [asked.path.rsplit("/", 1)[1] for asked in vendor.asked] == ["BRK-B", "^GSPC"]
    assert "authorization" not in vendor.asked[0].headers


def test_a_day_of_nulls_has_no_row_and_half_a_day_is_an_error(opened, vendor, chart):
    values = chart["chart"]["result"][0]["indicators"]
    for name in prices.NAMES:
        values["quote"][0][name][1] = None
    values["adjclose"][0]["adjclose"][1] = None
    vendor.next(Reply(chart))
    assert opened().bars("AAPL", **DAYS)["session"].tolist() == [DAYS["start"], DAYS["end"]]
    values["quote"][0]["open"][1] = 20.0
    vendor.next(Reply(chart))
    with pytest.raises(BadData, match="null value"):
        opened().bars("AAPL", **DAYS)


@pytest.mark.parametrize("what", ["timestamp", "open", "adjclose"])
def test_lists_of_unequal_length_are_an_error(opened, vendor, chart, what):
    result = chart["chart"]["result"][0]
    lists = {"timestamp": result["timestamp"], "open": result["indicators"]["quote"][0]["open"]}
    lists["adjclose"] = result["indicators"]["adjclose"][0]["adjclose"]
    lists[what].pop()
    vendor.next(Reply(chart))
    with pytest.raises(BadData, match="equally long"):
        opened().bars("AAPL", **DAYS)


def test_moments_out_of_order_are_an_error(opened, vendor, chart):
    chart["chart"]["result"][0]["timestamp"].reverse()
    vendor.next(Reply(chart))
    with pytest.raises(BadData, match="order"):
        opened().bars("AAPL", **DAYS)


def test_splits_and_dividends_beside_the_prices_change_nothing(opened, vendor, chart):
    whole = opened().bars("AAPL", **DAYS)
    chart["chart"]["result"][0]["events"] = {"splits": {"1": {"date": 1, "numerator": 4, "denominator": 1}}}
    vendor.next(Reply(chart))
    pd.testing.assert_frame_equal(opened().bars("AAPL", **DAYS), whole)


def test_the_newest_price_of_a_running_session_is_no_bar(opened, vendor, clock):
    clock.now = pd.Timestamp("2024-03-05T15:47:12Z").to_pydatetime()
    opened().bars("AAPL", start=DAY, end=DAY, timeframe="5m")
    chart = yahoo.chart(vendor.asked[0])
    result = chart["chart"]["result"][0]
    opens = int(sessions.opens("XNYS", DAY).timestamp())
    kept = [place for place, moment in enumerate(result["timestamp"]) if opens <= moment < int(clock.now.timestamp())]
    result["timestamp"] = [result["timestamp"][place] for place in kept] + [int(clock.now.timestamp())]
    for name, values in result["indicators"]["quote"][0].items():
        result["indicators"]["quote"][0][name] = [values[place] for place in kept] + [values[0]]
    vendor.next(Reply(chart))
    found = opened().bars("AAPL", start=DAY, end=DAY, timeframe="5m")
    assert found["happened"].max() == pd.Timestamp("2024-03-05T15:45Z")
    assert set(found["learned"] - found["happened"]) == {pd.Timedelta(minutes=15)}
    result["timestamp"][3] += 1
    vendor.next(Reply(chart))
    with pytest.raises(BadData, match="not the beginning"):
        opened().bars("AAPL", start=DAY, end=DAY, timeframe="5m")


def test_a_session_that_has_not_ended_is_left_out(opened, clock):
    clock.now = pd.Timestamp("2024-03-06T18:00Z").to_pydatetime()
    assert opened().bars("AAPL", **DAYS)["session"].max() == DAY


def test_a_chart_of_another_symbol_or_another_place_is_refused(opened, vendor, chart):
    with_meta = chart["chart"]["result"][0]["meta"]
    with_meta["exchangeTimezoneName"] = "Europe/Berlin"
    vendor.next(Reply(chart))
    with pytest.raises(DataError, match="not traded in New York"):
        opened().bars("AAPL", **DAYS)
    with_meta |= {"symbol": "MSFT", "exchangeTimezoneName": "America/New_York"}
    vendor.next(Reply(chart))
    with pytest.raises(BadData, match="something else"):
        opened().bars("AAPL", **DAYS)


def test_a_refusal_is_in_the_vendors_words_and_a_wave_of_429_ends_in_a_named_error(opened, vendor):
    vendor.next(yahoo.IN_THE_BODY)
    with pytest.raises(SourceRefused, match="Invalid input"):
        opened().bars("AAPL", **DAYS)
    vendor.next(*[Reply(b"Too Many Requests", status=429, headers={"Content-Type": "text/html"})] * 30)
    with pytest.raises(SourceUnavailable):
        opened().bars("AAPL", **DAYS)


def test_another_adjustment_is_refused(opened):
    with pytest.raises(ParameterError, match="neither all nor split"):
        opened(adjustment="raw")
