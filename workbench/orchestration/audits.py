"""One audit, from a name to a page: build the strategy, load the history, ask every check, write the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.history import History
    from workbench.run import Run
    from workbench.store.workspace import Workspace
    from workbench.study import Study


def audit_strategy(
    name: str,
    params: Mapping[str, Any],
    study: Study,
    workspace: Workspace,
    load: Callable[[Study], History],
    *,
    costs: Costs | None = None,
    rules: FillRules | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    path: Path | None = None,
) -> tuple[Run, Path]:
    """Audit a registered strategy and write its page.

    Args:
        name: of the strategy, e.g. `sma_cross`.
        params: its parameters; text is read as the field's type, JSON where the field is no plain value.
        load: gives the history of a study, e.g. `bench.load`.
        progress: called with (checks done, checks to do, the one at work).
        path: where the page goes; the workspace's `reports` when None.

    Returns:
        The Run of kind `audit` (a stored one where the same was asked before), and the page.

    Raises:
        ParameterError: no such strategy or parameter, or a wrong value; nothing was asked.
        DataError: there is no history.
        BacktestError: the strategy cannot be replayed on it.
    """
    from workbench.backtest.audit.auditing import audit
    from workbench.report.verdict import write_verdict
    from workbench.strategies.schema import read_texts

    strategy = read_texts(name, params)
    run = audit(strategy, load(study), workspace=workspace, costs=costs, rules=rules, progress=progress)
    return run, write_verdict(run, workspace=workspace, path=path)
