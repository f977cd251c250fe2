"""The ledger's file: an old one is brought up to date without loss, a newer one refused, a half-made step is none."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import sqlite3
from decimal import Decimal

import pytest

from workbench.errors import ExchangeUnavailable
from workbench.exchange.clock import Timeline
from workbench.exchange.ledger import schema as ledger_schema
from workbench.exchange.ledger.ledger import Ledger
from workbench.exchange.market.market import Market
from workbench.exchange.matching.matching import Rules
from workbench.exchange.venue import Venue

# The tables as the first version made them, with an account that holds THIN, has one order at work and one done.
FIRST = """
CREATE TABLE account (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, account_number TEXT NOT NULL UNIQUE,
    key_id TEXT NOT NULL UNIQUE, secret_key TEXT NOT NULL, clock TEXT NOT NULL,
    opened_at TEXT NOT NULL, now TEXT NOT NULL, initial_cash TEXT NOT NULL, cash TEXT NOT NULL,
    multiplier TEXT NOT NULL, shorting INTEGER NOT NULL, configurations TEXT NOT NULL
);
CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account(id), client_order_id TEXT NOT NULL,
    symbol TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL, time_in_force TEXT NOT NULL,
    qty TEXT, notional TEXT, limit_price TEXT, stop_price TEXT, status TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, expires_at TEXT,
    opening INTEGER NOT NULL, reserve_price TEXT NOT NULL, filled_qty TEXT NOT NULL, filled_cost TEXT NOT NULL,
    triggered INTEGER NOT NULL, extended_hours INTEGER NOT NULL, position_intent TEXT,
    filled_at TEXT, expired_at TEXT, canceled_at TEXT, replaced_at TEXT, replaced_by TEXT, replaces TEXT,
    UNIQUE (account_id, client_order_id)
);
CREATE INDEX orders_by_status ON orders (account_id, status, created_at);
CREATE INDEX orders_by_time ON orders (account_id, created_at);
CREATE TABLE execution (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account(id), order_id TEXT NOT NULL REFERENCES orders(id),
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL, happened TEXT NOT NULL,
    cumulative TEXT NOT NULL, left_qty TEXT NOT NULL, position_qty TEXT NOT NULL
);
CREATE INDEX execution_by_symbol ON execution (account_id, symbol, happened);
CREATE INDEX execution_by_time ON execution (account_id, happened);
CREATE TABLE position (
    account_id TEXT NOT NULL REFERENCES account(id), symbol TEXT NOT NULL, qty TEXT NOT NULL,
    average_entry TEXT NOT NULL, PRIMARY KEY (account_id, symbol)
) WITHOUT ROWID;
CREATE TABLE equity (
    account_id TEXT NOT NULL REFERENCES account(id), moment TEXT NOT NULL, equity TEXT NOT NULL, cash TEXT NOT NULL,
    PRIMARY KEY (account_id, moment)
) WITHOUT ROWID;
INSERT INTO account VALUES ('id-1', 'daily', 'WB1', 'LX1', 'secret', 'replay', '2024-03-04T21:00:00.000000Z',
    '2024-03-05T21:00:00.000000Z', '100000', '98999.4', '4', 1,
    '{"fractional_trading": true, "max_margin_multiplier": "4", "no_shorting": false, "suspend_trade": false,
      "trade_confirm_email": "none", "ptp_no_exception_entry": false, "max_options_trading_level": null}');
INSERT INTO orders VALUES (1, 'o-1', 'id-1', 'done', 'THIN', 'buy', 'market', 'day', '100', NULL, NULL, NULL, 'filled',
    '2024-03-04T21:00:00.000000Z', '2024-03-05T14:30:00.000000Z', '2024-03-05T21:00:00.000000Z', 1, '10.4', '100',
    '1000.6', 0, 0, NULL, '2024-03-05T14:30:00.000000Z', NULL, NULL, NULL, NULL, NULL);
INSERT INTO orders VALUES (2, 'o-2', 'id-1', 'works', 'THIN', 'buy', 'limit', 'gtc', '250', NULL, '10.5', NULL, 'new',
    '2024-03-05T21:00:00.000000Z', '2024-03-05T21:00:00.000000Z', NULL, 1, '10.5', '0', '0', 0, 0, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL);
INSERT INTO execution VALUES (1, 'e-1', 'id-1', 'o-1', 'THIN', 'buy', '100', '10.006', '2024-03-05T14:30:00.000000Z',
    '100', '0', '100');
INSERT INTO position VALUES ('id-1', 'THIN', '100', '10.006');
INSERT INTO equity VALUES ('id-1', '2024-03-05T21:00:00.000000Z', '99999.4', '98999.4');
"""


@pytest.fixture
def old(tmp_path):
    """An exchange.db as a user has one under .workbench."""
    path = tmp_path / "exchange.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(FIRST)
    return path


def version(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def test_an_old_file_goes_on_where_it_was(old, handmade):
    with contextlib.closing(Ledger(old)) as ledger:
        venue = Venue(
            ledger=ledger,
            market=Market(handmade.feed(), Timeline("XNYS")),
            rules=Rules(),
            publish=lambda *_: None,
            wall=lambda: dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC),
        )
        account = venue.account("daily")
        assert (account.rules.name, account.cash, account.multiplier) == ("margin", Decimal("98999.4"), Decimal(4))
        assert {symbol: position.qty for symbol, position in account.positions.items()} == {"THIN": Decimal(100)}
        assert [order.client_order_id for order in account.orders] == ["works"]
        assert account.orders.reserved == Decimal(2625)
        asyncio.run(venue.advance("daily", to=dt.datetime(2024, 3, 6, 21, tzinfo=dt.UTC)))
        works = ledger.order(account.id, "o-2")
        assert (works.status, works.filled_qty) == ("partially_filled", Decimal(100))
        new = venue.submit(
            account, {"symbol": "ACME", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        )
        assert new.number == 3
        assert next(one.id for one in ledger.executions(account.id)) == "e-1"
    assert version(old) == ledger_schema.VERSION


def test_opening_it_again_changes_nothing(old):
    for _ in range(2):
        with contextlib.closing(Ledger(old)) as ledger:
            assert len(ledger.orders("id-1")) == 2


def test_a_step_that_fails_leaves_the_old_version_whole(old, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ledger_schema, "_SECOND", ledger_schema._SECOND + "DROP TABLE nowhere;")
        with pytest.raises(sqlite3.OperationalError):
            Ledger(old)
    assert version(old) == 0
    with contextlib.closing(sqlite3.connect(old)) as db:
        assert len(db.execute("PRAGMA table_info(account)").fetchall()) == 13
    with contextlib.closing(Ledger(old)) as ledger:
        assert ledger.account("id-1").name == "daily"


def test_a_newer_file_is_not_touched(old):
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(ExchangeUnavailable, match="version 99"):
        Ledger(old)
    assert version(old) == 99
