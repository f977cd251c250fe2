"""The market-data resources of options, all model-made: bars, trades, newest quotes, snapshots and chains."""

from __future__ import annotations

import base64
from typing import Any, Final

from workbench.exchange.api.data_query import INVALID
from workbench.exchange.api.option_contracts import ContractFilter, listed
from workbench.exchange.api.stocks import StockResource
from workbench.exchange.market.option_marks import MODEL
from workbench.exchange.telling.data_wire import as_json, greeks_message
from workbench.exchange.wire import Refusal

DEFAULT_SHOTS: Final = 100
LARGEST_PAGE: Final = 1000
EXCHANGES: Final = {"V": "The local exchange: prices are made by a model"}


class OptionResource(StockResource):
    """What the resources of options share."""

    made = MODEL

    def exists(self, symbol: str) -> bool:
        """Whether the symbol is a contract here."""
        return self.market.contract(symbol) is not None

    def shot(self, symbol: str) -> dict[str, Any] | None:
        """The mark, the quote around it, the σ that made it and its sensitivities; None where there is no mark."""
        contract = self.market.contract(symbol)
        trade = self.latest_trade(symbol)
        made = None if contract is None else self.market.options.valuation(contract, self.now)
        if trade is None or made is None:
            return None
        valuation, sigma = made
        return {
            "latestTrade": trade,
            "latestQuote": self.latest_quote(symbol),
            "impliedVolatility": sigma,
            "greeks": greeks_message(valuation),
        }

    async def shots(self, symbols: list[str]) -> None:
        """A page of snapshots by symbol."""
        self.check_words()
        text, limit = self.query("page_token"), self.limit(default=DEFAULT_SHOTS, largest=LARGEST_PAGE)
        try:
            after = "" if text is None else base64.urlsafe_b64decode(text.encode()).decode()
        except ValueError as error:
            raise Refusal(400, INVALID, "invalid page_token") from error
        rest = sorted(symbol for symbol in set(symbols) if symbol > after)
        found = {symbol: shot for symbol in rest[:limit] if (shot := self.shot(symbol)) is not None}
        token = base64.urlsafe_b64encode(rest[limit - 1].encode()).decode() if len(rest) > limit else None
        await self.reply({"snapshots": as_json(found), "next_page_token": token})


class OptionRows(OptionResource):
    """/v1beta1/options/{bars|trades}."""

    async def get(self, kind: str) -> None:
        """Bars or marks made from the underlying's bars up to the account's clock; in pages."""
        await self.rows(kind)


class OptionLatest(OptionResource):
    """/v1beta1/options/{quotes|trades}/latest."""

    async def get(self, kind: str) -> None:
        """The newest mark, or the quote around it."""
        await self.latest(kind)


class OptionSnapshots(OptionResource):
    """/v1beta1/options/snapshots."""

    async def get(self) -> None:
        """Mark, quote, volatility and sensitivities of the contracts asked for."""
        await self.shots(self.symbols())


class OptionChain(OptionResource):
    """/v1beta1/options/snapshots/{underlying}."""

    async def get(self, underlying: str) -> None:
        """The same for every contract on a stock that is listed and passes the filters."""
        wanted = ContractFilter(self.query)
        known = underlying in self.market.stocks()
        found = (one for one in listed(self.market, underlying, self.now) if wanted.passes(one)) if known else ()
        await self.shots([one.symbol for one in found])


class OptionExchanges(OptionResource):
    """/v1beta1/options/meta/exchanges."""

    async def get(self) -> None:
        """The one exchange there is."""
        await self.reply(EXCHANGES)
