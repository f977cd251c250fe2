"""The resources of orders: submit, list, look up, replace, cancel."""

from __future__ import annotations

from typing import Any

from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.intake import MALFORMED
from workbench.exchange.records import Order
from workbench.exchange.resource import AccountResource
from workbench.exchange.wire import Refusal, order_json

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 500
_STATUS = {
    "open": "status IN ('new','partially_filled')",
    "closed": "status NOT IN ('new','partially_filled')",
    "all": "1",
}


class Orders(AccountResource):
    """/v2/orders."""

    async def post(self) -> None:
        """Submit one order. The reply says `pending_new`; by the next look it is working."""
        order = self.exchange.venue.submit(self.account, self.body_json())
        await self.reply(order_json(order, status="pending_new"))

    async def get(self) -> None:
        """List orders, newest first.

        status (open), limit (50, at most 500), after and until (submitted_at, excluded), direction (desc), symbols,
        side. `nested` changes nothing: all orders here are simple.
        """
        conditions, values = [self._status()], list[Any]()
        for name, sign in (("after", ">"), ("until", "<")):
            given = self.query(name)
            if given is not None:
                conditions.append(f"created_at {sign} ?")
                values.append(text_of(_moment(name, given)))
        symbols = [symbol for text in self.get_query_arguments("symbols") for symbol in text.split(",") if symbol]
        if symbols:
            conditions.append(f"symbol IN ({','.join('?' * len(symbols))})")
            values.extend(symbols)
        side = self.query("side")
        if side is not None:
            conditions.append("side = ?")
            values.append(side.lower())
        direction = "ASC" if (self.query("direction") or "desc").lower() == "asc" else "DESC"
        found = self.exchange.venue.ledger.orders(
            self.account.id,
            where=" AND ".join(conditions),
            values=values,
            order=f"created_at {direction}, number {direction}",
            limit=self._limit(),
        )
        await self.reply([order_json(order) for order in found])

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


class OrderByClientId(AccountResource):
    """/v2/orders:by_client_order_id."""

    async def get(self) -> None:
        """Look one order up by the name its owner gave it."""
        name = self.query("client_order_id") or ""
        found = self.exchange.venue.ledger.order_by_client_id(self.account.id, name)
        if found is None:
            raise Refusal(404, 40410000, f"order not found for {name}")
        await self.reply(order_json(found))


class OneOrder(AccountResource):
    """/v2/orders/{id}."""

    async def get(self, order_id: str) -> None:
        """Look one order up."""
        await self.reply(order_json(self._order(order_id)))

    async def patch(self, order_id: str) -> None:
        """Replace an open order by a new one with a new id."""
        new = self.exchange.venue.replace(self.account, self._order(order_id), self.body_json())
        await self.reply(order_json(new, status="pending_new"))

    async def delete(self, order_id: str) -> None:
        """Cancel an open order: 204 without a body."""
        self.exchange.venue.cancel(self.account, self._order(order_id))
        await self.reply(None, status=204)

    def _order(self, order_id: str) -> Order:
        found = self.exchange.venue.ledger.order(self.account.id, order_id.lower())
        if found is None:
            raise Refusal(404, 40410000, f"order not found for {order_id}")
        return found


def cancel_all(resource: AccountResource) -> list[dict[str, Any]]:
    """Cancel every open order of the asking account; one line of status for each."""
    lines = []
    for order in resource.account.orders:
        resource.exchange.venue.cancel(resource.account, order)
        lines.append({"id": order.id, "status": 200})
    return lines


def _moment(name: str, text: str) -> Any:
    try:
        return moment_of(text)
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for {name}") from error
