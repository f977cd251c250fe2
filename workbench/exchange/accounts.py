"""The resources of the account itself: balances, configurations, activities, history of its worth."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.intake import MALFORMED
from workbench.exchange.margin import MAINTENANCE, worth
from workbench.exchange.records import ZERO
from workbench.exchange.resource import AccountResource
from workbench.exchange.wire import Refusal, account_json, activity_json

LARGEST_PAGE = 100


class AccountItself(AccountResource):
    """/v2/account."""

    async def get(self) -> None:
        """Balances at the newest prices the account may see."""
        account, venue = self.account, self.exchange.venue
        now = worth(account, venue.market)
        yesterday = venue.market.timeline.previous(account.now - dt.timedelta(microseconds=1)).closes
        before = venue.ledger.equity(account.id, until=max(yesterday, account.opened_at), limit=1)
        await self.reply(
            account_json(
                account,
                long_value=now.long_value,
                short_value=now.short_value,
                buying_power=now.buying_power,
                last_equity=before[-1][1] if before else account.initial_cash,
                rates=(1 / account.multiplier, MAINTENANCE),
            )
        )


class Configurations(AccountResource):
    """/v2/account/configurations."""

    async def get(self) -> None:
        """What the owner has switched on and off."""
        await self.reply(self.account.configurations)

    async def patch(self) -> None:
        """Change some; `suspend_trade` makes every new order a 403 until it is taken back."""
        self.exchange.venue.configure(self.account, self.body_json())
        await self.reply(self.account.configurations)


class Activities(AccountResource):
    """/v2/account/activities and /v2/account/activities/{type}. Fills are the only activity here."""

    async def get(self, kind: str | None = None) -> None:
        """Fills, newest first: page_size (100, at most 100), page_token (last id seen), direction, after, until, date.

        `after` and `until` exclude their moment; `date` is a day in UTC.
        """
        asked = kind or self.query("activity_types") or "FILL"
        if "FILL" not in asked.upper().split(","):
            await self.reply([])
            return
        descending = (self.query("direction") or "desc").lower() != "asc"
        conditions, values = ["1"], list[Any]()
        for name, sign in (("after", ">"), ("until", "<")):
            given = self.query(name)
            if given is not None:
                conditions.append(f"happened {sign} ?")
                values.append(text_of(_moment(name, given)))
        day = self.query("date")
        if day is not None:
            conditions.append("substr(happened, 1, 10) = ?")
            values.append(_moment("date", day).date().isoformat())
        token = self.query("page_token")
        if token is not None:
            conditions.append(f"number {'<' if descending else '>'} ?")
            values.append(self._number(token))
        found = self.exchange.venue.ledger.executions(
            self.account.id,
            where=" AND ".join(conditions),
            values=values,
            descending=descending,
            limit=self._page_size(),
        )
        await self.reply([activity_json(execution) for execution in found])

    def _page_size(self) -> int:
        text = self.query("page_size") or str(LARGEST_PAGE)
        if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PAGE:
            raise Refusal(422, MALFORMED, f"page_size must be between 1 and {LARGEST_PAGE}")
        return int(text)

    def _number(self, token: str) -> int:
        execution_id = token.rpartition("::")[2]
        found = self.exchange.venue.ledger.executions(self.account.id, where="id=?", values=(execution_id,), limit=1)
        if not found:
            raise Refusal(422, MALFORMED, f"invalid page_token: {token}")
        return found[0].number


class PortfolioHistory(AccountResource):
    """/v2/account/portfolio/history: the worth of the account at each close. Timeframe 1D, whatever is asked."""

    async def get(self) -> None:
        """Equity, and profit against the first value shown; `period` in days, weeks, months or years (1M)."""
        account = self.account
        period = self.query("period") or "1M"
        days = {"D": 1, "W": 7, "M": 31, "A": 366, "Y": 366}.get(period[-1:].upper())
        if days is None or not period[:-1].isdecimal():
            raise Refusal(422, MALFORMED, f"invalid period: {period}")
        start = account.now - dt.timedelta(days=days * int(period[:-1]))
        given = self.query("start")
        if given is not None:
            start = _moment("start", given)
        points = [
            point for point in self.exchange.venue.ledger.equity(account.id, until=account.now) if point[0] >= start
        ]
        base = points[0][1] if points else account.initial_cash
        await self.reply(
            {
                "timestamp": [int(moment.timestamp()) for moment, _ in points],
                "equity": [float(value) for _, value in points],
                "profit_loss": [float(value - base) for _, value in points],
                "profit_loss_pct": [_part(value - base, base) for _, value in points],
                "base_value": float(base),
                "timeframe": "1D",
            }
        )


def _part(gain: Decimal, base: Decimal) -> float:
    return float(gain / base) if base > ZERO else 0.0


def _moment(name: str, text: str) -> dt.datetime:
    try:
        return moment_of(text)
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for {name}") from error
