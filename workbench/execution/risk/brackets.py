"""Brackets: a wish with its profit and loss exits at the broker, prices on the tick and on the right side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError
from workbench.execution.brokers.ticks import limit_on_tick, stop_on_tick
from workbench.execution.risk.exposure import positive
from workbench.market.order import OrderClass, OrderType, OrderWish, Side, TimeInForce

if TYPE_CHECKING:
    from decimal import Decimal


def bracket(
    wish: OrderWish,
    *,
    take_profit: Decimal | None = None,
    stop_loss: Decimal | None = None,
    stop_limit: Decimal | None = None,
    price: Decimal | None = None,
) -> OrderWish:
    """A plain wish with one exit (OTO) or both (BRACKET), which the broker places when the entry fills.

    Exits are put on the tick and never better for the exit than asked: a profit is taken no earlier, a loss stopped no
    earlier, than said.

    Args:
        wish: a simple market or limit wish of whole shares, for the day or gtc.
        take_profit, stop_loss: prices of the exits, currency per share; at least one.
        stop_limit: limit of the stop, which is a market order when None.
        price: what the entry is expected to cost where the wish has no limit; its reference price when None.

    Raises:
        ParameterError: the wish cannot carry exits, a price is not finite and > 0, or an exit lies on the wrong side.
    """
    if wish.order_class is not OrderClass.SIMPLE or wish.type not in {OrderType.MARKET, OrderType.LIMIT}:
        raise ParameterError(
            f"a wish of class {wish.order_class.value} and type {wish.type.value} cannot carry exits; none were made.",
            remedy="start with a simple market or limit wish.",
        )
    if wish.time_in_force not in {TimeInForce.DAY, TimeInForce.GTC} or wish.extended_hours:
        raise ParameterError(
            "a wish with exits is for the regular session, for the day or gtc; nothing was made.",
            remedy="drop extended_hours, or watch the exits yourself (watched_exits.look).",
        )
    if take_profit is None and stop_loss is None:
        raise ParameterError("neither take_profit nor stop_loss was given; nothing was made.")
    base = wish.limit_price or price or wish.reference_price
    exits = _exits(wish.side.sign, base, take_profit, stop_loss, stop_limit)
    both = take_profit is not None and stop_loss is not None
    return replace(wish, order_class=OrderClass.BRACKET if both else OrderClass.OTO, **exits)


def oco(
    symbol: str,
    held: Decimal,
    *,
    take_profit: Decimal,
    stop_loss: Decimal,
    price: Decimal,
    stop_limit: Decimal | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    reason: str = "",
) -> OrderWish:
    """Both exits of a holding that is there already; when one fills, the broker takes the other away.

    Args:
        held: signed shares, whole; the wish closes all of them.
        price: newest price, between the two exits.

    Raises:
        ParameterError: nothing is held, it is not whole, or an exit lies on the wrong side of the price.
    """
    if not held or not held.is_finite() or held != held.to_integral_value():
        raise ParameterError(f"held={held} {symbol} must be a whole number of shares, not 0; nothing was made.")
    side = Side.SELL if held > 0 else Side.BUY
    exits = _exits(-side.sign, price, take_profit, stop_loss, stop_limit)
    return OrderWish(
        symbol=symbol,
        side=side,
        qty=abs(held),
        type=OrderType.LIMIT,
        time_in_force=time_in_force,
        limit_price=exits["take_profit_price"],
        reference_price=price,
        reason=reason or "exits of a holding",
        order_class=OrderClass.OCO,
        **exits,
    )


def _exits(
    up: int, base: Decimal | None, profit: Decimal | None, stop: Decimal | None, limit: Decimal | None
) -> dict[str, Any]:
    """The exits on the tick; `up` is +1 where a rise is a profit."""
    if limit is not None and stop is None:
        raise ParameterError("stop_limit needs stop_loss; nothing was made.")
    for name, value in (("price", base), ("take_profit", profit), ("stop_loss", stop), ("stop_limit", limit)):
        if (value is None and name == "price") or (value is not None and positive(value) is None):
            raise ParameterError(f"{name}={value} must be a finite price > 0; nothing was made.")
    assert base is not None, "just checked"
    side = Side.SELL if up > 0 else Side.BUY  # of the exits
    on_tick = {
        "take_profit_price": limit_on_tick(profit, side),
        "stop_loss_price": stop_on_tick(stop, side),
        # A stop's limit is rounded to where it still fills: it is there to bound the loss, not to win a fraction.
        "stop_loss_limit_price": limit_on_tick(limit, Side.BUY if side is Side.SELL else Side.SELL),
    }
    profit, stop, limit = on_tick["take_profit_price"], on_tick["stop_loss_price"], on_tick["stop_loss_limit_price"]
    words = ("above", "below") if up > 0 else ("below", "above")
    if profit is not None and (profit - base) * up <= 0:
        raise ParameterError(f"take_profit={profit} must be {words[0]} {base}; nothing was made.")
    if stop is not None and (stop - base) * up >= 0:
        raise ParameterError(f"stop_loss={stop} must be {words[1]} {base}; nothing was made.")
    if limit is not None and stop is not None and (limit - stop) * up > 0:
        raise ParameterError(f"stop_limit={limit} must not be {words[0]} stop_loss={stop}; nothing was made.")
    return on_tick
