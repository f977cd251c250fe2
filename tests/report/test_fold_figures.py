"""Pictures of a walk-forward: what was promised in grey beside what came."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.report.conftest import LABEL
from tests.report.drawn import numbers
from workbench.errors import NoData, ParameterError
from workbench.report import figures
from workbench.run import Run
from workbench.study import Study

STARTS = pd.to_datetime(["2013-01-02", "2014-01-02", "2015-01-02"])
ENDS = pd.to_datetime(["2013-12-31", "2014-12-31", "2015-06-30"])
FOLDS = pd.DataFrame({"fold": [1, 2, 3], "test_start": STARTS, "test_end": ENDS})
SCORED = FOLDS.assign(in_sample=[1.5, 1.0, 2.0], out_of_sample=[0.5, -0.2, np.nan])
EQUITY = pd.Series(
    np.linspace(100_000, 120_000, 650), pd.bdate_range("2013-01-02", periods=650, unit="us"), name="equity"
)


def drawn(figure):
    assert type(figure) is go.Figure
    assert len(figure.to_json()) < 300_000
    assert LABEL in [note.text for note in figure.layout.annotations]
    assert figure.layout.yaxis.title.text
    return figure


def test_in_sample_is_grey_beside_out_of_sample():
    figure = drawn(figures.fold_scores(SCORED, label=LABEL))
    before, after = figure.data
    assert (before.name, before.marker.color) == ("in sample", "#7F7F7F")
    assert after.name == "out of sample"
    assert numbers(before.y).tolist() == [1.5, 1.0, 2.0]
    assert numbers(after.y)[:2].tolist() == pytest.approx([0.5, -0.2])
    assert [shape.y0 for shape in figure.layout.shapes] == pytest.approx([1.5, 0.15, 0])
    assert figure.layout.meta["text"] == "folds: 3, median sharpe 1.50 in sample, 0.15 out of sample, above 0 in 1"
    assert figure.layout.xaxis.title.text == "fold; tests begin 2013-01 to 2015-01"


def test_the_table_of_a_walk_forward_is_read_by_its_own_names():
    table = FOLDS.assign(in_sample_max_drawdown=[-0.1, -0.2, -0.3], max_drawdown=[-0.4, -0.2, -0.3], sharpe=1.0)
    figure = drawn(figures.fold_scores(table, metric="max_drawdown", label=LABEL))
    assert numbers(figure.data[1].y).tolist() == pytest.approx([-40, -20, -30])
    assert figure.layout.yaxis.title.text == "max drawdown (%)"
    assert "median max drawdown −20.0 % in sample, −30.0 % out of sample" in figure.layout.meta["text"]


def test_the_stitched_equity_marks_where_parameters_change():
    figure = drawn(figures.out_of_sample_equity(EQUITY, FOLDS, benchmark=EQUITY * 2, label=LABEL))
    assert sorted({shape.x0 for shape in figure.layout.shapes}) == ["2014-01-02", "2015-01-02"]
    assert figure.layout.meta["text"].endswith("3 folds")
    assert {trace.name for trace in figure.data} == {"out of sample", "benchmark"}


def test_chosen_parameters_are_steps_and_a_fold_without_a_choice_is_a_gap():
    table = SCORED.assign(fast=[20, None, 30], kind=["sma", None, "<ema>"], region_score=1.0, error="")
    figure = drawn(figures.parameter_drift(table, label=LABEL))
    fast, kind = figure.data
    assert [fast.name, kind.name] == ["fast", "kind"]
    assert list(fast.y[:2]) == [20, 20]
    assert list(fast.y[3:5]) == [None, None]
    assert kind.y[6] == "&lt;ema&gt;"
    assert list(fast.x[:2]) == ["2013-01-02", "2013-12-31"]
    assert figure.layout.meta["text"] == "parameters over 3 folds: fast 2 values, kind 2 values"


def test_a_sweep_shows_its_own_walk_forward():
    stored = SCORED.assign(fast=[20, None, 30], in_sample_sharpe=SCORED["in_sample"], sharpe=SCORED["out_of_sample"])
    tables = {
        "folds": stored.convert_dtypes(dtype_backend="numpy_nullable"),
        "equity": pd.DataFrame({"out_of_sample": EQUITY.iloc[100:], "benchmark": EQUITY}),
    }
    study = Study.of(["AAPL"], start="2013-01-02", as_of="2015-06-30")
    run = Run(
        id="0" * 32, kind="sweep", study=study, title="sweep", label=LABEL, config={}, config_hash="", summary={},
        tables=tables,
    )  # fmt: skip
    assert numbers(drawn(figures.folds(run)).data[0].y).tolist() == [1.5, 1.0, 2.0]
    assert drawn(figures.out_of_sample(run)).data[0].x[0] == f"{EQUITY.index[100]:%Y-%m-%d}"
    assert list(drawn(figures.drift(run)).data[0].y[:5]) == [20, 20, None, None, None]
    empty = Run(**{**vars(run), "tables": {"folds": pd.DataFrame({"fold": []}), "equity": EQUITY.to_frame("centre")}})
    for draw in (figures.folds, figures.out_of_sample, figures.drift):
        with pytest.raises(NoData):
            draw(empty)


def test_what_is_missing_is_named():
    with pytest.raises(ParameterError, match="no column 'in_sample'"):
        figures.fold_scores(FOLDS, label=LABEL)
    with pytest.raises(ParameterError, match="no column of a parameter"):
        figures.parameter_drift(SCORED, label=LABEL)
    with pytest.raises(ParameterError, match="no column 'speed'"):
        figures.parameter_drift(SCORED, parameters=("speed",), label=LABEL)
    with pytest.raises(ParameterError, match="no column 'test_start'"):
        figures.out_of_sample_equity(EQUITY, FOLDS[["fold"]], label=LABEL)


def test_nothing_to_draw_is_said():
    with pytest.raises(NoData, match="no fold"):
        figures.fold_scores(SCORED.iloc[:0], label=LABEL)
    with pytest.raises(NoData, match="no fold has a number"):
        figures.fold_scores(SCORED.assign(in_sample=np.nan, out_of_sample=np.nan), label=LABEL)
