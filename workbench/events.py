"""Domain events: what has happened, in frozen values with a version, so that an old one can be read for ever.

An event says what a change was, in plain words and numbers; it is written in the transaction of the change
(`store/event_log.publish`). Fields are only ever added, with a default, and the version is raised with it; what a newer
version has added is ignored by an older program. A field whose meaning changes gets a new name, and `upgraded` turns
the old body into the new one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from workbench.errors import StoreError

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event has: the account it is about, a `kind` (its class's name) and a `version`."""

    version: ClassVar[int] = 1

    account: str

    @property
    def kind(self) -> str:
        """The name under which it is stored."""
        return type(self).__name__

    @property
    def subject(self) -> str:
        """Whom it is about, for a reader who looks for one thing."""
        return self.account

    def to_body(self) -> Body:
        """Its fields as JSON has them: money and moments as text."""
        return {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}

    @classmethod
    def of(cls, body: Mapping[str, Any], version: int = 1) -> Self:
        """Read a body that this or another version wrote.

        Raises:
            StoreError: a field without a default is missing, or a value cannot be read.
        """
        raw = cls.upgraded(dict(body), version) if version < cls.version else dict(body)
        known = dict(_types(typing.cast("Hashable", cls)))
        try:
            return cls(**{name: _read(value, known[name]) for name, value in raw.items() if name in known})
        except (TypeError, ValueError, ArithmeticError) as error:
            raise StoreError(
                f"a {cls.__name__} of version {version} cannot be read: {error}.",
                remedy="look at the row of this event; it was not written by this program.",
            ) from error

    @classmethod
    def upgraded(cls, body: Body, version: int) -> Body:  # noqa: ARG003 - those who override it need it
        """The body of an older version in the words of this one; fields with a default need nothing here."""
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfOrder(Event):
    """What events of an order have: our intent, its id at the broker, and the bot that wished it."""

    intent_id: str
    client_order_id: str
    symbol: str
    bot: str

    @property
    def subject(self) -> str:
        """The id under which the broker knows it, too."""
        return self.client_order_id


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAcked(_OfOrder):
    """The broker has the order."""

    broker_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnknown(_OfOrder):
    """An order was sent and the broker's word is missing; it is looked for."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(_OfOrder):
    """An execution was booked. `filled_qty` is the order's whole quantity so far, `complete` whether that is all."""

    side: str
    qty: Decimal
    price: Decimal
    execution_id: str
    filled_qty: Decimal
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FillBusted(_OfOrder):
    """The broker took an execution back."""

    execution_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReplaced(_OfOrder):
    """Another order of ours took the place of this one."""

    by_intent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded(_OfOrder):
    """The order works no more: `state` is filled, canceled, expired, rejected, replaced or unknown_expired."""

    state: str
    filled_qty: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefused(Event):
    """A wish was turned down: by our risk limits (nothing was written) or by the broker (`by`)."""

    by: str
    symbol: str
    bot: str
    code: str
    message: str
    intent_id: str = ""

    @property
    def subject(self) -> str:
        """The symbol."""
        return self.symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyFound(Event):
    """A reconciliation found a difference between our book and the broker's."""

    what: str
    about: str
    action: str
    detail: str
    reconciliation_id: str

    @property
    def subject(self) -> str:
        """The order, symbol or account that differs."""
        return self.about


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled(Event):
    """A pass of comparing the book with the broker's has ended."""

    reconciliation_id: str
    occasion: str
    clean: bool
    discrepancies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolHalted(Event):
    """A symbol ('*': the whole account) must not trade until a person clears it."""

    symbol: str
    reason: str

    @property
    def subject(self) -> str:
        """The symbol."""
        return self.symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltCleared(SymbolHalted):
    """A person let a symbol trade again, and said why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged(Event):
    """What the account may do at all has changed: active, reducing, halted."""

    before: str
    after: str
    reason: str
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatusChanged(Event):
    """A bot was created, started, paused, stopped, or failed."""

    bot_id: str
    bot: str
    before: str
    after: str
    reason: str = ""

    @property
    def subject(self) -> str:
        """The bot's name."""
        return self.bot


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade(Event):
    """A bot has decided about a symbol."""

    bot: str
    session: str
    symbol: str
    action: str
    reason: str = ""
    price: Decimal | None = None

    @property
    def subject(self) -> str:
        """The symbol."""
        return self.symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentOrderChanged(Event):
    """The parent order of an execution algorithm went into another state."""

    parent_id: str
    symbol: str
    before: str
    after: str
    detail: str = ""

    @property
    def subject(self) -> str:
        """The parent order."""
        return self.parent_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskStatusChanged(Event):
    """The process that trades an account is in another state."""

    before: str
    after: str
    holder: str
    token: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskStepDone(Event):
    """A step of the desk's start is over (`state` done, failed or skipped), or was closed; it took so many seconds."""

    number: int
    step: str
    ok: bool
    seconds: float
    state: str = "done"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPhaseChanged(Event):
    """The market of a venue opened, closed, or went into another kind of hours at `at`; this lasts to `until`."""

    venue: str
    before: str
    after: str
    at: dt.datetime
    until: dt.datetime | None = None

    @property
    def subject(self) -> str:
        """The venue."""
        return self.venue


KINDS: Mapping[str, type[Event]] = types.MappingProxyType(
    {
        one.__name__: one
        for one in (
            OrderAcked,
            OrderUnknown,
            OrderFilled,
            FillBusted,
            OrderReplaced,
            OrderEnded,
            OrderRefused,
            DiscrepancyFound,
            Reconciled,
            SymbolHalted,
            HaltCleared,
            TradingStateChanged,
            BotStatusChanged,
            DecisionMade,
            ParentOrderChanged,
            DeskStatusChanged,
            DeskStepDone,
            MarketPhaseChanged,
        )
    }
)


def of(kind: str, version: int, body: Mapping[str, Any]) -> Event:
    """The event that is stored as `kind` in `version`.

    Raises:
        StoreError: this program does not know the kind, or cannot read the body.
    """
    found = KINDS.get(kind)
    if found is None:
        raise StoreError(
            f"an event of kind {kind!r} is not known to this program.", remedy="a newer one wrote it: update this one."
        )
    return found.of(body, version)


@functools.lru_cache(maxsize=128)
def _types(event: Hashable) -> tuple[tuple[str, Any], ...]:
    """The fields of a class of events and their types."""
    kind = typing.cast("type[Event]", event)
    hints = typing.get_type_hints(kind)
    return tuple((one.name, hints[one.name]) for one in dataclasses.fields(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, dt.date) else value


def _read(value: Any, wanted: Any) -> Any:
    """A JSON value as the field's type has it; what is neither money nor moment is taken as it stands."""
    kinds = set(typing.get_args(wanted)) or {wanted}
    if value is None:
        if type(None) in kinds:
            return None
        raise ValueError("a value is missing")
    if Decimal in kinds:
        return Decimal(str(value))
    return dt.datetime.fromisoformat(value) if dt.datetime in kinds else value
