"""All tables, one aggregate per file. Importing this package registers every table on `Table.metadata`."""

from workbench.store.tables import arena, audit, backtest, execution, market, pipeline, trading

__all__ = ["arena", "audit", "backtest", "execution", "market", "pipeline", "trading"]
