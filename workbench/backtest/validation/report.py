"""The page of a validation: out-of-sample numbers, with the in-sample ones grey and in brackets beside them."""

from __future__ import annotations

import html
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

# Grey that can be read on white (4.5:1) and on the dark theme (4.2:1).
GREY = "#777"
# Folds beyond this many are cut in the middle.
MOST = 40
ABSENT = "–"


@dataclass(frozen=True)
class Sheet:
    """A table that displays itself as HTML and as text.

    Attributes:
        title, note: said above and below.
        frame: what is shown, one row per line; the index is not shown.
        beside: for an out-of-sample column, the in-sample column that stands grey and in brackets in the same cell.
        grey: further columns that are in sample throughout.
        formats: format specifications by column, e.g. `".1%"`; four decimals where none is given.
    """

    title: str
    frame: pd.DataFrame
    beside: Mapping[str, str] = field(default_factory=dict)
    grey: Sequence[str] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def _cells(self) -> tuple[list[str], list[list[tuple[str, str, bool]]]]:
        """Heads, and rows of (text, text in sample, whether the whole cell is grey)."""
        shown = [str(name) for name in self.frame.columns if name not in set(self.beside.values())]
        rows = []
        for record in self.frame.to_dict("records"):
            line = []
            for name in shown:
                second = self.beside.get(name)
                inside = "" if second is None else self._text(name, record[second])
                line.append((self._text(name, record[name]), inside, name in self.grey))
            rows.append(line)
        if len(rows) > MOST:
            gap = [("…", "", False)] * len(shown)
            rows = [*rows[: MOST // 2], gap, *rows[-(MOST // 2) :]]
        return shown, rows

    def _text(self, name: str, value: Any) -> str:
        if value is None or value is pd.NaT or (isinstance(value, numbers.Real) and value != value):  # noqa: PLR0124
            return ABSENT
        if isinstance(value, pd.Timestamp):
            return f"{value:%Y-%m-%d}"
        if isinstance(value, numbers.Integral):
            return format(value, ",d")
        if isinstance(value, numbers.Real):
            spec = self.formats.get(name)
            if spec is None:
                number = float(value)
                return f"{number:,.0f}" if number.is_integer() else f"{number:.4f}"
            return format(float(value), spec)
        return " ".join(str(value).split())

    def __repr__(self) -> str:
        heads, rows = self._cells()
        texts = [[text if not inside else f"{text} (in sample {inside})" for text, inside, _ in line] for line in rows]
        named = [f"{head} (in sample)" if head in self.grey else head for head in heads]
        widths = [max(len(line[at]) for line in [named, *texts]) for at in range(len(heads))]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in [named, *texts]
        ]
        return "\n".join(part for part in (self.title, *lines, self.note) if part)

    def _repr_html_(self) -> str:
        heads, rows = self._cells()
        head = "".join(f"<th{_style(grey=name in self.grey)}>{html.escape(name)}</th>" for name in heads)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td{_style(grey=grey)}>{html.escape(text)}"
                + (f' <span class="wb-in-sample" style="color:{GREY}">({html.escape(inside)})</span>' if inside else "")
                + "</td>"
                for text, inside, grey in line
            )
            + "</tr>"
            for line in rows
        )
        legend = f'<span class="wb-in-sample" style="color:{GREY}">in sample: grey, in brackets</span>'
        note = f"{html.escape(self.note)} · {legend}" if self.note else legend
        return (
            f"<div><b>{html.escape(self.title)}</b><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<small>{note}</small></div>"
        )


def _style(*, grey: bool) -> str:
    return f' class="wb-in-sample" style="text-align:right;color:{GREY}"' if grey else ' style="text-align:right"'
