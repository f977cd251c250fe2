import datetime as dt
from decimal import Decimal

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from workbench.errors import StoreError
from workbench.store import tables
from workbench.store.engine import MIGRATIONS, NEWEST, open_engine, revision, transaction, upgrade
from workbench.store.schema import Table
from workbench.store.tables.execution import FillRow, LeaseRow
from workbench.store.tables.universe import UniverseMemberRow

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)


def fill(**changes):
    values = {
        "account": "a",
        "execution_id": "e1",
        "broker_order_id": "b1",
        "symbol": "AAPL",
        "side": "buy",
        "qty": Decimal("1.000000001"),
        "price": Decimal("0.30"),
        "happened": NOW,
        "source": "stream",
        "trace_id": "t",
    }
    return FillRow(**{**values, **changes})


def test_schema_after_migrations_is_the_schema_of_the_tables(empty_database_url):
    assert tables.execution is not None
    engine = open_engine(empty_database_url, migrate=False)
    assert revision(engine) is None
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Table.metadata) == []
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    newest = revision(engine)
    engine.dispose()
    assert newest == NEWEST == ScriptDirectory.from_config(config).get_current_head()


def test_upgrade_twice_changes_nothing(engine):
    before = revision(engine)
    upgrade(engine)
    assert revision(engine) == before


def test_money_is_exact_and_time_keeps_its_zone(engine):
    with transaction(engine) as session:
        session.add(fill())
    with transaction(engine) as session:
        row = session.scalars(select(FillRow)).one()
    assert row.qty == Decimal("1.000000001")
    assert row.price * 3 == Decimal("0.90")
    assert row.happened == NOW
    assert row.happened.tzinfo is not None


def test_naive_time_and_infinite_money_are_refused(engine):
    for bad in (fill(happened=NOW.replace(tzinfo=None)), fill(price=Decimal("inf"))):
        with pytest.raises(Exception, match="not stored") as caught, transaction(engine) as session:
            session.add(bad)
        assert isinstance(caught.value, StoreError) or isinstance(caught.value.__cause__, StoreError)
    with transaction(engine) as session:
        assert session.scalars(select(FillRow)).all() == []


def test_an_execution_is_stored_once(engine):
    with transaction(engine) as session:
        session.add(fill())
    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add(fill(qty=Decimal(2)))


def test_foreign_keys_are_enforced(engine):
    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add(UniverseMemberRow(universe="nowhere", symbol="AAPL", entered=NOW))


def test_a_failed_transaction_leaves_nothing(engine):
    def write_and_fail():
        with transaction(engine) as session:
            session.add(fill())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with transaction(engine) as session:
        assert session.scalars(select(FillRow)).all() == []


def test_sqlite_is_in_wal_mode_with_foreign_keys(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() >= 1000
    engine.dispose()


def test_another_dialect_is_refused_with_a_remedy():
    with pytest.raises(StoreError, match="sqlite:///"):
        open_engine("mysql://localhost/x")


def test_two_openers_of_one_new_database_agree(empty_database_url):
    import threading

    errors = []

    def opener(name):
        try:
            opened = open_engine(empty_database_url)
            try:
                with transaction(opened) as session:
                    session.add(LeaseRow(name=name, holder="h", token=1, expires_at=NOW))
            finally:
                opened.dispose()
        except Exception as error:  # noqa: BLE001 - any failure at all is the finding
            errors.append(error)

    threads = [threading.Thread(target=opener, args=(f"lease {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
