"""What bounds an account, and what is known when a wish is held against those bounds: the nouns of the risk check."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from workbench.market.order import Side

ACCOUNT = "*"  # in a map of halts: the whole account


class RefusalCode(enum.StrEnum):
    """Why a wish was refused. The members stand in the order of the checks; the first that fails is the reason."""

    ACCOUNT_HALTED = "account_halted"
    SYMBOL_HALTED = "symbol_halted"
    NOT_A_NUMBER = "not_a_number"
    SYMBOL_NOT_ALLOWED = "symbol_not_allowed"
    SYMBOL_DENIED = "symbol_denied"
    DUPLICATE = "duplicate"
    OPEN_ORDER = "open_order"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    PRICE_COLLAR = "price_collar"
    ORDER_QTY = "order_qty"
    ORDER_NOTIONAL = "order_notional"
    ORDERS_PER_SESSION = "orders_per_session"
    SHORT = "short"
    POSITION_NOTIONAL = "position_notional"
    POSITION_FRACTION = "position_fraction"
    GROSS_EXPOSURE = "gross_exposure"
    CASH = "cash"
    BUYING_POWER = "buying_power"


class Limits(BaseModel):
    """The bounds of one account; the defaults suit a paper account of about 100 000. Frozen: a change is a new value.

    Attributes:
        allow: symbols that may trade; every symbol when None.
        deny: symbols that may not trade, whatever `allow` says.
        max_order_qty: largest quantity of one order, shares.
        max_order_notional: largest quantity × price of one order, currency.
        max_orders_per_session: most orders of the account in one session, count, those already written included.
        max_position_notional: largest |quantity| × price of one holding, currency.
        max_position_fraction: largest |quantity| × price of one holding, fraction of book value.
        max_gross_exposure: largest sum of |quantity| × price over all holdings, fraction of book value (1: no debt).
        min_cash: cash that must be left when every accepted order has filled at its price, currency.
        price_collar: largest distance of a limit, stop or sizing price from the newest price, fraction of the newest.
        max_price_age: oldest newest price that an order may be sized with, where its time is known.
        allow_short: whether a sale may exceed what is held.
        one_order_per_symbol: refuse a symbol of which an order may still be live at the broker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    max_order_qty: Decimal = Field(Decimal(1_000_000), gt=0)
    max_order_notional: Decimal = Field(Decimal(1_000_000), gt=0)
    max_orders_per_session: int = Field(200, ge=0)
    max_position_notional: Decimal = Field(Decimal(1_000_000), gt=0)
    max_position_fraction: Decimal = Field(Decimal(1), gt=0)
    max_gross_exposure: Decimal = Field(Decimal(1), gt=0)
    min_cash: Decimal = Decimal(0)
    price_collar: Decimal = Field(Decimal("0.10"), gt=0)
    max_price_age: dt.timedelta = Field(dt.timedelta(days=4), gt=dt.timedelta(0))
    allow_short: bool = False
    one_order_per_symbol: bool = True


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may be live, UNKNOWN ones included. Counted at worst case: `qty` shares (> 0) still to come.

    `price` is the most it may cost per share: its limit, or the price it was sized with; None: the newest price counts.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None = None
    client_order_id: str = ""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known beside the book when wishes are checked.

    Attributes:
        now: the moment of the check (UTC), for the age of prices; ages are not checked when None.
        priced_at: when each newest price was known (UTC), where that is known.
        orders_so_far: orders of the account written for this session already.
        halted: symbols that must not trade (`*`: the whole account) and why.
        buying_power: what the broker would let us spend now, currency; not checked when None.
    """

    now: dt.datetime | None = None
    priced_at: Mapping[str, dt.datetime] = field(default_factory=dict)
    orders_so_far: int = 0
    halted: Mapping[str, str] = field(default_factory=dict)
    buying_power: Decimal | None = None
