"""The sheet that every figure is drawn on: title, axes, source line, watermark, and a bound on its size."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import NoData
from workbench.report.theme import VERMILLION, template

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

# A point of a line costs about 13 characters for its session and 6 for its value; figures stay below 300 kB of JSON.
BUDGET = 220_000
POINT = 20
MARGIN = {"l": 64, "r": 16, "t": 96, "b": 76}
FOOT = 62


def finish(
    figure: go.Figure,
    *,
    title: str,
    text: str,
    label: str,
    synthetic: bool,
    height: int,
    **layout: Any,
) -> go.Figure:
    """Give a figure its title, its source line below, its watermark when `synthetic`, and its one-line text.

    The text stands in `figure.layout.meta["text"]`; `show` prints it where figures cannot be seen.
    """
    notes = [
        {
            "name": "source",
            "text": f"<b>{plain(label)}</b>" if synthetic else plain(label),
            "xref": "paper",
            "yref": "paper",
            "x": 0,
            "y": 0,
            "xanchor": "left",
            "yanchor": "top",
            "yshift": -FOOT + 8,
            "showarrow": False,
            "align": "left",
            **({"font": {"color": VERMILLION}} if synthetic else {}),
        }
    ]
    if synthetic:
        notes.append(
            {
                "name": "watermark",
                "text": "SYNTHETIC",
                "xref": "paper",
                "yref": "paper",
                "x": 0.5,
                "y": 0.5,
                "showarrow": False,
                "textangle": -18,
                "font": {"size": 64, "color": "rgba(127,127,127,0.34)"},
            }
        )
    figure.update_layout(
        template=template(),
        title={"text": plain(title), "y": 1, "yanchor": "top", "pad": {"t": 14}},
        height=height,
        autosize=True,
        margin=MARGIN,
        showlegend=layout.pop("showlegend", True),
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
        },
        meta={"text": text},
        annotations=[*figure.layout.annotations, *notes],
    )
    figure.update_layout(**layout)
    return figure


def nothing(said: str, *, title: str, text: str, label: str, synthetic: bool) -> go.Figure:
    """A figure that says that there is nothing to draw: an empty day is an answer, too."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_annotation(text=plain(said), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return finish(figure, title=title, text=text, label=label, synthetic=synthetic, height=200)


def is_synthetic(label: str, *, synthetic: bool | None) -> bool:
    """What the caller said; when None, whether the data's label says it."""
    return label.upper().startswith("SYNTHETIC") if synthetic is None else synthetic


def plain(text: str) -> str:
    """Text that plotly shows literally: it reads `<b>`, `<a …>` and `&lt;` in labels as markup."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def filled(frame: pd.DataFrame, *, what: str) -> pd.DataFrame:
    """The frame sorted by session, without columns that hold nothing. Raises NoData when nothing is left."""
    kept = frame.sort_index().dropna(axis="columns", how="all")
    if kept.empty:
        raise NoData(f"{what} holds no number; nothing was drawn.", remedy="pass a frame with at least one value.")
    return kept.astype("float64")


def thin(frame: pd.DataFrame, *, lines: int | None = None) -> pd.DataFrame:
    """At most as many rows as the size budget allows, always with the first and the last one.

    A few columns (up to four) keep the lowest and the highest value of every bucket, so that no trough disappears;
    more columns are thinned evenly, which keeps their rows common.
    """
    columns = lines or max(1, frame.shape[1])
    most = max(2, BUDGET // (POINT * columns))
    if len(frame) <= most:
        return frame
    if frame.shape[1] > 4:
        return frame.iloc[np.unique(np.linspace(0, len(frame) - 1, most).round().astype(int))]
    values = frame.to_numpy()
    kept = {0, len(frame) - 1}
    edges = np.linspace(0, len(frame), max(2, most // (2 * frame.shape[1])) + 1).round().astype(int)
    for first, last in itertools.pairwise(edges):
        for column in range(values.shape[1]):
            bucket = values[first:last, column]
            if not np.all(np.isnan(bucket)):
                kept.update((int(first + np.nanargmin(bucket)), int(first + np.nanargmax(bucket))))
    return frame.iloc[sorted(kept)]


def evenly(length: int, most: int) -> NDArray[np.int64]:
    """At most `most` positions of 0 … length − 1, evenly, with the first and the last."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def strides(length: int, most: int) -> int:
    """Every how many-th of `length` values is named on an axis that has room for `most`."""
    return max(1, -(-length // most))


def axis_of(index: pd.Index) -> list[str]:
    """Sessions as `2015-06-30`, moments as `2015-06-30T14:30`: short and the same on every machine."""
    moments = pd.DatetimeIndex(index)
    form = "%Y-%m-%d" if (moments == moments.normalize()).all() else "%Y-%m-%dT%H:%M"
    return list(moments.strftime(form))


def small(values: Any) -> NDArray[np.float32]:
    """Values as float32: seven digits are more than a screen shows, and half the size."""
    return np.asarray(values, dtype=np.float32)


def span(index: pd.Index) -> str:
    """`2013-01-02 → 2022-06-30`."""
    moments = pd.DatetimeIndex(index)
    return f"{moments[0]:%Y-%m-%d} → {moments[-1]:%Y-%m-%d}"


def drawdown(values: pd.DataFrame) -> pd.DataFrame:
    """Loss from the highest value so far, in percent (≤ 0); NaN where the value is."""
    return (values / values.cummax() - 1) * 100
