"""What a run was like along the way: its Sharpe ratio over a moving window, and how much of the money was at work."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.errors import NoData, ParameterError
from workbench.report.figures.canvas import axis_of, filled, finish, is_synthetic, plain, small, span, thin
from workbench.report.figures.measures import percent
from workbench.report.theme import BLUE, GREY, PALETTE, line_style

# Returns that differ by less than this do not vary; their ratio is undefined.
_STILL = 1e-14
_NORMAL_95 = 1.959964


def rolling_ratio(
    returns: pd.DataFrame,
    *,
    window: int = 126,
    periods: int = 252,
    benchmark: str | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str | None = None,
) -> go.Figure:
    """Annualised Sharpe ratio over a moving window, per run; NaN where a window has a gap or does not vary.

    With one run (a benchmark does not count) a band shows how far chance alone moves a window of this length around
    the ratio of the whole period: ± 1.96 standard errors, √((1 + SR²/2) / window) per period for a ratio SR per
    period. Source: A. W. Lo 2002, "The Statistics of Sharpe Ratios".

    Args:
        returns: simple returns as fractions (session × run).
        window: sessions in the window, at least 20.
        periods: sessions in a year.
        benchmark: the column drawn in grey.

    Raises:
        ParameterError: the window is too short or longer than the returns, or `benchmark` is no column.
        NoData: no window has a ratio.
    """
    frame = returns.rename(columns=str).sort_index()
    if not 20 <= window <= len(frame):
        raise ParameterError(
            f"window={window} must be from 20 up to the {len(frame)} returns at hand; nothing was drawn.",
            remedy="use e.g. 126 sessions, half a year.",
        )
    if benchmark is not None and benchmark not in frame.columns:
        raise ParameterError(
            f"benchmark={benchmark!r} is not one of the runs.", remedy=f"use one of {', '.join(frame.columns)}."
        )
    moving = frame.rolling(window)
    # pandas carries a rounding error from window to window: whether one varies is asked of its extremes
    varies = moving.max() - moving.min() > _STILL
    ratios = filled(
        (moving.mean() / moving.std(ddof=1).where(varies) * math.sqrt(periods)).iloc[window - 1 :],
        what="the rolling ratio",
    )
    figure = go.Figure()
    shown = thin(ratios)
    sessions = axis_of(shown.index)
    drawn = [name for name in ratios if name != benchmark]
    text = f"rolling sharpe: {ratios.shape[1]} {'line' if ratios.shape[1] == 1 else 'lines'}, {window} sessions"
    if len(drawn) == 1:
        low, high = _by_chance(frame[drawn[0]].dropna(), window=window, periods=periods)
        outside = float(((ratios[drawn[0]] < low) | (ratios[drawn[0]] > high)).sum() / ratios[drawn[0]].notna().sum())
        text += f", {percent(outside)} of them outside of what chance moves"
        for edge, fill in ((low, None), (high, "tonexty")):
            figure.add_scatter(
                x=[sessions[0], sessions[-1]],
                y=[edge, edge],
                name="moved by chance alone (95 %)",
                legendgroup="chance",
                showlegend=fill is not None,
                mode="lines",
                line={"width": 0},
                fill=fill,
                fillcolor="rgba(127,127,127,0.20)",
                hoverinfo="skip",
            )
    coloured = 0
    for name in shown:
        style = {"color": GREY, "dash": "dash"} if name == benchmark else line_style(coloured)
        coloured += name != benchmark
        figure.add_scatter(
            x=sessions,
            y=small(shown[name]),
            name=plain(str(name)),
            mode="lines",
            line={"width": 1.3 if name == benchmark else 1.8, **style},
            hovertemplate="%{y:.2f}",
        )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.update_yaxes(title_text="Sharpe ratio (annualised)")
    figure.update_xaxes(title_text="last session of the window")
    return finish(
        figure,
        title=title or f"Sharpe ratio over {window} sessions",
        text=f"{text}, {span(ratios.index)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=400,
        hovermode="x unified",
    )


def exposures(
    exposure: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "Exposure"
) -> go.Figure:
    """Gross and net exposure over sessions, in percent of book value; one line where they are the same.

    Args:
        exposure: columns `gross` (absolute value of all holdings / book value) and `net` (longs minus shorts), as
            fractions; `net` may be left out.

    Raises:
        ParameterError: there is no column `gross`.
        NoData: no number to draw.
    """
    if "gross" not in exposure.columns:
        raise ParameterError(
            f"exposure has no column 'gross' (it has {', '.join(map(str, exposure.columns))}).",
            remedy="pass a frame with the columns gross and net.",
        )
    wanted = [name for name in ("gross", "net") if name in exposure.columns]
    frame = filled(exposure[wanted], what="exposure") * 100
    if "gross" not in frame.columns:
        raise NoData("exposure has no gross number; nothing was drawn.", remedy="pass the run's own exposure.")
    signed = "net" in frame.columns and not np.allclose(frame["gross"], frame["net"], atol=1e-6, equal_nan=True)
    if not signed:
        frame = frame[["gross"]]
    shown = thin(frame)
    sessions = axis_of(shown.index)
    figure = go.Figure()
    for name, colour, dash in zip(shown, PALETTE, ("solid", "dot"), strict=False):
        figure.add_scatter(
            x=sessions,
            y=small(shown[name]),
            name=f"{name} exposure" if signed else "invested",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 1.6},
            fill=None if signed else "tozeroy",
            fillcolor=None if signed else "rgba(0,114,178,0.22)",
            hovertemplate="%{y:.1f} %",
        )
    mean = float(frame["gross"].mean())
    figure.add_hline(y=mean, line={"color": BLUE, "width": 1, "dash": "dash"})
    figure.update_yaxes(title_text="exposure (% of book value)" if signed else "invested (% of book value)")
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(title_text="session")
    said = f"{mean:.0f} % gross, {float(frame['net'].mean()):.0f} % net" if signed else f"{mean:.0f} %"
    return finish(
        figure,
        title=f"{title} (mean {said})",
        text=f"exposure: mean {said}, {span(frame.index)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=340,
        hovermode="x unified",
        showlegend=signed,
    )


def _by_chance(returns: pd.Series, *, window: int, periods: int) -> tuple[float, float]:
    """The 95 % range of a window's annual ratio around the whole period's, if returns were all alike (Lo 2002)."""
    deviation = float(returns.std(ddof=1))
    ratio = float(returns.mean()) / deviation if deviation > _STILL else 0.0
    reach = _NORMAL_95 * math.sqrt((1 + ratio**2 / 2) / window)
    return (ratio - reach) * math.sqrt(periods), (ratio + reach) * math.sqrt(periods)
