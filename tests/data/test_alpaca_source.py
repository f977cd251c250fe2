import datetime as dt
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlparse

import pandas as pd
import pytest

from workbench import sessions
from workbench.data import quality
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, BarSource
from workbench.data.sources import open_source
from workbench.data.sources.alpaca import AlpacaSource
from workbench.errors import BadData, DataError, ParameterError
from workbench.exchange import embedded

_number = itertools.count(1)
NOW = dt.datetime(2015, 6, 30, 20, 0, tzinfo=dt.UTC)
START, END = pd.Timestamp("2015-06-15"), pd.Timestamp("2015-06-30")


@pytest.fixture
def keys(exchange):
    return embedded.open_account(exchange.url, name=f"data-{next(_number)}", cash=1_000, at=NOW)


@pytest.fixture
def source(exchange, keys):
    return AlpacaSource(key_id=keys.key_id, secret_key=keys.secret_key, url=exchange.url, clock=lambda: NOW)


class Vendor:
    """A server that answers with what the test gives it, and remembers what it was asked."""

    def __init__(self):
        self.answers, self.asked = [], []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlparse(self.path)
                vendor.asked.append((url.path, {k: v[0] for k, v in parse_qs(url.query).items()}))
                status, body = vendor.answers.pop(0) if vendor.answers else (200, {"bars": {}})
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.source = AlpacaSource(key_id="k", secret_key="s", url=f"http://127.0.0.1:{self.server.server_port}")

    def close(self):
        self.source._client._session.close()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def vendor():
    made = Vendor()
    yield made
    made.close()


def bar(moment, price=10.0, volume=100):
    return {"t": moment, "o": price, "h": price + 1, "l": price - 1, "c": price + 0.5, "v": volume, "n": 3, "vw": price}


def test_daily_bars_of_the_exchange_are_those_of_its_source(source):
    assert isinstance(source, BarSource)
    found = source.bars(["SYN02", "SYN01"], start=START, end=END)
    theirs = open_source("synthetic").bars(["SYN02", "SYN01"], start=START, end=END)
    assert list(found.columns) == list(DAILY_COLUMNS)
    pd.testing.assert_frame_equal(found, theirs)
    checked = quality.check(found, dataset="x", venue="XNYS", known_until=pd.Timestamp(NOW), symbols=["SYN01", "SYN02"])
    assert checked.quarantined == 0


def test_a_session_that_has_not_ended_is_left_out(exchange, keys):
    at_noon = dt.datetime(2015, 7, 1, 16, tzinfo=dt.UTC)
    embedded.advance(exchange.url, name=keys.name, to=at_noon)
    source = AlpacaSource(key_id=keys.key_id, secret_key=keys.secret_key, url=exchange.url, clock=lambda: at_noon)
    assert source.bars(["SYN01"], start=START, end=pd.Timestamp("2015-07-02"))["session"].max() == END


@pytest.fixture(scope="module")
def minutes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minutes")
    yield embedded.ensure(folder, source="synthetic", timeframe="1m", exit_with_parent=True)
    embedded.stop(folder)


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_intraday_bars_of_the_exchange_are_those_of_its_source(minutes, timeframe):
    keys = embedded.open_account(minutes.url, name=f"data-{next(_number)}", cash=1_000, at=NOW)
    source = AlpacaSource(key_id=keys.key_id, secret_key=keys.secret_key, url=minutes.url, clock=lambda: NOW)
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


def test_the_newest_price_is_the_last_trade(source):
    last = open_source("synthetic").bars(["SYN01"], start=END, end=END).iloc[-1]
    price, moment = source.newest_prices(["SYN01"])["SYN01"]
    assert (price, moment) == (last["close"], NOW)


def test_intraday_bars_lie_in_the_session_and_end_with_it(vendor):
    # 2024-11-29 closes early, at 18:00 UTC; one bar lies before the open and one after the close.
    moments = ["2024-11-29T14:29:00Z", "2024-11-29T14:30:00Z", "2024-11-29T17:59:00Z", "2024-11-29T18:00:00Z"]
    vendor.answers = [(200, {"bars": {"AAPL": [bar(moment) for moment in moments]}, "next_page_token": None})]
    day = pd.Timestamp("2024-11-29")
    found = vendor.source.bars(["AAPL"], start=day, end=day, timeframe="1m")
    assert list(found.columns) == list(INTRADAY_COLUMNS)
    assert found["time"].tolist() == [pd.Timestamp(moment) for moment in moments[1:3]]
    assert found["happened"].tolist() == [pd.Timestamp(m) + pd.Timedelta(minutes=1) for m in moments[1:3]]
    assert found["session"].unique().tolist() == [day]
    assert vendor.asked[0][1]["timeframe"] == "1Min"


def test_an_hour_is_counted_from_the_open_and_made_of_two_halves(vendor):
    halves = pd.date_range("2024-03-05T14:30Z", periods=13, freq="30min")
    rows = [
        bar(moment.isoformat().replace("+00:00", "Z"), price=100.0 + n, volume=n) for n, moment in enumerate(halves)
    ]
    vendor.answers = [(200, {"bars": {"AAPL": rows}})]
    day = pd.Timestamp("2024-03-05")
    found = vendor.source.bars(["AAPL"], start=day, end=day, timeframe="1h")
    ends = sessions.bar_ends("XNYS", day, day, minutes=60)
    assert found["happened"].tolist() == list(ends)
    first, last = found.iloc[0], found.iloc[-1]
    assert first[["open", "high", "low", "close", "volume"]].tolist() == [100, 102, 99, 101.5, 1]
    assert (last["time"], last["volume"]) == (pd.Timestamp("2024-03-05T20:30Z"), 12)
    assert found["volume"].sum() == sum(range(13))


def test_pages_are_followed_and_symbols_come_as_asked(vendor):
    vendor.answers = [
        (200, {"bars": {"AAPL": [bar("2024-03-05T05:00:00Z")]}, "next_page_token": "more"}),
        (200, {"bars": {"AAPL": [bar("2024-03-06T05:00:00Z")], "MSFT": [bar("2024-03-05T05:00:00Z")]}}),
    ]
    found = vendor.source.bars(["MSFT", "AAPL"], start=pd.Timestamp("2024-03-05"), end=pd.Timestamp("2024-03-06"))
    assert found["symbol"].tolist() == ["MSFT", "AAPL", "AAPL"]
    assert found["session"].tolist() == [pd.Timestamp(f"2024-03-0{day}") for day in (5, 5, 6)]
    assert [query.get("page_token") for _, query in vendor.asked] == [None, "more"]
    assert vendor.asked[0][1]["adjustment"] == "all"


def test_many_symbols_are_asked_in_parts(vendor):
    vendor.source.newest_prices([f"S{number}" for number in range(150)])
    assert [len(query["symbols"].split(",")) for _, query in vendor.asked] == [100, 50]


@pytest.mark.parametrize("change", [{"c": None}, {"o": "x"}, {"h": 0}, {"l": -1}, {"t": "soon"}, {"v": None}])
def test_a_bar_that_cannot_be_is_refused(vendor, change):
    vendor.answers = [(200, {"bars": {"AAPL": [bar("2024-03-05T05:00:00Z") | change]}})]
    with pytest.raises(BadData, match="none was passed on"):
        vendor.source.bars(["AAPL"], start=pd.Timestamp("2024-03-05"), end=pd.Timestamp("2024-03-05"))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 504])
def test_a_refusal_is_a_named_error_and_is_asked_once(vendor, status):
    vendor.answers = [(status, {"message": "no"})] * 3
    with pytest.raises(DataError, match=f"HTTP {status}"):
        vendor.source.bars(["AAPL"], start=START, end=END)
    assert len(vendor.asked) == 1


def test_an_answer_that_is_no_json_is_a_named_error(vendor):
    vendor.answers = [(200, b"<html>")]
    with pytest.raises(DataError, match="no readable answer"):
        vendor.source.newest_prices(["AAPL"])


def test_keys_appear_nowhere():
    source = AlpacaSource(key_id="KEYID", secret_key="SECRET", url="http://127.0.0.1:9")
    with pytest.raises(DataError) as caught:
        source.bars(["AAPL"], start=START, end=END)
    assert "KEYID" not in repr(source) + str(caught.value)
    assert "SECRET" not in repr(source) + str(caught.value)


def test_a_wrong_timeframe_or_key_is_refused(source):
    with pytest.raises(DataError, match="1d, 1h, 5m, 1m"):
        source.bars(["AAPL"], start=START, end=END, timeframe="2m")
    with pytest.raises(ParameterError, match="is empty"):
        AlpacaSource(key_id=" ", secret_key="s")


def test_the_source_is_opened_with_keys_only(exchange, keys):
    with pytest.raises(DataError, match="needs keys"):
        open_source("alpaca")
    opened = open_source("alpaca", keys=(keys.key_id, keys.secret_key), url=exchange.url)
    assert (opened.name, opened.symbols()) == ("alpaca", ())
    with pytest.raises(DataError, match="did you mean 'alpaca'"):
        open_source("alpacca")
