"""Write `docs/metrics.md`: every metric from the registry, and the disagreements from the golden answers.

    .venv/bin/python tests/refresh_metrics_page.py

A test holds the page equal to what this writes; the numbers in it are recomputed by `test_disagreements.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.backtest.metrics.kpi import GROUPS
from workbench.backtest.metrics.kpis import KPIS

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
ANSWERS = Path(__file__).parent / "answers" / "metrics.json"
PEERS = ("ours", "empyrical", "vectorbt", "quantstats", "ffn", "skfolio")
NAMES = {
    "returns": "Returns",
    "risk": "Deviation and shape",
    "drawdown": "Drawdown",
    "tail": "Tail",
    "ratio": "Ratios",
    "benchmark": "Against a benchmark",
    "trade": "Trades",
    "exposure": "Exposure",
    "cost": "Cost and turnover",
    "rolling": "Rolling",
    "calendar": "Calendar",
}
HEAD = """# Metrics

{count} metrics, {risk} of them measures of risk (●). Each is one function in `workbench/backtest/metrics/`; its
definition stands beside it, and this page is written from those definitions by `tests/refresh_metrics_page.py`. Each
has a golden value with its source in `tests/answers/metrics.json`: a printed one, another library's, or arithmetic by
hand.

```python
from workbench.backtest import metrics
from workbench.backtest.summary import kpi_table

metrics.sharpe(returns)  # one
metrics.all_kpis(returns)  # all, what is shared computed once
kpi_table(run, benchmark=other)  # all of a stored run, with formulas and sources
```

Rules for all of them. Returns are simple, per session (per bar on intraday data), in order. Unknown returns (NaN) are
left out, never counted as 0. `periods` is the number of sessions in a year, 252 unless said otherwise. Wealth starts at
1 before the first return. What has no answer is NaN, never 0 and never infinity, and ranks last; what is 0 is 0: a
strategy that never traded has a volatility of 0 and no Sharpe ratio. Losses and falls are negative (`var_95`,
`max_drawdown`); deviations and indices of pain are positive.

The probabilistic and the deflated Sharpe ratio, the minimum track record, intervals and tests of luck are in
`workbench/backtest/luck/`: they judge a number, these are the numbers.
"""


def page() -> str:
    """The whole text of the page."""
    answers = json.loads(ANSWERS.read_text(encoding="utf-8"))
    parts = [HEAD.format(count=len(KPIS), risk=sum(one.risk for one in KPIS))]
    parts += [f"## {NAMES[group]}\n\n{_definitions(group)}\n" for group in GROUPS]
    parts += [_disagreements(answers["disagreements"]), _printed(answers["performance_analytics"])]
    return "\n".join(parts)


def _definitions(group: str) -> str:
    rows = [
        (f"`{one.name}`{' ●' if one.risk else ''}", one.formula, one.unit, one.better, one.undefined, one.source)
        for one in KPIS
        if one.group == group
    ]
    return _table(("metric", "formula", "unit", "better", "NaN when", "source"), rows)


def _disagreements(section: dict[str, Any]) -> str:
    rows = [(row["metric"], *(_shown(row.get(peer)) for peer in PEERS), row["chosen"]) for row in section["rows"]]
    heads = ("metric", "ours", "empyrical", "vectorbt", "quantstats *", "ffn *", "skfolio", "what we chose, and why")
    return (
        "## Where libraries disagree\n\n"
        "The same 2,515 daily returns of the NASDAQ composite (2009-01-05 to 2018-12-31, Adj Close, S&P 500 as the\n"
        "benchmark, both in the arch wheel). The numbers of ours, empyrical-reloaded 0.7.1, vectorbt 1.2.0\n"
        "(`year_freq='252 days'`, but for the row *as shipped*) and skfolio 1.12.2 are recomputed by\n"
        "`tests/backtest/metrics/test_disagreements.py`. \\* quantstats 0.0.86 and ffn 1.4.1 were computed once, with\n"
        "those versions, and are recorded.\n"
        "An empty cell: the library was not asked, or has no such metric.\n\n"
        f"{_table(heads, rows)}\n"
    )


def _printed(section: dict[str, Any]) -> str:
    rows = [(row["metric"], f"{row['ours']:.7f}", row["printed"], row["chosen"]) for row in section["rows"]]
    return (
        "On the 24 monthly returns of Bacon's example, four of our definitions give another number than the help\n"
        "pages of R PerformanceAnalytics print. The printed values that we do agree with are among the golden ones.\n\n"
        f"{_table(('metric', 'ours', 'printed', 'what we chose, and why'), rows)}\n"
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.7f}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
