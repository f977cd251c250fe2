"""The admin's word about single symbols: halted, shortable, easy to borrow, fractionable. Not Alpaca's."""

from __future__ import annotations

import dataclasses

from workbench.exchange.api.resource import Resource
from workbench.exchange.requests.fields import MALFORMED
from workbench.exchange.state.records import SymbolFacts
from workbench.exchange.wire import Refusal


class OneSymbol(Resource):
    """/sim/symbols/{symbol}."""

    async def get(self, symbol: str) -> None:
        """What holds for the symbol now."""
        self._check(symbol)
        await self._tell(symbol)

    async def post(self, symbol: str) -> None:
        """Change some of it: `{"halted": true}`. A halted symbol takes no orders, and those that work do not fill."""
        self._check(symbol)
        known = {field.name for field in dataclasses.fields(SymbolFacts)}
        body = self.body_json()
        for name, value in body.items():
            if name not in known or not isinstance(value, bool):
                message = f"{str(name)[:64]} must be one of {', '.join(sorted(known))}, and true or false"
                raise Refusal(422, MALFORMED, message)
        venue = self.exchange.venue
        before = venue.facts.get(symbol, SymbolFacts())
        venue.set_symbol(symbol, dataclasses.replace(before, **body))
        if venue.facts[symbol].halted != before.halted:
            self.exchange.data.halted(symbol, halted=venue.facts[symbol].halted)
        await self._tell(symbol)

    def _check(self, symbol: str) -> None:
        if not self.exchange.venue.market.knows(symbol):
            raise Refusal(404, 40410000, f"asset not found for {symbol}")

    async def _tell(self, symbol: str) -> None:
        facts = self.exchange.venue.facts.get(symbol, SymbolFacts())
        await self.reply({"symbol": symbol} | dataclasses.asdict(facts))
