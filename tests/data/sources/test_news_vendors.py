"""How Finnhub and NewsAPI are asked, and what is made of answers that are cut."""

import datetime as dt

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.contracts.http_contract import Wire
from tests.vendors import finnhub, newsapi
from tests.vendors.server import Reply, Vendor
from workbench.data.access import Access
from workbench.data.gateway import Gateway
from workbench.data.sources.finnhub import FinnhubSource
from workbench.data.sources.newsapi import NewsApiSource
from workbench.errors import BadData, ParameterError, SourceRefused

DAY = {"start": pd.Timestamp("2024-03-05"), "end": pd.Timestamp("2024-03-05")}
WEEK = {"start": pd.Timestamp("2024-03-04"), "end": pd.Timestamp("2024-03-08")}


@pytest.fixture
def vendor():
    with Vendor() as opened:
        yield opened


@pytest.fixture
def tagged(vendor, gateway):
    finnhub.routes(vendor)
    return FinnhubSource(gateway, Access(key=SecretStr("HIDDEN"), url=vendor.url))


@pytest.fixture
def searched(vendor, gateway, clock):
    newsapi.routes(vendor)

    def make(plan="", **more):
        access = Access(key=SecretStr("HIDDEN"), url=vendor.url, feed=plan)
        return NewsApiSource(gateway, access, clock=clock, **more)

    return make


# --- Finnhub


def test_the_key_of_finnhub_is_in_its_header(tagged, vendor):
    tagged.news("AAPL", **DAY)
    (asked,) = vendor.asked
    assert asked.headers["x-finnhub-token"] == "HIDDEN"
    assert asked.query == {"symbol": "AAPL", "from": "2024-03-04", "to": "2024-03-06"}


def test_an_article_belongs_to_its_day_in_new_york(tagged):
    found = tagged.news("AAPL", **DAY)
    assert found["key"].tolist() == ["502", "501"]
    assert found["learned"].tolist() == found["time"].tolist()


def test_an_answer_that_may_have_been_cut_is_asked_for_again_in_halves(tagged, vendor):
    many = [
        finnhub.article(number, pd.Timestamp("2024-03-03T05:00Z") + pd.Timedelta(minutes=20 * number))
        for number in range(400)
    ]

    def newest_hundred(asked):
        return finnhub.company_news(many)(asked)[::-1][:100]

    vendor.route(r"/company-news", newest_hundred)
    found = tagged.news("AAPL", **WEEK)
    inside = [
        one
        for one in many
        if pd.Timestamp("2024-03-04T05:00Z").timestamp()
        <= one["datetime"]
        < pd.Timestamp("2024-03-09T05:00Z").timestamp()
    ]
    assert found["key"].tolist() == [str(one["id"]) for one in inside]
    assert len(vendor.asked) > 1


def test_an_article_about_another_symbol_is_an_error(tagged, vendor):
    vendor.next(Reply([finnhub.article(1, "2024-03-05T13:00Z", symbol="AAP")]))
    with pytest.raises(BadData, match="not about it"):
        tagged.news("AAPL", **DAY)


def test_sixty_a_minute_and_thirty_a_second_leave(tagged, clock):
    begin = clock()
    for _ in range(31):
        tagged.news("AAPL", **DAY)
    assert dt.timedelta(seconds=0.9) <= clock() - begin < dt.timedelta(seconds=30)
    for _ in range(30):
        tagged.news("AAPL", **DAY)
    assert clock() - begin >= dt.timedelta(seconds=59)


# --- NewsAPI


def test_a_symbol_is_searched_for_as_a_word_or_by_the_words_given(searched, vendor):
    found = searched().news("AAPL", **DAY)
    assert len(found) == 2
    assert searched(words={"AAPL": "AAPL OR apples"}).news("AAPL", **DAY).empty
    first, second = vendor.asked
    assert first.headers["x-api-key"] == "HIDDEN"
    assert (first.query["q"], first.query["searchIn"]) == ('"AAPL"', "title,description")
    assert second.query["q"] == "AAPL OR apples"


def test_the_developer_plan_learns_a_day_late_and_the_business_plan_does_not(searched):
    for plan, late in (("", 24), ("developer", 24), ("business", 0)):
        found = searched(plan).news("AAPL", **DAY)
        assert set(found["learned"] - found["time"]) == {pd.Timedelta(hours=late)}, plan


def test_what_was_seen_sooner_is_known_now(searched, clock):
    clock.now = dt.datetime(2024, 3, 5, 22, tzinfo=dt.UTC)
    assert set(searched().news("AAPL", **DAY)["learned"]) == {pd.Timestamp(clock.now)}


def test_a_withdrawn_article_is_left_out(searched):
    assert not searched().news("AAPL", **DAY)["url"].str.contains("removed").any()


def test_a_search_with_more_than_a_page_is_halved_until_all_is_there(searched, vendor):
    many = [
        newsapi.article(
            number, f"{pd.Timestamp('2024-03-05T06:00') + pd.Timedelta(minutes=2 * number):%Y-%m-%dT%H:%M:%SZ}"
        )
        for number in range(350)
    ]
    vendor.route(r"/v2/everything", newsapi.everything(many))
    found = searched().news("AAPL", **DAY)
    assert found["url"].tolist() == [one["url"] for one in many]
    assert len(vendor.asked) >= 5


def test_more_than_can_be_had_in_an_hour_is_an_error(searched, vendor):
    vendor.route(
        r"/v2/everything", newsapi.everything([newsapi.article(n, "2024-03-05T13:00:00Z") for n in range(101)])
    )
    with pytest.raises(BadData, match="101 were found for AAPL in an hour"):
        searched().news("AAPL", **DAY)


def test_fewer_articles_than_were_counted_are_an_error(searched, vendor):
    vendor.next(Reply({"status": "ok", "totalResults": 3, "articles": newsapi.NEWS[:1]}))
    with pytest.raises(BadData, match="3 were found and 1 given"):
        searched().news("AAPL", **DAY)


def test_an_error_inside_an_answer_is_a_refusal_without_the_key(searched, vendor):
    vendor.next(newsapi.no("apiKeyDisabled", "HIDDEN has been disabled", 200))
    with pytest.raises(SourceRefused, match=r"apiKeyDisabled: \*\*\* has been disabled"):
        searched().news("AAPL", **DAY)


def test_a_refusal_inside_an_answer_is_not_used_again(vendor, clock, tmp_path):
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire, cache=tmp_path) as gateway:
        source = NewsApiSource(gateway, Access(key=SecretStr("HIDDEN"), url=vendor.url), clock=clock)
        newsapi.routes(vendor)
        vendor.next(newsapi.IN_THE_BODY)
        with pytest.raises(SourceRefused):
            source.news("AAPL", **DAY)
        assert len(source.news("AAPL", **DAY)) == 2
    wire.end()


def test_a_day_before_us_is_not_asked_for(searched, vendor, clock):
    clock.now = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    assert searched().news("AAPL", **DAY).empty
    assert vendor.asked == []


def test_empty_keys_and_unknown_plans_are_refused(gateway, searched):
    for made in (FinnhubSource, NewsApiSource):
        with pytest.raises(ParameterError, match="is empty"):
            made(gateway, Access())
    with pytest.raises(ParameterError, match="plan='gold'"):
        searched("gold")
