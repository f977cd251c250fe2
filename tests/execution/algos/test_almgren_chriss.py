"""The published example of Almgren and Chriss, to every digit that was printed."""

import datetime as dt
import json
import math
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import AlgorithmRefused
from workbench.execution.algos.almgren_chriss import ImpactModel, Trajectory, shortfall
from workbench.execution.algos.schedule import Span

ANSWERS = json.loads((Path(__file__).parents[2] / "answers" / "almgren_chriss.json").read_text())
GIVEN = ANSWERS["parameters"]
MODEL = ImpactModel(**{name: GIVEN[name] for name in ("sigma", "eta", "gamma", "epsilon")})


def trajectory(risk_aversion, **changes):
    named = {"qty": GIVEN["qty"], "days": GIVEN["days"], "steps": GIVEN["steps"], **changes}
    return Trajectory(model=MODEL, risk_aversion=risk_aversion, **named)


@pytest.mark.parametrize("row", ANSWERS["printed"], ids=lambda row: str(row["risk_aversion"]))
def test_the_printed_frontier(row):
    found = trajectory(row["risk_aversion"])
    assert round(found.expected_cost / 1e6, 4) == row["expected"]
    assert round(found.variance / 1e12, 4) == row["variance"]
    assert round((found.expected_cost + row["risk_aversion"] * found.variance) / 1e6, 4) == row["utility"]
    assert round(found.half_life, 2) == row["half_life"]


@pytest.mark.parametrize("row", ANSWERS["computed"], ids=lambda row: str(row["risk_aversion"]))
def test_the_frontier_as_other_code_has_it(row):
    found = trajectory(row["risk_aversion"])
    assert round(found.expected_cost, 1) == row["expected"]
    assert found.variance == pytest.approx(row["variance"], rel=1e-6)
    if "utility" in row:
        utility = found.expected_cost + row["risk_aversion"] * found.variance
        assert round(utility, 1) == row["utility"]
        assert round(found.half_life, 2) == row["half_life"]
    if "kappa" in row:
        assert round(found.kappa, 4) == row["kappa"]
        assert round(found.kappa, 2) == ANSWERS["paper_kappa"]


def test_the_holdings_for_a_risk_aversion_of_one_millionth():
    assert [round(x) for x in trajectory(1e-6).holdings] == ANSWERS["holdings_1e-6"]
    assert trajectory(0).eta_tilde == pytest.approx(GIVEN["eta_tilde"])


def test_without_risk_aversion_holdings_fall_evenly_and_with_a_huge_one_at_once():
    assert trajectory(0.0).holdings == pytest.approx([1e6, 8e5, 6e5, 4e5, 2e5, 0])
    assert math.isinf(trajectory(0.0).half_life)
    at_once = trajectory(1e6)
    assert at_once.expected_cost == pytest.approx(ANSWERS["all_at_once"]["expected"], rel=1e-6)
    assert at_once.variance == pytest.approx(0, abs=1e-3)


@settings(deadline=None)
@given(
    risk_aversion=st.floats(1e-11, 1e-3),
    steps=st.integers(2, 40),
    days=st.floats(0.1, 10),
    moved=st.integers(1, 39),
    by=st.floats(-0.2, 0.2),
)
def test_no_other_way_is_cheaper(risk_aversion, steps, days, moved, by):
    """Independent of the formula: move the holdings at one moment, and E + λV must not become less."""
    best = Trajectory(1e6, days, steps, MODEL, risk_aversion)
    holdings = list(best.holdings)
    holdings[1 + (moved - 1) % (steps - 1)] *= 1 + by

    def utility(way):
        sold = [a - b for a, b in pairwise(way)]
        cost = MODEL.gamma / 2 * 1e12 + MODEL.epsilon * 1e6 + best.eta_tilde / best.tau * sum(n * n for n in sold)
        return cost + risk_aversion * MODEL.sigma**2 * best.tau * sum(x * x for x in way[1:])

    assert utility(best.holdings) <= utility(holdings) * (1 + 1e-12)
    assert utility(best.holdings) == pytest.approx(best.expected_cost + risk_aversion * best.variance, rel=1e-9)
    assert sum(best.trades) == pytest.approx(1e6)


@pytest.mark.parametrize(
    "wrong", [{"eta": 0.0}, {"eta": float("nan")}, {"sigma": -1.0}, {"gamma": math.inf}, {"epsilon": -0.1}]
)
def test_a_model_without_sense_is_refused(wrong):
    with pytest.raises(AlgorithmRefused, match=next(iter(wrong))):
        ImpactModel(**{"sigma": 0.95, "eta": 2.5e-6, **wrong})


@pytest.mark.parametrize("wrong", [{"qty": 0}, {"days": float("nan")}, {"steps": 0}])
def test_a_question_without_sense_is_refused(wrong):
    with pytest.raises(AlgorithmRefused, match=next(iter(wrong))):
        trajectory(1e-6, **wrong)
    with pytest.raises(AlgorithmRefused, match="risk_aversion"):
        trajectory(float("nan"))


def test_steps_too_long_for_the_permanent_impact_are_refused():
    with pytest.raises(AlgorithmRefused, match="gamma"):
        Trajectory(1e6, 5, 5, ImpactModel(0.95, 1e-7, 2.5e-7), 1e-6)


def test_the_schedule_is_the_trajectory_in_lots():
    start = dt.datetime(2022, 6, 30, 13, 30, tzinfo=dt.UTC)
    span = Span(start, start + dt.timedelta(minutes=50), dt.timedelta(minutes=10))
    schedule = shortfall(Decimal(1_000_000), span, MODEL, risk_aversion=1e-6, day=600, lot=Decimal(100))
    holdings = ANSWERS["holdings_1e-6"]
    assert sum(one.qty for one in schedule) == 1_000_000
    for one, (before, after) in zip(schedule, pairwise(holdings), strict=True):
        assert abs(int(one.qty) - (before - after)) <= 101
        assert one.qty % 100 == 0
