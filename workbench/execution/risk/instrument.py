"""What kind of thing a symbol names, as far as orders are concerned, and how many units of it a quantity counts."""

from __future__ import annotations

import enum
import re
from decimal import Decimal

# OCC: root of one to six characters, expiry yymmdd, C or P, strike in thousandths on eight digits.
_OPTION = re.compile(r"[A-Z][A-Z0-9]{0,5}\d{6}[CP]\d{8}")


class Kind(enum.StrEnum):
    """Stocks trade in shares, options in contracts of 100 shares, crypto pairs (`BTC/USD`) in coins."""

    STOCK = "stock"
    OPTION = "option"
    CRYPTO = "crypto"


def kind_of(symbol: str) -> Kind:
    """The kind of a symbol, by its spelling alone."""
    if "/" in symbol:
        return Kind.CRYPTO
    return Kind.OPTION if _OPTION.fullmatch(symbol) else Kind.STOCK


def multiplier(symbol: str) -> Decimal:
    """How many shares one unit of the quantity stands for: 100 for a standard option contract, else 1."""
    return Decimal(100) if kind_of(symbol) is Kind.OPTION else Decimal(1)
