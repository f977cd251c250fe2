"""Whether an account may place an options order, of one leg or several, and what it reserves; see `option_margin`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from workbench.exchange.accounts.margin import CLOSING, FORBIDDEN, Admission, insufficient, mark, multiplier, worth
from workbench.exchange.accounts.option_margin import exposed, open_legs, requirement
from workbench.exchange.state.occ import MULTIPLIER, contract_of
from workbench.exchange.state.order import PRICE_STEP, ZERO, Order
from workbench.exchange.wire import Refusal, money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.exchange.market.market import Market
    from workbench.exchange.requests.intake import OrderRequest
    from workbench.exchange.state.records import Account, SymbolFacts

_ONE = Decimal(1)
UNCOVERED = "account not eligible to trade uncovered option contracts"


@dataclass(frozen=True, slots=True)
class Leg:
    """One contract of an options order: quantity in contracts, and whether it enlarges the holding."""

    symbol: str
    side: str
    ratio: Decimal
    opening: bool
    position_intent: str

    @property
    def sign(self) -> int:
        """+1 for buy, −1 for sell."""
        return 1 if self.side == "buy" else -1


def legs_of(request: OrderRequest, account: Account) -> tuple[Leg, ...]:
    """The legs of a request (a single order is one leg), with what each does to the holding.

    Raises:
        Refusal: a `position_intent` that does not fit the position.
    """
    if request.legs:
        return tuple(_leg(leg.symbol, leg.side, leg.ratio, leg.position_intent, account) for leg in request.legs)
    return (_leg(request.symbol, request.side, _ONE, request.position_intent, account),)


def admit_option(
    request: OrderRequest,
    legs: Sequence[Leg],
    account: Account,
    market: Market,
    facts: Mapping[str, SymbolFacts],
    *,
    ignoring: Order | None = None,
) -> Admission:
    """Check an options order against the account. `ignoring`: the order it would replace.

    Raises:
        Refusal: 403 40310000: level, uncovered call, contracts not there, buying power. 422: expired, no price.
    """
    qty = request.qty or ZERO
    marks = {leg.symbol: _price(leg.symbol, account, market, facts) for leg in legs}
    _check_level(legs, account)
    _check_holdings(legs, qty, account, ignoring)
    before = exposed(account, ignoring)
    for symbol in {contract.underlying for leg in legs if (contract := contract_of(leg.symbol)) is not None}:
        before[symbol] = before.get(symbol, ZERO) - account.orders.held(symbol)
    after = dict(before)
    for leg in legs:
        after[leg.symbol] = after.get(leg.symbol, ZERO) + leg.sign * leg.ratio * qty
    standing, needed = requirement(before), requirement(after)
    if needed is None:
        raise Refusal(403, FORBIDDEN, _uncovered(legs, account))
    premium = request.limit_price
    if premium is None:
        premium = sum((_paid(leg, marks[leg.symbol], account) for leg in legs), ZERO)
    elif not request.legs:
        premium *= legs[0].sign
    cost = max(ZERO, premium * MULTIPLIER * qty + needed - (standing or ZERO))
    value = worth(account, market)
    m = multiplier(account, value.equity)
    power = value.options_buying_power + (ignoring.reserved / m if ignoring is not None else ZERO)
    if cost > power:
        raise Refusal(
            403,
            FORBIDDEN,
            "insufficient options buying power",
            options_buying_power=money(power),
            cost_basis=money(cost),
        )
    if not any(leg.opening for leg in legs):
        return CLOSING
    return Admission(opening=True, reserve_price=(cost * m / qty).quantize(PRICE_STEP, ROUND_CEILING))


def taken(account: Account, symbol: str, ignoring: Order | None = None) -> Decimal:
    """Contracts of a position that open orders would close."""
    return sum(
        (leg.remaining or ZERO for leg in open_legs(account, ignoring) if leg.symbol == symbol and not leg.opening),
        ZERO,
    )


def _check_holdings(legs: Sequence[Leg], qty: Decimal, account: Account, ignoring: Order | None) -> None:
    for leg in legs:
        if not leg.opening:
            existing = abs(account.position_qty(leg.symbol))
            busy = taken(account, leg.symbol, ignoring)
            if leg.ratio * qty > existing - busy:
                raise insufficient(leg.symbol, asked=leg.ratio * qty, existing=existing, taken=busy)


def _paid(leg: Leg, price: Decimal, account: Account) -> Decimal:
    return leg.ratio * (account.rules.collared(price) if leg.side == "buy" else -price)


def _uncovered(legs: Sequence[Leg], account: Account) -> str:
    if len(legs) == 1:
        contract = contract_of(legs[0].symbol)
        if contract is not None and contract.is_call and account.position_qty(contract.underlying) > 0:
            return "insufficient underlying qty available for covered call"
    return UNCOVERED


def _leg(symbol: str, side: str, ratio: Decimal, intent: str | None, account: Account) -> Leg:
    held = account.position_qty(symbol)
    closing = held < 0 if side == "buy" else held > 0
    if intent is not None:
        asked_to_close = intent.endswith("_close")
        if asked_to_close and not closing:
            raise Refusal(403, FORBIDDEN, f"position intent mismatch, inferred: {side}_to_open, specified: {intent}")
        if closing and not asked_to_close:
            raise Refusal(403, FORBIDDEN, f"position intent mismatch, inferred: {side}_to_close, specified: {intent}")
    return Leg(symbol, side, ratio, opening=not closing, position_intent=f"{side}_to_{'close' if closing else 'open'}")


def _price(symbol: str, account: Account, market: Market, facts: Mapping[str, SymbolFacts]) -> Decimal:
    contract = contract_of(symbol)
    if contract is None or not market.knows(symbol):
        raise Refusal(422, 42210000, f'asset "{symbol}" not found')
    session = market.timeline.session_at_or_after(account.now)
    if contract.expiration < session.date:
        raise Refusal(422, 42210000, f"asset {symbol} is not active: the contract has expired")
    price = mark(account, market, symbol)
    if price is None:
        raise Refusal(422, 42210000, f"asset {symbol} is not tradable: it has no price yet")
    for name in (symbol, contract.underlying):
        if name in facts and facts[name].halted:
            raise Refusal(403, FORBIDDEN, f"asset {name} is not tradable: trading is halted")
    return price


def _check_level(legs: Sequence[Leg], account: Account) -> None:
    level = account.rules.options_level
    asked = account.configurations.get("max_options_trading_level")
    if asked is not None:
        level = min(level, int(asked))
    needed = 3 if len(legs) > 1 else 2 if legs[0].side == "buy" and legs[0].opening else 1
    if level < needed:
        raise Refusal(403, FORBIDDEN, f"account not eligible to trade options of level {needed}; its level is {level}")
