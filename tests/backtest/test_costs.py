"""Costs: what is refused, and the numbers behind them against tables and other libraries."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.costs import Costs
from workbench.backtest.fees import SCHEDULES, US_EQUITIES, Fees, schedule_for
from workbench.backtest.slippage import mean_before, volatility_before, worse
from workbench.errors import BarsRefused, ParameterError


def day(text):
    return dt.date.fromisoformat(text)


class TestRegulatoryFees:
    # The last day of one rate and the first of the next: SEC Fee Rate Advisories (dollars per million of sales)
    @pytest.mark.parametrize(
        ("before", "old", "new"),
        [
            ("2010-04-01", 12.70, 16.90),  # FINRA Information Notice 3/10/10
            ("2011-01-21", 16.90, 19.20),  # advisory 5, fiscal year 2011
            ("2012-02-21", 19.20, 18.00),  # advisory 5, fiscal year 2012
            ("2014-03-18", 17.40, 22.10),  # FINRA Information Notice 3/3/14
            ("2018-05-22", 23.10, 13.00),  # advisory 3, fiscal year 2018
            ("2019-04-16", 13.00, 20.70),  # advisory 2, fiscal year 2019
            ("2021-02-25", 22.10, 5.10),  # advisory 2, fiscal year 2021
            ("2025-05-14", 27.80, 0.00),  # FINRA Information Notice 4/24/25
        ],
    )
    def test_section_31_changes_on_its_day(self, before, old, new):
        first = day(before)
        assert US_EQUITIES.on_sale(first - dt.timedelta(days=1), qty=0.0, value=1e6) == pytest.approx(old)
        assert US_EQUITIES.on_sale(first, qty=0.0, value=1e6) == pytest.approx(new)

    @pytest.mark.parametrize(
        ("on", "rate", "cap"),
        [
            ("2011-06-30", 0.000075, 3.75),
            ("2011-07-01", 0.000090, 4.50),
            ("2012-03-01", 0.000095, 4.75),
            ("2021-12-31", 0.000119, 5.95),
            ("2022-01-03", 0.000130, 6.49),
            ("2023-01-03", 0.000145, 7.27),
            ("2024-01-02", 0.000166, 8.30),
        ],
    )
    def test_the_trading_activity_fee_has_a_rate_and_a_cap(self, on, rate, cap):
        assert US_EQUITIES.on_sale(day(on), qty=1_000, value=0.0) == pytest.approx(1_000 * rate)
        assert US_EQUITIES.on_sale(day(on), qty=1e9, value=0.0) == cap

    def test_every_row_has_a_source_and_rows_are_in_order(self):
        for schedule in SCHEDULES.values():
            for rows in schedule.series:
                assert all(row.source for row in rows)
                since = [row.since for row in rows]
                assert since == sorted(set(since))
                assert since[0] <= schedule.since < schedule.until

    def test_no_fee_is_guessed(self):
        inside = pd.DatetimeIndex(["2008-04-01", "2025-09-30"])
        assert schedule_for("us_equities", inside) is US_EQUITIES
        assert schedule_for("", pd.DatetimeIndex(["1990-01-02"])) is None
        for wrong in (["2008-03-31", "2010-01-04"], ["2020-01-02", "2025-10-01"]):
            with pytest.raises(BarsRefused, match="known from 2008-04-01 to 2025-09-30, but the bars run from"):
                schedule_for("us_equities", pd.DatetimeIndex(wrong))
        with pytest.raises(ParameterError, match=r"costs.regulatory='mars' is not one of us_equities"):
            schedule_for("mars", inside)


class TestFees:
    def test_the_tiers_belong_to_the_calendar_month(self):
        fees = Fees(Costs(fee=0.5, fee_tiers=((100, 0.2), (300, 0.1))), None)
        rates = []
        for on, value in (
            ("2015-01-02", 99),
            ("2015-01-05", 1),
            ("2015-01-06", 200),
            ("2015-01-30", 1),
            ("2015-02-02", 1),
        ):
            rates.append(fees.rate(day(on)))
            fees.remember(day(on), value)
        assert rates == [0.5, 0.5, 0.2, 0.1, 0.5]

    def test_the_same_month_of_another_year_is_another_month(self):
        fees = Fees(Costs(fee=0.5, fee_tiers=((100, 0.2),)), None)
        fees.remember(day("2015-01-02"), 1_000)
        assert (fees.rate(day("2015-01-30")), fees.rate(day("2016-01-04"))) == (0.2, 0.5)


class TestVolatility:
    def test_it_is_the_standard_deviation_of_twenty_returns_known_before_the_bar(self):
        prices = 100 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, (80, 2)), axis=0))
        expected = pd.DataFrame(prices).pct_change().rolling(20, min_periods=2).std().shift(1)
        np.testing.assert_allclose(volatility_before(prices), expected, rtol=1e-9)

    def test_a_bar_without_a_close_is_left_out(self):
        prices = np.array([10.0, 11.0, np.nan, 9.9, np.nan, 12.0])[:, None]
        known = [np.nan, np.nan, np.nan, np.nan, np.std([0.1, -0.1], ddof=1), np.std([0.1, -0.1], ddof=1)]
        np.testing.assert_allclose(volatility_before(prices)[:, 0], known)

    def test_a_symbol_without_prices_has_none(self):
        assert np.isnan(volatility_before(np.full((5, 1), np.nan))).all()
        assert np.isnan(mean_before(np.full((5, 1), np.nan))).all()

    def test_the_mean_volume_is_that_of_twenty_bars_before(self):
        volume = np.random.default_rng(3).integers(1, 100, (60, 1)).astype(float)
        expected = pd.DataFrame(volume).rolling(20, min_periods=1).mean().shift(1)
        np.testing.assert_allclose(mean_before(volume), expected, rtol=1e-12)


def test_the_square_root_law_does_not_depend_on_the_length_of_the_bar():
    daily = worse(Costs(impact=1.0), qty=100, volume=1, sigma=0.02, mean_volume=10_000)
    hourly = worse(Costs(impact=1.0), qty=100, volume=1, sigma=0.02 / np.sqrt(6), mean_volume=10_000 / 6)
    assert daily.impact == pytest.approx(hourly.impact) == pytest.approx(0.002)


def test_costs_that_cannot_be():
    for name in ("borrow", "impact", "fee_per_share", "cash_interest"):
        with pytest.raises(ParameterError, match=rf"costs.{name}=-1.0 must be a finite number from 0 on"):
            Costs(**{name: -1.0})
    with pytest.raises(ParameterError, match=r"costs.fee_tiers=.* must rise"):
        Costs(fee_tiers=((100, 0.1), (50, 0.2)))


def test_costs_survive_json():
    costs = Costs(fee=0.001, fee_max=0.01, fee_tiers=((0, 0.001), (1e6, 0.0005)), regulatory="us_equities", borrow=0.02)
    assert Costs(**costs.to_dict()) == costs
