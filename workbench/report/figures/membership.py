"""Who was in a universe, and when: one line per stay, and above it how many were in."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.errors import NoData
from workbench.report.figures.canvas import axis_of, finish, is_synthetic, nothing, plain
from workbench.report.theme import BLUE, GREEN, VERMILLION

SYMBOLS = 60
POINTS = 2_000
WORDS = 80  # characters of a reason in a hover label


def membership(
    picture: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "Members of the universe"
) -> go.Figure:
    """Stays as horizontal lines, longest members on top; a triangle where one enters, a cross where it leaves.

    Args:
        picture: as `workbench.data.universe.picture` gives it: `symbol`, `start`, `end` (UTC), `open`, `reason`,
            `left_reason`. Of more than 60 symbols the first 60 are drawn; the count above is that of all.
        label: what the reader must be told about the data, or the universe's name and rule.
        synthetic: as the label says, when None.
        title: of the figure.

    Raises NoData when the frame lacks a column.
    """
    missing = {"symbol", "start", "end", "open", "reason", "left_reason"} - set(picture.columns)
    if missing:
        raise NoData(
            f"the picture lacks {', '.join(sorted(missing))}; nothing was drawn.", remedy="universe.picture(…)"
        )
    drawn_as = is_synthetic(label, synthetic=synthetic)
    if picture.empty:
        return nothing("nobody was in", title=title, text="members: none", label=label, synthetic=drawn_as)
    every = list(dict.fromkeys(picture["symbol"]))
    shown = every[:SYMBOLS]
    stays = picture[picture["symbol"].isin(shown)]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.22, 0.78], vertical_spacing=0.04)
    counts = _counts(picture)
    figure.add_scatter(
        x=axis_of(counts.index),
        y=counts.to_numpy(),
        name="members",
        mode="lines",
        line={"color": BLUE, "width": 1.6, "shape": "hv"},
        hovertemplate="%{x|%Y-%m-%d} · %{y} members<extra></extra>",
        row=1,
        col=1,
    )
    starts, ends = axis_of(pd.DatetimeIndex(stays["start"])), axis_of(pd.DatetimeIndex(stays["end"]))
    names = [plain(symbol) for symbol in stays["symbol"]]
    figure.add_scatter(
        x=[moment for start, end in zip(starts, ends, strict=True) for moment in (start, end, None)],
        y=[place for name in names for place in (name, name, None)],
        name="in",
        mode="lines",
        line={"color": BLUE, "width": 4},
        hoverinfo="skip",
        row=2,
        col=1,
    )
    gone = ~stays["open"].to_numpy(dtype=bool)
    all_of_them = [True] * len(stays)
    for name, moments, why, rows, colour, shape in (
        ("enters", starts, stays["reason"], all_of_them, GREEN, "triangle-right"),
        ("leaves", ends, stays["left_reason"], gone, VERMILLION, "x"),
    ):
        kept = [place for place, wanted in enumerate(rows) if wanted]
        figure.add_scatter(
            x=[moments[place] for place in kept],
            y=[names[place] for place in kept],
            name=name,
            mode="markers",
            marker={"color": colour, "symbol": shape, "size": 8},
            customdata=[[plain(_short(why.iloc[place]))] for place in kept],
            hovertemplate=f"%{{y}} {name} %{{x|%Y-%m-%d}}: %{{customdata[0]}}<extra></extra>",
            row=2,
            col=1,
        )
    figure.update_yaxes(title_text="members", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(
        title_text="symbol",
        type="category",
        categoryorder="array",
        categoryarray=[plain(symbol) for symbol in shown[::-1]],
        showgrid=False,
        row=2,
        col=1,
    )
    figure.update_xaxes(title_text="date", type="date", row=2, col=1)
    some = f"{len(shown)} of {len(every)} symbols" if len(every) > len(shown) else f"{len(every)} symbols"
    return finish(
        figure,
        title=f"{title} ({some})",
        text=f"members: {some}, {len(picture)} stays, {int(counts.iloc[-1])} in at the end",
        label=label,
        synthetic=drawn_as,
        height=260 + 18 * max(6, len(shown)),
    )


def _counts(picture: pd.DataFrame) -> pd.Series:
    """How many are in from each moment on at which that changes; a stay that is open does not end."""
    gone = picture[~picture["open"].astype(bool)]
    steps = pd.concat(
        [
            pd.Series(1, index=pd.DatetimeIndex(picture["start"])),
            pd.Series(-1, index=pd.DatetimeIndex(gone["end"])),
        ]
    )
    last = pd.Series(0, index=[picture["end"].max()])
    counts = pd.concat([steps, last]).groupby(level=0).sum().sort_index().cumsum()
    return counts if len(counts) <= POINTS else counts.iloc[:: -(-len(counts) // POINTS)]


def _short(text: object) -> str:
    said = text if isinstance(text, str) else ""
    return said if len(said) <= WORDS else f"{said[: WORDS - 1]}…"
