"""The evaluator: who computes what, what a failing cell does to the others, and that the kernels are compiled once."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tests.backtest.sweep.markets import assert_equal, by_reference, cross_cells, market, of_closes
from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.sweep import averages, columns, cross_kernel, cross_tables, kernels, raw
from workbench.backtest.sweep.evaluate import METRICS, Evaluator, Setup, evaluate, returns_of
from workbench.backtest.sweep.evaluator import unsupported
from workbench.backtest.sweep.warmup import warm_up
from workbench.errors import NotYetKnown
from workbench.market.actions import Actions, Dividend
from workbench.strategies import BuyAndHold, SmaCross
from workbench.strategies.wishes import as_weights
from workbench.strategy import Strategy

CELLS = cross_cells([2, 5], [10, 30])


class Moody(Strategy):
    """Raises, returns rubbish, sells short or borrows, as its mood says; else holds the first symbol."""

    name: ClassVar[str] = "moody"
    mood: str = ""
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        if self.mood == "raises":
            raise RuntimeError("no idea today")
        if self.mood == "divides":
            return 1 / 0
        weights = np.full(history.close.shape, np.nan)
        weights[history.begins] = {"short": -0.5, "borrows": 1.5, "endless": np.inf}.get(self.mood, 0.5)
        frame = as_weights(weights, history)
        return frame.iloc[1:] if self.mood == "misfits" else frame


class OwnCross(SmaCross):
    """Derived from a strategy with a kernel, but it wants the opposite."""

    name: ClassVar[str] = "own_cross"

    def target_weights(self, history):
        return 1.0 - super().target_weights(history)


class TestWhoComputes:
    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"costs": Costs(borrow=0.01)}, "costs other than fee, slippage and spread are set"),
            ({"costs": Costs(fee_per_order=1.0)}, "costs other than fee, slippage and spread are set"),
            ({"rules": FillRules(lot=1.0)}, "fill rules other than execution_price are set"),
            ({"rules": FillRules(band=0.1)}, "fill rules other than execution_price are set"),
        ],
    )
    def test_what_the_kernels_do_not_know_goes_to_the_reference_which_says_so(self, change, why):
        setup = dataclasses.replace(Setup(SmaCross, market()), **change)
        assert unsupported(setup) == why
        found = evaluate(setup, CELLS)
        assert set(found["engine"]) == {"reference"}
        wanted, returns = by_reference(setup, CELLS)
        assert_equal(found, wanted)
        np.testing.assert_array_equal(returns_of(setup, CELLS), returns)

    def test_corporate_actions_go_to_the_reference(self):
        history = market()
        paid = Actions(dividends=(Dividend("AAA", history.sessions[100], 0.5),))
        setup = Setup(SmaCross, dataclasses.replace(history, actions=paid))
        assert unsupported(setup) == "the history has corporate actions"
        assert set(evaluate(setup, CELLS)["engine"]) == {"reference"}

    def test_a_derived_strategy_is_not_taken_for_its_parent(self):
        setup = Setup(OwnCross, market())
        found = evaluate(setup, CELLS)
        assert set(found["engine"]) == {"kernel:weights"}
        assert_equal(found, by_reference(setup, CELLS)[0])

    def test_fixed_and_default_parameters_are_parameters(self):
        history = market()
        both = evaluate(Setup(SmaCross, history), pd.DataFrame({"fast": [5], "slow": [30]}))
        fixed = evaluate(Setup(SmaCross, history, fixed={"slow": 30}), pd.DataFrame({"fast": [5]}))
        pd.testing.assert_frame_equal(fixed, both)
        default = evaluate(Setup(SmaCross, history), pd.DataFrame({"fast": [5]}))
        pd.testing.assert_frame_equal(
            default, evaluate(Setup(SmaCross, history), pd.DataFrame({"fast": [5], "slow": 200}))
        )
        assert set(default["engine"]) == {"kernel:cross"}

    def test_a_strategy_without_parameters(self):
        history = market(symbols=2)
        found = evaluate(Setup(BuyAndHold, history), pd.DataFrame(index=[7]))
        assert found.index.tolist() == [7]
        assert found["engine"].tolist() == ["kernel:weights"]
        assert returns_of(Setup(BuyAndHold, history), pd.DataFrame(index=[7])).shape == (len(history.evaluated) - 1, 1)

    def test_no_cell_is_no_row(self):
        found = evaluate(Setup(SmaCross, market()), CELLS.iloc[:0])
        assert found.columns.tolist() == [*METRICS, "engine", "error"]
        assert found.empty
        assert returns_of(Setup(SmaCross, market()), CELLS.iloc[:0]).shape == (259, 0)


class TestFailures:
    def test_a_cell_that_fails_leaves_the_others_alone(self):
        moods = ["", "raises", "divides", "misfits", "endless", "borrows", "short", ""]
        history = market(symbols=2)
        found = evaluate(Setup(Moody, history), pd.DataFrame({"mood": moods})).set_index(pd.Index(moods))
        errors = found["error"].to_dict()
        assert errors[""] == "" == errors["short"]
        assert errors["raises"] == "RuntimeError: no idea today"
        assert errors["divides"] == "ZeroDivisionError: division by zero"
        assert "returned weights of shape (299, 2)" in errors["misfits"]
        assert "it is infinite" in errors["endless"]
        assert "more than rules.max_gross=1" in errors["borrows"]
        failed = found["error"] != ""
        assert found.loc[failed, list(METRICS)].isna().all(axis=None)
        assert found["engine"].to_dict()["short"] == "reference"
        assert found.loc[~failed, "total_return"].notna().all()
        returns = returns_of(Setup(Moody, history), pd.DataFrame({"mood": moods}))
        np.testing.assert_array_equal(np.isnan(returns).all(axis=0), failed.to_numpy())

    def test_parameters_that_the_strategy_refuses_fail_alone(self):
        cells = pd.DataFrame({"fast": [5, 30, 0], "slow": [30, 5, 10]})
        found = evaluate(Setup(SmaCross, market()), cells)
        assert found["error"].iloc[0] == ""
        assert "fast=30 must be less than slow=5" in found["error"].iloc[1]
        assert "fast=0: Input should be greater than or equal to 1" in found["error"].iloc[2]

    @pytest.mark.parametrize("column", ["nonsense", "fixed"])
    def test_a_parameter_that_does_not_exist_fails_every_cell(self, column):
        setup = Setup(SmaCross, market(), fixed={"fixed": 1} if column == "fixed" else {})
        found = evaluate(setup, CELLS if column == "fixed" else CELLS.assign(nonsense=1))
        assert found["error"].str.contains("Extra inputs are not permitted").all()

    @pytest.mark.parametrize(("price", "said"), [(0.0, "is 0.0"), (-1.0, "is -1.0"), (np.inf, "is inf")])
    def test_bars_that_cannot_be_replayed_are_refused_in_the_engines_words(self, price, said):
        closes = [10.0 + day % 7 for day in range(60)]
        closes[40] = price
        history = of_closes(closes, start=30)
        found = evaluate(Setup(SmaCross, history), CELLS)
        assert found["error"].str.contains(said).all()
        assert np.isnan(returns_of(Setup(SmaCross, history), CELLS)).all()
        before = Evaluator(Setup(SmaCross, history)).metrics(CELLS, history.sessions[30], history.sessions[39])
        assert set(before["error"]) == {""}

    def test_one_session_is_too_few(self):
        history = of_closes([10.0] * 20, start=19)
        assert evaluate(Setup(SmaCross, history), CELLS)["error"].str.contains("a wish needs a").all()

    def test_opens_that_are_not_there(self):
        setup = Setup(SmaCross, market(opens=False), rules=FillRules("next_open"))
        assert evaluate(setup, CELLS)["error"].str.contains("AAA have closes only").all()

    def test_a_range_past_the_end_is_not_known_yet(self):
        history = market()
        with pytest.raises(NotYetKnown):
            Evaluator(Setup(SmaCross, history)).metrics(CELLS, None, history.sessions[-1] + pd.Timedelta(days=9))


class TestTheSameNumbers:
    """Bit for bit, however the work is divided."""

    @pytest.mark.parametrize(("symbols", "length"), [(1, 2600), (3, 900)])
    def test_threads(self, symbols, length):
        setup = Setup(SmaCross, market(symbols=symbols, length=length, seed=4))
        cells = cross_cells(list(range(2, 40)), list(range(10, 120, 10)))
        assert len(cells) * length * symbols > 500_000
        alone = Evaluator(setup).metrics(cells)
        pd.testing.assert_frame_equal(Evaluator(setup, workers=3).metrics(cells), alone, check_exact=True)

    def test_windows_that_do_not_fit_at_once(self, monkeypatch):
        setup = Setup(SmaCross, market(seed=4))
        cells = cross_cells(list(range(2, 20)), list(range(10, 60, 5)))
        whole, returns = evaluate(setup, cells), returns_of(setup, cells)
        monkeypatch.setattr(columns, "BYTES", 4 * 300 * 8)
        pd.testing.assert_frame_equal(evaluate(setup, cells), whole, check_exact=True)
        np.testing.assert_array_equal(returns_of(setup, cells), returns)

    def test_cell_by_cell(self):
        setup = Setup(SmaCross, market(seed=4))
        one_by_one = pd.concat([evaluate(setup, CELLS.iloc[[row]]) for row in range(len(CELLS))])
        pd.testing.assert_frame_equal(one_by_one, evaluate(setup, CELLS), check_exact=True)


class TestKernels:
    def test_warming_up_compiles_every_kernel_for_good(self):
        seconds = warm_up()
        assert set(seconds) == {
            "kernel:cross sma_cross, one symbol",
            "kernel:cross ema_cross, one symbol",
            "kernel:cross, several symbols",
            "kernel:weights",
        }
        entries = (
            averages.simple,
            averages.exponential,
            cross_tables.spans,
            cross_tables.turns,
            cross_kernel.all_in_crosses,
            kernels.crossed,
            kernels.weighted,
        )
        known = [len(kernel.signatures) for kernel in entries]
        for setup in (Setup(SmaCross, market(gaps=0.1)), Setup(SmaCross, market(symbols=3)), Setup(Moody, market())):
            cells = pd.DataFrame({"mood": [""]}) if setup.kind is Moody else CELLS
            Evaluator(setup, workers=2).metrics(cells)
            returns_of(setup, cells)
        assert [len(kernel.signatures) for kernel in entries] == known == [1] * len(entries)

    @pytest.mark.parametrize("kernel", [kernels, cross_kernel])
    def test_the_columns_of_raw_are_the_same_in_every_file(self, kernel):
        renamed = {"DOWN": "_SQUARES", "FALL": "_DEEPEST"}
        names = [name for name in vars(raw) if name.isupper() and name != "WIDTH"]
        assert len(names) == raw.WIDTH
        for name in names:
            assert getattr(kernel, renamed.get(name, f"_{name}")) == getattr(raw, name)
