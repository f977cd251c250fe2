"""The exchange without disk and wire: what a request or a step does to an account, collected in a booking."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from workbench.exchange.accounts import day_trades
from workbench.exchange.accounts.margin import CLOSING, FORBIDDEN, admit, mark, worth
from workbench.exchange.accounts.option_orders import Leg, admit_option, legs_of
from workbench.exchange.accounts.pending import ask_cancel, ask_replace, check_changeable
from workbench.exchange.accounts.placing import Maker
from workbench.exchange.accounts.replay import play
from workbench.exchange.ids import fresh
from workbench.exchange.requests.combined import check_exits
from workbench.exchange.requests.fields import UNPROCESSABLE
from workbench.exchange.requests.intake import read_replacement
from workbench.exchange.state.order import OPTION, ZERO, Order
from workbench.exchange.state.records import SymbolFacts
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from workbench.exchange.accounts.booking import Booking
    from workbench.exchange.accounts.margin import Admission
    from workbench.exchange.clock import Step
    from workbench.exchange.market.market import Market
    from workbench.exchange.matching.matching import Rules
    from workbench.exchange.requests.intake import OrderRequest
    from workbench.exchange.state.records import Account, Execution

USUAL = SymbolFacts()


class Engine:
    """The rules of one exchange, applied to an account.

    Args:
        facts: what an administrator has said about symbols.
        fills: (account, symbol or None, since) → its fills since then, in order.
        last_number: the newest place in the queue that was ever given.
        new_id: makes ids; random ones by default.
    """

    def __init__(
        self,
        *,
        market: Market,
        rules: Rules,
        facts: Mapping[str, SymbolFacts],
        fills: Callable[[Account, str | None, dt.datetime], list[Execution]],
        last_number: int = 0,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.market, self.rules, self.facts, self._fills = market, rules, facts, fills
        self.new_id = new_id or fresh()
        self._make = Maker(market, self.new_id, itertools.count(last_number + 1).__next__, rules.latency)

    def facts_of(self, symbol: str) -> SymbolFacts:
        """What holds for a symbol."""
        return self.facts.get(symbol, USUAL)

    def submit(self, booking: Booking, request: OrderRequest) -> Order:
        """Accept a request. Raises Refusal; nothing has changed then."""
        account = booking.account
        if account.configurations["suspend_trade"]:
            raise Refusal(403, FORBIDDEN, "new orders are rejected by user request")
        legs: tuple[Leg, ...] = ()
        if request.asset_class == OPTION:
            legs = legs_of(request, account)
            if not request.legs:
                request = dataclasses.replace(request, position_intent=legs[0].position_intent)
        elif not self.market.knows(request.symbol):
            raise Refusal(422, UNPROCESSABLE, "invalid symbol")
        admission = self._admit(account, request, legs)
        if request.exits:
            base = request.limit_price or mark(account, self.market, request.symbol)
            if base is not None:
                check_exits(request, base)
        order = self._make.order(account, request, admission)
        family = self._make.exits(booking.account, order, request.exits) if request.exits else []
        if request.legs:
            family = self._make.legs(booking.account, order, legs)
        booking.accept(order, family)
        return order

    def cancel(self, booking: Booking, asked: Order) -> None:
        """Cancel an order. Raises Refusal 422 where it is not open any more, or is a leg of another order."""
        order = check_changeable(booking.account.find(asked.id), asked, replacing=False)
        if order.role == "leg":
            raise Refusal(422, UNPROCESSABLE, "legs of a multi-leg order cannot be canceled; cancel the order")
        ask_cancel(booking, order, latency=self.rules.latency)

    def replace(
        self, booking: Booking, asked: Order, body: Mapping[str, Any]
    ) -> tuple[OrderRequest, Callable[[], Order]]:
        """Check a replacement: the new request, and what puts it in the place of the old one.

        Raises:
            Refusal: the order is not open, or the new one is not allowed; the old one stays as it is.
        """
        account = booking.account
        old = check_changeable(account.find(asked.id), asked, replacing=True)
        request = read_replacement(old, body)
        legs: tuple[Leg, ...] = ()
        if old.role or old.oco is not None:
            self._check_pair(account, old, request)
            admission = CLOSING
        else:
            if request.asset_class == OPTION:
                legs = tuple(
                    Leg(leg.symbol, leg.side, leg.ratio_qty or ZERO, leg.opening, leg.position_intent or "")
                    for leg in account.family(old.id)
                ) or legs_of(request, account)
            request = dataclasses.replace(request, order_class=old.order_class)
            admission = self._admit(account, request, legs, ignoring=old)

        def put() -> Order:
            new = self._make.order(account, request, admission)
            new.expires_at = old.expires_at if request.time_in_force == old.time_in_force else new.expires_at
            if old.type == "trailing_stop":
                new.hwm = old.hwm
                new.stop_price = new.trail_stop
            family = self._make.legs(account, new, legs) if old.order_class == "mleg" else []
            ask_replace(booking, old, new, family, latency=self.rules.latency)
            return new

        return request, put

    def play(self, booking: Booking, step: Step) -> None:
        """Move the account through one step."""
        account = booking.account

        def taken(symbol: str, since: dt.datetime) -> Decimal:
            return sum((fill.qty for fill in self._fills(account, symbol, since)), start=ZERO)

        play(booking, step, market=self.market, rules=self.rules, facts=self.facts, taken=taken)

    def _admit(
        self, account: Account, request: OrderRequest, legs: tuple[Leg, ...], *, ignoring: Order | None = None
    ) -> Admission:
        if request.asset_class == OPTION:
            return admit_option(request, legs, account, self.market, self.facts, ignoring=ignoring)
        admission = admit(request, account, self.market, self.facts_of(request.symbol), ignoring=ignoring)
        rule = account.rules.day_trades
        if rule is not None and not admission.opening and worth(account, self.market).equity < rule.equity:
            timeline = self.market.timeline
            fills = self._fills(account, None, day_trades.since(account.now, timeline, rule.sessions))
            day_trades.check(rule, fills, request.symbol, now=account.now, timeline=timeline)
        return admission

    def _check_pair(self, account: Account, old: Order, request: OrderRequest) -> None:
        """The new price of an exit stays on its side of the other one."""
        parent = old.id if old.oco == old.id else old.oco
        other = next(
            (
                one
                for one in (*account.family(parent or ""), account.orders.get(parent or ""))
                if one is not None and one.id != old.id and one.oco == old.oco and old.oco is not None
            ),
            None,
        )
        if other is None:
            return
        profit, stop = (
            (other.limit_price, request.stop_price)
            if old.role == "stop_loss"
            else (request.limit_price, other.stop_price)
        )
        if profit is None or stop is None or profit == stop or (profit > stop) != (old.side == "sell"):
            sign = ">" if old.side == "sell" else "<"
            raise Refusal(422, UNPROCESSABLE, f"take_profit.limit_price must be {sign} stop_loss.stop_price")
