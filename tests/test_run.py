import pandas as pd
import pytest

from workbench.errors import NoData
from workbench.run import Run
from workbench.study import Study


@pytest.fixture
def run():
    return Run(
        id="r" * 32,
        kind="backtest",
        study=Study.of("AAPL", start="2015-01-02", as_of="2015-06-30"),
        title="sma_cross(fast=50) <b>",
        label="SYNTHETIC · seed 7",
        config={"a": 1},
        config_hash="h",
        summary={"sharpe": 1.25, "trades": 12.0, "final_equity": 123_456.789, "calmar": None},
        intervals={"sharpe": (0.5, 2.0)},
        tables={"equity": pd.DataFrame({"equity": [1.0, 2.0]}, index=pd.to_datetime(["2015-01-02", "2015-01-05"]))},
        provenance={"numpy": "2"},
        trace_id="t",
        runtime_s=1.5,
    )


def test_what_is_saved_is_what_is_loaded(run, tmp_path):
    loaded = Run.load(run.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(loaded.table("equity"), run.table("equity"))
    assert loaded.intervals == run.intervals
    for name in ("id", "study", "summary", "config", "title", "label", "trace_id", "provenance"):
        assert getattr(loaded, name) == getattr(run, name)


def test_a_folder_without_a_finished_run_is_no_run(run, tmp_path):
    run.save(tmp_path)
    (tmp_path / "run.json").rename(tmp_path / "run.json.partial")
    with pytest.raises(NoData, match="no complete run"):
        Run.load(tmp_path)


def test_it_reads_well_and_says_what_is_undefined(run):
    text = repr(run)
    assert text.splitlines()[1] == run.study.line
    assert "SYNTHETIC" in text
    for line in ("calmar                         undefined", "trades                                12", "123,456.79"):
        assert line in text
    page = run._repr_html_()
    assert "&lt;b&gt;" in page
    assert "0.5000 … 2" in page


def test_an_unknown_table_names_those_that_exist(run):
    with pytest.raises(NoData, match="it has equity"):
        run.table("weights")


def test_the_headline_has_nan_where_nothing_is_known(run):
    frame = run.headline()
    assert frame.loc["sharpe"].tolist() == [1.25, 0.5, 2.0]
    assert frame.loc["calmar"].isna().all()
