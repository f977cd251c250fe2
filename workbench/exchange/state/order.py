"""One order of the exchange: what was asked for, what became of it, what it reserves and holds."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from workbench.exchange.state.occ import MULTIPLIER

ZERO: Final = Decimal(0)
PRICE_STEP: Final = Decimal(
    "0.000000001"
)  # fills are kept to nine decimals, so that replayed floats come back unrounded
QTY_STEP: Final = Decimal("0.000000001")

OPEN_STATUSES: Final = frozenset(
    {"new", "partially_filled", "held", "accepted", "pending_new", "pending_cancel", "pending_replace"}
)
STOCK, OPTION = "us_equity", "us_option"
_ONE = Decimal(1)


@dataclass(slots=True)
class Order:
    """One accepted order. `number` is its place in the queue; quantities are shares or contracts, prices per share.

    `notional` orders have `qty` None until the fill decides the shares. `opening` says that the order enlarges a
    position and therefore reserves `reserve_price` × remaining quantity of buying power; a closing order holds shares
    of the position instead.

    Attributes:
        parent_id: of an exit or a leg: the order it came with. `role` says what it is there: `take_profit`,
            `stop_loss` (of a bracket, an OCO or an OTO) or `leg` (of a multi-leg options order).
        oco: the same for two exits of which only one may fill: the id of the order they came with.
        active_from: from when on it may fill; None while it waits for its entry, or to take another order's place.
        settles_at: when a cancel or a replace that is on its way arrives (statuses pending_cancel, pending_replace).
        hold_qty: of a notional sale: shares it holds, and the most it sells.
    """

    id: str
    number: int
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: str
    created_at: dt.datetime
    updated_at: dt.datetime
    expires_at: dt.datetime | None
    opening: bool
    reserve_price: Decimal
    filled_qty: Decimal = ZERO
    filled_cost: Decimal = ZERO
    triggered: bool = False
    extended_hours: bool = False
    position_intent: str | None = None
    filled_at: dt.datetime | None = None
    expired_at: dt.datetime | None = None
    canceled_at: dt.datetime | None = None
    replaced_at: dt.datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    active_from: dt.datetime | None = None
    asset_class: str = STOCK
    order_class: str = ""
    parent_id: str | None = None
    role: str = ""
    oco: str | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    ratio_qty: Decimal | None = None
    hold_qty: Decimal | None = None
    settles_at: dt.datetime | None = None
    failed_at: dt.datetime | None = None

    @property
    def sign(self) -> int:
        """+1 for buy, −1 for sell."""
        return 1 if self.side == "buy" else -1

    @property
    def is_open(self) -> bool:
        """Whether the order may still fill."""
        return self.status in OPEN_STATUSES

    @property
    def multiplier(self) -> Decimal:
        """Shares per unit of quantity."""
        return MULTIPLIER if self.asset_class == OPTION else _ONE

    @property
    def remaining(self) -> Decimal | None:
        """Quantity not yet filled; None for a notional order before its first fill."""
        return None if self.qty is None else self.qty - self.filled_qty

    @property
    def average_price(self) -> Decimal | None:
        """Filled cost over filled quantity, nine decimals (net, for several legs); None before the first fill."""
        return (self.filled_cost / self.filled_qty).quantize(PRICE_STEP) if self.filled_qty else None

    @property
    def reserved(self) -> Decimal:
        """Buying power this order holds, in currency, ≥ 0."""
        if not self.opening or self.status not in OPEN_STATUSES:
            return ZERO
        if self.qty is None:
            return self.notional or ZERO
        return self.reserve_price * (self.qty - self.filled_qty)

    @property
    def holds(self) -> Decimal:
        """Shares of the position that this order would close, ≥ 0; of two exits only the first counts."""
        if self.opening or self.active_from is None or (self.oco is not None and self.role == "stop_loss"):
            return ZERO
        if self.qty is None:
            return self.hold_qty or ZERO
        return self.qty - self.filled_qty

    @property
    def trail_stop(self) -> Decimal | None:
        """Where a trailing stop stands now; None for other orders."""
        return None if self.hwm is None else self.trail_from(self.hwm)

    def trail_from(self, mark: Decimal) -> Decimal:
        """Where a trailing stop stands when `mark` is the best price seen; see `matching`."""
        away = self.trail_price
        if away is None:
            away = mark * (self.trail_percent or ZERO) / 100
        return (mark - away if self.side == "sell" else mark + away).quantize(PRICE_STEP)
