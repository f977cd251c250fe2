"""The registry: complete, consistent, documented, and handed out as a table."""

from __future__ import annotations

import math
import subprocess
import sys

import pandas as pd
import pytest

from tests.backtest.metrics.cases import inputs_of
from tests.refresh_metrics_page import PAGE, page
from workbench.backtest import metrics
from workbench.backtest.metrics.kpi import GROUPS, INPUTS, kpi
from workbench.backtest.metrics.kpis import KPIS


def test_there_are_at_least_25_metrics_of_risk_and_55_others():
    risky = sum(one.risk for one in KPIS)
    assert risky >= 25
    assert len(KPIS) - risky >= 55


def test_each_has_a_name_of_its_own_and_a_full_definition():
    names = [one.name for one in KPIS]
    assert len(set(names)) == len(names)
    assert {one.group for one in KPIS} == set(GROUPS)
    for one in KPIS:
        assert one.better in {"higher", "lower", "none"}, one.name
        for text in (one.unit, one.formula, one.source, one.undefined):
            assert text, one.name
            assert text == text.strip(), one.name
            assert "\n" not in text, one.name


def test_each_is_a_function_of_the_package_whose_help_says_what_it_is():
    for one in KPIS:
        assert getattr(metrics, one.function.__name__) is one.function
        said = one.function.__doc__
        for text in (one.formula, one.unit, one.source, one.undefined):
            assert text in said
        assert not said.startswith(one.name), f"{one.name} has no sentence of its own"


def test_what_it_needs_is_read_from_its_parameters():
    by_name = {one.name: one for one in KPIS}
    assert by_name["sharpe"].needs == ("returns", "periods")
    assert by_name["sharpe"].required == ("returns",)
    assert by_name["cost"].needs == ("orders", "financing")
    assert by_name["cost"].required == ("orders",)
    assert all(set(one.needs) <= set(INPUTS) and one.required for one in KPIS)


def test_a_definition_leaves_the_function_as_it_is():
    def plain(returns: pd.Series) -> float:
        """A sentence."""
        return float(returns.sum())

    defined = kpi("returns", unit="u", better="none", formula="f", source="s", undefined="never")(plain)
    assert defined is plain
    assert defined(pd.Series([1.0, 2.0])) == 3.0
    assert defined.kpi.name == "plain"
    assert defined.__doc__.startswith("A sentence.\n\nFormula: f\n")


def test_the_page_in_the_docs_is_what_the_definitions_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run tests/refresh_metrics_page.py"


def test_the_table_names_value_group_and_unit():
    table = metrics.all_kpis(inputs_of("path")["returns"])
    assert table.index.name == "kpi"
    assert table.index.tolist() == [one.name for one in KPIS]
    assert table.columns.tolist() == ["value", "group", "unit"]
    assert table.loc["max_drawdown"].tolist() == [pytest.approx(-0.5), "drawdown", "fraction"]
    assert metrics.definitions().loc["max_drawdown", "risk"]


def test_periods_reach_everything_that_is_annualised():
    returns = inputs_of("bacon")["returns"]
    monthly, daily = (metrics.all_kpis(returns, periods=periods)["value"] for periods in (12, 252))
    stretched = {"sharpe", "sortino", "annual_volatility", "sharpe_error"}
    for name in stretched:
        assert daily[name] / monthly[name] == pytest.approx(math.sqrt(252 / 12))
    assert daily["annual_mean"] / monthly["annual_mean"] == pytest.approx(252 / 12)
    # Of the registry, what names a year in its unit or its formula takes the number of sessions in one.
    for one in KPIS:
        if "per year" in one.unit or "√year" in one.unit or "periods" in one.formula or "CAGR" in one.formula:
            assert "periods" in one.needs or one.name == "cagr_calendar", one.name


def test_gross_exposure_of_a_one_sided_book_need_not_be_said():
    exposure = pd.Series([0.0, 0.5, -0.75])
    found = metrics.all_kpis(pd.Series([0.01, 0.02]), exposure=exposure)["value"]
    assert found["peak_gross_exposure"] == 0.75
    assert found["peak_net_exposure"] == -0.75


def test_a_benchmark_with_other_sessions_is_measured_on_the_common_ones():
    nasdaq = inputs_of("nasdaq")
    own, other = nasdaq["returns"].iloc[100:900], nasdaq["benchmark"].iloc[:700]
    common = nasdaq["returns"].iloc[100:700], nasdaq["benchmark"].iloc[100:700]
    found = metrics.all_kpis(own, benchmark=other)["value"]
    assert found["beta"] == pytest.approx(metrics.beta(*common), rel=1e-12)
    assert found["up_capture"] == pytest.approx(metrics.up_capture(*common), rel=1e-12)


def test_metrics_pull_in_no_heavy_library():
    heavy = "{'scipy', 'numba', 'vectorbt', 'skfolio', 'arch', 'plotly'}"
    code = f"import sys, workbench.backtest.metrics; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
