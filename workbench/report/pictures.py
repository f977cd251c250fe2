"""Small static pictures as inline SVG: rows of bars and rows of dots, for pages that must do without a script."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# In pixels: the column of labels, the plot, the column of values, and one row.
_LABELS, _PLOT, _VALUES, _ROW = 136, 264, 70, 26

# Colours come from the page, so that one picture serves the light and the dark one.
STYLE = """
.wb-picture { display: block; width: 100%; max-width: 470px; height: auto; margin: 10px 0 4px; }
.wb-picture text { font: 12.5px var(--sans); }
.wb-picture text { fill: var(--ink); }
.wb-picture .muted { fill: var(--muted); }
.wb-picture .bar { fill: var(--accent); }
.wb-picture .below { fill: var(--warn-rule); }
.wb-picture .dot { fill: var(--accent); fill-opacity: 0.55; }
.wb-picture .dot.below { fill: var(--warn-rule); }
.wb-picture .zero { stroke: var(--muted); stroke-width: 1; }
.wb-picture .mark { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; }
"""


@dataclass(frozen=True)
class _Scale:
    """From values to pixels within the plot; 0 is always inside."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _Scale:
        known = [value for value in values if math.isfinite(value)]
        low, high = min([0.0, *known]), max([0.0, *known])
        return cls(low, high if high > low else low + 1.0)

    def __call__(self, value: float) -> float:
        return _LABELS + _PLOT * (value - self.low) / (self.high - self.low)


def bars(rows: Sequence[tuple[str, float]], *, title: str, show: Callable[[float], str]) -> str:
    """One horizontal bar per (label, value), from 0; a value that is not finite has no bar and is called undefined.

    Args:
        title: what is drawn, with its unit; read aloud in place of the picture.
        show: how a value is written beside its bar.
    """
    scale = _Scale.over([value for _, value in rows])
    zero, parts = scale(0.0), []
    for number, (label, value) in enumerate(rows):
        middle = _ROW * number + _ROW / 2
        parts.append(_text(_LABELS - 10, middle, label, anchor="end"))
        if math.isfinite(value):
            left, right = sorted((zero, scale(value)))
            kind = "bar below" if value < 0 else "bar"
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{middle - 8:.1f}" width="{max(right - left, 1):.1f}" '
                'height="16" rx="1.5"/>'
            )
        parts.append(_text(_LABELS + _PLOT + 10, middle, show(value) if math.isfinite(value) else "undefined"))
    height = _ROW * len(rows)
    parts.append(_upright("zero", zero, height))
    return _svg(parts, height=height, title=title)


def dots(rows: Sequence[tuple[str, Sequence[float]]], *, mark: float, title: str, show: Callable[[float], str]) -> str:
    """One row of dots per (label, values) on one scale, with a dashed line at `mark` and a thin one at 0."""
    scale = _Scale.over([mark, *(value for _, values in rows for value in values)])
    height, parts = _ROW * len(rows) + 22, []
    for number, (label, values) in enumerate(rows):
        middle = _ROW * number + _ROW / 2
        parts.append(_text(_LABELS - 10, middle, label, anchor="end"))
        parts += [
            f'<circle class="{"dot below" if value < 0 else "dot"}" cx="{scale(value):.1f}" cy="{middle:.1f}" r="4.5"/>'
            for value in values
            if math.isfinite(value)
        ]
    parts.append(_upright("zero", scale(0.0), _ROW * len(rows)))
    parts.append(_text(scale(0.0), height - 9, "0", anchor="middle", kind="muted"))
    if math.isfinite(mark):
        parts.append(_upright("mark", scale(mark), _ROW * len(rows)))
        if abs(scale(mark) - scale(0.0)) > 40:  # the two would stand on each other
            parts.append(_text(scale(mark), height - 9, show(mark), anchor="middle", kind="muted"))
    return _svg(parts, height=height, title=title)


def _svg(parts: list[str], *, height: int, title: str) -> str:
    width = _LABELS + _PLOT + _VALUES
    spoken = html.escape(title)
    return (
        f'<svg class="wb-picture" viewBox="0 0 {width} {height}" role="img" aria-label="{spoken}">'
        f"<title>{spoken}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _upright(kind: str, x: float, height: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="2" x2="{x:.1f}" y2="{height - 2:.1f}"/>'
