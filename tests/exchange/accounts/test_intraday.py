"""Orders on an exchange that steps through minute bars, checked against the bars that its own data API tells."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

SLIPPAGE = Decimal("0.0005")


def bars(one, symbol, start, end):
    """The minute bars of a symbol, begins → (open, high, low, close), exact."""
    found = one.data.get(f"/stocks/{symbol}/bars", {"timeframe": "1Min", "start": start, "end": end, "limit": 10_000})[
        "bars"
    ]
    return [(row["t"], *(Decimal(repr(row[name])) for name in "ohlc")) for row in found]


def body(side="buy", **more):
    return {"symbol": "SYN03", "qty": "5", "side": side, "type": "market", "time_in_force": "gtc"} | more


@pytest.fixture
def one(minute_trader):
    return minute_trader(at="2024-03-05 12:00")


def test_a_market_order_fills_at_the_next_minute(one):
    order = one.api.post("/orders", body())
    one.advance("2024-03-05 12:05")
    done = one.api.get_order_by_id(order["id"])
    (first, *_) = bars(one, "SYN03", "2024-03-05T17:00:00Z", "2024-03-05T17:05:00Z")
    assert Decimal(done["filled_avg_price"]) == first[1] * (1 + SLIPPAGE)
    assert done["filled_at"] == "2024-03-05T17:00:01.000000Z"  # the first print of the minute


def test_a_trailing_stop_follows_minute_by_minute(one):
    one.api.post("/orders", body())
    one.advance("2024-03-05 12:01")
    seen = Decimal(repr(one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]))
    order = one.api.post("/orders", body("sell", type="trailing_stop", trail_percent="0.2"))
    assert Decimal(order["hwm"]) == seen
    one.advance("2024-03-05 16:00")
    done = one.api.get_order_by_id(order["id"])
    # The rule, written down once more: open, then the low against the old mark, then the high, then the close.
    mark, expected = seen, None
    for began, opened, high, low, close in bars(one, "SYN03", "2024-03-05T17:01:00Z", "2024-03-05T21:00:00Z"):
        stop = mark * Decimal("0.998")
        if opened <= stop:
            expected = (began, opened)
            break
        mark = max(mark, opened)
        stop = mark * Decimal("0.998")
        if min(low, opened, close) <= stop:
            expected = (began, stop)
            break
        mark = max(mark, high, opened, close)
        stop = mark * Decimal("0.998")
        if close <= stop:
            expected = (began, stop)
            break
    assert expected is not None, "this day never falls by a fifth of a percent"
    price = (expected[1] * (1 - SLIPPAGE)).quantize(Decimal("0.000000001"))
    assert abs(Decimal(done["filled_avg_price"]) - price) <= Decimal("0.000000002")
    assert done["filled_at"][:16] >= expected[0][:16]
    assert Decimal(done["hwm"]) == mark


def test_auction_orders_wait_for_the_auctions(minute_trader):
    one = minute_trader(at="2024-03-04 19:00")
    opening = one.api.post("/orders", body(time_in_force="opg"))
    closing = one.api.post("/orders", body(time_in_force="cls"))
    one.advance("2024-03-05 09:35")
    assert one.api.get_order_by_id(opening["id"])["filled_at"] == "2024-03-05T14:30:00.000000Z"
    assert one.api.get_order_by_id(closing["id"])["status"] == "new"
    one.advance("2024-03-05 16:00")
    assert one.api.get_order_by_id(closing["id"])["filled_at"] == "2024-03-05T21:00:00.000000Z"


def test_a_bracket_lives_through_a_day(one):
    seen = Decimal(repr(one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]))
    cents = Decimal("0.01")
    entry = one.api.post(
        "/orders",
        body(
            order_class="bracket",
            take_profit={"limit_price": str((seen * Decimal("1.002")).quantize(cents))},
            stop_loss={"stop_price": str((seen * Decimal("0.998")).quantize(cents))},
        ),
    )
    for day in (5, 6, 7, 8):
        one.advance(f"2024-03-0{day} 16:00")
    legs = one.api.get(f"/orders/{entry['id']}", {"nested": True})["legs"]
    assert sorted(leg["status"] for leg in legs) == ["canceled", "filled"]
    assert one.api.get_all_positions() == []


def test_history_of_worth_by_the_minute(one):
    one.api.post("/orders", body())
    one.advance("2024-03-05 12:30")
    history = one.api.get("/account/portfolio/history", {"period": "1D", "timeframe": "5Min"})
    assert history["timeframe"] == "5Min"
    minutes = [dt.datetime.fromtimestamp(stamp, dt.UTC).minute for stamp in history["timestamp"][1:]]
    assert minutes == [5, 10, 15, 20, 25, 30]
    assert history["equity"][-1] == pytest.approx(float(one.api.get_account()["equity"]), abs=0.005)
    assert history["profit_loss"][-1] == pytest.approx(history["equity"][-1] - 100_000, abs=1e-6)
    daily = one.api.get("/account/portfolio/history", {"period": "1M", "timeframe": "1D"})
    assert len(daily["equity"]) <= 2


def test_an_option_is_bought_and_exercised(one):
    seen = one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]
    contracts = one.api.get(
        "/options/contracts",
        {"underlying_symbols": "SYN03", "expiration_date": "2024-03-15", "type": "call", "limit": 1000},
    )["option_contracts"]
    nearest = min(contracts, key=lambda contract: abs(float(contract["strike_price"]) - seen * 0.9))
    order = one.api.post("/orders", body(symbol=nearest["symbol"], qty="1", time_in_force="day"))
    one.advance("2024-03-05 12:05")
    assert one.api.get_order_by_id(order["id"])["status"] == "filled"
    (position,) = one.api.get_all_positions()
    assert (position["asset_class"], position["qty"]) == ("us_option", "1")
    assert Decimal(position["cost_basis"]) == 100 * Decimal(position["avg_entry_price"])
    one.api.exercise_options_position(nearest["symbol"])
    (shares,) = one.api.get_all_positions()
    assert (shares["symbol"], shares["qty"]) == ("SYN03", "100")
    assert Decimal(shares["avg_entry_price"]) == Decimal(nearest["strike_price"])
    assert [row["activity_type"] for row in one.api.get("/account/activities")] == ["OPTRD", "OPEXC", "FILL"]
