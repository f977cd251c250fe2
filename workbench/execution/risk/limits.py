"""What bounds an account, and what is known when a wish is held against those bounds: the nouns of the risk check."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from workbench.market.order import Side
from workbench.market.trading_state import TradingState

if TYPE_CHECKING:
    from workbench.market.hours import Phase

ACCOUNT = "*"  # in a map of halts: the whole account
KILL_BOT = "kill"  # the bot whose intents, reducing ones only, leave a halted account


class RefusalCode(enum.StrEnum):
    """Why a wish was refused. The members stand in the order of the checks; the first that fails is the reason."""

    TRADING_HALTED = "trading_halted"
    TRADING_REDUCING = "trading_reducing"
    ACCOUNT_HALTED = "account_halted"
    SYMBOL_HALTED = "symbol_halted"
    NOT_A_NUMBER = "not_a_number"
    SYMBOL_NOT_ALLOWED = "symbol_not_allowed"
    SYMBOL_DENIED = "symbol_denied"
    ORDER_FORM = "order_form"
    OUTSIDE_HOURS = "outside_hours"
    LOT = "lot"
    TICK = "tick"
    DUPLICATE = "duplicate"
    DUPLICATE_INTENT = "duplicate_intent"
    OPEN_ORDER = "open_order"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    PRICE_COLLAR = "price_collar"
    EXIT_SIDE = "exit_side"
    SELF_CROSS = "self_cross"
    ORDER_QTY = "order_qty"
    ORDER_NOTIONAL = "order_notional"
    ORDERS_PER_SESSION = "orders_per_session"
    ORDERS_PER_MINUTE = "orders_per_minute"
    CANCELS_PER_MINUTE = "cancels_per_minute"
    NO_EQUITY = "no_equity"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    SHORT = "short"
    SHORT_UNAVAILABLE = "short_unavailable"
    POSITION_NOTIONAL = "position_notional"
    POSITION_FRACTION = "position_fraction"
    GROSS_EXPOSURE = "gross_exposure"
    NET_EXPOSURE = "net_exposure"
    ACCOUNT_BUDGET = "account_budget"
    BOT_BUDGET = "bot_budget"
    CASH = "cash"
    BUYING_POWER = "buying_power"


class Limits(BaseModel):
    """The bounds of one account; the defaults suit a paper account of about 100 000. Frozen: a change is a new value.

    What is None by default is not bounded; `Limits.guarded()` bounds the flow of orders and the losses as well.

    Attributes:
        allow: symbols that may trade; every symbol when None.
        deny: symbols that may not trade, whatever `allow` says.
        lot: quantities are multiples of this, shares (contracts, coins).
        max_order_qty: largest quantity of one order, shares.
        max_order_notional: largest quantity × price of one order, currency.
        max_orders_per_session: most orders of the account in one session, count, those already written included.
        max_orders_per_minute: most orders of the account in 60 s, count, those of the list included.
        max_cancels_per_minute: most cancels that bots ask for in 60 s, count; the kill switch is not bound by it.
        max_position_notional: largest |quantity| × price of one holding, currency.
        max_position_fraction: largest |quantity| × price of one holding, fraction of book value.
        max_gross_exposure: largest sum of |quantity| × price over all holdings, fraction of book value (1: no debt).
        max_net_exposure: largest |sum of quantity × price| over all holdings, fraction of book value.
        account_budget: largest sum of |quantity| × price over all holdings, currency.
        bot_budget: the same of what the wishing bot owns and has on order, currency.
        min_cash: cash that must be left when every accepted order has filled at its price, currency.
        price_collar: largest distance of a limit, stop or sizing price from the newest price, fraction of the newest.
        max_price_age: oldest newest price that an order may be sized with, where its time is known.
        allow_short: whether a sale may exceed what is held.
        allow_queued: whether an order may be sent outside the regular session to wait for the next open.
        one_order_per_symbol: refuse a symbol of which an order may still be live at the broker.
        one_wish_per_symbol: refuse a second wish for a symbol in one list.
        allow_self_cross: whether an order may meet an opposite one of ours that may be live; brokers refuse it.
        duplicate_window: refuse the same symbol, side and quantity of the same bot again within this time.
        max_daily_loss: largest fall of the equity below the session's start, unrealized losses included, fraction of
            the start. Once reached, only reducing orders pass until the session ends.
        max_drawdown: largest fall of the equity below its peak, fraction of the peak. Once reached, only reducing
            orders pass until a person clears it with a reason.
        max_consecutive_losses: most losing trades in a row, count. Once reached, only reducing orders pass until a
            person clears it with a reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    lot: Decimal = Field(Decimal("0.000000001"), gt=0, allow_inf_nan=False)
    max_order_qty: Decimal = Field(Decimal(1_000_000), gt=0)
    max_order_notional: Decimal = Field(Decimal(1_000_000), gt=0)
    max_orders_per_session: int = Field(200, ge=0)
    max_orders_per_minute: int | None = Field(None, ge=0)
    max_cancels_per_minute: int | None = Field(None, ge=0)
    max_position_notional: Decimal = Field(Decimal(1_000_000), gt=0)
    max_position_fraction: Decimal = Field(Decimal(1), gt=0)
    max_gross_exposure: Decimal = Field(Decimal(1), gt=0)
    max_net_exposure: Decimal | None = Field(None, gt=0)
    account_budget: Decimal | None = Field(None, ge=0)
    bot_budget: Decimal | None = Field(None, ge=0)
    min_cash: Decimal = Decimal(0)
    price_collar: Decimal = Field(Decimal("0.10"), gt=0)
    max_price_age: dt.timedelta = Field(dt.timedelta(days=4), gt=dt.timedelta(0))
    allow_short: bool = False
    allow_queued: bool = False
    one_order_per_symbol: bool = True
    one_wish_per_symbol: bool = True
    allow_self_cross: bool = False
    duplicate_window: dt.timedelta | None = Field(None, gt=dt.timedelta(0))
    max_daily_loss: Decimal | None = Field(None, gt=0, le=1)
    max_drawdown: Decimal | None = Field(None, gt=0, le=1)
    max_consecutive_losses: int | None = Field(None, ge=1)

    @classmethod
    def guarded(cls, **changes: Any) -> Limits:
        """The defaults with the flow of orders and the losses bounded too; `changes` win. A start for bots.

        60 orders and 60 cancels per minute, the same order again only after 2 s, a daily loss of 3 %, a drawdown of
        10 %, eight losing trades in a row. The numbers are a cautious habit, not a result of any study.
        """
        careful = {
            "max_orders_per_minute": 60,
            "max_cancels_per_minute": 60,
            "duplicate_window": dt.timedelta(seconds=2),
            "max_daily_loss": Decimal("0.03"),
            "max_drawdown": Decimal("0.10"),
            "max_consecutive_losses": 8,
        }
        return cls(**{**careful, **changes})


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may be live, UNKNOWN ones included. Counted at worst case: `qty` shares (> 0) still to come.

    Attributes:
        price: the most it may cost per share: its limit, or the price it was sized with; None: the newest price counts.
        bot: whose order it is.
        group: orders of one symbol and side in the same group exclude each other (the exits of a bracket): the largest
            counts; empty: it stands alone.
        limit_price: its limit; None: it may trade at any price.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None = None
    client_order_id: str = ""
    bot: str = ""
    group: str = ""
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Equity:
    """Equity of the account, currency, unrealized profit included: at the session's start, lowest since, newest.

    `drawdown` is the largest fall below a peak since a person last cleared it, fraction of that peak.
    """

    start: Decimal
    low: Decimal
    newest: Decimal
    drawdown: Decimal


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known beside the book when wishes are checked.

    Attributes:
        now: the moment of the check (UTC), for the age of prices; ages are not checked when None.
        priced_at: when each newest price was known (UTC), where that is known.
        orders_so_far: orders of the account written for this session already.
        halted: symbols that must not trade (`*`: the whole account) and why.
        buying_power: what the broker would let us spend now, currency; not checked when None.
        trading_state: what the account may do at all.
        bot: who wishes.
        venue: whose hours count at `now`; hours are not checked when this and `phase` are None.
        phase: the phase of trading, where the caller knows it; worked out from `venue` and `now` when None.
        orders_last_minute: orders of the account written in the last 60 s.
        recent: symbol, side and quantity of what the bot wished within `Limits.duplicate_window`.
        shortable: whether each symbol can be borrowed; not checked for symbols that are not in it.
        own: signed shares per symbol that belong to the wishing bot; needed for `Limits.bot_budget`.
        equity: needed for `Limits.max_daily_loss` and `Limits.max_drawdown`; None: not known.
        losses_in_a_row: losing trades since the last winning one; None: not known.
    """

    now: dt.datetime | None = None
    priced_at: Mapping[str, dt.datetime] = field(default_factory=dict)
    orders_so_far: int = 0
    halted: Mapping[str, str] = field(default_factory=dict)
    buying_power: Decimal | None = None
    trading_state: TradingState = TradingState.ACTIVE
    bot: str = ""
    venue: str | None = None
    phase: Phase | None = None
    orders_last_minute: int = 0
    recent: frozenset[tuple[str, Side, Decimal]] = frozenset()
    shortable: Mapping[str, bool] = field(default_factory=dict)
    own: Mapping[str, Decimal] = field(default_factory=dict)
    equity: Equity | None = None
    losses_in_a_row: int | None = None
