"""The resources of option contracts: which are listed at the account's clock, and what one is."""

from __future__ import annotations

import asyncio
import base64
import bisect
import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.api.data_query import INVALID, DataResource
from workbench.exchange.clock import moment_of
from workbench.exchange.market.contracts import right_of, symbol_of
from workbench.exchange.market.option_marks import MODEL
from workbench.exchange.state.occ import MULTIPLIER, Contract, contract_of
from workbench.exchange.wire import Refusal, asset_id, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.exchange.market.black_scholes import Right
    from workbench.exchange.market.market import Market

DEFAULT_CONTRACTS, LARGEST_PAGE = 100, 10_000
RIGHTS: Final[tuple[Right, Right]] = ("call", "put")
_WEEKEND: Final = dt.timedelta(days=6)


def listed(market: Market, underlying: str, moment: dt.datetime) -> Iterator[Contract]:
    """The contracts on one stock listed at that moment, by expiry, calls first, by strike."""
    grid = market.options.grid
    today = market.timeline.session_at_or_after(moment).date
    for expires in grid.expiries(today):
        strikes = grid.strikes_at(underlying, expires, moment)
        for right in RIGHTS:
            for strike in strikes:
                contract = contract_of(symbol_of(underlying, expires, right, strike))
                if contract is not None:  # None where the stock's own symbol fits in no contract's
                    yield contract


class ContractFilter:
    """The filters that contracts and chains share. Raises Refusal 400 for one that cannot be read."""

    def __init__(self, query: Callable[[str], str | None]) -> None:
        self._query = query
        self.right = query("type")
        if self.right is not None and self.right not in RIGHTS:
            raise Refusal(400, INVALID, f"invalid type: {self.right}")
        self.root = query("root_symbol")
        self.on, self.first, self.last = (self._date(f"expiration_date{end}") for end in ("", "_gte", "_lte"))
        self.lowest, self.highest = (self._price(f"strike_price{end}") for end in ("_gte", "_lte"))

    def passes(self, contract: Contract) -> bool:
        """Whether the contract is asked for."""
        return (
            self.right in {None, right_of(contract)}
            and self.root in {None, contract.underlying}
            and self.on in {None, contract.expiration}
            and (self.first is None or contract.expiration >= self.first)
            and (self.last is None or contract.expiration <= self.last)
            and (self.lowest is None or contract.strike >= self.lowest)
            and (self.highest is None or contract.strike <= self.highest)
        )

    def _date(self, name: str) -> dt.date | None:
        text = self._query(name)
        try:
            return None if text is None else moment_of(text).date()
        except ValueError as error:
            raise Refusal(400, INVALID, f"invalid format for {name}") from error

    def _price(self, name: str) -> Decimal | None:
        text = self._query(name)
        try:
            price = None if text is None else Decimal(text)
        except InvalidOperation as error:
            raise Refusal(400, INVALID, f"invalid format for {name}") from error
        if price is not None and not price.is_finite():
            raise Refusal(400, INVALID, f"invalid format for {name}")
        return price


def _name(contract: Contract) -> str:
    return f"{contract.underlying} {contract.expiration:%b %d %Y} {plain(contract.strike)} {right_of(contract).title()}"


def _by_symbol(contract: Contract) -> str:
    return contract.symbol


class ContractResource(DataResource):
    """What the two resources share."""

    made = MODEL

    def describe(self, contract: Contract) -> dict[str, Any]:
        """One contract. Nobody counts open interest here; the close price is the model's mark at the last close."""
        market, now = self.exchange.venue.market, self.now
        before = market.timeline.previous(now)
        close = market.last(contract.symbol, before.closes)
        active = market.options.grid.is_listed(contract, now)
        return {
            "id": asset_id(contract.symbol),
            "symbol": contract.symbol,
            "name": _name(contract),
            "status": "active" if active else "inactive",
            "tradable": active and market.last(contract.symbol, now) is not None,
            "expiration_date": contract.expiration.isoformat(),
            "root_symbol": contract.underlying,
            "underlying_symbol": contract.underlying,
            "underlying_asset_id": asset_id(contract.underlying),
            "type": right_of(contract),
            "style": "american",
            "strike_price": plain(contract.strike),
            "multiplier": plain(MULTIPLIER),
            "size": plain(MULTIPLIER),
            "open_interest": None,
            "open_interest_date": None,
            "close_price": None if close is None else plain(close.price),
            "close_price_date": None if close is None else before.date.isoformat(),
            "ppind": True,
        }


class Contracts(ContractResource):
    """/v2/options/contracts."""

    async def get(self) -> None:
        """The listed contracts on `underlying_symbols`, in the order of their symbols; pages by `page_token`.

        Without a filter on the expiry those of this week (until next weekend), as Alpaca does.
        """
        market = self.exchange.venue.market
        text = ",".join(self.get_query_arguments("underlying_symbols"))
        stocks = market.stocks()
        asked = sorted({symbol for symbol in text.split(",") if symbol in stocks} if text else stocks)
        wanted, limit = ContractFilter(self.query), self.limit(default=DEFAULT_CONTRACTS, largest=LARGEST_PAGE)
        if wanted.on is wanted.first is wanted.last is None:
            wanted.last = self.now.date() + _WEEKEND
        if (self.query("status") or "active").lower() != "active" or self.query("style") == "european":
            asked = []  # expired contracts are not kept, and all are American
        after = self._after()
        passed = market.contract(after)
        rows: list[Contract] = []
        for symbol in asked:
            # Stocks that a page before has been through, and those that come after this page is full.
            if len(rows) > limit or (passed is not None and symbol < passed.underlying):
                continue
            found = sorted((one for one in listed(market, symbol, self.now) if wanted.passes(one)), key=_by_symbol)
            begun = passed is not None and symbol == passed.underlying
            rows += found[bisect.bisect_right(found, after, key=_by_symbol) if begun else 0 :]
        token = base64.urlsafe_b64encode(rows[limit - 1].symbol.encode()).decode() if len(rows) > limit else None
        await self.reply({"option_contracts": [self.describe(one) for one in rows[:limit]], "next_page_token": token})

    def _after(self) -> str:
        text = self.query("page_token")
        try:
            return "" if text is None else base64.urlsafe_b64decode(text.encode()).decode()
        except ValueError as error:
            raise Refusal(400, INVALID, "invalid page_token") from error


class OneContract(ContractResource):
    """/v2/options/contracts/{symbol or id}."""

    async def get(self, symbol_or_id: str) -> None:
        """One contract, listed or expired. 404 where there is none. An id is looked for among those listed now."""
        market = self.exchange.venue.market
        contract = market.contract(symbol_or_id)
        if contract is not None and market.last(contract.symbol, self.now) is None:
            contract = None
        if contract is None and symbol_or_id.count("-") == 4:
            contract = await self._by_id(symbol_or_id)
        if contract is None:
            raise Refusal(404, 40410000, f"asset not found for {symbol_or_id}")
        await self.reply(self.describe(contract))

    async def _by_id(self, wanted: str) -> Contract | None:
        """An id is a hash of a symbol: there is no shorter way than to try them all. Others get a turn meanwhile."""
        market = self.exchange.venue.market
        for symbol in sorted(market.stocks()):
            for contract in listed(market, symbol, self.now):
                if asset_id(contract.symbol) == wanted:
                    return contract
            await asyncio.sleep(0)
        return None
