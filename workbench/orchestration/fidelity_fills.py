"""Two lists of fills side by side, and in words what differs: the exchange's and a backtest's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.backtest.simulation import Simulation
    from workbench.orchestration.fidelity_replay import Played

KEY = ["session", "symbol", "side"]
FILL_COLUMNS = (
    *KEY,
    "qty_exchange",
    "qty_backtest",
    "qty_difference",
    "price_exchange",
    "price_backtest",
    "price_difference_bp",
    "why",
)
# The exchange keeps nine decimals of a price; two floats that stand for the same nine decimals differ by less.
TICK = 1e-9
_BP = 1e4


def compared(played: Played, simulation: Simulation, weights: pd.DataFrame) -> pd.DataFrame:
    """One row per session, symbol and side in which either world filled something, in the order of sessions.

    Args:
        weights: what the backtest wished (session × symbol).

    Returns:
        `FILL_COLUMNS`: shares (0 where a side has no fill), their difference (exchange − backtest), mean prices (NaN
        where there is none), their difference in basis points of the backtest's (+: the exchange's was worse for the
        owner of the order), and `why`.
    """
    orders = simulation.orders
    theirs = _summed(
        [(f.session, f.symbol, f.side.value, float(f.qty), float(f.qty * f.price)) for f in played.fills], "exchange"
    )
    ours = _summed(list(zip(*(orders[name] for name in (*KEY, "qty", "value")), strict=True)), "backtest")
    rows = theirs.join(ours, how="outer").reset_index().sort_values(["session", "side", "symbol"], ignore_index=True)
    rows["side"] = rows["side"].astype(str)
    rows[["qty_exchange", "qty_backtest"]] = rows[["qty_exchange", "qty_backtest"]].fillna(0.0)
    rows["qty_difference"] = rows["qty_exchange"] - rows["qty_backtest"]
    sign = rows["side"].map({"buy": 1.0, "sell": -1.0}).astype(float)
    gap = rows["price_exchange"] - rows["price_backtest"]
    rows["price_difference_bp"] = sign * gap.where(~(gap.abs() <= TICK), 0.0) / rows["price_backtest"] * _BP
    reasons = _Reasons(played, simulation, weights)
    rows["why"] = [reasons.of(row) for row in rows.to_dict("records")]
    return rows[list(FILL_COLUMNS)]


def _summed(rows: list[tuple[Any, ...]], world: str) -> pd.DataFrame:
    """Shares and mean price by key: an order may be filled in parts."""
    frame = pd.DataFrame(rows, columns=[*KEY, "qty", "value"]).astype({"qty": float, "value": float})
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    total = frame.groupby(KEY)[["qty", "value"]].sum()
    return pd.DataFrame({f"qty_{world}": total["qty"], f"price_{world}": total["value"] / total["qty"]})


class _Reasons:
    """Why two fills differ, the deepest cause first."""

    def __init__(self, played: Played, simulation: Simulation, weights: pd.DataFrame) -> None:
        self.played = played
        self.weights = weights
        self.decided_before = dict(zip(weights.index[1:], weights.index[:-1], strict=True))
        orders = simulation.orders
        self.reference = {
            key: float(price)
            for *key_parts, price in zip(*(orders[name] for name in (*KEY, "reference_price")), strict=True)
            for key in [tuple(key_parts)]
        }
        self.first: pd.Timestamp | None = None

    def of(self, row: Mapping[Any, Any]) -> str:
        """In words; `equal` where nothing differs. Rows must come in the order of sessions."""
        same_qty = abs(row["qty_difference"]) <= TICK * max(1.0, row["qty_backtest"])
        gap = abs(row["price_exchange"] - row["price_backtest"])
        if same_qty and gap <= TICK:
            return "equal"
        said = self._said(row, same_qty=same_qty)
        if not same_qty and self.first is None:
            self.first = row["session"]
        return said

    def _said(self, row: Mapping[Any, Any], *, same_qty: bool) -> str:
        session, symbol = row["session"], row["symbol"]
        decided = self.decided_before[session]
        live = self.played.wishes.get(decided, {}).get(symbol, np.nan)
        past = float(self.weights.loc[decided, symbol])
        if not (live == past or (np.isnan(live) and np.isnan(past))):
            return (
                f"wished {_weight(live)} with what was known at the close of {decided.date()}, but {_weight(past)} in "
                "the backtest: the strategy looks ahead, or does not answer the same question the same way twice"
            )
        if (session, symbol) in self.played.refused:
            return f"the exchange refused the order: {self.played.refused[session, symbol]}"
        parts = [] if same_qty else [self._about_qty(row)]
        if row["qty_exchange"] and row["qty_backtest"] and abs(row["price_exchange"] - row["price_backtest"]) > TICK:
            parts.append(self._about_price(row))
        return "; ".join(parts)

    def _about_qty(self, row: Mapping[Any, Any]) -> str:
        session, symbol = row["session"], row["symbol"]
        signed = float(self.played.ordered.get((session, symbol), 0))
        ordered, side = abs(signed), "buy" if signed > 0.0 else "sell"
        if signed and side != row["side"]:
            return f"the desk had an order to {side} {ordered:g} shares"
        if not row["qty_exchange"]:
            return (
                f"the order of {ordered:g} shares lapsed on the exchange" if ordered else "no order was due by the desk"
            )
        if row["qty_exchange"] < ordered:
            return f"{row['qty_exchange']:g} of {ordered:g} shares filled on the exchange, the rest lapsed"
        if not row["qty_backtest"]:
            return "the backtest by its rules had nothing to do here, or the opposite"
        if row["qty_backtest"] != round(row["qty_backtest"]):
            return "the desk sizes with the close, in whole shares, and leaves a cushion; the backtest at the fill"
        return "the desk sizes with the close of the decision" + (
            f", and the books differ since {self.first:%Y-%m-%d}" if self.first is not None else ""
        )

    def _about_price(self, row: Mapping[Any, Any]) -> str:
        reference = self.reference[row["session"], row["symbol"], row["side"]]
        sign = 1.0 if row["side"] == "buy" else -1.0
        worse = [sign * (row[name] / reference - 1.0) * _BP for name in ("price_exchange", "price_backtest")]
        return f"price: {worse[0]:.2f} bp worse than {reference:g} on the exchange, {worse[1]:.2f} in the backtest"


def _weight(weight: float) -> str:
    return "nothing" if np.isnan(weight) else f"{weight:.4f}"
