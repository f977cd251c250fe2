"""What an account may do: its worth, its buying power, and how a request for stock is booked or refused.

    equity        = cash + Σ qty·mark·multiplier
    buying power  = max(0, m·(cash + Σ stock − R) − Σ |stock| − Σ reserved)       m: the account's multiplier
    R             = what short options may cost at worst at expiry, see `option_margin`; 0 without options
    reserved      = price·remaining shares of each open *opening* order, with price =
                        buy limit: the limit       buy stop: the stop, collared      buy market: the mark, collared
                        short:     max(limit or stop, mark·1.03)
    options buying power = buying power / m: options are paid in full

Closing orders reserve nothing, hold the shares they would close, and free buying power only when they fill. Of a
bracket only the entry reserves. An order may not go through zero: close first, then open. Cushion, collars and
multiplier are the account's rules. While a replace is on its way the larger of the two orders is reserved. There is no
margin call and no borrow fee.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Final

from workbench.exchange.accounts.option_margin import covering, exposed, requirement
from workbench.exchange.state.occ import MULTIPLIER, contract_of
from workbench.exchange.state.order import QTY_STEP, ZERO, Order
from workbench.exchange.state.records import Worth
from workbench.exchange.wire import Refusal, money, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.exchange.market.market import Market
    from workbench.exchange.requests.intake import OrderRequest
    from workbench.exchange.state.records import Account, SymbolFacts

FORBIDDEN: Final = 40310000
_ROOM = Decimal("0.9")  # a notional sale holds as many shares as it would need after a fall of ten percent


@dataclass(frozen=True, slots=True)
class Admission:
    """How an order is booked: does it open, what does each of its units reserve, what does a notional sale hold."""

    opening: bool
    reserve_price: Decimal
    hold_qty: Decimal | None = None


CLOSING: Final = Admission(opening=False, reserve_price=ZERO)


def mark(account: Account, market: Market, symbol: str) -> Decimal | None:
    """The newest price of a symbol at the account's clock, None before its first one."""
    marks = account.marks
    if symbol in marks:
        return marks[symbol]
    seen = market.last(symbol, account.now)
    found = marks[symbol] = None if seen is None else seen.price
    return found


def worth(account: Account, market: Market) -> Worth:
    """The account at the newest prices known at its own clock."""
    long_value, short_value, stock, gross, required, equity = _valued(account, market)
    m = multiplier(account, equity)
    power = m * (account.cash + stock - required) - gross - account.orders.reserved
    power = max(ZERO, power)
    return Worth(account.cash, long_value, short_value, power, power / m, required)


def multiplier(account: Account, equity: Decimal) -> Decimal:
    """Buying power per unit of equity: the smallest of the account's, its owner's and the day-trade rule's."""
    allowed = min(account.multiplier, Decimal(account.configurations["max_margin_multiplier"]))
    rule = account.rules.day_trades
    if rule is not None and equity < rule.equity:
        return min(allowed, rule.small_multiplier)
    return allowed


def admit(
    request: OrderRequest,
    account: Account,
    market: Market,
    facts: SymbolFacts,
    *,
    ignoring: Order | None = None,
) -> Admission:
    """Check a request for stock against the account. `ignoring`: the order it would replace.

    Raises:
        Refusal: 403 40310000 with the numbers, or 422 where the symbol has no price yet.
    """
    symbol, buys = request.symbol, request.side == "buy"
    price = mark(account, market, symbol)
    if price is None:
        raise Refusal(422, 42210000, f"asset {symbol} is not tradable: it has no price yet")
    if facts.halted or request.fractional:
        _tradable(request, account, facts)
    position = account.positions.get(symbol)
    held = ZERO if position is None else position.qty
    opposite = account.orders.on(symbol, "sell" if buys else "buy")
    closing = held < 0 if buys else held > 0
    if opposite:
        if not request.order_class:
            _no_wash_trade(request, opposite, ignoring)
        if not closing:
            _no_opposite_opening(request, opposite)
    if closing:
        return _close(request, account, held, price, ignoring)
    if request.order_class == "oco":
        raise Refusal(422, 42210000, "oco orders must be exit orders")
    if not buys:
        _short_allowed(request, account, facts)
    return _open(request, account, market, price, ignoring)


def insufficient(symbol: str, *, asked: Decimal, existing: Decimal, taken: Decimal) -> Refusal:
    """The refusal of an order that would close more than is free."""
    free = max(ZERO, existing - taken)
    return Refusal(
        403,
        FORBIDDEN,
        f"insufficient qty available for order (requested: {plain(asked)}, available: {plain(free)})",
        available=plain(free),
        existing_qty=plain(existing),
        held_for_orders=plain(taken),
        symbol=symbol,
    )


def _valued(account: Account, market: Market) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]:
    """(long value, short value, stock value, gross stock value, required for options, equity), kept until a change."""
    if account.worth is not None:
        long_value, short_value, stock, gross, required = account.worth
        return long_value, short_value, stock, gross, required, account.cash + long_value + short_value
    long_value = short_value = stock = gross = ZERO
    options = False
    for symbol, position in account.positions.items():
        price = mark(account, market, symbol)
        value = position.qty * (position.average_entry if price is None else price)
        if contract_of(symbol) is None:
            stock += value
            gross += abs(value)
        else:
            options = True
            value *= MULTIPLIER
        if value > 0:
            long_value += value
        else:
            short_value += value
    required = ZERO
    if options:
        required = requirement({symbol: position.qty for symbol, position in account.positions.items()}) or ZERO
    account.worth = (long_value, short_value, stock, gross, required)
    return long_value, short_value, stock, gross, required, account.cash + long_value + short_value


def _open(request: OrderRequest, account: Account, market: Market, price: Decimal, ignoring: Order | None) -> Admission:
    reserve = _reserve_price(request, account, price)
    cost = (request.notional if request.qty is None else reserve * request.qty) or ZERO
    if request.side == "buy" and cost < 1 and request.fractional:
        raise Refusal(422, FORBIDDEN, "cost basis must be >= minimal amount of order 1")
    power = worth(account, market).buying_power + (ignoring.reserved if ignoring is not None else ZERO)
    if cost > power:
        raise Refusal(403, FORBIDDEN, "insufficient buying power", buying_power=money(power), cost_basis=money(cost))
    return Admission(opening=True, reserve_price=reserve)


def _tradable(request: OrderRequest, account: Account, facts: SymbolFacts) -> None:
    if facts.halted:
        raise Refusal(403, FORBIDDEN, f"asset {request.symbol} is not tradable: trading is halted")
    if not account.configurations["fractional_trading"]:
        raise Refusal(403, FORBIDDEN, "account is not allowed to trade fractional shares")
    if not facts.fractionable:
        raise Refusal(403, FORBIDDEN, f'asset "{request.symbol}" is not fractionable')


def _close(request: OrderRequest, account: Account, held: Decimal, price: Decimal, ignoring: Order | None) -> Admission:
    if request.order_class and request.order_class != "oco":
        raise Refusal(422, 42210000, f"{request.order_class} orders must be entry orders")
    existing = abs(held)
    taken = account.orders.held(request.symbol) - (ignoring.holds if ignoring is not None else ZERO)
    if held > 0 and (account.orders.options() or any(contract_of(name) is not None for name in account.positions)):
        taken += covering(exposed(account), request.symbol)  # shares that stand behind short calls
    if request.qty is not None:
        if request.qty > existing - taken:
            raise insufficient(request.symbol, asked=request.qty, existing=existing, taken=taken)
        return CLOSING
    if request.side == "buy":
        raise Refusal(422, 42210000, "notional orders cannot cover a short position; use qty")
    asked = ((request.notional or ZERO) / price).quantize(QTY_STEP, ROUND_DOWN)
    if asked > existing - taken:
        raise insufficient(request.symbol, asked=asked, existing=existing, taken=taken)
    hold = min(existing - taken, (asked / _ROOM).quantize(QTY_STEP, ROUND_DOWN))
    return Admission(opening=False, reserve_price=ZERO, hold_qty=hold)


def _short_allowed(request: OrderRequest, account: Account, facts: SymbolFacts) -> None:
    if not account.shorting or account.configurations["no_shorting"]:
        raise Refusal(403, FORBIDDEN, "account is not allowed to short")
    if request.fractional:
        raise Refusal(422, 42210000, "fractional orders cannot be sold short")
    if not facts.shortable:
        raise Refusal(422, 42210000, f"asset {request.symbol} cannot be sold short")
    if not facts.easy_to_borrow and request.time_in_force != "day":
        raise Refusal(422, 42210000, f"only day orders are allowed for hard-to-borrow asset {request.symbol}")


def _no_opposite_opening(request: OrderRequest, opposite: Iterable[Order]) -> None:
    if any(order.opening for order in opposite):
        raise Refusal(
            403,
            FORBIDDEN,
            "cannot open a long buy while a short sell order is open"
            if request.side == "buy"
            else "cannot open a short sell while a long buy order is open",
        )


def _no_wash_trade(request: OrderRequest, opposite: Iterable[Order], ignoring: Order | None) -> None:
    """An order that could meet one's own: opposite side, and the prices cross (a missing limit crosses everything).

    Orders that came as brackets, OCO or OTO are spared, and so are requests for them: they are the way out that the
    refusal names.
    """
    limit, buys = request.limit_price, request.side == "buy"
    for order in opposite:
        if order.order_class or order is ignoring:
            continue
        theirs = order.limit_price
        if limit is not None and theirs is not None and (limit < theirs if buys else limit > theirs):
            continue
        raise Refusal(
            403,
            FORBIDDEN,
            "potential wash trade detected. use complex orders",
            existing_order_id=order.id,
            reject_reason="opposite side market/stop order exists" if theirs is None else "opposite side order crosses",
        )


def _reserve_price(request: OrderRequest, account: Account, price: Decimal) -> Decimal:
    rules, limit = account.rules, request.limit_price
    if request.side == "sell":
        return max(limit or request.stop_price or ZERO, price * rules.short_cushion)
    if limit is not None:
        return limit
    if request.type == "trailing_stop":
        away = request.trail_price if request.trail_price is not None else price * (request.trail_percent or ZERO) / 100
        return rules.collared(price + away)
    return rules.collared(request.stop_price if request.stop_price is not None else price)
