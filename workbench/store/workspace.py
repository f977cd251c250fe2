"""Workspace: the explicit box that is passed down from a surface: database, vintages, folder of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.store.engine import open_engine

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the answers of one machine live. Nothing below a surface reads settings; it is handed one of these.

    Attributes:
        home: folder of user state.
        engine: the open database, schema up to date.
        vintages_url: fsspec URL of the vintages (market data).
    """

    home: Path
    engine: Engine
    vintages_url: str

    @classmethod
    def open(cls, home: Path, *, database_url: str = "", vintages_url: str = "") -> Workspace:
        """Open (and create or migrate) a workspace. Raises StoreError when the database cannot be opened."""
        home = home.expanduser().resolve()
        home.mkdir(parents=True, exist_ok=True)
        engine = open_engine(database_url or f"sqlite:///{home / 'workbench.db'}")
        engine.update_execution_options(workbench_home=str(home))  # where the kill files lie, for whoever holds it
        return cls(
            home=home,
            engine=engine,
            vintages_url=vintages_url or (home / "vintages").as_uri(),
        )

    @property
    def runs(self) -> Path:
        """Folder of executed notebooks, logs, reports and artifacts."""
        return self.home / "runs"

    @property
    def artifacts(self) -> Path:
        """Folder of backtest answers, one folder per run."""
        return self.home / "backtests"

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()
