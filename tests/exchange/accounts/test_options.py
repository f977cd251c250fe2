"""Options orders against answers worked out by hand, on a market whose option prices are given."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from decimal import Decimal

import pytest

from workbench.exchange.accounts.option_margin import covering, requirement
from workbench.exchange.clock import Timeline
from workbench.exchange.ledger.ledger import Ledger
from workbench.exchange.market.market import Print
from workbench.exchange.matching.matching import Bar, Rules
from workbench.exchange.state.account_rules import PROFILES
from workbench.exchange.state.occ import contract_of, multiplier_of
from workbench.exchange.venue import Venue
from workbench.exchange.wire import Refusal, order_json

CALL90, CALL95, CALL100 = (f"ACME240307C00{strike:03d}000" for strike in (90, 95, 100))
PUT90, PUT100 = (f"ACME240307P00{strike:03d}000" for strike in (90, 100))
# (open, close) of each session; ACME closes its last day at 95.
PRICES = {
    "ACME": {"2024-03-04": (100, 101), "2024-03-05": (102, 104), "2024-03-06": (90, 92), "2024-03-07": (93, 95)},
    CALL90: {"2024-03-04": (11, 12), "2024-03-05": (12, 14), "2024-03-06": (4, 5), "2024-03-07": (4, 5)},
    CALL95: {"2024-03-04": (7, 8), "2024-03-05": (8, 10), "2024-03-06": (2, 2), "2024-03-07": (1, "0.01")},
    CALL100: {"2024-03-04": (4, 5), "2024-03-05": (5, 6), "2024-03-06": (1, 1), "2024-03-07": ("0.5", "0.01")},
    PUT90: {"2024-03-04": (1, 1), "2024-03-05": (1, 1), "2024-03-06": (2, 2), "2024-03-07": (1, "0.01")},
    PUT100: {"2024-03-04": (2, 2), "2024-03-05": (2, 1), "2024-03-06": (11, 9), "2024-03-07": (8, 5)},
}
TIMELINE = Timeline("XNYS")


class Given:
    """A market that knows `PRICES` and nothing else."""

    timeline = TIMELINE

    def knows(self, symbol):
        return symbol in PRICES

    def last(self, symbol, moment):
        seen = None
        for day, (opened, closed) in PRICES[symbol].items():
            session = TIMELINE.session_of(dt.date.fromisoformat(day))
            for price, at in ((opened, session.opens), (closed, session.closes)):
                if at <= moment:
                    seen = Print(Decimal(str(price)), at)
        return seen

    def bar(self, symbol, step):
        row = PRICES[symbol].get(step.session.date.isoformat())
        if row is None:
            return None
        opened, closed = (Decimal(str(price)) for price in row)
        session = step.session
        return Bar(
            symbol,
            session.date,
            session.opens,
            session.closes,
            closed,
            opened,
            max(opened, closed),
            min(opened, closed),
        )


class Desk:
    """One account on the given market, without slippage, at the close of 2024-03-04."""

    def __init__(self, ledger, *, cash=100_000, profile="margin"):
        self.told = []
        self.venue = Venue(
            ledger=ledger,
            market=Given(),
            rules=Rules(slippage=Decimal(0)),
            publish=lambda _, events: self.told.extend(event["data"] for event in events),
            wall=lambda: dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC),
        )
        at = dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC)
        self.venue.open_account("one", cash=Decimal(cash), at=at, profile=profile)

    @property
    def account(self):
        return self.venue.account("one")

    @property
    def held(self):
        return {symbol: int(position.qty) for symbol, position in self.account.positions.items()}

    def place(self, symbol, side="buy", qty=1, **more):
        body = {"symbol": symbol, "side": side, "qty": str(qty), "type": "market", "time_in_force": "day"}
        return self.venue.submit(self.account, body | more)

    def combine(self, *legs, limit=None, qty=1, **more):
        body = {"order_class": "mleg", "qty": str(qty), "type": "market" if limit is None else "limit"}
        if limit is not None:
            body["limit_price"] = str(limit)
        listed = [
            {"symbol": symbol, "side": side, "ratio_qty": str(ratio), "position_intent": f"{side}_to_open"}
            for symbol, side, ratio in legs
        ]
        return self.venue.submit(self.account, body | {"time_in_force": "day", "legs": listed} | more)

    def advance(self, text):
        to = dt.datetime.fromisoformat(f"{text}:00-05:00").astimezone(dt.UTC)
        return asyncio.run(self.venue.advance("one", to=to))

    def order(self, order):
        return self.venue.ledger.order(self.account.id, order.id)

    def activities(self):
        return [
            (one.kind, one.symbol, int(one.qty), int(one.net_amount))
            for one in self.venue.ledger.activities(self.account.id)
        ]


@pytest.fixture
def desk(tmp_path):
    with contextlib.ExitStack() as opened:

        def build(name="x", **options):
            return Desk(opened.enter_context(contextlib.closing(Ledger(tmp_path / f"{name}.db"))), **options)

        yield build


def refused(call, *arguments, **more):
    with pytest.raises(Refusal) as caught:
        call(*arguments, **more)
    return caught.value.status, caught.value.body["code"], caught.value.body["message"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CALL90, ("ACME", dt.date(2024, 3, 7), True, Decimal(90))),
        ("SYN03250117P00012500", ("SYN03", dt.date(2025, 1, 17), False, Decimal("12.5"))),
        ("ACME", None),
        ("ACME241307C00090000", None),
        ("ACME240307X00090000", None),
        ("ACME240307C0009000", None),
    ],
)
def test_names(text, expected):
    found = contract_of(text)
    assert expected == (found and (found.underlying, found.expiration, found.is_call, found.strike))
    assert multiplier_of(text) == (1 if expected is None else 100)


class TestRequirement:
    """What short options may cost at worst, without the premium."""

    @pytest.mark.parametrize(
        ("positions", "expected"),
        [
            ({PUT90: -2}, 18_000),  # 2 · 100 · 90 at a price of zero
            ({PUT90: 1, PUT100: -1}, 1000),  # a put spread: its width
            ({CALL90: 1, CALL100: -1}, 0),  # a debit call spread can only gain
            ({CALL90: -1, CALL100: 1}, 1000),
            ({CALL100: -1, "ACME": 100}, 0),  # covered
            ({CALL100: -1, "ACME": 99}, None),
            ({CALL90: 1, CALL95: -2, CALL100: 1}, 0),  # butterfly
            (
                {PUT90: -1, CALL100: -1, "ACME240307P00085000": 1, "ACME240307C00105000": 1},
                500,
            ),  # condor: one side only
            ({CALL90: 1, "ACME240308C00090000": -1}, None),  # the long one is gone a day before the short one
            ({CALL90: -1, "ACME240308C00090000": 1}, 0),  # calendar
            ({"ACME": -100}, 0),
        ],
        ids=str,
    )
    def test_by_hand(self, positions, expected):
        assert requirement({symbol: Decimal(qty) for symbol, qty in positions.items()}) == expected

    def test_shares_behind_calls(self):
        assert covering({"ACME": Decimal(250), CALL100: Decimal(-2)}, "ACME") == 200
        assert covering({"ACME": Decimal(250), CALL100: Decimal(-2), CALL90: Decimal(1)}, "ACME") == 100
        assert covering({"ACME": Decimal(250)}, "ACME") == 0


class TestSingle:
    def test_a_contract_is_a_hundred_shares(self, desk):
        one = desk()
        order = one.place(CALL90, qty=2)
        assert (order.position_intent, order.asset_class) == ("buy_to_open", "us_option")
        one.advance("2024-03-05T16:00")
        assert one.held == {CALL90: 2}
        assert one.account.cash == 100_000 - 2 * 100 * 12
        told = one.told[-1]["order"]
        assert (told["status"], told["qty"], told["filled_avg_price"]) == ("filled", "2", "12")

    def test_options_are_paid_in_full(self, desk):
        one = desk(cash=1000)
        # 12 · 1.04 · 100: a market buy is collared, and margin does not help
        assert refused(one.place, CALL90) == (403, 40310000, "insufficient options buying power")
        one.place(CALL100, type="limit", limit_price="5")
        assert refused(one.place, CALL100, type="limit", limit_price="5.01")[1] == 40310000

    def test_short_puts_are_secured_by_cash_and_calls_by_shares(self, desk):
        one = desk(cash=9000)
        one.place(PUT90, "sell", type="limit", limit_price="1")  # 9000 − 100 of premium
        assert (
            refused(one.place, PUT90, "sell", type="limit", limit_price="1")[2] == "insufficient options buying power"
        )
        other = desk("y")
        naked = "account not eligible to trade uncovered option contracts"
        assert refused(other.place, CALL100, "sell") == (403, 40310000, naked)
        other.place("ACME", qty=150)
        other.advance("2024-03-05T09:30")
        other.place(CALL100, "sell")
        short = "insufficient underlying qty available for covered call"
        assert refused(other.place, CALL95, "sell") == (403, 40310000, short)
        assert refused(other.place, "ACME", "sell", qty=51)[2] == (
            "insufficient qty available for order (requested: 51, available: 50)"
        )
        other.advance("2024-03-05T16:00")
        assert other.held == {"ACME": 150, CALL100: -1}

    def test_closing(self, desk):
        one = desk()
        one.place(CALL90, qty=2)
        one.advance("2024-03-05T16:00")
        assert refused(one.place, CALL90, "sell", qty=3, position_intent="sell_to_close")[2] == (
            "insufficient qty available for order (requested: 3, available: 2)"
        )
        assert refused(one.place, CALL90, "sell", position_intent="sell_to_open")[1] == 40310000
        one.place(CALL90, "sell", qty=2)
        one.advance("2024-03-06T16:00")
        assert one.held == {}
        assert one.account.cash == 100_000 - 2 * 100 * 12 + 2 * 100 * 4

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"qty": "0.5"}, 422),
            ({"time_in_force": "gtc"}, 422),
            ({"type": "stop", "stop_price": "3"}, 422),
            ({"type": "limit", "limit_price": "3", "extended_hours": True}, 422),
            ({"symbol": "ACME240307C00091000"}, 422),
            ({"order_class": "bracket", "take_profit": {"limit_price": 20}, "stop_loss": {"stop_price": 2}}, 422),
        ],
        ids=str,
    )
    def test_refused(self, desk, change, status):
        change = dict(change)
        assert refused(desk().place, change.pop("symbol", CALL90), **change)[0] == status

    def test_levels(self, desk):
        one = desk(profile="cash")
        assert refused(one.combine, (CALL90, "buy", 1), (CALL100, "sell", 1))[0] == 403
        one.venue.configure(one.account, {"max_options_trading_level": 1})
        assert refused(one.place, CALL90)[0] == 403
        assert PROFILES["cash"].options_level == 2


class TestSeveralLegs:
    def test_all_legs_fill_together_at_the_net(self, desk):
        one = desk()
        order = one.combine((CALL90, "buy", 1), (CALL100, "sell", 1), limit=7, qty=3)
        one.advance("2024-03-05T09:30")  # 12 − 5 = 7
        assert one.held == {CALL90: 3, CALL100: -3}
        assert one.account.cash == 100_000 - 3 * 700
        done = one.order(order)
        assert (done.status, done.average_price) == ("filled", Decimal(7))
        legs = one.venue.ledger.family(one.account.id, [order.id])[order.id]
        assert [(leg.status, leg.average_price, leg.filled_qty) for leg in legs] == [
            ("filled", Decimal(12), Decimal(3)),
            ("filled", Decimal(5), Decimal(3)),
        ]

    def test_or_none_of_them(self, desk):
        one = desk()
        order = one.combine((CALL90, "buy", 1), (CALL100, "sell", 1), limit="6.99")
        one.advance("2024-03-05T16:00")  # 7 at the open, 14 − 6 = 8 at the close
        assert one.order(order).status == "expired"
        legs = one.venue.ledger.family(one.account.id, [order.id])[order.id]
        assert {leg.status for leg in legs} == {"expired"}
        assert one.held == {}

    def test_a_credit_is_below_zero_and_its_width_is_reserved(self, desk):
        one = desk(cash=1000)
        assert refused(one.combine, (PUT100, "sell", 1), (PUT90, "buy", 1), limit="0.5")[1] == 40310000
        one.combine((PUT100, "sell", 1), (PUT90, "buy", 1), limit="-1")  # 1000 − 100
        one.advance("2024-03-05T09:30")
        assert one.held == {PUT100: -1, PUT90: 1}
        assert one.account.cash == 1100
        assert refused(one.combine, (PUT100, "sell", 1), (PUT90, "buy", 1), limit="-0.5")[1] == 40310000

    def test_the_json_is_alpacas(self, desk):
        one = desk()
        order = one.combine((CALL90, "buy", 2), (CALL100, "sell", 1))
        body = order_json(order, legs=one.account.family(order.id))
        assert [body[name] for name in ("symbol", "side", "asset_id", "asset_class", "order_class")] == [
            "",
            "",
            "",
            "",
            "mleg",
        ]
        assert [(leg["symbol"], leg["ratio_qty"], leg["type"], leg["position_intent"]) for leg in body["legs"]] == [
            (CALL90, "2", "", "buy_to_open"),
            (CALL100, "1", "", "sell_to_open"),
        ]
        assert len({body["client_order_id"], *(leg["client_order_id"] for leg in body["legs"])}) == 3

    @pytest.mark.parametrize(
        ("legs", "message"),
        [
            (
                [(CALL90, "buy", 3), (CALL100, "sell", 3)],
                "leg ratio quantities should be relatively prime: GCD[3 3] = 3",
            ),
            ([(CALL90, "buy", 1)], "at least 2 legs are required for the mleg order class"),
            ([(CALL90, "buy", 1), (CALL90, "sell", 2)], "all legs must have unique symbols"),
            ([(CALL90, "buy", 1), ("ACME", "sell", 1)], "invalid legs: ACME is not an option contract"),
            ([(CALL90, "buy", 1), (CALL100, "sell", "0.5")], "ratio_qty must be a whole number > 0"),
            ([(CALL90, "sell", 2), (CALL100, "buy", 1)], "account not eligible to trade uncovered option contracts"),
        ],
    )
    def test_refused(self, desk, legs, message):
        assert refused(desk().combine, *legs)[2] == message

    def test_cancel_and_replace_take_all_legs_along(self, desk):
        one = desk()
        order = one.combine((CALL90, "buy", 1), (CALL100, "sell", 1), limit=5)
        leg = one.account.family(order.id)[0]
        assert refused(one.venue.cancel, one.account, leg)[0] == 422
        new = one.venue.replace(one.account, order, {"limit_price": "7", "qty": "2"})
        assert one.order(order).status == "replaced"
        assert [leg.qty for leg in one.account.family(new.id)] == [Decimal(2), Decimal(2)]
        one.venue.cancel(one.account, new)
        found = one.venue.ledger.family(one.account.id, [new.id])[new.id]
        assert {leg.status for leg in found} == {"canceled"}
        assert (one.account.families, len(one.account.orders), one.account.orders.reserved) == ({}, 0, 0)

    def test_a_restart_gives_back_the_legs(self, tmp_path):
        with contextlib.closing(Ledger(tmp_path / "z.db")) as ledger:
            one = Desk(ledger)
            order = one.combine((CALL90, "buy", 1), (CALL100, "sell", 1), limit=7)
        with contextlib.closing(Ledger(tmp_path / "z.db")) as ledger:
            again = Desk(ledger)
            assert [leg.symbol for leg in again.account.family(order.id)] == [CALL90, CALL100]
            again.advance("2024-03-05T09:30")
            assert again.held == {CALL90: 1, CALL100: -1}


class TestTheEnd:
    def test_exercised_assigned_and_gone(self, desk):
        one = desk()
        one.place(CALL90, qty=2)
        one.combine((PUT100, "sell", 1), (PUT90, "buy", 1))
        one.advance("2024-03-07T15:00")
        assert one.activities() == []
        one.advance("2024-03-07T16:00")  # ACME closes at 95
        assert one.activities() == [
            ("OPEXC", CALL90, -2, 0),
            ("OPTRD", "ACME", 200, -18_000),
            ("OPEXP", PUT90, -1, 0),
            ("OPASN", PUT100, 1, 0),
            ("OPTRD", "ACME", 100, -10_000),
        ]
        assert one.held == {"ACME": 300}
        assert one.account.positions["ACME"].average_entry == Decimal("93.333333333")  # (200 · 90 + 100 · 100) / 300
        assert one.account.cash == 100_000 - 2400 + 100 - 28_000  # 12 · 200 paid, 2 − 1 taken in

    def test_a_covered_call_delivers_its_shares(self, desk):
        one = desk()
        one.place("ACME", qty=100)
        one.advance("2024-03-05T09:30")
        one.place(CALL90, "sell")
        one.advance("2024-03-07T16:00")
        assert one.held == {}
        assert one.account.cash == 100_000 - 10_200 + 1400 + 9000  # sold at 14 at the close of the 5th

    def test_exercise_on_request(self, desk):
        one = desk()
        one.place(CALL90, qty=1)
        one.advance("2024-03-05T16:00")
        one.venue.exercise(one.account, CALL90)
        assert one.held == {"ACME": 100}
        assert one.account.cash == 100_000 - 1200 - 9000
        assert refused(one.venue.exercise, one.account, CALL90)[0] == 404
        assert refused(one.venue.exercise, one.account, "ACME")[0] == 422

    def test_what_cannot_be_exercised(self, desk):
        one = desk(cash=10_000)
        one.place(PUT90, "sell", type="limit", limit_price="1")
        one.advance("2024-03-05T09:30")
        assert refused(one.venue.exercise, one.account, PUT90) == (403, 40310001, "cannot exercise short position")
        rich = desk("y", cash=3000)
        rich.place(CALL90)
        rich.place(PUT100)
        rich.advance("2024-03-05T09:30")
        assert refused(rich.venue.exercise, rich.account, PUT100)[2] == (
            "insufficient underlying qty available to exercise the put"
        )
        rich.place(CALL90, "sell")
        assert refused(rich.venue.exercise, rich.account, CALL90)[2] == "cannot exercise: contracts are held for orders"

    def test_a_contract_whose_day_is_past_is_not_traded(self, desk):
        one = desk()
        one.advance("2024-03-07T16:00")
        assert refused(one.place, CALL90)[2] == f"asset {CALL90} is not active: the contract has expired"
