"""What may still change the book: orders that may be live, at worst case, and fills that no execution has brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, text

from workbench.execution.journal.intent import option_legs
from workbench.execution.journal.legs import OPTION_LEG
from workbench.execution.risk.limits import OpenOrder
from workbench.market.order import IntentState, OrderClass, Side
from workbench.store.tables.execution import FillRow, IntentRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_ZERO = Decimal(0)
_OPEN = tuple(state.value for state in IntentState if not state.is_end)
_COLUMNS = (
    IntentRow.id,
    IntentRow.bot,
    IntentRow.symbol,
    IntentRow.side,
    IntentRow.qty,
    IntentRow.filled_qty,
    IntentRow.booked_qty,
    IntentRow.limit_price,
    IntentRow.stop_price,
    IntentRow.reference_price,
    IntentRow.client_order_id,
    IntentRow.state,
    IntentRow.order_class,
    IntentRow.option_legs,
    IntentRow.parent_id,
    IntentRow.role,
    IntentRow.replaces_id,
)
# Two questions, each with an index of its own, instead of a walk through everything that was ever ordered.
_BY_STATE = select(*_COLUMNS).where(IntentRow.account == bindparam("account"), IntentRow.state.in_(_OPEN))
_BY_FILLS = select(*_COLUMNS).where(
    IntentRow.account == bindparam("account"), text("(booked_qty IS NULL OR booked_qty <> filled_qty)")
)
_PARENTS = select(IntentRow.id, IntentRow.filled_qty).where(IntentRow.id.in_(bindparam("ids", expanding=True)))
_SIBLINGS = select(IntentRow.parent_id, IntentRow.filled_qty).where(
    IntentRow.parent_id.in_(bindparam("ids", expanding=True))
)
_REPLACED = select(IntentRow.replaces_id).where(IntentRow.replaces_id.in_(bindparam("ids", expanding=True)))
_COUNTED = select(FillRow.intent_id, FillRow.qty).where(
    FillRow.intent_id.in_(bindparam("ids", expanding=True)), FillRow.busted_at.is_(None)
)


@dataclass(slots=True)
class Outstanding:
    """One intent that is not over, or is over with shares that no execution explains.

    Attributes:
        left: the most shares that it can still bring into the book, 0 or more.
        missing: shares that the broker calls filled and no booked execution explains; part of `left`.
    """

    id: str
    bot: str
    symbol: str
    side: Side
    left: Decimal
    missing: Decimal
    price: Decimal | None
    limit_price: Decimal | None
    client_order_id: str
    live: bool
    order_class: str
    legs: list[Any] | None
    parent_id: str | None
    role: str
    replaces_id: str | None


def outstanding(session: Session, account: str) -> list[Outstanding]:
    """Everything of an account that may still change its book, in the open transaction."""
    rows = {
        row.id: row for question in (_BY_STATE, _BY_FILLS) for row in session.execute(question, {"account": account})
    }
    old = [row.id for row in rows.values() if row.booked_qty is None]
    counted: dict[str, Decimal] = defaultdict(Decimal)
    for intent_id, qty in _in_parts(session, _COUNTED, old):
        counted[intent_id] += qty
    found = []
    for row in rows.values():
        booked = counted[row.id] if row.booked_qty is None else row.booked_qty
        live = row.state in _OPEN
        left = max((row.qty if live else row.filled_qty) - booked, row.filled_qty - booked, _ZERO)
        if not left:
            continue
        price = row.limit_price or max(filter(None, (row.stop_price, row.reference_price)), default=None)
        found.append(
            Outstanding(
                id=row.id,
                bot=row.bot,
                symbol=row.symbol,
                side=Side(row.side),
                left=left,
                missing=max(row.filled_qty - booked, _ZERO),
                price=price,
                limit_price=row.limit_price,
                client_order_id=row.client_order_id,
                live=live,
                order_class=row.order_class,
                legs=row.option_legs,
                parent_id=row.parent_id,
                role=row.role,
                replaces_id=row.replaces_id,
            )
        )
    return found


def worst_case(session: Session, account: str) -> list[OpenOrder]:
    """Every order that may still change the book, at the most that it can do.

    Written but unsent orders and UNKNOWN ones count like live ones. Three kinds of orders hang together, so that their
    sum would be more than can happen; they share a `group`, of which the largest counts:

    - An order and what takes its place: the broker never lets both work, and whichever of the two is alive is covered.
      Shares that one of them has filled and no execution has brought yet stand beside the group, on their own.
    - The exits of one entry: when one fills, the broker takes the other away. They also count at most what the entry
      has filled, because until then the broker holds them back. (An OCO order is itself one of its two exits.)
    - A multi-leg options order counts as its legs: those at the broker, or those that were asked for.
    """
    orders: list[OpenOrder] = []
    for name, group in _grouped(session, account).items():
        orders += _counted(name, group)
    return orders


@dataclass(frozen=True, slots=True)
class Beside:
    """The worst case in two parts: an order with all that excludes it, and everything else.

    Attributes:
        others: what may happen whatever becomes of the order; fills that are not booked yet stand here.
        place: the orders of which only one can happen: the order, what takes its place, the other exits of its entry.
        cap: the most that an exit can bring, shares; None where no entry bounds it.
    """

    others: tuple[OpenOrder, ...]
    place: tuple[OpenOrder, ...]
    cap: Decimal | None


def beside(session: Session, account: str, intent_id: str) -> Beside:
    """`worst_case` with an order's own place kept apart, for the check of what is to take that place."""
    others: list[OpenOrder] = []
    place: list[OpenOrder] = []
    cap: Decimal | None = None
    for name, group in _grouped(session, account).items():
        if all(one.row.id != intent_id for one in group):
            others += _counted(name, group)
            continue
        cap = next((one.cap for one in group if one.row.id == intent_id), None)
        for one in group:
            others += [_order(one.row, one.row.missing)] if one.row.missing > 0 else []
            place += one.asked or ([_order(one.row, one.coming)] if one.coming > 0 else [])
    return Beside(tuple(others), tuple(place), cap)


@dataclass(frozen=True, slots=True)
class _Member:
    """One order of a group: what it can still bring, beside what it has filled and nobody booked."""

    row: Outstanding
    cap: Decimal | None = None
    asked: tuple[OpenOrder, ...] = ()

    @property
    def coming(self) -> Decimal:
        coming = self.row.left - self.row.missing
        return coming if self.cap is None else min(coming, self.cap)


def _grouped(session: Session, account: str) -> dict[str, list[_Member]]:
    """Everything that may still change the book, by what excludes each other."""
    rows = outstanding(session, account)
    chains = _chains(rows)
    with_legs = {row.parent_id for row in rows if row.role == OPTION_LEG}
    parents = {row.parent_id for row in rows if row.parent_id is not None and row.order_class != OrderClass.OCO}
    caps = _caps(session, sorted(parents))
    groups: dict[str, list[_Member]] = defaultdict(list)
    for row in rows:
        cap = caps.get(row.parent_id or "") if row.role != OPTION_LEG else None
        if row.order_class == OrderClass.MLEG and row.role != OPTION_LEG:
            if row.id not in with_legs and row.live:
                groups[f"legs of {row.id}"].append(_Member(row, asked=_asked_legs(row)))
        elif row.parent_id is None or row.role == OPTION_LEG:
            groups[chains.get(row.id, row.id)].append(_Member(row, cap))
        elif row.order_class == OrderClass.OCO:
            groups[chains.get(row.parent_id, row.parent_id)].append(_Member(row, cap))
        else:
            groups[f"exits of {row.parent_id}"].append(_Member(row, cap))
    return groups


def _counted(name: str, group: list[_Member]) -> list[OpenOrder]:
    """A group as the risk check counts it."""
    orders: list[OpenOrder] = []
    for one in group:
        missing = one.row.missing
        if one.asked:
            orders += one.asked
        elif len(group) == 1:
            orders += [_order(one.row, one.coming + missing)] if one.coming + missing > 0 else []
        else:
            orders += [_order(one.row, missing)] if missing > 0 else []
            orders += [_order(one.row, one.coming, group=name)] if one.coming > 0 else []
    return orders


def missing_fills(session: Session, account: str) -> dict[str, Decimal]:
    """Signed shares per symbol that orders report as filled and no execution has brought yet."""
    pending: dict[str, Decimal] = {}
    for row in outstanding(session, account):
        if row.missing and not (row.order_class == OrderClass.MLEG and row.role != OPTION_LEG):
            pending[row.symbol] = pending.get(row.symbol, _ZERO) + row.side.sign * row.missing
    return pending


def _order(row: Outstanding, qty: Decimal, *, group: str = "") -> OpenOrder:
    return OpenOrder(row.symbol, row.side, qty, row.price, row.client_order_id, row.bot, group, row.limit_price)


def _chains(rows: Iterable[Outstanding]) -> dict[str, str]:
    """For each intent that has to do with a replacement the name of its chain: the oldest of it that is known here."""
    before = {row.id: row.replaces_id for row in rows if row.replaces_id is not None}
    roots: dict[str, str] = {}
    for name in before:
        root: str = name
        while (older := before.get(root)) is not None:
            root = older
        roots[name] = root
    return roots


def _caps(session: Session, parents: list[str]) -> dict[str, Decimal]:
    """Per entry the shares that its exits can still bring: what it has filled less what they have.

    No cap where something takes, or may take, the place of the entry: what that fills, the exits may leave again.
    """
    caps: dict[str, Decimal] = dict(_in_parts(session, _PARENTS, parents))
    for parent_id, filled in _in_parts(session, _SIBLINGS, parents):
        caps[parent_id] -= filled
    for (replaced,) in _in_parts(session, _REPLACED, parents):
        caps.pop(replaced, None)
    return {name: max(cap, _ZERO) for name, cap in caps.items()}


def _asked_legs(row: Outstanding) -> tuple[OpenOrder, ...]:
    return tuple(
        OpenOrder(leg.symbol, leg.side, leg.ratio * row.left, None, row.client_order_id, row.bot)
        for leg in option_legs(row.legs)
    )


def _in_parts(session: Session, question: Any, names: list[str]) -> Iterable[Any]:
    """The answers for many names; a database takes only so many at once."""
    for start in range(0, len(names), 500):
        yield from session.execute(question, {"ids": names[start : start + 500]})
