"""Kinds of facts: for each its columns, what names one fact, and the bounds that a value cannot leave.

A kind is one table shape that every source of it fills and every reader of it can rely on. All of them are long frames
with two clocks. What is in a column is said here and nowhere else:

- `symbol`: our name; of `macro` the series (`CPIAUCSL`), of `fx` the pair (`EUR/USD`: one euro in dollars), of
  `options` the OCC symbol of the contract.
- `session`: timezone-naive midnight of the day the fact belongs to. Of bars and quotes a trading session; of the others
  any calendar day: the day published (news, filings), the end of the period (fundamentals), the day observed (macro,
  fx), the settlement day (short interest), the ex-day (actions).
- `time`: the exact moment (UTC) where a day has several facts of one symbol.
- `key`: the vendor's or registrar's own name of the fact, where symbol and moment do not name it.
- `happened`, `learned`: the two clocks (UTC). `learned` is never before `happened`, and never a guess to our advantage:
  where a vendor gives a day only, it is the end of that day.
- `source`: the source that said so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from workbench.errors import ParameterError

Form = Literal["number", "text"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of values.

    Attributes:
        form: `number` (float64, NaN: not said) or `text` (empty: not said).
        unit: of a number; "" for text.
        least, most: bounds, both included; a row outside them cannot be true.
        needed: False where a source may leave it out (NaN or empty text).
    """

    name: str
    form: Form
    unit: str = ""
    least: float = -math.inf
    most: float = math.inf
    needed: bool = True


def _price(name: str, *, needed: bool = True) -> Column:
    return Column(name, "number", "currency", least=1e-9, needed=needed)


def _count(name: str, unit: str = "shares", *, needed: bool = True) -> Column:
    return Column(name, "number", unit, least=0.0, needed=needed)


def _text(name: str, *, needed: bool = False) -> Column:
    return Column(name, "text", needed=needed)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of facts.

    Attributes:
        values: its own columns, after those that name the fact.
        timed: a column `time` belongs to the name of a fact.
        keyed: a column `key` belongs to the name of a fact.
        meaning: one sentence for the reader.
    """

    name: str
    meaning: str
    values: tuple[Column, ...]
    timed: bool = False
    keyed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that name a fact: two rows that agree in them are vintages of one fact."""
        return ("symbol", "session", *(("time",) if self.timed else ()), *(("key",) if self.keyed else ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, in order."""
        return (*self.names, *(column.name for column in self.values), "happened", "learned", "source")

    def of(self, form: Form) -> tuple[Column, ...]:
        """Its own columns of one form."""
        return tuple(column for column in self.values if column.form == form)

    def empty(self) -> pd.DataFrame:
        """No row, the right columns and types: what a source answers when there is nothing."""
        return self.typed(pd.DataFrame({name: [] for name in self.columns}))

    def typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with exactly these columns in this order and these types, index 0…n−1; nothing is checked.

        Moments must have a timezone already. Numbers that cannot be read become NaN, absent text becomes "".

        Raises:
            ParameterError: a column is absent that names a fact or is a clock.
        """
        absent = [name for name in (*self.names, "happened", "learned", "source") if name not in rows.columns]
        if absent:
            raise ParameterError(
                f"rows of {self.name} lack {', '.join(absent)}; nothing was made of them.",
                remedy=f"a fact of {self.name} is named by {', '.join(self.names)}.",
            )
        made: dict[str, pd.Series] = {}
        forms = {column.name: column.form for column in self.values}
        for name in self.columns:
            values = rows[name] if name in rows.columns else pd.Series(index=rows.index, dtype=object)
            if name == "session":
                made[name] = pd.to_datetime(values).astype("datetime64[us]")
            elif name in {"time", "happened", "learned"}:
                made[name] = pd.to_datetime(values, utc=True).astype("datetime64[us, UTC]")
            elif forms.get(name) == "number":
                made[name] = pd.to_numeric(values, errors="coerce").astype(float)
            else:
                made[name] = values.astype(object).where(values.notna(), "").astype("str")
        return pd.DataFrame(made).reset_index(drop=True)


_KINDS = (
    Kind(
        "quotes",
        "best bid and ask at a moment",
        (
            _price("bid", needed=False),
            _price("ask", needed=False),
            _count("bid_size", needed=False),
            _count("ask_size", needed=False),
        ),
        timed=True,
    ),
    Kind("trades", "one trade on a venue", (_price("price"), _count("size"), _text("venue")), timed=True, keyed=True),
    Kind(
        "news",
        "one article about a symbol; `key` is the vendor's id",
        (
            _text("headline", needed=True),
            _text("summary"),
            _text("publisher"),
            _text("author"),
            _text("url"),
        ),
        timed=True,
        keyed=True,
    ),
    Kind(
        "filings",
        "one document filed with the SEC; `key` is the accession number, `learned` its acceptance",
        (_text("form", needed=True), _text("period"), _text("items"), _text("url")),
        timed=True,
        keyed=True,
    ),
    Kind(
        "fundamentals",
        "one number of a filing; `key` is taxonomy:tag:unit:first day of the period, `session` its last day",
        (
            Column("value", "number", "as the key says"),
            _text("form"),
            _text("accession"),
            Column("fiscal_year", "number", "year", least=1900, most=2200, needed=False),
            _text("fiscal_period"),
        ),
        keyed=True,
    ),
    Kind(
        "macro",
        "one observation of an economic series, every vintage of it; NaN: the value was withdrawn",
        (Column("value", "number", "series", needed=False),),
    ),
    Kind("fx", "units of the second currency for one of the first", (_price("rate"),)),
    Kind(
        "short_interest",
        "shares sold short at a settlement day, consolidated over venues",
        (
            _count("short_shares"),
            _count("previous_shares", needed=False),
            _count("average_volume", needed=False),
            _count("days_to_cover", "days", needed=False),
        ),
    ),
    Kind(
        "short_volume",
        "shares sold short in off-exchange trades of one session",
        (_count("short_volume"), _count("short_exempt_volume", needed=False), _count("total_volume")),
    ),
    Kind(
        "actions",
        "one corporate action; `key` starts with split, dividend, merger, spinoff, delisting or name",
        (
            Column("amount", "number", "currency per share", least=0.0, needed=False),
            Column("ratio", "number", "new shares per old", least=1e-9, needed=False),
            _text("other_symbol"),
        ),
        keyed=True,
    ),
    Kind(
        "options",
        "the newest quote and greeks of one option contract",
        (
            _text("underlying", needed=True),
            _price("bid", needed=False),
            _price("ask", needed=False),
            _price("last", needed=False),
            _count("open_interest", "contracts", needed=False),
            Column("implied_volatility", "number", "per year", least=0.0, most=50.0, needed=False),
            Column("delta", "number", "", least=-1.0, most=1.0, needed=False),
            Column("gamma", "number", "1/currency", needed=False),
            Column("theta", "number", "currency per day", needed=False),
            Column("vega", "number", "currency per 1 %", needed=False),
            Column("rho", "number", "currency per 1 %", needed=False),
        ),
        timed=True,
    ),
    Kind(
        "sentiment",
        "the tone of one article about a symbol, by our own reading; `key` is the article's; no score: nothing found",
        (
            Column("score", "number", "", least=-1.0, most=1.0, needed=False),
            Column("confidence", "number", "", least=0.0, most=1.0),
            _text("events"),
            _text("words"),
            _text("story"),
            _text("method", needed=True),
        ),
        timed=True,
        keyed=True,
    ),
)

KINDS: Final = {kind.name: kind for kind in _KINDS}


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises ParameterError; bars have a shape of their own (`workbench.data.source`)."""
    if name == "bars":
        raise ParameterError(
            "bars have a shape of their own, with a timeframe; nothing was read.",
            remedy="load them with a study: bench.load(study), or workbench.data.history.load.",
        )
    if name not in KINDS:
        raise ParameterError(f"kind={name!r} is not a kind of facts.", remedy=f"it can be {', '.join(KINDS)}, or bars.")
    return KINDS[name]


def dataset_name(kind: str, source: str, *, timeframe: str = "", seed: int | None = None) -> str:
    """Where facts of a kind from a source lie: `bars/1d/bundled`, `bars/1d/synthetic-7`, `news/alpaca`."""
    place = f"{source}-{seed}" if seed is not None else source
    return "/".join(part for part in (kind, timeframe, place) if part)
