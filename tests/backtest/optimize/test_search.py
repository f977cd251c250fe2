"""Searching: what is tried, what is pruned, what survives a kill, and that a region is believed only when measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from tests.backtest.validation.planted import Pick, market
from tests.backtest.validation.planted import setup as planted
from tests.properties.future import random_history, redraw
from workbench.backtest.costs import Costs
from workbench.backtest.optimize import plateau, search
from workbench.backtest.optimize.journal import STUDY, open_journal
from workbench.backtest.optimize.objective import Objective
from workbench.backtest.optimize.search import optimize
from workbench.backtest.sweep.chunk_store import ChunkStore
from workbench.backtest.sweep.evaluate import METRICS, Evaluator, Setup
from workbench.backtest.validation.neighbours import neighbours_of
from workbench.backtest.validation.regions import region_at
from workbench.errors import BacktestError, BarsRefused, GridRefused, JobCancelled, ParameterError
from workbench.strategies import SmaCross

ROOT = Path(__file__).parents[3]
HISTORY = random_history(symbols=("KO",), length=420, warm_up=200, seed=3)
CROSSING = Setup(SmaCross, HISTORY, costs=Costs(fee=0.001))
SPACE = {"fast": (2, 20), "slow": (5, 60)}
SURFACE = [-0.001, 0.004, -0.001, -0.001, -0.001, 0.002, 0.002, 0.002, -0.001]


def asked(method="tpe", **more):
    return optimize(CROSSING, SPACE, **{"method": method, "trials": 40, **more})


class TestGrid:
    def test_every_cell_is_evaluated_on_the_sessions_searched_and_the_plateau_is_the_region(self):
        asked = planted(SURFACE, noise=0.002)
        found = optimize(asked, {"x": (0, 8)}, method="grid")
        assert found.region.centre == {"x": 6}
        assert found.region.peak == {"x": 1}
        days = asked.history.evaluated
        assert found.searched == (days[0], days[209])
        assert found.holdout.equals(pd.DatetimeIndex(days[210:]))
        expected = Evaluator(asked.between(None, days[209])).metrics(found.trials[["x"]])
        pd.testing.assert_frame_equal(found.trials[list(METRICS)], expected[list(METRICS)])
        assert found.trials["objective"].tolist() == expected["sharpe"].tolist()
        assert found.trials["state"].eq("done").all()

    def test_it_goes_on_in_chunks_and_can_be_stopped(self, monkeypatch):
        monkeypatch.setattr(search, "CHUNK", 4)
        told = []
        optimize(planted(SURFACE), {"x": (0, 8)}, method="grid", progress=lambda *at: told.append(at))
        assert told == [(0, 9), (4, 9), (8, 9), (9, 9)]

        def stop(done, _total):
            if done:
                raise JobCancelled("stopped by the user")

        with pytest.raises(JobCancelled):
            optimize(planted(SURFACE), {"x": (0, 8)}, method="grid", progress=stop)

    def test_a_refused_and_a_raising_cell_are_failures_with_their_message(self):
        found = optimize(planted([0.003] * 4, noise=0.002), {"x": [-2, -1, 0, 1, 2, 3]}, method="grid")
        assert found.trials["state"].tolist() == ["failed"] * 2 + ["done"] * 4
        assert "it cannot be" in found.trials["error"].iloc[0]
        assert "x=-1 is refused" in found.trials["error"].iloc[1]
        assert len(found.evaluated) == 4
        assert "2 failed" in repr(found)

    def test_when_every_cell_fails_the_message_is_that_of_the_first(self):
        with pytest.raises(BacktestError, match=r"none of 1 cells(.|\n)*it cannot be"):
            optimize(planted([0.0]), {"x": [-2]}, method="grid")


class TestHoldout:
    def test_the_search_knows_nothing_of_the_sessions_held_out(self):
        first = asked(holdout=0.4)
        history = redraw(HISTORY, after=first.searched[1], seed=5, gaps=0.0)
        second = optimize(Setup(SmaCross, history, costs=CROSSING.costs), SPACE, trials=40, holdout=0.4)
        pd.testing.assert_frame_equal(first.trials, second.trials)
        assert first.region.centre == second.region.centre

    def test_walk_forward_begins_where_the_search_ended_and_takes_the_whole_region(self):
        found = asked()
        walked = found.walk_forward()
        assert walked.returns.index[0] == found.holdout[0]
        assert walked.returns.index[-1] == found.holdout[-1]
        assert walked.cells == len(found.region.members) > 1
        chosen = set(walked.folds[["fast", "slow"]].itertuples(index=False, name=None))
        assert chosen <= set(found.region.members[["fast", "slow"]].itertuples(index=False, name=None))

    def test_it_takes_the_plateau_there_and_not_the_spike(self):
        drifts = np.tile(SURFACE, (300, 1))
        drifts[210:, 1] = -0.01
        found = optimize(planted(drifts, noise=0.002), {"x": (0, 8)}, method="grid")
        walked = found.walk_forward()
        assert set(walked.folds["x"]) <= {5, 6, 7}
        assert walked.summary["total_return"] > 0.05

    def test_without_a_holdout_the_page_says_that_the_search_has_seen_it_all(self):
        found = asked(holdout=0.0)
        assert len(found.holdout) == 0
        assert "not out of sample" in repr(found.walk_forward())

    def test_the_objective_and_its_penalties_choose_in_the_folds_too(self):
        goal = Objective(turnover=100.0, trades=1.0, least_trades=30)
        found = optimize(CROSSING, {"fast": [2, 4, 6], "slow": [10, 30, 60]}, method="grid", objective=goal)
        walked = found.walk_forward(train=77)
        cells = found.region.members[["fast", "slow"]].reset_index(drop=True)
        assert len(cells) > 2
        for _, fold in walked.folds.iterrows():
            window = CROSSING.between(fold["train_start"], fold["train_end"])
            scores = goal.scores(cells, Evaluator(window).metrics(cells), share=77 / 154)
            assert fold["region_score"] in scores
            assert fold["region_score"] <= 0


@pytest.mark.parametrize("method", ["random", "tpe"])
class TestSampling:
    def test_so_many_different_cells_are_evaluated(self, method):
        found = asked(method)
        tried = found.trials[found.trials["origin"] == "search"]
        assert tried["state"].isin(["done", "pruned"]).sum() >= 40 - 5  # those that the region's box finished are there
        assert not found.trials[["fast", "slow"]].duplicated().any()
        assert (found.trials["fast"].between(2, 20) & found.trials["slow"].between(5, 60)).all()
        refused = found.trials["fast"] >= found.trials["slow"]
        assert found.trials.loc[refused, "state"].eq("failed").all()

    def test_the_same_seed_finds_the_same_and_another_seed_something_else(self, method):
        pd.testing.assert_frame_equal(asked(method, seed=1).trials, asked(method, seed=1).trials)
        assert not asked(method, seed=1).trials.equals(asked(method, seed=2).trials)

    def test_a_done_trial_has_the_numbers_of_a_backtest_and_a_pruned_one_those_of_a_part(self, method):
        found = asked(method)
        done = found.trials[found.trials["state"] == "done"]
        expected = Evaluator(CROSSING.between(None, found.searched[1])).metrics(done[["fast", "slow"]])
        pd.testing.assert_frame_equal(done[list(METRICS)], expected[list(METRICS)])
        assert done["objective"].equals(expected["sharpe"].rename("objective"))
        pruned = found.trials[found.trials["state"] == "pruned"]
        assert pruned["objective"].isna().all()
        assert pruned["share"].isin([0.25, 0.5]).all()
        assert pruned["so_far"].notna().all()

    def test_a_space_smaller_than_the_wish_is_searched_to_its_end(self, method):
        found = optimize(CROSSING, {"fast": (2, 4), "slow": (10, 12)}, method=method, trials=500)
        assert len(found.trials) == 9

    def test_pruning_saves_work_and_can_be_left_out(self, method):
        assert (asked(method).trials["share"] < 1).any()
        assert asked(method, pruning=False).trials["state"].ne("pruned").all()

    def test_optuna_is_silent_and_as_talkative_afterwards_as_before(self, method, capfd):
        optuna.logging.set_verbosity(optuna.logging.INFO)
        asked(method, trials=12)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
        assert capfd.readouterr() == ("", "")

    def test_progress_is_told_and_can_stop_the_search(self, method):
        told = []
        asked(method, progress=lambda *at: told.append(at))
        assert told[0] == (0, 40)
        assert told[-1] == (40, 40)
        assert [done for done, _ in told] == sorted(done for done, _ in told)


class TestPlateau:
    def test_a_region_of_samples_is_measured_before_it_is_believed(self):
        found = asked("tpe", trials=60)
        assert found.region.scattered
        box = found.trials[found.trials["origin"] == "region"]
        assert len(box) > 0
        assert box["state"].isin(["done", "failed"]).all()
        centre = found.region.centre
        near = (found.trials["fast"] - centre["fast"]).abs().le(1.8) & (found.trials["slow"] - centre["slow"]).abs().le(
            5.5
        )
        assert found.trials[near]["state"].ne("pruned").all()

    @pytest.mark.parametrize("seed", range(3))
    def test_the_crowd_of_a_search_on_a_needle_is_not_taken_for_a_plateau(self, monkeypatch, seed):
        monkeypatch.setattr(search, "Evaluator", Planted)
        found = optimize(Setup(Free, market([0.0], length=100)), {"free": (0.0, 1.0)}, trials=250, seed=seed)
        searched = found.trials[found.trials["origin"] == "search"].reset_index(drop=True)
        around = neighbours_of(searched, ["free"], kind="nearest")
        crowd = region_at(searched, ["free"], searched["objective"].to_numpy(), around)
        assert crowd.centre["free"] == pytest.approx(0.25, abs=0.05)  # by its own sample the needle is the plateau
        assert crowd.score == 5.0
        assert found.region.centre["free"] == pytest.approx(0.75, abs=0.12)
        assert found.region.score <= 1.0
        assert len(found.region.members) > 8
        assert found.region.peak_value == 5.0

    @pytest.mark.parametrize("seed", range(3))
    def test_nor_is_a_needle_that_was_hit_by_chance(self, monkeypatch, seed):
        monkeypatch.setattr(search, "Evaluator", Planted)
        asked = Setup(Free, market([0.0], length=100))
        found = optimize(asked, {"free": (0.0, 1.0)}, method="random", trials=200, seed=seed)
        assert found.region.centre["free"] == pytest.approx(0.75, abs=0.12)
        assert found.region.peak_value == 5.0

    def test_a_logarithmic_range_is_measured_in_logarithms(self, monkeypatch):
        monkeypatch.setattr(search, "Evaluator", Decades)
        asked = Setup(Free, market([0.0], length=100))
        found = optimize(asked, {"free": (1e-5, 1.0, "log")}, method="random", trials=60)
        assert np.log10(found.region.centre["free"]) == pytest.approx(-3.0, abs=0.5)


class Planted(Evaluator):
    """A hill of height 1 around 0.75, 0.6 wide, and a needle of height 5 at 0.25, 0.04 wide."""

    def surface(self, free):
        return np.maximum(0.0, 1.0 - ((free - 0.75) / 0.3) ** 2) + 5.0 * ((free - 0.25).abs() < 0.02)

    def metrics(self, cells, start=None, end=None):
        frame = pd.DataFrame(dict.fromkeys(METRICS, 0.0), index=cells.index)
        return frame.assign(sharpe=self.surface(cells["free"]), engine="planted", error="")


class Decades(Planted):
    """Best at a thousandth."""

    def surface(self, free):
        return -np.abs(np.log10(free) + 3.0)


class Free(Pick):
    """A real parameter."""

    name = "free"

    free: float = 0.0


# Kills itself with SIGKILL in the evaluation number argv[3].
DYING = """
import os, signal, sys
from pathlib import Path
from tests.backtest.optimize.test_search import CROSSING, SPACE
from workbench.backtest.optimize import search
from workbench.backtest.sweep.evaluate import Evaluator

calls = [0]

class Dying(Evaluator):
    def metrics(self, *asked):
        calls[0] += 1
        if calls[0] == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().metrics(*asked)

search.Evaluator = Dying
search.optimize(CROSSING, SPACE, method=sys.argv[1], trials=40, storage=Path(sys.argv[2]))
"""


class TestStored:
    @pytest.mark.parametrize(("method", "call"), [("tpe", 30), ("random", 5)])
    def test_a_killed_search_goes_on_and_ends_as_if_nothing_had_happened(self, tmp_path, method, call):
        killed = subprocess.run(
            [sys.executable, "-c", DYING, method, str(tmp_path), str(call)], cwd=ROOT, timeout=120, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        left = len(optuna_trials(tmp_path))
        assert 0 < left < 60
        told = []
        resumed = asked(method, storage=tmp_path, progress=lambda *at: told.append(at))
        assert told[0][0] > 0  # what was finished is not done again
        pd.testing.assert_frame_equal(resumed.trials, asked(method).trials)
        states = {trial.state.name for trial in optuna_trials(tmp_path)}
        assert states == {"COMPLETE", "PRUNED"}

    def test_the_same_question_is_answered_from_the_journal(self, tmp_path, monkeypatch):
        first = asked(storage=tmp_path)
        assert first.journal.parent == tmp_path
        calls = []
        monkeypatch.setattr(search, "Evaluator", lambda setup: calls.append(1) or Counting(setup, calls))
        second = asked(storage=tmp_path)
        pd.testing.assert_frame_equal(first.trials, second.trials)
        assert len(calls) <= 1 + plateau.ROUNDS  # the boxes of candidates only

    def test_more_trials_extend_it_and_the_first_ones_stay(self, tmp_path):
        first = asked("tpe", trials=20, storage=tmp_path)
        second = asked("tpe", trials=40, storage=tmp_path)
        assert first.journal == second.journal
        assert len(optuna_trials(tmp_path)) > 30
        fresh = asked("tpe", trials=40)
        pd.testing.assert_frame_equal(second.trials, fresh.trials)

    def test_beginning_anew_forgets_it(self, tmp_path):
        asked(trials=20, storage=tmp_path)
        told = []
        asked(trials=20, storage=tmp_path, resume=False, progress=lambda *at: told.append(at))
        assert told[0] == (0, 20)

    def test_another_question_has_another_journal(self, tmp_path):
        other = [
            asked(trials=5, storage=tmp_path, **more)
            for more in (
                {},
                {"seed": 8},
                {"method": "random"},
                {"holdout": 0.2},
                {"pruning": False},
                {"objective": "calmar"},
            )
        ]
        other.append(optimize(CROSSING, {"fast": (2, 21), "slow": (5, 60)}, trials=5, storage=tmp_path))
        other.append(optimize(Setup(SmaCross, HISTORY), SPACE, trials=5, storage=tmp_path))
        assert len({found.journal for found in other}) == len(other)

    def test_a_line_half_written_by_a_killed_process_is_cut_off(self, tmp_path):
        first = asked(trials=20, storage=tmp_path)
        with first.journal.open("ab") as file:
            file.write(b'{"op_code": 4, "wor')
        pd.testing.assert_frame_equal(asked(trials=20, storage=tmp_path).trials, first.trials)

    def test_two_searches_do_not_write_one_journal(self, tmp_path):
        first = asked(trials=5, storage=tmp_path)
        with open_journal(first.journal), pytest.raises(BacktestError, match="another process is searching"):
            asked(trials=5, storage=tmp_path)
        with open_journal(first.journal), pytest.raises(BacktestError, match="another process is searching"):
            asked(trials=5, storage=tmp_path, resume=False)
        assert len(optuna_trials(tmp_path)) >= 5  # it was not deleted under the other one's hands

    def test_a_patient_search_waits_for_the_other_one(self, tmp_path):
        order = []

        def wait():
            with open_journal(tmp_path / "a.journal", patient=True):
                order.append("the other one")

        waiting = threading.Thread(target=wait)
        with open_journal(tmp_path / "a.journal"):
            waiting.start()
            order.append("one")
        waiting.join(30)
        assert order == ["one", "the other one"]

    @pytest.mark.parametrize("method", ["random", "tpe"])
    def test_fewer_trials_are_the_first_ones_of_a_search_that_went_further(self, tmp_path, method):
        asked(method, trials=36, storage=tmp_path)
        pd.testing.assert_frame_equal(
            asked(method, trials=20, storage=tmp_path).trials, asked(method, trials=20).trials
        )

    @pytest.mark.parametrize("method", ["grid", "tpe"])
    def test_what_was_measured_is_kept_and_beginning_anew_forgets_it(self, tmp_path, monkeypatch, method):
        space, store = {"fast": (2, 6), "slow": (10, 40)}, ChunkStore(tmp_path / "pieces")
        first = optimize(CROSSING, space, method=method, trials=20, storage=tmp_path, store=store)
        calls = []
        act = Evaluator.metrics
        monkeypatch.setattr(Evaluator, "metrics", lambda *given: calls.append(1) or act(*given))
        again = optimize(CROSSING, space, method=method, trials=20, storage=tmp_path, store=store)
        assert calls == []
        pd.testing.assert_frame_equal(first.trials, again.trials)
        optimize(CROSSING, space, method=method, trials=20, storage=tmp_path, store=store, resume=False)
        assert calls

    def test_a_stopped_search_keeps_what_it_finished(self, tmp_path):
        def stop(done, _total):
            if done >= 10:
                raise JobCancelled("stopped by the user")

        with pytest.raises(JobCancelled):
            asked(storage=tmp_path, progress=stop)
        assert len(optuna_trials(tmp_path)) >= 10
        pd.testing.assert_frame_equal(asked(storage=tmp_path).trials, asked().trials)

    def test_optuna_itself_can_open_it(self, tmp_path):
        found = asked(trials=20, storage=tmp_path)
        with open_journal(found.journal) as storage, warnings.catch_warnings():
            study = optuna.load_study(study_name=STUDY, storage=storage)
            done = found.trials[found.trials["origin"] == "search"]["objective"].max()
            assert study.best_value == done


class Counting(Evaluator):
    def __init__(self, setup, calls):
        super().__init__(setup)
        self.calls = calls

    def metrics(self, *given):
        self.calls.append(1)
        return super().metrics(*given)


def optuna_trials(folder):
    (journal,) = folder.glob("*.journal")
    with open_journal(journal) as storage:
        return optuna.load_study(study_name=STUDY, storage=storage).trials


class TestRefusals:
    @pytest.mark.parametrize(
        ("error", "says", "more"),
        [
            (ParameterError, "method='bayes'", {"method": "bayes"}),
            (ParameterError, "trials=0", {"trials": 0}),
            (ParameterError, "seed=-1", {"seed": -1}),
            (ParameterError, "holdout=0.9", {"holdout": 0.9}),
            (ParameterError, "objective.metric='luck'", {"objective": "luck"}),
        ],
    )
    def test_each_says_what_was_wrong(self, error, says, more):
        with pytest.raises(error, match=says):
            asked(**more)

    def test_a_space_is_checked_before_anything_is_tried(self):
        with pytest.raises(ParameterError, match="did you mean 'fast'"):
            optimize(CROSSING, {"fats": (2, 5)})
        with pytest.raises(GridRefused, match="varies no parameter"):
            optimize(CROSSING, {})

    def test_too_few_sessions_are_said(self):
        with pytest.raises(BarsRefused, match="leaves 18 of 26 sessions"):
            optimize(planted([0.0], length=26), {"x": (0, 3)}, method="grid")


def test_the_page_shows_numbers_in_sample_as_such():
    found = asked(trials=15)
    assert "objective (in sample)" in repr(found)
    assert "later sessions unseen" in found._repr_html_()
    assert 'color:#777">objective' in found._repr_html_()
    assert os.fspath(found.searched[0].date().isoformat()) in repr(found)
