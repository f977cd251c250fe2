"""The day in short: who did how well and with which odds, was the best one luck, what was decided and traded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.report.tables import ABSENT, Table, table

if TYPE_CHECKING:
    from workbench.arena.decision import Decision
    from workbench.run import Run

_LIKELY, _OPEN = 0.95, 0.5
# Numbers of the honesty table that are probabilities or fractions, and those that are counts.
_CHANCES = {
    "psr", "dsr", "pbo", "pbo_loss", "spa_lower", "spa_consistent", "spa_upper", "spa_studentised", "white", "ruin",
    "drawdown_median", "drawdown_worst_5", "loss_chance", "trade_drawdown_worst_5",
}  # fmt: skip
_COUNTS = {"trials", "record", "record_needed", "superior"}


def scoreboard(comparison: pd.DataFrame) -> Table:
    """One row per strategy from `backtest.runs.compare`: result, risk, cost, and the odds that the result is luck.

    Columns: cagr, Sharpe with its 95 % interval, the worst drawdown, cost (currency), psr (probability that the true
    Sharpe ratio is above 0), dsr (the same, above what the best of `tried` worthless strategies would show).
    """
    rows = [
        {
            "strategy": title,
            "cagr": _percent(row["cagr"]),
            "sharpe (95 %)": f"{_plain(row['sharpe'])} ({_plain(row['sharpe_low'])} … {_plain(row['sharpe_high'])})",
            "drawdown": _percent(row["max_drawdown"]),
            "cost": _whole(row["cost"]),
            "psr": _percent(row["psr"]),
            "dsr": _percent(row["dsr"]),
            "tried": _whole(row["trials"]),
        }
        for title, row in _rows(comparison)
    ]
    return table(pd.DataFrame(rows), index=False)


def luck(comparison: pd.DataFrame, *, benchmark: Run) -> str:
    """Is the best Sharpe ratio of a comparison more than luck, and more than the benchmark? In words, with numbers."""
    best = _best(comparison, benchmark)
    if best is None:
        return "No strategy traded, so there is nothing that could be luck."
    title, row = best
    head = (
        f"{title} has the best Sharpe ratio of the strategies, {row['sharpe']:.2f} "
        f"(95 % interval {_plain(row['sharpe_low'])} … {_plain(row['sharpe_high'])})."
    )
    tried = _whole(row["trials"])
    if math.isnan(row["dsr"]):
        odds = f"The odds that it is luck are undefined: {tried} strategies tried, too few returns."
    else:
        odds = (
            f"Taken alone it is above 0 with probability {_percent(row['psr'])}; against the best of {tried} "
            f"strategies tried on this data, with {_percent(row['dsr'])}: {_verdict(row['dsr'])}."
        )
    return f"{head}\n{odds}\n{_against(row, benchmark)}"


def odds(run: Run) -> Table:
    """Is it luck? The honesty table of a backtest or a sweep: each number with what it means, in plain words.

    Raises:
        NoData: the run has no table `luck`.
    """
    frame = run.table("luck")
    values = [_odd(str(name), float(value)) for name, value in frame["value"].items()]
    return table(pd.DataFrame({"": frame.index, "value": values, "meaning": frame["meaning"].to_list()}), index=False)


def in_short(
    *, benchmark: Run, runs: Sequence[Run], comparison: pd.DataFrame, decisions: Sequence[Decision], trading: Run
) -> Table:
    """The day on ten lines: question, data, result against the benchmark, odds, decisions, orders, cost, book."""
    actions = Counter(str(decision.action) for decision in decisions)
    counted = ", ".join(f"{actions[name]} {name}" for name in ("buy", "hold", "sell", "abstain") if actions[name])
    spent = sum(float(decision.cost) for decision in decisions)
    done = trading.summary
    lines = {
        "question": trading.study.line,
        "data": trading.label,
        "buy and hold": f"{_percent(benchmark.summary['cagr'])} a year, Sharpe {_plain(benchmark.summary['sharpe'])}",
    }
    best = _best(comparison, benchmark)
    if best is not None:
        title, row = best
        lines[f"best of {len(runs)}"] = f"{title}: {_percent(row['cagr'])} a year, Sharpe {_plain(row['sharpe'])}"
        lines["is it luck?"] = (
            f"Sharpe above 0: {_percent(row['psr'])}; above the best of {_whole(row['trials'])} worthless ones: "
            f"{_percent(row['dsr'])}. {_against(row, benchmark)}"
        )
    lines |= {
        "arena (rules)": f"{counted}; it cost {_money(spent)}",
        "trading": trading.title,
        "orders": (
            f"{_whole(done['orders'])} placed, {_whole(done['filled'])} filled, {_whole(done['refused'])} refused by a "
            f"limit, {_whole(done['reduced'])} taken away by the arena"
        ),
        "shortfall": (
            f"{_money(done['shortfall'])} against the closes that the orders were sized with, on "
            f"{_money(done['traded_value'])} traded"
        ),
        "book after it": f"equity {_money(done['equity'])}, cash {_money(done['cash'])}",
        "agrees with the broker": (
            "yes: orders, fills, positions and cash"
            if done["discrepancies"] == 0
            else f"NO: {_whole(done['discrepancies'])} differences"
        ),
    }
    return table(pd.DataFrame({"": list(lines), "the day in short": list(lines.values())}), index=False)


def _rows(comparison: pd.DataFrame) -> Iterator[tuple[str, dict[str, float]]]:
    for title, row in zip(comparison.index, comparison.to_dict("records"), strict=True):
        yield str(title), {str(name): float(value) for name, value in row.items()}


def _best(comparison: pd.DataFrame, benchmark: Run) -> tuple[str, dict[str, float]] | None:
    """The strategy with the highest Sharpe ratio; the benchmark does not compete, an undefined one cannot win."""
    rows = [(title, row) for title, row in _rows(comparison) if title != benchmark.title]
    known = [(title, row) for title, row in rows if not math.isnan(row["sharpe"])]
    return max(known, key=lambda one: one[1]["sharpe"]) if known else None


def _verdict(dsr: float) -> str:
    if dsr >= _LIKELY:
        return "more than luck, as far as this data can tell"
    return "not proven, luck remains a serious explanation" if dsr >= _OPEN else "most likely luck"


def _against(row: dict[str, float], benchmark: Run) -> str:
    """Did it beat doing nothing? Said in money, with the risk beside it."""
    theirs = benchmark.summary["cagr"]
    if theirs is None or math.isnan(row["cagr"]):
        return "It cannot be compared with buying and holding: one of the two has no return."
    word = "more" if row["cagr"] > theirs else "less"
    return (
        f"It earned {word} than buying and holding ({_percent(row['cagr'])} against {_percent(theirs)} a year; "
        f"worst drawdown {_percent(row['max_drawdown'])} against {_percent(benchmark.summary['max_drawdown'])})."
    )


def _odd(name: str, value: float) -> str:
    if name in _CHANCES:
        return _percent(value)
    return _whole(value) if name in _COUNTS else _plain(value)


def _percent(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:.1%}"


def _plain(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:,.2f}"


def _whole(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:,.0f}"


def _money(value: float | None) -> str:
    if value is None or math.isnan(value):
        return ABSENT
    return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"
