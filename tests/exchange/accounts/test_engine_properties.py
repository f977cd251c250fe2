"""Whatever is asked in whatever order: books add up, nothing is sold twice, and the ledger holds what memory holds."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.exchange.clock import Timeline
from workbench.exchange.ledger.ledger import Ledger
from workbench.exchange.market.market import Market
from workbench.exchange.matching.matching import Rules
from workbench.exchange.venue import Venue
from workbench.exchange.wire import Refusal

CASH = Decimal(100_000)
TIMELINE = Timeline("XNYS")
SYMBOLS = st.sampled_from(["ACME", "THIN", "THIN"])  # the volume of THIN gives everything in parts
QTY = st.sampled_from(["1", "7", "60", "150", "250"])
LOW = {"ACME": ("80", "89", "93"), "THIN": ("9", "9.2", "9.5")}
HIGH = {"ACME": ("105", "108", "120"), "THIN": ("10.5", "10.8", "11")}
ANY = {"ACME": ("89", "93", "97", "103"), "THIN": ("9.2", "9.9", "10", "10.5")}


@st.composite
def entries(draw):
    """Brackets and OTO with exits on the right sides of the price, mostly long."""
    symbol, side = draw(SYMBOLS), draw(st.sampled_from(["buy", "buy", "buy", "sell"]))
    stops, profits = (LOW, HIGH) if side == "buy" else (HIGH, LOW)
    body = {"symbol": symbol, "side": side, "qty": draw(QTY), "type": "market", "time_in_force": "gtc"}
    body |= {"order_class": draw(st.sampled_from(["bracket", "bracket", "oto"]))}
    body["stop_loss"] = {"stop_price": draw(st.sampled_from(stops[symbol]))}
    if body["order_class"] == "bracket":
        body["take_profit"] = {"limit_price": draw(st.sampled_from(profits[symbol]))}
    return "submit", body


@st.composite
def pairs(draw):
    """OCO exits of a long position."""
    symbol = draw(SYMBOLS)
    body = {"symbol": symbol, "side": "sell", "qty": draw(QTY), "type": "limit", "time_in_force": "gtc"}
    body |= {"order_class": "oco", "take_profit": {"limit_price": draw(st.sampled_from(HIGH[symbol]))}}
    return "submit", body | {"stop_loss": {"stop_price": draw(st.sampled_from(LOW[symbol]))}}


@st.composite
def simple(draw):
    """Orders of every type."""
    symbol, kind = draw(SYMBOLS), draw(st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]))
    force = draw(st.sampled_from(["day", "gtc"] if kind == "trailing_stop" else ["day", "gtc", "ioc", "fok"]))
    side = draw(st.sampled_from(["buy", "buy", "sell"]))
    body = {"symbol": symbol, "side": side, "qty": draw(QTY), "type": kind, "time_in_force": force}
    if "limit" in kind:
        body["limit_price"] = draw(st.sampled_from(ANY[symbol]))
    if kind.startswith("stop"):
        body["stop_price"] = draw(st.sampled_from(ANY[symbol]))
    if kind == "trailing_stop":
        body["trail_percent"] = draw(st.sampled_from(["1", "5"]))
    return "submit", body


CHANGES = ("limit_price", "stop_price", "qty", "trail")
VALUES = ("5", "80", "90", "95", "105", "9.1", "9.7", "10.4", "200", "300")
STEPS = st.one_of(
    entries(),
    entries(),
    pairs(),
    simple(),
    st.tuples(st.just("cancel"), st.integers(1, 6)),
    st.tuples(st.just("replace"), st.tuples(st.integers(1, 6), st.sampled_from(CHANGES), st.sampled_from(VALUES))),
    st.tuples(st.just("advance"), st.sampled_from([1, 8, 17, 24])),
    st.tuples(st.just("advance"), st.sampled_from([8, 17])),
)


def state(account):
    """What an account is, in an order that does not depend on how it came to be."""
    return (
        account.now,
        account.cash,
        account.positions,
        {order.id: order for order in account.orders},
        account.waiting,
        account.families,
        account.orders.reserved,
        {symbol: account.orders.held(symbol) for symbol in LOW},
    )


class World:
    """One account, driven one step at a time and looked at after each."""

    def __init__(self, ledger, feed, latency):
        self.now = dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC)
        self.venue = Venue(
            ledger=ledger,
            market=Market(feed, TIMELINE),
            rules=Rules(latency=latency, partial=Decimal("0.2")),
            publish=lambda *_: None,
            wall=lambda: self.now,
            listened=lambda _: True,
        )
        self.venue.open_account("one", cash=CASH, at=self.now)

    @property
    def account(self):
        return self.venue.account("one")

    def do(self, what, argument):
        known = self.venue.ledger.orders(self.account.id, where="role <> 'leg'", order="number")
        with contextlib.suppress(Refusal):
            if what == "submit":
                self.venue.submit(self.account, argument)
            elif what == "cancel" and known:
                self.venue.cancel(self.account, known[-argument % len(known)])
            elif what == "replace" and known:
                number, name, value = argument
                self.venue.replace(self.account, known[-number % len(known)], {name: value})
            elif what == "advance":
                self.advance(dt.timedelta(hours=argument))

    def advance(self, by):
        last = dt.datetime(2024, 3, 8, 21, tzinfo=dt.UTC)
        step = self.venue.advance("one", to=min(self.account.now + by, last))
        with pytest.raises(StopIteration):  # nothing in it waits for so few steps
            step.send(None)

    def check(self):
        account, ledger = self.account, self.venue.ledger
        for restored, here in zip(state(ledger.account(account.id)), state(account), strict=True):
            assert restored == here, "a restart would give back something else"
        held, cash, filled = defaultdict(Decimal), CASH, defaultdict(Decimal)
        for fill in ledger.executions(account.id):
            signed = fill.qty if fill.side == "buy" else -fill.qty
            held[fill.symbol] += signed
            cash -= signed * fill.price
            filled[fill.order_id] += fill.qty
        assert {symbol: qty for symbol, qty in held.items() if qty} == {
            symbol: position.qty for symbol, position in account.positions.items()
        }
        assert cash == account.cash
        every = ledger.orders(account.id)
        for order in every:
            assert order.filled_qty == filled[order.id]
            assert order.qty is None or order.filled_qty <= order.qty
            assert (order.status == "filled") == (order.qty == order.filled_qty)
        for symbol in LOW:
            assert account.orders.held(symbol) <= abs(account.position_qty(symbol)), "more is for sale than there is"
        assert account.orders.reserved == sum(order.reserved for order in account.orders) >= 0
        for _, pair in itertools.groupby(sorted(every, key=lambda order: order.oco or ""), key=lambda order: order.oco):
            rows = list(pair)
            if rows[0].oco is not None:
                assert sum(order.status == "filled" for order in rows) <= 1, "both exits filled"
        for order in every:
            if order.replaced_by is not None:
                assert order.status == "replaced"
            if order.status == "held" and order.active_from is None:
                parent = next(other for other in every if other.id == order.parent_id)
                assert parent.is_open, "an exit waits for an entry that is over"


@pytest.mark.parametrize("latency", [dt.timedelta(), dt.timedelta(hours=2)], ids=["at once", "two hours"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=12, max_size=30))
def test_any_order_of_requests_and_prices(handmade, latency, steps):
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Ledger(Path(folder) / "exchange.db")) as ledger,
    ):
        world = World(ledger, handmade.feed(), latency)
        for what, argument in steps:
            world.do(what, argument)
            world.check()
        world.advance(dt.timedelta(days=5))
        world.check()
