"""Wishes become rows: intents, their work in the outbox and their audit, many at once with few statements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select

from workbench.execution.journal.intent import Intent, columns_of, differs, option_legs
from workbench.market.order import IntentState, OrderWish, Side, client_order_id
from workbench.store import audit
from workbench.store.schema import ordered_id, utc_now
from workbench.store.tables.execution import IntentRow, OutboxRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Row = dict[str, Any]

_IN_PARTS = 500  # symbols asked for in one statement
# Asked in every transaction of the order path: building a statement costs as much as running it.
_KNOWN = select(IntentRow.id, IntentRow.symbol, IntentRow.leg).where(
    IntentRow.account == bindparam("account"),
    IntentRow.bot == bindparam("bot"),
    IntentRow.session == bindparam("session"),
    IntentRow.generation == bindparam("generation"),
    IntentRow.symbol.in_(bindparam("symbols", expanding=True)),
)
_INTENT = insert(IntentRow.__table__)  # type: ignore[arg-type]  # a mapped class's table is a Table
# The next number is found by the statement itself: rows are stored one after the other, each sees those before it.
_LAST: Any = OutboxRow.__table__.alias("last")
_NEXT = select(func.coalesce(func.max(_LAST.c.seq), 0) + 1).where(_LAST.c.account == bindparam("whose"))
_OUTBOX = insert(OutboxRow.__table__).values(seq=_NEXT.scalar_subquery())  # type: ignore[arg-type]
_MAY_BE_ABSENT = tuple(
    column.name
    for column in IntentRow.__table__.columns
    if column.nullable and column.name not in {"reply", "booked_qty"}
)
_VALUES = tuple(one.name for one in fields(Intent) if one.name not in {"side", "state", "legs"})
_UNSENT: Row = {
    "parent_id": None,
    "role": "",
    "replaces_id": None,
    "state": IntentState.INTENT.value,
    "attempt": 0,
    "sent_at": None,
    "cancel_asked_at": None,
    "broker_order_id": None,
    "broker_status": None,
    "broker_updated_at": None,
    "filled_qty": Decimal(0),
    "booked_qty": Decimal(0),
    "avg_price": None,
    "note": "",
    "version": 1,
}


@dataclass(frozen=True, slots=True)
class Written:
    """What `write` did with one wish. `existed`: it stood there already; `differs`: and asked for something else."""

    intent: Intent
    existed: bool = False
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """On whose behalf wishes are written: account, bot, session and generation, the algorithm's order, the deadline."""

    account: str
    bot: str
    session: dt.date
    generation: int = 0
    deadline: dt.datetime | None = None
    algo_id: str | None = None

    @property
    def key(self) -> Row:
        """The part of an intent's key that all wishes share."""
        session = self.session.isoformat()[:10]
        return {"account": self.account, "bot": self.bot, "session": session, "generation": self.generation}


def write_wishes(
    opened: Session, wishes: Sequence[OrderWish], author: Author, *, decisions: Mapping[str, str] | None = None
) -> list[Written]:
    """Write down what is new, in the open transaction; the journal's lock must be held. See `Journal.write_in`."""
    known = _known(opened, author, sorted({wish.symbol for wish in wishes}))
    same = shared(author)
    legs: dict[str, int] = {}
    written: list[Written] = []
    new: list[Row] = []
    for wish in wishes:
        leg = legs.get(wish.symbol, 0)
        legs[wish.symbol] = leg + 1
        found = known.get((wish.symbol, leg)) if known else None
        if found is not None:
            stands = opened.get_one(IntentRow, found)
            written.append(Written(Intent.of(stands), existed=True, differs=differs(stands, wish)))
            continue
        row = new_row(author, same, leg=leg, columns=columns_of(wish))
        if decisions:
            row["decision_id"] = decisions.get(wish.symbol)
        new.append(row)
        written.append(Written(intent_of(row)))
    add(opened, author.account, new, kind="submit")
    return written


def shared(author: Author) -> Row:
    """What all unsent intents of one author have in common, made once for many of them."""
    now = utc_now()
    mine: Row = {"deadline": author.deadline, "algo_id": author.algo_id, "trace_id": trace_id()}
    return {**_UNSENT, **author.key, **mine, "created_at": now, "updated_at": now}


def new_row(author: Author, same: Row, *, leg: int, columns: Row) -> Row:
    """An intent that was not sent yet: what is `shared` by its author's, and its own columns."""
    name = client_order_id(
        account=author.account,
        bot=author.bot,
        session=author.session,
        symbol=columns["symbol"],
        leg=leg,
        generation=author.generation,
    )
    return {**same, "decision_id": None, **columns, "id": ordered_id(), "leg": leg, "client_order_id": name}


def add(opened: Session, account: str, rows: Sequence[Row], *, kind: str) -> None:
    """Store intents with the work of sending them and one audit row each, in the order given."""
    if not rows:
        return
    # What none of them has is left out: a column that is not bound costs nothing, and is NULL all the same.
    absent = [name for name in _MAY_BE_ABSENT if all(row[name] is None for row in rows)]
    if absent:
        kept = [name for name in rows[0] if name not in absent]
        opened.execute(_INTENT, [{name: row[name] for name in kept} for row in rows])
    else:
        opened.execute(_INTENT, list(rows))
    now = utc_now()
    opened.execute(
        _OUTBOX,
        [
            {
                "id": ordered_id(),
                "account": account,
                "whose": account,
                "intent_id": row["id"],
                "kind": kind,
                "tries": 0,
                "created_at": now,
            }
            for row in rows
        ],
    )
    audit.record_many(opened, ((row["id"], _told(row)) for row in rows), entity="intent", action="written")


def intent_of(row: Row) -> Intent:
    """The value of a row that has just been made."""
    return Intent(
        **{name: row[name] for name in _VALUES},
        side=Side(row["side"]),
        state=IntentState.INTENT,
        legs=option_legs(row["option_legs"]),
    )


def _told(row: Row) -> Row:
    """What the audit says of a new intent."""
    return {
        "client_order_id": row["client_order_id"],
        "symbol": row["symbol"],
        "side": row["side"],
        "qty": str(row["qty"]),
    }


def _known(opened: Session, author: Author, symbols: Sequence[str]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for start in range(0, len(symbols), _IN_PARTS):
        rows = opened.execute(_KNOWN, {**author.key, "symbols": symbols[start : start + _IN_PARTS]})
        found |= {(row.symbol, row.leg): row.id for row in rows}
    return found
