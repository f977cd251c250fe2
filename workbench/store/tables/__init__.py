"""All tables, one aggregate per file. Importing this package registers every table on `Table.metadata`."""

from workbench.store.tables import (
    algo,
    arena,
    audit,
    backtest,
    bot,
    collected,
    event,
    execution,
    job,
    pipeline,
    quality,
    risk,
    strategy,
    trading,
    universe,
)

__all__ = [
    "algo",
    "arena",
    "audit",
    "backtest",
    "bot",
    "collected",
    "event",
    "execution",
    "job",
    "pipeline",
    "quality",
    "risk",
    "strategy",
    "trading",
    "universe",
]
