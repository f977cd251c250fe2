"""The causes of a shortfall as a waterfall: from nothing to the total, in basis points."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from workbench.errors import NoData
from workbench.report.figures.canvas import MARGIN, finish, is_synthetic, plain
from workbench.report.theme import BLUE, GREY, VERMILLION


def waterfall(
    causes: pd.DataFrame,
    *,
    title: str,
    label: str,
    text: str,
    synthetic: bool | None = None,
    currency: str = "USD",
) -> go.Figure:
    """One step per cause and the total at the end; lost is up, gained is down, and every step bears its number.

    Args:
        causes: by cause: `cost` (currency, above 0: lost), `bp` and `what` (in words), as `report.shortfall` makes it.
        text: what is said where figures cannot be seen.

    Raises:
        NoData: there is no cause, or a number is missing.
    """
    if causes.empty or causes[["cost", "bp"]].isna().any(axis=None):
        raise NoData("the causes hold no number, or a missing one; nothing was drawn.")
    names = [plain(str(name)) for name in causes.index]
    total, money = float(causes["bp"].sum()), float(causes["cost"].sum())
    steps = [*causes["bp"].astype(float), total]
    hover = [
        f"{plain(str(what))}<br>{_signed(cost, 2)} {currency}"
        for cost, what in zip(causes["cost"], causes["what"], strict=True)
    ]
    figure = go.Figure(
        go.Waterfall(
            x=[*names, "total"],
            y=steps,
            measure=[*["relative"] * len(names), "total"],
            text=[_signed(step, 1) for step in steps],
            textposition="outside",
            cliponaxis=False,
            customdata=[*hover, f"all of it<br>{_signed(money, 2)} {currency}"],
            hovertemplate="<b>%{x}</b> %{text} bp<br>%{customdata}<extra></extra>",
            increasing={"marker": {"color": VERMILLION}},
            decreasing={"marker": {"color": BLUE}},
            totals={"marker": {"color": GREY}},
            connector={"line": {"color": GREY, "width": 1, "dash": "dot"}},
            showlegend=False,
        )
    )
    figure.update_yaxes(title_text="shortfall (bp; up is lost)", zeroline=True)
    return finish(
        figure,
        title=f"Implementation shortfall: {title}",
        text=text,
        label=label or "no label was given",
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=360,
        showlegend=False,
        margin={**MARGIN, "t": 56},
    )


def _signed(value: float, digits: int) -> str:
    """With its sign, also where it is above 0; a real minus."""
    return f"{value:+,.{digits}f}".replace("-", "−")
