"""How numbers are spread: daily returns with their tails, what a Monte Carlo run drew, and a fan of paths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.backtest import metrics
from workbench.errors import NoData, ParameterError
from workbench.report.figures.canvas import axis_of, finish, is_synthetic, plain, small, span, thin
from workbench.report.figures.lines import LOG_AXIS
from workbench.report.figures.measures import measure, percent
from workbench.report.theme import BLUE, GREY, VERMILLION

BINS = 120
_BARS = {"color": BLUE, "opacity": 0.75, "line": {"width": 0}}


def return_histogram(
    returns: pd.Series, *, label: str, synthetic: bool | None = None, title: str = "Daily returns"
) -> go.Figure:
    """How often each return occurred, beside the normal curve of the same mean and deviation, on a log scale.

    The scale is logarithmic because the tails are the point: a session that the normal curve expects once in a
    thousand years is a bar of height one. Value at risk and expected shortfall (CVaR) are those of `metrics`: the 5 %
    quantile, and the mean of what lies at or below it.

    Args:
        returns: simple returns per session as fractions; NaN is left out.

    Raises NoData when there are fewer than 20 returns.
    """
    known = returns.dropna().astype("float64")
    if len(known) < 20:
        raise NoData(f"{len(known)} returns make no distribution; nothing was drawn.", remedy="pass at least 20.")
    values = known.to_numpy() * 100
    counts, edges = _histogram(values)
    centres, width = (edges[:-1] + edges[1:]) / 2, float(edges[1] - edges[0])
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    figure = go.Figure()
    occurs = counts > 0
    figure.add_bar(
        x=small(centres[occurs]),
        y=counts[occurs].astype(np.int32),
        width=width * 0.92,
        name="sessions",
        marker=_BARS,
        hovertemplate="around %{x:.2f} %: %{y} sessions<extra></extra>",
    )
    if deviation > 0:
        grid = np.linspace(edges[0], edges[-1], 240)
        curve = len(values) * width * np.exp(-(((grid - mean) / deviation) ** 2) / 2) / (deviation * math.tau**0.5)
        seen = curve >= 0.5
        figure.add_scatter(
            x=small(grid[seen]),
            y=small(curve[seen]),
            name="normal, same mean and deviation",
            mode="lines",
            line={"color": GREY, "width": 1.8, "dash": "dash"},
            hoverinfo="skip",
        )
    at_risk, shortfall = metrics.var_95(known), metrics.cvar_95(known)
    said = [f"VaR 95 % {percent(at_risk, digits=2)}", f"CVaR 95 % {percent(shortfall, digits=2)}"]
    _mark(figure, at_risk * 100, said[0], colour=VERMILLION, dash="dash", right=True)
    _mark(figure, shortfall * 100, said[1], colour=VERMILLION, dash="dot")
    top = float(counts.max())
    highest = math.log10(top) + 0.45
    figure.update_xaxes(title_text="return of a session (%)")
    figure.update_yaxes(title_text="sessions (log scale)", range=[math.log10(0.7), highest], **LOG_AXIS)
    beyond = int((np.abs(values - mean) > 4 * deviation).sum())
    expected = len(values) * math.erfc(4 / math.sqrt(2))
    return finish(
        figure,
        title=title,
        text=f"daily returns: {len(values):,}, {', '.join(said)}, {beyond} beyond 4 deviations (a normal curve expects "
        f"{expected:.1f}), {span(known.index)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=420,
        bargap=0,
    )


def redrawn(
    drawn: Any,
    *,
    observed: float,
    metric: str,
    level: float = 0.95,
    how: str = "",
    label: str,
    synthetic: bool | None = None,
    title: str | None = None,
) -> go.Figure:
    """The distribution of a number over many redrawn histories, its interval, and what was observed.

    Args:
        drawn: one number per redrawn history; undefined ones (NaN) are left out and counted in the text.
        observed: the number of the history that happened; NaN draws no mark.
        metric: its name in a run's summary, e.g. `max_drawdown`; fractions are shown in percent.
        level: share of the histories inside the interval, 0 to 1; the tails left out are equal.
        how: how they were drawn, e.g. `stationary bootstrap`; said in the title.

    Raises:
        NoData: fewer than 20 numbers were drawn.
        ParameterError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ParameterError(f"level={level!r} must be between 0 and 1.", remedy="use e.g. 0.95.")
    every = np.asarray(drawn, dtype=float).ravel()
    values = every[np.isfinite(every)]
    if len(values) < 20:
        raise NoData(f"{len(values)} draws make no distribution; nothing was drawn.", remedy="draw at least 20.")
    shown = measure(metric)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    worse = float((values >= observed).mean() if shown.less else (values <= observed).mean())
    counts, edges = _histogram(values * shown.factor)
    inside = (values >= low) & (values <= high)
    figure = go.Figure()
    for name, these, colour, pattern in (
        (f"{level * 100:g} % of the draws", inside, BLUE, ""),
        ("the tails", ~inside, GREY, "/"),
    ):
        some, _ = np.histogram(values[these] * shown.factor, bins=edges)
        figure.add_bar(
            x=small(((edges[:-1] + edges[1:]) / 2)[some > 0]),
            y=some[some > 0].astype(np.int32),
            width=float(edges[1] - edges[0]) * 0.92,
            name=name,
            marker={"color": colour, "opacity": 0.75, "line": {"width": 0}, "pattern": {"shape": pattern, "size": 5}},
            hovertemplate="around %{x:.3g}: %{y} draws<extra></extra>",
        )
    top = float(counts.max())
    if math.isfinite(observed):
        _mark(
            figure,
            observed * shown.factor,
            f"observed {shown.text(observed)}",
            colour=VERMILLION,
            dash="solid",
        )
    figure.update_xaxes(title_text=shown.axis)
    figure.update_yaxes(title_text="draws (count)", range=[0, top * 1.3])
    undefined = len(every) - len(values)
    return finish(
        figure,
        title=title or f"{shown.words.capitalize()} of redrawn histories" + (f", {how}" if how else ""),
        text=f"{shown.words}: {len(values):,} draws, {level * 100:g} % from {shown.text(low)} to {shown.text(high)}"
        + (
            f", observed {shown.text(observed)}; {percent(worse)} were as bad or worse"
            if math.isfinite(observed)
            else ""
        )
        + (f"; {undefined} undefined" if undefined else ""),
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=400,
        bargap=0,
        barmode="stack",
        legend_traceorder="normal",
    )


def fan_of(
    bands: pd.DataFrame,
    *,
    observed: pd.Series | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str = "What the same days could have made",
) -> go.Figure:
    """Redrawn histories as bands of quantiles, with the history that happened, as growth of 1 (log scale).

    Args:
        bands: wealth > 0, 1 at the start (moment × quantile): sessions, or a count of sessions or trades whose name is
            the index's. Columns are the quantiles, 0.05 or `5%`; the lowest with the highest make the outer band, the
            next ones the inner band, and 0.5 is the median. No single history need stay inside a band.
        observed: what happened, in any unit; scaled to 1 at its first value, on the same index.

    Raises:
        NoData: there is no moment.
        ParameterError: there are fewer than 3 quantiles, or 0.5 is none of them.
    """
    levels = {_level(column): column for column in bands.columns}
    if len(levels) < 3 or 0.5 not in levels:
        raise ParameterError(
            f"bands has the quantiles {', '.join(map(str, bands.columns))}; a fan needs 0.5 and one on each side.",
            remedy="pass e.g. the columns 0.05, 0.25, 0.5, 0.75, 0.95.",
        )
    frame = pd.DataFrame({f"q{level:g}": bands[levels[level]] for level in sorted(levels)}).astype("float64")
    if frame.empty:
        raise NoData("bands has no moment; nothing was drawn.", remedy="pass at least one row.")
    if observed is not None:
        frame["observed"] = observed.reindex(frame.index).astype("float64") / float(observed.dropna().iloc[0])
    shown = thin(frame, lines=2 * frame.shape[1])
    dated = isinstance(shown.index, pd.DatetimeIndex)
    moments = axis_of(shown.index) if dated else [int(step) for step in shown.index]
    names = [f"q{level:g}" for level in sorted(levels)]
    figure = go.Figure()
    for number in range(len(names) // 2):
        low, high = sorted(levels)[number], sorted(levels)[-1 - number]
        name = f"{(high - low) * 100:g} % of the histories"
        for edge, fill in ((names[number], None), (names[-1 - number], "tonexty")):
            figure.add_scatter(
                x=moments,
                y=small(shown[edge]),
                name=name,
                legendgroup=name,
                showlegend=fill is not None,
                mode="lines",
                line={"width": 0, "color": BLUE},
                fill=fill,
                fillcolor=f"rgba(0,114,178,{0.16 + 0.12 * number:.2f})",
                hoverinfo="skip",
            )
    lines = [("q0.5", "median", BLUE, "dash"), ("observed", "what happened", VERMILLION, "solid")]
    for column, name, colour, dash in lines:
        if column in shown.columns:
            figure.add_scatter(
                x=moments,
                y=small(shown[column]),
                name=name,
                mode="lines",
                line={"color": colour, "width": 1.8, "dash": dash},
                hovertemplate="%{y:.2f}",
            )
    figure.add_hline(y=1, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_yaxes(title_text="growth of 1 (log scale)", **LOG_AXIS)
    what = str(bands.index.name or "session")
    figure.update_xaxes(title_text=what if dated else f"{what}s gone by")
    low, high = min(levels), max(levels)
    return finish(
        figure,
        title=title,
        text=f"fan: {(high - low) * 100:g} % of the histories end between {float(frame[names[0]].iloc[-1]):.2f} and "
        f"{float(frame[names[-1]].iloc[-1]):.2f} times the start, "
        + (span(frame.index) if dated else f"after {int(frame.index[-1]):,} {what}s"),
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=440,
        hovermode="x unified",
    )


def _level(column: Any) -> float:
    """0.05 of 0.05, `0.05` or `5%`."""
    text = str(column)
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges; the width by Freedman and Diaconis 1981, with at most `BINS` bars."""
    lowest, highest = float(values.min()), float(values.max())
    if highest - lowest <= 1e-12 * max(1.0, abs(highest)):
        half = max(abs(highest), 1.0) / 100
        return np.histogram(values, bins=3, range=(lowest - half, highest + half))
    spread = float(np.subtract(*np.quantile(values, [0.75, 0.25])))
    width = 2 * spread / len(values) ** (1 / 3)
    bins = BINS if width <= 0 else min(BINS, max(8, math.ceil((highest - lowest) / width)))
    return np.histogram(values, bins=bins)


def _mark(figure: go.Figure, at: float, said: str, *, colour: str, dash: str, right: bool = False) -> None:
    """A vertical line with its words at its top, to the left of it or to the right."""
    figure.add_vline(x=at, line={"color": colour, "width": 1.8, "dash": dash})
    figure.add_annotation(
        x=at,
        y=1,
        yref="paper",
        yanchor="top",
        xanchor="left" if right else "right",
        xshift=5 if right else -5,
        text=plain(said),
        showarrow=False,
        font={"color": colour},
    )
