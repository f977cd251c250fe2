"""Frankfurter: the pinned institution, pairs of the euro only, spans, and the afternoon at which a rate is known."""

from itertools import pairwise

import pandas as pd
import pytest

from tests.vendors import frankfurter
from tests.vendors.server import Reply, Vendor
from workbench.data.access import Access
from workbench.data.sources.frankfurter import FrankfurterSource
from workbench.errors import BadData, DataError, SourceRefused

SPRING = {"start": pd.Timestamp("2024-04-29"), "end": pd.Timestamp("2024-05-06")}


@pytest.fixture
def vendor():
    with Vendor() as opened:
        frankfurter.routes(opened)
        yield opened


@pytest.fixture
def source(vendor, gateway):
    return FrankfurterSource(gateway, Access(url=vendor.url))


def test_the_rates_are_the_pinned_institutions_own_and_the_question_has_no_unknown_name(source, vendor):
    rows = source.fx(["EUR/USD", "EUR/GBP"], **SPRING)
    assert rows.groupby("symbol")["rate"].apply(list).to_dict() == {
        "EUR/USD": list(frankfurter.RATES["USD"].values()),
        "EUR/GBP": list(frankfurter.RATES["GBP"].values()),
    }
    (asked,) = vendor.asked
    assert asked.path == "/v2/rates"
    wanted = {"base": "EUR", "quotes": "GBP,USD", "providers": "ecb", "from": "2024-04-29", "to": "2024-05-06"}
    assert asked.query == wanted


def test_a_day_without_a_publication_has_no_row_even_where_the_service_carries_one_forward(source):
    saturday = {"start": pd.Timestamp("2024-05-04"), "end": pd.Timestamp("2024-05-05")}
    assert source.fx("EUR/USD", **saturday).empty
    labour_day = source.fx("EUR/USD", start=pd.Timestamp("2024-05-01"), end=pd.Timestamp("2024-05-02"))
    assert labour_day["session"].tolist() == [pd.Timestamp("2024-05-02")]


@pytest.mark.parametrize(("day", "learned"), [("2024-04-29", "14:30"), ("2024-02-01", "15:30")])
def test_a_rate_is_of_the_afternoon_and_known_at_half_past_four_in_frankfurt(day, learned, source, vendor):
    vendor.route(r"/v2/rates", [{"date": day, "base": "EUR", "quote": "USD", "rate": 1.1}])
    (row,) = source.fx("EUR/USD", start=pd.Timestamp(day), end=pd.Timestamp(day)).to_dict("records")
    assert row["learned"] == pd.Timestamp(f"{day} {learned}", tz="UTC")
    assert row["learned"] - row["happened"] == pd.Timedelta("2h15min")


def test_a_rate_that_was_read_before_half_past_four_is_learned_when_it_was_read(source, clock):
    clock.now = pd.Timestamp("2024-05-06 14:05", tz="UTC").to_pydatetime()
    row = source.fx("EUR/USD", **SPRING).iloc[-1]
    assert row["learned"] == pd.Timestamp("2024-05-06 14:05", tz="UTC")


@pytest.mark.parametrize("symbol", ["USD/EUR", "USD/GBP", "EUR/EUR", "EURUSD", "EUR/usd", "EUR/USDT", "AAPL"])
def test_what_is_no_pair_of_the_euro_is_refused_before_anybody_is_asked(symbol, source, vendor):
    with pytest.raises(DataError, match=r"(?s)not a pair of the euro.*convert"):
        source.fx(["EUR/USD", symbol], **SPRING)
    assert vendor.asked == []


def test_a_currency_that_the_service_does_not_know_is_refused_in_its_words(source):
    with pytest.raises(SourceRefused, match="invalid currency: ZZZ"):
        source.fx(["EUR/USD", "EUR/ZZZ"], **SPRING)


def test_a_long_span_is_asked_in_parts_without_a_hole_or_an_overlap(source, vendor):
    source.fx("EUR/USD", start=pd.Timestamp("1999-01-04"), end=pd.Timestamp("2024-05-06"))
    spans = [(asked.query["from"], asked.query["to"]) for asked in vendor.asked]
    assert (spans[0][0], spans[-1][1], len(spans)) == ("1999-01-04", "2024-05-06", 6)
    for (_, until), (since, _) in pairwise(spans):
        assert pd.Timestamp(since) - pd.Timestamp(until) == pd.Timedelta(days=1)


def test_no_data_is_no_row(source, vendor):
    vendor.route(r"/v2/rates", Reply({"status": 404, "message": "not found"}, status=404))
    assert source.fx("EUR/USD", **SPRING).empty


@pytest.mark.parametrize(
    "rows",
    [
        [{"date": "2024-05-02", "base": "USD", "quote": "USD", "rate": 1.0}],
        [{"date": "2024-05-02", "base": "EUR", "quote": "GBP", "rate": 1.0}],
        [{"date": "2024-05-02", "base": "EUR", "quote": "USD", "rate": 0}],
        [{"date": "2024-05-02", "base": "EUR", "quote": "USD", "rate": "1.1"}],
        [{"date": "2024-05-02", "base": "EUR", "quote": "USD", "rate": 10**400}],
        [{"date": "2 May", "base": "EUR", "quote": "USD", "rate": 1.1}],
        [{"date": "2024-05-02", "base": "EUR", "quote": "USD", "rate": rate} for rate in (1.1, 1.2)],
        {"amount": 1.0, "base": "EUR", "date": "2024-05-02", "rates": {"USD": 1.1}},  # the shape of v1
    ],
)
def test_what_is_not_what_was_asked_for_is_not_passed_on(rows, source, vendor):
    vendor.route(r"/v2/rates", rows)
    with pytest.raises(BadData):
        source.fx("EUR/USD", **SPRING)
