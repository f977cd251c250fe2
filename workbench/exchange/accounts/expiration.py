"""Options at their end: exercise on request, exercise and assignment at expiration, and what expires without worth.

At the close of a contract's last session S is the underlying's newest price. In the money by at least 0.01 per share a
long contract is exercised (OPEXC) and a short one assigned (OPASN): the contract goes, and 100 shares change hands at
the strike (OPTRD): bought by a long call or a short put, sold by a long put or a short call. Everything else expires
(OPEXP). Nobody asks for buying power at expiration: an account may come out of it with a debit or a short position.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.exchange.accounts.margin import FORBIDDEN, mark, worth
from workbench.exchange.accounts.option_orders import taken
from workbench.exchange.state.occ import MULTIPLIER, Contract, contract_of
from workbench.exchange.state.order import ZERO
from workbench.exchange.state.records import Activity
from workbench.exchange.wire import Refusal, money

if TYPE_CHECKING:
    from workbench.exchange.accounts.booking import Booking
    from workbench.exchange.clock import Step
    from workbench.exchange.market.market import Market

IN_THE_MONEY = Decimal("0.01")


def expire(booking: Booking, step: Step, market: Market) -> None:
    """What a session's close does to the contracts whose last session it was."""
    account = booking.account
    contracts = [(contract, account.positions[symbol].qty) for symbol in sorted(account.positions)
                 if (contract := contract_of(symbol)) is not None]  # fmt: skip
    if not contracts:
        return
    following = market.timeline.session_at_or_after(step.session.closes).date
    for contract, qty in contracts:
        if contract.expiration >= following:
            continue
        price = mark(account, market, contract.underlying)
        if price is not None and contract.intrinsic(price) >= IN_THE_MONEY:
            deliver(booking, contract, qty, step.moment, kind="OPEXC" if qty > 0 else "OPASN")
        else:
            booking.move(contract.symbol, -qty, ZERO, value=ZERO)
            booking.activities.append(
                Activity(booking.new_id(), "OPEXP", step.moment, ZERO, contract.symbol, -qty, ZERO, "Option Expiration")
            )


def exercise(booking: Booking, contract: Contract, market: Market) -> None:
    """Exercise all contracts of a long position that no order would close.

    Raises:
        Refusal: 403: a short position, contracts held for orders, no money for the shares, no shares to deliver.
    """
    account = booking.account
    qty = account.position_qty(contract.symbol)
    if qty < 0:
        raise Refusal(403, 40310001, "cannot exercise short position")
    if taken(account, contract.symbol):
        raise Refusal(403, FORBIDDEN, "cannot exercise: contracts are held for orders")
    shares = qty * MULTIPLIER
    if contract.is_call:
        cost = shares * contract.strike
        power = worth(account, market).buying_power
        if cost > power:
            raise Refusal(
                403, FORBIDDEN, "insufficient buying power", buying_power=money(power), cost_basis=money(cost)
            )
    elif account.position_qty(contract.underlying) - account.orders.held(contract.underlying) < shares:
        raise Refusal(403, FORBIDDEN, "insufficient underlying qty available to exercise the put")
    deliver(booking, contract, qty, account.now, kind="OPEXC")


def deliver(booking: Booking, contract: Contract, qty: Decimal, moment: dt.datetime, *, kind: str) -> None:
    """The contracts go and the shares change hands at the strike. `qty` is signed: what is held."""
    shares = (qty if contract.is_call else -qty) * MULTIPLIER
    value = shares * contract.strike
    booking.move(contract.symbol, -qty, ZERO, value=ZERO)
    booking.move(contract.underlying, shares, contract.strike, value=value)
    text = "Option Exercise" if kind == "OPEXC" else "Option Assignment"
    booking.activities.append(Activity(booking.new_id(), kind, moment, ZERO, contract.symbol, -qty, ZERO, text))
    booking.activities.append(
        Activity(booking.new_id(), "OPTRD", moment, -value, contract.underlying, shares, contract.strike, text)
    )
