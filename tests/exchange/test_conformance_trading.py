"""Trading through alpaca-py's typed client alone: every answer has the fields that clients of the broker rely on."""

from __future__ import annotations

import datetime as dt

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import (
    AccountStatus,
    AssetClass,
    ContractType,
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionIntent,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOptionContractsRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from tests.exchange.conformance import Watched

BUY, SELL, DAY, GTC = OrderSide.BUY, OrderSide.SELL, TimeInForce.DAY, TimeInForce.GTC


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def one(minute_trader, watched):
    """A trader whose clock stands at noon of a Tuesday, with every answer watched."""
    trader = minute_trader(raw=False, at="2024-03-05 12:00")
    watched.watch(trader.api)
    return trader


def price_of(one, symbol="SYN03"):
    return one.data.get(f"/stocks/{symbol}/trades/latest")["trade"]["p"]


def market(symbol="SYN03", qty=10, side=BUY, **more):
    return MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=DAY, **more)


def limit(price, symbol="SYN03", qty=10, side=BUY, **more):
    return LimitOrderRequest(
        symbol=symbol, qty=qty, side=side, time_in_force=more.pop("force", DAY), limit_price=round(price, 2), **more
    )


def test_the_account_and_its_settings(one):
    account = one.api.get_account()
    assert account.status is AccountStatus.ACTIVE
    assert (account.cash, account.equity) == ("100000", "100000")
    settings = one.api.get_account_configurations()
    settings.suspend_trade = True
    assert one.api.set_account_configurations(settings).suspend_trade is True
    assert one.api.get_account().trade_suspended_by_user is True
    with pytest.raises(APIError, match="new orders are rejected by user request") as caught:
        one.api.submit_order(market())
    assert (caught.value.status_code, caught.value.code) == (403, 40310000)


def test_the_clock_and_the_calendar(one):
    clock = one.api.get_clock()
    assert clock.is_open
    assert clock.next_close.astimezone(dt.UTC) == dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC)
    days = one.api.get_calendar(GetCalendarRequest(start=dt.date(2023, 11, 20), end=dt.date(2023, 11, 26)))
    assert [(day.date.day, day.close.hour) for day in days] == [(20, 16), (21, 16), (22, 16), (24, 13)]


def test_assets(one):
    assets = one.api.get_all_assets(GetAssetsRequest(asset_class=AssetClass.US_EQUITY))
    found = one.api.get_asset("SYN03")
    assert found in assets
    assert one.api.get_asset(str(found.id)) == found
    with pytest.raises(APIError) as caught:
        one.api.get_asset("NOSUCH")
    assert (caught.value.status_code, caught.value.code) == (404, 40410000)


def test_each_order_type_and_time_in_force(one):
    last = price_of(one)
    placed = [
        one.api.submit_order(request)
        for request in (
            market(),
            limit(last * 0.9),
            limit(last * 0.9, force=GTC),
            StopOrderRequest(symbol="SYN03", qty=1, side=BUY, time_in_force=DAY, stop_price=round(last * 1.1, 2)),
            StopLimitOrderRequest(
                symbol="SYN03",
                qty=1,
                side=BUY,
                time_in_force=GTC,
                stop_price=round(last * 1.1, 2),
                limit_price=round(last * 1.12, 2),
            ),
            TrailingStopOrderRequest(symbol="SYN03", qty=1, side=BUY, time_in_force=DAY, trail_percent=5),
            TrailingStopOrderRequest(symbol="SYN04", qty=1, side=BUY, time_in_force=GTC, trail_price=2),
            MarketOrderRequest(symbol="SYN04", notional=500.5, side=BUY, time_in_force=DAY),
            market("SYN04", qty=0.25),
            limit(last * 0.9, force=TimeInForce.IOC),
            limit(last * 0.9, force=TimeInForce.FOK),
            limit(last * 0.9, force=TimeInForce.CLS),
        )
    ]
    assert [order.order_type for order in placed[:7]] == [
        OrderType.MARKET,
        OrderType.LIMIT,
        OrderType.LIMIT,
        OrderType.STOP,
        OrderType.STOP_LIMIT,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP,
    ]
    one.advance("2024-03-05 16:00")
    for order in placed:
        seen = one.api.get_order_by_id(order.id)
        assert seen == one.api.get_order_by_client_id(order.client_order_id)
        assert seen.symbol == order.symbol
    ends = {order.time_in_force: one.api.get_order_by_id(order.id).status for order in placed[9:]}
    assert ends[TimeInForce.IOC] in {OrderStatus.CANCELED, OrderStatus.EXPIRED}
    assert ends[TimeInForce.FOK] in {OrderStatus.CANCELED, OrderStatus.EXPIRED}
    assert one.api.get_order_by_id(placed[0].id).status is OrderStatus.FILLED
    opened = one.api.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
    assert {order.id for order in opened} == {placed[2].id, placed[4].id, placed[6].id}


def test_an_order_for_the_open_is_placed_before_it(minute_trader, watched):
    early = minute_trader(raw=False, at="2024-03-05 08:00")
    watched.watch(early.api)
    order = early.api.submit_order(MarketOrderRequest(symbol="SYN03", qty=1, side=BUY, time_in_force=TimeInForce.OPG))
    early.advance("2024-03-05 09:31")
    assert early.api.get_order_by_id(order.id).status is OrderStatus.FILLED


def test_bracket_oto_and_oco_with_their_legs(one):
    last = price_of(one)
    profit, loss = TakeProfitRequest(limit_price=round(last * 1.2, 2)), StopLossRequest(stop_price=round(last * 0.8, 2))
    bracket = one.api.submit_order(market(order_class=OrderClass.BRACKET, take_profit=profit, stop_loss=loss))
    assert bracket.order_class is OrderClass.BRACKET
    assert [leg.order_type for leg in bracket.legs] == [OrderType.LIMIT, OrderType.STOP]
    oto = one.api.submit_order(market("SYN04", order_class=OrderClass.OTO, stop_loss=StopLossRequest(stop_price=1)))
    assert len(oto.legs) == 1
    one.api.submit_order(market("SYN05"))
    one.advance("2024-03-05 12:10")
    last = price_of(one, "SYN05")
    oco = one.api.submit_order(
        LimitOrderRequest(
            symbol="SYN05",
            qty=10,
            side=SELL,
            time_in_force=GTC,
            order_class=OrderClass.OCO,
            take_profit=TakeProfitRequest(limit_price=round(last * 1.2, 2)),
            stop_loss=StopLossRequest(stop_price=round(last * 0.8, 2)),
        )
    )
    assert oco.order_class is OrderClass.OCO
    nested = one.api.get_order_by_id(bracket.id, GetOrderByIdRequest(nested=True))
    assert nested.status is OrderStatus.FILLED
    assert {leg.status for leg in nested.legs} <= {OrderStatus.NEW, OrderStatus.HELD, OrderStatus.ACCEPTED}
    listed = one.api.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, limit=500))
    assert {bracket.id, oto.id, oco.id} <= {order.id for order in listed}


def test_replacing_and_cancelling(one, watched):
    last = price_of(one)
    old = one.api.submit_order(limit(last * 0.5, force=GTC))
    new = one.api.replace_order_by_id(old.id, ReplaceOrderRequest(qty=7, limit_price=round(last * 0.51, 2)))
    assert (new.replaces, new.qty) == (old.id, "7")
    assert one.api.get_order_by_id(old.id).status is OrderStatus.REPLACED
    assert one.api.get_order_by_id(old.id).replaced_by == new.id
    one.api.cancel_order_by_id(new.id)
    with pytest.raises(APIError) as caught:
        one.api.cancel_order_by_id(new.id)
    assert caught.value.status_code == 422
    ids = {one.api.submit_order(limit(last * 0.5)).id for _ in range(3)}
    assert {answer.id for answer in one.api.cancel_orders()} == ids
    assert watched.saw("DELETE /v2/orders 207")
    with pytest.raises(APIError) as caught:
        one.api.get_order_by_id("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415")
    assert (caught.value.status_code, caught.value.code) == (404, 40410000)


def test_positions_are_opened_listed_and_closed(one):
    one.api.submit_order(market())
    one.api.submit_order(market("SYN04", side=SELL))
    one.advance("2024-03-05 12:10")
    held = {position.symbol: position for position in one.api.get_all_positions()}
    assert {symbol: position.qty for symbol, position in held.items()} == {"SYN03": "10", "SYN04": "-10"}
    assert one.api.get_open_position("SYN03") == held["SYN03"]
    assert one.api.get_open_position(held["SYN04"].asset_id).symbol == "SYN04"
    part = one.api.close_position("SYN03", ClosePositionRequest(qty="4"))
    assert (part.side, part.qty) == (SELL, "4")
    one.advance("2024-03-05 12:20")
    closed = one.api.close_all_positions(cancel_orders=True)
    assert {answer.symbol: answer.status for answer in closed} == {"SYN03": 200, "SYN04": 200}
    one.advance("2024-03-05 12:30")
    assert one.api.get_all_positions() == []
    with pytest.raises(APIError) as caught:
        one.api.get_open_position("SYN03")
    assert (caught.value.status_code, caught.value.code) == (404, 40410000)


def test_activities_and_portfolio_history(one):
    one.api.submit_order(market())
    one.advance("2024-03-06 16:00")
    fills = one.api.get("/account/activities/FILL")
    assert [(row["symbol"], row["qty"], row["side"]) for row in fills] == [("SYN03", "10", "buy")]
    assert one.api.get("/account/activities", {"activity_types": "FILL"}) == fills
    history = one.api.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="1D"))
    lengths = {len(row) for row in (history.timestamp, history.equity, history.profit_loss, history.profit_loss_pct)}
    assert len(lengths) == 1
    assert float(history.equity[-1]) == pytest.approx(float(one.api.get_account().equity))


def test_options_are_found_traded_alone_and_in_legs(one):
    spot = price_of(one)
    found = one.api.get_option_contracts(
        GetOptionContractsRequest(
            underlying_symbols=["SYN03"], expiration_date=dt.date(2024, 3, 15), type=ContractType.CALL, limit=1000
        )
    ).option_contracts
    found.sort(key=lambda contract: abs(contract.strike_price - spot))
    near, other = sorted(found[:2], key=lambda contract: contract.strike_price)
    assert one.api.get_option_contract(near.symbol) == near
    single = one.api.submit_order(MarketOrderRequest(symbol=near.symbol, qty=1, side=BUY, time_in_force=DAY))
    assert single.asset_class is AssetClass.US_OPTION
    spread = one.api.submit_order(
        MarketOrderRequest(
            qty=1,
            time_in_force=DAY,
            order_class=OrderClass.MLEG,
            legs=[
                OptionLegRequest(symbol=near.symbol, ratio_qty=1, side=BUY, position_intent=PositionIntent.BUY_TO_OPEN),
                OptionLegRequest(
                    symbol=other.symbol, ratio_qty=1, side=SELL, position_intent=PositionIntent.SELL_TO_OPEN
                ),
            ],
        )
    )
    assert [leg.symbol for leg in spread.legs] == [near.symbol, other.symbol]
    one.advance("2024-03-05 12:10")
    assert one.api.get_order_by_id(single.id).status is OrderStatus.FILLED
    assert one.api.get_order_by_id(spread.id).status is OrderStatus.FILLED
    held = {position.symbol: position.qty for position in one.api.get_all_positions()}
    assert held == {near.symbol: "2", other.symbol: "-1"}
    assert {position.asset_class for position in one.api.get_all_positions()} == {AssetClass.US_OPTION}
    one.api.exercise_options_position(near.symbol)


@pytest.mark.parametrize(
    ("request_of", "status", "code", "message"),
    [
        (lambda _: market(qty=1_000_000), 403, 40310000, "insufficient buying power"),
        (lambda _: market("NOSUCH"), 422, 42210000, "invalid symbol"),
        (lambda last: limit(last, side=SELL, qty=0.5), 422, 42210000, "sold short"),
        (lambda last: limit(last, client_order_id="x" * 129), 422, 40010001, "client_order_id"),
    ],
)
def test_a_refusal_has_a_status_a_code_and_words(one, request_of, status, code, message):
    with pytest.raises(APIError) as caught:
        one.api.submit_order(request_of(price_of(one)))
    assert caught.value.status_code == status
    assert code is None or caught.value.code == code
    assert message in caught.value.message


def test_a_taken_id_is_refused_in_the_brokers_words(one):
    one.api.submit_order(market(client_order_id="mine"))
    with pytest.raises(APIError, match="client_order_id must be unique") as caught:
        one.api.submit_order(market(client_order_id="mine"))
    assert (caught.value.status_code, caught.value.code) == (422, 40010001)
