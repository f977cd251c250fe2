"""The risk check: pure rules between a wish and the journal, in a stated order; a refusal carries its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import RiskRefused
from workbench.execution.exposure import ZERO, Exposure, positive
from workbench.execution.limits import ACCOUNT, Limits, OpenOrder, RefusalCode, SessionFacts
from workbench.market.order import OrderWish, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from workbench.market.book import Book


@dataclass(frozen=True, slots=True)
class Refusal:
    """A wish that a limit refused. `numbers` are plain JSON values: what was measured, and the limit's own value."""

    wish: OrderWish
    code: RefusalCode
    message: str
    limit: str
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: every wish is either accepted or refused, each list in the order wished."""

    accepted: tuple[OrderWish, ...]
    refusals: tuple[Refusal, ...]

    def raise_if_refused(self) -> None:
        """Raises RiskRefused when anything was refused, with all reasons."""
        if self.refusals:
            raise RiskRefused(
                f"{len(self.refusals)} of {len(self.refusals) + len(self.accepted)} wishes were refused: "
                + "; ".join(refusal.message for refusal in self.refusals),
                remedy="change the wish, or pass other Limits.",
                codes=[refusal.code.value for refusal in self.refusals],
            )

    def frame(self) -> pd.DataFrame:
        """One row per wish: symbol, side, qty (shares), outcome (`accepted` or the code), and why it was refused."""
        rows = [(wish, "accepted", "") for wish in self.accepted]
        rows += [(refusal.wish, refusal.code.value, refusal.message) for refusal in self.refusals]
        return pd.DataFrame(
            [(wish.symbol, wish.side.value, float(wish.qty), outcome, why) for wish, outcome, why in rows],
            columns=["symbol", "side", "qty", "outcome", "why"],
        )


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
    live count at worst case: purchases as filled, sales as not filled where that is worse.

    The checks in their order; the first failing one is the reason: halts, numbers, symbol lists, duplicates and open
    orders, newest price (present, fresh, collar), order size, orders of the session; and, unless the wish can only
    reduce a holding, short sale, position, gross exposure, cash, buying power.

    Args:
        book: cash and positions as booked.
        prices: newest known price per symbol, currency per share; one that is not finite or not > 0 counts as missing.
        limits: the account's bounds; `Limits()` when None.
        facts: halts, price times, orders so far, the broker's buying power.
        open_exposure: every order that may be live, those of unknown fate included.
    """
    exposure = Exposure.of(book, prices, limits or Limits(), facts or SessionFacts(), open_exposure)
    accepted: list[OrderWish] = []
    refusals: list[Refusal] = []
    for wish in wishes:
        refusal = next((found for rule in _RULES if (found := rule(exposure, wish)) is not None), None)
        exposure.seen.add(wish.symbol)
        if refusal is not None:
            refusals.append(refusal)
        else:
            exposure.accept(wish)
            accepted.append(wish)
    return Checked(tuple(accepted), tuple(refusals))


def _refuse(wish: OrderWish, code: RefusalCode, message: str, limit: str, **numbers: Any) -> Refusal:
    plain = {name: float(value) if isinstance(value, Decimal) else value for name, value in numbers.items()}
    return Refusal(wish, code, f"{wish.side.value} {wish.qty} {wish.symbol}: {message}.", limit, plain)


def _halts(now: Exposure, wish: OrderWish) -> Refusal | None:
    for subject, code in ((ACCOUNT, RefusalCode.ACCOUNT_HALTED), (wish.symbol, RefusalCode.SYMBOL_HALTED)):
        if subject in now.facts.halted:
            what, why = "the account" if subject == ACCOUNT else subject, now.facts.halted[subject]
            return _refuse(wish, code, f"{what} is halted until a person clears it ({why})", "halted", reason=why)
    return None


def _numbers(now: Exposure, wish: OrderWish) -> Refusal | None:
    for name in ("qty", "limit_price", "stop_price", "reference_price"):
        value = getattr(wish, name)
        if value is not None and positive(value) is None:
            message = f"{name}={value} is not a finite number > 0"
            return _refuse(wish, RefusalCode.NOT_A_NUMBER, message, "finite and > 0", field=name, value=str(value))
    for name in ("cash", "value", "buying_power"):
        value = getattr(now, name)
        if value is not None and not value.is_finite():
            message = f"the book's {name}={value} is not a finite number"
            return _refuse(wish, RefusalCode.NOT_A_NUMBER, message, "finite", field=name, value=str(value))
    return None


def _symbols(now: Exposure, wish: OrderWish) -> Refusal | None:
    allow, deny = now.limits.allow, now.limits.deny
    if allow is not None and wish.symbol not in allow:
        message = f"it is not among the {len(allow)} allowed symbols"
        return _refuse(wish, RefusalCode.SYMBOL_NOT_ALLOWED, message, "allow", allowed=sorted(allow))
    if wish.symbol in deny:
        return _refuse(wish, RefusalCode.SYMBOL_DENIED, "it is denied", "deny", denied=sorted(deny))
    return None


def _duplicates(now: Exposure, wish: OrderWish) -> Refusal | None:
    if wish.symbol in now.seen:
        message = "an earlier wish of this list is for the same symbol"
        return _refuse(wish, RefusalCode.DUPLICATE, message, "one wish per symbol")
    live = [order for order in now.open_orders if order.symbol == wish.symbol]
    if now.limits.one_order_per_symbol and live:
        first, names = live[0], [order.client_order_id for order in live]
        message = f"{first.side.value} {first.qty} ({first.client_order_id or 'no id'}) may still be live at the broker"
        return _refuse(wish, RefusalCode.OPEN_ORDER, message, "one_order_per_symbol", open=names)
    return None


def _price(now: Exposure, wish: OrderWish) -> Refusal | None:
    newest, at, limits = now.prices.get(wish.symbol), now.facts.priced_at.get(wish.symbol), now.limits
    if newest is None:
        message = "it has no newest price that is finite and > 0, so it cannot be valued"
        return _refuse(wish, RefusalCode.NO_PRICE, message, "finite and > 0")
    if at is not None and now.facts.now is not None and (age := now.facts.now - at) > limits.max_price_age:
        message = f"its newest price is {age} old; at most {limits.max_price_age} is allowed"
        seconds = {"age_s": age.total_seconds(), "max_s": limits.max_price_age.total_seconds()}
        return _refuse(wish, RefusalCode.STALE_PRICE, message, "max_price_age", **seconds)
    for name in ("limit_price", "stop_price", "reference_price"):
        price = getattr(wish, name)
        if price is not None and (away := abs(price / newest - 1)) > limits.price_collar:
            message = f"{name}={price} is {away:.1%} away from {newest}; at most {limits.price_collar:.1%} is allowed"
            numbers = {name: price, "newest": newest, "away": away, "max": limits.price_collar}
            return _refuse(wish, RefusalCode.PRICE_COLLAR, message, "price_collar", **numbers)
    return None


def _order_size(now: Exposure, wish: OrderWish) -> Refusal | None:
    largest = now.limits.max_order_qty
    if wish.qty > largest:
        message = f"its quantity is above {largest} shares per order"
        return _refuse(wish, RefusalCode.ORDER_QTY, message, "max_order_qty", qty=wish.qty, max=largest)
    notional, largest = wish.qty * now.price(wish), now.limits.max_order_notional
    if notional > largest:
        message = f"its {notional:.2f} is above {largest} per order"
        return _refuse(wish, RefusalCode.ORDER_NOTIONAL, message, "max_order_notional", notional=notional, max=largest)
    return None


def _order_rate(now: Exposure, wish: OrderWish) -> Refusal | None:
    number, most = now.orders + 1, now.limits.max_orders_per_session
    if number > most:
        message = f"it would be order {number} of the session; at most {most} are allowed"
        return _refuse(wish, RefusalCode.ORDERS_PER_SESSION, message, "max_orders_per_session", orders=number, max=most)
    return None


def _short(now: Exposure, wish: OrderWish) -> Refusal | None:
    low, _ = now.reach(wish.symbol)
    if wish.side is Side.SELL and not now.limits.allow_short:
        message = f"only {max(low, ZERO)} can be sold without going short"
        return _refuse(wish, RefusalCode.SHORT, message, "allow_short", available=low, qty=wish.qty)
    return None


def _position(now: Exposure, wish: OrderWish) -> Refusal | None:
    low, high = now.reach(wish.symbol)
    after = high + wish.qty if wish.side is Side.BUY else low - wish.qty
    notional, limits = abs(after) * now.price(wish), now.limits
    if notional > limits.max_position_notional:
        message = f"the holding could reach {notional:.2f}, above {limits.max_position_notional}"
        numbers = {"notional": notional, "max": limits.max_position_notional}
        return _refuse(wish, RefusalCode.POSITION_NOTIONAL, message, "max_position_notional", **numbers)
    if now.value is None:
        message = f"{', '.join(now.unpriced)} held or on order without a price, so exposure is not known"
        return _refuse(wish, RefusalCode.NO_PRICE, message, "finite and > 0", unpriced=list(now.unpriced))
    if notional > limits.max_position_fraction * now.value:
        message = f"the holding could reach {notional:.2f}, above {limits.max_position_fraction:.1%} of {now.value:.2f}"
        numbers = {"notional": notional, "max_fraction": limits.max_position_fraction, "value": now.value}
        return _refuse(wish, RefusalCode.POSITION_FRACTION, message, "max_position_fraction", **numbers)
    return None


def _gross(now: Exposure, wish: OrderWish) -> Refusal | None:
    assert now.value is not None, "the position rule refuses when the book has no value"
    before, after, most = now.gross(), now.gross(wish), now.limits.max_gross_exposure
    if after > most * now.value and after > before:
        message = f"gross exposure could reach {after:.2f}, above {most:.1%} of {now.value:.2f}"
        numbers = {"before": before, "after": after, "max_fraction": most, "value": now.value}
        return _refuse(wish, RefusalCode.GROSS_EXPOSURE, message, "max_gross_exposure", **numbers)
    return None


def _money(now: Exposure, wish: OrderWish) -> Refusal | None:
    if wish.side is Side.SELL:
        return None
    cost, least = wish.qty * now.price(wish), now.limits.min_cash
    left = now.cash - now.reserved() - cost
    if left < least:
        message = f"it costs {cost:.2f} and would leave {left:.2f} of cash; at least {least} must stay"
        return _refuse(wish, RefusalCode.CASH, message, "min_cash", cost=cost, left=left, min=least)
    if now.buying_power is not None and cost > now.buying_power:
        message = f"it costs {cost:.2f}; the broker leaves {now.buying_power:.2f} of buying power"
        numbers = {"cost": cost, "buying_power": now.buying_power}
        return _refuse(wish, RefusalCode.BUYING_POWER, message, "buying_power", **numbers)
    return None


def _unless_reducing(rule: Callable[[Exposure, OrderWish], Refusal | None]) -> Any:
    """The rule, for wishes that add risk: one that only reduces a holding is never blocked by an exposure limit."""
    return lambda now, wish: None if now.reduces(wish) else rule(now, wish)


# The order of the checks; the docstring of `check` and the members of RefusalCode repeat it.
_RULES: tuple[Callable[[Exposure, OrderWish], Refusal | None], ...] = (
    _halts,
    _numbers,
    _symbols,
    _duplicates,
    _price,
    _order_size,
    _order_rate,
    _unless_reducing(_short),
    _unless_reducing(_position),
    _unless_reducing(_gross),
    _unless_reducing(_money),
)
