"""The admin API: accounts, clocks, and what the exchange refuses to do with them."""

from __future__ import annotations

import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

from workbench.errors import ExchangeUnavailable
from workbench.exchange import embedded


def buy(symbol="ACME", qty=1, force="day"):
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=TimeInForce(force))


def test_opening_is_idempotent_by_name(url, handmade):
    at = handmade.moment("2024-03-04 16:00")
    first = embedded.open_account(url, name="twice", cash=500, at=at)
    embedded.advance(url, name="twice", to=handmade.moment("2024-03-05 16:00"))
    again = embedded.open_account(url, name="twice", cash=9, at=at)
    assert (again.key_id, again.secret_key, again.account_number) == (
        first.key_id,
        first.secret_key,
        first.account_number,
    )
    assert again.clock == handmade.moment("2024-03-05 16:00")
    state = next(state for state in embedded.accounts(url) if state.name == "twice")
    assert (state.cash, state.equity) == (500.0, 500.0)


def test_an_account_is_found_by_its_clock(url, trader, handmade):
    one = trader(at="2024-03-07 13:00")
    assert embedded.account_at(url, at=handmade.moment("2024-03-07 13:00"), prefix="trader-").name == one.keys.name
    assert embedded.account_at(url, at=handmade.moment("2024-03-07 13:00"), prefix="daily-") is None
    assert embedded.account_at(url, at=handmade.moment("2024-03-07 13:01")) is None
    assert embedded.account(url, name="nobody") is None


def test_keys_are_shown_to_who_asks_for_one_account_and_never_in_the_list_or_a_repr(url, trader):
    one = trader()
    listed = requests.get(f"{url}/sim/accounts", timeout=60).text
    assert one.keys.secret_key not in listed
    assert one.keys.secret_key not in repr(one.keys)
    assert embedded.account(url, name=one.keys.name) == one.keys


def test_a_clock_does_not_go_back(trader):
    one = trader(at="2024-03-05 16:00")
    with pytest.raises(ExchangeUnavailable, match=r"stands at 2024-03-05T21:00.*cannot go back to 2024-03-04T21:00"):
        one.advance("2024-03-04 16:00")
    assert one.advance("2024-03-05 16:00").fills == 0  # standing still is fine


def test_every_open_and_close_on_the_way_counts(trader):
    one = trader()
    one.api.submit_order(buy("THIN", qty=450, force="gtc"))
    one.api.submit_order(
        LimitOrderRequest(symbol="ACME", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=50)
    )
    done = one.advance("2024-03-08 16:00")
    assert (done.fills, done.expired) == (4, 1)
    assert done.clock == dt.datetime(2024, 3, 8, 21, tzinfo=dt.UTC)


def test_advances_at_the_same_time_are_done_one_after_the_other(trader):
    one = trader(at="2024-03-04 16:00")
    one.api.submit_order(buy("THIN", qty=1000, force="gtc"))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: one.advance("2026-03-06 16:00"), range(4)))
    assert sum(each.fills for each in done) == 4  # four sessions with bars; nobody plays a session twice
    assert one.api.get_open_position("THIN")["qty"] == "400"


def test_other_accounts_are_answered_during_a_long_advance(trader):
    one, other = trader(), trader()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(one.advance, "2030-12-02 16:00")
        answered = 0
        while not long.done():
            other.api.get_account()
            answered += 1
        assert long.result().clock.year == 2030
    assert answered > 2


def test_accounts_have_clocks_of_their_own(trader):
    early, late = trader(at="2024-03-04 16:00"), trader(at="2024-03-07 16:00")
    late.advance("2024-03-08 16:00")
    assert early.api.get_clock()["timestamp"].startswith("2024-03-04T16:00")
    assert early.api.get_asset("LATE")["tradable"] is False


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": ""}, "name"),
        ({"name": "x"}, "at is required"),
        ({"name": "x", "at": "soon"}, "ISO 8601"),
        ({"name": "x", "at": "1900-01-01T00:00:00Z"}, "calendar"),
        ({"name": "x", "at": "2024-03-04T21:00:00Z", "cash": "-5"}, "cash"),
        ({"name": "x", "clock": "sundial"}, "replay or real"),
    ],
)
def test_a_wrong_account_is_refused(url, body, message):
    answer = requests.post(f"{url}/sim/accounts", json=body, timeout=60)
    assert answer.status_code == 422
    assert message in answer.json()["message"]
    assert embedded.account(url, name="x") is None


def test_advance_of_nobody_and_beyond_the_calendar(url, trader):
    with pytest.raises(ExchangeUnavailable, match="404"):
        embedded.advance(url, name="nobody", to=dt.datetime(2024, 3, 8, tzinfo=dt.UTC))
    with pytest.raises(ExchangeUnavailable, match="calendar"):
        trader().advance("2041-01-01 16:00")


def test_a_foreign_host_is_refused(url):
    answer = requests.get(f"{url}/sim/accounts", headers={"Host": "evil.example.org"}, timeout=60)
    assert answer.status_code == 403


def test_the_rate_limit_counts_by_key(an_exchange, a_trader, tmp_path):
    with an_exchange(tmp_path / "x.db", rate_limit=3) as address:
        one = a_trader(address)
        replies = [
            requests.get(
                f"{address}/v2/clock",
                headers={"APCA-API-KEY-ID": one.keys.key_id, "APCA-API-SECRET-KEY": one.keys.secret_key},
                timeout=60,
            )
            for _ in range(8)
        ]
        one.close()
    # The window may turn once in between: three are let in, or six of the eight at most.
    assert [reply.status_code for reply in replies[:3]] == [200, 200, 200]
    assert 429 in {reply.status_code for reply in replies}
    assert {reply.headers["X-RateLimit-Limit"] for reply in replies} == {"3"}
    assert int(replies[0].headers["X-RateLimit-Reset"]) % 60 == 0
    assert "0" in {reply.headers["X-RateLimit-Remaining"] for reply in replies}
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["code"] == 42910000


def test_without_a_limit_there_are_no_limit_headers(trader):
    one = trader()
    reply = one.api._session.get(f"{one.url}/v2/clock", headers=one.api._get_default_headers(), timeout=60)
    assert "X-RateLimit-Limit" not in reply.headers


def test_two_exchanges_cannot_share_a_database(an_exchange, tmp_path):
    with an_exchange(tmp_path / "x.db"), pytest.raises(ExchangeUnavailable, match="another exchange"):  # noqa: SIM117
        with an_exchange(tmp_path / "x.db"):
            pass


def test_an_accident_inside_is_a_500_and_the_log_holds_no_key(trader, monkeypatch, capsys, caplog):
    from workbench.exchange.ledger.ledger import Ledger

    one = trader()

    def broken(*_):
        raise RuntimeError("the disk is on fire")

    caplog.set_level(logging.DEBUG)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "write", broken)
        reply = one.api._session.post(
            f"{one.url}/v2/orders",
            headers=one.api._get_default_headers(),
            json={"symbol": "ACME", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"},
            timeout=60,
        )
    assert (reply.status_code, reply.json()["code"]) == (500, 50010000)
    assert "fire" not in reply.text
    printed = "".join(capsys.readouterr()) + caplog.text
    assert "the disk is on fire" in printed
    assert one.keys.secret_key not in printed
    assert one.keys.key_id not in printed
    assert one.api.get_orders() == []
    one.api.submit_order(buy())  # it goes on
    assert one.advance("2024-03-05 16:00").fills == 1


def test_a_real_clock_runs_on_the_wall_and_nobody_advances_it(url, trader):
    one = trader(clock="real")
    before = dt.datetime.now(dt.UTC)
    shown = dt.datetime.fromisoformat(one.api.get_clock()["timestamp"])
    assert before - dt.timedelta(seconds=1) < shown < dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    with pytest.raises(ExchangeUnavailable, match="real clock"):
        embedded.advance(url, name=one.keys.name, to=before + dt.timedelta(days=1))
