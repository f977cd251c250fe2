"""Alpaca's source through a real gateway: against our own exchange, and what a vendor's answers become."""

import datetime as dt
import itertools

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.contracts.http_contract import Wire
from tests.vendors import alpaca
from tests.vendors.server import Reply, Vendor
from workbench import sessions
from workbench.data import quality
from workbench.data.access import Access
from workbench.data.gateway import Gateway
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS
from workbench.data.sources import open_source
from workbench.data.sources.alpaca import LOCAL, AlpacaSource
from workbench.errors import BadData, DataError, ParameterError, SourceRefused, SourceUnavailable
from workbench.exchange import embedded

_number = itertools.count(1)
NOW = dt.datetime(2015, 6, 30, 20, 0, tzinfo=dt.UTC)
START, END = pd.Timestamp("2015-06-15"), pd.Timestamp("2015-06-30")
DAY = pd.Timestamp("2024-03-05")


@pytest.fixture
def gateway():
    with Gateway() as opened:
        yield opened


@pytest.fixture
def keys(exchange):
    return embedded.open_account(exchange.url, name=f"data-{next(_number)}", cash=1_000, at=NOW)


def access(keys, url):
    return Access(key=SecretStr(keys.key_id), secret=SecretStr(keys.secret_key), url=url)


@pytest.fixture
def source(exchange, keys, gateway):
    return AlpacaSource(gateway, access(keys, exchange.url), vendor=LOCAL, clock=lambda: NOW)


@pytest.fixture
def vendor():
    with Vendor() as opened:
        alpaca.routes(opened)
        yield opened


@pytest.fixture
def asked(vendor, clock):
    """A source on the vendor of the tests."""
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire) as gateway:
        given = Access(key=SecretStr("KEYID"), secret=SecretStr("HIDDEN"), url=vendor.url)
        yield AlpacaSource(gateway, given, clock=clock)
    wire.end()


def bar(moment, price=10.0, volume=100):
    return {"t": moment, "o": price, "h": price + 1, "l": price - 1, "c": price + 0.5, "v": volume, "n": 3, "vw": price}


def bars(**rows):
    return Reply({"bars": rows, "next_page_token": None})


# --- our own exchange


def test_daily_bars_of_the_exchange_are_those_of_its_source(source):
    found = source.bars(["SYN02", "SYN01"], start=START, end=END)
    theirs = open_source("synthetic").bars(["SYN02", "SYN01"], start=START, end=END)
    assert list(found.columns) == list(DAILY_COLUMNS)
    pd.testing.assert_frame_equal(found, theirs)
    checked = quality.check(found, dataset="x", venue="XNYS", known_until=pd.Timestamp(NOW), symbols=["SYN01", "SYN02"])
    assert checked.quarantined == 0


def test_a_session_that_has_not_ended_is_left_out(exchange, keys, gateway):
    at_noon = dt.datetime(2015, 7, 1, 16, tzinfo=dt.UTC)
    embedded.advance(exchange.url, name=keys.name, to=at_noon)
    source = AlpacaSource(gateway, access(keys, exchange.url), vendor=LOCAL, clock=lambda: at_noon)
    assert source.bars(["SYN01"], start=START, end=pd.Timestamp("2015-07-02"))["session"].max() == END


@pytest.fixture(scope="module")
def minutes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minutes")
    yield embedded.ensure(folder, source="synthetic", timeframe="1m", exit_with_parent=True)
    embedded.stop(folder)


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_intraday_bars_of_the_exchange_are_those_of_its_source(minutes, gateway, timeframe):
    keys = embedded.open_account(minutes.url, name=f"data-{next(_number)}", cash=1_000, at=NOW)
    source = AlpacaSource(gateway, access(keys, minutes.url), vendor=LOCAL, clock=lambda: NOW)
    asked = {"start": pd.Timestamp("2015-06-29"), "end": END, "timeframe": timeframe}
    found = source.bars(["SYN02", "SYN01"], **asked)
    pd.testing.assert_frame_equal(found, open_source("synthetic").bars(["SYN02", "SYN01"], **asked))
    since = source.bars_since(["SYN01"], since=NOW - dt.timedelta(hours=1), until=NOW, timeframe=timeframe)
    assert since["happened"].max() == pd.Timestamp(NOW)
    assert since["time"].min() >= pd.Timestamp(NOW) - pd.Timedelta(hours=1)


def test_an_unknown_symbol_has_no_row(source):
    assert source.bars(["NOPE"], start=START, end=END).empty
    assert set(source.bars(["NOPE", "SYN01"], start=START, end=END)["symbol"]) == {"SYN01"}
    assert "NOPE" not in source.newest_prices(["NOPE", "SYN01"])
    assert source.latest_quotes("NOPE").empty


def test_the_newest_price_is_the_last_trade_and_lies_inside_the_newest_quote(source):
    last = open_source("synthetic").bars(["SYN01"], start=END, end=END).iloc[-1]
    price, moment = source.newest_prices("SYN01")["SYN01"]
    assert (price, moment) == (last["close"], NOW)
    (quote,) = source.latest_quotes(["SYN01"]).to_dict("records")
    assert quote["bid"] <= price <= quote["ask"]
    assert quote["time"] == pd.Timestamp(NOW)
    (shot,) = source.snapshots(["SYN01"]).to_dict("records")
    assert (shot["last"], shot["bid"], shot["ask"]) == (price, quote["bid"], quote["ask"])
    assert (shot["close"], shot["volume"]) == (last["close"], last["volume"])


def test_the_quotes_of_the_exchange_stand_around_the_open_and_the_close_of_each_session(source):
    bars = open_source("synthetic").bars(["SYN01"], start=END, end=END).iloc[-1]
    quotes = source.quotes("SYN01", start=END, end=END)
    assert len(quotes) == 2
    for quote, price in zip(quotes.to_dict("records"), (bars["open"], bars["close"]), strict=True):
        assert quote["bid"] <= price <= quote["ask"]
    assert quotes["bid_size"].isna().all(), "the exchange knows no sizes"


def test_the_news_of_the_exchange_are_the_headlines_of_its_source(source):
    found = source.news(["SYN02", "SYN01"], start=START, end=END)
    theirs = open_source("synthetic").news(["SYN01", "SYN02"], start=START, end=END)
    named = ["symbol", "session", "time", "headline"]
    told = theirs.sort_values(["symbol", "time"], ascending=[False, True], ignore_index=True)[named]
    pd.testing.assert_frame_equal(found[named], told)
    assert found["key"].is_unique


def test_the_chain_of_the_exchange_is_that_of_its_contracts(source):
    chain = source.options("SYN01")
    assert set(chain["underlying"]) == {"SYN01"}
    assert chain["symbol"].str.startswith("SYN01").all()
    quoted = chain.dropna(subset=["bid", "ask", "implied_volatility"])
    assert len(quoted) > 10
    assert (quoted["bid"] <= quoted["ask"]).all()
    calls = quoted["symbol"].str[-9] == "C"
    assert quoted.loc[calls, "delta"].between(0, 1).all()
    assert quoted.loc[~calls, "delta"].between(-1, 0).all()
    single = source.option_snapshots(chain["symbol"].iloc[0])
    pd.testing.assert_frame_equal(single, chain.iloc[:1])


def test_the_trades_of_the_exchange_have_no_size_and_are_not_passed_on(source):
    with pytest.raises(BadData, match="none was passed on"):
        source.trades("SYN01", start=END, end=END)


# --- a vendor's answers


def test_intraday_bars_lie_in_the_session_and_end_with_it(asked, vendor):
    # 2024-11-29 closes early, at 18:00 UTC; one bar lies before the open and one after the close.
    moments = ["2023-11-24T14:29:00Z", "2023-11-24T14:30:00Z", "2023-11-24T17:59:00Z", "2023-11-24T18:00:00Z"]
    vendor.next(bars(AAPL=[bar(moment) for moment in moments]))
    day = pd.Timestamp("2023-11-24")
    found = asked.bars(["AAPL"], start=day, end=day, timeframe="1m")
    assert list(found.columns) == list(INTRADAY_COLUMNS)
    assert found["time"].tolist() == [pd.Timestamp(moment) for moment in moments[1:3]]
    assert found["happened"].tolist() == [pd.Timestamp(m) + pd.Timedelta(minutes=1) for m in moments[1:3]]
    assert found["session"].unique().tolist() == [day]
    assert vendor.asked[0].query["timeframe"] == "1Min"


def test_an_hour_is_counted_from_the_open_and_made_of_two_halves(asked, vendor):
    halves = pd.date_range("2024-03-05T14:30Z", periods=13, freq="30min")
    rows = [
        bar(moment.isoformat().replace("+00:00", "Z"), price=100.0 + n, volume=n) for n, moment in enumerate(halves)
    ]
    vendor.next(bars(AAPL=rows))
    found = asked.bars(["AAPL"], start=DAY, end=DAY, timeframe="1h")
    ends = sessions.bar_ends("XNYS", DAY, DAY, minutes=60)
    assert found["happened"].tolist() == list(ends)
    first, last = found.iloc[0], found.iloc[-1]
    assert first[["open", "high", "low", "close", "volume"]].tolist() == [100, 102, 99, 101.5, 1]
    assert (last["time"], last["volume"]) == (pd.Timestamp("2024-03-05T20:30Z"), 12)
    assert found["volume"].sum() == sum(range(13))


def test_pages_are_followed_and_the_adjustment_and_the_keys_are_told(asked, vendor):
    found = asked.bars(["MSFT", "AAPL"], start=pd.Timestamp("2024-03-01"), end=pd.Timestamp("2024-03-08"))
    assert found["symbol"].tolist() == ["MSFT"] * 6 + ["AAPL"] * 6
    assert [one.query.get("page_token") for one in vendor.asked] == [None, "7"]
    first = vendor.asked[0]
    assert (first.query["adjustment"], first.query["feed"]) == ("all", "iex")
    assert (first.headers["apca-api-key-id"], first.headers["apca-api-secret-key"]) == ("KEYID", "HIDDEN")
    assert first.headers["user-agent"].startswith("APCA-PY/")


def test_a_page_that_comes_twice_is_an_error_and_no_endless_loop(asked, vendor):
    vendor.next(*[Reply({"bars": {}, "next_page_token": "again"})] * 3)
    with pytest.raises(BadData, match="a page that was there already"):
        asked.bars("AAPL", start=DAY, end=DAY)
    assert len(vendor.asked) == 2


def test_a_null_in_a_later_page_does_not_drop_the_rows_of_an_earlier_one(asked, vendor):
    vendor.next(
        Reply({"bars": {"AAPL": [bar("2024-03-05T05:00:00Z")]}, "next_page_token": "more"}),
        Reply({"bars": {"AAPL": None}, "next_page_token": None}),
    )
    with pytest.raises(BadData, match="impossible AAPL"):
        asked.bars("AAPL", start=DAY, end=DAY)


def test_many_symbols_are_asked_in_parts(asked, vendor):
    asked.newest_prices([f"S{number}" for number in range(150)])
    assert [len(one.query["symbols"].split(",")) for one in vendor.asked] == [100, 50]


@pytest.mark.parametrize("change", [{"c": None}, {"o": "x"}, {"h": 0}, {"l": -1}, {"t": "soon"}, {"v": None}])
def test_a_bar_that_cannot_be_is_refused(asked, vendor, change):
    vendor.next(bars(AAPL=[bar("2024-03-05T05:00:00Z") | change]))
    with pytest.raises(BadData, match="none was passed on"):
        asked.bars(["AAPL"], start=DAY, end=DAY)


def test_the_newest_price_is_never_from_a_cache(vendor, clock, tmp_path):
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire, cache=tmp_path) as gateway:
        given = Access(key=SecretStr("KEYID"), secret=SecretStr("HIDDEN"), url=vendor.url)
        source = AlpacaSource(gateway, given, clock=clock)
        for _ in range(2):
            source.newest_prices("AAPL")
            source.bars_since("AAPL", since=clock() - dt.timedelta(days=4), until=clock(), timeframe="1d")
            source.news("AAPL", start=DAY, end=DAY)
    wire.end()
    paths = [one.path for one in vendor.asked]
    assert (paths.count("/v2/stocks/trades/latest"), paths.count("/v2/stocks/bars")) == (2, 2)
    assert paths.count("/v1beta1/news") == 2, "two pages, once"


def test_two_hundred_requests_a_minute_leave_and_the_next_one_waits(asked, vendor, clock):
    begin = clock()
    for _ in range(201):
        asked.newest_prices("AAPL")
    assert len(vendor.asked) == 201
    assert clock() - begin >= dt.timedelta(seconds=59)


def test_a_desk_asks_once_and_does_not_wait(vendor, clock):
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire) as gateway:
        given = Access(key=SecretStr("KEYID"), secret=SecretStr("HIDDEN"), url=vendor.url)
        source = AlpacaSource(gateway, given, vendor=LOCAL, clock=clock)
        vendor.next(Reply({"message": "busy"}, status=503))
        with pytest.raises(SourceUnavailable):
            source.newest_prices("AAPL")
        assert source.newest_prices("AAPL")
    wire.end()
    assert (len(vendor.asked), clock.slept) == (2, [])


def test_a_delayed_feed_learns_later_and_option_quotes_say_that_they_are_indicative(vendor, clock):
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire) as gateway:
        given = {"key": SecretStr("KEYID"), "secret": SecretStr("HIDDEN"), "url": vendor.url}
        late = AlpacaSource(gateway, Access(**given, feed="delayed_sip"), clock=clock)
        whole = AlpacaSource(gateway, Access(**given, feed="sip"), clock=clock)
        for source, minutes in ((late, 15), (whole, 0)):
            for rows in (source.bars("AAPL", start=DAY, end=DAY), source.quotes("AAPL", start=DAY, end=DAY)):
                assert set(rows["learned"] - rows["happened"]) == {pd.Timedelta(minutes=minutes)}
            chain = source.options("AAPL")
            assert set(chain["learned"] - chain["happened"]) == {pd.Timedelta(minutes=minutes)}
        assert "options indicative" in late.label
        assert "options opra" in whole.label
    wire.end()
    assert {one.query["feed"] for one in vendor.asked if "options" in one.path} == {"indicative", "opra"}


def test_news_count_as_known_when_their_newest_words_were_written(asked):
    found = asked.news(["AAPL"], start=DAY, end=DAY)
    assert found["key"].tolist() == ["9001", "9002"]
    assert found["learned"].tolist() == [pd.Timestamp("2024-03-05T13:05Z"), pd.Timestamp("2024-03-06T01:30Z")]
    assert found["session"].tolist() == [DAY, DAY], "the second one is of the evening in New York"


def test_actions_have_the_number_of_their_sort_and_belong_to_whom_they_happen_to(asked):
    found = asked.actions(["AAPL", "MSFT"], start=pd.Timestamp("2024-03-04"), end=pd.Timestamp("2024-03-08"))
    told = found.set_index("key")
    assert sorted(told.index) == [
        "delisting:wr-1",
        "dividend:cd-1",
        "name:nc-1",
        "spinoff:so-1",
        "split:fs-1",
        "split:sd-1",
    ]
    assert told["ratio"].dropna().to_dict() == {"split:fs-1": 4.0, "split:sd-1": 1.05, "spinoff:so-1": 0.5}
    assert told["amount"].dropna().to_dict() == {"dividend:cd-1": 0.31}
    assert told.loc["name:nc-1", "other_symbol"] == "APPL"
    assert told.loc["split:fs-1", "learned"] == pd.Timestamp("2024-03-06T14:30Z"), "the open of its day"
    merged = asked.actions("OLDCO", start=pd.Timestamp("2024-03-04"), end=pd.Timestamp("2024-03-08")).iloc[0]
    assert (merged["key"], merged["ratio"], merged["amount"]) == ("merger:sc-1", 0.5, 3.5)


def test_an_action_before_us_is_known_now(vendor, clock):
    clock.now = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire) as gateway:
        given = Access(key=SecretStr("KEYID"), secret=SecretStr("HIDDEN"), url=vendor.url)
        found = AlpacaSource(gateway, given, clock=clock).actions("AAPL", start=DAY, end=pd.Timestamp("2024-03-06"))
    wire.end()
    assert found["key"].tolist() == ["split:fs-1"]
    assert found["learned"].tolist() == [pd.Timestamp(clock.now)]


def test_a_group_of_actions_that_nobody_asked_for_is_an_error(asked, vendor):
    vendor.next(Reply({"corporate_actions": {"riddles": []}, "next_page_token": None}))
    with pytest.raises(BadData, match="riddles"):
        asked.actions("AAPL", start=DAY, end=DAY)


# --- keys


def test_keys_appear_nowhere(gateway):
    source = AlpacaSource(
        gateway, Access(key=SecretStr("KEYID"), secret=SecretStr("HIDDEN"), url="http://127.0.0.1:9"), vendor=LOCAL
    )
    with pytest.raises(DataError) as caught:
        source.bars(["AAPL"], start=START, end=END)
    assert "KEYID" not in repr(source) + str(caught.value)
    assert "HIDDEN" not in repr(source) + str(caught.value)


def test_wrong_keys_are_refused_by_the_exchange(exchange, gateway):
    wrong = Access(key=SecretStr("KEYID"), secret=SecretStr("HIDDEN"), url=exchange.url)
    with pytest.raises(SourceRefused):
        AlpacaSource(gateway, wrong, vendor=LOCAL).newest_prices("SYN01")


def test_a_wrong_timeframe_feed_or_key_is_refused(source, gateway):
    with pytest.raises(DataError, match="1d, 1h, 5m, 1m"):
        source.bars(["AAPL"], start=START, end=END, timeframe="2m")
    with pytest.raises(ParameterError, match="is empty"):
        AlpacaSource(gateway, Access(key=SecretStr(" "), secret=SecretStr("s")))
    with pytest.raises(ParameterError, match="feed='best'"):
        AlpacaSource(gateway, Access(key=SecretStr("k"), secret=SecretStr("s"), feed="best"))


def test_the_source_is_opened_with_keys_only(exchange, keys, gateway):
    with pytest.raises(DataError, match="WORKBENCH_ALPACA_KEY_ID"):
        open_source("alpaca", gateway=gateway)
    opened = open_source("alpaca", gateway=gateway, access=access(keys, exchange.url))
    assert (opened.name, opened.symbols()) == ("alpaca", ())
    with pytest.raises(DataError, match="did you mean 'alpaca'"):
        open_source("alpacca")
