"""Implementation shortfall: what became of a paper portfolio's gain on its way to real fills, split by cause.

A. Perold, "The implementation shortfall: paper versus reality", Journal of Portfolio Management 14 (1988). The paper
portfolio trades all that was wished at the decision price, at once and for nothing; its gain less the real one is the
shortfall. It is above 0 where reality cost money. Every split here adds up to the total; what no cause explains is a
row of its own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import ParameterError

if TYPE_CHECKING:
    import plotly.graph_objects as go

SIDES: Mapping[str, float] = {"buy": 1.0, "sell": -1.0}
# The rows in their order, and what each one says.
CAUSES: Mapping[str, str] = {
    "cushion": "cash kept back so that a price rise until the fill is still paid for",
    "rounding": "shares that the lot did not allow",
    "timing": "sized with the prices of the decision instead of those of the fill",
    "sizing": "another quantity was ordered: the books differed, or the rules of sizing",
    "delay": "the market moved between the decision and the order",
    "price": "the fills were worse than the price that was counted on: spread, slippage and impact",
    "spread": "half the spread, paid on every share",
    "impact": "the fills were worse than that by the price's own move and our pressure on it",
    "fees": "commissions and fees",
    "missed": "shares that were ordered and not filled, and what they would have gained",
    "extra": "shares that were filled beyond the paper portfolio's",
    "quantity": "other quantities than on paper, and all that followed from them",
    "other": "what no fill explains: interest, borrowing, dividends",
}
BP = 1e4


@dataclass(frozen=True)
class Shortfall:
    """A shortfall and its causes.

    Attributes:
        title: what was measured.
        causes: one row per cause in the order of `CAUSES`: `cost` (currency, above 0: lost), `bp` (of `base`), `what`.
        rows: what it was computed from, with the costs by cause of each row; empty for a single order.
        base: what basis points are counted of, currency.
        label: what must be said about the data.
    """

    title: str
    causes: pd.DataFrame
    rows: pd.DataFrame
    base: float
    label: str
    currency: str = "USD"

    @property
    def total(self) -> float:
        """The whole shortfall, currency: the sum of the causes."""
        return math.fsum(self.causes["cost"])

    @property
    def total_bp(self) -> float:
        """The whole shortfall in basis points of `base`."""
        return self.total / self.base * BP

    @property
    def verdict(self) -> str:
        """In words: how much, and from what most of it came."""
        if abs(self.total_bp) < 5e-3 and self.causes["bp"].abs().max() < 5e-3:
            return f"{self.title}: reality gave what paper promised, to a hundredth of a basis point."
        lost = "less than" if self.total > 0 else "more than"
        said = (
            f"{self.title}: reality gave {self._money(abs(self.total))} ({abs(self.total_bp):,.1f} bp) {lost} paper "
            f"on {self._money(self.base)}."
        )
        against = self.causes[self.causes["cost"] > 0].sort_values("cost", ascending=False)
        helped = self.causes[self.causes["cost"] < 0].sort_values("cost")
        parts = [self._named(name, row) for name, row in against.head(2).iterrows()]
        if parts:
            said += f" The most was lost to {' and '.join(parts)}."
        if len(helped):
            name, row = next(helped.iterrows())
            said += f" {self._named(name, row).capitalize()} was gained."
        return said

    def figure(self) -> go.Figure:
        """The causes as a waterfall, static."""
        from workbench.report.figures.shortfall import waterfall

        return waterfall(self.causes, title=self.title, label=self.label, text=self.verdict, currency=self.currency)

    def _money(self, value: float) -> str:
        return f"{value:,.2f} {self.currency}"

    def _named(self, name: object, row: pd.Series) -> str:
        return f"{name} ({abs(row['bp']):,.1f} bp)"

    def __repr__(self) -> str:
        lines = [self.verdict]
        for name, row in self.causes.iterrows():
            lines.append(f"  {name:<10}{row['cost']:>16,.2f}{row['bp']:>12,.2f} bp   {row['what']}")
        lines.append(f"  {'total':<10}{self.total:>16,.2f}{self.total_bp:>12,.2f} bp")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = self.causes.to_html(float_format="{:,.2f}".format, escape=True)
        return f"<div><b>{html.escape(self.verdict)}</b>{table}</div>"


def of_order(
    fills: pd.DataFrame,
    *,
    side: str,
    ordered: float,
    decision_price: float,
    arrival_price: float | None = None,
    end_price: float | None = None,
    wished: float | None = None,
    half_spread: float | None = None,
    title: str = "The order",
    label: str = "",
    currency: str = "USD",
) -> Shortfall:
    """The shortfall of one order, or of one parent order with all its children.

    With s = ±1, D the decision price, A the arrival price, E the price at the end, p the price of a fill of q shares,
    F = Σq, W shares wished and O ordered:

        rounding  s·(W − O)·(E − D)         delay   s·F·(A − D)          fees  Σ fee
        missed    s·(O − F)·(E − D)         price   s·Σ q·(p − A)

    They add up to the paper gain s·W·(E − D) less the real one, s·Σ q·(E − p) − Σ fee. Basis points are of W·D. Where
    the half-spread h is known, `price` is split into `spread` = h·F and `impact`, the rest. Without A there is no
    `delay`: `price` counts from D.

    Args:
        fills: columns `qty` (> 0, shares), `price` and, if there were any, `fee` (≥ 0, currency). May be empty.
        side: `buy` or `sell`.
        ordered: shares > 0 that were ordered; `wished` what was wanted before rounding (`ordered` when None).
        end_price: when the rest was given up; needed where something was not filled.
        half_spread: currency per share ≥ 0.

    Raises:
        ParameterError: a number is missing, not finite or out of bounds; NaN is never counted as 0.
    """
    if side not in SIDES:
        raise ParameterError(f"side={side!r} is neither 'buy' nor 'sell'; nothing was computed.")
    sign, want = SIDES[side], ordered if wished is None else wished
    for name, value in (("ordered", ordered), ("wished", want), ("decision_price", decision_price)):
        positive(name, value)
    _fills(fills)
    qty, price = fills["qty"].astype(float), fills["price"].astype(float)
    filled = math.fsum(qty)
    paid = math.fsum(fills["fee"].astype(float)) if "fee" in fills else 0.0
    if filled > ordered * (1 + 1e-12):
        raise ParameterError(f"the fills add up to {filled:g}, more than ordered={ordered:g}; nothing was computed.")
    if want != filled and end_price is None:
        raise ParameterError(
            f"{want - filled:g} of {want:g} shares were not filled and end_price is missing; nothing was computed.",
            remedy="give the price at which the rest was given up.",
        )
    end = decision_price if end_price is None else positive("end_price", end_price)
    arrival = decision_price if arrival_price is None else positive("arrival_price", arrival_price)
    lost = sign * math.fsum(qty * (price - arrival))
    costs = {
        "rounding": sign * (want - ordered) * (end - decision_price),
        "delay": sign * filled * (arrival - decision_price),
        "price": lost,
        "fees": paid,
        "missed": sign * (ordered - filled) * (end - decision_price),
    }
    if arrival_price is None:
        del costs["delay"]
    if want == ordered:
        del costs["rounding"]
    if half_spread is not None:
        if not (math.isfinite(half_spread) and half_spread >= 0):
            raise ParameterError(f"half_spread={half_spread} must be finite and ≥ 0; nothing was computed.")
        costs |= {"spread": half_spread * filled, "impact": lost - half_spread * filled}
        del costs["price"]
    base = want * decision_price
    return Shortfall(title, causes_of(costs, base), pd.DataFrame(), base, label, currency)


def causes_of(costs: Mapping[str, float], base: float) -> pd.DataFrame:
    """Costs by cause (currency) as the frame of a `Shortfall`, in the order of `CAUSES`; basis points are of `base`."""
    rows = [(name, costs[name], costs[name] / base * BP, what) for name, what in CAUSES.items() if name in costs]
    return pd.DataFrame(rows, columns=["cause", "cost", "bp", "what"]).set_index("cause")


def positive(name: str, value: float) -> float:
    """`value` where it is finite and > 0. Raises ParameterError."""
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"{name}={value} must be finite and > 0; nothing was computed.")
    return float(value)


def _fills(fills: pd.DataFrame) -> None:
    missing = {"qty", "price"} - set(fills.columns)
    if missing:
        raise ParameterError(f"the fills have no column {min(missing)!r}; nothing was computed.")
    for name in ("qty", "price", "fee"):
        if name not in fills:
            continue
        values = fills[name].astype(float)
        wrong = values[~(values.map(math.isfinite) & ((values > 0) | ((values == 0) & (name == "fee"))))]
        if len(wrong):
            raise ParameterError(f"{name}={wrong.iloc[0]} of a fill is out of bounds; nothing was computed.")
