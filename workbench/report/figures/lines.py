"""Lines over sessions: equity with its drawdown, several runs, prices of a universe."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.errors import ParameterError
from workbench.report.figures.canvas import axis_of, drawdown, filled, finish, is_synthetic, plain, small, span, thin
from workbench.report.theme import GREY, line_style

# 1, 2, 5, 10, 20 … written out: plotly's own log axis shortens 20 to a small "2".
_STEPS = tuple(digit * 10.0**power for power in range(-4, 9) for digit in (1, 2, 5))
LOG_AXIS = {
    "type": "log",
    "tickmode": "array",
    "tickvals": list(_STEPS),
    "ticktext": [f"{step:,.10g}" for step in _STEPS],
}


def equity(
    equity: pd.Series,
    *,
    benchmark: pd.Series | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str = "Equity",
    name: str = "strategy",
    benchmark_name: str = "benchmark",
    currency: str = "USD",
) -> go.Figure:
    """Book value over sessions, its drawdown below, and a benchmark that starts with the same money.

    Args:
        equity: book value per session, in `currency`.
        benchmark: values per session in any unit; scaled to the equity's first value on their first common session.
        label: what must be said about the data; `synthetic=None` reads from it whether a watermark is due.

    Raises:
        NoData: no number to draw.
        ParameterError: the benchmark shares no session with the equity.
    """
    frame = filled(equity.rename(name).to_frame(), what="equity")
    if benchmark is not None:
        other = benchmark.reindex(frame.index).astype("float64")
        both = frame.index[frame[name].notna() & other.notna()]
        if not len(both):
            raise ParameterError(
                "benchmark shares no session with the equity; nothing was drawn.",
                remedy="pass the benchmark of the same sessions.",
            )
        frame[benchmark_name] = other * (frame.loc[both[0], name] / other.loc[both[0]])
    text = f"equity: {frame.shape[1]} {'line' if frame.shape[1] == 1 else 'lines'}, {span(frame.index)}"
    return _with_drawdown(
        frame,
        grey=benchmark_name if benchmark is not None else None,
        unit=f"book value ({currency})",
        hover=",.0f",
        title=title,
        text=text,
        label=label,
        synthetic=synthetic,
    )


def growth(
    equities: pd.DataFrame,
    *,
    benchmark: str | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str = "Runs compared",
) -> go.Figure:
    """Several runs as growth of 1 from each one's first session (log scale), with their drawdowns below.

    Args:
        equities: book value (session × run).
        benchmark: the column drawn in grey, as the one to beat.

    Raises:
        NoData: no number to draw.
        ParameterError: `benchmark` is no column.
    """
    if benchmark is not None and benchmark not in equities.columns:
        raise ParameterError(
            f"benchmark={benchmark!r} is not one of the runs.", remedy=f"use one of {', '.join(map(str, equities))}."
        )
    frame = filled(equities.rename(columns=str), what="equities")
    return _with_drawdown(
        frame / frame.bfill().iloc[0],
        grey=benchmark,
        unit="growth of 1 (log scale)",
        hover=".3f",
        title=title,
        text=f"runs compared: {frame.shape[1]} lines, {span(frame.index)}",
        label=label,
        synthetic=synthetic,
        log=True,
    )


def price_lines(
    closes: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "Prices, first close = 100"
) -> go.Figure:
    """Closes (session × symbol), each scaled to 100 at its own first close, on a log scale.

    Raises NoData when there is no close.
    """
    frame = filled(closes.rename(columns=str), what="closes")
    scaled = thin(frame / frame.bfill().iloc[0] * 100)
    sessions = axis_of(scaled.index)
    figure = go.Figure()
    for number, symbol in enumerate(scaled):
        figure.add_scatter(
            x=sessions,
            y=small(scaled[symbol]),
            name=plain(str(symbol)),
            mode="lines",
            line={"width": 1.3, **line_style(number)},
            hovertemplate="%{y:,.1f}",
        )
    many = scaled.shape[1] > 6
    figure.update_xaxes(title_text="session")
    figure.update_yaxes(title_text="index, first close = 100 (log scale)", **LOG_AXIS)
    figure = finish(
        figure,
        title=title,
        text=f"prices: {frame.shape[1]} symbols, {span(frame.index)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=max(480, 160 + 20 * scaled.shape[1]) if many else 420,
        hovermode="closest" if many else "x unified",
    )
    if many:
        figure.update_traces(hovertemplate="%{fullData.name} · %{x|%Y-%m-%d} · %{y:,.1f}<extra></extra>")
        figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"}, margin={"t": 56})
    return figure


def _with_drawdown(
    frame: pd.DataFrame,
    *,
    grey: str | None,
    unit: str,
    hover: str,
    title: str,
    text: str,
    label: str,
    synthetic: bool | None,
    log: bool = False,
) -> go.Figure:
    losses = drawdown(frame)
    upper = thin(frame, lines=2 * frame.shape[1])
    lower = thin(losses, lines=2 * frame.shape[1])
    upper_x, lower_x = axis_of(upper.index), axis_of(lower.index)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.045)
    coloured = 0
    for name in frame:
        if name == grey:
            style = {"color": GREY, "dash": "dash"}
        else:
            style = line_style(coloured)
            coloured += 1
        shown = plain(str(name))
        figure.add_scatter(
            x=upper_x,
            y=small(upper[name]),
            name=shown,
            legendgroup=shown,
            mode="lines",
            line={"width": 1.4 if name == grey else 1.9, **style},
            hovertemplate=f"%{{y:{hover}}}",
            row=1,
            col=1,
        )
        figure.add_scatter(
            x=lower_x,
            y=small(lower[name]),
            name=shown,
            legendgroup=shown,
            showlegend=False,
            mode="lines",
            line={"width": 1.1, **style},
            fill="tozeroy" if frame.shape[1] <= 2 and name != grey else None,
            hovertemplate="%{y:.1f} %",
            row=2,
            col=1,
        )
    figure.update_yaxes(title_text=unit, row=1, col=1, **(LOG_AXIS if log else {}))
    figure.update_yaxes(title_text="drawdown (%)", row=2, col=1)
    figure.update_xaxes(title_text="session", row=2, col=1)
    return finish(
        figure,
        title=title,
        text=text,
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=540,
        hovermode="x unified",
        showlegend=frame.shape[1] > 1,
    )
