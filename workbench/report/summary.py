"""The day in short: who did how well and with which odds, was the best one luck, what was decided and traded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.report.tables import ABSENT, Table, table

if TYPE_CHECKING:
    from workbench.arena.decision import Decision
    from workbench.run import Run

_LIKELY, _OPEN = 0.95, 0.5


def scoreboard(comparison: pd.DataFrame) -> Table:
    """One row per strategy from `backtest.runs.compare`: result, risk, cost, and the odds that the result is luck.

    Columns: return and cagr (fractions in percent), volatility, Sharpe with its 95 % interval, worst drawdown, trades
    (round trips), cost (currency), psr (probability that the true Sharpe ratio is above 0), dsr (the same, above what
    the best of `tried` worthless strategies would show).
    """
    rows = [
        {
            "strategy": title,
            "return": _percent(row["total_return"]),
            "cagr": _percent(row["cagr"]),
            "volatility": _percent(row["annual_volatility"]),
            "sharpe": _plain(row["sharpe"]),
            "95 % interval": f"{_plain(row['sharpe_low'])} … {_plain(row['sharpe_high'])}",
            "worst drawdown": _percent(row["max_drawdown"]),
            "trades": _whole(row["trades"]),
            "cost": _whole(row["cost"]),
            "psr": _percent(row["psr"]),
            "dsr": _percent(row["dsr"]),
            "tried": _whole(row["trials"]),
        }
        for title, row in comparison.iterrows()
    ]
    return table(pd.DataFrame(rows), index=False)


def luck(comparison: pd.DataFrame) -> str:
    """In words: how likely it is that the best Sharpe ratio of `backtest.runs.compare` is more than luck."""
    ranked = comparison["sharpe"].dropna()
    if ranked.empty:
        return "No strategy traded, so there is nothing that could be luck."
    best = str(ranked.idxmax())
    row = comparison.loc[best]
    tried = int(row["trials"])
    head = (
        f"{best} has the best Sharpe ratio, {row['sharpe']:.2f} "
        f"(95 % interval {_plain(row['sharpe_low'])} … {_plain(row['sharpe_high'])})."
    )
    if math.isnan(row["dsr"]):
        return f"{head}\nThe odds that it is luck are undefined: {tried} strategies tried, too few returns."
    verdict = (
        "more than luck, as far as this data can tell"
        if row["dsr"] >= _LIKELY
        else "not proven: luck remains a serious explanation"
        if row["dsr"] >= _OPEN
        else "most likely luck"
    )
    return (
        f"{head}\n"
        f"Taken alone it is above 0 with probability {row['psr']:.1%}; against the best of {tried} strategies tried on "
        f"this data, with {row['dsr']:.1%}: {verdict}."
    )


def in_short(
    *, benchmark: Run, runs: Sequence[Run], comparison: pd.DataFrame, decisions: Sequence[Decision], trading: Run
) -> Table:
    """The day on ten lines: question, data, result against the benchmark, odds, decisions, orders, cost, book."""
    actions = Counter(str(decision.action) for decision in decisions)
    ranked = comparison["sharpe"].dropna()
    best = str(ranked.idxmax()) if len(ranked) else None
    spent = sum(float(decision.cost) for decision in decisions)
    done = trading.summary
    lines = [
        ("question", trading.study.line),
        ("data", trading.label),
        ("buy and hold", f"{_percent(benchmark.summary['cagr'])} a year, Sharpe {_plain(benchmark.summary['sharpe'])}"),
    ]
    if best is not None:
        row = comparison.loc[best]
        lines += [
            (f"best of {len(runs)}", f"{best}: {_percent(row['cagr'])} a year, Sharpe {_plain(row['sharpe'])}"),
            (
                "is it luck?",
                f"Sharpe above 0: {_percent(row['psr'])}; beyond the best of {_whole(row['trials'])} tried: "
                f"{_percent(row['dsr'])}",
            ),
        ]
    lines += [
        (
            "arena (rules)",
            ", ".join(f"{actions[action]} {action}" for action in ("buy", "hold", "sell", "abstain") if actions[action])
            + f"; it cost ${spent:,.2f}",
        ),
        ("trading", trading.title),
        (
            "orders",
            f"{_whole(done['orders'])} placed, {_whole(done['filled'])} filled, {_whole(done['refused'])} refused by a "
            f"limit, {_whole(done['reduced'])} taken away by the arena",
        ),
        (
            "shortfall",
            f"${_plain(done['shortfall'])} against the closes that the orders were sized with, on "
            f"${_plain(done['traded_value'])} traded",
        ),
        ("book after it", f"equity ${_plain(done['equity'])}, cash ${_plain(done['cash'])}"),
        (
            "agrees with the broker",
            "yes: orders, fills, positions and cash"
            if done["discrepancies"] == 0
            else f"NO: {_whole(done['discrepancies'])} differences",
        ),
    ]
    return table(pd.DataFrame(lines, columns=["", "the day in short"]), index=False)


def _percent(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:.1%}"


def _plain(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:,.2f}"


def _whole(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:,.0f}"
