"""Positions: the broker's truth about each holding with our metadata beside it, and the book that follows from it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import bindparam, select

from workbench.errors import NoData, ParameterError
from workbench.execution.reconciliation.discrepancy import Discrepancy
from workbench.execution.reconciliation.explained import Explained, explained
from workbench.execution.risk.halts import halt, halted
from workbench.market.book import Book, Position
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.schema import utc_now
from workbench.store.tables.execution import IntentRow, PositionRow, ReconciliationRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerPosition

ZERO = Decimal(0)


_WISHED = (
    select(IntentRow.id)
    .where(IntentRow.account == bindparam("account"), IntentRow.symbol == bindparam("symbol"))
    .limit(1)
)


def sync(
    session: Session,
    account: str,
    theirs: Iterable[BrokerPosition],
    known: Mapping[str, Explained],
    *,
    now: dt.datetime,
    pending: Mapping[str, Decimal] | None = None,
) -> list[Discrepancy]:
    """Bring the stored positions to the broker's, in the open transaction; what no fill explains is a discrepancy.

    A holding that changed by booked fills is only brought up to date. A change that no fill explains halts the symbol;
    a holding that we never had to do with is reported once as foreign. Fills are never invented: the rest is stored as
    `unexplained`, so that the next pass compares with it.

    Args:
        known: what the booked fills explain.
        now: the broker's moment, for when a holding began or ended where no fill says it.
        pending: signed shares per symbol that orders report as filled and no execution has brought yet; not a drift.
    """
    at_broker = {position.symbol: position for position in theirs if position.qty}
    rows = {row.symbol: row for row in session.scalars(select(PositionRow).where(PositionRow.account == account))}
    found: list[Discrepancy] = []
    for symbol in sorted({*at_broker, *rows, *known}):
        position, row, fills = at_broker.get(symbol), rows.get(symbol), known.get(symbol)
        qty = position.qty if position else ZERO
        unexplained = unexplained_qty(qty, fills, (pending or {}).get(symbol, ZERO))
        before = row.unexplained if row else ZERO
        if unexplained != before:
            ours = session.scalars(_WISHED, {"account": account, "symbol": symbol}).first() is not None
            expected = qty - unexplained + before
            prices = (row.avg_price if row else None, position.avg_price if position else None)
            found.append(_drift(session, account, symbol, qty=qty, expected=expected, ours=ours, prices=prices))
        _write(session, row, position, fills, account=account, symbol=symbol, unexplained=unexplained, now=now)
    return found


def unexplained_qty(qty: Decimal, fills: Explained | None, pending: Decimal) -> Decimal:
    """The part of a holding of `qty` shares that neither booked fills nor pending ones explain."""
    return qty - pending - (fills.position.qty if fills else ZERO)


def enriched(engine: Engine, account: str, *, closed: bool = False) -> pd.DataFrame:
    """The positions as one frame, indexed by symbol; those at zero only when `closed`.

    Columns: qty (signed shares), avg_price, market_price (currency per share), value, unrealized, realized (currency),
    strategy, stop, target, source (`workbench`, `foreign` or `mixed`), opened_at, closed_at, synced_at (UTC), halted
    (why the symbol must not trade, empty when it may). NaN: not known.
    """
    with transaction(engine) as session:
        rows = session.scalars(
            select(PositionRow).where(PositionRow.account == account).order_by(PositionRow.symbol)
        ).all()
        halts = halted(session, account)
    columns = ["qty", "avg_price", "market_price", "value", "unrealized", "realized"]
    frame = pd.DataFrame(
        [
            {
                "symbol": row.symbol,
                **{name: _float(getattr(row, name)) for name in columns if name != "value"},
                "value": _float(None if row.market_price is None else row.market_price * row.qty),
                "strategy": row.strategy,
                "stop": _float(row.stop),
                "target": _float(row.target),
                "source": row.source,
                "opened_at": row.opened_at,
                "closed_at": row.closed_at,
                "synced_at": row.synced_at,
                "halted": halts.get(row.symbol, halts.get("*", "")),
            }
            for row in rows
            if closed or row.qty
        ],
        columns=["symbol", *columns, *_METADATA],
    )
    return frame.set_index("symbol")


_METADATA = ("strategy", "stop", "target", "source", "opened_at", "closed_at", "synced_at", "halted")


def book_of(engine: Engine, account: str) -> Book:
    """`book_in` in a transaction of its own."""
    with transaction(engine) as session:
        return book_in(session, account)


def book_in(session: Session, account: str) -> Book:
    """Cash and positions as we believe them now: the newest reconciliation plus every fill booked since.

    Raises:
        NoData: the account was never reconciled, so its cash is not known.
    """
    basis = session.scalars(
        select(ReconciliationRow.cash_basis)
        .where(ReconciliationRow.account == account, ReconciliationRow.cash_basis.is_not(None))
        .order_by(ReconciliationRow.started_at.desc())
        .limit(1)
    ).one_or_none()
    if basis is None:
        raise NoData(
            f"the cash of account {account!r} is not known: it was never reconciled.",
            remedy="start its desk; it reconciles first and trades then.",
        )
    known, moved = explained(session, account)
    positions = {symbol: fills.position for symbol, fills in known.items()}
    for row in session.scalars(select(PositionRow).where(PositionRow.account == account)):
        if row.unexplained:
            mine = positions.get(row.symbol, Position(row.symbol, ZERO, ZERO))
            average = mine.avg_price or row.avg_price
            positions[row.symbol] = Position(row.symbol, mine.qty + row.unexplained, average, mine.realized)
    return Book(basis + moved, {symbol: position for symbol, position in positions.items() if position.qty})


def annotate(engine: Engine, account: str, symbol: str, **metadata: Decimal | str | None) -> None:
    """Store our own metadata of a holding: any of `stop`, `target` (currency per share) and `strategy`.

    Raises:
        ParameterError: another name was given, or a price is not > 0.
        NoData: there is no such position.
    """
    for name, value in metadata.items():
        if name not in {"stop", "target", "strategy"}:
            raise ParameterError(f"{name!r} is not metadata of a position.", remedy="use stop, target or strategy.")
        if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
            raise ParameterError(f"{name}={value} must be a finite price > 0; nothing was stored.")
    with transaction(engine) as session:
        row = session.get(PositionRow, (account, symbol))
        if row is None:
            raise NoData(
                f"account {account!r} has no position in {symbol}.", remedy="look at enriched(engine, account)."
            )
        before = {name: _plain(getattr(row, name)) for name in metadata}
        for name, value in metadata.items():
            setattr(row, name, value)
        after = {name: _plain(value) for name, value in metadata.items()}
        _audit(session, row, "annotated", before, after)


def _drift(
    session: Session,
    account: str,
    symbol: str,
    *,
    qty: Decimal,
    expected: Decimal,
    ours: bool,
    prices: tuple[Decimal | None, Decimal | None],
) -> Discrepancy:
    here, there = {"qty": str(expected)}, {"qty": str(qty)}
    if not ours:
        detail = f"{qty} {symbol} are held there and no order of ours was ever for {symbol}; they are left alone."
        return Discrepancy("foreign_position", symbol, None, there, "reported", detail)
    like = f" (it looks like {split})" if (split := _split(expected, qty, *prices)) else ""
    detail = (
        f"the broker holds {qty} {symbol}, what is booked explains {expected}{like}; {symbol} is halted until cleared."
    )
    halt(session, account, symbol, reason=f"position drift: broker {qty}, explained {expected}{like}")
    return Discrepancy("position_drift", symbol, here, there, "halted", detail)


def _split(before: Decimal, after: Decimal, old_price: Decimal | None, new_price: Decimal | None) -> str:
    """The split that explains a changed holding: a ratio of small numbers at which its cost stayed the same."""
    if before * after <= 0 or not old_price or not new_price:
        return ""
    ratio = Fraction(after / before).limit_denominator(50)
    same_cost = abs(before * old_price - after * new_price) <= abs(before * old_price) / 100
    exact = ratio != 1 and Decimal(ratio.numerator) * before == Decimal(ratio.denominator) * after
    return f"a {ratio.numerator}-for-{ratio.denominator} split" if exact and same_cost else ""


def _write(
    session: Session,
    row: PositionRow | None,
    position: BrokerPosition | None,
    fills: Explained | None,
    *,
    account: str,
    symbol: str,
    unexplained: Decimal,
    now: dt.datetime,
) -> None:
    before = None if row is None else {"qty": str(row.qty), "avg_price": str(row.avg_price)}
    if row is None:
        row = PositionRow(account=account, symbol=symbol, qty=ZERO, realized=ZERO)
        session.add(row)
    opening = not row.qty and position is not None
    if opening:
        row.opened_at, row.closed_at, row.stop, row.target, row.strategy = now, None, None, None, None
    if fills is not None:
        row.realized = fills.position.realized
        row.opened_at = fills.opened_at or row.opened_at
        row.strategy = row.strategy or fills.strategy
    if position is None and row.closed_at is None:
        row.closed_at = (fills.ended_at if fills else None) or now
    row.qty = position.qty if position else ZERO
    row.avg_price = position.avg_price if position else ZERO
    row.market_price = position.market_price if position else None
    row.unrealized = position.unrealized if position else ZERO
    row.unexplained, row.synced_at = unexplained, utc_now()
    row.source = ("mixed" if fills else "foreign") if unexplained else "workbench"
    row.trace_id = (fills.trace_id if fills else None) or row.trace_id or trace_id()
    after = {"qty": str(row.qty), "avg_price": str(row.avg_price)}
    if before != after:
        _audit(session, row, "opened" if opening else "closed" if position is None else "changed", before, after)


def _audit(session: Session, row: PositionRow, action: str, before: Any, after: Any) -> None:
    subject = f"{row.account}/{row.symbol}"[:96]
    audit.record(session, entity="position", entity_id=subject, action=action, before=before, after=after)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _float(value: Decimal | None) -> float:
    return float("nan") if value is None else float(value)
