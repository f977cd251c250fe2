"""Pages of stored tables: together they are the table, whatever the size of a page; a wrong cursor is named."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.future import random_history
from workbench.backtest.paging import Page, folder_of, page
from workbench.backtest.runs import run
from workbench.errors import NoData, ParameterError
from workbench.run import Run
from workbench.store.workspace import Workspace
from workbench.strategies import SmaCross

TRADES = pd.DataFrame(
    {
        "symbol": pd.Series([f"SYN{n % 5:02d}" for n in range(57)], dtype="str"),
        "entered": pd.date_range("2015-01-01", periods=57, freq="D"),
        "profit": np.where(np.arange(57) % 10 == 3, np.nan, np.arange(57) * 1.5),
    }
)
EQUITY = TRADES[["entered", "profit"]].set_index("entered").rename_axis("session")
EMPTY = TRADES.iloc[:0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose tables are stored in one row group, as `Run.save` does."""
    history = random_history(seed=1)
    made = Run(
        id="ab" * 16,
        kind="backtest",
        study=history.study,
        title="t",
        label="l",
        config={},
        config_hash="",
        summary={},
        tables={"trades": TRADES, "equity": EQUITY, "orders": EMPTY},
    )
    return made.save(tmp_path_factory.mktemp("runs") / made.id)


@pytest.fixture(scope="module")
def in_groups(folder, tmp_path_factory):
    """The same run in row groups of ten."""
    elsewhere = tmp_path_factory.mktemp("groups")
    for file in folder.iterdir():
        (elsewhere / file.name).write_bytes(file.read_bytes())
    TRADES.to_parquet(elsewhere / "trades.parquet", row_group_size=10)
    return elsewhere


def read_all(folder, table, limit, **more):
    found, after = [], None
    while True:
        one = page(folder, table, after=after, limit=limit, **more)
        found.append(one.rows)
        assert one.total == len({"trades": TRADES, "equity": EQUITY, "orders": EMPTY}[table])
        if one.cursor is None:
            return found
        assert len(one.rows) == limit
        after = one.cursor


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(1, 70), grouped=st.booleans())
def test_the_pages_together_are_the_table(folder, in_groups, limit, grouped):
    parts = read_all(in_groups if grouped else folder, "trades", limit)
    assert len(parts) == -(-57 // limit)
    pd.testing.assert_frame_equal(pd.concat(parts), TRADES, check_index_type=False)
    assert all(len(part) for part in parts)


def test_a_stored_index_comes_along(folder):
    pd.testing.assert_frame_equal(pd.concat(read_all(folder, "equity", 20)), EQUITY, check_freq=False)
    one = page(folder, "equity", limit=1)
    assert one.rows.index.name == "session"
    assert one.rows.index[0] == pd.Timestamp("2015-01-01")


def test_only_the_columns_that_were_asked_for_in_their_order(folder):
    one = page(folder, "trades", after=page(folder, limit=40).cursor, limit=5, columns=["profit", "symbol"])
    pd.testing.assert_frame_equal(one.rows, TRADES.iloc[40:45][["profit", "symbol"]])
    assert page(folder, "equity", columns=[], limit=3).rows.index.equals(EQUITY.index[:3])


def test_an_empty_table_is_one_empty_page(folder):
    one = page(folder, "orders")
    assert one.cursor is None
    assert one.total == 0
    assert list(one.rows.columns) == list(TRADES.columns)
    assert one.rows.empty


def test_row_groups_and_columns_that_are_not_needed_are_not_read(in_groups, monkeypatch):
    asked = {}
    honest = pq.ParquetFile.iter_batches

    def spy(self, **options):
        asked.update(options)
        return honest(self, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    third = page(in_groups, after="abababab.trades.25", limit=10, columns=["profit"])
    assert third.rows.index.tolist() == list(range(25, 35))
    assert asked["row_groups"] == [2, 3]
    assert asked["columns"] == ["profit"]


def test_the_last_page_ends_where_the_table_ends(folder):
    assert page(folder, limit=57).cursor is None
    assert page(folder, limit=56).cursor == "abababab.trades.56"
    assert len(page(folder, after="abababab.trades.56", limit=56).rows) == 1
    assert page(folder, after="abababab.trades.57").rows.empty


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "56",
        "abababab.trades.-1",
        "abababab.trades.58",
        "abababab.equity.3",
        "cdcdcdcd.trades.3",
        "abababab.trades.3 OR 1=1",
        "../../etc/passwd",
    ],
)
def test_what_is_no_cursor_of_this_table_is_refused(folder, wrong):
    with pytest.raises(ParameterError, match="no cursor of the table 'trades'"):
        page(folder, after=wrong)


@pytest.mark.parametrize(
    ("asked", "said", "remedy"),
    [
        ({"table": "trade"}, "no table 'trade'", "did you mean 'trades'"),
        ({"table": "../run"}, "no table '../run'", "it has equity, orders, trades"),
        ({"columns": ["profits"]}, "no column 'profits'", "did you mean 'profit'"),
        ({"limit": 0}, "limit=0", "page by page"),
        ({"limit": 10_001}, "limit=10001", "page by page"),
    ],
)
def test_what_is_not_there_is_named(folder, asked, said, remedy):
    with pytest.raises(ParameterError, match=said) as refused:
        page(folder, **asked)
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_real_run_is_found_by_its_id_and_read_in_pages(workspace):
    answered = run(SmaCross(fast=5, slow=20), random_history(seed=1), workspace=workspace)
    place = folder_of(workspace, answered.id)
    for table in ("trades", "orders", "equity"):
        whole = answered.table(table)
        first = page(place, table, limit=3)
        pd.testing.assert_frame_equal(first.rows, whole.iloc[:3], check_freq=False)
        second = page(place, table, after=first.cursor, limit=10_000)
        pd.testing.assert_frame_equal(second.rows, whole.iloc[3:], check_freq=False)
        assert second.cursor is None
        assert isinstance(second, Page)


def test_a_run_that_is_not_there_is_named_and_no_path_gets_in(tmp_path):
    bare = Workspace(home=tmp_path, engine=None, vintages_url="")
    with pytest.raises(NoData, match="no answer of run"):
        folder_of(bare, "0" * 32)
    for wrong in ("..", "../../etc", "AB" * 16, ""):
        with pytest.raises(ParameterError, match="not an id"):
            folder_of(bare, wrong)
    with pytest.raises(NoData, match="no complete run"):
        page(tmp_path)
