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

from workbench.exchange.accounts.booking import Booking
from workbench.exchange.accounts.engine import Engine
from workbench.exchange.accounts.expiration import exercise
from workbench.exchange.accounts.margin import worth
from workbench.exchange.accounts.replay import pass_time
from workbench.exchange.clock import Step, StepKind, text_of
from workbench.exchange.requests.combined import read_order
from workbench.exchange.requests.configuration import changed, initial
from workbench.exchange.requests.fields import MALFORMED
from workbench.exchange.state.account_rules import DEFAULT_PROFILE, PROFILES
from workbench.exchange.state.occ import contract_of
from workbench.exchange.state.order import Order
from workbench.exchange.state.records import Account, ClockKind, Execution, SymbolFacts
from workbench.exchange.wire import Refusal, plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from workbench.exchange.ledger.ledger import Ledger
    from workbench.exchange.market.market import Market
    from workbench.exchange.matching.matching import Rules

STEPS_AT_ONCE = 25  # an advance lets other requests in after so many steps


@dataclass(frozen=True, slots=True)
class Advanced:
    """What an advance did: the clock where it ended, fills and expiries on the way."""

    clock: dt.datetime
    fills: int
    expired: int


class Venue:
    """All accounts of one exchange. Used from one event loop; only `advance` awaits.

    Args:
        publish: tells the stream of an account about events, in order.
        listened: whether anybody would hear them; where nobody does, they are not made.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        market: Market,
        rules: Rules,
        publish: Callable[[str, Iterable[dict[str, Any]]], None],
        wall: Callable[[], dt.datetime],
        moved: Callable[[str, dt.datetime], None] | None = None,
        breathe: Callable[[str], Awaitable[None]] | None = None,
        listened: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.ledger, self.market, self.rules, self.wall = ledger, market, rules, wall
        self.facts = ledger.symbols()
        self.engine = Engine(
            market=market, rules=rules, facts=self.facts, fills=self._fills, last_number=ledger.last_number()
        )
        self._publish, self._listened = publish, listened
        # Market data flows as clocks move, and an advance lets its listeners keep up.
        self._moved = moved or (lambda _account_id, _now: None)
        self._breathe = breathe or (lambda _account_id: asyncio.sleep(0))
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
        profile: str = DEFAULT_PROFILE,
        multiplier: Decimal | None = None,
        shorting: bool | None = None,
    ) -> Account:
        """The account of that name, opened with `cash` at the moment `at` where it does not exist yet.

        `profile` names its rules (see `account_rules`); `multiplier` and `shorting` are the profile's where not given.
        """
        if name in self._accounts:
            return self.account(name)
        timeline, rules = self.market.timeline, PROFILES.get(profile)
        if rules is None:
            raise Refusal(422, MALFORMED, f"profile={profile!r} is none of {', '.join(PROFILES)}")
        if not timeline.first <= at <= timeline.last:
            raise Refusal(422, MALFORMED, f"at={at} is outside the calendar, {timeline.first} to {timeline.last}")
        multiplier = rules.multiplier if multiplier is None else multiplier
        shorting = rules.shorting if shorting is None else shorting
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
            configurations=initial(multiplier=multiplier, shorting=shorting),
            last_stamp=at - dt.timedelta(microseconds=1),
            rules=rules,
        )
        with self.ledger.transaction():
            self.ledger.add_account(account)
            self.ledger.add_equity(account.id, at, cash, cash)
        self._accounts[name] = account
        self._by_key[account.key_id] = name
        return account

    def configure(self, account: Account, changes: dict[str, Any]) -> None:
        """Change account configurations; unknown names and values are refused with 422."""
        after = changed(account.configurations, changes)
        with self._booking(account, moved=True):
            account.configurations = after

    def set_symbol(self, symbol: str, facts: SymbolFacts) -> None:
        """Say something about a symbol that holds for all accounts."""
        with self.ledger.transaction():
            self.ledger.save_symbol(symbol, facts)
        self.facts[symbol] = facts

    # ---- orders

    def submit(self, account: Account, body: dict[str, Any]) -> Order:
        """Accept an order: it is durable when this returns. Raises Refusal."""
        request = read_order(body)
        # First of all: a repeated id is told so even where the order would be refused for another reason by now.
        self._check_unused(account, request.client_order_id)
        with self._booking(account) as booking:
            return self.engine.submit(booking, request)

    def cancel(self, account: Account, order: Order) -> None:
        """Cancel an open order. Raises Refusal 422 where it is not open any more."""
        with self._booking(account) as booking:
            self.engine.cancel(booking, order)

    def replace(self, account: Account, order: Order, body: dict[str, Any]) -> Order:
        """Put a new order in the place of an open one; `qty` counts what the old one has filled already.

        Raises:
            Refusal: the order is not open, or the new one is not allowed; the old one stays as it is.
        """
        with self._booking(account) as booking:
            request, put = self.engine.replace(booking, order, body)
            self._check_unused(account, request.client_order_id)
            return put()

    def close_position(self, account: Account, symbol: str, *, qty: Decimal | None = None) -> Order:
        """A market day order that closes `qty` of a position, or all of it. Raises Refusal 404 without one."""
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

    def exercise(self, account: Account, symbol: str) -> None:
        """Exercise a long option position at once. Raises Refusal: 404 without one, 422 for a stock, 403."""
        contract = contract_of(symbol)
        if account.positions.get(symbol) is None:
            raise Refusal(404, 40410000, f"position does not exist: {symbol}")
        if contract is None:
            raise Refusal(422, 42210000, f"{symbol} is not an option contract")
        with self._booking(account) as booking:
            exercise(booking, contract, self.market)

    # ---- time

    async def advance(self, name: str, *, to: dt.datetime) -> Advanced:
        """Move a replay clock to `to` through each open and close on the way. One advance of an account at a time.

        Raises:
            Refusal: 422 where `to` lies before the clock or beyond the calendar, or where the wall moves the clock.
        """
        async with self._locks[name]:
            account = self.account(name)
            if account.clock is ClockKind.REAL:
                raise Refusal(422, MALFORMED, f"account {name!r} runs on the real clock; nobody can advance it")
            if to < account.now:
                raise Refusal(
                    422,
                    MALFORMED,
                    f"the clock of account {name!r} stands at {account.now.isoformat()} and cannot go back to "
                    f"{to.isoformat()}",
                )
            if to > self.market.timeline.last:
                raise Refusal(422, MALFORMED, f"to={to.isoformat()} is beyond the calendar's end")
            fills = expired = count = 0
            while (step := self.market.timeline.next_step(account.now)).moment <= to:
                done = self._play(account, step)
                fills, expired, count = fills + done.fills, expired + done.expired, count + 1
                if count % STEPS_AT_ONCE == 0:
                    await self._breathe(account.id)
                    account = self.account(name)
            with self._booking(account, moved=True) as booking:
                pass_time(booking, to)
                account.move(to)
            self._moved(account.id, to)
            return Advanced(to, fills, expired + booking.expired)

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
        if any(_due(order, wall) for order in account.orders):
            with self._booking(account, moved=True) as booking:
                pass_time(booking, wall)
        account.move(wall)
        self._moved(account.id, wall)
        return account

    def _play(self, account: Account, step: Step) -> Booking:
        with self._booking(account, moved=True, step=step) as booking:
            self.engine.play(booking, step)
        self._moved(account.id, step.moment)
        return booking

    # ---- inside

    @contextlib.contextmanager
    def _booking(self, account: Account, *, moved: bool = False, step: Step | None = None) -> Iterator[Booking]:
        """A booking that is written in one transaction and then told.

        Where it fails, the account in memory becomes again what the ledger says. A refusal comes before any change.
        """
        booking = Booking(account, new_id=self.engine.new_id, listened=self._listened(account.id))
        try:
            yield booking
            with self.ledger.transaction():
                self.ledger.write(booking)
                if moved:
                    self.ledger.save_account(account)
                if step is not None and (step.last or (step.kind is StepKind.CLOSE and account.positions)):
                    equity = worth(account, self.market).equity
                    self.ledger.add_equity(account.id, step.moment, equity, account.cash)
        except Refusal:
            raise
        except BaseException:
            self._accounts[account.name] = self.ledger.account(account.id)
            raise
        self._publish(account.id, booking.events)

    def _fills(self, account: Account, symbol: str | None, since: dt.datetime) -> list[Execution]:
        if symbol is None:
            return self.ledger.executions(account.id, where="happened>=?", values=(text_of(since),))
        return self.ledger.executions(account.id, where="symbol=? AND happened>=?", values=(symbol, text_of(since)))

    def _check_unused(self, account: Account, client_order_id: str) -> None:
        if self.ledger.knows_client_id(account.id, client_order_id):
            raise Refusal(422, MALFORMED, "client_order_id must be unique")


def _due(order: Order, moment: dt.datetime) -> bool:
    """Whether something happens to an order by then without any price."""
    return any(due is not None and due <= moment for due in (order.settles_at, order.expires_at))
