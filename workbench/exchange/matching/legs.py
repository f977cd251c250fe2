"""The matching of multi-leg options orders; its rule stands in `matching`."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from workbench.exchange.matching.matching import Match, Rules
from workbench.exchange.state.order import PRICE_STEP, ZERO, Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ONE = Decimal(1)


def legs_at_print(
    parent: Order,
    legs: Sequence[Order],
    prices: Mapping[str, Decimal],
    *,
    room: Mapping[str, Decimal | None],
    rules: Rules,
) -> tuple[Match, ...]:
    """A multi-leg order at one print of all its legs: the matches of the legs, then the parent's at the net price.

    Args:
        prices: the print of each leg, per share.
        room: contracts of each leg's volume that are left, None where the volume is not known.
    """
    taking = rules.taking
    each = {leg.id: (prices[leg.symbol] * (1 + leg.sign * taking)).quantize(PRICE_STEP) for leg in legs}
    net = sum((leg.sign * (leg.ratio_qty or _ONE) * each[leg.id] for leg in legs), ZERO)
    if parent.limit_price is not None and net > parent.limit_price:
        return ()
    wanted = parent.remaining or ZERO
    units = wanted
    for leg in legs:
        left = room[leg.symbol]
        if left is not None:
            units = min(units, (left / (leg.ratio_qty or _ONE)).to_integral_value(ROUND_DOWN))
    if units <= 0 or (parent.time_in_force == "fok" and units < wanted):
        return ()
    matches = [
        Match(
            leg.id,
            units * (leg.ratio_qty or _ONE),
            each[leg.id],
            (leg.remaining or ZERO) - units * (leg.ratio_qty or _ONE),
        )
        for leg in legs
    ]
    return (*matches, Match(parent.id, units, net, wanted - units))
