"""Two dimensions at one glance: monthly returns, weights over time, coverage of the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.report.figures.canvas import axis_of, filled, finish, is_synthetic, plain, small, span, thin
from workbench.report.theme import BLUE, PALETTE, VERMILLION

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COLUMNS = 260


def monthly_returns(
    returns: pd.Series, *, label: str, synthetic: bool | None = None, title: str = "Monthly returns"
) -> go.Figure:
    """Returns compounded within each month (year × month) and, in the last column, within each year, in percent.

    Args:
        returns: simple return per session as a fraction; NaN sessions are left out. A month without any stays empty.

    Raises NoData when there is no return.
    """
    daily = filled(returns.rename("return").to_frame(), what="returns")["return"].dropna()
    sessions = pd.DatetimeIndex(daily.index)
    months = ((1 + daily).groupby([sessions.year, sessions.month]).prod() - 1) * 100
    grid = months.unstack().reindex(columns=range(1, 13)).sort_index()
    years = ((1 + daily).groupby(sessions.year).prod() - 1) * 100
    values = np.column_stack([grid.to_numpy(), years.reindex(grid.index).to_numpy()])
    reach = max(1.0, float(np.nanquantile(np.abs(grid.to_numpy()), 0.95)))
    figure = go.Figure(
        go.Heatmap(
            z=small(values),
            x=[*MONTHS, "year"],
            y=[str(year) for year in grid.index],
            zmin=-reach,
            zmax=reach,
            autocolorscale=True,
            hoverongaps=False,
            xgap=2,
            ygap=2,
            texttemplate="%{z:.1f}",
            textfont={"size": 11.5},
            hovertemplate="%{x} %{y}: %{z:.2f} %<extra></extra>",
            colorbar={"title": {"text": "%", "side": "top"}, "thickness": 10, "outlinewidth": 0, "len": 0.9},
        )
    )
    figure.update_xaxes(title_text="month, and the whole year", side="bottom", showgrid=False, type="category")
    figure.update_yaxes(title_text="year", autorange="reversed", showgrid=False, type="category")
    return finish(
        figure,
        title=f"{title} (%)",
        text=f"monthly returns: {len(grid)} years × 12 months, {span(sessions)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=170 + 30 * max(3, len(grid)),
        margin={"t": 52},
    )


def weights(
    weights: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "Weights in force"
) -> go.Figure:
    """What is invested over sessions, and below it each symbol's weight as a colour, in percent of book value.

    Where some weights are short, the upper panel shows gross and net exposure.

    Args:
        weights: wished signed fractions of book value (session × symbol). NaN means "leave it as it is", so the last
            number before it stays in force; before the first number there is no weight.

    Raises NoData when there is no number.
    """
    frame = filled(weights.rename(columns=str), what="weights").ffill() * 100
    picked = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, min(COLUMNS, len(frame))).round().astype(int))]
    shown = picked.T.iloc[::-1]
    signed = bool((frame < 0).any(axis=None))
    gross, net = frame.abs().sum(axis=1), frame.sum(axis=1)
    # Without short weights the two are one line.
    exposure = thin(pd.DataFrame({"gross exposure": gross, "net exposure": net} if signed else {"invested": gross}))
    reach = max(1.0, float(np.nanmax(np.abs(frame.to_numpy()))))
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.3, 0.7], vertical_spacing=0.05)
    for name, colour, dash in zip(exposure, PALETTE, ("solid", "dot"), strict=False):
        figure.add_scatter(
            x=axis_of(exposure.index),
            y=small(exposure[name]),
            name=str(name),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 1.6, "shape": "hv"},
            hovertemplate="%{y:.1f} %",
            row=1,
            col=1,
        )
    figure.add_trace(
        go.Heatmap(
            z=small(shown),
            x=axis_of(picked.index),
            y=[plain(str(symbol)) for symbol in shown.index],
            zmin=-reach if signed else 0,
            zmax=reach,
            autocolorscale=True,
            hoverongaps=False,
            ygap=1,
            hovertemplate="%{y} · %{x|%Y-%m-%d} · %{z:.1f} %<extra></extra>",
            colorbar={"title": {"text": "%", "side": "top"}, "thickness": 10, "outlinewidth": 0, "len": 0.6, "y": 0.3},
        ),
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="exposure (%)" if signed else "invested (%)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="symbol", showgrid=False, type="category", row=2, col=1)
    figure.update_xaxes(title_text="session", row=2, col=1, showgrid=False)
    return finish(
        figure,
        title=f"{title} (% of book value)",
        text=f"weights: {frame.shape[1]} symbols, {span(frame.index)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=260 + 20 * max(6, frame.shape[1]),
        showlegend=signed,
    )


def coverage(
    closes: pd.DataFrame,
    *,
    sessions: pd.DatetimeIndex | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str = "Coverage of the data",
) -> go.Figure:
    """Share of sessions that have a close, per symbol and month (quarter, year for long spans), in percent.

    Args:
        closes: closes (session × symbol), NaN where there is none.
        sessions: the sessions that should be there; those of `closes` when None.

    Raises NoData when there is no session.
    """
    expected = pd.DatetimeIndex(closes.index if sessions is None else sessions).sort_values()
    present = closes.rename(columns=str).reindex(expected).notna()
    filled(present.astype("float64"), what="closes")
    count = (expected[-1].year - expected[0].year) * 12 + expected[-1].month - expected[0].month + 1
    letter, word = ("M", "month") if count <= 60 else ("Q", "quarter") if count <= 240 else ("Y", "year")
    periods = expected.to_period(letter)
    shares = present.groupby(periods).mean() * 100
    # the days of a period's first session: plotly then draws a time axis
    starts = pd.Series(expected, index=periods).groupby(level=0).first()
    shown = shares.T.iloc[::-1]
    figure = go.Figure(
        go.Heatmap(
            z=small(shown),
            x=axis_of(pd.DatetimeIndex(starts.to_numpy())),
            y=[plain(str(symbol)) for symbol in shown.index],
            zmin=0,
            zmax=100,
            colorscale=[[0, VERMILLION], [0.5, "#E7B08A"], [0.999, "#9CC3DD"], [1, BLUE]],
            xgap=1,
            ygap=1,
            hovertemplate=f"%{{y}} · {word} from %{{x|%Y-%m-%d}} · %{{z:.1f}} %<extra></extra>",
            colorbar={"title": {"text": "%", "side": "top"}, "thickness": 10, "outlinewidth": 0},
        )
    )
    figure.update_xaxes(title_text=word, showgrid=False)
    figure.update_yaxes(title_text="symbol", showgrid=False, type="category")
    return finish(
        figure,
        title=f"{title} (% of sessions with a close)",
        text=f"coverage: {shares.shape[1]} symbols × {len(shares)} {word}s, {span(expected)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=170 + 20 * max(6, shares.shape[1]),
        margin={"t": 52},
    )
