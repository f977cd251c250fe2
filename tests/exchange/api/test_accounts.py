"""Positions, balances, configurations, activities and history of worth through alpaca-py's own client."""

from __future__ import annotations

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import ClosePositionRequest, GetPortfolioHistoryRequest, MarketOrderRequest


def field(thing, name):
    value = thing[name] if isinstance(thing, dict) else getattr(thing, name)
    return None if value is None else str(getattr(value, "value", value))


def order(symbol="ACME", qty=10, side="buy"):
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide(side), time_in_force=TimeInForce.DAY)


def test_a_long_position_is_marked_at_the_newest_price(both):
    both.api.submit_order(order())
    both.advance("2024-03-06 16:00")
    (position,) = both.api.get_all_positions()
    expected = {
        "symbol": "ACME",
        "qty": "10",
        "qty_available": "10",
        "side": "long",
        "avg_entry_price": "102.051",  # open of the 5th · 1.0005
        "cost_basis": "1020.51",
        "current_price": "92",  # close of the 6th
        "market_value": "920",
        "unrealized_pl": "-100.51",
        "unrealized_plpc": "-0.098489971",  # −100.51 / 1020.51
        "lastday_price": "104",
        "change_today": "-0.115384615",  # 92 / 104 − 1
        "unrealized_intraday_pl": "-120",  # 10 · (92 − 104)
    }
    assert {name: field(position, name) for name in expected} == expected
    assert field(both.api.get_open_position("ACME"), "qty") == "10"
    assert field(both.api.get_open_position(field(position, "asset_id")), "symbol") == "ACME"


def test_a_short_position_gains_when_the_price_falls(both):
    both.api.submit_order(order(side="sell"))
    both.advance("2024-03-06 16:00")
    (position,) = both.api.get_all_positions()
    assert (field(position, "qty"), field(position, "side")) == ("-10", "short")
    assert field(position, "avg_entry_price") == "101.949"  # 102 · 0.9995
    assert field(position, "market_value") == "-920"
    assert field(position, "unrealized_pl") == "99.49"  # 10 · (101.949 − 92)
    account = both.api.get_account()
    assert field(account, "cash") == "101019.49"
    assert field(account, "equity") == "100099.49"
    assert field(account, "short_market_value") == "-920"


def test_balances_and_buying_power(both):
    both.api.submit_order(order())
    both.advance("2024-03-05 16:00")
    account = both.api.get_account()
    expected = {
        "status": "ACTIVE",
        "cash": "98979.49",  # 100000 − 1020.51
        "equity": "100019.49",  # + 10 · 104
        "long_market_value": "1040",
        "last_equity": "100000",
        "buying_power": "399037.96",  # 4 · 100019.49 − 1040
        "regt_buying_power": "198998.98",  # 2 · 100019.49 − 1040
        "initial_margin": "260",
        "maintenance_margin": "312",
        "multiplier": "4",
    }
    assert {name: field(account, name) for name in expected} == expected


def test_average_entry_of_two_buys_and_of_a_partial_sale(trader):
    one = trader()
    one.api.submit_order(order(qty=10))
    one.advance("2024-03-05 16:00")
    one.api.submit_order(order(qty=30))
    one.advance("2024-03-06 16:00")
    one.api.submit_order(order(qty=20, side="sell"))
    one.advance("2024-03-07 16:00")
    (position,) = one.api.get_all_positions()
    assert position["qty"] == "20"
    assert position["avg_entry_price"] == "93.0465"  # (10 · 102.051 + 30 · 90.045) / 40


def test_close_one_position_wholly_partly_and_not_at_all(both):
    both.api.submit_order(order())
    both.advance("2024-03-05 16:00")
    half = both.api.close_position("ACME", ClosePositionRequest(percentage="50"))
    assert (field(half, "qty"), field(half, "side")) == ("5", "sell")
    both.advance("2024-03-06 16:00")
    both.api.close_position("ACME")
    both.advance("2024-03-07 16:00")
    assert both.api.get_all_positions() == []
    with pytest.raises(APIError) as caught:
        both.api.close_position("ACME")
    assert (caught.value.status_code, caught.value.code) == (404, 40410000)


def test_close_all_positions_reports_each(both):
    both.api.submit_order(order())
    both.api.submit_order(order("FLAT", side="sell"))
    both.advance("2024-03-05 16:00")
    both.api.submit_order(order(side="sell", qty=4))
    lines = both.api.close_all_positions()
    by_symbol = {field(line, "symbol"): line for line in lines}
    assert field(by_symbol["ACME"], "status") == "403"  # four of the ten are held by the open order
    failed = by_symbol["ACME"]["body"] if isinstance(by_symbol["ACME"], dict) else by_symbol["ACME"].body
    assert (field(failed, "code"), float(field(failed, "available"))) == ("40310000", 6.0)
    assert field(by_symbol["FLAT"], "status") == "200"
    lines = both.api.close_all_positions(cancel_orders=True)
    assert [field(line, "status") for line in lines] == ["200", "200"]
    both.advance("2024-03-06 16:00")
    assert both.api.get_all_positions() == []


def test_configurations_are_read_and_changed(both):
    configurations = both.api.get_account_configurations()
    assert field(configurations, "suspend_trade") == "False"
    assert field(configurations, "no_shorting") == "False"
    if not both.raw:
        configurations.no_shorting = True
        assert both.api.set_account_configurations(configurations).no_shorting is True
        with pytest.raises(APIError, match="account is not allowed to short"):
            both.api.submit_order(order(side="sell"))
    with pytest.raises(APIError):
        both.api.patch("/account/configurations", {"launch": True})


def test_activities_tell_every_fill_and_page(trader):
    one = trader()
    one.api.submit_order(order("THIN", qty=250))
    one.api.submit_order(order("ACME", qty=1))
    one.api.submit_order(order("FLAT", qty=1))
    one.advance("2024-03-05 16:00")
    newest_first = one.api.get("/account/activities/FILL")
    assert [(row["symbol"], row["type"], row["qty"], row["leaves_qty"]) for row in newest_first] == [
        ("FLAT", "fill", "1", "0"),
        ("THIN", "partial_fill", "100", "150"),
        ("ACME", "fill", "1", "0"),
    ]
    assert newest_first[1]["transaction_time"] == "2024-03-05T14:30:00.000000Z"
    assert newest_first[1]["id"].startswith("20240305143000000::")
    seen, token = [], None
    while page := one.api.get(
        "/account/activities", {"activity_types": "FILL", "direction": "asc", "page_size": 1, "page_token": token}
    ):
        seen += [row["id"] for row in page]
        token = page[-1]["id"]
    assert seen == [row["id"] for row in reversed(newest_first)]
    later = one.api.get("/account/activities/FILL", {"after": "2024-03-05T14:30:00Z"})
    assert [row["symbol"] for row in later] == ["FLAT"]
    assert one.api.get("/account/activities/DIV") == []
    with pytest.raises(APIError):
        one.api.get("/account/activities", {"page_token": "no::such"})


def test_history_of_worth_has_one_point_for_each_close(both):
    both.api.submit_order(order())
    both.advance("2024-03-07 16:00")
    history = both.api.get_portfolio_history(GetPortfolioHistoryRequest(period="1W"))
    equity = history["equity"] if both.raw else history.equity
    assert equity == [100_000.0, 100_019.49, 99_899.49, 99_929.49]  # cash 98,979.49 + 10 · (104, 92, 95)
