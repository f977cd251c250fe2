"""The resources of the account itself: balances and configurations."""

from __future__ import annotations

import datetime as dt

from workbench.exchange.accounts import day_trades
from workbench.exchange.accounts.margin import worth
from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import text_of
from workbench.exchange.wire import account_json


class AccountItself(AccountResource):
    """/v2/account."""

    async def get(self) -> None:
        """Balances at the newest prices the account may see."""
        account, venue = self.account, self.exchange.venue
        timeline = venue.market.timeline
        yesterday = timeline.previous(account.now - dt.timedelta(microseconds=1)).closes
        before = venue.ledger.equity(account.id, until=max(yesterday, account.opened_at), limit=1)
        counted = None
        rule = account.rules.day_trades
        if rule is not None:
            first = day_trades.since(account.now, timeline, rule.sessions)
            fills = venue.ledger.executions(account.id, where="happened>=?", values=(text_of(first),))
            counted = day_trades.count(fills, timeline)
        await self.reply(
            account_json(
                account,
                worth(account, venue.market),
                last_equity=before[-1][1] if before else account.initial_cash,
                day_trades=counted,
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
