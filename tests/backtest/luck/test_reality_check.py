"""The reality check against arch, draw for draw, and against what is known of it without any computation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backtest.luck.crosses import sp500_crosses
from workbench.backtest.luck.bootstrap import counts, histories
from workbench.backtest.luck.reality_check import kernel_variance, reality_check
from workbench.errors import BacktestError

DEMO = json.loads((Path(__file__).parents[2] / "answers" / "luck.json").read_text(encoding="utf-8"))["sp500_crosses"]


def cells(seed, *, sessions=600, count=40, lead=0.0):
    """Cells that follow a benchmark with noise of their own, and the benchmark."""
    draw = np.random.default_rng(seed)
    benchmark = draw.standard_t(5, sessions) * 0.01
    own = draw.normal(0, 1, (sessions, count)) * draw.uniform(0.001, 0.01, count)
    return 0.8 * benchmark[:, None] + own + draw.normal(lead, 0.0003, count), benchmark


def by_arch(returns, benchmark, *, block, reps, kind="stationary", seed=5):
    """arch's SPA, computed, and how often each session was drawn in each of its histories."""
    from arch.bootstrap import SPA

    spa = SPA(-benchmark, -returns, block_size=block, reps=reps, bootstrap=kind, seed=seed)
    draws, draw = [], spa.bootstrap.update_indices
    spa.bootstrap.update_indices = lambda: draws.append(draw()) or draws[-1]
    spa.compute()
    return spa, np.stack([np.bincount(rows, minlength=len(returns)) for rows in draws]).astype(float)


class TestAgainstArch:
    @pytest.mark.parametrize("kind", ["stationary", "circular"])
    @pytest.mark.parametrize("lead", [-0.001, 0.0, 0.0004])
    def test_the_same_draws_give_the_same_statistic_and_the_same_p_values(self, kind, lead):
        returns, benchmark = cells(1, lead=lead)
        spa, draws = by_arch(returns, benchmark, block=12, reps=300, kind=kind)
        found = reality_check(returns, benchmark, seed=0, block_length=12, draws=draws)
        np.testing.assert_allclose(found.largest, spa._simulated_vals.max(axis=0).T, rtol=1e-9, atol=1e-15)
        assert (found.plain.lower, found.plain.consistent, found.plain.upper) == tuple(spa.pvalues)
        assert found.difference == pytest.approx(spa._loss_diff.mean(axis=0).max(), rel=1e-12)
        assert found.white == spa.pvalues["upper"]

    def test_the_variance_is_that_of_arch(self):
        returns, benchmark = cells(2, sessions=501, count=7)
        for block in (1, 7, 40):
            spa, _ = by_arch(returns, benchmark, block=block, reps=1)
            differences = returns - benchmark[:, None]
            found = kernel_variance(differences - differences.mean(axis=0), block_length=block)
            np.testing.assert_allclose(found, spa._loss_diff_var, rtol=1e-10)

    def test_the_superior_cells_are_those_of_its_step_method(self):
        from arch.bootstrap import StepM

        returns, benchmark = cells(3, lead=0.0002)
        returns[:, [4, 17, 30]] += np.array([0.004, 0.0012, 0.002])
        steps = StepM(-benchmark, -returns, size=0.1, block_size=10, reps=300, seed=9)
        _, draws = by_arch(returns, benchmark, block=10, reps=300, seed=9)
        steps.compute()
        found = reality_check(returns, benchmark, seed=0, block_length=10, draws=draws, level=0.1)
        assert list(found.superior) == steps.superior_models
        assert {4, 30} <= set(found.superior)
        assert len(found.superior) < 40

    def test_own_draws_give_its_p_values_within_the_noise_of_drawing(self):
        returns, held = sp500_crosses()
        reps = 2_000
        found = reality_check(returns, held, seed=7, reps=reps, block_length=DEMO["spa_block"])
        for name, theirs in DEMO["spa"].items():
            noise = math.sqrt(theirs * (1 - theirs) * (1 / reps + 1 / DEMO["spa_reps"]))
            assert getattr(found.plain, name) == pytest.approx(theirs, abs=3 * noise), name
        assert found.superior == ()


class TestByHand:
    def test_the_product_is_the_mean_of_each_history(self):
        returns, benchmark = cells(4, sessions=120, count=6)
        asked = {"block_length": 6.0, "reps": 50, "seed": 3}
        found = reality_check(returns, benchmark, **asked)
        differences = returns - benchmark[:, None]
        means = differences.mean(axis=0)
        rows = np.concatenate(list(histories(120, **asked)))
        drawn = differences[rows].mean(axis=1)
        np.testing.assert_allclose(found.largest[2], (drawn - means).max(axis=1), rtol=1e-9)
        np.testing.assert_allclose(found.largest[0], (drawn - np.maximum(means, 0)).max(axis=1), rtol=1e-9)
        spread = np.sqrt(kernel_variance(differences - means, block_length=6.0))
        ratios = ((drawn - means) / spread).max(axis=1)
        assert found.studentised.upper == (ratios > (means / spread).max()).mean()

    def test_the_variance_is_that_of_the_drawn_means(self):
        returns, _ = cells(5, sessions=300, count=3)
        centred = returns - returns.mean(axis=0)
        drawn = counts(300, block_length=9.0, reps=40_000, seed=1) @ centred / 300
        np.testing.assert_allclose(kernel_variance(centred, block_length=9.0), 300 * drawn.var(axis=0), rtol=0.03)

    def test_blocks_of_one_have_the_plain_variance(self):
        returns, _ = cells(6, sessions=101, count=4)
        centred = returns - returns.mean(axis=0)
        np.testing.assert_allclose(kernel_variance(centred, block_length=1.0), centred.var(axis=0), rtol=1e-12)

    def test_one_cell_has_the_odds_of_a_normal_mean(self):
        draw = np.random.default_rng(8)
        returns = draw.normal(0, 0.01, (400, 1))
        returns += 0.01 * 1.2 / 20 - returns.mean()  # 1.2 standard errors above the benchmark
        found = reality_check(returns, np.zeros(400), seed=1, reps=8_000, block_length=1.0)
        assert found.plain.upper == pytest.approx(0.115, abs=0.015)  # 1 − Φ(1.2)

    def test_a_wild_cell_hides_a_steady_one_unless_studentised(self):
        draw = np.random.default_rng(9)
        steady = draw.normal(0.0006, 0.002, (500, 1))
        wild = draw.normal(0.0, 0.05, (500, 20))
        found = reality_check(np.hstack([steady, wild - wild.mean(axis=0)]), np.zeros(500), seed=1, block_length=2.0)
        assert found.plain.consistent > 0.5
        assert found.studentised.consistent < 0.05


class TestSense:
    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10**6), lead=st.floats(-0.002, 0.002), count=st.integers(1, 12), length=st.floats(1, 30))
    def test_lower_consistent_upper(self, seed, lead, count, length):
        returns, benchmark = cells(seed, sessions=80, count=count, lead=lead)
        found = reality_check(returns, benchmark, seed=seed, reps=60, block_length=length)
        for values in (found.plain, found.studentised):
            assert 0.0 <= values.lower <= values.consistent <= values.upper <= 1.0
        assert (found.largest[0] <= found.largest[1]).all()
        assert (found.largest[1] <= found.largest[2]).all()

    def test_under_the_null_it_rejects_about_as_often_as_it_says(self):
        draws = (np.random.default_rng(seed).standard_t(5, (250, 15)) * 0.01 for seed in range(120))
        found = [reality_check(returns, np.zeros(250), seed=seed, reps=200) for seed, returns in enumerate(draws)]
        rejected = np.mean([one.plain.upper < 0.1 for one in found])
        assert rejected < 0.1 + 3 * math.sqrt(0.1 * 0.9 / 120)

    def test_a_planted_lead_is_found_and_named(self):
        returns, benchmark = cells(11, lead=-0.001)
        returns[:, 7] += 0.004
        found = reality_check(returns, benchmark, seed=1)
        assert found.plain.upper < 0.01
        assert (found.best, found.superior) == (7, (7,))

    def test_cells_that_never_traded_change_nothing(self):
        returns, benchmark = cells(12, count=5, lead=0.0005)
        plain = reality_check(returns, benchmark, seed=1)
        flat, failed = np.zeros((600, 1)), np.full((600, 2), np.nan)
        found = reality_check(np.hstack([flat, returns, failed]), benchmark, seed=1)
        assert (found.plain, found.studentised) == (plain.plain, plain.studentised)
        assert (found.best, found.cells) == (plain.best + 1, 5)

    def test_a_cell_that_is_the_benchmark_has_no_lead_to_study(self):
        returns, benchmark = cells(13, count=4)
        twin = benchmark * (1 + 1e-15)
        assert reality_check(twin[:, None], benchmark, seed=1) is None
        found = reality_check(np.column_stack([twin, returns]), benchmark, seed=1)
        assert found.plain == reality_check(returns, benchmark, seed=1).plain

    def test_chunks_change_nothing(self, monkeypatch):
        returns, benchmark = cells(14, count=23, lead=0.0008)
        whole = reality_check(returns, benchmark, seed=1, level=0.5)
        monkeypatch.setattr(
            "workbench.backtest.luck.reality_check.column_chunks",
            lambda _, count: [slice(at, min(at + 4, count)) for at in range(0, count, 4)],
        )
        parts = reality_check(returns, benchmark, seed=1, level=0.5)
        np.testing.assert_allclose(parts.largest, whole.largest, rtol=1e-10)
        assert (parts.plain, parts.superior) == (whole.plain, whole.superior)
        assert len(whole.superior) > 1

    def test_the_seed_decides(self):
        returns, benchmark = cells(15)
        one, same, other = (reality_check(returns, benchmark, seed=seed, reps=80) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.largest, same.largest)
        assert (one.largest != other.largest).any()


class TestRefusals:
    def test_a_benchmark_that_does_not_fit(self):
        returns, benchmark = cells(1)
        for bad in (benchmark[:-1], np.append(benchmark[:-1], np.nan)):
            with pytest.raises(BacktestError, match="does not fit returns of shape"):
                reality_check(returns, bad, seed=1)

    def test_nobody_traded(self):
        assert reality_check(np.zeros((50, 3)), np.zeros(50), seed=1) is None
