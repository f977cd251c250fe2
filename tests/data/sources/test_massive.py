"""What Massive's answers become, and where its key goes."""

import datetime as dt

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.vendors import massive
from tests.vendors.server import Reply, Vendor
from workbench import sessions
from workbench.data.access import Access
from workbench.data.fact_quality import check_facts
from workbench.data.gateway import Gateway
from workbench.data.sources.massive import MassiveSource
from workbench.errors import BadData, ParameterError, SourceRefused

DAY = pd.Timestamp("2024-03-05")
RANGE = {"start": pd.Timestamp("2024-02-28"), "end": pd.Timestamp("2024-03-20")}


@pytest.fixture
def vendor():
    with Vendor() as opened:
        massive.routes(opened)
        yield opened


@pytest.fixture
def opened(vendor, gateway, clock):
    """Makes a source of a plan."""
    return lambda plan="advanced", **more: MassiveSource(
        gateway, Access(key=SecretStr("HIDDEN"), url=vendor.url, feed=plan), clock=clock, **more
    )


def test_the_key_is_in_the_header_of_every_page_and_in_no_address(opened, vendor):
    assert len(opened().bars("AAPL", **RANGE)) == 16
    assert len(vendor.asked) == 3
    for asked in vendor.asked:
        assert asked.headers["authorization"] == "Bearer HIDDEN"
        assert "HIDDEN" not in f"{asked.path}{asked.query}"


@pytest.mark.parametrize(
    "address",
    ["https://evil.example.org/v3/quotes/AAPL?cursor=1", "//evil.example.org/x", "ftp://127.0.0.1/x", "nonsense"],
)
def test_a_next_page_at_another_host_is_not_asked(opened, vendor, address):
    page = massive.QUOTES["AAPL"][:1]
    with Vendor() as other:
        given = address.replace("evil.example.org", other.url.removeprefix("http://"))
        vendor.next(*[Reply({"status": "OK", "results": page, "next_url": given})] * 2)
        with pytest.raises(BadData):
            opened().quotes("AAPL", start=DAY, end=DAY)
        assert other.asked == [] or all("authorization" not in asked.headers for asked in other.asked)


def test_a_next_page_at_the_vendors_old_name_is_asked_at_our_address_without_its_key(opened, vendor):
    address = (
        "https://api.polygon.io/v3/quotes/AAPL?cursor=2&apiKey=THEIRS&timestamp.gte=0&timestamp.lt=2000000000000000000"
    )
    vendor.next(Reply({"status": "OK", "results": massive.QUOTES["AAPL"][:2], "next_url": address}))
    assert len(opened().quotes("AAPL", **RANGE)) == 3
    assert vendor.asked[1].query["cursor"] == "2"
    assert "apiKey" not in vendor.asked[1].query


def test_a_next_page_that_was_there_already_is_an_error(opened, vendor):
    vendor.next(*[Reply({"status": "OK", "results": [], "next_url": f"{vendor.url}/v3/quotes/AAPL?cursor=1"})] * 3)
    with pytest.raises(BadData, match="twice"):
        opened().quotes("AAPL", start=DAY, end=DAY)
    assert len(vendor.asked) == 2


def test_an_answer_about_another_symbol_is_an_error(opened, vendor):
    vendor.next(Reply({"status": "OK", "ticker": "MSFT", "resultsCount": 0}))
    with pytest.raises(BadData, match="something else"):
        opened().bars("AAPL", **RANGE)
    vendor.next(Reply({"status": "OK", "results": massive.VOLUME}))
    with pytest.raises(BadData, match="nobody asked for"):
        opened().short_volume("MSFT", **RANGE)


def test_a_refusal_inside_an_answer_names_the_vendors_words_and_not_the_key(opened, vendor):
    vendor.next(Reply({"status": "NOT_AUTHORIZED", "message": "HIDDEN may not see quotes"}))
    with pytest.raises(SourceRefused, match=r"NOT_AUTHORIZED.*\*\*\* may not see quotes"):
        opened().quotes("AAPL", start=DAY, end=DAY)


def test_a_delayed_answer_is_an_answer(opened, vendor):
    vendor.next(Reply({"status": "DELAYED", "results": massive.QUOTES["AAPL"][:1]}))
    assert len(opened().quotes("AAPL", start=DAY, end=DAY)) == 1


def test_each_plan_learns_as_late_as_it_is_served(opened):
    closes = sessions.closes("XNYS", DAY)
    late = {
        "advanced": closes,
        "starter": closes + pd.Timedelta(minutes=15),
        "basic": pd.Timestamp("2024-03-06T05:00Z"),
    }
    for plan, moment in late.items():
        found = opened(plan).bars("AAPL", start=DAY, end=DAY)
        assert found["learned"].tolist() == [moment], plan


def test_what_the_free_plan_already_has_is_known_now(opened, clock):
    clock.now = dt.datetime(2024, 3, 5, 23, 0, tzinfo=dt.UTC)
    assert opened("basic").bars("AAPL", start=DAY, end=DAY)["learned"].tolist() == [pd.Timestamp(clock.now)]


def test_the_free_plan_asks_five_times_a_minute(opened, vendor, clock):
    begin = clock()
    for symbol in ("AAPL", "MSFT", "BRK.B", "A", "B", "C"):
        opened("basic").bars(symbol, start=DAY, end=DAY)
    assert len(vendor.asked) == 6
    assert clock() - begin >= dt.timedelta(seconds=59)


def test_the_adjustment_is_told_and_a_dot_stays_in_the_symbol(opened, vendor):
    assert len(opened(adjustment="raw").bars("BRK.B", start=DAY, end=DAY)) == 1
    opened().bars("AAPL", start=DAY, end=DAY)
    assert [asked.query["adjusted"] for asked in vendor.asked] == ["false", "true"]
    assert vendor.asked[0].path.startswith("/v2/aggs/ticker/BRK.B/range/1/day/2024-03-05/2024-03-05")


def test_a_dividend_is_known_when_it_was_declared_and_a_split_when_it_shows(opened):
    told = opened().actions(["AAPL", "MSFT"], **RANGE).set_index("key")
    assert told.loc["dividend:d1", "learned"] == pd.Timestamp("2024-02-21T05:00Z"), "the end of the day it was declared"
    assert told.loc["dividend:d2", "learned"] == pd.Timestamp("2024-03-05T14:30Z"), "nobody said when"
    assert told.loc["split:s1", "learned"] == pd.Timestamp("2024-03-06T14:30Z")
    assert told.loc["split:s1", "ratio"] == 4.0
    assert told.loc["dividend:d1", "amount"] == 0.31, "as declared, not the vendor's adjusted 0.1"


def test_a_dividend_in_another_currency_is_no_amount_of_dollars_and_is_kept_back(opened, vendor, clock):
    foreign = massive.DIVIDENDS[0] | {"currency": "CAD"}
    vendor.next(Reply({"status": "OK", "results": []}), Reply({"status": "OK", "results": [foreign]}))
    rows = opened().actions("AAPL", **RANGE)
    assert rows["key"].tolist() == ["dividend:d1:CAD"]
    assert rows["amount"].isna().all()
    checked = check_facts(rows, kind="actions", dataset="t", venue="XNYS", known_until=pd.Timestamp(clock()))
    assert checked.quarantined == 1


def test_short_interest_is_known_three_weeks_later_or_when_it_was_seen(opened, clock):
    found = opened().short_interest("AAPL", **RANGE)
    assert found["learned"].tolist() == [pd.Timestamp("2024-03-22T04:00Z"), pd.Timestamp("2024-04-06T04:00Z")]
    clock.now = dt.datetime(2024, 3, 12, 12, tzinfo=dt.UTC)
    assert opened().short_interest("AAPL", **RANGE)["learned"].tolist()[0] == pd.Timestamp(clock.now)


def test_a_delayed_option_quote_is_known_a_quarter_of_an_hour_later(opened):
    found = opened().options("AAPL").set_index("symbol")
    call = found.loc["AAPL240419C00050000"]
    assert call["learned"] - call["time"] == pd.Timedelta(minutes=15)
    assert (call["open_interest"], call["delta"]) == (812.0, 0.52)
    assert pd.isna(call["rho"])
    put = found.loc["AAPL240419P00045000"]
    assert (put["last"], put["time"]) == (0.05, pd.Timestamp("2024-03-05T18:00Z"))
    assert pd.isna(put["bid"])


def test_a_plan_an_adjustment_or_a_key_that_cannot_be_is_refused(opened):
    with pytest.raises(ParameterError, match="plan='gold'"):
        opened("gold")
    with pytest.raises(ParameterError, match="adjustment='all'"):
        opened(adjustment="all")
    with Gateway() as gateway, pytest.raises(ParameterError, match="is empty"):
        MassiveSource(gateway, Access())
