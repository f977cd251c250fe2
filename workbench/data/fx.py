"""Money of one currency in another, at a reference rate that was known then: the rate, its day and its age said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import pandas as pd

from workbench.data.facts import read_facts
from workbench.errors import NoData, ParameterError

if TYPE_CHECKING:
    from workbench.store.workspace import Workspace

HUB: Final = "EUR"  # every stored rate is one of the euro
MAX_AGE: Final = 7  # days: the longest silence of the ECB, around Easter or New Year, is five
ZONE: Final = "Europe/Berlin"
# float: an amount in the language of frames. Decimal: an amount in the language of accounts.
Amount = TypeVar("Amount", float, Decimal)


@dataclass(frozen=True, slots=True)
class Converted(Generic[Amount]):
    """An amount in another currency, and what it stands on.

    Attributes:
        amount: in `quote`, unrounded: float for float, Decimal (28 digits) for Decimal.
        rate: units of `quote` for one of `base`, of the same type.
        session: the day of the rate; of `as_of` itself where both currencies are one.
        age: days from `session` to the day of `as_of` in Frankfurt.
        used: the stored pairs that the rate was made of; none where both currencies are one.
    """

    amount: Amount
    rate: Amount
    base: str
    quote: str
    session: pd.Timestamp
    age: int
    used: tuple[str, ...]


def convert(
    amount: Amount,
    base: str,
    quote: str,
    as_of: pd.Timestamp,
    *,
    workspace: Workspace | None = None,
    rates: pd.DataFrame | None = None,
    source: str = "frankfurter",
    max_age: int = MAX_AGE,
) -> Converted[Amount]:
    """An amount of `base` in `quote`, at the newest reference rate known at `as_of`.

    EUR/X is used as it is stored, X/EUR is 1 / (EUR/X), and X/Y is (EUR/Y) / (EUR/X), both of one day: the newest that
    has both.

    Args:
        amount: float or Decimal, negative too; an int is refused, since it does not say which of them is wanted.
        base, quote: ISO codes of three letters.
        as_of: UTC moment; no rate learned later is looked at.
        workspace: where the rates are stored.
        rates: rows of kind `fx` to use instead, all their vintages.
        source: whose rates are read from the workspace.
        max_age: days that the rate may be old.

    Raises:
        ParameterError: an amount that is not a finite float or Decimal, a code that is none, `as_of` without timezone,
            or not exactly one of `workspace` and `rates`.
        NoData: no rate was known, or only one older than `max_age`; nothing was converted.
    """
    _refuse(amount, base, quote, as_of, max_age)
    if (workspace is None) == (rates is None):
        raise ParameterError("convert wants either workspace or rates; nothing was converted.")
    kind = type(amount)
    today = as_of.tz_convert(ZONE).tz_localize(None).normalize()
    if base == quote:
        return Converted(amount, kind(1), base, quote, today, 0, ())
    used = tuple(f"{HUB}/{code}" for code in (base, quote) if code != HUB)
    if rates is None:
        assert workspace is not None
        first = today - pd.Timedelta(days=10 * max_age + 30)  # far enough back to say how old the newest one is
        rates = read_facts(workspace, "fx", source, used, start=first, end=today, as_of=as_of)
    by_day = _known(rates, used, as_of)
    if by_day.empty:
        raise NoData(
            f"no rate of {' and '.join(used)} for one day was known at {as_of}; nothing was converted.",
            remedy=f"is {as_of} before the first? `workbench collect {' '.join(used)} --kind fx --source {source} "
            "--start …` brings them.",
        )
    session = pd.Timestamp(by_day.index[-1])
    age = (today - session).days
    if age > max_age:
        raise NoData(
            f"the newest rate of {' and '.join(used)} known at {as_of} is of {session.date()}, {age} days before; "
            f"bound max_age={max_age}. Nothing was converted.",
            remedy="collect newer rates, or say max_age= if one so old will do.",
            session=str(session.date()),
            age=age,
        )
    legs = {name: _exact(by_day.iloc[-1][name], kind) for name in used}
    above, below = legs.get(f"{HUB}/{quote}", kind(1)), legs.get(f"{HUB}/{base}", kind(1))
    return Converted(amount * above / below, above / below, base, quote, session, age, used)


def _known(rates: pd.DataFrame, used: tuple[str, ...], as_of: pd.Timestamp) -> pd.DataFrame:
    """By day, ascending: the rates known at `as_of`, a column per pair; only days on which all of them are there."""
    known = rates[rates["symbol"].isin(used) & (rates["learned"] <= as_of)]
    newest = known.sort_values("learned", kind="stable").drop_duplicates(["symbol", "session"], keep="last")
    by_day = newest.pivot(index="session", columns="symbol", values="rate").reindex(columns=list(used))
    return by_day[(by_day > 0).all(axis=1)].sort_index()


def _exact(rate: float, kind: type[Amount]) -> Amount:
    # The shortest text that reads back as this float is what the bank published.
    return kind(repr(float(rate)))


def _refuse(amount: object, base: str, quote: str, as_of: pd.Timestamp, max_age: int) -> None:
    finite = isinstance(amount, float | Decimal) and math.isfinite(amount)
    if not finite:
        raise ParameterError(
            f"amount={amount!r} must be a finite float or Decimal; nothing was converted.",
            remedy="write 100.0 or Decimal(100).",
        )
    for name, code in (("base", base), ("quote", quote)):
        if not (isinstance(code, str) and len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            raise ParameterError(
                f"{name}={code!r} is not a currency's code; nothing was converted.", remedy="e.g. USD."
            )
    if as_of.tzinfo is None:
        raise ParameterError(f"as_of={as_of} has no timezone; nothing was converted.", remedy="use a UTC Timestamp.")
    if max_age < 0:
        raise ParameterError(f"max_age={max_age} must be 0 or more; nothing was converted.")
