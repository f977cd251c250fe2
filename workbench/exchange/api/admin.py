"""The admin API under /sim: open accounts, move replay clocks, switch faults on. Not Alpaca's."""

from __future__ import annotations

import os
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange.accounts.margin import worth
from workbench.exchange.api.resource import Resource
from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.requests.intake import MALFORMED, positive, truth
from workbench.exchange.state.account_rules import DEFAULT_PROFILE
from workbench.exchange.state.records import Account, ClockKind
from workbench.exchange.wire import Refusal, plain

if TYPE_CHECKING:
    from workbench.exchange.api.resource import Exchange

DEFAULT_CASH = Decimal(100_000)
LONGEST_NAME = 128


class Health(Resource):
    """/sim/health."""

    async def get(self) -> None:
        """Who answers here, and from which source."""
        feed = self.exchange.venue.market.feed
        await self.reply(
            {
                "ok": True,
                "pid": os.getpid(),
                "source": feed.name,
                "label": feed.label,
                "slippage": plain(self.exchange.venue.rules.slippage),
                "participation": plain(self.exchange.venue.rules.participation),
                "rate_limit": self.exchange.rate_limit.per_minute,
                "struck": dict(self.exchange.faults.struck),
                "uptime_seconds": round(time.monotonic() - self.exchange.started_at, 3),
            }
        )


class Accounts(Resource):
    """/sim/accounts."""

    async def get(self) -> None:
        """All accounts with their clocks and their worth, without keys."""
        venue = self.exchange.venue
        await self.reply([_summary(self.exchange, venue.account(name)) for name in venue.names()])

    async def post(self) -> None:
        """Open an account, or give back the one of that name as it stands."""
        body = self.body_json()
        name = body.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            raise Refusal(422, MALFORMED, f"name must be text of 1 to {LONGEST_NAME} characters")
        kind = _clock(body)
        venue = self.exchange.venue
        at = venue.wall()
        if kind is ClockKind.REPLAY and name not in venue.names():
            at = _moment(body, "at")
        account = venue.open_account(
            name,
            cash=positive(body, "cash") or DEFAULT_CASH,
            at=at,
            clock=kind,
            profile=str(body.get("profile") or DEFAULT_PROFILE),
            multiplier=positive(body, "multiplier"),
            shorting=None if body.get("shorting") is None else truth(body["shorting"]),
        )
        await self.reply(_summary(self.exchange, account) | _keys(account))


class OneAccount(Resource):
    """/sim/accounts/{name}."""

    async def get(self, name: str) -> None:
        """One account with its keys, which open nothing but this exchange."""
        account = self.exchange.venue.account(name)
        await self.reply(_summary(self.exchange, account) | _keys(account))


class Advance(Resource):
    """/sim/accounts/{name}/advance."""

    async def post(self, name: str) -> None:
        """Move a replay clock forward through every open and close in between."""
        done = await self.exchange.venue.advance(name, to=_moment(self.body_json(), "to"))
        await self.reply({"clock": text_of(done.clock), "fills": done.fills, "expired": done.expired})


class FaultSwitch(Resource):
    """/sim/faults."""

    async def get(self) -> None:
        """The faults that are on."""
        await self.reply(self.exchange.faults.listed())

    async def post(self) -> None:
        """Switch a fault on."""
        self.exchange.faults.add(self.body_json())
        await self.reply(self.exchange.faults.listed())

    async def delete(self) -> None:
        """Switch all faults off."""
        await self.reply({"cleared": self.exchange.faults.clear()})


def _summary(exchange: Exchange, account: Account) -> dict[str, Any]:
    """One account as the admin sees it, without its keys."""
    return {
        "name": account.name,
        "account_number": account.account_number,
        "kind": account.clock,
        "clock": text_of(account.now),
        "opened_at": text_of(account.opened_at),
        "cash": plain(account.cash),
        "equity": plain(worth(account, exchange.venue.market).equity),
        "open_orders": len(account.orders),
        "listeners": exchange.subscribers.count(account.id),
    }


def _keys(account: Account) -> dict[str, str]:
    return {"key_id": account.key_id, "secret_key": account.secret_key}


def _clock(body: dict[str, Any]) -> ClockKind:
    try:
        return ClockKind(body.get("clock", "replay"))
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"clock must be replay or real, not {body['clock']!r}") from error


def _moment(body: dict[str, Any], name: str) -> Any:
    given = body.get(name)
    if not isinstance(given, str):
        raise Refusal(422, MALFORMED, f"{name} is required: a UTC moment such as 2022-06-30T20:00:00Z")
    try:
        return moment_of(given)
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"{name}={given!r} is not an ISO 8601 moment") from error
