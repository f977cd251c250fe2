"""What kinds of account there are, as data: margin, shorting, options, day trades and fees of each named profile.

Sources: FINRA rule 4210 (25 % long, 30 % short maintenance; the exchange uses 30 % for all), Regulation T (2×
overnight), FINRA's pattern-day-trader rule as it stood until 2026 (25,000 of equity, three day trades in five
sessions), Section 31 fee of 27.80 per million of sales and trading activity fee of 0.000166 per share sold, at most
8.30 (2024 to May 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class DayTrades:
    """The pattern-day-trader rule: below `equity`, more than `allowed` day trades in `sessions` sessions are refused.

    Below `equity` the account has `small_multiplier` of buying power instead of its own.
    """

    equity: Decimal = Decimal(25_000)
    allowed: int = 3
    sessions: int = 5
    small_multiplier: Decimal = Decimal(2)


@dataclass(frozen=True, slots=True)
class Fees:
    """What a fill of stock costs beside its price: on sales, `of_sales` × value + min(`per_share` × shares, `at_most`).

    Rounded up to the cent, for each fill. An option contract costs `per_contract` on either side.
    """

    of_sales: Decimal = Decimal(0)
    per_share: Decimal = Decimal(0)
    at_most: Decimal = Decimal(0)
    per_contract: Decimal = Decimal(0)

    @property
    def any(self) -> bool:
        """Whether anything is charged at all."""
        return bool(self.of_sales or self.per_share or self.per_contract)


@dataclass(frozen=True, slots=True)
class AccountRules:
    """One profile.

    Attributes:
        multiplier: buying power per unit of equity: 4 within a session, 2 Regulation T, 1 cash.
        shorting: whether stock may be sold short.
        maintenance: margin held per unit of position.
        short_cushion: a short sale reserves max(limit, price · cushion) per share.
        collars: (below this price, collar) in ascending order: what a market buy is assumed to cost at worst.
        options_level: 0 none, 1 covered calls and cash-secured puts, 2 also long options, 3 also spreads.
        day_trades: the pattern-day-trader rule, None where it does not apply.
    """

    name: str
    multiplier: Decimal = Decimal(4)
    shorting: bool = True
    maintenance: Decimal = Decimal("0.30")
    short_cushion: Decimal = Decimal("1.03")
    collars: tuple[tuple[Decimal, Decimal], ...] = (
        (Decimal(50), Decimal("1.04")),
        (Decimal("Infinity"), Decimal("1.025")),
    )
    options_level: int = 3
    day_trades: DayTrades | None = None
    fees: Fees = field(default_factory=Fees)

    def collared(self, price: Decimal) -> Decimal:
        """The price that a market buy reserves, per share."""
        for below, collar in self.collars:
            if price < below:
                return price * collar
        raise AssertionError(f"the collars of {self.name} end below {price}")


_ALL = (
    AccountRules("margin"),
    AccountRules("cash", multiplier=Decimal(1), shorting=False, options_level=2),
    AccountRules("margin-pdt-2025", day_trades=DayTrades()),
    AccountRules(
        "margin-fees-2025",
        fees=Fees(of_sales=Decimal("0.0000278"), per_share=Decimal("0.000166"), at_most=Decimal("8.30")),
    ),
)
PROFILES: Final[Mapping[str, AccountRules]] = MappingProxyType({rules.name: rules for rules in _ALL})
DEFAULT_PROFILE: Final = "margin"
