"""The objective: a metric minus penalties, each counted by hand; undefined is the worst."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.optimize.objective import Objective
from workbench.errors import ParameterError

CELLS = pd.DataFrame({"fast": [50, 10, 50], "slow": [200, 200, 100]})
FOUND = pd.DataFrame(
    {
        "sharpe": [1.0, 1.5, np.nan],
        "turnover": [2.0, 10.0, 1.0],
        "max_drawdown": [-0.1, -0.35, -0.5],
        "trades": [10.0, 80.0, 0.0],
    }
)


def scores(**asked):
    return Objective(**asked).scores(CELLS, FOUND, defaults={"fast": 50, "slow": 200}).tolist()


def nan(*values):
    return pytest.approx(list(values), nan_ok=True)


def test_without_penalties_it_is_the_metric():
    assert scores() == nan(1.0, 1.5, np.nan)


def test_each_penalty_by_hand():
    assert scores(turnover=0.05) == nan(0.9, 1.0, np.nan)
    assert scores(drawdown=10.0, drawdown_limit=0.2) == nan(1.0, 0.0, np.nan)
    assert scores(trades=0.5, least_trades=20) == nan(0.75, 1.5, np.nan)
    assert scores(complexity=0.1) == nan(1.0, 1.4, np.nan)


def test_they_add_up_and_say_what_each_took_off():
    goal = Objective(turnover=0.05, drawdown=10.0, trades=0.5, least_trades=20, complexity=0.1)
    terms = goal.terms(CELLS, FOUND, defaults={"fast": 50, "slow": 200})
    assert terms.iloc[1].to_dict() == pytest.approx(
        {"sharpe": 1.5, "turnover": -0.5, "drawdown": -1.5, "trades": 0.0, "complexity": -0.1}
    )
    assert goal.scores(CELLS, FOUND, defaults={"fast": 50, "slow": 200})[1] == pytest.approx(-0.6)


def test_trades_wished_for_shrink_with_the_sessions_looked_at():
    assert Objective(trades=1.0, least_trades=40).scores(CELLS, FOUND, share=0.5)[0] == pytest.approx(0.5)


def test_something_undefined_makes_it_undefined_unless_nobody_asked_about_it():
    found = FOUND.assign(turnover=[np.nan, 1.0, 1.0])
    assert np.isnan(Objective(turnover=0.1).scores(CELLS, found)[0])
    assert Objective().scores(CELLS, found)[0] == 1.0
    assert np.isnan(Objective().scores(CELLS, FOUND.assign(sharpe=np.inf))).all()


def test_it_can_be_written_down():
    goal = Objective(metric="calmar", drawdown=3.0)
    assert Objective(**goal.to_dict()) == goal


def test_refusals_say_what_was_wrong():
    for says, asked in (
        ("objective.metric='turnover' is not one of", {"metric": "turnover"}),
        ("objective.turnover=-1", {"turnover": -1}),
        ("objective.drawdown=nan", {"drawdown": float("nan")}),
        ("objective.drawdown_limit=20", {"drawdown_limit": 20}),
    ):
        with pytest.raises(ParameterError, match=says):
            Objective(**asked)
