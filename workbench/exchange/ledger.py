"""The durable ledger: accounts, orders, executions, positions and equity in one SQLite database.

What is promised. Every change is one transaction, committed before the exchange answers or tells the stream. With
`durability="process"` (WAL, synchronous=NORMAL) a committed change survives `kill -9` at any instant; a power cut may
take the newest changes with it, whole transactions only. With `durability="power"` (synchronous=FULL) it survives that
too, at the price of one disk sync for each order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.records import Account, ClockKind, Execution, Order, Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Durability = Literal["process", "power"]

_SCHEMA = """
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

_ORDER = [field.name for field in dataclasses.fields(Order)]
_NEW = [name for name in _ORDER if name != "number"]
_DECIMALS = {"qty", "notional", "limit_price", "stop_price", "reserve_price", "filled_qty", "filled_cost"}
_MOMENTS = {"created_at", "updated_at", "expires_at", "filled_at", "expired_at", "canceled_at", "replaced_at"}
_FLAGS = {"opening", "triggered", "extended_hours"}
_FIXED = {"number", "id", "client_order_id", "symbol", "side", "type", "time_in_force", "notional", "created_at"}
_CHANGING = [name for name in _ORDER if name not in _FIXED]
_INSERT_ORDER = f"INSERT INTO orders (account_id, {', '.join(_NEW)}) VALUES (?{', ?' * len(_NEW)})"  # noqa: S608 - own names
_UPDATE_ORDER = f"UPDATE orders SET {', '.join(f'{name}=?' for name in _CHANGING)} WHERE id=?"  # noqa: S608 - own names
_SELECT_ORDER = f"SELECT {', '.join(_ORDER)} FROM orders"  # noqa: S608


class Ledger:
    """The one reader and writer of an exchange database."""

    def __init__(self, path: Path | str, *, durability: Durability = "process") -> None:
        Path(path).touch(mode=0o600)  # it holds the keys of its accounts
        self._db = sqlite3.connect(str(path), isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database; a clean close folds the log into the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen, or none does."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ---- accounts

    def add_account(self, account: Account) -> None:
        """Write a new account."""
        self._db.execute(
            "INSERT INTO account VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                account.id,
                account.name,
                account.account_number,
                account.key_id,
                account.secret_key,
                account.clock,
                text_of(account.opened_at),
                text_of(account.now),
                str(account.initial_cash),
                str(account.cash),
                str(account.multiplier),
                account.shorting,
                json.dumps(account.configurations),
            ),
        )

    def save_account(self, account: Account) -> None:
        """Write what changes about an account: clock, cash, configurations."""
        self._db.execute(
            "UPDATE account SET now=?, cash=?, configurations=? WHERE id=?",
            (text_of(account.now), str(account.cash), json.dumps(account.configurations), account.id),
        )

    def accounts(self) -> list[Account]:
        """All accounts with their open orders and positions, in the order of their opening."""
        found = self._db.execute("SELECT id FROM account ORDER BY rowid").fetchall()
        return [self.account(str(row[0])) for row in found]

    def account(self, account_id: str) -> Account:
        """One account as it was last committed, with its open orders and positions."""
        row = self._db.execute("SELECT * FROM account WHERE id=?", (account_id,)).fetchone()
        now = moment_of(row[7])
        account = Account(
            id=row[0],
            name=row[1],
            account_number=row[2],
            key_id=row[3],
            secret_key=row[4],
            clock=ClockKind(row[5]),
            opened_at=moment_of(row[6]),
            now=now,
            initial_cash=Decimal(row[8]),
            cash=Decimal(row[9]),
            multiplier=Decimal(row[10]),
            shorting=bool(row[11]),
            configurations=json.loads(row[12]),
            last_stamp=now - dt.timedelta(microseconds=1),
        )
        newest = self._db.execute("SELECT max(updated_at) FROM orders WHERE account_id=?", (account_id,)).fetchone()[0]
        if newest is not None:
            account.last_stamp = max(account.last_stamp, moment_of(newest))
        for order in self.orders(account_id, where="status IN ('new','partially_filled')", order="number"):
            account.orders.add(order)
        for symbol, qty, entry in self._db.execute(
            "SELECT symbol, qty, average_entry FROM position WHERE account_id=? ORDER BY symbol", (account_id,)
        ):
            account.positions[symbol] = Position(symbol, Decimal(qty), Decimal(entry))
        return account

    # ---- orders

    def add_order(self, account_id: str, order: Order) -> None:
        """Write a new order and give it its number. Raises sqlite3.IntegrityError for a client_order_id used before."""
        cursor = self._db.execute(_INSERT_ORDER, (account_id, *(_cell(order, name) for name in _NEW)))
        order.number = int(cursor.lastrowid or 0)

    def save_order(self, order: Order) -> None:
        """Write what changes about an order."""
        self._db.execute(_UPDATE_ORDER, (*(_cell(order, name) for name in _CHANGING), order.id))

    def order(self, account_id: str, order_id: str) -> Order | None:
        """One order of an account by its id."""
        return next(iter(self.orders(account_id, where="id=?", values=[order_id])), None)

    def order_by_client_id(self, account_id: str, client_order_id: str) -> Order | None:
        """One order of an account by the name its owner gave it."""
        return next(iter(self.orders(account_id, where="client_order_id=?", values=[client_order_id])), None)

    def orders(
        self,
        account_id: str,
        *,
        where: str = "1",
        values: Sequence[Any] = (),
        order: str = "created_at",
        limit: int = -1,
    ) -> list[Order]:
        """Orders of an account. `where` and `order` are SQL written by the exchange, never by a client."""
        text = f"{_SELECT_ORDER} WHERE account_id=? AND {where} ORDER BY {order} LIMIT ?"
        return [_order(row) for row in self._db.execute(text, (account_id, *values, limit))]

    # ---- executions, positions, equity

    def add_execution(self, account_id: str, execution: Execution) -> None:
        """Write a fill."""
        self._db.execute(
            "INSERT INTO execution (id, account_id, order_id, symbol, side, qty, price, happened, cumulative, left_qty,"
            " position_qty) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                execution.id,
                account_id,
                execution.order_id,
                execution.symbol,
                execution.side,
                str(execution.qty),
                str(execution.price),
                text_of(execution.happened),
                str(execution.cumulative),
                str(execution.left),
                str(execution.position_qty),
            ),
        )

    def executions(
        self,
        account_id: str,
        *,
        where: str = "1",
        values: Sequence[Any] = (),
        descending: bool = False,
        limit: int = -1,
    ) -> list[Execution]:
        """Fills of an account in the order they happened. `where` is SQL written by the exchange."""
        text = (
            "SELECT id, order_id, symbol, side, qty, price, happened, cumulative, left_qty, position_qty, number "  # noqa: S608
            f"FROM execution WHERE account_id=? AND {where} ORDER BY number {'DESC' if descending else 'ASC'} LIMIT ?"
        )
        return [
            Execution(
                id=row[0],
                order_id=row[1],
                symbol=row[2],
                side=row[3],
                qty=Decimal(row[4]),
                price=Decimal(row[5]),
                happened=moment_of(row[6]),
                cumulative=Decimal(row[7]),
                left=Decimal(row[8]),
                position_qty=Decimal(row[9]),
                number=row[10],
            )
            for row in self._db.execute(text, (account_id, *values, limit))
        ]

    def save_position(self, account_id: str, symbol: str, position: Position | None) -> None:
        """Write a position; None removes it."""
        if position is None:
            self._db.execute("DELETE FROM position WHERE account_id=? AND symbol=?", (account_id, symbol))
        else:
            self._db.execute(
                "INSERT OR REPLACE INTO position VALUES (?,?,?,?)",
                (account_id, symbol, str(position.qty), str(position.average_entry)),
            )

    def add_equity(self, account_id: str, moment: dt.datetime, equity: Decimal, cash: Decimal) -> None:
        """Write the worth of the account at a close."""
        self._db.execute(
            "INSERT OR REPLACE INTO equity VALUES (?,?,?,?)", (account_id, text_of(moment), str(equity), str(cash))
        )

    def equity(self, account_id: str, *, until: dt.datetime, limit: int = -1) -> list[tuple[dt.datetime, Decimal]]:
        """(moment, equity) at the newest `limit` closes not after `until`, ascending."""
        found = self._db.execute(
            "SELECT moment, equity FROM equity WHERE account_id=? AND moment<=? ORDER BY moment DESC LIMIT ?",
            (account_id, text_of(until), limit),
        ).fetchall()
        return [(moment_of(moment), Decimal(worth)) for moment, worth in reversed(found)]


def _cell(order: Order, name: str) -> Any:
    value = getattr(order, name)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.datetime):
        return text_of(value)
    return value


def _order(row: Sequence[Any]) -> Order:
    read: dict[str, Any] = {}
    for name, value in zip(_ORDER, row, strict=True):
        if value is None:
            read[name] = None
        elif name in _DECIMALS:
            read[name] = Decimal(value)
        elif name in _MOMENTS:
            read[name] = moment_of(value)
        elif name in _FLAGS:
            read[name] = bool(value)
        else:
            read[name] = value
    return Order(**read)
