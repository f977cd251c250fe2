"""An engine on the same database whose commits do not wait for the disk: for counts that a power cut may shorten.

A commit is as atomic and as visible to every process as any other, and it survives the end of the process. Only when
the machine itself stops may the last moments be gone. It is faster by the time of a write to the disk.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from workbench.store.engine import open_engine
from workbench.store.schema import Table
from workbench.store.tables.connector import ConnectorCountRow, ConnectorMinuteRow, ConnectorRow


def relaxed(engine: Engine) -> Engine:
    """A second engine on the database of `engine`; dispose of it when done. A database in memory has only itself."""
    if engine.dialect.name == "sqlite" and engine.url.database in {None, "", ":memory:"}:
        return engine
    opened = open_engine(engine.url.render_as_string(hide_password=False), migrate=False)
    event.listen(opened, "connect", _sqlite if engine.dialect.name == "sqlite" else _postgresql)
    return opened


def of_this_process() -> Engine:
    """A database in memory with the tables of the connectors only; one connection, so its users take turns."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    tables: list[Any] = [ConnectorRow.__table__, ConnectorMinuteRow.__table__, ConnectorCountRow.__table__]
    Table.metadata.create_all(engine, tables=tables)
    return engine


def _sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL").close()


def _postgresql(connection: Any, _record: Any) -> None:
    connection.execute("SET synchronous_commit TO off")
    connection.commit()
