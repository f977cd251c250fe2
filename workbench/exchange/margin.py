"""What an account may do: buying power, shares free to close, and orders that must not meet each other.

    equity        = cash + Σ qty·mark
    buying power  = max(0, m·equity − Σ |qty·mark| − Σ reserved)            m: the account's multiplier
    reserved      = price·remaining shares of each open *opening* order, with price =
                        buy limit: the limit       buy stop: the stop + collar      buy market: mark + collar
                        short:     max(limit or stop, mark·1.03)
    collar        = 4 % below 50, 2.5 % from 50 on

Closing orders reserve nothing, hold the shares they would close, and free buying power only when they fill. An order
may not go through zero: close first, then open. Multiplier 4 is what a margin account has within a session, 2 is
Reg-T, 1 is a cash account. There is no margin call and no borrow fee.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.exchange.records import ZERO, Account, Order
from workbench.exchange.wire import Refusal, money, plain

if TYPE_CHECKING:
    from workbench.exchange.intake import OrderRequest
    from workbench.exchange.market import Market

FORBIDDEN = 40310000
MAINTENANCE = Decimal("0.30")
SHORT_CUSHION = Decimal("1.03")
_FIFTY = Decimal(50)


@dataclass(frozen=True, slots=True)
class Worth:
    """An account marked at the newest prices it may see: all in currency; `short_value` ≤ 0."""

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    buying_power: Decimal

    @property
    def equity(self) -> Decimal:
        """Cash and positions."""
        return self.cash + self.long_value + self.short_value


@dataclass(frozen=True, slots=True)
class Admission:
    """How an order is booked: does it open, and what does each of its shares reserve."""

    opening: bool
    reserve_price: Decimal


def worth(account: Account, market: Market) -> Worth:
    """The account at the newest prices known at its own clock."""
    long_value = short_value = ZERO
    for position in account.positions.values():
        seen = market.last(position.symbol, account.now)
        value = position.qty * (seen.price if seen else position.average_entry)
        if value > 0:
            long_value += value
        else:
            short_value += value
    equity = account.cash + long_value + short_value
    power = account.multiplier * equity - (long_value - short_value) - account.orders.reserved
    return Worth(account.cash, long_value, short_value, max(ZERO, power))


def held(account: Account, symbol: str) -> Decimal:
    """Shares of the position that open closing orders would take."""
    position = account.position_qty(symbol)
    closing = account.orders.on(symbol, "sell" if position > 0 else "buy") if position else []
    return sum((order.remaining or ZERO for order in closing if not order.opening), ZERO)


def collar(mark: Decimal) -> Decimal:
    """What a market buy is assumed to cost at worst, per share."""
    return mark * (Decimal("1.04") if mark < _FIFTY else Decimal("1.025"))


def admit(request: OrderRequest, account: Account, market: Market, *, ignoring: Order | None = None) -> Admission:
    """Check a request against the account. `ignoring`: the order it would replace.

    Raises:
        Refusal: 403 40310000 with the numbers, or 422 where the symbol has no price yet.
    """
    seen = market.last(request.symbol, account.now)
    if seen is None:
        raise Refusal(422, 42210000, f"asset {request.symbol} is not tradable: it has no price yet")
    position = account.position_qty(request.symbol)
    opposite = account.orders.on(request.symbol, "sell" if request.side == "buy" else "buy")
    _no_wash_trade(request, opposite)
    closing = position > 0 if request.side == "sell" else position < 0
    if closing:
        taken = held(account, request.symbol) - (ignoring.remaining or ZERO if ignoring else ZERO)
        return _close(request, abs(position), taken)
    _no_opposite_opening(request, opposite)
    if request.side == "sell":
        _short_allowed(request, account)
    price = _reserve_price(request, seen.price)
    cost = request.notional if request.qty is None else price * request.qty
    cost = cost or ZERO
    fractional = request.qty is None or request.qty != request.qty.to_integral_value()
    if fractional and request.side == "buy" and cost < 1:
        raise Refusal(422, FORBIDDEN, "cost basis must be >= minimal amount of order 1")
    power = worth(account, market).buying_power + (ignoring.reserved if ignoring else ZERO)
    if cost > power:
        raise Refusal(403, FORBIDDEN, "insufficient buying power", buying_power=money(power), cost_basis=money(cost))
    return Admission(opening=True, reserve_price=price)


def _close(request: OrderRequest, existing: Decimal, taken: Decimal) -> Admission:
    if request.qty is None:
        raise Refusal(422, 42210000, "notional orders cannot cover a short position; use qty")
    qty = request.qty
    available = existing - taken
    if qty > available:
        raise Refusal(
            403,
            FORBIDDEN,
            f"insufficient qty available for order (requested: {plain(qty)}, available: {plain(available)})",
            available=plain(available),
            existing_qty=plain(existing),
            held_for_orders=plain(taken),
            symbol=request.symbol,
        )
    return Admission(opening=False, reserve_price=ZERO)


def _short_allowed(request: OrderRequest, account: Account) -> None:
    if not account.shorting or account.configurations["no_shorting"]:
        raise Refusal(403, FORBIDDEN, "account is not allowed to short")
    if request.qty is None or request.qty != request.qty.to_integral_value():
        raise Refusal(422, 42210000, "fractional orders cannot be sold short")


def _no_opposite_opening(request: OrderRequest, opposite: list[Order]) -> None:
    if any(order.opening for order in opposite):
        raise Refusal(
            403,
            FORBIDDEN,
            "cannot open a long buy while a short sell order is open"
            if request.side == "buy"
            else "cannot open a short sell while a long buy order is open",
        )


def _no_wash_trade(request: OrderRequest, opposite: list[Order]) -> None:
    """An order that could meet one's own: opposite side, and the prices cross (a missing limit crosses everything)."""
    for order in opposite:
        if request.limit_price is not None and order.limit_price is not None:
            sign = 1 if request.side == "buy" else -1
            if sign * request.limit_price < sign * order.limit_price:
                continue
        raise Refusal(
            403,
            FORBIDDEN,
            "potential wash trade detected. use complex orders",
            existing_order_id=order.id,
            reject_reason="opposite side market/stop order exists"
            if order.limit_price is None
            else "opposite side order crosses",
        )


def _reserve_price(request: OrderRequest, mark: Decimal) -> Decimal:
    if request.side == "sell":
        return max(request.limit_price or request.stop_price or ZERO, mark * SHORT_CUSHION)
    if request.limit_price is not None:
        return request.limit_price
    return collar(request.stop_price if request.stop_price is not None else mark)
