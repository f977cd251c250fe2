"""Does it live off being instant? Every wish comes one bar later, and two, and five."""

from __future__ import annotations

import pandas as pd

from workbench.backtest import metrics
from workbench.backtest.audit.check import FAIL, PASS, WARN, Check, Subject, percent, ratio, total_return

BARS = (0, 1, 2, 5)
# Of the Sharpe ratio: the share that may go, and the fall that is more than noise.
_FAIL, _WARN = (0.50, 0.20), (0.25, 0.10)

WHY = (
    "Data come late, a desk starts late, an order waits. What is gone one bar later was an artefact of the fill rule, "
    "or an edge that cannot be traded."
)
THRESHOLD = (
    f"One bar later, FAIL when more than {_FAIL[0]:.0%} of the Sharpe ratio and at least {_FAIL[1]:.2f} are gone; WARN "
    f"from {_WARN[0]:.0%} and {_WARN[1]:.2f} on, or when it is not above 0 to begin with."
)


def check(subject: Subject) -> Check:
    """Replay the same weights, shifted by some bars."""
    rows = []
    for bars in BARS:
        late = subject.simulation if bars == 0 else subject.replay(subject.weights.shift(bars))
        rows.append(
            {
                "bars_late": bars,
                "sharpe": subject.sharpe(late),
                "total_return": total_return(late),
                "max_drawdown": metrics.max_drawdown(late.returns),
            }
        )
    numbers = pd.DataFrame(rows)
    now, then = float(numbers["sharpe"].iloc[0]), float(numbers["sharpe"].iloc[1])
    summary = {"sharpe_one_bar_late": then, "return_one_bar_late": float(numbers["total_return"].iloc[1])}
    if subject.no_edge:
        return Check("delay", WARN, subject.no_edge, numbers, WHY, THRESHOLD, summary)
    lost = now - then if then == then else now  # noqa: PLR0124 - NaN differs from itself
    headline = (
        f"One bar later the Sharpe ratio is {ratio(then)} instead of {ratio(now)} "
        f"({_share(lost / now)}), the return {percent(float(numbers['total_return'].iloc[1]))} instead of "
        f"{percent(float(numbers['total_return'].iloc[0]))}."
    )
    verdict = PASS
    for name, (share, least) in ((WARN, _WARN), (FAIL, _FAIL)):
        if lost > share * now and lost >= least:
            verdict = name
    return Check("delay", verdict, headline, numbers, WHY, THRESHOLD, summary)


def _share(lost: float) -> str:
    return f"{lost:.0%} of it is gone" if lost >= 0.005 else "nothing of it is lost"
