"""Reading a vendor's answer: each row has the fields it promises, of their types, or none of the rows is passed on.

A field that is there with another type is never read as absent: a vendor that changed its answers is an error, not a
gap in the facts.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from workbench.errors import BadData, SourceRefused

if TYPE_CHECKING:
    from workbench.data.gateway import Answer
    from workbench.data.kinds import Kind

Form = Literal["number", "text", "whole", "moment", "day"]

_REMEDY: Final = "ask again; if it stays, the vendor changed its answers, or has no good ones for this question."
_SHOWN: Final = 200  # characters of a bad row in a message
_EARLIEST, _LATEST = pd.Timestamp("1900-01-01", tz="UTC"), pd.Timestamp("2200-01-01", tz="UTC")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a vendor's row.

    Attributes:
        path: where it is, with dots where it lies deeper: `greeks.delta`.
        form: `number` (finite, no text), `text`, `whole` (a whole number, read as text: an id), `moment` (ISO 8601
            text, or a number of `unit` since 1970) or `day` (`YYYY-MM-DD`).
        needed: False where the vendor may leave it out or say null; then NaN, "" or NaT.
        unit: of a moment that is a number: `s`, `ms` or `ns`.
        nothing: what the vendor writes for "there is none", e.g. `(0,)` for a price: read as NaN, "" or NaT.
    """

    path: str
    form: Form = "number"
    needed: bool = True
    unit: Literal["", "s", "ms", "ns"] = ""
    nothing: tuple[float | str, ...] = ()


def table(rows: Sequence[Any], fields: Mapping[str, Field], *, of: str) -> pd.DataFrame:
    """The rows as a table: one column per field, in the order given, index 0…n−1.

    Numbers are float64, text and names `str`, moments UTC in microseconds (finer ones are cut), days timezone-naive
    midnights. No row: an empty table of these types.

    Args:
        rows: what the vendor sent: a list of objects.
        fields: by our name of the column.
        of: who sent what, for the message: `Alpaca's bars`.

    Raises:
        BadData: a row is no object, or a field is absent, null where it is needed, or of another type.
    """
    for row in rows:
        if type(row) is not dict:
            raise _bad(of, 1, len(rows), "is not an object", row)
    made: dict[str, pd.Series] = {}
    for name, field in fields.items():
        values = _values(rows, field.path.split("."), of)
        absent = np.fromiter((value is None for value in values), bool, len(values))
        if field.nothing:
            values = [None if _is(value, field.nothing) else value for value in values]
        empty = np.fromiter((value is None for value in values), bool, len(values)) if field.nothing else absent
        column, wrong = _READERS[field.form](values, empty, field)
        wrong |= absent & field.needed
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            what = "lacks" if absent[place] else "has an impossible"
            raise _bad(of, int(wrong.sum()), len(rows), f"{what} {field.path}", rows[place])
        made[name] = column
    return pd.DataFrame(made)


def part(answer: Any, name: str, kind: type, *, of: str) -> Any:
    """The part of an answer that must be there: a list or an object, which may be empty.

    Raises:
        BadData: the answer is no object, or the part is absent or of another type.
    """
    if type(answer) is not dict or name not in answer:
        raise _unlike(of, f"lacks {name}", answer)
    value = answer[name]
    if type(value) is not kind:
        raise _unlike(of, f"has an impossible {name}", answer)
    return value


@contextlib.contextmanager
def of(answer: Answer) -> Iterator[None]:
    """While an answer is read: where it turns out to be unusable, the gateway forgets it, so that asking again asks.

    Raises:
        BadData: what was raised inside, and whom the answer came from.
        SourceRefused: as it was raised inside.
    """
    try:
        yield
    except BadData as error:
        answer.reject(f"cannot be used. {error.message.rstrip('.')}")
    except SourceRefused:  # said inside an answer that looks like any other
        with contextlib.suppress(BadData):
            answer.reject("is a refusal")
        raise


def mapping(answer: Any, *, of: str) -> dict[str, Any]:
    """The answer itself, which must be an object. Raises BadData."""
    if type(answer) is not dict:
        raise _unlike(of, "is not an object", answer)
    return answer


def listing(answer: Any, *, of: str) -> list[Any]:
    """The answer itself, which must be a list. Raises BadData."""
    if type(answer) is not list:
        raise _unlike(of, "is not a list", answer)
    return answer


def word(answer: Mapping[str, Any], name: str, *, of: str) -> str | None:
    """A text of the answer that may be absent or null, e.g. the token of the next page. Raises BadData."""
    value = answer.get(name)
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise _unlike(of, f"has an impossible {name}", answer)
    return value


def next_page(answer: Mapping[str, Any], name: str, seen: set[str], *, of: str) -> str | None:
    """The token of the next page, which is written into `seen`; null says that this one is the last.

    Raises:
        BadData: the answer does not say it, or names a page that was there already.
    """
    if name not in answer:
        raise _unlike(of, f"does not say whether there is more ({name})", answer)
    token = word(answer, name, of=of)
    if token in seen:
        raise _unlike(of, f"names a page that was there already ({name})", answer)
    if token is not None:
        seen.add(token)
    return token


def in_order(kind: Kind, rows: pd.DataFrame, symbols: Iterable[str]) -> pd.DataFrame:
    """Rows of a kind with its columns and types: by symbol as asked, then by what names a fact; others are left out.

    Of rows that name the same fact the last one stands: two quotes in one microsecond are one.
    """
    place = rows["symbol"].map({symbol: number for number, symbol in enumerate(symbols)})
    by = [name for name in kind.names if name != "symbol"]
    kept = rows.assign(place=place)[place.notna()].drop_duplicates(list(kind.names), keep="last")
    return kind.typed(kept.sort_values(["place", *by], kind="stable"))


def _values(rows: Sequence[Mapping[str, Any]], steps: Sequence[str], of: str) -> list[Any]:
    if len(steps) == 1:
        return [row.get(steps[0]) for row in rows]
    found: list[Any] = []
    for row in rows:
        value: Any = row
        for step in steps:
            if value is None:
                break
            if type(value) is not dict:
                raise _bad(of, 1, len(rows), f"has an impossible {'.'.join(steps)}", row)
            value = value.get(step)
        found.append(value)
    return found


def _is(value: Any, nothing: tuple[float | str, ...]) -> bool:
    return type(value) in {int, float, str} and value in nothing


def _numbers(values: list[Any], empty: np.ndarray, field: Field) -> tuple[pd.Series, np.ndarray]:
    del field
    wrong = _not_of(values, empty, {int, float})
    clean = [math.nan if bad or value is None else value for value, bad in zip(values, wrong, strict=True)]
    column = pd.Series(clean, dtype=float)
    return column, wrong | (~empty & ~np.isfinite(column.to_numpy()))


def _texts(values: list[Any], empty: np.ndarray, field: Field) -> tuple[pd.Series, np.ndarray]:
    del field
    wrong = _not_of(values, empty, {str})
    return pd.Series(["" if value is None else str(value) for value in values], dtype="str"), wrong


def _wholes(values: list[Any], empty: np.ndarray, field: Field) -> tuple[pd.Series, np.ndarray]:
    del field
    wrong = _not_of(values, empty, {int})
    return pd.Series(["" if value is None else str(value) for value in values], dtype="str"), wrong


def _moments(values: list[Any], empty: np.ndarray, field: Field) -> tuple[pd.Series, np.ndarray]:
    wrong = _not_of(values, empty, {int, float} if field.unit else {str})
    clean = [None if bad else value for value, bad in zip(values, wrong, strict=True)]
    if field.unit:
        parts = {"s": 1, "ms": 1_000, "ns": 1_000_000_000}[field.unit]
        # Whole microseconds by integer arithmetic: a float has no room for nanoseconds of this century.
        micros = [None if value is None else _micros(value, parts) for value in clean]
        column = pd.Series(pd.to_datetime(pd.array(micros, dtype="Int64"), unit="us", utc=True, errors="coerce"))
    else:
        column = pd.Series(pd.to_datetime(pd.Series(clean, dtype=object), format="ISO8601", utc=True, errors="coerce"))
    column = column.astype("datetime64[us, UTC]")
    sane = column.between(_EARLIEST, _LATEST).to_numpy()
    return column, wrong | (~empty & ~sane)


def _micros(value: float, parts: int) -> int | None:
    if not math.isfinite(value) or abs(value) > 1e11 * parts:
        return None
    return int(value) * 1_000_000 // parts if isinstance(value, int) else int(value * (1_000_000 / parts))


def _days(values: list[Any], empty: np.ndarray, field: Field) -> tuple[pd.Series, np.ndarray]:
    del field
    wrong = _not_of(values, empty, {str})
    clean = pd.Series([None if bad else value for value, bad in zip(values, wrong, strict=True)], dtype=object)
    column = pd.Series(pd.to_datetime(clean, format="%Y-%m-%d", errors="coerce")).astype("datetime64[us]")
    sane = column.between(_EARLIEST.tz_localize(None), _LATEST.tz_localize(None)).to_numpy()
    return column, wrong | (~empty & ~sane)


def _not_of(values: list[Any], empty: np.ndarray, types: set[type]) -> np.ndarray:
    if set(map(type, values)) <= types:  # the usual answer, checked without a loop of ours
        return np.zeros(len(values), dtype=bool)
    wrong: np.ndarray = ~empty & np.fromiter((type(value) not in types for value in values), bool, len(values))
    return wrong


_READERS: Final = {"number": _numbers, "text": _texts, "whole": _wholes, "moment": _moments, "day": _days}


def _bad(of: str, count: int, total: int, what: str, row: Any) -> BadData:
    shown = json.dumps(row, default=str) if type(row) is dict else f"a {type(row).__name__}"
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return BadData(f"{of}: {count} of {total} {what}, the first is {shown}; none was passed on.", remedy=_REMEDY)


def _unlike(of: str, what: str, answer: Any) -> BadData:
    # Names only: what a vendor says beside its rows may repeat the question, and a key in it.
    shown = f"fields {', '.join(map(str, answer))[:_SHOWN]}" if type(answer) is dict else f"a {type(answer).__name__}"
    return BadData(f"{of}: the answer {what}; it has {shown}. Nothing was passed on.", remedy=_REMEDY)
