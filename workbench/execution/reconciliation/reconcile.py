"""Reconciling an account: our book is compared with the broker's, every difference is recorded, none is hidden."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench.execution.reconciliation.compare_account import (
    blocked,
    compare_cash,
    drifting,
    other_account,
    pending_fills,
    still_pending,
)
from workbench.execution.reconciliation.compare_orders import compare_fills, compare_orders
from workbench.execution.reconciliation.discrepancy import Discrepancy, Reconciliation, store
from workbench.execution.reconciliation.explained import explained
from workbench.execution.reconciliation.positions import sync
from workbench.market.order import IntentState
from workbench.store.engine import transaction
from workbench.store.schema import new_id, utc_now
from workbench.store.tables.execution import ReconciliationRow
from workbench.trace import get_logger

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import Broker, BrokerAccount, BrokerOrder, BrokerPosition
    from workbench.execution.journal.intent import Intent
    from workbench.execution.journal.journal import Journal
    from workbench.market.order import Fill
    from workbench.store.lease import Lease

# A difference may only be a reading torn between two requests, or an activity that lags behind its order.
PAUSES = (0.2, 0.5, 1.0)
OVERLAP = dt.timedelta(days=1)
_BEGINNING = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the broker said, in one reading."""

    time: dt.datetime | None
    account: BrokerAccount
    positions: Sequence[BrokerPosition]
    orders: Sequence[BrokerOrder]
    not_there: Sequence[Intent]
    fills: Sequence[Fill]


class _ReadAgain(Exception):
    """A difference that the next reading may explain."""


def reconcile(
    journal: Journal,
    broker: Broker,
    occasion: str,
    *,
    lease: Lease | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Reconciliation:
    """Compare orders, positions, fills and the account with the broker's, repair what facts can repair, record it all.

    Facts enter through `apply_order` and `apply_fill` alone. Missing here: inserted. Mismatch: updated. Closed there:
    closed. Foreign orders and holdings are reported once and never touched. A position that fills do not explain halts
    its symbol. Fills are never invented. Differences that a torn reading could cause are read again first (`PAUSES`).
    A pass is one transaction: what it changed and what it recorded are stored together or not at all. A pass right
    after a pass is clean, unless something happened in between or executions are still on their way.

    Args:
        occasion: why now: `start`, `connect`, `periodic`, `close` or another word of up to 16 letters.
        lease: the account's lease, proved in the transaction of the pass.

    Raises:
        ExchangeUnavailable, BrokerRefused: the broker could not be read; nothing was concluded.
        LeaseLost: another process owns the account now.
    """
    started, last = utc_now(), _last(journal)
    since = last.broker_time - OVERLAP if last is not None and last.broker_time is not None else _BEGINNING
    for pause in PAUSES:
        seen = _read(journal, broker, since)
        try:
            return _conclude(journal, seen, last, occasion, started=started, lease=lease, final=False)
        except _ReadAgain:
            sleep(pause)
    seen = _read(journal, broker, since)
    return _conclude(journal, seen, last, occasion, started=started, lease=lease, final=True)


def _read(journal: Journal, broker: Broker, since: dt.datetime) -> _Seen:
    """One reading. Orders that we believe live and that no list shows are asked for one by one."""
    clock, account, positions = broker.clock(), broker.account(), broker.positions()
    orders = {order.id: order for order in (*broker.orders_since(since), *broker.open_orders())}
    listed = {name for order in orders.values() for one in order.family for name in (one.client_order_id, one.id)}
    not_there: list[Intent] = []
    for intent in journal.intents(states=[state for state in IntentState if state.may_be_live]):
        if intent.client_order_id in listed or intent.broker_order_id in listed:
            continue
        order = broker.order(intent.broker_order_id) if intent.broker_order_id else None
        order = order or broker.order_by_client_id(intent.client_order_id)
        if order is None:
            not_there.append(intent)
        else:
            orders[order.id] = order
    fills = broker.fills_since(after=since)
    return _Seen(clock.now, account, positions, list(orders.values()), not_there, fills)


def _conclude(
    journal: Journal,
    seen: _Seen,
    last: ReconciliationRow | None,
    occasion: str,
    *,
    started: dt.datetime,
    lease: Lease | None,
    final: bool,
) -> Reconciliation:
    """One transaction: apply a reading and store the pass. Raises _ReadAgain unless `final` when it does not add up."""
    account, at = journal.account, journal.clock()
    with transaction(journal.engine) as session:
        if lease is not None:
            lease.check(session)
        foreign = other_account(session, account, last, seen.account)
        if foreign is not None:
            return _finish(session, account, [foreign], seen, occasion, started=started, basis=None, ours=False)
        found = compare_orders(session, account, seen.orders, at=at, first=last is None, not_there=seen.not_there)
        found += compare_fills(session, account, seen.fills, at=at)
        pending = pending_fills(session, account)
        known, moved = explained(session, account)
        cash = compare_cash(session, account, seen.account, moved)
        if not final and (pending or cash or drifting(session, account, seen.positions, known, pending)):
            raise _ReadAgain
        found += still_pending(pending)
        found += sync(session, account, seen.positions, known, now=seen.time or at, pending=pending)
        found += [] if pending else cash
        found += blocked(session, account, seen.account)
        basis = None if pending or seen.account.cash is None else seen.account.cash - moved
        return _finish(session, account, found, seen, occasion, started=started, basis=basis, ours=True)


def _finish(
    session: Session,
    account: str,
    found: list[Discrepancy],
    seen: _Seen,
    occasion: str,
    *,
    started: dt.datetime,
    basis: Decimal | None,
    ours: bool,
) -> Reconciliation:
    result = Reconciliation(
        id=new_id(),
        account=account,
        occasion=occasion,
        discrepancies=tuple(found),
        orders=len(seen.orders),
        positions=len(seen.positions),
        fills=len(seen.fills),
        cash=seen.account.cash,
        equity=seen.account.equity,
        buying_power=seen.account.buying_power,
        started_at=started,
    )
    number, moment = (seen.account.number or None, seen.time) if ours else (None, None)
    store(session, result, cash_basis=basis, account_number=number, broker_time=moment)
    logger = get_logger(__name__)
    logger.info(
        "reconciled", account=account, occasion=occasion, clean=result.clean, orders=result.orders, fills=result.fills
    )
    for one in found:
        logger.warning("discrepancy", account=account, occasion=occasion, **dataclasses.asdict(one))
    return result


def _last(journal: Journal) -> ReconciliationRow | None:
    """The newest pass that compared anything (one that met another account's keys did not)."""
    with transaction(journal.engine) as session:
        return session.scalars(
            select(ReconciliationRow)
            .where(ReconciliationRow.account == journal.account, ReconciliationRow.broker_time.is_not(None))
            .order_by(ReconciliationRow.started_at.desc())
            .limit(1)
        ).one_or_none()
