"""The resources of positions: list, look up, close one, close all, exercise."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any

from workbench.exchange.accounts.margin import mark
from workbench.exchange.accounts.option_orders import taken
from workbench.exchange.api.orders import cancel_all
from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import text_of
from workbench.exchange.requests.fields import MALFORMED, positive, truth
from workbench.exchange.state.occ import contract_of, multiplier_of
from workbench.exchange.state.order import QTY_STEP, ZERO
from workbench.exchange.state.records import Position
from workbench.exchange.wire import Refusal, asset_id, order_json, position_json


class PositionResource(AccountResource):
    """What the resources of positions share."""

    def describe(self, position: Position) -> dict[str, Any]:
        """One position at the newest prices the account may see."""
        account, market, ledger = self.account, self.exchange.venue.market, self.exchange.venue.ledger
        symbol = position.symbol
        price = mark(account, market, symbol)
        if price is None:
            price = position.average_entry
        # The day before is the session before the one that runs or, after a close, the one that has just closed.
        today = market.timeline.session_at_or_after(account.now)
        if today.opens > account.now:
            today = market.timeline.previous(account.now)
        yesterday = market.timeline.previous(today.opens).closes
        earlier = market.last(symbol, yesterday)
        fills = ledger.executions(account.id, where="symbol=? AND happened>?", values=(symbol, text_of(yesterday)))
        signed = [(fill.qty if fill.side == "buy" else -fill.qty, fill.price) for fill in fills]
        # Shares that came by exercise or assignment are as new as those that were bought.
        given = ledger.activities(account.id, where="symbol=? AND happened>?", values=(symbol, text_of(yesterday)))
        signed += [(one.qty, one.price or ZERO) for one in given if one.qty is not None]
        return position_json(
            position,
            mark=price,
            before=earlier.price if earlier else price,
            opened=(sum((qty for qty, _ in signed), ZERO), sum((qty * at for qty, at in signed), ZERO)),
            held=account.orders.held(symbol) if contract_of(symbol) is None else taken(account, symbol),
            multiplier=multiplier_of(symbol),
        )

    def find(self, symbol_or_id: str) -> Position:
        """A position by its symbol or by its asset id. Raises Refusal 404."""
        for position in self.account.positions.values():
            if symbol_or_id in {position.symbol, asset_id(position.symbol)}:
                return position
        raise Refusal(404, 40410000, f"position does not exist: {symbol_or_id}")


class Positions(PositionResource):
    """/v2/positions."""

    async def get(self) -> None:
        """All positions, by symbol."""
        held_now = sorted(self.account.positions.values(), key=lambda position: position.symbol)
        await self.reply([self.describe(position) for position in held_now])

    async def delete(self) -> None:
        """Close everything with market orders: 207 with one line for each position. `cancel_orders` cancels first."""
        if truth(self.query("cancel_orders") or False):
            cancel_all(self)
        lines = []
        for symbol in sorted(self.account.positions):
            try:
                order = self.exchange.venue.close_position(self.account, symbol)
            except Refusal as refused:
                lines.append({"symbol": symbol, "status": refused.status, "body": refused.body})
            else:
                lines.append({"symbol": symbol, "status": 200, "body": order_json(order, status="pending_new")})
        await self.reply(lines, status=207)


class OnePosition(PositionResource):
    """/v2/positions/{symbol or asset id}."""

    async def get(self, symbol_or_id: str) -> None:
        """One position."""
        await self.reply(self.describe(self.find(symbol_or_id)))

    async def delete(self, symbol_or_id: str) -> None:
        """Close one position: all of it, `qty` shares or `percentage` of it (0–100]."""
        position = self.find(symbol_or_id)
        asked = {name: self.query(name) for name in ("qty", "percentage")}
        qty, percentage = positive(asked, "qty"), positive(asked, "percentage")
        if qty is not None and percentage is not None:
            raise Refusal(422, MALFORMED, "only one of qty or percentage is accepted")
        if percentage is not None:
            if percentage > Decimal(100):
                raise Refusal(422, MALFORMED, "percentage must be between 0 and 100")
            step = QTY_STEP if contract_of(position.symbol) is None else Decimal(1)
            qty = (abs(position.qty) * percentage / 100).quantize(step, ROUND_DOWN)
        order = self.exchange.venue.close_position(self.account, position.symbol, qty=qty)
        await self.reply(order_json(order, status="pending_new"))


class Exercise(PositionResource):
    """/v2/positions/{symbol or asset id}/exercise."""

    async def post(self, symbol_or_id: str) -> None:
        """Exercise a long option position, all of it, at once: 200 without a body."""
        self.exchange.venue.exercise(self.account, self.find(symbol_or_id).symbol)
        await self.reply(None)
