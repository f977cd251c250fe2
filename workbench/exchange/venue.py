"""The venue: accounts and what may be done with their orders. Everything is written to the ledger before it is told."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import uuid
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange import intake, margin
from workbench.exchange.matching import Rules
from workbench.exchange.records import Account, ClockKind, Order
from workbench.exchange.replay import Played, play
from workbench.exchange.wire import Refusal, event_json, order_json, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from workbench.exchange.ledger import Ledger
    from workbench.exchange.market import Market

STEPS_AT_ONCE = 25  # an advance lets other requests in after so many steps


@dataclass(frozen=True, slots=True)
class Advanced:
    """What an advance did: the clock where it ended, fills and expiries on the way."""

    clock: dt.datetime
    fills: int
    expired: int


class Venue:
    """All accounts of one exchange. Used from one event loop; only `advance` awaits."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        market: Market,
        rules: Rules,
        publish: Callable[[str, Iterable[dict[str, Any]]], None],
        wall: Callable[[], dt.datetime],
    ) -> None:
        self.ledger, self.market, self.rules, self.wall = ledger, market, rules, wall
        self._publish = publish
        self._accounts = {account.name: account for account in ledger.accounts()}
        self._by_key = {account.key_id: account.name for account in self._accounts.values()}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # ---- accounts

    def names(self) -> list[str]:
        """Account names in the order of their opening."""
        return list(self._accounts)

    def account(self, name: str) -> Account:
        """One account; a real clock is brought up to the wall first. Raises Refusal 404."""
        account = self._accounts.get(name)
        if account is None:
            raise Refusal(404, 40410000, f"account {name!r} does not exist")
        if account.clock is ClockKind.REAL and account.now < self.wall():
            account = self._catch_up(account)
        return account

    def authenticate(self, key_id: str, secret_key: str) -> Account | None:
        """The account of a pair of keys, None where they do not fit."""
        name = self._by_key.get(key_id)
        if name is None or not secrets.compare_digest(self._accounts[name].secret_key.encode(), secret_key.encode()):
            return None
        return self.account(name)

    def open_account(
        self,
        name: str,
        *,
        cash: Decimal,
        at: dt.datetime,
        clock: ClockKind = ClockKind.REPLAY,
        multiplier: Decimal = Decimal(4),
        shorting: bool = True,
    ) -> Account:
        """The account of that name, opened with `cash` at the moment `at` where it does not exist yet."""
        if name in self._accounts:
            return self.account(name)
        timeline = self.market.timeline
        if not timeline.first <= at <= timeline.last:
            raise Refusal(
                422, intake.MALFORMED, f"at={at} is outside the calendar, {timeline.first} to {timeline.last}"
            )
        account = Account(
            id=str(uuid.uuid4()),
            name=name,
            account_number=f"WB{secrets.token_hex(5).upper()}",
            key_id=f"LX{secrets.token_hex(9).upper()}",
            secret_key=secrets.token_urlsafe(30),
            clock=clock,
            opened_at=at,
            now=at,
            initial_cash=cash,
            cash=cash,
            multiplier=multiplier,
            shorting=shorting,
            configurations={
                "fractional_trading": True,
                "max_margin_multiplier": plain(multiplier),
                "no_shorting": not shorting,
                "suspend_trade": False,
                "trade_confirm_email": "none",
                "ptp_no_exception_entry": False,
                "max_options_trading_level": None,
            },
            last_stamp=at - dt.timedelta(microseconds=1),
        )
        with self.ledger.transaction():
            self.ledger.add_account(account)
            self.ledger.add_equity(account.id, at, cash, cash)
        self._accounts[name] = account
        self._by_key[account.key_id] = name
        return account

    def configure(self, account: Account, changes: dict[str, Any]) -> None:
        """Change account configurations; unknown names are refused with 422."""
        unknown = sorted(set(changes) - set(account.configurations) - {"dtbp_check", "pdt_check"})
        if unknown:
            raise Refusal(422, intake.MALFORMED, f"unknown account configuration: {', '.join(unknown)}")
        with self._changing(account):
            for name, value in changes.items():
                if name in account.configurations:
                    flag = isinstance(account.configurations[name], bool)
                    account.configurations[name] = intake.truth(value) if flag else value
            self.ledger.save_account(account)

    # ---- orders

    def submit(self, account: Account, body: dict[str, Any]) -> Order:
        """Accept an order: it is durable when this returns. Raises Refusal."""
        request = intake.read_order(body)
        # First of all: a repeated id is told so even where the order would be refused for another reason by now.
        self._check_unused(account, request.client_order_id)
        if not self.market.knows(request.symbol):
            raise Refusal(422, intake.UNPROCESSABLE, "invalid symbol")
        if account.configurations["suspend_trade"]:
            raise Refusal(403, margin.FORBIDDEN, "new orders are rejected by user request")
        admission = margin.admit(request, account, self.market)
        order = self._order(account, request, admission)
        with self._changing(account):
            self.ledger.add_order(account.id, order)
            account.orders.add(order)
        self._publish(account.id, _welcome(order))
        return order

    def cancel(self, account: Account, order: Order) -> None:
        """Cancel an open order. Raises Refusal 422 where it is not open any more."""
        working = account.orders.get(order.id)
        if working is None:
            raise Refusal(422, intake.UNPROCESSABLE, f'order is already in "{order.status}" state')
        with self._changing(account):
            self._end(account, working, "canceled")
        self._tell(account, "canceled", working)

    def replace(self, account: Account, order: Order, body: dict[str, Any]) -> Order:
        """Put a new order in the place of an open one; `qty` counts what the old one has filled already.

        Raises:
            Refusal: the order is not open, or the new one is not allowed; the old one stays as it is.
        """
        old = account.orders.get(order.id)
        if old is None:
            raise Refusal(422, intake.UNPROCESSABLE, f'order is already in "{order.status}" state')
        request = intake.read_replacement(old, body)
        self._check_unused(account, request.client_order_id)
        admission = margin.admit(request, account, self.market, ignoring=old)
        new = self._order(account, request, admission)
        new.replaces = old.id
        with self._changing(account):
            self._end(account, old, "replaced")
            old.replaced_by = new.id
            self.ledger.save_order(old)
            self.ledger.add_order(account.id, new)
            account.orders.add(new)
        self._tell(account, "replaced", old)
        self._publish(account.id, _welcome(new))
        return new

    def close_position(self, account: Account, symbol: str, *, qty: Decimal | None = None) -> Order:
        """A market day order that closes `qty` shares of a position, or all of it. Raises Refusal 404 without one."""
        position = account.positions.get(symbol)
        if position is None:
            raise Refusal(404, 40410000, f"position does not exist: {symbol}")
        return self.submit(
            account,
            {
                "symbol": symbol,
                "qty": plain(abs(position.qty) if qty is None else qty),
                "side": "sell" if position.qty > 0 else "buy",
                "type": "market",
                "time_in_force": "day",
            },
        )

    # ---- time

    async def advance(self, name: str, *, to: dt.datetime) -> Advanced:
        """Move a replay clock to `to` through each open and close on the way. One advance of an account at a time.

        Raises:
            Refusal: 422 where `to` lies before the clock or beyond the calendar, or where the wall moves the clock.
        """
        async with self._locks[name]:
            account = self.account(name)
            if account.clock is ClockKind.REAL:
                raise Refusal(422, intake.MALFORMED, f"account {name!r} runs on the real clock; nobody can advance it")
            if to < account.now:
                raise Refusal(
                    422,
                    intake.MALFORMED,
                    f"the clock of account {name!r} stands at {account.now.isoformat()} and cannot go back to "
                    f"{to.isoformat()}",
                )
            if to > self.market.timeline.last:
                raise Refusal(422, intake.MALFORMED, f"to={to.isoformat()} is beyond the calendar's end")
            fills = expired = count = 0
            while (step := self.market.timeline.next_step(account.now)).moment <= to:
                played = self._play(account, step)
                fills, expired, count = fills + played.fills, expired + played.expired, count + 1
                if count % STEPS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                    account = self.account(name)
            with self._changing(account):
                account.now = to
                self.ledger.save_account(account)
            return Advanced(to, fills, expired)

    def catch_up(self) -> None:
        """Bring all real clocks to the wall, so that their streams hear of fills without being asked."""
        for name, account in self._accounts.items():
            if account.clock is ClockKind.REAL:
                self.account(name)

    def _catch_up(self, account: Account) -> Account:
        wall = self.wall()
        while (step := self.market.timeline.next_step(account.now)).moment <= wall:
            self._play(account, step)
            account = self._accounts[account.name]
        account.now = wall
        return account

    def _play(self, account: Account, step: Any) -> Played:
        with self._changing(account):
            played = play(account, step, market=self.market, ledger=self.ledger, rules=self.rules)
        self._publish(account.id, played.events)
        return played

    # ---- inside

    @contextlib.contextmanager
    def _changing(self, account: Account) -> Iterator[None]:
        """A transaction; where it fails, the account in memory becomes again what the ledger says."""
        try:
            with self.ledger.transaction():
                yield
        except BaseException:
            self._accounts[account.name] = self.ledger.account(account.id)
            raise

    def _check_unused(self, account: Account, client_order_id: str) -> None:
        if self.ledger.order_by_client_id(account.id, client_order_id) is not None:
            raise Refusal(422, intake.MALFORMED, "client_order_id must be unique")

    def _order(self, account: Account, request: intake.OrderRequest, admission: margin.Admission) -> Order:
        moment = account.stamp()
        return Order(
            id=str(uuid.uuid4()),
            number=0,
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            qty=request.qty,
            notional=request.notional,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            status="new",
            created_at=moment,
            updated_at=moment,
            expires_at=intake.expiry(request, now=account.now, timeline=self.market.timeline),
            opening=admission.opening,
            reserve_price=admission.reserve_price,
            extended_hours=request.extended_hours,
            position_intent=request.position_intent,
        )

    def _end(self, account: Account, order: Order, status: str) -> None:
        order.status = status
        order.updated_at = account.stamp()
        if status == "canceled":
            order.canceled_at = order.updated_at
        else:
            order.replaced_at = order.updated_at
        account.orders.remove(order)
        self.ledger.save_order(order)

    def _tell(self, account: Account, event: str, order: Order) -> None:
        self._publish(
            account.id,
            [event_json(event, order_json(order), moment=order.updated_at, execution_id=str(uuid.uuid4()))],
        )


def _welcome(order: Order) -> Iterator[dict[str, Any]]:
    """The two events of an accepted order, made only where somebody listens: seen, then working."""
    yield event_json("pending_new", order_json(order, status="pending_new"), moment=order.created_at, execution_id=None)
    yield event_json("new", order_json(order), moment=order.created_at, execution_id=str(uuid.uuid4()))
