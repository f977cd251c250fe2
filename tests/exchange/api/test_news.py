"""Headlines and corporate actions through alpaca-py's own clients."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from alpaca.data.historical import NewsClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import CorporateActionsRequest, NewsRequest

from workbench.data.sources import open_source


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def one(minute_trader):
    return minute_trader(at="2024-03-05 12:00")


@pytest.fixture
def client(one):
    found = NewsClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    yield found
    found._session.close()


@pytest.fixture(scope="module")
def source():
    """The headlines of two weeks straight from the source, oldest first."""
    found = open_source("synthetic", seed=7)
    return found.news(found.symbols(), start=pd.Timestamp("2024-02-26"), end=pd.Timestamp("2024-03-08"))


def test_the_newest_headlines_up_to_the_clock_come_first(client, source):
    known = source[source["time"] <= utc("2024-03-05 17:00")]
    found = client.get_news(NewsRequest(limit=20)).data["news"]
    expected = known.iloc[::-1].head(20)
    assert [article.created_at for article in found] == [stamp.to_pydatetime() for stamp in expected["time"]]
    assert sorted(article.headline for article in found) == sorted(expected["headline"])
    assert {article.author for article in found} == {"SYNTHETIC · seed 7"}
    assert {article.source for article in found} == {"synthetic"}
    assert {article.content for article in found} == {""}


def test_headlines_of_some_symbols_between_two_moments(client, source):
    known = source[(source["time"] >= utc("2024-02-28")) & (source["time"] <= utc("2024-03-05 17:00"))]
    symbols = sorted(set(known["symbol"]))[::9]
    wanted = known[known["symbol"].isin(symbols)]
    asked = NewsRequest(
        symbols=",".join([*symbols, "NOPE"]), start=utc("2024-02-28"), end=utc("2030-01-01"), sort="asc"
    )
    found = client.get_news(asked).data["news"]
    assert [(article.symbols, article.headline) for article in found] == [
        ([row.symbol], row.headline) for row in wanted.itertuples()
    ]
    assert len(found) > 3


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_hold_every_headline_once(client, source, sort):
    known = source[(source["time"] >= utc("2024-02-26")) & (source["time"] <= utc("2024-03-05 17:00"))]
    found = client.get_news(NewsRequest(start=utc("2024-02-26"), sort=sort)).data["news"]
    assert len(found) == len(known) > 50  # the service's pages hold at most 50
    assert len({article.id for article in found}) == len(found)
    stamps = [article.created_at for article in found]
    assert stamps == sorted(stamps, reverse=sort == "desc")


def test_there_is_nothing_behind_a_headline(client):
    assert client.get_news(NewsRequest(exclude_contentless=True)).data["news"] == []


def test_a_source_without_headlines_has_no_news(trader):
    one = trader(at="2024-03-08 16:00")
    client = NewsClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    assert client.get_news(NewsRequest(start=utc("2024-01-01"))).data["news"] == []
    client._session.close()


def test_there_are_no_corporate_actions(one):
    client = CorporateActionsClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    found = client.get_corporate_actions(CorporateActionsRequest(symbols=["SYN03"], start=dt.date(2024, 1, 1)))
    assert found.data == {}
    client._session.close()
