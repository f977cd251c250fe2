"""The risk check: pure rules between a wish and the journal, in a stated order; a refusal carries its numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import RiskRefused
from workbench.execution.limits import ACCOUNT, Limits, OpenOrder, RefusalCode, SessionFacts
from workbench.market.order import OrderWish, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from workbench.market.book import Book


@dataclass(frozen=True, slots=True)
class Refusal:
    """A wish that a limit refused. `numbers` are plain JSON values and hold what was measured and the limit's value."""

    wish: OrderWish
    code: RefusalCode
    message: str
    limit: str
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: every wish is either accepted or refused, in the order wished."""

    accepted: tuple[OrderWish, ...]
    refusals: tuple[Refusal, ...]

    def raise_if_refused(self) -> None:
        """Raises RiskRefused when anything was refused, with all reasons."""
        if self.refusals:
            raise RiskRefused(
                f"{len(self.refusals)} of {len(self.refusals) + len(self.accepted)} orders were refused: "
                + "; ".join(refusal.message for refusal in self.refusals),
                remedy="change the wish, or pass other Limits.",
                codes=[refusal.code.value for refusal in self.refusals],
            )

    def frame(self) -> pd.DataFrame:
        """One row per wish: symbol, side, qty, outcome (`accepted` or the code) and the message of a refusal."""
        rows = [(wish, "accepted", "") for wish in self.accepted]
        rows += [(refusal.wish, refusal.code.value, refusal.message) for refusal in self.refusals]
        return pd.DataFrame(
            [(wish.symbol, wish.side.value, float(wish.qty), outcome, why) for wish, outcome, why in rows],
            columns=["symbol", "side", "qty", "outcome", "why"],
        )


@dataclass(frozen=True, slots=True)
class _Broken:
    """A rule that a wish breaks: the message without the symbol, the limit's name and the numbers."""

    code: RefusalCode
    message: str
    limit: str
    numbers: dict[str, Any]


@dataclass(slots=True)
class _Plan:
    """What the check believes while it walks through the wishes: accepted ones count as filled, open ones at worst."""

    limits: Limits
    facts: SessionFacts
    prices: Mapping[str, Decimal | None]
    held: dict[str, Decimal]
    cash: Decimal
    value: Decimal | None
    unpriced: tuple[str, ...]
    open_orders: Sequence[OpenOrder]
    buying_power: Decimal | None
    orders: int
    seen: set[str] = field(default_factory=set)

    def reach(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The lowest and the highest quantity that the holding can have once every order that may be live is over."""
        held = self.held.get(symbol, Decimal(0))
        low = held - sum((o.qty for o in self.open_orders if o.symbol == symbol and o.side is Side.SELL), Decimal(0))
        high = held + sum((o.qty for o in self.open_orders if o.symbol == symbol and o.side is Side.BUY), Decimal(0))
        return low, high

    def worst(self, symbol: str) -> Decimal:
        """The largest |quantity| within reach."""
        low, high = self.reach(symbol)
        return max(abs(low), abs(high))

    def gross(self) -> Decimal:
        """Worst |quantity| × price over all symbols; only called when every one of them has a price."""
        names = {*self.held, *(order.symbol for order in self.open_orders)}
        return sum((self.worst(name) * (self.prices.get(name) or Decimal(0)) for name in names), Decimal(0))

    def reserved(self) -> Decimal:
        """Currency that orders which may be live can still take: buys at their worst price."""
        total = Decimal(0)
        for order in self.open_orders:
            if order.side is Side.BUY:
                total += order.qty * max(order.price or Decimal(0), self.prices.get(order.symbol) or Decimal(0))
        return total

    def accept(self, wish: OrderWish, price: Decimal) -> None:
        """Count a wish as filled at `price`."""
        signed = wish.side.sign * wish.qty
        self.held[wish.symbol] = self.held.get(wish.symbol, Decimal(0)) + signed
        self.cash -= signed * price
        if self.buying_power is not None:
            self.buying_power -= signed * price
        self.orders += 1


def check(
    wishes: Iterable[OrderWish],
    *,
    book: Book,
    prices: Mapping[str, float | Decimal],
    limits: Limits | None = None,
    facts: SessionFacts | None = None,
    open_exposure: Sequence[OpenOrder] = (),
) -> Checked:
    """Split wishes into those that keep every limit and those that break one. Pure: no clock, no file, no database.

    Wishes are taken in the given order (rebalancing puts sales first). An accepted wish counts as filled for those that
    follow, so the sales of a plan pay for its purchases; a refused one counts for nothing. Orders that may already be
    live count at worst case: purchases as filled, sales as not filled where that is worse. Checks, the first failing
    one is the reason: halts, numbers, symbol lists, duplicates and open orders, newest price (present, fresh, collar),
    order size, orders of the session; and, unless the wish only reduces a holding, short sale, position, gross
    exposure, cash, buying power.

    Args:
        book: cash and positions as booked.
        prices: newest known price per symbol, currency per share; one that is not finite or not > 0 counts as missing.
        limits: the account's bounds; `Limits()` when None.
        facts: halts, price times, orders so far, the broker's buying power.
        open_exposure: every order that may be live, those of unknown fate included.
    """
    bounds, known = limits or Limits(), facts or SessionFacts()
    exact = {symbol: _positive(price) for symbol, price in prices.items()}
    held = {symbol: position.qty for symbol, position in book.positions.items() if position.qty}
    exposed = {*held, *(order.symbol for order in open_exposure)}
    unpriced = tuple(sorted(symbol for symbol in exposed if exact.get(symbol) is None))
    plan = _Plan(
        limits=bounds,
        facts=known,
        prices=exact,
        held=held,
        cash=book.cash,
        value=None if unpriced else book.value({name: price for name, price in exact.items() if price is not None}),
        unpriced=unpriced,
        open_orders=open_exposure,
        buying_power=known.buying_power,
        orders=known.orders_so_far,
    )
    accepted: list[OrderWish] = []
    refusals: list[Refusal] = []
    for wish in wishes:
        broken = next((found for rule in _RULES if (found := rule(plan, wish)) is not None), None)
        plan.seen.add(wish.symbol)
        if broken is not None:
            message = f"{wish.side.value} {wish.qty} {wish.symbol}: {broken.message}"
            refusals.append(Refusal(wish, broken.code, message, broken.limit, broken.numbers))
            continue
        plan.accept(wish, _cost_price(plan, wish))
        accepted.append(wish)
    return Checked(tuple(accepted), tuple(refusals))


def _positive(number: float | Decimal | None) -> Decimal | None:
    """The number as Decimal, None when it is missing, not finite or not > 0."""
    if number is None:
        return None
    exact = number if isinstance(number, Decimal) else Decimal(str(float(number)))
    return exact if exact.is_finite() and exact > 0 else None


def _newest(plan: _Plan, wish: OrderWish) -> Decimal:
    price = plan.prices.get(wish.symbol)
    assert price is not None, "the price rule runs before every rule that needs a price"
    return price


def _cost_price(plan: _Plan, wish: OrderWish) -> Decimal:
    """What a share may cost: the limit of a purchase if it is higher than the newest price, else the newest price."""
    newest = _newest(plan, wish)
    return max(newest, wish.limit_price or newest) if wish.side is Side.BUY else min(newest, wish.limit_price or newest)


def _reduces(plan: _Plan, wish: OrderWish) -> bool:
    """Whether the wish can only bring the holding nearer to zero, whatever open orders do."""
    low, high = plan.reach(wish.symbol)
    return wish.qty <= low if wish.side is Side.SELL else wish.qty <= -high


def _number(value: Decimal | float | None) -> float | None:
    return None if value is None else float(value)


def _halts(plan: _Plan, wish: OrderWish) -> _Broken | None:
    for subject, code in ((ACCOUNT, RefusalCode.ACCOUNT_HALTED), (wish.symbol, RefusalCode.SYMBOL_HALTED)):
        if subject in plan.facts.halted:
            why = plan.facts.halted[subject]
            what = "the account" if subject == ACCOUNT else wish.symbol
            return _Broken(code, f"{what} is halted ({why}) until a person clears it", "halted", {"reason": why})
    return None


def _numbers(plan: _Plan, wish: OrderWish) -> _Broken | None:
    for name in ("qty", "limit_price", "stop_price", "reference_price"):
        value = getattr(wish, name)
        if value is not None and _positive(value) is None:
            message = f"{name}={value} is not a finite number > 0"
            return _Broken(RefusalCode.NOT_A_NUMBER, message, "finite and > 0", {"field": name, "value": str(value)})
    for name, money in (("cash", plan.cash), ("value", plan.value), ("buying_power", plan.buying_power)):
        if money is not None and not money.is_finite():
            message = f"the book's {name}={money} is not a finite number"
            return _Broken(RefusalCode.NOT_A_NUMBER, message, "finite", {"field": name, "value": str(money)})
    return None


def _symbols(plan: _Plan, wish: OrderWish) -> _Broken | None:
    if plan.limits.allow is not None and wish.symbol not in plan.limits.allow:
        message = f"it is not among the {len(plan.limits.allow)} allowed symbols"
        return _Broken(RefusalCode.SYMBOL_NOT_ALLOWED, message, "allow", {"allowed": sorted(plan.limits.allow)})
    if wish.symbol in plan.limits.deny:
        return _Broken(RefusalCode.SYMBOL_DENIED, "it is denied", "deny", {"denied": sorted(plan.limits.deny)})
    return None


def _duplicates(plan: _Plan, wish: OrderWish) -> _Broken | None:
    if wish.symbol in plan.seen:
        message = "an earlier wish of this list is for the same symbol"
        return _Broken(RefusalCode.DUPLICATE, message, "one wish per symbol", {})
    live = [order for order in plan.open_orders if order.symbol == wish.symbol]
    if plan.limits.one_order_per_symbol and live:
        first = live[0]
        return _Broken(
            RefusalCode.OPEN_ORDER,
            f"{first.side.value} {first.qty} ({first.client_order_id or 'no id'}) may still be live at the broker",
            "one_order_per_symbol",
            {"open": [order.client_order_id for order in live], "qty": float(sum(order.qty for order in live))},
        )
    return None


def _prices(plan: _Plan, wish: OrderWish) -> _Broken | None:
    newest = plan.prices.get(wish.symbol)
    if newest is None:
        message = "it has no newest price that is finite and > 0, so it cannot be valued"
        return _Broken(RefusalCode.NO_PRICE, message, "finite and > 0", {})
    at = plan.facts.priced_at.get(wish.symbol)
    if at is not None and plan.facts.now is not None and plan.facts.now - at > plan.limits.max_price_age:
        age = plan.facts.now - at
        return _Broken(
            RefusalCode.STALE_PRICE,
            f"its newest price is {age} old; at most {plan.limits.max_price_age} is allowed",
            "max_price_age",
            {"age_s": age.total_seconds(), "max_s": plan.limits.max_price_age.total_seconds()},
        )
    for name in ("limit_price", "stop_price", "reference_price"):
        price = getattr(wish, name)
        if price is not None and abs(price / newest - 1) > plan.limits.price_collar:
            away = abs(price / newest - 1)
            return _Broken(
                RefusalCode.PRICE_COLLAR,
                f"{name}={price} is {away:.1%} away from the newest price {newest}; at most "
                f"{plan.limits.price_collar:.1%} is allowed",
                "price_collar",
                {
                    name: float(price),
                    "newest": float(newest),
                    "away": float(away),
                    "max": float(plan.limits.price_collar),
                },
            )
    return None


def _order_size(plan: _Plan, wish: OrderWish) -> _Broken | None:
    if wish.qty > plan.limits.max_order_qty:
        message = f"quantity {wish.qty} is above {plan.limits.max_order_qty} shares per order"
        numbers = {"qty": float(wish.qty), "max": float(plan.limits.max_order_qty)}
        return _Broken(RefusalCode.ORDER_QTY, message, "max_order_qty", numbers)
    notional = wish.qty * _cost_price(plan, wish)
    if notional > plan.limits.max_order_notional:
        message = f"its {notional:.2f} is above {plan.limits.max_order_notional} per order"
        numbers = {"notional": float(notional), "max": float(plan.limits.max_order_notional)}
        return _Broken(RefusalCode.ORDER_NOTIONAL, message, "max_order_notional", numbers)
    return None


def _order_rate(plan: _Plan, _wish: OrderWish) -> _Broken | None:
    if plan.orders + 1 > plan.limits.max_orders_per_session:
        message = f"it would be order {plan.orders + 1} of the session; at most {plan.limits.max_orders_per_session}"
        numbers = {"orders": plan.orders + 1, "max": plan.limits.max_orders_per_session}
        return _Broken(RefusalCode.ORDERS_PER_SESSION, message, "max_orders_per_session", numbers)
    return None


def _short(plan: _Plan, wish: OrderWish) -> _Broken | None:
    low, _ = plan.reach(wish.symbol)
    if wish.side is Side.SELL and not plan.limits.allow_short and low - wish.qty < 0:
        message = f"only {max(low, Decimal(0))} can be sold without going short"
        return _Broken(RefusalCode.SHORT, message, "allow_short", {"available": float(low), "qty": float(wish.qty)})
    return None


def _position(plan: _Plan, wish: OrderWish) -> _Broken | None:
    low, high = plan.reach(wish.symbol)
    after = high + wish.qty if wish.side is Side.BUY else low - wish.qty
    notional = abs(after) * _cost_price(plan, wish)
    limits = plan.limits
    if notional > limits.max_position_notional:
        message = f"the holding could reach {notional:.2f}, above {limits.max_position_notional}"
        numbers = {"notional": float(notional), "max": float(limits.max_position_notional)}
        return _Broken(RefusalCode.POSITION_NOTIONAL, message, "max_position_notional", numbers)
    if plan.value is None:
        return _Broken(
            RefusalCode.NO_PRICE,
            f"{', '.join(plan.unpriced)} held or on order without a price, so exposure is not known",
            "finite and > 0",
            {"unpriced": list(plan.unpriced)},
        )
    if notional > limits.max_position_fraction * plan.value:
        message = (
            f"the holding could reach {notional:.2f}, above {limits.max_position_fraction:.1%} of {plan.value:.2f}"
        )
        numbers = {
            "notional": float(notional),
            "max_fraction": float(limits.max_position_fraction),
            "value": float(plan.value),
        }
        return _Broken(RefusalCode.POSITION_FRACTION, message, "max_position_fraction", numbers)
    return None


def _gross(plan: _Plan, wish: OrderWish) -> _Broken | None:
    assert plan.value is not None, "the position rule refuses when the book has no value"
    before = plan.gross()
    trial = dataclasses.replace(plan, held=dict(plan.held))
    trial.held[wish.symbol] = trial.held.get(wish.symbol, Decimal(0)) + wish.side.sign * wish.qty
    after = trial.gross()
    if after > plan.limits.max_gross_exposure * plan.value and after > before:
        message = (
            f"gross exposure could reach {after:.2f}, above {plan.limits.max_gross_exposure:.1%} of {plan.value:.2f}"
        )
        numbers = {
            "before": float(before),
            "after": float(after),
            "max_fraction": float(plan.limits.max_gross_exposure),
            "value": float(plan.value),
        }
        return _Broken(RefusalCode.GROSS_EXPOSURE, message, "max_gross_exposure", numbers)
    return None


def _money(plan: _Plan, wish: OrderWish) -> _Broken | None:
    if wish.side is Side.SELL:
        return None
    cost = wish.qty * _cost_price(plan, wish)
    left = plan.cash - plan.reserved() - cost
    if left < plan.limits.min_cash:
        message = f"it costs {cost:.2f} and would leave {left:.2f} of cash; at least {plan.limits.min_cash} must stay"
        numbers = {"cost": float(cost), "left": float(left), "min": float(plan.limits.min_cash)}
        return _Broken(RefusalCode.CASH, message, "min_cash", numbers)
    if plan.buying_power is not None and cost > plan.buying_power:
        message = f"it costs {cost:.2f}; the broker leaves {plan.buying_power:.2f} of buying power"
        numbers = {"cost": float(cost), "buying_power": _number(plan.buying_power)}
        return _Broken(RefusalCode.BUYING_POWER, message, "buying_power", numbers)
    return None


def _unless_reducing(
    rule: Callable[[_Plan, OrderWish], _Broken | None],
) -> Callable[[_Plan, OrderWish], _Broken | None]:
    """The rule, for wishes that add risk: one that only reduces a holding is never blocked by an exposure limit."""
    return lambda plan, wish: None if _reduces(plan, wish) else rule(plan, wish)


# The order of the checks; `check` and RefusalCode repeat it in words.
_RULES: tuple[Callable[[_Plan, OrderWish], _Broken | None], ...] = (
    _halts,
    _numbers,
    _symbols,
    _duplicates,
    _prices,
    _order_size,
    _order_rate,
    _unless_reducing(_short),
    _unless_reducing(_position),
    _unless_reducing(_gross),
    _unless_reducing(_money),
)
