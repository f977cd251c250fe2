"""Corporate actions: dividends, splits and delistings, each dated by the session in which it takes effect."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.market.book import Book


@dataclass(frozen=True, slots=True)
class Dividend:
    """Cash of `amount` per share, owed to who holds the symbol at the close before `session` (the ex-date)."""

    symbol: str
    session: pd.Timestamp
    amount: float

    def __post_init__(self) -> None:
        _check(self, "amount", above=0.0)


@dataclass(frozen=True, slots=True)
class Split:
    """From the open of `session` on, each share is `ratio` shares: 2.0 is two for one, 0.1 a reverse split."""

    symbol: str
    session: pd.Timestamp
    ratio: float

    def __post_init__(self) -> None:
        _check(self, "ratio", above=0.0)


@dataclass(frozen=True, slots=True)
class Delisting:
    """`session` is the last one; a share still held after its close becomes `value` in cash (0: worthless)."""

    symbol: str
    session: pd.Timestamp
    value: float

    def __post_init__(self) -> None:
        _check(self, "value", above=-math.ulp(0.0))


@dataclass(frozen=True, slots=True)
class Actions:
    """All corporate actions of a history. They belong to unadjusted prices: adjusted closes contain them already."""

    dividends: tuple[Dividend, ...] = ()
    splits: tuple[Split, ...] = ()
    delistings: tuple[Delisting, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dividends or self.splits or self.delistings)

    def __iter__(self) -> Iterator[Dividend | Split | Delisting]:
        """Every action, in the order of sessions; on one session splits come before dividends before delistings."""
        found: list[Dividend | Split | Delisting] = [*self.splits, *self.dividends, *self.delistings]
        return iter(sorted(found, key=lambda action: action.session))

    def of(self, symbols: tuple[str, ...] | list[str]) -> Actions:
        """The actions of these symbols."""
        return Actions(
            dividends=tuple(action for action in self.dividends if action.symbol in symbols),
            splits=tuple(action for action in self.splits if action.symbol in symbols),
            delistings=tuple(action for action in self.delistings if action.symbol in symbols),
        )

    def until(self, session: pd.Timestamp) -> Actions:
        """The actions that took effect up to `session`."""
        return Actions(
            dividends=tuple(action for action in self.dividends if action.session <= session),
            splits=tuple(action for action in self.splits if action.session <= session),
            delistings=tuple(action for action in self.delistings if action.session <= session),
        )

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Plain JSON values."""
        return {
            "dividends": [_plain(action, "amount") for action in self.dividends],
            "splits": [_plain(action, "ratio") for action in self.splits],
            "delistings": [_plain(action, "value") for action in self.delistings],
        }


def after(book: Book, action: Dividend | Split | Delisting) -> Book:
    """The book after an action took effect; the same book where the symbol is not held.

    A dividend pays `amount` per share to a long and takes it from a short. A split multiplies the shares and divides
    their average price; fractions of shares are kept. A delisting turns every share, owned or owed, into `value`.
    """
    old = book.positions.get(action.symbol)
    if old is None or not old.qty:
        return book
    if isinstance(action, Dividend):
        return dataclasses.replace(book, cash=book.cash + old.qty * Decimal(action.amount))
    if isinstance(action, Split):
        ratio = Decimal(action.ratio)
        changed = dataclasses.replace(old, qty=old.qty * ratio, avg_price=old.avg_price / ratio)
        return dataclasses.replace(book, positions={**book.positions, action.symbol: changed})
    value = Decimal(action.value)
    ended = dataclasses.replace(
        old, qty=Decimal(0), avg_price=Decimal(0), realized=old.realized + old.qty * (value - old.avg_price)
    )
    return dataclasses.replace(
        book, cash=book.cash + old.qty * value, positions={**book.positions, action.symbol: ended}
    )


def _plain(action: Dividend | Split | Delisting, number: str) -> dict[str, Any]:
    return {
        "symbol": action.symbol,
        "session": action.session.isoformat(),
        number: float(getattr(action, number)),
    }


def _check(action: Dividend | Split | Delisting, number: str, *, above: float) -> None:
    value = getattr(action, number)
    if not (math.isfinite(value) and value > above):
        raise BadData(
            f"{type(action).__name__} of {action.symbol} on {action.session.date()} has {number}={value!r}.",
            remedy="correct the record; a worthless delisting has value=0.",
        )
