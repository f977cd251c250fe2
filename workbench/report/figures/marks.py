"""One mark per row: what was filled, what the arena thinks, how certain a metric is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from workbench.errors import NoData, ParameterError
from workbench.report.figures.canvas import finish, is_synthetic, nothing, plain, small
from workbench.report.theme import ACTION_COLOURS, ACTION_SHAPES, BLUE, GREY, PALETTE, VERMILLION


def fills(
    fills: pd.DataFrame,
    *,
    label: str,
    synthetic: bool | None = None,
    title: str = "Filled per symbol",
    currency: str = "USD",
) -> go.Figure:
    """Money bought (right) and sold (left) per symbol; without a fill the figure says that there was none.

    Args:
        fills: one row per fill, or per order, with columns symbol, side ("buy" or "sell"), qty (shares, > 0; the
            column `filled` counts instead where there is one) and price (paid, `currency` per share). Rows without
            quantity or price were not filled and are left out.

    Raises:
        ParameterError: a column is missing or a side is unknown.
    """
    quantity = "filled" if "filled" in fills.columns else "qty"
    rows = _with_columns(fills, ("symbol", "side", quantity, "price"), what="fills")
    rows = rows.astype({quantity: "float64", "price": "float64"})
    rows = rows[(rows[quantity] > 0) & rows["price"].notna()]
    drawn_on: dict[str, Any] = {"title": title, "label": label, "synthetic": is_synthetic(label, synthetic=synthetic)}
    if rows.empty:
        return nothing("no fill", text="fills: none", **drawn_on)
    side = rows["side"].map(lambda value: str(getattr(value, "value", value)).lower())
    unknown = sorted(set(side) - {"buy", "sell"})
    if unknown:
        raise ParameterError(f"fills has side={unknown[0]!r}, which is neither 'buy' nor 'sell'.", remedy="correct it.")
    money = rows[quantity] * rows["price"]
    table = money.groupby([rows["symbol"].astype(str), side]).sum().unstack().reindex(columns=["buy", "sell"])
    table = table.sort_index(ascending=False)
    figure = go.Figure()
    for name, sign, colour in (("buy", 1, BLUE), ("sell", -1, VERMILLION)):
        if table[name].notna().any():
            figure.add_bar(
                x=small(sign * table[name]),
                y=[plain(symbol) for symbol in table.index],
                orientation="h",
                name="bought" if sign > 0 else "sold",
                marker={
                    "color": colour,
                    "pattern": {
                        "shape": "" if sign > 0 else "/",
                        "fgcolor": "#FFFFFF",
                        "fillmode": "overlay",
                        "size": 5,
                    },
                },
                hovertemplate="%{y} · %{x:,.2f}",
            )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(title_text=f"money ({currency}); sold to the left of 0, bought to the right")
    figure.update_yaxes(title_text="symbol", type="category", showgrid=False)
    return finish(
        figure,
        text=f"fills: {len(rows)} in {len(table)} symbols, {int((side == 'buy').sum())} buys, "
        f"{int((side == 'sell').sum())} sells",
        **drawn_on,
        height=190 + 24 * max(4, len(table)),
        barmode="relative",
        bargap=0.35,
    )


def decisions(
    decisions: pd.DataFrame, *, label: str, synthetic: bool | None = None, title: str = "What the arena thinks"
) -> go.Figure:
    """Probability of rising per symbol, as a distance from one half; colour and shape say the action.

    Args:
        decisions: one row per symbol with columns symbol (or as the index), action ("buy", "hold", "sell", "abstain")
            and p_up (fraction). NaN means that there is no probability: the row says so and has no mark at one half.
            Without a row the figure says that there was no decision.

    Raises:
        ParameterError: a column is missing or an action is unknown.
    """
    if "symbol" not in decisions.columns and decisions.index.name == "symbol":
        decisions = decisions.reset_index()
    rows = _with_columns(decisions, ("symbol", "action", "p_up"), what="decisions").copy()
    drawn_on: dict[str, Any] = {"title": title, "label": label, "synthetic": is_synthetic(label, synthetic=synthetic)}
    if rows.empty:
        return nothing("no decision", text="decisions: none", **drawn_on)
    rows["action"] = rows["action"].map(lambda value: str(getattr(value, "value", value)).lower())
    unknown = sorted(set(rows["action"]) - set(ACTION_COLOURS))
    if unknown:
        raise ParameterError(
            f"decisions has action={unknown[0]!r}.", remedy=f"the actions are {', '.join(ACTION_COLOURS)}."
        )
    rows["p_up"] = rows["p_up"].astype("float64")
    rows["symbol"] = rows["symbol"].astype(str)
    rows = rows.sort_values(["p_up", "symbol"], ascending=[True, False], na_position="first")
    figure = go.Figure()
    known = rows.dropna(subset=["p_up"])
    stems_x = [value for p in known["p_up"] for value in (0.5, float(p), None)]
    stems_y = [value for symbol in known["symbol"] for value in (plain(symbol), plain(symbol), None)]
    figure.add_scatter(
        x=stems_x, y=stems_y, mode="lines", line={"color": GREY, "width": 1}, hoverinfo="skip", showlegend=False
    )
    for action, colour in ACTION_COLOURS.items():
        some = known[known["action"] == action]
        if len(some):
            figure.add_scatter(
                x=small(some["p_up"]),
                y=[plain(symbol) for symbol in some["symbol"]],
                mode="markers",
                name=action,
                marker={
                    "color": colour,
                    "symbol": ACTION_SHAPES[action],
                    "size": 12,
                    "line": {"width": 2, "color": colour},
                },
                hovertemplate="%{y} · p_up %{x:.3f}",
            )
    absent = rows[rows["p_up"].isna()]
    reach = max(0.1, float((known["p_up"] - 0.5).abs().max()) * 1.15) if len(known) else 0.1
    if len(absent):
        figure.add_scatter(
            x=[0.5 - 0.98 * reach] * len(absent),
            y=[plain(symbol) for symbol in absent["symbol"]],
            mode="text",
            text=[f"no probability ({action})" for action in absent["action"]],
            textposition="middle right",
            textfont={"color": GREY, "size": 11.5},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="probability of rising (p_up, fraction)", range=[0.5 - reach, 0.5 + reach])
    figure.update_yaxes(
        title_text="symbol",
        type="category",
        categoryorder="array",
        categoryarray=[plain(symbol) for symbol in rows["symbol"]],
        showgrid=False,
    )
    counts = ", ".join(f"{int(n)} {action}" for action, n in rows["action"].value_counts().sort_index().items())
    return finish(
        figure,
        text=f"decisions: {len(rows)} symbols, {counts}",
        **drawn_on,
        height=190 + 22 * max(4, len(rows)),
    )


def metric_intervals(
    metric: pd.DataFrame,
    *,
    name: str,
    unit: str = "",
    label: str,
    synthetic: bool | None = None,
    title: str | None = None,
    level: str = "95 %",
) -> go.Figure:
    """One metric with its bootstrap interval, per strategy.

    Args:
        metric: index = who was measured; columns value, low, high. A NaN value is said to be undefined; NaN bounds
            leave the point without a bar.
        name, unit: of the metric, for the axis.
        level: the coverage of the interval, as text.

    Raises:
        NoData: there is no row.
        ParameterError: a column is missing.
    """
    rows = _with_columns(metric, ("value", "low", "high"), what="metric")[["value", "low", "high"]].astype("float64")
    if rows.empty:
        raise NoData("metric has no row; nothing was drawn.", remedy="pass at least one row.")
    rows = rows.iloc[::-1]
    names = [plain(str(who)) for who in rows.index]
    figure = go.Figure()
    figure.add_scatter(
        x=small(rows["value"]),
        y=names,
        mode="markers",
        name=f"{plain(name)} and its {level} interval",
        marker={"color": PALETTE[0], "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": small((rows["high"] - rows["value"]).fillna(0).clip(lower=0)),
            "arrayminus": small((rows["value"] - rows["low"]).fillna(0).clip(lower=0)),
            "color": PALETTE[0],
            "thickness": 1.8,
            "width": 6,
        },
        customdata=small(rows[["low", "high"]]),
        hovertemplate="%{y} · %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
    )
    undefined = [who for who, value in zip(names, rows["value"], strict=True) if pd.isna(value)]
    if undefined:
        figure.add_scatter(
            x=[0.0] * len(undefined),
            y=undefined,
            mode="text",
            text=["undefined"] * len(undefined),
            textposition="middle right",
            textfont={"color": GREY},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text=plain(name) + (f" ({plain(unit)})" if unit else ""))
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=names, showgrid=False)
    return finish(
        figure,
        title=title or f"{name} with its {level} bootstrap interval",
        text=f"{name}: {len(rows)} with intervals",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=200 + 40 * max(2, len(rows)),
        showlegend=False,
        margin={"t": 56},
    )


def _with_columns(frame: pd.DataFrame, columns: tuple[str, ...], *, what: str) -> pd.DataFrame:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ParameterError(
            f"{what} has no column {missing[0]!r} (it has {', '.join(map(str, frame.columns))}).",
            remedy=f"pass a frame with the columns {', '.join(columns)}.",
        )
    return frame
