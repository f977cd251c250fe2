import dataclasses

import numpy as np
import pandas as pd
import pytest

from workbench.report.summary import in_short, luck, odds, scoreboard
from workbench.run import Run
from workbench.study import Study

NAN = float("nan")
STUDY = Study.of("AAPL", start="2015-01-02", as_of="2015-06-30")


def run(title, **summary):
    return Run(
        id="r",
        kind="backtest",
        study=STUDY,
        title=title,
        label="real · test",
        config={},
        config_hash="",
        summary=summary,
    )


BENCHMARK = run("buy_and_hold()", cagr=0.20, sharpe=0.99, max_drawdown=-0.315)


def comparison(**rows):
    base = {
        "total_return": 2.1,
        "cagr": 0.127,
        "sharpe": 1.02,
        "sharpe_low": 0.52,
        "sharpe_high": 1.75,
        "max_drawdown": -0.25,
        "cost": 1555.4,
        "psr": 0.999,
        "dsr": 0.99,
        "trials": 4.0,
    }
    return pd.DataFrame({name: {**base, **row} for name, row in rows.items()}).T.rename_axis("run")


def test_the_scoreboard_shows_each_number_with_its_odds_and_cost():
    text = repr(scoreboard(comparison(sma={}, idle={"sharpe": NAN, "psr": NAN, "dsr": NAN, "sharpe_low": NAN})))
    first, second = text.splitlines()[1:3]
    for part in ("12.7%", "1.02 (0.52 … 1.75)", "-25.0%", "1,555", "99.9%", "99.0%", "4"):
        assert part in first
    assert "– … 1.75" in second
    assert "nan" not in text.lower()


@pytest.mark.parametrize(
    ("dsr", "says"), [(0.99, "more than luck"), (0.8, "not proven"), (0.3, "most likely luck"), (NAN, "undefined")]
)
def test_the_verdict_follows_the_deflated_sharpe(dsr, says):
    assert says in luck(comparison(sma={"dsr": dsr}), benchmark=BENCHMARK)


def test_the_benchmark_does_not_compete_and_nan_never_wins():
    said = luck(comparison(**{"buy_and_hold()": {"sharpe": 9.0}, "a": {"sharpe": NAN}, "b": {}}), benchmark=BENCHMARK)
    assert said.startswith("b has the best Sharpe ratio of the strategies, 1.02")


def test_it_says_whether_doing_nothing_was_better():
    assert "It earned less than buying and holding (12.7% against 20.0% a year" in luck(
        comparison(sma={}), benchmark=BENCHMARK
    )
    assert "It earned more than buying and holding" in luck(comparison(sma={"cagr": 0.3}), benchmark=BENCHMARK)
    without = dataclasses.replace(BENCHMARK, summary={"cagr": None, "sharpe": None, "max_drawdown": None})
    assert "cannot be compared" in luck(comparison(sma={}), benchmark=without)


def test_nothing_traded_is_said_as_such():
    assert luck(comparison(sma={"sharpe": NAN}), benchmark=BENCHMARK).startswith("No strategy traded")


def test_the_day_in_short_names_differences_loudly():
    done = {
        "orders": 5.0,
        "filled": 5.0,
        "refused": 0.0,
        "reduced": 2.0,
        "discrepancies": 1.0,
        "traded_value": 98_995.98,
        "shortfall": -1_201.96,
        "equity": None,
        "cash": 1_004.02,
    }
    trading = dataclasses.replace(run("daily: momentum"), kind="trade", summary=done)
    text = repr(
        in_short(benchmark=BENCHMARK, runs=[run("sma")], comparison=comparison(sma={}), decisions=[], trading=trading)
    )
    assert "NO: 1 differences" in text
    assert "equity –, cash $1,004.02" in text
    assert "-$1,201.96 against the closes" in text
    assert "2 taken away by the arena" in text
    assert np.count_nonzero(["nan" in line for line in text.splitlines()]) == 0


def test_the_odds_of_a_run_are_said_in_words_with_chances_in_percent_and_counts_whole():
    table = pd.DataFrame(
        {
            "value": [1000.0, 0.55, 0.991, float("nan")],
            "meaning": ["1,000 ideas tried.", "Annual.", "Sure.", "Undefined: too few."],
            "source": ["a", "b", "c", "d"],
        },
        index=pd.Index(["trials", "sharpe", "psr", "pbo"], name="number"),
    )
    lines = repr(odds(dataclasses.replace(BENCHMARK, tables={"luck": table}))).splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["trials", "1,000"],
        ["sharpe", "0.55"],
        ["psr", "99.1%"],
        ["pbo", "–"],
    ]
