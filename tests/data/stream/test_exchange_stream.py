"""The stream against the real local exchange: what it tells is what REST tells of the same market."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pandas as pd
import pytest

from tests.data.stream.played import until
from tests.data.stream.traded import Account
from workbench.data.access import Access
from workbench.data.gateway import Gateway
from workbench.data.sources.alpaca import AlpacaSource
from workbench.errors import SourceRefused
from workbench.exchange import embedded


@pytest.fixture
def account(minutes_url):
    with contextlib.closing(Account(minutes_url)) as opened:
        yield opened


class Frames(list):
    """A handler that keeps batches and shows them as one frame."""

    def __call__(self, batch):
        self.append(batch)

    def frame(self):
        return pd.concat([batch.frame() for batch in self], ignore_index=True)

    @property
    def events(self):
        return sum(map(len, self))


def test_stocks_stream_what_rest_tells(account):
    trades, quotes, bars, days = Frames(), Frames(), Frames(), Frames()
    with account.stream() as one:
        one.subscribe_trades(trades, "SYN03", "SYN04")
        one.subscribe_quotes(quotes, "SYN03")
        one.subscribe_bars(bars, "*")
        one.subscribe_daily_bars(days, "SYN03")
        one.start().wait_live()
        account.advance("09:36")
        until(lambda: bars.events >= 600 and days.events >= 6 and trades.events >= 24 and quotes.events >= 12)
        stats = one.stats().iloc[0]
        assert (stats["bad"], stats["late"], stats["duplicates"], stats["dropped"], stats["gaps"]) == (0, 0, 0, 0, 0)
        state = one.ticks.frame()
    truth = account.rest("/v2/stocks/trades", ["SYN03", "SYN04"])
    told = trades.frame()
    for symbol in ("SYN03", "SYN04"):
        mine, theirs = told[told["symbol"] == symbol], truth[truth["symbol"] == symbol]
        assert mine["time"].tolist() == theirs["time"].tolist()
        assert mine["price"].tolist() == theirs["p"].tolist()
    assert set(told["venue"]) == {"V"}
    truth = account.rest("/v2/stocks/quotes", ["SYN03"])
    told = quotes.frame()
    assert told[["bid", "ask"]].to_numpy().tolist() == truth[["bp", "ap"]].to_numpy().tolist()
    told = bars.frame()
    truth = account.rest("/v2/stocks/bars", sorted(set(told["symbol"])), timeframe="1Min")
    mine = told.sort_values(["symbol", "time"])[["open", "high", "low", "close", "volume"]]
    theirs = truth.sort_values(["symbol", "time"])[["o", "h", "l", "c", "v"]]
    assert mine.to_numpy().tolist() == theirs.to_numpy().tolist()
    assert (told["happened"] == told["time"] + pd.Timedelta(minutes=1)).all()
    assert (told["learned"] >= told["happened"]).all()
    assert state.loc["SYN03", "bar_close"] == truth[truth["symbol"] == "SYN03"]["c"].iloc[-1]
    day = days.frame()
    assert (day["learned"] >= day["happened"]).all()
    assert day["close"].iloc[-1] == state.loc["SYN03", "bar_close"]


def test_options_and_news_have_streams_of_their_own(account):
    found = account.client.get(
        "/v2/options/contracts", params={"underlying_symbols": "SYN03", "expiration_date": "2024-03-15"}
    ).json()
    contract = found["option_contracts"][0]["symbol"]
    quotes, trades, articles = Frames(), Frames(), []
    with account.stream(feed="indicative") as options, account.stream(feed="news") as news:
        options.subscribe_option_quotes(quotes, contract)
        options.subscribe_trades(trades, contract)
        news.subscribe_news(articles.extend, "*")
        options.start().wait_live()
        news.start().wait_live()
        account.advance("12:00")
        until(lambda: quotes.events >= 10 and trades.events >= 10)
        told = account.pages("/v1beta1/news", "news", start="2024-03-05T14:29:00Z", sort="asc", limit=50)
        truth = [article for page in told for article in page]
        until(lambda: len(articles) >= len(truth))
    assert set(quotes.frame()["symbol"]) == {contract}
    assert [(a.key, a.headline, a.symbols) for a in articles] == [
        (str(t["id"]), t["headline"], tuple(t["symbols"])) for t in truth
    ]
    assert articles


def test_a_wrong_key_and_a_second_connection_are_refused(account):
    with account.stream() as one:
        one.subscribe_trades(print, "SYN03")
        one.start().wait_live()
        with account.stream() as second:
            second.subscribe_trades(print, "SYN03")
            with pytest.raises(SourceRefused, match="406"):
                second.start().wait_live()
    account.access = Access()
    with account.stream() as stranger:
        with pytest.raises(SourceRefused, match="402"):
            stranger.start().wait_live()
        assert stranger.state == "failed"


def test_a_gap_is_filled_by_the_source_of_the_same_vendor(account):
    def now():
        return account.now.to_pydatetime()

    bars, quotes = Frames(), Frames()
    with Gateway() as gateway, account.stream(fill=AlpacaSource(gateway, at_exchange(account), clock=now)) as one:
        one.subscribe_bars(bars, "SYN03", "SYN04")
        one.subscribe_quotes(quotes, "SYN03")
        one.start().wait_live()
        account.advance("09:33")
        until(lambda: bars.events == 6)
        embedded.add_fault(account.url, text="disconnect@0.1s:/v2/iex")
        account.advance("09:36")
        until(lambda: len(one.gaps()) == 2)
        assert one.gaps()["trouble"].tolist() == ["", ""]
        account.advance("09:38")
        until(lambda: bars.events == 16)
        until(lambda: quotes.events >= 16)
    told = bars.frame()
    truth = account.rest("/v2/stocks/bars", ["SYN03", "SYN04"], timeframe="1Min")
    for symbol in ("SYN03", "SYN04"):
        mine, theirs = told[told["symbol"] == symbol], truth[truth["symbol"] == symbol]
        assert mine["time"].tolist() == theirs["time"].tolist()
        assert mine["close"].tolist() == theirs["c"].tolist()
    assert told["filled"].sum() == 6
    told, truth = quotes.frame(), account.rest("/v2/stocks/quotes", ["SYN03"])
    assert told["bid"].tolist() == truth["bp"].tolist()


def at_exchange(account):
    return replace(account.access, url=account.url)
