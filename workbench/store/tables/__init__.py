"""All tables, one aggregate per file. Importing this package registers every table on `Table.metadata`."""

from workbench.store.tables import arena, audit, backtest, execution, job, market, pipeline, strategy, trading

__all__ = ["arena", "audit", "backtest", "execution", "job", "market", "pipeline", "strategy", "trading"]
