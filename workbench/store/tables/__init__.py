"""All tables, one aggregate per file. Importing this package registers every table on `Table.metadata`."""

from workbench.store.tables import (
    algo,
    arena,
    audit,
    backtest,
    bot,
    event,
    execution,
    job,
    market,
    pipeline,
    risk,
    strategy,
    trading,
)

__all__ = [
    "algo",
    "arena",
    "audit",
    "backtest",
    "bot",
    "event",
    "execution",
    "job",
    "market",
    "pipeline",
    "risk",
    "strategy",
    "trading",
]
