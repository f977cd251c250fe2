"""Insert: the INSERT of a database that can say what happens where the row is there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def insert_of(bind: Engine | Connection) -> Callable[[Any], Any]:
    """`insert(table)` in the dialect of an engine or a connection, with `on_conflict_do_nothing` and `…_do_update`."""
    from sqlalchemy.dialects import postgresql, sqlite

    return postgresql.insert if bind.dialect.name == "postgresql" else sqlite.insert
