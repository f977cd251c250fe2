"""Pictures of sweeps: a plateau is worth more than a peak, and what failed is told apart."""

import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.report.conftest import LABEL
from tests.report.drawn import body, numbers
from workbench.backtest.validation.regions import best_region
from workbench.errors import NoData, ParameterError
from workbench.report import figures
from workbench.run import Run
from workbench.study import Study

STUDY = Study.of(["AAPL", "KO"], start="2013-01-02", as_of="2015-06-30")
FAST, SLOW = (5, 10, 15, 20, 25, 30, 35), (20, 40, 60, 80, 100, 120)


def sweep_of(cells, label=LABEL):
    return Run(
        id="0" * 32, kind="sweep", study=STUDY, title="sweep of sma_cross", label=label, config={}, config_hash="",
        summary={}, tables={"cells": cells},
    )  # fmt: skip


def hill(fast=FAST, slow=SLOW, *, middle=(20, 80), peak=(35, 120), stops=(None,)):
    """A round hill with its top at `middle`, and a single cell at `peak` that is higher than all of it."""
    rows = []
    for f, s, stop in itertools.product(fast, slow, stops):
        value = 0.8 - abs(f - middle[0]) / 50 - abs(s - middle[1]) / 200 - (0.0 if stop is None else stop / 10)
        value = 2.0 if (f, s) == peak else value
        error = f"fast={f} must be less than slow={s}" if f >= s else ""
        value = np.nan if error else value
        row = {
            "fast": f,
            "slow": s,
            "stop": stop,
            "total_return": value,
            "sharpe": value,
            "max_drawdown": -1 / (2 + value),
        }
        rows.append(row | {"trades": 10.0, "engine": "fused", "error": error})
    frame = pd.DataFrame(rows)
    return frame.drop(columns="stop") if stops == (None,) else frame


HILL = sweep_of(hill())
LARGE = sweep_of(hill(range(2, 142), range(150, 350), middle=(60, 250), peak=(141, 349)))
EVERY = {
    f"{name} {size}": (draw, run)
    for name, draw in {"map": figures.heatmap, "parallel": figures.parallel, "stability": figures.stability}.items()
    for size, run in {"small": HILL, "large": LARGE}.items()
}


@pytest.mark.parametrize("name", EVERY)
def test_each_is_static_small_named_and_says_where_its_data_come_from(name):
    draw, run = EVERY[name]
    figure = draw(run)
    assert type(figure) is go.Figure
    assert len(figure.to_json()) < 300_000
    assert figure.layout.title.text
    assert LABEL in [note.text for note in figure.layout.annotations]
    assert isinstance(figure.layout.meta["text"], str)
    assert "uid" not in figure.to_json()
    assert "WebGL" not in figure.to_json()
    assert not any(trace.type in {"parcoords", "scattergl"} for trace in figure.data)
    assert figure.to_json() == draw(run).to_json()


def test_synthetic_sweeps_carry_a_watermark():
    for draw in (figures.heatmap, figures.parallel, figures.stability):
        assert draw(sweep_of(hill(), label="SYNTHETIC · seed 7")).layout.annotations[-1].text == "SYNTHETIC"


class TestHeatmap:
    def test_every_cell_stands_where_its_parameters_are(self):
        figure = figures.heatmap(HILL)
        drawn = figure.data[0]
        assert list(drawn.x) == ["5", "10", "15", "20", "25", "30", "35"]
        assert list(drawn.y) == ["20", "40", "60", "80", "100", "120"]
        shown = numbers(body(figure)["data"][0]["z"])
        assert shown[3, 3] == pytest.approx(0.8)
        assert shown[4, 1] == pytest.approx(0.8 - 0.2 - 0.1)
        assert np.isnan(shown[0, 3])
        assert figure.layout.xaxis.title.text == "fast"
        assert figure.layout.yaxis.title.text == "slow"

    def test_the_region_is_framed_and_the_peak_has_a_ring_only(self):
        figure = figures.heatmap(HILL)
        frames = [shape for shape in figure.layout.shapes if shape.type == "rect"]
        assert [(box.x0, box.x1, box.y0, box.y1) for box in frames] == [(1.5, 4.5, 1.5, 4.5)] * 2  # 15…25 × 60…100
        rings = [trace for trace in figure.data if trace.x == ("35",) and trace.y == ("120",)]
        assert len(rings) == 2
        names = [trace.name for trace in figure.data if trace.name]
        assert "best cell: 2.00" in names
        assert "best region: median 0.70" in names
        assert (
            "best region fast 15…25, slow 60…100 (median 0.70), best cell fast=35, slow=120 (2.00)"
            in (figure.layout.meta["text"])
        )

    def test_the_region_is_the_one_that_walk_forward_would_choose(self):
        cells = hill()
        region = best_region(cells.drop(columns="error"), ["fast", "slow"], "sharpe")
        assert region.centre == {"fast": 20, "slow": 80}
        assert f"median {region.score:.2f}" in figures.heatmap(sweep_of(cells)).layout.meta["text"]

    def test_failed_undefined_and_unasked_cells_look_different(self):
        cells = hill()
        cells.loc[(cells["fast"] == 5) & (cells["slow"] == 120), "sharpe"] = np.nan
        cells = cells[~((cells["fast"] == 5) & (cells["slow"] == 100))]
        figure = figures.heatmap(sweep_of(cells))
        marks = {trace.name: trace for trace in figure.data if trace.name}
        assert list(zip(marks["failed (4)"].x, marks["failed (4)"].y, strict=True)) == [
            ("20", "20"),
            ("25", "20"),
            ("30", "20"),
            ("35", "20"),
        ]
        assert marks["failed (4)"].text[0] == "fast=20 must be less than slow=20"
        assert (marks["undefined (1)"].x, marks["undefined (1)"].y) == (("5",), ("120",))
        assert marks["failed (4)"].marker.symbol != marks["undefined (1)"].marker.symbol
        tinted = numbers(body(figure)["data"][1]["z"])
        assert np.isfinite(tinted).sum() == 5
        assert np.isnan(tinted[4, 0])
        assert figure.layout.meta["text"].endswith("4 failed")

    def test_over_further_parameters_the_best_is_shown_or_a_value_is_fixed(self):
        run = sweep_of(hill(stops=(0, 1, 2)))
        pooled, fixed = figures.heatmap(run), figures.heatmap(run, at={"stop": 2})
        assert numbers(body(pooled)["data"][0]["z"])[3, 3] == pytest.approx(0.8)
        assert numbers(body(fixed)["data"][0]["z"])[3, 3] == pytest.approx(0.6)
        assert pooled.layout.title.text == "Sharpe by fast and slow, best over stop"
        assert fixed.layout.title.text == "Sharpe by fast and slow, stop=2"
        assert "of 42 cells" in fixed.layout.meta["text"]

    def test_a_metric_of_which_less_is_better_is_judged_so(self):
        cells = hill().rename(columns={"total_return": "annual_volatility"})
        figure = figures.heatmap(sweep_of(cells), metric="annual_volatility")
        worst_hill = cells.loc[cells["annual_volatility"].idxmin()]
        text = figure.layout.meta["text"]
        assert f"best cell fast={worst_hill['fast']:g}, slow={worst_hill['slow']:g}" in text
        assert figure.data[0].reversescale is True

    def test_fractions_are_in_percent(self):
        figure = figures.heatmap(HILL, metric="max_drawdown")
        assert figure.data[0].colorbar.title.text == "%"
        assert numbers(body(figure)["data"][0]["z"])[3, 3] == pytest.approx(-100 / 2.8)

    def test_text_and_switches_can_be_parameters(self):
        rows = [
            {"kind": kind, "long": flag, "sharpe": float(number), "error": ""}
            for number, (kind, flag) in enumerate(itertools.product(["sma", "<b>ema</b>"], [True, False]))
        ]
        figure = figures.heatmap(sweep_of(pd.DataFrame(rows)))
        assert list(figure.data[0].x) == ["&lt;b&gt;ema&lt;/b&gt;", "sma"]
        assert list(figure.data[0].y) == ["no", "yes"]

    def test_large_maps_keep_the_region_and_the_peak(self):
        figure = figures.heatmap(LARGE)
        assert "135 of" not in figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text.endswith("of 200 values)")
        assert {"59", "60", "61"} <= set(figure.data[0].x)
        assert {"249", "250", "251"} <= set(figure.data[0].y)
        assert (figure.data[0].x[-1], figure.data[0].y[-1]) == ("141", "349")

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"x": "speed"}, "'speed' is no parameter that varies"),
            ({"x": "fast", "y": "fast"}, "two different parameters"),
            ({"metric": "luck"}, "'luck' is no column"),
            ({"at": {"slow": 20}}, "at='slow' is no parameter that could be fixed"),
            ({"parameters": ["fast"]}, "two different parameters"),
        ],
    )
    def test_what_cannot_be_drawn_is_named(self, asked, said):
        with pytest.raises(ParameterError, match=said):
            figures.heatmap(HILL, **asked)

    def test_a_value_that_was_not_swept_is_named(self):
        with pytest.raises(ParameterError, match="no cell has stop=7"):
            figures.heatmap(sweep_of(hill(stops=(0, 1))), at={"stop": 7})


class TestParallel:
    def test_a_line_goes_through_the_places_of_its_values(self):
        cells = pd.DataFrame({"a": [1, 2, 3], "b": [10, 20, 10], "sharpe": [0.0, 0.5, 1.0], "error": ""})
        figure = figures.parallel(sweep_of(cells))
        best = next(trace for trace in figure.data if trace.y is not None and trace.line.color == "#D55E00")
        heights = numbers(best.y)
        # a=3 is the last of three, b=10 the first of two; the metric's axis runs from 0 to 1
        assert heights[[0, 1, 3, 4]].tolist() == [1.0, 0.0, 0.0, 1.0]
        assert np.isnan(heights[[2, 5]]).all()
        names = [note.text for note in figure.layout.annotations]
        assert {"<b>a</b>", "<b>b</b>", "<b>sharpe (ratio)</b>"} <= set(names)

    def test_of_many_cells_the_best_are_all_drawn(self):
        figure = figures.parallel(LARGE)
        drawn = sum(len(numbers(trace.y)) // 6 for trace in figure.data if trace.y is not None and len(trace.y) > 1)
        assert drawn == 2_000
        assert "2,000 of 28,000 cells" in figure.layout.meta["text"]
        best = next(trace for trace in figure.data if trace.y is not None and trace.line.color == "#D55E00")
        assert len(numbers(best.y)) // 6 >= 200

    def test_cells_without_a_value_are_counted(self):
        assert figures.parallel(HILL).layout.meta["text"].endswith("4 without a value")

    def test_many_parameters_stay_small(self):
        rng = np.random.default_rng(1)
        cells = pd.DataFrame({f"p{n}": rng.integers(0, 9, 5_000) for n in range(9)})
        run = sweep_of(cells.assign(sharpe=rng.normal(size=5_000), error=""))
        assert len(figures.parallel(run).to_json()) < 300_000

    @pytest.mark.parametrize(
        ("values", "axis"),
        [([0.0, 1.0], (0, 1)), ([-0.57, 1.1], (-1, 1.5)), ([3.0, 3.0], (3, 4)), ([1e-7, 5e-7], (1e-7, 5e-7))],
    )
    def test_the_metrics_axis_has_round_ends(self, values, axis):
        cells = pd.DataFrame({"a": [1, 2], "sharpe": values, "error": ""})
        figure = figures.parallel(sweep_of(cells))
        marks = {note.y: note.text for note in figure.layout.annotations if note.x == 1 and note.y in {0, 1}}
        assert tuple(float(marks[end].replace("−", "-")) for end in (0, 1)) == pytest.approx(axis)


class TestStability:
    def test_a_lonely_peak_stands_off_the_diagonal(self):
        figure = figures.stability(HILL)
        marks = {trace.name: (numbers(trace.x), numbers(trace.y)) for trace in figure.data if trace.name}
        peak, plateau = marks["best cell: fast=35, slow=120"], marks["best region: fast=20, slow=80"]
        assert peak[1].tolist() == [2.0]
        assert peak[0][0] < 0.5
        assert plateau[0].tolist() == pytest.approx([0.7])
        assert plateau[1].tolist() == pytest.approx([0.8])

    def test_its_sentence_compares_the_peak_with_the_region(self):
        text = figures.stability(HILL).layout.meta["text"]
        # around 35/120 lie 30/120, 30/100 and 35/100: 0.4, 0.5, 0.4; the lower median of four with the peak is 0.4
        assert text == (
            "sharpe: the best cell fast=35, slow=120 has 2.00, its neighbourhood 0.40, 0 % of the neighbours within "
            "20 % of it; the best region's centre fast=20, slow=80 has 0.80, its neighbourhood 0.70, 50 % of the "
            "neighbours within 20 % of it"
        )

    def test_where_both_are_one_it_says_so(self):
        run = sweep_of(hill(peak=None))
        assert figures.stability(run).layout.meta["text"].endswith("it is the centre of the best region")

    def test_a_single_swept_parameter_is_enough(self):
        cells = pd.DataFrame({"fast": [1, 2, 3, 4, 5], "sharpe": [0.1, 0.2, 0.3, 0.2, 0.9], "error": ""})
        assert "fast=5 has 0.90" in figures.stability(sweep_of(cells)).layout.meta["text"]

    def test_cells_that_stand_alone_have_no_region(self):
        cells = hill()
        cells.loc[(cells["fast"] // 5 + cells["slow"] // 20) % 2 == 0, ["sharpe", "error"]] = [np.nan, "failed"]
        cells.loc[cells["fast"] % 10 == 0, ["sharpe", "error"]] = [np.nan, "failed"]
        with pytest.raises(ParameterError, match="enough neighbours"):
            figures.stability(sweep_of(cells))


@pytest.mark.parametrize("draw", [figures.heatmap, figures.parallel, figures.stability])
def test_a_sweep_without_a_value_is_said(draw):
    with pytest.raises(NoData, match="none of the 42 cells"):
        draw(sweep_of(hill().assign(sharpe=np.nan)))
    with pytest.raises(NoData, match="no table 'cells'"):
        draw(Run(**{**vars(HILL), "tables": {}}))
    with pytest.raises(ParameterError, match="no parameter of"):
        draw(sweep_of(pd.DataFrame({"fast": [1, 1], "sharpe": [1.0, 2.0], "error": ""})))
