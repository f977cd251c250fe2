import subprocess
import sys

import pandas as pd
import pytest

from workbench.data.sources import bundled
from workbench.data.sources.bundled import INDICES, STOCKS, BundledSource
from workbench.errors import DataError

ALWAYS = {"start": pd.Timestamp("1980-01-01"), "end": pd.Timestamp("2030-01-01")}


@pytest.fixture(scope="module")
def source():
    return BundledSource()


def test_the_stocks_are_those_of_the_panel_and_have_nothing_but_closes(source):
    from skfolio.datasets import load_sp500_dataset

    panel = load_sp500_dataset()
    rows = source.bars(STOCKS, **ALWAYS)
    wide = rows.pivot_table(index="session", columns="symbol", values="close")
    assert tuple(panel.columns) == STOCKS
    pd.testing.assert_frame_equal(wide, panel, check_names=False, check_index_type=False, check_freq=False)
    assert rows[["open", "high", "low", "volume"]].isna().all().all()


def test_the_indices_are_those_of_the_loaders_and_have_all_fields(source):
    from arch.data import nasdaq, sp500

    for symbol, loader in (("^GSPC", sp500), ("^IXIC", nasdaq)):
        wanted = loader.load()
        rows = source.bars([symbol], **ALWAYS).set_index("session")
        for name in ("open", "high", "low", "close", "volume"):
            assert rows[name].tolist() == wanted[name.title()].astype(float).tolist()
        assert list(rows.index) == list(wanted.index)
        assert (wanted["Close"] == wanted["Adj Close"]).all()


def test_known_answers(source):
    """From the files themselves: first and last line of the panel, first line of the index series."""
    rows = source.bars(["AAPL", "^GSPC"], **ALWAYS).set_index(["symbol", "session"])
    assert rows.loc[("AAPL", pd.Timestamp("1990-01-02")), "close"] == 0.264
    assert rows.loc[("AAPL", pd.Timestamp("2022-12-28")), "close"] == 125.674
    first = rows.loc[("^GSPC", pd.Timestamp("1999-01-04"))]
    assert (first["open"], first["high"], first["volume"]) == (1229.22998, 1248.810059, 877000000)


def test_an_early_close_is_known_early(source):
    rows = source.bars(["AAPL"], start=pd.Timestamp("2014-11-26"), end=pd.Timestamp("2014-11-28"))
    assert rows["happened"].dt.strftime("%d %H:%M").tolist() == ["26 21:00", "28 18:00"]


def test_a_symbol_has_no_rows_after_its_series_ended(source):
    rows = source.bars(["^IXIC", "AAPL"], start=pd.Timestamp("2018-12-31"), end=pd.Timestamp("2019-01-02"))
    assert rows.groupby("symbol").size().to_dict() == {"AAPL": 2, "^IXIC": 1}


def test_reading_does_not_import_the_libraries_that_carry_the_files():
    code = (
        "import sys, pandas as pd; from workbench.data.sources import open_source;"
        "s = open_source('bundled'); s.bars(s.symbols(), start=pd.Timestamp('2015'), end=pd.Timestamp('2016'));"
        "sys.exit(sorted({'skfolio', 'arch', 'sklearn', 'scipy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_file_is_named(monkeypatch):
    monkeypatch.setitem(bundled.INDICES, "^GSPC", "nowhere")
    with pytest.raises(DataError, match=r"data/nowhere/nowhere\.csv\.gz of the package 'arch'"):
        BundledSource().bars(["^GSPC"], **ALWAYS)
    assert INDICES["^GSPC"] == "nowhere"
