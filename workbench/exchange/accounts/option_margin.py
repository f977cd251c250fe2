"""Options on an account: what short ones require, and how an options order is booked or refused.

    R = Σ over underlyings of max(0, −min over S ≥ 0 of payoff(S))
    payoff(S) = 100·Σ qty_i·intrinsic_i(S) + shares that cover calls·S

Short calls beyond long ones need 100 free shares each; without them R does not exist (an uncovered call). All contracts
of an underlying are taken to expire together, but a long one covers a short one only where it expires no earlier. The
payoff is piecewise linear, so its minimum lies at 0 or at a strike.

    an order costs      max(0, 100·qty·net premium + R(after) − R(before))
    net premium         Σ d·ratio·price: the limit, or the marks, of what is bought with the collar of the account

R(before) and R(after) count the short legs of all open orders, and the long legs of positions and of the order itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.exchange.state.occ import MULTIPLIER, Contract, contract_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.exchange.state.order import Order
    from workbench.exchange.state.records import Account

_ZERO = Decimal(0)


@dataclass(slots=True)
class _Underlying:
    contracts: list[tuple[Contract, Decimal]]
    shares: Decimal = _ZERO


def requirement(positions: Mapping[str, Decimal]) -> Decimal | None:
    """R of signed quantities (shares and contracts) by symbol, in currency; None where a call is uncovered."""
    total = _ZERO
    for group in _by_underlying(positions).values():
        needed = _worst(group)
        if needed is None:
            return None
        total += needed
    return total


def covering(positions: Mapping[str, Decimal], underlying: str) -> Decimal:
    """Shares of an underlying that short calls on it need, ≥ 0."""
    group = _by_underlying(positions).get(underlying)
    return _ZERO if group is None else min(group.shares, _needed(_paired(group.contracts)))


def open_legs(account: Account, ignoring: Order | None = None) -> list[Order]:
    """The legs of open options orders; a single order is its own leg."""
    found: list[Order] = []
    for order in account.orders.options():
        if order is not ignoring:
            found += account.family(order.id) if order.order_class == "mleg" else [order]
    return found


def exposed(account: Account, ignoring: Order | None = None) -> dict[str, Decimal]:
    """Signed quantities by symbol: positions, and what open options orders may still sell."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for symbol, position in account.positions.items():
        found[symbol] += position.qty
    for leg in open_legs(account, ignoring):
        if leg.side == "sell":
            found[leg.symbol] -= leg.remaining or _ZERO
    return dict(found)


def _by_underlying(positions: Mapping[str, Decimal]) -> dict[str, _Underlying]:
    groups: defaultdict[str, _Underlying] = defaultdict(lambda: _Underlying([]))
    for symbol, qty in positions.items():
        contract = contract_of(symbol)
        if contract is not None and qty:
            groups[contract.underlying].contracts.append((contract, qty))
    for symbol, group in groups.items():
        group.shares = max(_ZERO, positions.get(symbol, _ZERO))
    return groups


def _paired(contracts: Iterable[tuple[Contract, Decimal]]) -> list[tuple[Contract, Decimal]]:
    """The contracts without the long ones that expire before any short one of the same right."""
    rows = list(contracts)
    newest = {
        is_call: max((one.expiration for one, qty in rows if qty < 0 and one.is_call == is_call), default=None)
        for is_call in (True, False)
    }
    return [
        (one, qty) for one, qty in rows if qty < 0 or (last := newest[one.is_call]) is None or one.expiration >= last
    ]


def _needed(rows: Iterable[tuple[Contract, Decimal]]) -> Decimal:
    """Shares needed by calls that no long call covers."""
    return max(_ZERO, -sum((qty for one, qty in rows if one.is_call), _ZERO)) * MULTIPLIER


def _worst(group: _Underlying) -> Decimal | None:
    rows = _paired(group.contracts)
    shares = _needed(rows)
    if shares > group.shares:
        return None
    worst = _ZERO
    for price in {_ZERO, *(one.strike for one, _ in rows)}:
        payoff = shares * price + MULTIPLIER * sum((qty * one.intrinsic(price) for one, qty in rows), _ZERO)
        worst = min(worst, payoff)
    return -worst
