"""PBO against the loop it replaces, purgedcv, a published study and a real sweep."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backtest.luck.crosses import PAIRS, sp500_crosses
from workbench.backtest.luck.cells import column_chunks, evenly_with, sharpes_of, traded
from workbench.backtest.luck.overfitting import blocks_for, probability_of_overfitting
from workbench.errors import BacktestError

ANSWERS = json.loads((Path(__file__).parents[2] / "answers" / "luck.json").read_text(encoding="utf-8"))


def noise(seed, *, sessions=403, cells=12, skill=0.0):
    draw = np.random.default_rng(seed)
    return draw.normal(0, 0.01, (sessions, cells)) + draw.normal(0, skill * 0.01, cells)


def looped(returns, blocks):
    """Bailey et al.'s procedure as it is written down: one split after the other. Logit, winner, its two ratios."""
    parts = np.array_split(np.arange(len(returns)), blocks)
    found = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[block] for block in chosen])
        outside = np.concatenate([parts[block] for block in range(blocks) if block not in chosen])
        seen, came = (returns[rows].mean(axis=0) / returns[rows].std(axis=0, ddof=1) for rows in (inside, outside))
        best = int(seen.argmax())
        omega = (1 + (came < came[best]).sum()) / (returns.shape[1] + 1)
        found.append((math.log(omega / (1 - omega)), best, seen[best] * 252**0.5, came[best] * 252**0.5))
    return tuple(np.array(column) for column in zip(*found, strict=True))


class TestExactness:
    @pytest.mark.parametrize(("sessions", "blocks"), [(400, 10), (403, 10), (41, 4), (97, 8)])
    def test_the_matrix_form_is_the_loop(self, sessions, blocks):
        returns = noise(sessions, sessions=sessions, skill=0.05)
        found = probability_of_overfitting(returns, blocks=blocks)
        logits, chosen, seen, came = looped(returns, blocks)
        assert found.splits == math.comb(blocks, blocks // 2)
        np.testing.assert_array_equal(found.chosen, chosen)
        np.testing.assert_allclose(found.logits, logits, rtol=1e-12)
        np.testing.assert_allclose(found.in_sample, seen, rtol=1e-11)
        np.testing.assert_allclose(found.out_of_sample, came, rtol=1e-9, atol=1e-11)
        assert found.pbo == (logits <= 0).mean()
        assert found.loss == (came < 0).mean()
        assert found.slope == pytest.approx(np.polyfit(seen, came, 1)[0])

    @pytest.mark.parametrize("case", ANSWERS["purgedcv"], ids=lambda case: f"{case['sessions']}x{case['cells']}")
    def test_purgedcv_says_the_same_but_for_the_middle_rank(self, case):
        draw = np.random.default_rng(case["seed"])
        returns = draw.normal(0, 0.01, (case["sessions"], case["cells"]))
        returns += draw.normal(0, case["skill"] * 0.01, case["cells"])
        found = probability_of_overfitting(returns, blocks=case["blocks"])
        middle = int((found.logits == 0).sum())
        assert (found.splits, middle) == (case["splits"], case["middle_ranks"])
        assert found.pbo - middle / found.splits == pytest.approx(case["pbo"], abs=1e-12)
        assert found.logits.mean() == pytest.approx(case["mean_logit"])
        assert found.slope == pytest.approx(case["slope"])
        assert found.in_sample.mean() / 252**0.5 == pytest.approx(case["in_sample"])
        assert found.out_of_sample.mean() / 252**0.5 == pytest.approx(case["out_of_sample"])

    def test_small_variance_about_a_large_mean_keeps_its_digits(self):
        returns = noise(5, cells=4) * 1e-4 + 1.0
        found = probability_of_overfitting(returns, blocks=6)
        np.testing.assert_allclose(found.in_sample, looped(returns, 6)[2], rtol=1e-8)


class TestPublished:
    def test_the_sweep_on_the_sp500(self):
        answer = ANSWERS["sp500_crosses"]
        returns, _ = sp500_crosses()
        ratios = sharpes_of(returns) * math.sqrt(252)
        assert PAIRS[int(ratios.argmax())] == tuple(answer["best"])
        assert ratios.max() == pytest.approx(answer["sharpe"], abs=1e-10)
        found = probability_of_overfitting(returns[: answer["pbo_sessions"]])
        assert found.splits == 12_870
        assert found.pbo == pytest.approx(answer["pbo"], abs=1e-10)
        assert round(found.in_sample.mean(), 2) == answer["pbo_in_sample"]
        assert round(found.out_of_sample.mean(), 2) == answer["pbo_out_of_sample"]

    def test_worthless_cells_are_overfit_in_about_half_of_the_splits(self):
        study = ANSWERS["cscv_study"]
        draws = [np.random.default_rng(seed).normal(0, 1, (study["sessions"], study["cells"])) for seed in range(8)]
        found = [probability_of_overfitting(returns) for returns in draws]
        null = study["null"]
        # eight draws; the study gives the deviation of one
        assert np.mean([one.pbo for one in found]) == pytest.approx(null["pbo"], abs=3 * null["deviation"] / 8**0.5)
        assert np.mean([one.in_sample.mean() for one in found]) == pytest.approx(null["in_sample"], abs=0.15)
        assert np.mean([one.out_of_sample.mean() for one in found]) == pytest.approx(null["out_of_sample"], abs=0.3)

    def test_planted_skill_is_found(self):
        study = ANSWERS["cscv_study"]
        planted, found = study["planted"], []
        for seed in range(10):
            returns = np.random.default_rng(seed).normal(0, 1, (study["sessions"], study["cells"]))
            returns[:, : planted["skilled"]] += planted["mean"]
            found.append(probability_of_overfitting(returns))
            assert (found[-1].chosen < planted["skilled"]).mean() > 0.95
        assert np.mean([one.pbo for one in found]) == pytest.approx(planted["pbo"], abs=0.004)
        assert np.mean([one.in_sample.mean() for one in found]) == pytest.approx(planted["in_sample"], abs=0.25)
        # the winner's true ratio is 0.15·√252 = 2.38; 1,000 sessions show it with an error of 0.5
        assert np.mean([one.out_of_sample.mean() for one in found]) == pytest.approx(planted["out_of_sample"], abs=0.5)


class TestCellsThatNeverTraded:
    def test_they_change_nothing(self):
        returns = noise(8, cells=9, skill=0.05)
        plain = probability_of_overfitting(returns, blocks=8)
        failed, flat = np.full((len(returns), 1), np.nan), np.zeros((len(returns), 2))
        found = probability_of_overfitting(np.hstack([flat, returns, failed]), blocks=8)
        np.testing.assert_array_equal(found.logits, plain.logits)
        np.testing.assert_array_equal(found.chosen, plain.chosen + 2)
        assert found.cells == 9

    def test_a_cell_that_rested_in_a_half_ranks_last_there(self):
        returns = noise(9, cells=3)
        returns[:200, 2] = 0.0
        returns[200:, 2] += 1.0  # far the best of the later half
        found = probability_of_overfitting(returns[:400], blocks=4)
        late = found.chosen[-1]  # the last split is chosen by the later half
        assert late == 2
        assert found.logits[-1] == pytest.approx(math.log(0.25 / 0.75))
        assert math.isnan(found.out_of_sample[-1])
        assert 2 not in found.chosen[:1]

    def test_one_of_two_equals_wins_whichever_way_the_rounding_went(self):
        returns = noise(10, cells=5, skill=0.05)
        twins = np.column_stack([returns, returns[:, 0] * (1 + 1e-15)])
        assert 5 not in probability_of_overfitting(twins, blocks=8).chosen

    def test_no_choice_is_no_overfitting(self):
        with pytest.raises(BacktestError, match="1 of 3 cells ever traded"):
            probability_of_overfitting(np.hstack([noise(1, cells=1), np.zeros((403, 2))]))

    @pytest.mark.parametrize(("sessions", "blocks"), [(31, 16), (400, 7), (3, 2), (100, 0)])
    def test_too_few_sessions_for_the_blocks(self, sessions, blocks):
        with pytest.raises(BacktestError, match=rf"{sessions} sessions cannot be cut into blocks={blocks}"):
            probability_of_overfitting(noise(1, sessions=sessions), blocks=blocks)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), cells=st.integers(2, 9))
def test_leverage_and_the_order_of_cells_do_not_matter(seed, scale, cells):
    returns = noise(seed, sessions=80, cells=cells)
    found = probability_of_overfitting(returns, blocks=4)
    turned = probability_of_overfitting(returns[:, ::-1] * scale, blocks=4)
    assert 0.0 <= found.pbo <= 1.0
    assert turned.pbo == found.pbo
    np.testing.assert_array_equal(turned.chosen, cells - 1 - found.chosen)


def test_blocks_for_a_record():
    assert [blocks_for(sessions) for sessions in (39, 40, 59, 60, 159, 160, 5_000)] == [None, 4, 4, 6, 14, 16, 16]


def test_cells_are_walked_in_chunks_that_cover_them_once(monkeypatch):
    chunks = column_chunks(5_000, 1_000)
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate([np.arange(1_000)[chunk] for chunk in chunks]), np.arange(1_000))
    returns = noise(4, sessions=300, cells=23, skill=0.05)
    whole = probability_of_overfitting(returns)
    for module in ("cells", "overfitting"):
        monkeypatch.setattr(
            f"workbench.backtest.luck.{module}.column_chunks",
            lambda _, cells: [slice(at, min(at + 5, cells)) for at in range(0, cells, 5)],
        )
    np.testing.assert_array_equal(sharpes_of(returns), returns.mean(axis=0) / returns.std(axis=0, ddof=1))
    np.testing.assert_array_equal(probability_of_overfitting(returns).logits, whole.logits)


def test_who_traded():
    returns = noise(1, sessions=50, cells=4)
    returns[:, 1] = 0.001  # equal returns: no variance but rounding
    returns[3, 2] = np.nan
    assert traded(returns).tolist() == [True, False, False, True]
    returns[7, 0] = -np.inf
    assert traded(returns).tolist() == [False, False, False, True]
    assert not traded(returns[:1]).any()


@given(cells=st.integers(1, 3_000), limit=st.integers(2, 400), at=st.floats(0, 1, exclude_max=True))
def test_a_sample_is_even_and_holds_the_best(cells, limit, at):
    best = int(at * cells)
    chosen = evenly_with(best, cells, limit=limit)
    assert best in chosen
    assert len(chosen) == min(cells, limit)
    assert (np.diff(chosen) > 0).all()
    # One position moved by half a step at most, and positions are whole numbers.
    assert (np.diff(chosen) <= 1.5 * (cells - 1) / max(min(cells, limit) - 1, 1) + 1).all()
