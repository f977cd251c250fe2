"""Is it a handful of lucky trades? What is left when the best 1, 5 and 10 per cent of them never happened."""

from __future__ import annotations

import math

import pandas as pd

from workbench.backtest.audit.check import FAIL, PASS, WARN, Check, Subject, many, percent

SHARES = (0.01, 0.05, 0.10)
# Below this many trades, one of them is more than the 5 per cent that the question is about.
FEW = 20

WHY = (
    "If a few trades made all the money, the record says nothing about the next ones: it is as long as the number of "
    "those trades."
)
THRESHOLD = (
    "FAIL when nothing is left without the best 1 % (at least one trade); WARN when nothing is left without the best "
    f"10 %, or when there are fewer than {FEW} trades, or no profit."
)


def check(subject: Subject) -> Check:
    """Sum the profit of the trades without the best of them. Open trades count with their value at the last close."""
    pnl = subject.simulation.trades["pnl"].astype(float).sort_values(ascending=False).reset_index(drop=True)
    cash = subject.history.study.initial_cash
    numbers = pd.DataFrame([_without(pnl, share, cash=cash) for share in (0.0, *SHARES)])
    left = dict(zip(numbers["share_dropped"], numbers["pnl"], strict=True))
    returns = dict(zip(numbers["share_dropped"], numbers["return"], strict=True))
    summary = {f"return_without_best_{round(share * 100)}pct": float(returns[share]) for share in SHARES}

    def found(verdict: str, headline: str) -> Check:
        return Check("trades", verdict, headline, numbers, WHY, THRESHOLD, summary)

    if not len(pnl):
        return found(WARN, "It never traded: there is no trade that could be lucky.")
    if left[0.0] <= 0:
        return found(
            WARN, f"Its {many(len(pnl), 'trade')} lost {-left[0.0]:,.0f} together: there is no profit to lose."
        )
    headline = (
        f"The {many(len(pnl), 'trade')} earned {percent(returns[0.0])} of the initial cash; without the best 1 % of "
        f"them {percent(returns[0.01])} are left, without 5 % {percent(returns[0.05])}, without 10 % "
        f"{percent(returns[0.10])}."
    )
    if len(pnl) < FEW:
        best = percent(float(pnl.iloc[0] / left[0.0]))
        return found(WARN, f"{len(pnl)} trades are too few to say; the best of them is {best} of the profit.")
    if left[0.01] <= 0:
        return found(FAIL, headline)
    return found(WARN if left[0.10] <= 0 else PASS, headline)


def _without(pnl: pd.Series, share: float, *, cash: float) -> dict[str, float]:
    """What is left of the profits (best first) without the best `share` of them, at least one where share > 0."""
    dropped = math.ceil(round(share * len(pnl), 9))
    kept = pnl.iloc[dropped:]
    lost = -float(kept[kept < 0].sum())
    return {
        "share_dropped": share,
        "trades_dropped": dropped,
        "trades": len(kept),
        "pnl": float(kept.sum()),
        "return": float(kept.sum() / cash),
        "win_rate": float((kept > 0).mean()) if len(kept) else math.nan,
        "profit_factor": float(kept[kept > 0].sum() / lost) if lost > 0 else math.nan,
    }
