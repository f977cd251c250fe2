"""Opening the database by URL: SQLite with WAL, foreign keys and a busy timeout, or PostgreSQL through psycopg 3."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from workbench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATIONS = Path(__file__).with_name("migrations")
# The newest revision in `migrations/versions`; a test holds the two together. Alembic itself is imported only when the
# schema is behind, because every kernel and every desk opens the database and would pay for it.
NEWEST = "0004"
BUSY_SECONDS = 30.0


def open_engine(url: str, *, migrate: bool = True) -> Engine:
    """Open the database at `url` (`sqlite:///path` or `postgresql://…`) and bring its schema up to date.

    Raises:
        StoreError: the dialect is neither, or the database cannot be reached.
    """
    parsed = make_url(url)
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    elif parsed.drivername == "postgresql+psycopg":
        engine = create_engine(parsed, pool_pre_ping=True)
    else:
        raise StoreError(
            f"database URL starts with {parsed.drivername!r}, which is not supported; nothing was opened.",
            remedy="use sqlite:///path/to/file.db or postgresql://user@host/name.",
        )
    if migrate:
        upgrade(engine)
    return engine


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision; a no-op when it is there already. Migrations only go forward."""
    if revision(engine) == NEWEST:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection, _tables_may_be_rebuilt(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            # Two processes may open a new database together; the second waits here and then finds nothing to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(7237811)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if engine.dialect.name == "sqlite" and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
            raise StoreError(
                f"{len(broken)} rows would lose what they refer to ({broken[0][0]} first); the schema was not changed.",
                remedy="restore the database from a copy, or ask for help with this one.",
            )


@contextmanager
def _tables_may_be_rebuilt(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by building a new one; what refers to it must not be checked on the way, only at the end.

    The switch has no effect inside a transaction, so it is thrown on the driver's own connection.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def revision(engine: Engine) -> str | None:
    """The schema revision the database is at, None when it is empty."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return found


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: commits at the end, rolls back on any exception. Objects stay readable afterwards.

    On SQLite the write lock is taken at the start (BEGIN IMMEDIATE), so a reader never fails halfway when it writes.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver's own habit breaks IMMEDIATE
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged intent survives a power cut
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Switch the file to WAL. SQLite does not wait for the lock of this switch, so several openers must take turns."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
