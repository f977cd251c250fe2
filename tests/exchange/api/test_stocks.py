"""Bars, trades, quotes and snapshots of stocks on an exchange of minutes, through alpaca-py's own client."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from workbench.data.sources import open_source
from workbench.exchange.market.candles import NoSuchTimeframe, Timeframe, timeframe

SUMMED = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def source():
    return open_source("synthetic", seed=7)


def rows(bars):
    return [(bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]


def expected(table):
    return [(stamp.to_pydatetime(), *(float(row[name]) for name in SUMMED)) for stamp, row in table.iterrows()]


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (TimeFrame.Minute, "1min"),
        (TimeFrame(5, TimeFrameUnit.Minute), "5min"),
        (TimeFrame(7, TimeFrameUnit.Minute), "7min"),
        (TimeFrame.Hour, "60min"),
        (TimeFrame(4, TimeFrameUnit.Hour), "240min"),
    ],
    ids=["1Min", "5Min", "7Min", "1Hour", "4Hour"],
)
def test_minutes_are_put_together_as_pandas_does(minute_trader, source, asked, rule):
    one = minute_trader(raw=False, at="2024-03-06 20:00")
    table = source.bars(
        ["SYN03"], start=pd.Timestamp("2024-03-05"), end=pd.Timestamp("2024-03-06"), timeframe="1m"
    ).set_index("time")
    local = table.tz_convert("America/New_York")  # counted from New York's midnight
    days = [day.resample(rule, origin="start_day").agg(SUMMED) for _, day in local.groupby("session")]
    grouped = pd.concat(days).tz_convert("UTC")
    bars = one.data.get_stock_bars(
        StockBarsRequest(symbol_or_symbols="SYN03", timeframe=asked, start=utc("2024-03-05"))
    )
    assert rows(bars["SYN03"]) == expected(grouped)


@pytest.mark.parametrize(
    ("asked", "rule"), [(TimeFrame.Week, "W-MON"), (TimeFrame.Month, "MS"), (TimeFrame(3, TimeFrameUnit.Month), "QS")]
)
def test_days_are_put_together_to_weeks_and_months(minute_trader, source, asked, rule):
    one = minute_trader(raw=False, at="2024-03-06 20:00")
    table = source.bars(["SYN03"], start=pd.Timestamp("2023-01-02"), end=pd.Timestamp("2024-03-06")).set_index(
        "session"
    )
    grouped = table.resample(rule, closed="left", label="left").agg(SUMMED)
    grouped = grouped[grouped.index >= pd.Timestamp("2023-01-02")].iloc[:-1]  # the running one is not told
    grouped.index = grouped.index.tz_localize("America/New_York").tz_convert("UTC")
    bars = one.data.get_stock_bars(
        StockBarsRequest(symbol_or_symbols="SYN03", timeframe=asked, start=utc("2023-01-02"))
    )
    assert rows(bars["SYN03"]) == expected(grouped)


def test_a_bar_is_told_when_it_has_ended_and_not_before(minute_trader):
    one = minute_trader(raw=False, at="2024-03-05 10:04")

    def newest(asked):
        request = StockBarsRequest(symbol_or_symbols="SYN03", timeframe=asked)
        return one.data.get_stock_bars(request).data.get("SYN03", [None])[-1]

    assert newest(TimeFrame.Minute).timestamp == utc("2024-03-05 15:03")
    assert newest(TimeFrame(5, TimeFrameUnit.Minute)).timestamp == utc("2024-03-05 14:55")
    assert newest(TimeFrame.Hour).timestamp == utc("2024-03-05 14:00")  # 9:00, which holds the first half hour
    assert newest(TimeFrame.Day).timestamp == utc("2024-03-04 05:00")
    one.advance("2024-03-05 10:05")
    assert newest(TimeFrame(5, TimeFrameUnit.Minute)).timestamp == utc("2024-03-05 15:00")


def test_week_and_month_are_over_with_their_last_session(minute_trader):
    one = minute_trader(raw=False, at="2024-03-28 14:59")  # Thursday, a minute before the close; Good Friday is closed

    def newest(asked):
        request = StockBarsRequest(symbol_or_symbols="SYN03", timeframe=asked, start=utc("2024-01-01"))
        return one.data.get_stock_bars(request)["SYN03"][-1].timestamp

    assert (newest(TimeFrame.Week), newest(TimeFrame.Month)) == (utc("2024-03-18 04:00"), utc("2024-02-01 05:00"))
    # "16:00" of the fixture is that of winter time: an hour after the close of that day.
    one.advance("2024-03-28 16:00")
    assert (newest(TimeFrame.Week), newest(TimeFrame.Month)) == (utc("2024-03-25 04:00"), utc("2024-03-01 05:00"))


def test_trades_are_the_opens_and_closes_of_the_minutes_and_quotes_lie_around_them(minute_trader, source):
    one = minute_trader(raw=False, at="2024-03-05 09:33")
    day = pd.Timestamp("2024-03-05")
    table = source.bars(["SYN03"], start=day, end=day, timeframe="1m").head(3)
    trades = one.data.get_stock_trades(StockTradesRequest(symbol_or_symbols="SYN03"))["SYN03"]
    assert [trade.price for trade in trades] == table[["open", "close"]].to_numpy().ravel().tolist()
    assert [f"{trade.timestamp:%M:%S}" for trade in trades] == ["30:00", "31:00", "31:01", "32:00", "32:01", "33:00"]
    assert all(math.isnan(trade.size) for trade in trades)
    quotes = one.data.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="SYN03"))["SYN03"]
    assert [quote.timestamp for quote in quotes] == [trade.timestamp for trade in trades]
    for trade, quote in zip(trades, quotes, strict=True):
        assert (quote.bid_price, quote.ask_price) == pytest.approx((trade.price * 0.9995, trade.price * 1.0005))
    latest = one.data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SYN03", feed=DataFeed.IEX))
    assert latest["SYN03"] == trades[-1].model_copy(update={"size": latest["SYN03"].size})
    newest = one.data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["SYN03"]))["SYN03"]
    assert (newest.bid_price, newest.timestamp) == (quotes[-1].bid_price, quotes[-1].timestamp)
    bar = one.data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="SYN03"))["SYN03"]
    assert (bar.timestamp, bar.close) == (utc("2024-03-05 14:32"), trades[-1].price)


@pytest.mark.parametrize("kind", ["bars", "trades", "quotes"])
@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_of_any_size_hold_every_row_once(minute_trader, kind, sort):
    one = minute_trader(at="2024-03-06 09:40")
    asked = {"symbols": "SYN05,SYN03,NOPE", "timeframe": "10Min", "start": "2024-03-05T20:30:00Z", "sort": sort}
    whole = one.data.get(f"/stocks/{kind}", asked)
    counts = {"bars": 4, "trades": 81, "quotes": 81}
    assert whole["next_page_token"] is None
    assert {symbol: len(found) for symbol, found in whole[kind].items()} == {
        "SYN03": counts[kind],
        "SYN05": counts[kind],
    }
    for limit in (1, 3, 4, 7, 8) if kind == "bars" else (37, 80, 81, 161, 162):
        seen: dict[str, list] = {}
        token = None
        for _ in range(200):
            page = one.data.get(f"/stocks/{kind}", asked | {"limit": limit, "page_token": token})
            assert sum(map(len, page[kind].values())) <= limit
            for symbol, found in page[kind].items():
                seen.setdefault(symbol, []).extend(found)
            token = page["next_page_token"]
            if token is None:
                break
        assert seen == whole[kind]
    stamps = [row["t"] for row in whole[kind]["SYN03"]]
    assert stamps == sorted(stamps, reverse=sort == "desc")


def test_a_limit_of_the_client_is_over_all_pages(minute_trader):
    one = minute_trader(raw=False, at="2024-03-05 16:00")
    request = StockBarsRequest(symbol_or_symbols=["SYN03", "SYN04"], timeframe=TimeFrame.Minute, limit=391)
    bars = one.data.get_stock_bars(request)
    assert (len(bars["SYN03"]), len(bars["SYN04"])) == (390, 1)


def test_a_snapshot_of_a_running_session(minute_trader):
    one = minute_trader(raw=False, at="2024-03-05 12:00")
    shot = one.data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["SYN03"]))["SYN03"]
    minutes = one.data.get_stock_bars(StockBarsRequest(symbol_or_symbols="SYN03", timeframe=TimeFrame.Minute))["SYN03"]
    assert shot.minute_bar.model_dump() == minutes[-1].model_dump()
    assert shot.daily_bar.timestamp == utc("2024-03-05 05:00")
    assert shot.daily_bar.high == max(bar.high for bar in minutes)
    assert shot.daily_bar.volume == sum(bar.volume for bar in minutes)
    assert shot.daily_bar.close == shot.latest_trade.price == minutes[-1].close
    assert shot.previous_daily_bar.timestamp == utc("2024-03-04 05:00")
    one.advance("2024-03-05 17:00")
    shot = one.data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["SYN03"]))["SYN03"]
    assert (shot.daily_bar.timestamp, shot.previous_daily_bar.timestamp) == (
        utc("2024-03-05 05:00"),
        utc("2024-03-04 05:00"),
    )


def test_one_symbol_in_the_path(minute_trader):
    one = minute_trader(at="2024-03-05 12:00")
    many = one.data.get("/stocks/bars", {"symbols": "SYN03", "timeframe": "1Hour"})
    single = one.data.get("/stocks/SYN03/bars", {"timeframe": "1Hour"})
    assert single == {"symbol": "SYN03", "bars": many["bars"]["SYN03"], "next_page_token": None}
    trade = one.data.get("/stocks/SYN03/trades/latest")
    assert trade["trade"] == one.data.get("/stocks/trades/latest", {"symbols": "SYN03"})["trades"]["SYN03"]
    assert one.data.get("/stocks/SYN03/snapshot")["latestTrade"] == trade["trade"]
    with pytest.raises(APIError) as caught:
        one.data.get("/stocks/NOPE/snapshot")
    assert caught.value.status_code == 404


def test_words_that_change_no_number_are_taken_and_wrong_ones_refused(minute_trader):
    one = minute_trader(at="2024-03-05 12:00")
    plain = {"symbols": "SYN03", "timeframe": "1Day", "start": "2024-02-01"}
    whole = one.data.get("/stocks/bars", plain)
    assert len(whole["bars"]["SYN03"]) == 22
    for more in ({"adjustment": Adjustment.ALL.value}, {"asof": "2024-01-31"}, {"feed": "sip"}, {"currency": "USD"}):
        assert one.data.get("/stocks/bars", plain | more) == whole
    for wrong in (
        {"adjustment": "none"},
        {"asof": "yesterday"},
        {"feed": "moon"},
        {"currency": "EUR"},
        {"sort": "up"},
        {"limit": 0},
        {"limit": 10_001},
        {"limit": "²"},
        {"page_token": "x"},
        {"start": "noon"},
        {"end": "2024-01-01"},
        {"timeframe": "61Min"},
        {"timeframe": "5Month"},
        {"symbols": ""},
    ):
        with pytest.raises(APIError) as caught:
            one.data.get("/stocks/bars", plain | wrong)
        assert (caught.value.status_code, caught.value.code) == (400, 40010001), wrong


def test_every_answer_says_what_its_numbers_are(minute_trader):
    one = minute_trader()
    answer = one.data._session.get(f"{one.url}/v2/stocks/bars?symbols=SYN03", headers=one.data._get_default_headers())
    assert answer.headers["X-Market-Data"] == "SYNTHETIC - seed 7; trades and quotes are MADE BY A MODEL from bars"


def test_names_of_timeframes():
    assert timeframe("1Min") == timeframe("1T") == timeframe("min") == Timeframe(1, "minute")
    assert timeframe("12M") == timeframe("12Month") == Timeframe(12, "month")
    for wrong in ("", "0Min", "60Min", "24Hour", "2Day", "2Week", "7Month", "1Year", "-1Min", "100Min"):
        with pytest.raises(NoSuchTimeframe):
            timeframe(wrong)
