"""One mark per trade (round trip): what it returned, how long it was held, and how far it went against and with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.report.figures.canvas import finish, is_synthetic, nothing, plain, small
from workbench.report.figures.measures import percent
from workbench.report.theme import BLUE, GREY, VERMILLION

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Each mark costs about 60 characters of JSON in each panel, half of them for what is said when it is pointed at.
MOST = 1_500

# name, colour, shape of a mark: never colour alone
_KINDS = (("won", BLUE, "triangle-up"), ("lost", VERMILLION, "triangle-down"), ("still open", GREY, "circle-open"))


def trade_results(
    trades: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "Trades by holding time"
) -> go.Figure:
    """Each trade's return against the time it was held; closed trades won or lost, open ones hollow.

    Args:
        trades: columns `return` (fraction, after costs), `open`, and `bars_held`, or `opened` and `closed` (then
            calendar days are shown, and trades that are still open are left out); `symbol` and `exit_reason` are said
            where they are. Without the columns, or without a trade, the figure says so.
    """
    drawn_on: dict[str, Any] = {"title": title, "label": label, "synthetic": is_synthetic(label, synthetic=synthetic)}
    rows = trades.copy()
    unit = "bars"
    if "bars_held" not in rows.columns and {"opened", "closed"} <= set(rows.columns):
        unit = "calendar days"
        rows["bars_held"] = (pd.to_datetime(rows["closed"]) - pd.to_datetime(rows["opened"])).dt.days
    said = _missing(rows, ("return", "open", "bars_held"))
    if said:
        return nothing(said, text=f"trades: {said}", **drawn_on)
    rows = _drawable(rows, ("return", "bars_held"))
    if rows.empty:
        return nothing("no trade", text="trades: none", **drawn_on)
    shown = _some(rows)
    figure = go.Figure()
    for name, colour, shape in _KINDS:
        some = shown[_kind(shown) == name]
        if len(some):
            figure.add_scatter(
                x=small(some["bars_held"]),
                y=small(some["return"] * 100),
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": shape, "size": 8, "opacity": 0.85},
                text=_named(some),
                hovertemplate="%{text}%{x:.0f} " + unit + " · %{y:.2f} %",
            )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(title_text=f"held ({unit})", rangemode="tozero")
    figure.update_yaxes(title_text="return after costs (%)")
    return finish(figure, text=f"trades: {_counted(rows, shown)}", **drawn_on, height=420)


def trade_excursions(
    trades: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "How far trades went"
) -> go.Figure:
    """Each trade's result against the worst (MAE, left) and the best (MFE, right) it showed while it was open.

    Left, a losing tail far from 0 that ends in wins says that a stop would have cost money; wins that never went far
    below say where one is cheap. Right, the distance below the diagonal is profit that was given back.
    Source: J. Sweeney 1997, "Maximum Adverse Excursion".

    Args:
        trades: columns `return` (fraction, after costs), `open`, `mae` and `mfe` (maximum adverse and favourable
            excursion as fractions of the entry price; their signs do not matter). NaN rows are left out. Without the
            columns, or without a trade, the figure says so.
    """
    drawn_on: dict[str, Any] = {"title": title, "label": label, "synthetic": is_synthetic(label, synthetic=synthetic)}
    said = _missing(trades, ("return", "open", "mae", "mfe"))
    if said:
        return nothing(said, text=f"excursions: {said}", **drawn_on)
    rows = _drawable(trades, ("return", "mae", "mfe"))
    if rows.empty:
        return nothing("no trade", text="excursions: none", **drawn_on)
    shown = _some(rows, panels=2)
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    for column, name in enumerate(("mae", "mfe"), start=1):
        reach = float(rows[name].abs().max() * 100)
        diagonal = -reach if name == "mae" else reach
        figure.add_scatter(
            x=[0, reach],
            y=[0, diagonal],
            mode="lines",
            name="result = excursion",
            legendgroup="diagonal",
            showlegend=column == 1,
            line={"color": GREY, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            row=1,
            col=column,
        )
        for kind, colour, shape in _KINDS:
            some = shown[_kind(shown) == kind]
            if len(some):
                figure.add_scatter(
                    x=small(some[name].abs() * 100),
                    y=small(some["return"] * 100),
                    mode="markers",
                    name=kind,
                    legendgroup=kind,
                    showlegend=column == 1,
                    marker={"color": colour, "symbol": shape, "size": 8, "opacity": 0.85},
                    text=_named(some),
                    hovertemplate="%{text}" + name.upper() + " %{x:.2f} % · result %{y:.2f} %<extra></extra>",
                    row=1,
                    col=column,
                )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(title_text="worst while open (MAE, % against it)", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="best while open (MFE, % in its favour)", rangemode="tozero", row=1, col=2)
    figure.update_yaxes(title_text="return after costs (%)", row=1, col=1)
    won = rows[(rows["return"] > 0) & ~rows["open"]]
    text = f"excursions: {_counted(rows, shown)}"
    if len(won):
        text += f"; winners first went {percent(float(won['mae'].abs().median()), digits=1)} against (median)"
    return finish(figure, text=text, **drawn_on, height=440)


def _missing(trades: pd.DataFrame, columns: tuple[str, ...]) -> str:
    absent = [column for column in columns if column not in trades.columns]
    return f"these trades have no column {', '.join(absent)}" if absent else ""


def _drawable(trades: pd.DataFrame, numbers: tuple[str, ...]) -> pd.DataFrame:
    rows = trades.astype(dict.fromkeys(numbers, "float64") | {"open": bool})
    kept: pd.DataFrame = rows[np.isfinite(rows[list(numbers)].to_numpy()).all(axis=1)]
    return kept


def _kind(rows: pd.DataFrame) -> NDArray[np.str_]:
    return np.where(rows["open"], "still open", np.where(rows["return"] > 0, "won", "lost"))


def _some(rows: pd.DataFrame, *, panels: int = 1) -> pd.DataFrame:
    """All of them, or as many as the size allows: the ten best and ten worst, and the others evenly."""
    most = MOST // panels
    if len(rows) <= most:
        return rows
    order = np.argsort(rows["return"].to_numpy(), kind="stable")
    middle = np.linspace(10, len(rows) - 11, most - 20).round().astype(int)
    kept = np.concatenate([order[:10], order[np.unique(middle)], order[-10:]])
    return rows.iloc[np.sort(kept)]


def _named(rows: pd.DataFrame) -> list[str]:
    """What is said of a trade before its numbers: `AAPL 2015-06-30 stop · `."""
    parts = [
        rows["symbol"].astype(str) if "symbol" in rows.columns else None,
        pd.to_datetime(rows["opened"]).dt.strftime("%Y-%m-%d") if "opened" in rows.columns else None,
        rows["exit_reason"].fillna("").astype(str) if "exit_reason" in rows.columns else None,
    ]
    known = [list(part) for part in parts if part is not None]
    if not known:
        return [""] * len(rows)
    return [plain(" ".join(word for word in words if word)) + " · " for words in zip(*known, strict=True)]


def _counted(rows: pd.DataFrame, shown: pd.DataFrame) -> str:
    won, lost, still = (int((_kind(rows) == name).sum()) for name, _, _ in _KINDS)
    drawn = "" if len(shown) == len(rows) else f" ({len(shown):,} of them drawn)"
    return f"{won:,} won, {lost:,} lost" + (f", {still:,} open" if still else "") + drawn
