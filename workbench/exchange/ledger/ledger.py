"""The durable ledger: accounts, orders, executions, activities, positions and equity in one SQLite database.

What is promised. Every change is one transaction, committed before the exchange answers or tells the stream. With
`durability="process"` (WAL, synchronous=NORMAL) a committed change survives `kill -9` at any instant; a power cut may
take the newest changes with it, whole transactions only. With `durability="power"` (synchronous=FULL) it survives that
too, at the price of one disk sync for each order.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.ledger import rows as ledger_rows
from workbench.exchange.ledger.schema import bring_up_to_date
from workbench.exchange.state.account_rules import PROFILES
from workbench.exchange.state.order import OPEN_STATUSES
from workbench.exchange.state.records import Account, Activity, ClockKind, Execution, Order, Position, SymbolFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.exchange.accounts.booking import Booking

Durability = Literal["process", "power"]

_OPEN = f"status IN ({', '.join(repr(status) for status in sorted(OPEN_STATUSES))})"
_EXECUTION = (
    "INSERT INTO execution (id, account_id, order_id, symbol, side, qty, price, happened, cumulative, left_qty, "
    "position_qty) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
)
_ACTIVITY = (
    "INSERT INTO activity (id, account_id, kind, happened, net_amount, symbol, qty, price, description) "
    "VALUES (?,?,?,?,?,?,?,?,?)"
)


class Ledger:
    """The one reader and writer of an exchange database. Raises ExchangeUnavailable where a newer version wrote it."""

    def __init__(self, path: Path | str, *, durability: Durability = "process") -> None:
        Path(path).touch(mode=0o600)  # it holds the keys of its accounts
        self._db = sqlite3.connect(str(path), isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        self._db.execute("PRAGMA foreign_keys=ON")
        try:
            bring_up_to_date(self._db)
        except BaseException:
            self._db.close()
            raise

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
            "INSERT INTO account VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
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
                account.rules.name,
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
            rules=PROFILES[row[13]],
        )
        newest = self._db.execute("SELECT max(updated_at) FROM orders WHERE account_id=?", (account_id,)).fetchone()[0]
        if newest is not None:
            account.last_stamp = max(account.last_stamp, moment_of(newest))
        for order in self.orders(account_id, where=_OPEN, order="number"):
            account.restore(order)
        for symbol, qty, entry in self._db.execute(
            "SELECT symbol, qty, average_entry FROM position WHERE account_id=? ORDER BY symbol", (account_id,)
        ):
            account.positions[symbol] = Position(symbol, Decimal(qty), Decimal(entry))
        return account

    # ---- what a request or a step did

    def write(self, booking: Booking) -> None:
        """Everything a booking has collected: orders, fills, activities, positions and, where money moved, cash."""
        account_id = booking.account.id
        if booking.added:
            rows = [ledger_rows.new_row(account_id, order) for order in booking.added]
            self._db.executemany(ledger_rows.INSERT, rows)
        if booking.changed:
            new = {order.id for order in booking.added}
            changed = [ledger_rows.changed_row(order) for order in booking.changed.values() if order.id not in new]
            self._db.executemany(ledger_rows.UPDATE, changed)
        if booking.executions:
            self._db.executemany(_EXECUTION, [ledger_rows.execution_row(account_id, one) for one in booking.executions])
        for activity in booking.activities:
            self._db.execute(_ACTIVITY, ledger_rows.activity_row(account_id, activity))
        for symbol in booking.positions:
            self.save_position(account_id, symbol, booking.account.positions.get(symbol))
        if booking.executions or booking.activities or booking.positions:
            self.save_account(booking.account)

    # ---- orders

    def last_number(self) -> int:
        """The newest place in the queue that was ever given, 0 at first."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='orders'").fetchone()
        return 0 if found is None else int(found[0])

    def order(self, account_id: str, order_id: str) -> Order | None:
        """One order of an account by its id."""
        return next(iter(self.orders(account_id, where="id=?", values=[order_id])), None)

    def order_by_client_id(self, account_id: str, client_order_id: str) -> Order | None:
        """One order of an account by the name its owner gave it."""
        return next(iter(self.orders(account_id, where="client_order_id=?", values=[client_order_id])), None)

    def knows_client_id(self, account_id: str, client_order_id: str) -> bool:
        """Whether the name was used before."""
        query = "SELECT 1 FROM orders WHERE account_id=? AND client_order_id=?"
        return self._db.execute(query, (account_id, client_order_id)).fetchone() is not None

    def family(self, account_id: str, order_ids: Sequence[str]) -> dict[str, list[Order]]:
        """What came with each of these orders, in the order in which it was made."""
        found: dict[str, list[Order]] = {}
        for start in range(0, len(order_ids), 500):
            part = order_ids[start : start + 500]
            marks = ",".join("?" * len(part))
            for order in self.orders(account_id, where=f"parent_id IN ({marks})", values=part, order="number"):
                found.setdefault(order.parent_id or "", []).append(order)
        return found

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
        text = f"{ledger_rows.SELECT} WHERE account_id=? AND {where} ORDER BY {order} LIMIT ?"
        return [ledger_rows.order_of(row) for row in self._db.execute(text, (account_id, *values, limit))]

    # ---- executions, activities, positions, equity, symbols

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

    def activities(
        self,
        account_id: str,
        *,
        where: str = "1",
        values: Sequence[Any] = (),
        descending: bool = False,
        limit: int = -1,
    ) -> list[Activity]:
        """What changed an account without being a fill, in order. `where` is SQL written by the exchange."""
        text = (
            "SELECT id, kind, happened, net_amount, symbol, qty, price, description, number FROM activity "  # noqa: S608
            f"WHERE account_id=? AND {where} ORDER BY number {'DESC' if descending else 'ASC'} LIMIT ?"
        )
        return [
            Activity(
                id=row[0],
                kind=row[1],
                happened=moment_of(row[2]),
                net_amount=Decimal(row[3]),
                symbol=row[4],
                qty=None if row[5] is None else Decimal(row[5]),
                price=None if row[6] is None else Decimal(row[6]),
                description=row[7],
                number=row[8],
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

    def symbols(self) -> dict[str, SymbolFacts]:
        """What an administrator has said about symbols."""
        rows = self._db.execute("SELECT symbol, halted, shortable, easy_to_borrow, fractionable FROM symbol")
        return {row[0]: SymbolFacts(*(bool(value) for value in row[1:])) for row in rows}

    def save_symbol(self, symbol: str, facts: SymbolFacts) -> None:
        """Write what is said about one symbol."""
        self._db.execute(
            "INSERT OR REPLACE INTO symbol VALUES (?,?,?,?,?)",
            (symbol, facts.halted, facts.shortable, facts.easy_to_borrow, facts.fractionable),
        )
