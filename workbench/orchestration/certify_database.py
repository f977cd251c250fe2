"""The database of a certificate: a file of its own, or a schema of its own where the workspace is on PostgreSQL."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import text

from workbench.store.engine import open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@contextlib.contextmanager
def database_of(engine: Engine, folder: Path) -> Iterator[tuple[Engine, str]]:
    """An empty database of the same kind as `engine`, with its URL; it is removed at the end.

    What a certificate writes must not stand among the owner's orders. On PostgreSQL the owner of the workspace must be
    allowed to create a schema in its database.
    """
    if engine.dialect.name == "postgresql":
        name = f"certify_{secrets.token_hex(6)}"
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
        url = engine.url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    else:
        name, url = "", f"sqlite:///{folder / 'certify.db'}"
    opened = open_engine(url)
    try:
        yield opened, url
    finally:
        opened.dispose()
        if name:
            with engine.begin() as connection:
                connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
