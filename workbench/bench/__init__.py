"""Bench: the verbs of the workbench over one workspace. `bench = wb.open()` is how a notebook begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.bench.accounts import Accounts
from workbench.settings import Settings
from workbench.store.workspace import Workspace

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.run import Run
    from workbench.strategy import Strategy
    from workbench.study import Study

__all__ = ["Bench", "open_bench", "sweep"]


class Bench(Accounts):
    """What one machine can be asked: the verbs of the trading day, of research and of accounts."""


def open_bench(**overrides: Any) -> Bench:
    """Read the settings of this machine, open its workspace, and return the verbs.

    Args:
        overrides: settings to use instead of those of the environment, e.g. `home="elsewhere"`.

    Raises:
        SettingsError: a setting has a wrong value.
        StoreError: the database cannot be opened.
    """
    settings = Settings.read(**overrides)
    workspace = Workspace.open(
        settings.resolved_home,
        database_url=settings.database_url,
        vintages_url=settings.vintages_url,
    )
    return Bench(workspace=workspace, settings=settings)


def sweep(
    strategy: type[Strategy] | str,
    grid: Mapping[str, Iterable[Any]],
    study: Study,
    *,
    costs: Costs | None = None,
    rules: FillRules | None = None,
    fixed: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **overrides: Any,
) -> Run:
    """Sweep a grid over a study in the workspace of this machine; see `Bench.sweep`.

    Args:
        overrides: settings to use instead of those of the environment, e.g. `compute="dask://host:8786"`.
    """
    bench = open_bench(**overrides)
    try:
        return bench.sweep(strategy, grid, study, costs=costs, rules=rules, fixed=fixed, progress=progress)
    finally:
        bench.workspace.close()
