"""A frame as a small table to read: rounded, with thousands separators, dates as dates, and the same text each time."""

from __future__ import annotations

import difflib
import html
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import ParameterError

ABSENT = "–"
# Numbers known to be fractions, by the name of their column: shown in percent where no format is given.
FRACTIONS = frozenset(
    {
        "alpha", "annual_volatility", "cagr", "cvar_95", "depth", "down_capture", "downside_deviation", "dsr",
        "exposure", "mae", "max_drawdown", "mfe", "pain_index", "positive_days", "psr", "return", "total_return",
        "time_under_water", "tracking_error", "ulcer_index", "up_capture", "var_95", "weight", "win_rate",
        "worst_month",
    }
)  # fmt: skip
# A frame with more columns than this and fewer rows than that is turned on its side.
WIDE, FEW = 12, 6
# Longer texts may wrap in HTML; still longer ones are cut in plain text.
LONG, LONGEST = 30, 72


@dataclass(frozen=True)
class Table:
    """A frame that displays itself as HTML and as text; build it with `table`.

    Attributes:
        columns: heads of the columns.
        rows: the texts, row by row.
        left: for each column, whether it stands on the left (text) or on the right (numbers).
        caption, note: said above and below.
        synthetic: whether the note is a warning.
        indexed: how many columns at the left name the row.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[bool, ...]
    caption: str = ""
    note: str = ""
    synthetic: bool = False
    indexed: int = 1

    def __repr__(self) -> str:
        grid = [self.columns, *(tuple(shorten(text) for text in row) for row in self.rows)]
        widths = [max(map(len, cells)) for cells in zip(*grid, strict=True)]
        lines = [
            "  ".join(
                text.ljust(width) if left else text.rjust(width)
                for text, width, left in zip(cells, widths, self.left, strict=True)
            ).rstrip()
            for cells in grid
        ]
        return "\n".join(line for line in (self.caption, *lines, self.note) if line)

    def _repr_html_(self) -> str:
        cells = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        styles = [
            _style(left=left, long=any(len(text) > LONG for text in column))
            for left, column in zip(self.left, cells, strict=True)
        ]
        head = "".join(f"<th{style}>{html.escape(text)}</th>" for text, style in zip(self.columns, styles, strict=True))
        body = "".join(f"<tr>{self._cells(row, styles)}</tr>" for row in self.rows)
        caption = f'<caption style="text-align:left">{html.escape(self.caption)}</caption>' if self.caption else ""
        kind = "wb-note wb-synthetic" if self.synthetic else "wb-note"
        note = f'<p class="{kind}">{html.escape(self.note)}</p>' if self.note else ""
        if not self.columns:
            return f"<div>{note}</div>"
        return f"<div><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</div>"

    def _cells(self, row: tuple[str, ...], styles: list[str]) -> str:
        tags = ["th"] * self.indexed + ["td"] * (len(row) - self.indexed)
        return "".join(
            f"<{tag}{style}>{html.escape(text)}</{tag}>" for tag, text, style in zip(tags, row, styles, strict=True)
        )


def table(
    frame: pd.DataFrame | pd.Series,
    *,
    formats: Mapping[str, str] | str | None = None,
    caption: str = "",
    label: str = "",
    synthetic: bool | None = None,
    index: bool | None = None,
    most: int = 40,
    empty: str = "nothing",
) -> Table:
    """A frame (or a series) as a table.

    Without a format, columns of whole numbers get thousands separators, and those in `FRACTIONS` are shown in percent;
    other numbers are rounded to 2 decimals in columns that reach 10, else to 4; sessions are written `2015-06-30`,
    moments `2015-06-30 20:00 UTC`; what is absent (NaN, None, NaT) is `–`, never 0. A wide and short frame (more than
    12 columns, fewer than 6 rows) is turned on its side: a page is narrow.

    Args:
        frame: rows to show. More than `most` rows are cut in the middle, and the note says how many.
        formats: a Python format per column, e.g. `{"cagr": ".1%", "equity": ",.0f"}`, or one for all columns of
            numbers.
        label: what must be said about the data; the note below the table.
        index: whether to show it; None shows it unless it only counts the rows.
        empty: what is said instead of a table without rows.

    Raises:
        ParameterError: `formats` names a column that is not there, or `most` is below 2.
    """
    data = frame.to_frame(name="value" if frame.name is None else frame.name) if isinstance(frame, pd.Series) else frame
    if most < 2:
        raise ParameterError(f"most={most!r} must be at least 2.", remedy="leave it out for 40 rows.")
    chosen = _formats(data, formats)
    warned = label.upper().startswith("SYNTHETIC") if synthetic is None else synthetic
    if data.empty:
        said = " · ".join(text for text in (empty, label) if text)
        return Table(columns=(), rows=(), left=(), caption=caption, note=said, synthetic=warned, indexed=0)
    counting = isinstance(data.index, pd.RangeIndex) and data.index.name is None
    named = _index(data) if (not counting if index is None else index) else []
    columns = [*named, *_columns(data, chosen)]
    note = label
    if len(data) > most:
        cut = f"{len(data) - most:,} of {len(data):,} rows in the middle are not shown"
        note = f"{label} · {cut}" if label else cut
        top, bottom = most - most // 2, most // 2
        columns = [(head, [*texts[:top], "…", *texts[-bottom:]], left) for head, texts, left in columns]
    if len(named) == 1 and data.shape[1] > WIDE and len(data) < FEW:
        head, texts, _ = columns[0]
        columns = [
            (head, [other for other, _, _ in columns[1:]], True),
            *((text, [cells[row] for _, cells, _ in columns[1:]], False) for row, text in enumerate(texts)),
        ]
    return Table(
        columns=tuple(head for head, _, _ in columns),
        rows=tuple(zip(*(texts for _, texts, _ in columns), strict=True)),
        left=tuple(left for _, _, left in columns),
        caption=caption,
        note=note,
        synthetic=warned,
        indexed=len(named),
    )


def shorten(text: str) -> str:
    """The text as it fits a line of plain text; the HTML form has all of it."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _style(*, left: bool, long: bool) -> str:
    kind = ' class="wb-text"' if left and long else ""
    return f'{kind} style="text-align:{"left" if left else "right"}"'


# A column: its head, its texts, and whether it stands on the left.
_Column = tuple[str, list[str], bool]


def _index(frame: pd.DataFrame) -> list[_Column]:
    levels = [frame.index.get_level_values(level) for level in range(frame.index.nlevels)]
    return [("" if level.name is None else str(level.name), _texts(list(level), spec=None), True) for level in levels]


def _columns(frame: pd.DataFrame, formats: Mapping[str, str]) -> list[_Column]:
    found = []
    for position, column in enumerate(frame.columns):
        values = list(frame.iloc[:, position])
        head = " · ".join(map(str, column)) if isinstance(column, tuple) else str(column)
        spec = formats.get(str(column)) or (".1%" if str(column) in FRACTIONS else None)
        found.append((head, _texts(values, spec=spec), not any(_is_number(value) for value in values)))
    return found


def _formats(frame: pd.DataFrame, formats: Mapping[str, str] | str | None) -> dict[str, str]:
    names = [str(column) for column in frame.columns]
    if formats is None:
        return {}
    if isinstance(formats, str):
        return dict.fromkeys(names, formats)
    for name in formats:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise ParameterError(
                f"formats names {name!r}, which is no column.",
                remedy=f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(names)}.",
            )
    return dict(formats)


def _texts(values: list[Any], *, spec: str | None) -> list[str]:
    decimals = _decimals(values)
    return [_text(value, spec=spec, decimals=decimals) for value in values]


def _decimals(values: list[Any]) -> str:
    """One number of decimals for a whole column, so that its points stand below each other."""
    finite = [float(value) for value in values if _is_number(value) and np.isfinite(float(value))]
    if all(value.is_integer() for value in finite):
        return ",.0f"
    return ",.2f" if max(map(abs, finite)) >= 10 else ",.4f"


def _text(value: Any, *, spec: str | None, decimals: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if _is_number(value):
        return _number(value, spec=spec, decimals=decimals)
    if value is None or value is pd.NaT or value is pd.NA:
        return ABSENT
    if hasattr(value, "isoformat"):
        return _moment(value)
    return " ".join(str(value).split())


def _number(value: Any, *, spec: str | None, decimals: str) -> str:
    if value != value:  # noqa: PLR0124 - NaN differs from itself
        return ABSENT
    if spec is None and isinstance(value, numbers.Integral):
        return f"{int(value):,d}"
    text = format(value if isinstance(value, Decimal) else float(value), spec or decimals)
    # −0.00 is a rounding artefact that changes from machine to machine
    return text[1:] if text.startswith("-") and not any(digit in text for digit in "123456789") else text


def _moment(value: Any) -> str:
    moment = pd.Timestamp(value)
    if moment.tzinfo is not None:
        return f"{moment.tz_convert('UTC'):%Y-%m-%d %H:%M} UTC"
    return f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool | np.bool_)
