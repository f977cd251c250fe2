"""The headline numbers of a replay and the table of all metrics of a run, on a book made by hand."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from workbench.backtest import metrics
from workbench.backtest.luck.significance import psr_of
from workbench.backtest.metrics.kpis import KPIS
from workbench.backtest.simulation import Simulation
from workbench.backtest.summary import kpi_table, summarise
from workbench.errors import NoData
from workbench.run import Run
from workbench.study import Study

SESSIONS = pd.bdate_range("2020-01-06", periods=6, name="session")
HEADLINES = (
    *("total_return", "cagr", "annual_volatility", "sharpe", "psr", "sortino", "max_drawdown", "longest_drawdown"),
    *("calmar", "ulcer_index", "var_95", "cvar_95", "skewness", "kurtosis", "positive_days", "exposure", "turnover"),
    *("trades", "open_trades", "win_rate", "profit_factor", "cost", "final_equity"),
)


def book(equity: list[float]) -> Simulation:
    values = pd.Series(equity, index=SESSIONS, name="equity")
    orders = pd.DataFrame(
        {
            "value": [500.0, 600.0],
            "fee": [1.0, 1.0],
            "slippage": [0.5, 0.5],
            "spread": [0.25, 0.25],
            "impact": [0.1, 0.1],
        }
    )
    trades = pd.DataFrame(
        {
            "symbol": ["A", "A", "B"],
            "side": ["long", "long", "short"],
            "opened": SESSIONS[[0, 2, 4]],
            "closed": [SESSIONS[1], SESSIONS[3], pd.NaT],
            "pnl": [30.0, -10.0, 99.0],
            "return": [0.06, -0.02, 0.5],
            "open": [False, False, True],
        }
    )
    return Simulation(
        equity=values,
        returns=(values / values.shift(1) - 1.0).iloc[1:].rename("return"),
        orders=orders,
        trades=trades,
        positions=pd.DataFrame(1.0, index=SESSIONS, columns=["A"]),
        cash=pd.Series(0.0, index=SESSIONS, name="cash"),
        exposure=pd.Series([0.0, 0.5, 0.5, 0.5, -0.5, -0.5], index=SESSIONS, name="exposure"),
        gross=pd.Series([0.0, 0.5, 0.5, 0.5, 0.5, 0.7], index=SESSIONS, name="gross"),
        execution_price="next_close",
        engine="replay",
        financing=pd.DataFrame({"borrow": -0.4, "interest": 1.0, "dividends": 0.0, "delisted": 0.0}, index=SESSIONS),
    )


def run_of(simulation: Simulation) -> Run:
    parts = [simulation.equity, simulation.exposure, simulation.gross, simulation.returns]
    return Run(
        id="0" * 32,
        kind="backtest",
        study=Study.of(["A"], start="2020-01-06", as_of="2020-01-13"),
        title="by_hand()",
        label="made by hand",
        config={},
        config_hash="",
        summary={},
        tables={
            "equity": pd.concat(parts, axis=1),
            "orders": simulation.orders,
            "trades": simulation.trades,
            "financing": simulation.financing,
        },
    )


BOOK = book([1000.0, 1030.0, 1020.0, 1050.0, 1010.0, 1060.0])


class TestSummary:
    def test_the_headlines_are_there_in_reading_order(self):
        names = list(summarise(BOOK))
        assert [name for name in names if name in HEADLINES] == list(HEADLINES)

    def test_they_are_the_metrics_of_the_book(self):
        found = summarise(BOOK)
        assert found["total_return"] == pytest.approx(0.06)
        assert found["max_drawdown"] == pytest.approx(1010 / 1050 - 1)
        assert (found["trades"], found["open_trades"], found["win_rate"], found["profit_factor"]) == (3, 1, 0.5, 3)
        assert (found["payoff_ratio"], found["expectancy"]) == (3, 10)
        assert found["cost"] == pytest.approx(2 + 1 + 0.5 + 0.2 + 6 * 0.4)
        assert found["breakeven_cost"] == pytest.approx((60 + 6.1) / 6.1)
        assert found["turnover"] == pytest.approx(550 / BOOK.equity.mean() / 5 * 252)
        assert found["final_equity"] == 1060
        assert found["psr"] == psr_of(BOOK.returns)
        table = metrics.all_kpis(
            BOOK.returns, BOOK.equity, BOOK.orders, BOOK.trades, BOOK.exposure, financing=BOOK.financing
        )["value"]
        shared = [name for name in found if name in table.index]
        assert len(shared) == len(found) - 2  # psr and final_equity are no metrics of the registry
        assert {name: found[name] for name in shared} == pytest.approx(
            {name: None if math.isnan(table[name]) else table[name] for name in shared}
        )

    def test_the_year_may_have_another_number_of_bars(self):
        daily, hourly = summarise(BOOK), summarise(BOOK, periods=252 * 7)
        for name in ("sharpe", "sortino", "annual_volatility"):
            assert hourly[name] / daily[name] == pytest.approx(math.sqrt(7))
        assert hourly["turnover"] / daily["turnover"] == pytest.approx(7)
        assert hourly["max_drawdown"] == daily["max_drawdown"]
        assert hourly["psr"] == pytest.approx(daily["psr"])

    def test_what_is_undefined_is_none(self):
        still = dataclasses.replace(
            book([1000.0] * 6), orders=BOOK.orders.iloc[:0], trades=BOOK.trades.iloc[:0], financing=BOOK.financing * 0
        )
        found = summarise(still)
        none = ("sharpe", "psr", "sortino", "calmar", "skewness", "kurtosis", "win_rate", "profit_factor")
        assert [found[name] for name in (*none, "payoff_ratio", "expectancy", "breakeven_cost")] == [None] * 11
        assert (found["total_return"], found["cost"], found["trades"], found["turnover"]) == (0, 0, 0, 0)


class TestTable:
    def test_every_metric_with_its_definition(self):
        table = kpi_table(run_of(BOOK))
        assert table.index.tolist() == [one.name for one in KPIS]
        assert table.columns.tolist() == ["value", "unit", "group", "better", "formula", "source"]
        assert table.loc["max_drawdown", "value"] == pytest.approx(1010 / 1050 - 1)
        assert table.loc["max_drawdown", "formula"] == "min(wealth / running peak − 1)"
        assert table.loc["borrow", "value"] == pytest.approx(2.4)
        assert table.loc["peak_gross_exposure", "value"] == 0.7
        assert table.loc["peak_net_exposure", "value"] == 0.5
        assert table[["unit", "group", "better", "formula", "source"]].notna().to_numpy().all()

    def test_a_benchmark_is_another_run(self):
        other = book([1000.0, 1010.0, 1005.0, 1020.0, 1015.0, 1030.0])
        without, measured = kpi_table(run_of(BOOK))["value"], kpi_table(run_of(BOOK), benchmark=run_of(other))["value"]
        assert measured["beta"] == pytest.approx(metrics.beta(BOOK.returns, other.returns))
        of_benchmark = [one.name for one in KPIS if one.group == "benchmark"]
        assert without[of_benchmark].isna().all()
        pd.testing.assert_series_equal(without.drop(of_benchmark), measured.drop(of_benchmark))

    def test_tables_that_a_run_does_not_have_are_not_invented(self):
        run = run_of(BOOK)
        bare = dataclasses.replace(run, tables={"equity": run.table("equity")[["equity", "return"]]})
        table = kpi_table(bare)
        assert table.loc[table["group"].isin({"trade", "exposure", "cost"}), "value"].isna().all()
        assert table.loc["total_return", "value"] == pytest.approx(0.06)

    def test_a_run_without_equity_is_refused(self):
        with pytest.raises(NoData, match="no table 'equity'"):
            kpi_table(dataclasses.replace(run_of(BOOK), tables={}))
