"""Every metric against values that come from somewhere else: papers, other libraries, arithmetic by hand."""

from __future__ import annotations

import statistics

import pytest

from tests.backtest.metrics.cases import ANSWERS, inputs_of
from workbench.backtest import metrics
from workbench.backtest.metrics.kpis import KPIS
from workbench.backtest.metrics.ratios import kappa

GOLDEN = [(name, number) for name, answers in ANSWERS["kpis"].items() for number in range(len(answers))]
BY_NAME = {one.name: one for one in KPIS}


def test_every_metric_has_a_golden_value_with_a_source():
    assert sorted(ANSWERS["kpis"]) == sorted(BY_NAME)
    for name, answers in ANSWERS["kpis"].items():
        assert answers, name
        for answer in answers:
            assert answer["source"].strip(), name
            assert "workbench" not in answer["source"], name


@pytest.mark.parametrize(("name", "number"), GOLDEN, ids=[f"{name}-{number}" for name, number in GOLDEN])
def test_its_value(name, number):
    one, answer = BY_NAME[name], ANSWERS["kpis"][name][number]
    given = inputs_of(answer["of"])
    arguments = {need: given[need] for need in one.needs if need in given} | answer.get("arguments", {})
    assert one.function(**arguments) == pytest.approx(answer["value"], abs=answer["within"], rel=0)


def test_values_that_the_book_prints_of_functions_beside_the_registry():
    bacon = inputs_of("bacon")["returns"]
    assert round(kappa(bacon, order=2, mar=0.005), 3) == 0.157  # Bacon 2008, p. 96
    assert round(metrics.upside_potential(bacon, mar=0.005), 5) == 0.01771
    assert round(metrics.upside_deviation(bacon, mar=0.005) ** 2, 7) == 0.0008628
    skewed = metrics.skewness(bacon) / metrics.kurtosis(bacon)
    assert round(skewed, 3) == -0.034


def test_tharps_own_standard_deviation_of_his_sample_trades():
    trades = inputs_of("tharp")["trades"]
    closed = trades.loc[~trades["open"], "pnl"]
    average_loss = -closed[closed < 0].mean()
    assert round(statistics.stdev(closed / average_loss), 2) == 1.86
    assert round(float(closed.iloc[0] / average_loss), 2) == 0.86


def test_the_metrics_of_trades_are_those_that_trades_had_before():
    from workbench.backtest import trades as round_trips

    table = inputs_of("tharp")["trades"]
    assert metrics.win_rate(table) == pytest.approx(round_trips.win_rate(table), rel=1e-15)
    assert metrics.profit_factor(table) == pytest.approx(round_trips.profit_factor(table), rel=1e-15)
