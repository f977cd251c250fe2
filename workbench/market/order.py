"""Intents, orders and fills: wished and written down → accepted by a broker → happened. Money is Decimal here."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import hashlib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


class Side(enum.StrEnum):
    """Buy or sell."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for buy, −1 for sell."""
        return 1 if self is Side.BUY else -1


class OrderType(enum.StrEnum):
    """How the price is bound."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class OrderClass(enum.StrEnum):
    """How orders hang together, in the broker's words.

    BRACKET: an entry with a profit and a loss exit. OCO: two exits of a holding, one cancels the other. OTO: an entry
    with one exit. MLEG: an options order of two to four legs that fill together.
    """

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"
    MLEG = "mleg"


class TimeInForce(enum.StrEnum):
    """How long the order lives, in the broker's words."""

    DAY = "day"
    GTC = "gtc"
    OPG = "opg"
    CLS = "cls"
    IOC = "ioc"
    FOK = "fok"


class IntentState(enum.StrEnum):
    """The life of an intent. Legal steps are in `STEPS`; every other step raises.

    INTENT: written down, not sent. SENDING: about to be, or being, sent. UNKNOWN: sent, the broker's word is missing.
    ACKED: the broker has it. REPLACED: another order of ours took its place at the broker. The rest are ends, except
    that a late fill is accepted even after an end.
    """

    INTENT = "intent"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACKED = "acked"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"
    UNKNOWN_EXPIRED = "unknown_expired"

    @property
    def is_end(self) -> bool:
        """Whether nothing more is expected (a late fill may still come)."""
        return self in _ENDS

    @property
    def may_be_live(self) -> bool:
        """Whether an order may be working at the broker: risk counts it at worst case."""
        return self in _MAY_BE_LIVE

    @property
    def rank(self) -> int:
        """How late in its life an intent is. A broker's word moves it only to a higher rank: old news changes nothing.

        A fill is the highest: an order that was said to be over and filled all the same has filled.
        """
        return _RANK[self]

    def may_become(self, to: IntentState) -> bool:
        """Whether `STEPS` knows the step; staying where it is always is one."""
        return to is self or to in STEPS[self]


_S = IntentState
_ENDS = frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.REPLACED})
_MAY_BE_LIVE = frozenset({_S.SENDING, _S.UNKNOWN, _S.ACKED, _S.PARTIALLY_FILLED, _S.UNKNOWN_EXPIRED})
_LATER = frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.REPLACED})

_RANK = {
    _S.INTENT: 0,
    _S.SENDING: 1,
    _S.UNKNOWN: 2,
    _S.UNKNOWN_EXPIRED: 2,
    _S.ACKED: 3,
    _S.PARTIALLY_FILLED: 4,
    _S.CANCELED: 5,
    _S.EXPIRED: 5,
    _S.REJECTED: 5,
    _S.REPLACED: 5,
    _S.FILLED: 6,
}

# The one table of all steps. `IntentRow` refuses every other one, whoever tries.
STEPS: Mapping[IntentState, frozenset[IntentState]] = types.MappingProxyType(
    {
        _S.INTENT: frozenset({_S.SENDING, _S.CANCELED, _S.EXPIRED, _S.REJECTED}),
        _S.SENDING: frozenset({_S.INTENT, _S.UNKNOWN, _S.ACKED}) | _LATER,
        _S.UNKNOWN: frozenset({_S.SENDING, _S.ACKED, _S.UNKNOWN_EXPIRED}) | _LATER,
        _S.UNKNOWN_EXPIRED: frozenset({_S.ACKED}) | _LATER,
        _S.ACKED: _LATER,
        _S.PARTIALLY_FILLED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REPLACED}),
        # Late fills: an exchange may fill what it had said was over; the fill is the truth.
        _S.CANCELED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
        _S.EXPIRED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
        _S.REPLACED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
        # A broker has answered with an error although the order went through; then its later word counts.
        _S.REJECTED: frozenset({_S.ACKED, _S.PARTIALLY_FILLED, _S.FILLED}),
        _S.FILLED: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class OptionLeg:
    """One leg of a multi-leg options order: `ratio` contracts of `symbol` for each unit of the order's quantity.

    `intent` is the broker's word for what the leg does to the holding: `buy_to_open`, `buy_to_close`, `sell_to_open` or
    `sell_to_close`.
    """

    symbol: str
    side: Side
    ratio: int
    intent: str


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What is asked for, before anybody has checked or written it: `qty` shares (contracts, for options), > 0.

    Prices are per share. `trail_price` (currency) or `trail_percent` (percent) is the distance of a trailing stop;
    `take_profit_price`, `stop_loss_price` and `stop_loss_limit_price` are the exits of a bracket, an OCO or an OTO. An
    MLEG wish names its `legs`, and its limit is a debit above zero and a credit below.
    """

    symbol: str
    side: Side
    qty: Decimal
    type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reference_price: Decimal | None = None
    reason: str = ""
    order_class: OrderClass = OrderClass.SIMPLE
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    take_profit_price: Decimal | None = None
    stop_loss_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None
    extended_hours: bool = False
    position_intent: str | None = None
    legs: tuple[OptionLeg, ...] = ()


@dataclass(frozen=True, slots=True)
class Fill:
    """What happened: `qty` shares (> 0) at `price`, at the UTC moment `happened`; `fee` ≥ 0 in currency.

    `cum_qty` is the quantity of the order filled so far, this fill included; None where the broker did not say.
    """

    execution_id: str
    broker_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    happened: dt.datetime
    fee: Decimal = Decimal(0)
    cum_qty: Decimal | None = None


def client_order_id(*, account: str, bot: str, session: dt.date, symbol: str, leg: int = 0, generation: int = 0) -> str:
    """The deterministic name of an order: the same wish always gets the same id, so a retry cannot place it twice.

    Shape `wb1-<bot>-<yyyymmdd>-<16 base32 characters of a sha256>-g<generation>`, at most 48 characters. The generation
    rises only for a deliberate second order.
    """
    text = "\x1f".join((account, bot, session.isoformat(), symbol, str(leg)))
    short = base64.b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode().lower()
    return f"wb1-{bot[:12]}-{session:%Y%m%d}-{short}-g{generation}"
