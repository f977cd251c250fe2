"""The resources of orders: submit, list, look up, replace, cancel."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.requests.fields import MALFORMED, truth
from workbench.exchange.state.order import OPEN_STATUSES, OPTION, STOCK, Order
from workbench.exchange.wire import Refusal, order_json

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 500
_OPEN = f"status IN ({', '.join(repr(status) for status in sorted(OPEN_STATUSES))})"
_STATUS = {"open": _OPEN, "closed": f"NOT {_OPEN}", "all": "1"}


class OrderResource(AccountResource):
    """What the resources of orders share."""

    def find(self, order_id: str) -> Order:
        """An order of the account. Raises Refusal 404."""
        found = self.exchange.venue.ledger.order(self.account.id, order_id.lower())
        if found is None:
            raise Refusal(404, 40410000, f"order not found for {order_id}")
        return found

    def described(self, orders: Sequence[Order], *, nested: bool, status: str | None = None) -> list[dict[str, Any]]:
        """Orders as JSON, with what came with them; the legs of options orders are always there."""
        parents = [order.id for order in orders if order.order_class and (nested or order.order_class == "mleg")]
        families = self.exchange.venue.ledger.family(self.account.id, parents) if parents else {}
        return [order_json(order, status=status, legs=families.get(order.id)) for order in orders]


class Orders(OrderResource):
    """/v2/orders."""

    async def post(self) -> None:
        """Submit one order. The reply says `pending_new`; by the next look it is working."""
        order = self.exchange.venue.submit(self.account, self.body_json())
        await self.reply(self.described([order], nested=True, status="pending_new")[0])

    async def get(self) -> None:
        """List orders, newest first.

        status (open), limit (50, at most 500), after and until (submitted_at, excluded), after_order_id and
        before_order_id, direction (desc), symbols, side, asset_class. With `nested` an order whose parent is in the
        same answer stands under `legs` of that one only.
        """
        conditions, values = [self._status()], list[Any]()
        for name, sign in (("after", ">"), ("until", "<")):
            given = self.query(name)
            if given is not None:
                conditions.append(f"created_at {sign} ?")
                values.append(text_of(_moment(name, given)))
        for name, sign in (("after_order_id", ">"), ("before_order_id", "<")):
            given = self.query(name)
            if given is not None:
                conditions.append(f"number {sign} ?")
                values.append(self.find(given).number)
        symbols = [symbol for text in self.get_query_arguments("symbols") for symbol in text.split(",") if symbol]
        if symbols:
            conditions.append(f"symbol IN ({','.join('?' * len(symbols))})")
            values.extend(symbols)
        side = self.query("side")
        if side is not None:
            conditions.append("side = ?")
            values.append(side.lower())
        classes = [name for text in self.get_query_arguments("asset_class") for name in text.split(",") if name]
        if classes and "all" not in classes:
            if not set(classes) <= {STOCK, OPTION, "crypto"}:
                raise Refusal(422, MALFORMED, f"invalid asset_class: {','.join(classes)[:64]}")
            conditions.append(f"asset_class IN ({','.join('?' * len(classes))})")
            values.extend(classes)
        nested = truth(self.query("nested"))
        if nested:
            inner = " AND ".join(conditions)
            same = f"SELECT id FROM orders WHERE account_id=? AND {inner}"  # noqa: S608 - conditions of our own
            conditions.append(f"(parent_id IS NULL OR parent_id NOT IN ({same}))")
            values = [*values, self.account.id, *values]
        direction = "ASC" if (self.query("direction") or "desc").lower() == "asc" else "DESC"
        found = self.exchange.venue.ledger.orders(
            self.account.id,
            where=" AND ".join(["role <> 'leg'", *conditions]),
            values=values,
            order=f"created_at {direction}, number {direction}",
            limit=self._limit(),
        )
        await self.reply(self.described(found, nested=nested))

    async def delete(self) -> None:
        """Cancel all open orders: 207 with one status for each."""
        await self.reply(cancel_all(self), status=207)

    def _status(self) -> str:
        status = (self.query("status") or "open").lower()
        if status not in _STATUS:
            raise Refusal(422, MALFORMED, f"invalid status: {status}")
        return _STATUS[status]

    def _limit(self) -> int:
        text = self.query("limit") or str(DEFAULT_LIMIT)
        if not text.isdecimal() or not 1 <= int(text) <= LARGEST_LIMIT:
            raise Refusal(422, MALFORMED, f"limit must be between 1 and {LARGEST_LIMIT}")
        return int(text)


class OrderByClientId(OrderResource):
    """/v2/orders:by_client_order_id."""

    async def get(self) -> None:
        """Look one order up by the name its owner gave it, with what came with it."""
        name = self.query("client_order_id") or ""
        found = self.exchange.venue.ledger.order_by_client_id(self.account.id, name)
        if found is None:
            raise Refusal(404, 40410000, f"order not found for {name}")
        await self.reply(self.described([found], nested=True)[0])


class OneOrder(OrderResource):
    """/v2/orders/{id}."""

    async def get(self, order_id: str) -> None:
        """Look one order up; with `nested` with its exits."""
        await self.reply(self.described([self.find(order_id)], nested=truth(self.query("nested")))[0])

    async def patch(self, order_id: str) -> None:
        """Replace an open order by a new one with a new id. That it is answered is no promise that it will be done."""
        new = self.exchange.venue.replace(self.account, self.find(order_id), self.body_json())
        await self.reply(self.described([new], nested=True, status="pending_new")[0])

    async def delete(self, order_id: str) -> None:
        """Cancel an open order: 204 without a body."""
        self.exchange.venue.cancel(self.account, self.find(order_id))
        await self.reply(None, status=204)


def cancel_all(resource: AccountResource) -> list[dict[str, Any]]:
    """Cancel every open order of the asking account; one line of status for each, exits and entries included."""
    account, venue = resource.account, resource.exchange.venue
    waiting = [child for family in account.families.values() for child in family.values() if child.role != "leg"]
    named = {order.id: order for order in (*account.orders, *account.waiting.values(), *waiting)}
    lines: list[dict[str, Any]] = []
    for order in sorted(named.values(), key=lambda order: order.number):
        if not order.is_open:
            lines.append({"id": order.id, "status": 200})  # it went with another one of this list
            continue
        try:
            venue.cancel(account, order)
        except Refusal as refused:
            lines.append({"id": order.id, "status": refused.status, "body": refused.body})
        else:
            lines.append({"id": order.id, "status": 200})
    return lines


def _moment(name: str, text: str) -> dt.datetime:
    try:
        return moment_of(text)
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for {name}") from error
