"""The venue without its wire: real clocks on a wall made by hand, life after a restart, and a disk that fails."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from decimal import Decimal

import pytest

from workbench.exchange.clock import Timeline, moment_of, text_of
from workbench.exchange.ledger.ledger import Ledger
from workbench.exchange.market.market import Market
from workbench.exchange.matching.matching import Rules
from workbench.exchange.state.records import ClockKind
from workbench.exchange.venue import Venue


class Wall:
    """A wall clock that stands where it is put."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def wall(handmade):
    return Wall(handmade.moment("2024-03-04 16:00").astimezone(dt.UTC))


@pytest.fixture
def told():
    return []


@pytest.fixture
def build(tmp_path, handmade, wall, told):
    """Opens a venue on the same database, as often as it is called."""
    with contextlib.ExitStack() as opened:

        def venue():
            ledger = opened.enter_context(contextlib.closing(Ledger(tmp_path / "exchange.db")))
            return Venue(
                ledger=ledger,
                market=Market(handmade.feed(), Timeline("XNYS")),
                rules=Rules(),
                publish=lambda _, events: told.extend(event["data"]["event"] for event in events),
                wall=wall,
            )

        yield venue


def wish(symbol="ACME", **more):
    body = {"symbol": symbol, "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}
    return body | more


def test_a_real_clock_fills_when_the_wall_passes_the_open(build, wall, handmade, told):
    venue = build()
    account = venue.open_account("real", cash=Decimal(100_000), at=wall(), clock=ClockKind.REAL)
    order = venue.submit(venue.account("real"), wish())
    venue.catch_up()
    assert told == ["pending_new", "new"]
    wall.now = handmade.moment("2024-03-05 09:31").astimezone(dt.UTC)
    venue.catch_up()
    assert told == ["pending_new", "new", "fill"]
    assert venue.ledger.order(account.id, order.id).average_price == Decimal("102.051")
    assert venue.account("real").now == wall.now


def test_what_happened_while_the_exchange_was_down_is_made_up_for(build, wall, handmade):
    venue = build()
    account = venue.open_account("real", cash=Decimal(100_000), at=wall(), clock=ClockKind.REAL)
    venue.submit(venue.account("real"), wish())
    wall.now = handmade.moment("2024-03-07 12:00").astimezone(dt.UTC)
    again = build().account("real")
    assert again.id == account.id
    assert {symbol: position.qty for symbol, position in again.positions.items()} == {"ACME": Decimal(10)}


def test_a_restart_gives_back_everything(build, wall):
    venue = build()
    account = venue.open_account("replay", cash=Decimal(100_000), at=wall())
    orders = [
        venue.submit(account, wish("THIN", qty="250", time_in_force="gtc", client_order_id="a")),
        venue.submit(account, wish("ACME", type="limit", limit_price="50", time_in_force="gtc")),
        venue.submit(account, wish("CENT", side="sell", type="stop", stop_price="0.3", time_in_force="gtc")),
    ]
    venue.cancel(account, orders[1])
    again = build().account("replay")
    assert again.last_stamp == account.last_stamp
    assert again.stamp() > account.last_stamp
    assert again.orders.reserved == account.orders.reserved > 0
    assert [order.id for order in again.orders] == [orders[0].id, orders[2].id]
    assert list(again.orders) == list(account.orders)


def test_a_disk_that_fails_leaves_no_trace(build, wall, told, monkeypatch):
    venue = build()
    account = venue.open_account("replay", cash=Decimal(100_000), at=wall())
    working = venue.submit(account, wish(client_order_id="kept"))
    told.clear()
    with monkeypatch.context() as patch:

        def fails(*_):
            raise sqlite3.OperationalError("disk I/O error")

        patch.setattr(Ledger, "write", fails)
        with pytest.raises(sqlite3.OperationalError):
            venue.cancel(venue.account("replay"), working)
    assert told == []
    assert [order.status for order in venue.account("replay").orders] == ["new"]
    venue.cancel(venue.account("replay"), venue.ledger.order(account.id, working.id))
    assert told == ["canceled"]


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
def test_the_durability_that_is_promised_is_the_one_that_is_set(tmp_path, durability, synchronous):
    with contextlib.closing(Ledger(tmp_path / "x.db", durability=durability)) as ledger:
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "x.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-05", "2024-03-05T00:00:00.000000Z"),
        ("2024-03-05T14:30:00Z", "2024-03-05T14:30:00.000000Z"),
        ("2024-03-05T09:30:00-05:00", "2024-03-05T14:30:00.000000Z"),
        ("2024-03-05T14:30:00.123456789Z", "2024-03-05T14:30:00.123456Z"),
        ("2024-03-05T14:30:00.5Z", "2024-03-05T14:30:00.500000Z"),
        ("2024-03-05T14:30:00 00:00", "2024-03-05T14:30:00.000000Z"),  # a plus that became a space in a query
        ("2024-03-05T14:30:00", "2024-03-05T14:30:00.000000Z"),
    ],
)
def test_moments_as_clients_write_them(text, moment):
    assert text_of(moment_of(text)) == moment
