"""Intents, orders and fills: wished and written down → accepted by a broker → happened. Money is Decimal here."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import hashlib
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
    ACKED: the broker has it. The rest are ends, except that a late fill is accepted even after an end.
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
    UNKNOWN_EXPIRED = "unknown_expired"

    @property
    def is_end(self) -> bool:
        """Whether nothing more is expected (a late fill may still come)."""
        return self in _ENDS

    @property
    def may_be_live(self) -> bool:
        """Whether an order may be working at the broker: risk counts it at worst case."""
        return self in _MAY_BE_LIVE


_S = IntentState
_ENDS = frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED})
_MAY_BE_LIVE = frozenset({_S.SENDING, _S.UNKNOWN, _S.ACKED, _S.PARTIALLY_FILLED, _S.UNKNOWN_EXPIRED})
_LATER = frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED})

STEPS: dict[IntentState, frozenset[IntentState]] = {
    _S.INTENT: frozenset({_S.SENDING, _S.CANCELED, _S.EXPIRED, _S.REJECTED}),
    _S.SENDING: frozenset({_S.INTENT, _S.UNKNOWN, _S.ACKED}) | _LATER,
    _S.UNKNOWN: frozenset({_S.SENDING, _S.ACKED, _S.UNKNOWN_EXPIRED}) | _LATER,
    _S.UNKNOWN_EXPIRED: frozenset({_S.ACKED}) | _LATER,
    _S.ACKED: _LATER,
    _S.PARTIALLY_FILLED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED}),
    # Late fills: an exchange may fill what it had said was over; the fill is the truth.
    _S.CANCELED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
    _S.EXPIRED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
    # A broker has answered with an error although the order went through; then its later word counts.
    _S.REJECTED: frozenset({_S.ACKED, _S.PARTIALLY_FILLED, _S.FILLED}),
    _S.FILLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What rebalancing asks for, before anybody has checked or written it: `qty` shares, > 0."""

    symbol: str
    side: Side
    qty: Decimal
    type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reference_price: Decimal | None = None
    reason: str = ""


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
