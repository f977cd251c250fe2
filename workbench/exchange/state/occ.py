"""The OCC name of an option contract (`AAPL240119C00190000`): underlying, expiration, right and strike."""

from __future__ import annotations

import datetime as dt
import functools
import re
from dataclasses import dataclass
from decimal import Decimal

MULTIPLIER = Decimal(100)  # shares per contract
_NAME = re.compile(r"([A-Z][A-Z0-9.]{0,5})(\d{2})(\d{2})(\d{2})([CP])(\d{8})")


@dataclass(frozen=True, slots=True)
class Contract:
    """One listed option: the right to buy (call) or sell (put) 100 shares at `strike` until `expiration`."""

    symbol: str
    underlying: str
    expiration: dt.date
    is_call: bool
    strike: Decimal

    def intrinsic(self, price: Decimal) -> Decimal:
        """What it is worth at expiry, per share: max(S − K, 0) of a call, max(K − S, 0) of a put."""
        return max(price - self.strike if self.is_call else self.strike - price, Decimal(0))


@functools.lru_cache(maxsize=16_384)
def contract_of(symbol: str) -> Contract | None:
    """The contract of an OCC name, None where the text is no such name (a stock's symbol, an impossible date)."""
    found = _NAME.fullmatch(symbol)
    if found is None:
        return None
    root, year, month, day, right, strike = found.groups()
    try:
        expiration = dt.date(2000 + int(year), int(month), int(day))
    except ValueError:
        return None
    return Contract(symbol, root, expiration, right == "C", Decimal(int(strike)) / 1000)


def multiplier_of(symbol: str) -> Decimal:
    """Shares per unit of quantity: 100 for an option contract, 1 for a stock."""
    return Decimal(1) if contract_of(symbol) is None else MULTIPLIER
