"""Auditing: every check of a strategy on one history, as a Run that is stored and found again."""

from __future__ import annotations

import dataclasses
import difflib
import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.backtest.answering import answer
from workbench.backtest.audit import costs as costs_check
from workbench.backtest.audit import delay, future, trades, universe, warm_up
from workbench.backtest.audit.check import FAIL, Check, Subject, said_by, total_return, worst
from workbench.backtest.costs import Costs
from workbench.backtest.engine import execution_price_for
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.luck import trials
from workbench.backtest.question import config_of, provenance_of, row_of
from workbench.errors import BacktestError, ParameterError
from workbench.run import Run
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.market.history import History
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy

    Progress = Callable[[int, int, str], None]

# In the order of the page: first what makes every number worthless, then how little takes the profit away.
CHECKS = {
    "future": future,
    "warm_up": warm_up,
    "delay": delay,
    "costs": costs_check,
    "trades": trades,
    "universe": universe,
}
_COLUMNS = ("check", "verdict", "headline", "why", "threshold")


def audit(
    strategy: Strategy,
    history: History,
    *,
    workspace: Workspace,
    costs: Costs | None = None,
    rules: FillRules | None = None,
    checks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Audit a strategy on a history, or find the stored audit of the identical question.

    Args:
        costs: of the replays; `Costs()` when None.
        rules: when and in which amounts wishes are filled; `FillRules()` when None.
        checks: names of `CHECKS`, all when None.
        progress: called with (checks done, checks to do, the one at work) before each question that is asked; what it
            raises ends the audit.

    Returns:
        A Run of kind `audit`: its table `checks` has one row per check (check, verdict, headline, why, threshold), and
        each check a table of its own name with what was measured; `checks_of` makes Checks of them again. The summary
        counts the verdicts and repeats the headline numbers. A check in whose world the strategy raises is a FAIL with
        the message; the others go on.

    Raises:
        ParameterError: no check has that name; nothing was asked.
        BacktestError: the strategy cannot be replayed in the world as it was.
    """
    names = _named(checks)
    costs, rules = costs or Costs(), rules or FillRules()
    rules = dataclasses.replace(rules, execution_price=execution_price_for(history.bars, rules.execution_price))
    config = config_of(
        history,
        costs=costs,
        rules=rules,
        strategy={
            "name": strategy.name,
            "hash": strategy.hash,
            "code": strategy.code_hash(),
            "params": strategy.params,
        },
        checks=list(names),
    )
    provenance = provenance_of(history)
    done: list[str] = []

    def before_each() -> None:
        if progress is not None:
            progress(len(done), len(names), names[len(done)])

    def compute(identifier: str) -> Run:
        before_each()
        subject = Subject.of(strategy, history, costs=costs, rules=rules, before_each=before_each)
        found = []
        for name in names:
            found.append(_checked(name, subject))
            done.append(name)
        if progress is not None:
            progress(len(names), len(names), "done")
        made = _run(found, subject, identifier, config=config, provenance=provenance)
        trials.remember_run(workspace.engine, made)
        return made

    return answer(workspace, row_of("audit", history, config, provenance), compute, title=strategy.line)


def checks_of(run: Run) -> list[Check]:
    """The checks of an audit, in the order of its page. Raises NoData when the run is no audit."""
    rows = run.table("checks").to_dict("records")
    return [
        Check(
            name=str(row["check"]),
            verdict=str(row["verdict"]),
            headline=str(row["headline"]),
            numbers=run.table(str(row["check"])),
            why=str(row["why"]),
            threshold=str(row["threshold"]),
        )
        for row in rows
    ]


def verdict_of(run: Run) -> str:
    """The verdict of an audit: the worst of its checks."""
    return worst(check.verdict for check in checks_of(run))


def _named(checks: Sequence[str] | None) -> tuple[str, ...]:
    if checks is None:
        return tuple(CHECKS)
    for name in checks:
        if name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, n=1)
            raise ParameterError(
                f"checks contains {name!r}, which is no check; nothing was asked.",
                remedy=f"did you mean {near[0]!r}?" if near else f"they are {', '.join(CHECKS)}.",
            )
    if not checks:
        raise ParameterError("checks is empty; nothing was asked.", remedy=f"they are {', '.join(CHECKS)}.")
    return tuple(name for name in CHECKS if name in set(checks))


def _checked(name: str, subject: Subject) -> Check:
    module = CHECKS[name]
    try:
        found: Check = module.check(subject)
    except BacktestError as error:  # what a strategy raises in a changed world, or wishes for there, is the finding
        message = said_by(error)
        headline = f"It could not be checked: {message}"
        return Check(name, FAIL, headline, pd.DataFrame({"stopped": [message]}), module.WHY, module.THRESHOLD)
    return found


def _run(
    found: list[Check], subject: Subject, identifier: str, *, config: dict[str, Any], provenance: dict[str, Any]
) -> Run:
    history = subject.history
    rows = [(check.name, check.verdict, check.headline, check.why, check.threshold) for check in found]
    numbers: dict[str, float] = {
        "checks": float(len(found)),
        **{name.lower(): float(sum(check.verdict == name for check in found)) for name in ("PASS", "WARN", "FAIL")},
        "sharpe": subject.sharpe(subject.simulation),
        "total_return": total_return(subject.simulation),
    }
    for check in found:
        numbers |= check.summary
    return Run(
        id=identifier,
        kind="audit",
        study=history.study,
        title=subject.strategy.line,
        label=history.label,
        config=config,
        config_hash=digest(config),
        summary={name: float(value) if math.isfinite(value) else None for name, value in numbers.items()},
        tables={
            "checks": pd.DataFrame(rows, columns=list(_COLUMNS)),
            **{check.name: check.numbers for check in found},
        },
        provenance=provenance,
        trace_id=trace_id(),
    )
