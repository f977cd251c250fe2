"""Booking: what a fill, a cancel or an expiry does to an account, and to the orders that hang together with it.

**Bracket, OTO.** The exits are `held` until their entry is filled completely. Then the take-profit works (`new`), and
a stop-loss beside it stays `held` by name but is watched: it becomes `new` when it fires, as at Alpaca. An entry that
ends before it is filled takes its exits with it, also when a part of it was filled: those shares have no exits. Exits
never cover more shares than the position has free when they begin. Whoever cancels a waiting exit cancels its entry.

**OCO, and the two exits of a bracket.** A fill of one reduces the other by the same quantity (`restated`); the end of
one, whatever the reason, ends the other in the same way, and a complete fill cancels it.

**Multi-leg options orders.** The legs are booked first, then the parent, in one transaction.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.exchange.accounts.changes import Changes
from workbench.exchange.state.order import ZERO, Order
from workbench.exchange.state.records import Execution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.exchange.matching.matching import Match, Outcome

_ENDED_AT = {"canceled": "canceled_at", "expired": "expired_at", "replaced": "replaced_at", "rejected": "failed_at"}


class Booking(Changes):
    """The changes of orders: accepting, filling, ending."""

    __slots__ = ()

    # ---- accepting

    def accept(self, order: Order, family: Sequence[Order] = ()) -> None:
        """A new order and what came with it (exits or legs)."""
        account = self.account
        self.added.append(order)
        if order.status == "pending_new":
            account.waiting[order.id] = order
        elif order.active_from is not None:
            account.orders.add(order)
        if family:
            account.families.setdefault(order.id, {}).update({member.id: member for member in family})
        for member in family:
            self.added.append(member)
            if member.active_from is not None and member.role != "leg":
                account.orders.add(member)
        if self.listened:
            self.tell("pending_new", order, status="pending_new", execution_id=None)
            if order.status != "pending_new":
                self.tell(order.status, order)
            for member in family:
                if member.status == "held":
                    self.tell("held", member)

    # ---- filling

    def book(self, outcome: Outcome, moment: dt.datetime) -> None:
        """What the matching found at one event of one symbol."""
        orders = self.account.orders
        for order_id, mark in outcome.marks:
            marked = orders.get(order_id)
            if marked is not None:
                marked.hwm, marked.stop_price = mark, marked.trail_from(mark)
                self.changed[order_id] = marked
        for order_id in outcome.triggered:
            fired = orders.get(order_id)
            if fired is not None:
                fired.triggered = True
                fired.updated_at = self.account.stamp()
                self.changed[order_id] = fired
                if fired.status == "held":
                    fired.status = "new"
                    self.tell("new", fired)
        for match in outcome.matches:
            filled = orders.get(match.order_id)
            if filled is not None:
                self.fill(filled, match, moment)
        for order_id in outcome.canceled:
            over = orders.get(order_id)
            if over is not None:
                self.end(over, "canceled", moment)

    def fill(self, order: Order, match: Match, moment: dt.datetime) -> None:
        """One fill of one order."""
        account = self.account
        qty, price, left = match.qty, match.price, match.left
        change = qty if order.side == "buy" else -qty
        after = self.move(order.symbol, change, price, value=change * price * order.multiplier)
        order.filled_qty += qty
        order.filled_cost += qty * price
        if order.qty is None:
            order.qty = qty + left  # a notional order is sized by its first fill
        self._filled(order, left, moment)
        execution = Execution(
            self.new_id(), order.id, order.symbol, order.side, qty, price, moment, order.filled_qty, left,
            after.qty if after is not None else ZERO,
        )  # fmt: skip
        self.executions.append(execution)
        self.fills += 1
        if account.rules.fees.any:
            self.charge(order, qty, price, moment)
        if self.listened:
            self.tell("partial_fill" if left else "fill", order, execution=execution, moment=moment)
        if order.oco is not None:
            self._restate(order, qty, moment)
        if left:
            self._shrink_heir(order, qty)
        else:
            if order.settles_at is not None:
                self._overtaken(order)
            if order.order_class and not order.role:
                self._activate(order, moment)
            elif order.oco is not None or order.role in {"take_profit", "stop_loss"}:
                self._forget(order)

    def fill_legs(self, parent: Order, matches: Sequence[Match], moment: dt.datetime) -> None:
        """A multi-leg order: the matches of all legs, then its own at the net price."""
        family = self.account.families[parent.id]
        for match in matches[:-1]:
            self.fill(family[match.order_id], match, moment)
        whole = matches[-1]
        parent.filled_qty += whole.qty
        parent.filled_cost += whole.qty * whole.price
        self._filled(parent, whole.left, moment)
        if self.listened:
            execution = Execution(
                self.new_id(), parent.id, "", "", whole.qty, whole.price, moment, parent.filled_qty, whole.left, ZERO
            )
            self.tell("partial_fill" if whole.left else "fill", parent, execution=execution, moment=moment)
        if whole.left:
            self._shrink_heir(parent, whole.qty)
        else:
            if parent.settles_at is not None:
                self._overtaken(parent)
            self.account.families.pop(parent.id, None)

    # ---- ending

    def end(self, order: Order, status: str, moment: dt.datetime) -> None:
        """An order ends as canceled, expired, replaced or rejected, and takes along what cannot go on without it."""
        account = self.account
        order.status = status
        order.updated_at = account.stamp()
        setattr(order, _ENDED_AT[status], moment if status == "expired" else order.updated_at)
        if account.orders.get(order.id) is not None:
            account.orders.remove(order)
        waited = account.waiting.pop(order.id, None) is not None
        self.changed[order.id] = order
        if status == "expired":
            self.expired += 1
        if order.settles_at is not None and status != "replaced":
            self._overtaken(order, status)
        order.settles_at = None
        self._forget(order)
        if self.listened:
            self.tell(status, order, moment=moment if status == "expired" else order.updated_at)
        if status != "replaced":
            self._end_relatives(order, status, moment, alone=waited)

    def _end_relatives(self, order: Order, status: str, moment: dt.datetime, *, alone: bool) -> None:
        """`alone`: it had not taken its place yet, so only its own legs go with it."""
        if order.oco is not None and not alone:
            for other in self._siblings(order):
                self.end(other, status, moment)
        if not order.role:
            for child in self.account.family(order.id):
                if child.is_open:
                    self.end(child, status, moment)
        elif order.parent_id is not None and status == "canceled" and not alone:
            entry = self.account.orders.get(order.parent_id)
            if entry is not None and entry.oco is None:  # whoever cancels an exit cancels the whole of it
                self.end(entry, status, moment)

    # ---- inside

    def _filled(self, order: Order, left: Decimal, moment: dt.datetime) -> None:
        order.updated_at = self.account.stamp()
        order.filled_at = moment
        self.changed[order.id] = order
        if not left:
            order.status = "filled"
            if order.role != "leg":
                self.account.orders.remove(order)
            return
        if order.settles_at is None:
            order.status = "partially_filled"
        if order.role != "leg":
            self.account.orders.update(order)

    def _siblings(self, order: Order) -> list[Order]:
        """The other exits that cancel with this one."""
        account = self.account
        found = account.family(order.oco or "")
        parent = account.orders.get(order.oco or "")
        if parent is not None and parent.oco is not None:
            found.append(parent)
        return [other for other in found if other.id != order.id and other.oco == order.oco and other.is_open]

    def _restate(self, order: Order, qty: Decimal, moment: dt.datetime) -> None:
        """One of two exits has filled: the other is for so much less, or over."""
        for other in self._siblings(order):
            left = (other.remaining or ZERO) - qty
            if order.status == "filled" or left <= 0:
                self.end(other, "canceled", moment)
            else:
                other.qty = (other.qty or ZERO) - qty
                self._shrink_heir(other, qty)
                other.updated_at = self.account.stamp()
                self.account.orders.update(other)
                self.changed[other.id] = other
                self.tell("restated", other)

    def _activate(self, entry: Order, moment: dt.datetime) -> None:
        """The entry is filled: its exits begin, for no more shares than are free."""
        account = self.account
        children = [child for child in account.family(entry.id) if child.active_from is None and child.role != "leg"]
        if not children:
            return
        free = abs(account.position_qty(entry.symbol)) - account.orders.held(entry.symbol)
        for child in children:
            child.qty = min(child.qty or ZERO, free)
            if child.qty <= 0:
                self.end(child, "canceled", moment)
                return
            child.active_from = moment
            child.updated_at = account.stamp()
            self.changed[child.id] = child
            account.orders.add(child)
            if child.role == "take_profit" or child.oco is None:
                child.status = "new"
                self.tell("new", child)

    def resume(self, order: Order) -> None:
        """Nothing is on its way to this order any more: it works on as before."""
        order.settles_at = None
        watched = order.oco is not None and order.role == "stop_loss" and not order.triggered
        order.status = "partially_filled" if order.filled_qty else "held" if watched else "new"
        order.updated_at = self.account.stamp()
        self.changed[order.id] = order

    def _shrink_heir(self, order: Order, qty: Decimal) -> None:
        """A fill before a replace arrives counts for the new order; where nothing is left for it, it is rejected."""
        heir = None if order.settles_at is None else self.account.heir(order)
        if heir is None:
            return
        heir.qty = (heir.qty or ZERO) - qty
        self.changed[heir.id] = heir
        for leg in self.account.family(heir.id):
            if leg.role == "leg":
                leg.qty = heir.qty * (leg.ratio_qty or ZERO)
                self.changed[leg.id] = leg
        if heir.qty <= 0:
            heir.qty = (heir.qty or ZERO) + qty
            self.end(heir, "rejected", order.updated_at)
            self.resume(order)
            self.tell("order_replace_rejected", order)

    def _overtaken(self, order: Order, status: str = "filled") -> None:
        """A cancel or a replace was on its way to an order that is over: it is rejected."""
        order.settles_at = None
        heir = self.account.heir(order)
        if heir is not None:
            self.end(heir, "rejected", order.updated_at)
            self.tell("order_replace_rejected", order)
        elif status != "canceled":
            self.tell("order_cancel_rejected", order)

    def _forget(self, order: Order) -> None:
        """Take an order that is over out of its family; the family ends with its last member."""
        if order.parent_id is None:
            return
        family = self.account.families.get(order.parent_id)
        if family is not None and family.pop(order.id, None) is not None and not family:
            del self.account.families[order.parent_id]
