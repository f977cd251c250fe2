"""Rolling series against pandas and empyrical, and the monthly table by hand."""

from __future__ import annotations

import empyrical
import numpy as np
import pandas as pd
import pytest

from tests.backtest.metrics.cases import inputs_of
from workbench.backtest import metrics

DRAW = np.random.default_rng(11)
INDEX = pd.bdate_range("2015-01-02", periods=600, name="session")
OWN = pd.Series(DRAW.standard_t(4, 600) * 0.01, index=INDEX)
OTHER = 0.5 * OWN + pd.Series(DRAW.normal(0, 0.01, 600), index=INDEX)
WINDOW = 60


def assert_agree(ours: pd.Series, theirs: pd.Series) -> None:
    pd.testing.assert_series_equal(ours, theirs, rtol=1e-9, check_names=False, check_freq=False)
    assert len(ours) == 600 - WINDOW + 1
    assert ours.index[0] == INDEX[WINDOW - 1]


def test_rolling_series_are_those_of_pandas_and_empyrical():
    rolled = OWN.rolling(WINDOW)
    assert_agree(metrics.rolling_volatility(OWN, window=WINDOW), (rolled.std() * 252**0.5).dropna())
    assert_agree(
        metrics.rolling_return(OWN, window=WINDOW), (1 + OWN).rolling(WINDOW).apply(np.prod, raw=True).dropna() - 1
    )
    assert_agree(
        metrics.rolling_beta(OWN, OTHER, window=WINDOW), (rolled.cov(OTHER) / OTHER.rolling(WINDOW).var()).dropna()
    )
    assert_agree(metrics.rolling_sharpe(OWN, window=WINDOW), empyrical.roll_sharpe_ratio(OWN, WINDOW))


def test_the_last_window_is_the_metric_of_its_sessions():
    last = OWN.iloc[-WINDOW:]
    assert metrics.rolling_sharpe(OWN, window=WINDOW).iloc[-1] == pytest.approx(metrics.sharpe(last), rel=1e-9)
    assert metrics.rolling_beta(OWN, OTHER, window=WINDOW).iloc[-1] == pytest.approx(
        metrics.beta(last, OTHER.iloc[-WINDOW:]), rel=1e-9
    )


def test_a_stretch_without_a_move_has_no_sharpe_ratio_and_no_beta_even_after_rounding():
    still = OWN.copy()
    still.iloc[200:400] = 0.0003
    ratios = metrics.rolling_sharpe(still, window=WINDOW)
    assert ratios.loc[INDEX[260] : INDEX[399]].isna().all()
    assert ratios.drop(ratios.loc[INDEX[259] : INDEX[399]].index).notna().all()
    slopes = metrics.rolling_beta(OWN, still, window=WINDOW)
    assert slopes.loc[INDEX[260] : INDEX[399]].isna().all()


def test_a_total_loss_is_in_every_window_that_holds_it_and_in_no_other():
    path = pd.Series([0.1, 0.2, -1.0, 0.5, 0.1, 0.1])
    assert metrics.rolling_return(path, window=2).tolist() == pytest.approx([0.32, -1, -1, 0.65, 0.21])


def test_unknown_sessions_are_skipped():
    holes = OWN.copy()
    holes.iloc[[3, 77]] = np.nan
    agreed = metrics.rolling_volatility(holes, window=WINDOW)
    pd.testing.assert_series_equal(agreed, metrics.rolling_volatility(OWN.drop(INDEX[[3, 77]]), window=WINDOW))


@pytest.mark.parametrize("window", [1, 601])
def test_a_window_that_holds_no_deviation_or_exceeds_the_record_gives_nothing(window):
    assert metrics.rolling_sharpe(OWN, window=window).empty
    assert metrics.rolling_beta(OWN, OTHER, window=window).empty
    assert len(metrics.rolling_return(OWN, window=window)) == (600 if window == 1 else 0)


def test_the_drawdown_series_by_hand():
    falls = metrics.drawdown_series(inputs_of("path")["returns"])
    assert falls.tolist() == pytest.approx([0, -0.1, 0, -0.5, -0.375, 0, 0, -0.2])
    assert falls.index[3] == pd.Timestamp("2020-01-31")


def test_the_monthly_table_by_hand():
    table = metrics.monthly_table(inputs_of("path")["returns"])
    assert table.index.tolist() == [2019, 2020]
    assert table.columns.tolist() == [*range(1, 13), "year"]
    assert table.loc[2019, [12, "year"]].tolist() == pytest.approx([-0.01, -0.01])
    assert table.loc[2020, [1, 2, 3, 4, "year"]].tolist() == pytest.approx([-0.4, 1.0, 0.1, -0.2, 0.056])
    assert table.notna().to_numpy().sum() == 7


def test_a_year_without_a_session_stays_empty_in_the_table():
    table = metrics.monthly_table(pd.Series([0.1, 0.2], index=pd.to_datetime(["2018-03-01", "2020-03-02"])))
    assert table.index.tolist() == [2018, 2019, 2020]
    assert table.loc[2019].isna().all()
    assert table.loc[2020, "year"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("first", "defined"),
    [("2021-03-16", True), ("2021-03-17", True), ("2021-03-18", True), ("2021-03-24", False)],
)
def test_twelve_months_need_twelve_months(first, defined):
    """Up to Wednesday 2022-03-16: sessions after Tuesday 2021-03-16, whose predecessor is at most a weekend away."""
    index = pd.bdate_range(first, "2022-03-16")
    found = metrics.trailing_12_months(pd.Series(0.001, index=index))
    within = index[index > pd.Timestamp("2021-03-16")]
    assert found == (pytest.approx(1.001 ** len(within) - 1) if defined else pytest.approx(float("nan"), nan_ok=True))


def test_the_end_of_february_has_a_day_a_year_before():
    index = pd.date_range("2019-02-01", "2020-02-29")
    found = metrics.trailing_12_months(pd.Series(0.001, index=index))
    assert found == pytest.approx(1.001**366 - 1)  # 2019-03-01 to 2020-02-29


def test_a_moment_belongs_to_the_month_of_its_own_time_zone():
    moments = pd.to_datetime(["2020-01-31 18:30", "2020-01-31 19:30"]).tz_localize("America/New_York")
    assert metrics.best_month(pd.Series([0.1, 0.1], index=moments)) == pytest.approx(0.21)
    assert metrics.best_month(pd.Series([0.1, 0.1], index=moments.tz_convert("UTC"))) == pytest.approx(0.1)
