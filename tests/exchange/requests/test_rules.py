"""What is refused and why, auctions and extended hours, replaces that lose the race, profiles, switches of a symbol."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import requests
from alpaca.common.exceptions import APIError

ORDER = {"symbol": "ACME", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}
LIMIT = ORDER | {"type": "limit", "limit_price": "90"}


def refused(call, *arguments):
    with pytest.raises(APIError) as caught:
        call(*arguments)
    body = caught.value.response.json()
    return caught.value.status_code, body["code"], body["message"]


def place(one, **change):
    return one.api.post("/orders", ORDER | change)


class TestAuctions:
    @pytest.mark.parametrize(
        ("at", "opg", "cls"),
        [
            ("2024-03-05 09:27", True, True),
            ("2024-03-05 09:28", False, True),
            ("2024-03-05 15:49", False, True),
            ("2024-03-05 15:50", False, False),
            ("2024-03-05 18:59", False, False),
            ("2024-03-05 19:00", True, True),
            ("2024-03-06 03:00", True, True),
        ],
    )
    def test_when_the_auctions_take_orders(self, trader, at, opg, cls):
        one = trader(at=at)
        for force, taken in (("opg", opg), ("cls", cls)):
            if taken:
                place(one, time_in_force=force)
            else:
                assert refused(one.api.post, "/orders", ORDER | {"time_in_force": force})[:2] == (422, 42210000)

    def test_an_evening_order_meets_the_next_auction(self, trader):
        one = trader(at="2024-03-04 19:00")
        names = {force: place(one, time_in_force=force)["id"] for force in ("opg", "cls")}
        one.advance("2024-03-05 16:00")
        assert [one.api.get_order_by_id(names[force])["filled_avg_price"] for force in ("opg", "cls")] == [
            "102.051",  # 102 · 1.0005
            "104.052",  # 104 · 1.0005
        ]


class TestExtendedHours:
    def test_only_limit_day_orders(self, trader):
        one = trader()
        assert refused(one.api.post, "/orders", ORDER | {"extended_hours": True})[2] == (
            'only type="limit" is allowed for extended hours orders'
        )
        gtc = LIMIT | {"extended_hours": True, "time_in_force": "gtc"}
        assert refused(one.api.post, "/orders", gtc)[:2] == (422, 40010001)

    def test_they_live_until_eight_in_the_evening(self, trader):
        one = trader(at="2024-03-05 12:00")
        order = one.api.post("/orders", LIMIT | {"extended_hours": True})
        assert order["expires_at"] == "2024-03-06T01:00:00.000000Z"  # 20:00 in New York
        one.advance("2024-03-05 19:59")
        assert one.api.get_order_by_id(order["id"])["status"] == "new"
        assert one.advance("2024-03-05 20:00").expired == 1
        assert one.api.get_order_by_id(order["id"])["expired_at"] == "2024-03-06T01:00:00.000000Z"


class TestNotionalSales:
    def test_a_sale_by_value(self, trader):
        one = trader()
        place(one)
        one.advance("2024-03-05 16:00")
        order = one.api.post("/orders", {**ORDER, "side": "sell", "qty": None, "notional": "520"})
        (position,) = one.api.get_all_positions()
        assert position["qty_available"] == "4.444444445"  # 10 − 5/0.9
        one.advance("2024-03-06 09:30")
        sold = one.api.get_order_by_id(order["id"])
        # 520 / (90 · 0.9995) would be 5.78; it held, and sells, at most 5/0.9
        assert (sold["status"], sold["filled_qty"]) == ("filled", "5.555555555")

    def test_more_than_there_is(self, trader):
        one = trader()
        place(one)
        one.advance("2024-03-05 16:00")
        status, code, message = refused(
            one.api.post, "/orders", {**ORDER, "side": "sell", "qty": None, "notional": "1100"}
        )
        assert (status, code) == (403, 40310000)
        assert message.startswith("insufficient qty available for order (requested: 10.57")


class TestSwitchesOfASymbol:
    @pytest.fixture
    def own(self, an_exchange, a_trader, tmp_path):
        with an_exchange(tmp_path / "own.db") as url:
            one = a_trader(url)
            yield one
            one.close()

    def switch(self, one, symbol="ACME", **facts):
        return requests.post(f"{one.url}/sim/symbols/{symbol}", json=facts, timeout=60)

    def test_halted(self, own):
        working = place(own, time_in_force="gtc")
        assert self.switch(own, halted=True).json()["halted"] is True
        assert refused(own.api.post, "/orders", ORDER) == (
            403,
            40310000,
            "asset ACME is not tradable: trading is halted",
        )
        own.advance("2024-03-05 16:00")
        assert own.api.get_order_by_id(working["id"])["status"] == "new"
        self.switch(own, halted=False)
        own.advance("2024-03-06 09:30")
        assert own.api.get_order_by_id(working["id"])["filled_avg_price"] == "90.045"  # 90 · 1.0005

    def test_short_sales_and_fractions(self, own):
        self.switch(own, shortable=False, fractionable=False)
        assert refused(own.api.post, "/orders", ORDER | {"side": "sell"})[1:] == (
            42210000,
            "asset ACME cannot be sold short",
        )
        assert refused(own.api.post, "/orders", ORDER | {"qty": "0.5"})[2] == 'asset "ACME" is not fractionable'
        self.switch(own, shortable=True, easy_to_borrow=False)
        assert refused(own.api.post, "/orders", ORDER | {"side": "sell", "time_in_force": "gtc"})[2] == (
            "only day orders are allowed for hard-to-borrow asset ACME"
        )
        place(own, side="sell")

    def test_nonsense(self, own):
        assert self.switch(own, "NOPE", halted=True).status_code == 404
        assert self.switch(own, halted="yes").status_code == 422
        assert self.switch(own, loud=True).status_code == 422

    def test_they_survive_a_restart(self, an_exchange, tmp_path):
        with an_exchange(tmp_path / "kept.db") as url:
            requests.post(f"{url}/sim/symbols/ACME", json={"halted": True}, timeout=60)
        with an_exchange(tmp_path / "kept.db") as url:
            assert requests.get(f"{url}/sim/symbols/ACME", timeout=60).json()["halted"] is True


class TestLatency:
    """A cancel or a replace takes an hour to arrive."""

    @pytest.fixture
    def slow(self, an_exchange, a_trader, tmp_path):
        with an_exchange(tmp_path / "slow.db", latency=dt.timedelta(hours=1)) as url:
            opened = []

            def build(**options):
                opened.append(a_trader(url, **options))
                return opened[-1]

            yield build
            for one in opened:
                one.close()

    def test_a_replace_that_arrives_in_time(self, slow):
        one = slow(at="2024-03-05 10:00")
        old = place(one, type="limit", limit_price="90")
        new = one.api.patch(f"/orders/{old['id']}", {"limit_price": "104"})
        assert one.api.get_order_by_id(old["id"])["status"] == "pending_replace"
        assert one.api.get_order_by_id(new["id"])["status"] == "pending_new"
        assert refused(one.api.patch, f"/orders/{old['id']}", {"limit_price": "91"})[1] == 42210000
        one.advance("2024-03-05 11:00")
        assert one.api.get_order_by_id(old["id"])["status"] == "replaced"
        one.advance("2024-03-05 16:00")
        assert one.api.get_order_by_id(new["id"])["filled_avg_price"] == "104"

    def test_a_replace_that_comes_too_late_is_rejected(self, slow, wait_until):
        one = slow(at="2024-03-04 17:00")
        old = place(one, time_in_force="gtc", type="limit", limit_price="103")
        one.advance("2024-03-05 09:00")
        with one.listening() as messages:
            new = one.api.patch(f"/orders/{old['id']}", {"limit_price": "80"})
            one.advance("2024-03-05 09:30")
            assert one.api.get_order_by_id(old["id"])["status"] == "filled"
            late = one.api.get_order_by_id(new["id"])
            assert (late["status"], late["failed_at"] is not None) == ("rejected", True)
            wait_until(lambda: len(messages) >= 5)
        events = [(message["data"]["event"], message["data"]["order"]["id"]) for message in messages]
        assert events[:5] == [
            ("pending_replace", old["id"]),
            ("pending_new", new["id"]),
            ("fill", old["id"]),
            ("rejected", new["id"]),
            ("order_replace_rejected", old["id"]),
        ]

    def test_what_fills_meanwhile_counts_for_the_new_order(self, slow):
        one = slow(at="2024-03-04 17:00")
        old = place(one, symbol="THIN", qty="250", time_in_force="gtc", type="limit", limit_price="10")
        one.advance("2024-03-05 09:00")
        new = one.api.patch(f"/orders/{old['id']}", {"qty": "300"})
        small = one.api.get_order_by_id(new["id"])
        assert small["qty"] == "300"
        one.advance("2024-03-05 16:00")
        assert one.api.get_order_by_id(old["id"])["filled_qty"] == "100"
        after = one.api.get_order_by_id(new["id"])
        assert (after["status"], after["qty"]) == ("new", "200")

    def test_a_cancel_of_an_exit_gives_up_its_replace_and_ends_the_other_exit_when_it_arrives(self, slow):
        one = slow(at="2024-03-04 17:00")
        exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
        entry = place(one, time_in_force="gtc", order_class="bracket", **exits)
        one.advance("2024-03-05 12:00")
        profit, stop = (leg["id"] for leg in entry["legs"])
        new = one.api.patch(f"/orders/{stop}", {"stop_price": "81"})
        one.api.cancel_order_by_id(stop)
        now = [one.api.get_order_by_id(name)["status"] for name in (profit, stop, new["id"])]
        assert now == ["new", "pending_cancel", "canceled"]
        one.advance("2024-03-05 13:00")
        assert [one.api.get_order_by_id(name)["status"] for name in (profit, stop)] == ["canceled", "canceled"]

    def test_a_replace_on_its_way_survives_a_restart(self, an_exchange, a_trader, tmp_path):
        hour = dt.timedelta(hours=1)
        with an_exchange(tmp_path / "again.db", latency=hour) as url:
            one = a_trader(url, at="2024-03-04 17:00")
            old = place(one, symbol="THIN", qty="250", time_in_force="gtc", type="limit", limit_price="10")
            one.advance("2024-03-05 09:00")
            new = one.api.patch(f"/orders/{old['id']}", {"qty": "300"})
            one.advance("2024-03-05 09:30")  # 100 of them fill before the replace arrives
            one.close()
        with an_exchange(tmp_path / "again.db", latency=hour) as url:
            again = a_trader(url)
            again.api._api_key, again.api._secret_key = one.keys.key_id, one.keys.secret_key
            requests.post(
                f"{url}/sim/accounts/{one.keys.name}/advance", json={"to": "2024-03-05T15:30:00Z"}, timeout=60
            ).raise_for_status()
            after = again.api.get_order_by_id(new["id"])
            again.close()
        assert (after["status"], after["qty"], after["replaces"]) == ("new", "200", old["id"])

    def test_a_cancel_that_comes_too_late(self, slow):
        one = slow(at="2024-03-04 17:00")
        order = place(one)
        one.advance("2024-03-05 09:00")
        one.api.cancel_order_by_id(order["id"])
        assert one.api.get_order_by_id(order["id"])["status"] == "pending_cancel"
        assert refused(one.api.delete, f"/orders/{order['id']}")[1] == 42210000
        one.advance("2024-03-05 09:30")
        assert one.api.get_order_by_id(order["id"])["status"] == "filled"

    def test_a_cancel_that_arrives(self, slow):
        one = slow(at="2024-03-05 10:00")
        order = one.api.post("/orders", LIMIT)
        one.api.cancel_order_by_id(order["id"])
        one.advance("2024-03-05 11:00")
        assert one.api.get_order_by_id(order["id"])["status"] == "canceled"

    def test_the_larger_of_the_two_is_reserved(self, slow):
        one = slow(at="2024-03-05 10:00", cash=2000, multiplier=1)
        old = one.api.post("/orders", LIMIT)
        one.api.patch(f"/orders/{old['id']}", {"qty": "20"})
        assert one.api.get_account()["buying_power"] == "200"  # 2000 − 20 · 90
        one.advance("2024-03-05 12:00")
        assert one.api.get_account()["buying_power"] == "200"


class TestProfiles:
    def test_cash(self, trader):
        one = trader(profile="cash", cash=1000)
        account = one.api.get_account()
        assert (account["multiplier"], account["buying_power"]) == ("1", "1000")
        assert refused(one.api.post, "/orders", ORDER | {"side": "sell"})[2] == "account is not allowed to short"
        assert "daytrade_count" not in account

    def test_four_day_trades_in_five_sessions_are_one_too_many(self, trader):
        one = trader(profile="margin-pdt-2025", cash=20_000)
        assert one.api.get_account()["multiplier"] == "4"
        assert one.api.get_account()["buying_power"] == "40000"  # below 25,000 it is twice the equity
        for number, symbol in enumerate(("ACME", "THIN", "CENT")):
            place(one, symbol=symbol, time_in_force="day")
            one.advance(f"2024-03-0{5 + number} 09:30")
            place(one, symbol=symbol, side="sell", time_in_force="day")
            one.advance(f"2024-03-0{5 + number} 16:00")
        assert one.api.get_account()["daytrade_count"] == 3
        place(one)
        one.advance("2024-03-08 09:30")
        assert refused(one.api.post, "/orders", ORDER | {"side": "sell"}) == (
            403,
            40310100,
            "trade denied due to pattern day trading protection",
        )
        one.advance("2024-03-08 16:00")
        place(one, side="sell")  # it will fill in another session

    def test_fees_of_sales(self, trader):
        one = trader(profile="margin-fees-2025")
        place(one, qty="1000")
        one.advance("2024-03-05 16:00")
        assert one.api.get("/account/activities/FEE") == []
        place(one, qty="1000", side="sell")
        one.advance("2024-03-06 16:00")
        (fee,) = one.api.get("/account/activities/FEE")
        # 0.0000278 · 1000 · 89.955 + 0.000166 · 1000 = 2.500749 + 0.166, up to the cent
        assert (fee["net_amount"], fee["activity_type"]) == ("-2.67", "FEE")
        assert one.api.get_account()["cash"] == "87901.33"  # 100000 − 102051 + 89955 − 2.67

    def test_unknown(self, url):
        body = {"name": "x", "at": "2024-03-04T21:00:00Z", "profile": "golden"}
        assert requests.post(f"{url}/sim/accounts", json=body, timeout=60).status_code == 422


class TestConfigurations:
    def test_values_are_checked(self, trader):
        one = trader()
        for change in ({"suspend_trade": "maybe"}, {"max_margin_multiplier": "9"}, {"max_options_trading_level": 7}):
            assert refused(one.api.patch, "/account/configurations", change)[:2] == (422, 40010001)
        assert one.api.get("/account/configurations")["suspend_trade"] is False

    def test_they_have_effects(self, trader):
        one = trader(cash=1000)
        one.api.patch("/account/configurations", {"max_margin_multiplier": "1", "fractional_trading": False})
        assert one.api.get_account()["buying_power"] == "1000"
        assert refused(one.api.post, "/orders", ORDER | {"qty": "0.5"})[:2] == (403, 40310000)


NONSENSE = ["", "x", -1, 0, 1e30, "1e400", "1" * 100, "NaN", "Infinity", float("nan"), [], {}, [1], {"a": 1}, True,
            "\ud800", "\x00", "0." + "0" * 40 + "1", None]  # fmt: skip
FIELDS = ("symbol", "qty", "notional", "side", "type", "time_in_force", "limit_price", "stop_price", "trail_price",
          "trail_percent", "client_order_id", "order_class", "take_profit", "stop_loss", "legs", "extended_hours",
          "position_intent")  # fmt: skip


class TestNonsense:
    def send(self, one, method, path, body):
        headers = {"APCA-API-KEY-ID": one.keys.key_id, "APCA-API-SECRET-KEY": one.keys.secret_key}
        return requests.request(method, one.url + path, data=json.dumps(body), headers=headers, timeout=60)

    @pytest.mark.parametrize("name", FIELDS)
    def test_nothing_makes_the_exchange_stumble(self, trader, name):
        one = trader()
        bodies = [
            LIMIT,
            LIMIT | {"order_class": "bracket", "take_profit": {"limit_price": 120}, "stop_loss": {"stop_price": 80}},
            {"order_class": "mleg", "qty": "1", "type": "market", "time_in_force": "day", "legs": [{}, {}]},
        ]
        for body in bodies:
            for value in NONSENSE:
                reply = self.send(one, "POST", "/v2/orders", body | {name: value})
                assert reply.status_code in {200, 400, 403, 422}, (value, reply.text)
                assert reply.status_code == 200 or reply.json()["message"]
        for value in NONSENSE:
            exits = {"take_profit": {"limit_price": value}, "stop_loss": {"stop_price": value, "limit_price": value}}
            reply = self.send(one, "POST", "/v2/orders", LIMIT | {"order_class": "bracket"} | exits)
            assert reply.status_code in {400, 422}, (value, reply.text)

    def test_a_replace_with_nonsense(self, trader):
        one = trader()
        order = one.api.post("/orders", LIMIT)
        for name in ("qty", "limit_price", "stop_price", "trail", "time_in_force", "client_order_id"):
            for value in NONSENSE:
                path = f"/v2/orders/{order['id']}"
                reply = self.send(one, "PATCH", path, {name: value})
                assert reply.status_code in {200, 403, 422}, (name, value, reply.text)
                if reply.status_code == 200:
                    order = reply.json()

    def test_queries_with_nonsense(self, trader):
        one = trader()
        headers = {"APCA-API-KEY-ID": one.keys.key_id, "APCA-API-SECRET-KEY": one.keys.secret_key}
        for path, names in {
            "/v2/orders": ("status", "limit", "after", "after_order_id", "symbols", "side", "asset_class", "nested"),
            "/v2/account/activities": ("activity_types", "category", "page_size", "page_token", "date", "after"),
            "/v2/account/portfolio/history": ("period", "timeframe", "start", "end", "date_end", "pnl_reset"),
        }.items():  # fmt: skip
            for name in names:
                for value in ("x", "-1", "1e400", "99999999999999A", "\x00", "é", "0M", "9999-12-31", "0001-01-01"):
                    reply = requests.get(one.url + path, params={name: value}, headers=headers, timeout=60)
                    assert reply.status_code in {200, 400, 404, 422}, (path, name, value, reply.text)

    def test_a_wrong_key(self, trader):
        one = trader()
        reply = requests.post(f"{one.url}/v2/orders", json=ORDER, headers={"APCA-API-KEY-ID": "x"}, timeout=60)
        assert reply.status_code in {401, 403}


def test_a_page_of_activities_mixes_fills_and_others(trader):
    one = trader(profile="margin-fees-2025")
    place(one)
    place(one, symbol="THIN")
    one.advance("2024-03-05 16:00")
    place(one, side="sell")
    place(one, symbol="THIN", side="sell")
    one.advance("2024-03-06 16:00")
    whole = one.api.get("/account/activities")
    assert [row["activity_type"] for row in whole] == ["FEE", "FEE", "FILL", "FILL", "FILL", "FILL"]
    for direction in ("asc", "desc"):
        seen, token = [], None
        while page := one.api.get("/account/activities", {"page_size": 1, "page_token": token, "direction": direction}):
            seen += [row["id"] for row in page]
            token = page[-1]["id"]
        expected = [row["id"] for row in whole]
        assert seen == (expected if direction == "desc" else expected[::-1])
    assert len(one.api.get("/account/activities", {"category": "non_trade_activity"})) == 2
    assert len(one.api.get("/account/activities", {"activity_types": "FILL,FEE"})) == 6
    assert whole[0]["date"] == "2024-03-06"


def test_what_is_said_about_a_symbol_is_said_of_the_asset(an_exchange, a_trader, tmp_path):
    with an_exchange(tmp_path / "assets.db") as url:
        one = a_trader(url)
        requests.post(f"{url}/sim/symbols/ACME", json={"halted": True, "easy_to_borrow": False}, timeout=60)
        asset = one.api.get_asset("ACME")
        one.close()
    assert (asset["tradable"], asset["easy_to_borrow"], asset["shortable"]) == (False, False, True)
