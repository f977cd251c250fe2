"""The month-end timing rule against weights worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.errors import ParameterError
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies import TrendTiming, build
from workbench.study import Study

# The month ends of New York's calendar in the first half of 2015.
ENDS = ("2015-01-30", "2015-02-27", "2015-03-31", "2015-04-30", "2015-05-29", "2015-06-30")


def history_of(at_ends, *, start="2015-01-02", last="2015-06-30", missing=()):
    """Closes that jump to the given value on the first session of each month and stay there until its end."""
    index = sessions.sessions("XNYS", "2015-01-02", last)
    closes = pd.DataFrame({name: [values[day.month - 1] for day in index] for name, values in at_ends.items()}, index)
    for name, day in missing:
        closes.loc[day, name] = np.nan
    study = Study.of(list(at_ends), start=start, as_of=sessions.closes("XNYS", index[-1]))
    return History(study=study, bars=Bars(close=closes.astype(float)), label="by hand")


def said(weights):
    """The rows that speak, by day."""
    return {f"{day:%Y-%m-%d}": row for day, row in weights.dropna(how="all").iterrows()}


def test_it_holds_after_a_month_end_above_the_average_and_leaves_after_one_below():
    # month ends 10 12 11 13 9 9, average of two: – 11 11.5 12 11 9
    #   above:                   – yes no  yes no no (9 is not above 9)
    weights = TrendTiming(months=2).target_weights(history_of({"AAA": [10, 12, 11, 13, 9, 9]}))
    expected = {"2015-02-27": 1.0, "2015-03-31": 0.0, "2015-04-30": 1.0, "2015-05-29": 0.0}
    assert {day: row["AAA"] for day, row in said(weights).items()} == expected


def test_what_happens_inside_a_month_does_not_count():
    history = history_of({"AAA": [10, 12, 12, 12, 12, 12]})
    closes = history.close.copy()
    closes.loc["2015-03-09":"2015-03-20"] = 1.0
    inside = History(study=history.study, bars=Bars(close=closes), label="by hand")
    weights = TrendTiming(months=2).target_weights(inside)
    assert list(said(weights)) == ["2015-02-27", "2015-03-31"]
    assert weights.loc["2015-02-27", "AAA"] == 1.0
    assert weights.loc["2015-03-31", "AAA"] == 0.0  # 12 is not above (12 + 12) / 2


def test_each_symbol_has_its_own_share_and_changes_are_said_as_whole_rows():
    history = history_of({"AAA": [10, 12, 14, 16, 18, 20], "BBB": [9, 8, 7, 8, 9, 10]})
    rows = said(TrendTiming(months=2).target_weights(history))
    assert {day: row.tolist() for day, row in rows.items()} == {"2015-02-27": [0.5, 0.0], "2015-04-30": [0.5, 0.5]}


def test_the_wish_of_the_last_month_end_stands_at_the_start():
    weights = TrendTiming(months=2).target_weights(
        history_of({"AAA": [10, 12, 14, 16, 18, 20]}, start="2015-03-12", last="2015-03-25")
    )
    assert {day: row["AAA"] for day, row in said(weights).items()} == {"2015-03-12": 1.0}


def test_the_evening_before_the_month_ends_knows_that_it_does_not_end():
    history = history_of({"AAA": [10, 12, 9, 9, 9, 9]}, last="2015-03-30")
    assert list(said(TrendTiming(months=2).target_weights(history))) == ["2015-02-27"]


def test_a_close_missing_at_a_month_end_is_the_newest_one_and_the_wish_waits_for_a_price():
    history = history_of({"AAA": [10, 12, 9, 9, 9, 9]}, missing=[("AAA", "2015-02-27"), ("AAA", "2015-03-31")])
    weights = TrendTiming(months=2).target_weights(history)
    assert {day: row["AAA"] for day, row in said(weights).items()} == {"2015-03-02": 1.0, "2015-04-01": 0.0}


def test_the_default_is_the_ten_months_of_the_paper():
    assert build("trend_timing") == TrendTiming(months=10)
    assert TrendTiming().warm_up == 253


@pytest.mark.parametrize("months", [1, 0, -3, 61])
def test_an_average_of_one_month_or_of_more_than_five_years_is_refused(months):
    with pytest.raises(ParameterError, match=f"months={months}"):
        build("trend_timing", months=months)


def test_the_month_ends_of_this_file_are_those_of_the_calendar():
    index = sessions.sessions("XNYS", "2015-01-02", "2015-06-30")
    lasts = pd.Series(index, index=index).groupby(index.month).last()
    assert tuple(f"{day:%Y-%m-%d}" for day in lasts) == ENDS
