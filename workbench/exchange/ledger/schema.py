"""The tables of an exchange's database and the way from an older version of them to this one.

The version is SQLite's `user_version`. 0: no tables yet, or those of the first version, which had no number. 2: order
classes, options, activities, symbol switches. Each step is one transaction with its number, so a process that is killed
on the way leaves a database of one version or the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workbench.errors import ExchangeUnavailable

if TYPE_CHECKING:
    import sqlite3

VERSION: Final = 2

_FIRST = """
CREATE TABLE IF NOT EXISTS account (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, account_number TEXT NOT NULL UNIQUE,
    key_id TEXT NOT NULL UNIQUE, secret_key TEXT NOT NULL, clock TEXT NOT NULL,
    opened_at TEXT NOT NULL, now TEXT NOT NULL, initial_cash TEXT NOT NULL, cash TEXT NOT NULL,
    multiplier TEXT NOT NULL, shorting INTEGER NOT NULL, configurations TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
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
CREATE INDEX IF NOT EXISTS orders_by_status ON orders (account_id, status, created_at);
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (account_id, created_at);
CREATE TABLE IF NOT EXISTS execution (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account(id), order_id TEXT NOT NULL REFERENCES orders(id),
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL, happened TEXT NOT NULL,
    cumulative TEXT NOT NULL, left_qty TEXT NOT NULL, position_qty TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS execution_by_symbol ON execution (account_id, symbol, happened);
CREATE INDEX IF NOT EXISTS execution_by_time ON execution (account_id, happened);
CREATE TABLE IF NOT EXISTS position (
    account_id TEXT NOT NULL REFERENCES account(id), symbol TEXT NOT NULL, qty TEXT NOT NULL,
    average_entry TEXT NOT NULL, PRIMARY KEY (account_id, symbol)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS equity (
    account_id TEXT NOT NULL REFERENCES account(id), moment TEXT NOT NULL, equity TEXT NOT NULL, cash TEXT NOT NULL,
    PRIMARY KEY (account_id, moment)
) WITHOUT ROWID;
"""

_SECOND = """
ALTER TABLE account ADD COLUMN rules TEXT NOT NULL DEFAULT 'margin';
ALTER TABLE orders ADD COLUMN active_from TEXT;
ALTER TABLE orders ADD COLUMN asset_class TEXT NOT NULL DEFAULT 'us_equity';
ALTER TABLE orders ADD COLUMN order_class TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN parent_id TEXT REFERENCES orders(id);
ALTER TABLE orders ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN oco TEXT;
ALTER TABLE orders ADD COLUMN trail_price TEXT;
ALTER TABLE orders ADD COLUMN trail_percent TEXT;
ALTER TABLE orders ADD COLUMN hwm TEXT;
ALTER TABLE orders ADD COLUMN ratio_qty TEXT;
ALTER TABLE orders ADD COLUMN hold_qty TEXT;
ALTER TABLE orders ADD COLUMN settles_at TEXT;
ALTER TABLE orders ADD COLUMN failed_at TEXT;
UPDATE orders SET active_from = created_at;
CREATE INDEX orders_by_parent ON orders (parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE activity (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account(id), kind TEXT NOT NULL, happened TEXT NOT NULL,
    net_amount TEXT NOT NULL, symbol TEXT, qty TEXT, price TEXT, description TEXT NOT NULL
);
CREATE INDEX activity_by_time ON activity (account_id, happened);
CREATE TABLE symbol (
    symbol TEXT PRIMARY KEY, halted INTEGER NOT NULL, shortable INTEGER NOT NULL, easy_to_borrow INTEGER NOT NULL,
    fractionable INTEGER NOT NULL
) WITHOUT ROWID;
"""


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables, or change those of an older version. Nothing is lost.

    Raises:
        ExchangeUnavailable: the database was written by a newer workbench.
    """
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise ExchangeUnavailable(
            f"the exchange's database has version {found}; this workbench knows up to {VERSION}. It was not touched.",
            remedy="update workbench, or give the exchange another --db.",
        )
    if found < VERSION:
        # One transaction for all of it: `executescript` would commit on the way.
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in (_FIRST + _SECOND).split(";"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={VERSION}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
