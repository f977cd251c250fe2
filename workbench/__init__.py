"""A Jupyter-first quant workbench. `import workbench as wb`; everything heavy is loaded when it is first used.

The day in seven calls::

    bench = wb.open()
    study = wb.Study.of(["AAPL", "MSFT"], start="2013-01-02", as_of="2022-06-30")
    history = bench.load(study)
    run = bench.backtest(bench.strategy("momentum"), history)
    decisions = bench.decide(history)
    book = bench.trade(bench.strategy("momentum"), history, decisions)
    wb.tearsheet(run)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # for editors and mypy; at run time `__getattr__` loads each name when it is first used
    from workbench.backtest.costs import Costs as Costs
    from workbench.backtest.fill_rules import FillRules as FillRules
    from workbench.bench import Bench as Bench
    from workbench.bench import open_bench as open  # noqa: A004, F401 - `wb.open()` is how the day begins
    from workbench.bench import sweep as sweep
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.lab.strategy_form import strategy_form as strategy_form
    from workbench.orchestration.outputs import record as record
    from workbench.report import figures as figures
    from workbench.report.shown import show as show
    from workbench.report.summary import in_short as in_short
    from workbench.report.summary import luck as luck
    from workbench.report.summary import odds as odds
    from workbench.report.summary import scoreboard as scoreboard
    from workbench.report.tables import table as table
    from workbench.report.tearsheet import tearsheet as tearsheet
    from workbench.report.verdict import Verdict as Verdict
    from workbench.run import Run as Run
    from workbench.study import Study as Study

# public name -> (module, name inside; empty: the module itself)
_FACE = {
    "Bench": ("workbench.bench", "Bench"),
    "Costs": ("workbench.backtest.costs", "Costs"),
    "FillRules": ("workbench.backtest.fill_rules", "FillRules"),
    "Run": ("workbench.run", "Run"),
    "Study": ("workbench.study", "Study"),
    "Verdict": ("workbench.report.verdict", "Verdict"),
    "WorkbenchError": ("workbench.errors", "WorkbenchError"),
    "figures": ("workbench.report.figures", ""),
    "in_short": ("workbench.report.summary", "in_short"),
    "luck": ("workbench.report.summary", "luck"),
    "odds": ("workbench.report.summary", "odds"),
    "open": ("workbench.bench", "open_bench"),
    "scoreboard": ("workbench.report.summary", "scoreboard"),
    "record": ("workbench.orchestration.outputs", "record"),
    "show": ("workbench.report.shown", "show"),
    "table": ("workbench.report.tables", "table"),
    "strategy_form": ("workbench.lab.strategy_form", "strategy_form"),
    "sweep": ("workbench.bench", "sweep"),
    "tearsheet": ("workbench.report.tearsheet", "tearsheet"),
}

__all__ = [  # noqa: PLE0604 - the face is a table
    "__version__",
    *sorted(_FACE),
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}; it has {', '.join(sorted(_FACE))}")
    module, attribute = _FACE[name]
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE})
