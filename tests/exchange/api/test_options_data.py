"""Option contracts and their model-made prices through alpaca-py's own clients."""

from __future__ import annotations

import datetime as dt

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import OptionHistoricalDataClient
from alpaca.data.requests import (
    OptionBarsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    OptionTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.enums import AssetStatus, ContractType
from alpaca.trading.requests import GetOptionContractsRequest

EXPIRES = dt.date(2024, 3, 15)


@pytest.fixture
def one(minute_trader):
    return minute_trader(raw=False, at="2024-03-05 12:00")


@pytest.fixture
def options(one):
    client = OptionHistoricalDataClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    yield client
    client._session.close()


@pytest.fixture
def contracts(one):
    return one.api.get_option_contracts(
        GetOptionContractsRequest(underlying_symbols=["SYN03"], expiration_date=EXPIRES, limit=10_000)
    ).option_contracts


def test_contracts_are_found_by_filters(one, contracts):
    assert {contract.expiration_date for contract in contracts} == {EXPIRES}
    strikes = sorted({contract.strike_price for contract in contracts})
    assert len(contracts) == 2 * len(strikes)
    assert all(contract.tradable and contract.status is AssetStatus.ACTIVE for contract in contracts)
    spot = one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]
    middle = min(strikes, key=lambda strike: abs(strike - spot))
    some = one.api.get_option_contracts(
        GetOptionContractsRequest(
            underlying_symbols=["SYN03", "SYN04"],
            root_symbol="SYN03",
            type=ContractType.PUT,
            expiration_date_gte=dt.date(2024, 3, 9),
            expiration_date_lte=dt.date(2024, 4, 19),
            strike_price_gte=str(middle),
            strike_price_lte=str(middle),
        )
    ).option_contracts
    assert [contract.expiration_date for contract in some] == [
        dt.date(2024, 3, 15),
        dt.date(2024, 3, 22),
        dt.date(2024, 3, 28),  # Good Friday's is the Thursday
        dt.date(2024, 4, 5),
        dt.date(2024, 4, 19),
    ]
    assert {(contract.type, contract.strike_price) for contract in some} == {(ContractType.PUT, middle)}


def test_without_dates_it_is_this_weeks(one):
    found = one.api.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["SYN03"])).option_contracts
    assert {contract.expiration_date for contract in found} == {dt.date(2024, 3, 8)}


def test_contracts_come_in_pages(one):
    asked = {"underlying_symbols": ["SYN03", "SYN100", "SYN04"], "expiration_date_lte": dt.date(2024, 3, 31)}
    whole = one.api.get_option_contracts(GetOptionContractsRequest(**asked, limit=10_000))
    assert whole.next_page_token is None
    seen, token = [], None
    for _ in range(100):
        page = one.api.get_option_contracts(GetOptionContractsRequest(**asked, limit=37, page_token=token))
        seen += page.option_contracts
        token = page.next_page_token
        if token is None:
            break
    assert [contract.symbol for contract in seen] == [contract.symbol for contract in whole.option_contracts]
    assert len({contract.symbol for contract in seen}) == len(seen) > 100
    assert {contract.underlying_symbol for contract in seen} == {"SYN03", "SYN04", "SYN100"}


def test_a_contract_by_symbol_and_by_id(one, contracts):
    contract = contracts[3]
    assert one.api.get_option_contract(contract.symbol) == contract
    assert one.api.get_option_contract(contract.id) == contract
    for nothing in ("SYN03240315C99999000", "SYN03240314C00020000", "SYN03"):
        with pytest.raises(APIError) as caught:
            one.api.get_option_contract(nothing)
        assert caught.value.status_code == 404


def test_an_id_that_no_contract_has_is_not_found(trader):
    one = trader(raw=False)
    (some, *_) = one.api.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["ACME"])).option_contracts
    assert one.api.get_option_contract(some.id) == some
    with pytest.raises(APIError) as caught:
        one.api.get_option_contract("6f1d3a52-0a57-5b8e-9a55-000000000000")
    assert caught.value.status_code == 404


def test_an_expired_contract_is_no_longer_tradable(one, contracts):
    one.advance("2024-03-18 12:00")
    gone = one.api.get_option_contract(contracts[0].symbol)
    assert (gone.status, gone.tradable) == (AssetStatus.INACTIVE, False)


def test_bars_and_marks_of_a_contract(one, options, contracts):
    spot = one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]
    call = min((c for c in contracts if c.type is ContractType.CALL), key=lambda c: abs(c.strike_price - spot)).symbol
    minutes = options.get_option_bars(OptionBarsRequest(symbol_or_symbols=call, timeframe=TimeFrame.Minute))[call]
    assert len(minutes) == 150
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in minutes)
    half = options.get_option_bars(
        OptionBarsRequest(symbol_or_symbols=[call], timeframe=TimeFrame(30, TimeFrameUnit.Minute))
    )[call]
    assert [bar.high for bar in half] == [max(b.high for b in minutes[n : n + 30]) for n in range(0, 150, 30)]
    trades = options.get_option_trades(OptionTradesRequest(symbol_or_symbols=call))[call]
    assert [trade.price for trade in trades] == [price for bar in minutes for price in (bar.open, bar.close)]
    latest = options.get_option_latest_trade(OptionLatestTradeRequest(symbol_or_symbols=call))[call]
    assert latest.price == trades[-1].price
    quote = options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=call))[call]
    assert quote.bid_price < latest.price < quote.ask_price
    days = options.get_option_bars(
        OptionBarsRequest(
            symbol_or_symbols=call, timeframe=TimeFrame.Day, start=dt.datetime(2024, 2, 20, tzinfo=dt.UTC)
        )
    )[call]
    assert len(days) == 10  # 20 February to 4 March
    assert days[-1].close == float(one.api.get_option_contract(call).close_price)


def test_a_chain_and_its_snapshots(one, options, contracts):
    chain = options.get_option_chain(OptionChainRequest(underlying_symbol="SYN03", expiration_date=EXPIRES))
    assert set(chain) == {contract.symbol for contract in contracts}
    spot = one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]
    calls = sorted((c for c in contracts if c.type is ContractType.CALL), key=lambda c: c.strike_price)
    deltas = [chain[contract.symbol].greeks.delta for contract in calls]
    assert deltas == sorted(deltas, reverse=True)
    assert deltas[0] > 0.99
    assert deltas[-1] < 0.01
    assert len({snap.implied_volatility for snap in chain.values()}) == 1  # the model has no smile
    deep = chain[calls[0].symbol]
    assert deep.latest_trade.price >= spot - calls[0].strike_price
    some = options.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=[calls[0].symbol, "SYN03"]))
    assert some[calls[0].symbol].model_dump() == {
        **deep.model_dump(),
        "latest_trade": some[calls[0].symbol].latest_trade.model_dump(),
        "latest_quote": some[calls[0].symbol].latest_quote.model_dump(),
    }
    assert set(some) == {calls[0].symbol}


def test_the_header_says_that_a_model_made_the_numbers(one):
    answer = one.data._session.get(
        f"{one.url}/v1beta1/options/snapshots/SYN03", headers=one.data._get_default_headers()
    )
    assert "MODEL-MADE: Black-Scholes" in answer.headers["X-Market-Data"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "straddle"},
        {"expiration_date": "soon"},
        {"strike_price_gte": "nan"},
        {"strike_price_lte": "x"},
        {"limit": 0},
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(one, wrong):
    with pytest.raises(APIError) as caught:
        one.api.get("/options/contracts", {"underlying_symbols": "SYN03"} | wrong)
    assert (caught.value.status_code, caught.value.code) == (400, 40010001)


def test_exchange_codes(options):
    assert "V" in options.get_option_exchange_codes()
