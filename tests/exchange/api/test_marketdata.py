"""Clock, calendar, assets, bars, quotes and prints through alpaca-py's own clients."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.requests import GetCalendarRequest

NEW_YORK_WINTER = dt.timezone(dt.timedelta(hours=-5))


def test_the_clock_is_the_accounts_own(trader):
    one = trader(raw=False)
    clock = one.api.get_clock()
    assert clock.timestamp == dt.datetime(2024, 3, 4, 16, tzinfo=NEW_YORK_WINTER)
    assert clock.is_open is False
    assert clock.next_open == dt.datetime(2024, 3, 5, 9, 30, tzinfo=NEW_YORK_WINTER)
    assert clock.next_close == dt.datetime(2024, 3, 5, 16, tzinfo=NEW_YORK_WINTER)
    one.advance("2024-03-08 12:00")
    clock = one.api.get_clock()
    assert clock.is_open is True
    # Over the weekend America went to summer time: 9:30 is an hour earlier in UTC.
    assert clock.next_open == dt.datetime(2024, 3, 11, 13, 30, tzinfo=dt.UTC)


def test_the_calendar_knows_holidays_and_early_closes(trader):
    days = trader(raw=False).api.get_calendar(GetCalendarRequest(start=dt.date(2024, 7, 2), end=dt.date(2024, 7, 5)))
    assert [(day.date.day, f"{day.open:%H:%M}", f"{day.close:%H:%M}") for day in days] == [
        (2, "09:30", "16:00"),
        (3, "09:30", "13:00"),
        (5, "09:30", "16:00"),
    ]


def test_the_calendar_tells_extended_hours_and_settlement(trader):
    one = trader()
    rows = one.api.get("/calendar", {"start": "2024-05-23", "end": "2024-07-05"})
    told = {row["date"]: (row["session_open"], row["session_close"], row["settlement_date"]) for row in rows}
    assert told["2024-05-23"] == ("0400", "2000", "2024-05-28")  # two sessions later, past Memorial Day
    assert told["2024-05-24"] == ("0400", "2000", "2024-05-29")  # the last day of T+2
    assert told["2024-05-28"] == ("0400", "2000", "2024-05-29")  # the first of T+1
    assert told["2024-07-03"] == ("0400", "1700", "2024-07-05")  # an early close


@pytest.mark.parametrize(
    ("at", "phase", "until", "market_day"),
    [
        ("2024-03-05 03:00", "overnight", "2024-03-05T04:00:00-05:00", True),
        ("2024-03-05 05:00", "pre", "2024-03-05T09:30:00-05:00", True),
        ("2024-03-05 09:30", "core", "2024-03-05T16:00:00-05:00", True),
        ("2024-03-05 16:00", "post", "2024-03-05T20:00:00-05:00", True),
        ("2024-03-09 12:00", "closed", "2024-03-10T20:00:00-04:00", False),
    ],
)
def test_the_third_version_of_the_clock_knows_the_phase(trader, at, phase, until, market_day):
    one = trader(at=at)
    (clock,) = one.api.get("/clock", api_version="v3")["clocks"]
    assert (clock["phase"], clock["phase_until"], clock["is_market_day"]) == (phase, until, market_day)


def test_assets(trader):
    one = trader(raw=False)
    assert [asset.symbol for asset in one.api.get_all_assets()] == ["ACME", "CENT", "FLAT", "LATE", "THIN"]
    asset = one.api.get_asset("ACME")
    assert one.api.get_asset(asset.id).symbol == "ACME"
    assert (asset.tradable, one.api.get_asset("LATE").tradable) == (True, False)
    with pytest.raises(APIError) as caught:
        one.api.get_asset("NOPE")
    assert (caught.value.status_code, caught.value.code) == (404, 40410000)


def test_bars_end_at_the_clock(trader):
    one = trader(raw=False, at="2024-03-06 15:59")
    bars = one.data.get_stock_bars(StockBarsRequest(symbol_or_symbols=["ACME"], timeframe=TimeFrame.Day))
    assert [(bar.timestamp.day, bar.open, bar.close, bar.volume) for bar in bars["ACME"]] == [
        (4, 100.0, 101.0, 1_000_000.0),
        (5, 102.0, 104.0, 1_000_000.0),
    ]
    one.advance("2024-03-06 16:00")
    bars = one.data.get_stock_bars(StockBarsRequest(symbol_or_symbols=["ACME"], timeframe=TimeFrame.Day))
    assert [bar.close for bar in bars["ACME"]] == [101.0, 104.0, 92.0]


def test_what_a_close_only_source_does_not_have_is_nan_on_the_wire(trader):
    one = trader(raw=False, at="2024-03-05 16:00")
    bars = one.data.get_stock_bars(StockBarsRequest(symbol_or_symbols="FLAT", timeframe=TimeFrame.Day))
    newest = bars["FLAT"][-1]
    assert newest.close == 51.0
    assert all(math.isnan(value) for value in (newest.open, newest.high, newest.low, newest.volume))


def test_bars_page_over_symbols_and_days(trader):
    one = trader(at="2024-03-08 16:00")
    whole = one.data.get("/stocks/bars", {"symbols": "THIN,ACME,LATE,NOPE", "timeframe": "1Day"})
    assert whole["next_page_token"] is None
    assert {symbol: len(bars) for symbol, bars in whole["bars"].items()} == {"ACME": 5, "LATE": 2, "THIN": 5}
    for limit in (1, 2, 5, 7, 11, 12):
        for sort in ("asc", "desc"):
            seen: dict[str, list] = {}
            token, pages = None, 0
            while True:
                page = one.data.get(
                    "/stocks/bars",
                    {
                        "symbols": "THIN,ACME,LATE",
                        "timeframe": "1Day",
                        "limit": limit,
                        "sort": sort,
                        "page_token": token,
                    },
                )
                pages += 1
                for symbol, bars in page["bars"].items():
                    seen.setdefault(symbol, []).extend(bars)
                token = page["next_page_token"]
                if token is None:
                    break
            assert pages == math.ceil(12 / limit)
            assert seen == {symbol: bars[:: 1 if sort == "asc" else -1] for symbol, bars in whole["bars"].items()}


def test_bars_between_two_moments(trader):
    one = trader(raw=False, at="2024-03-08 16:00")
    request = StockBarsRequest(
        symbol_or_symbols="ACME",
        timeframe=TimeFrame.Day,
        start=dt.datetime(2024, 3, 5, tzinfo=dt.UTC),
        end=dt.datetime(2024, 3, 7, tzinfo=dt.UTC),
    )
    # A daily bar's timestamp is New York's midnight, five hours after UTC's: the 7th begins after the asked end.
    assert [bar.timestamp for bar in one.data.get_stock_bars(request)["ACME"]] == [
        dt.datetime(2024, 3, 5, 5, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 6, 5, tzinfo=dt.UTC),
    ]


def test_another_timeframe_is_refused_in_words(trader):
    one = trader()
    with pytest.raises(APIError, match="1Day"):
        one.data.get_stock_bars(StockBarsRequest(symbol_or_symbols="ACME", timeframe=TimeFrame.Minute))


def test_the_newest_print_and_quote_follow_the_clock(trader):
    one = trader(raw=False, at="2024-03-05 12:00")
    print_ = one.data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="ACME"))["ACME"]
    assert (print_.price, print_.timestamp) == (102.0, dt.datetime(2024, 3, 5, 14, 30, tzinfo=dt.UTC))  # today's open
    one.advance("2024-03-05 16:00")
    print_ = one.data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="ACME"))["ACME"]
    assert (print_.price, print_.timestamp) == (104.0, dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC))
    quote = one.data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["ACME", "LATE"]))
    assert set(quote) == {"ACME"}
    assert quote["ACME"].bid_price == pytest.approx(103.948)
    assert quote["ACME"].ask_price == pytest.approx(104.052)
    assert math.isnan(quote["ACME"].bid_size)
    bar = one.data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="ACME"))["ACME"]
    assert bar.high == 105.0


def test_snapshots(trader):
    one = trader(raw=False, at="2024-03-05 16:00")
    shot = one.data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["ACME", "LATE"]))
    assert set(shot) == {"ACME"}
    assert shot["ACME"].latest_trade.price == 104.0
    assert (shot["ACME"].daily_bar.close, shot["ACME"].previous_daily_bar.close) == (104.0, 101.0)


def test_a_stranger_gets_401_and_no_code(trader):
    one = trader()
    one.api._secret_key = "wrong"
    with pytest.raises(APIError) as caught:
        one.api.get_account()
    assert caught.value.status_code == 401
    assert caught.value.response.json() == {"message": "unauthorized."}
