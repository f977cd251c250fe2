"""Simulation: what came out of a replay, whichever engine made it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

ORDER_COLUMNS = (
    "symbol",
    "decided",
    "session",
    "side",
    "qty",
    "price",
    "reference_price",
    "value",
    "fee",
    "slippage",
    "spread",
    "impact",
    "held",
    "reason",
)
FINANCING_COLUMNS = ("borrow", "interest", "dividends", "delisted")


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came out of a replay; every frame has the sessions (or intraday moments) of the weights as its index.

    Attributes:
        equity: book value at each close, in currency. The first row is the initial cash, because the first wish is
            decided at the first close and filled a bar later (with `same_close`: less the costs of the first fills).
        returns: simple return of the equity from the bar before; one row fewer than `equity`. Under `same_close` the
            first one counts from the initial cash, so that the costs of the first close are in it. NaN where the
            equity before was not above 0.
        orders: one row per fill, in the order of filling, see `ORDER_COLUMNS`: `decided` (bar of the wish), `session`
            (bar of the fill), `side`, `qty` in shares, `price` paid, `reference_price` before costs, `value` (qty ×
            price), the costs `fee`, `slippage`, `spread` and `impact` in currency, ≥ 0 (the last three are in the price
            already: they add up to qty × |price − reference_price|), `held` (signed shares after the fill), `reason`
            (`wish`, or `ruin` where the book was closed because nothing was left).
        trades: round trips, see `workbench.backtest.trades.round_trips`.
        positions: signed shares held after each bar (session × symbol); negative is short.
        cash: cash after each bar; ≥ 0 while nothing is short and `max_gross` is at most 1.
        exposure: value of the holdings / equity at each close, shorts counted as negative; 0 when nothing is held.
        gross: the same with shorts counted as positive.
        execution_price: `next_open`, `next_close` or `same_close`: where the wishes were filled.
        engine: who computed it: `vectorbt` or `replay`.
        financing: cash that came (+) or went (−) without a fill, in currency (session × `FINANCING_COLUMNS`): `borrow`
            (fees on shorts, ≤ 0), `interest` on cash (margin interest is negative), `dividends` (owed by shorts:
            negative), `delisted` (what holdings became when their symbol was delisted).
        ruined: the bar at whose close the equity was 0 or less; from there on nothing is held. None: it never was.
    """

    equity: pd.Series
    returns: pd.Series
    orders: pd.DataFrame
    trades: pd.DataFrame
    positions: pd.DataFrame
    cash: pd.Series
    exposure: pd.Series
    gross: pd.Series
    execution_price: str
    engine: str
    financing: pd.DataFrame
    ruined: pd.Timestamp | None = None
