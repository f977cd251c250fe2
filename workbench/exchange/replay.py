"""One step of an account's time: match its orders at a session's open or close, book the fills, let orders expire."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange import matching
from workbench.exchange.clock import Step, StepKind
from workbench.exchange.margin import worth
from workbench.exchange.records import ZERO, Account, Execution, Order, Position
from workbench.exchange.wire import event_json, order_json

if TYPE_CHECKING:
    from workbench.exchange.ledger import Ledger
    from workbench.exchange.market import Market


@dataclass(slots=True)
class Played:
    """What a step did: events for the stream, in order, and how many orders filled or expired."""

    events: list[dict[str, Any]]
    fills: int = 0
    expired: int = 0


def play(account: Account, step: Step, *, market: Market, ledger: Ledger, rules: matching.Rules) -> Played:
    """Move the account to `step.moment`.

    Changes the account in place and writes to the ledger, inside the caller's transaction.
    """
    played = Played([])
    account.now = step.moment
    for symbol in account.orders.symbols():
        bar = market.bar(symbol, step.session.date)
        if bar is None:
            continue
        orders = account.orders.of(symbol)
        if step.kind is StepKind.OPEN:
            outcome = matching.at_open(orders, bar, rules=rules)
        else:
            used = ZERO
            if bar.volume is not None:
                used = _taken_since(account, symbol, step.session.opens, ledger)
            outcome = matching.at_close(orders, bar, rules=rules, used=used)
        _book(account, outcome, step.moment, ledger, played)
    for order in account.orders:
        if order.expires_at is not None and order.expires_at <= step.moment:
            played.events.append(_end(account, order, "expired", step.moment, ledger=ledger))
            played.expired += 1
    ledger.save_account(account)
    if step.kind is StepKind.CLOSE:
        ledger.add_equity(account.id, step.moment, worth(account, market).equity, account.cash)
    return played


def _taken_since(account: Account, symbol: str, since: dt.datetime, ledger: Ledger) -> Decimal:
    from workbench.exchange.clock import text_of

    fills = ledger.executions(account.id, where="symbol=? AND happened>=?", values=(symbol, text_of(since)))
    return sum((fill.qty for fill in fills), ZERO)


def _book(account: Account, outcome: matching.Outcome, moment: dt.datetime, ledger: Ledger, played: Played) -> None:
    open_orders = {order.id: order for order in account.orders}
    touched: dict[str, Order] = {}
    for order_id in outcome.triggered:
        order = touched.setdefault(order_id, open_orders[order_id])
        order.triggered = True
        order.updated_at = account.stamp()
    for match in outcome.matches:
        order = touched.setdefault(match.order_id, open_orders[match.order_id])
        execution = _fill(account, order, match, moment)
        ledger.add_execution(account.id, execution)
        ledger.save_position(account.id, order.symbol, account.positions.get(order.symbol))
        event = "partial_fill" if execution.left else "fill"
        played.events.append(
            event_json(event, order_json(order), moment=moment, execution=execution, execution_id=execution.id)
        )
        played.fills += 1
    for order in touched.values():
        ledger.save_order(order)
    for order_id in outcome.canceled:
        played.events.append(_end(account, open_orders[order_id], "canceled", moment, ledger=ledger))


def _fill(account: Account, order: Order, match: matching.Match, moment: dt.datetime) -> Execution:
    change = order.sign * match.qty
    account.cash -= change * match.price
    position = account.positions.get(order.symbol) or Position(order.symbol, ZERO, ZERO)
    after = position.after(change, match.price)
    if after is None:
        account.positions.pop(order.symbol, None)
    else:
        account.positions[order.symbol] = after
    order.filled_qty += match.qty
    order.filled_cost += match.qty * match.price
    if order.qty is None:
        order.qty = match.qty + match.left  # a notional order is sized by its first fill
    order.updated_at = account.stamp()
    order.filled_at = moment
    order.status = "partially_filled"
    if not match.left:
        order.status = "filled"
        account.orders.remove(order)
    else:
        account.orders.update(order)
    return Execution(
        id=str(uuid.uuid4()),
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        qty=match.qty,
        price=match.price,
        happened=moment,
        cumulative=order.filled_qty,
        left=match.left,
        position_qty=after.qty if after else ZERO,
    )


def _end(account: Account, order: Order, status: str, moment: dt.datetime, *, ledger: Ledger) -> dict[str, Any]:
    order.status = status
    order.updated_at = account.stamp()
    if status == "expired":
        order.expired_at = moment
    else:
        order.canceled_at = moment
    account.orders.remove(order)
    ledger.save_order(order)
    return event_json(status, order_json(order), moment=moment, execution_id=str(uuid.uuid4()))
