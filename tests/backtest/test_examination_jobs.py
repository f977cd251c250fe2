"""Walk-forward, cross-validation, search and audit as jobs: the numbers of the direct call, and nothing twice."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from tests.backtest.heard import Heard
from tests.properties.future import random_history
from workbench.backtest import examined, jobs, searches
from workbench.backtest.audit.auditing import CHECKS, audit
from workbench.backtest.costs import Costs
from workbench.backtest.examination_options import (
    AuditOptions,
    Check,
    CrossValidationOptions,
    SearchOptions,
    WalkForwardOptions,
)
from workbench.backtest.job_question import JobQuestion
from workbench.backtest.optimize.objective import Objective
from workbench.backtest.optimize.search import METHODS, optimize
from workbench.backtest.sweep.evaluator import Evaluator
from workbench.backtest.sweep.grid import Grid
from workbench.backtest.sweep.setup import Setup
from workbench.backtest.validation import cross_validation
from workbench.backtest.validation.cross_validation import cross_validate
from workbench.backtest.validation.judging import JUDGED
from workbench.backtest.validation.moments import FROM_SUMS
from workbench.backtest.validation.splits import SCHEMES
from workbench.backtest.validation.walk_forward import walk_forward
from workbench.errors import GridRefused, JobCancelled, LookAhead, ParameterError
from workbench.run import Run
from workbench.store import queue
from workbench.store.engine import transaction
from workbench.store.tables.backtest import BacktestRunRow, TrialBatchRow
from workbench.strategies import SmaCross

HISTORY = random_history(symbols=("KO",), length=420, warm_up=200, seed=3)
STUDY = HISTORY.study
COSTS = Costs(fee=0.001)
SETUP = Setup(SmaCross, HISTORY, costs=COSTS)
GRID = {"fast": [3, 5, 8], "slow": [15, 20, 30]}
CELLS = Grid.of(SmaCross, GRID).cells()
SPACE = {"fast": (2, 12), "slow": (15, 60)}
WALK = {"train": 60, "test": 40, "scheme": "anchored"}
FOLDS = {"folds": 4}
SEARCH = {"trials": 16}

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def question(kind, **options):
    if kind == "optimize":
        return JobQuestion.of(kind, "sma_cross", STUDY, space=SPACE, costs=COSTS, options={**SEARCH, **options})
    usual = WALK if kind == "walk_forward" else FOLDS
    return JobQuestion.of(kind, SmaCross, STUDY, grid=GRID, costs=COSTS, options={**usual, **options})


def load(study):
    assert study == STUDY
    return HISTORY


def perform(workspace, asked, heard=None, **more):
    return jobs.perform(asked.to_payload(), workspace=workspace, progress=heard or Heard(), load=load, **more)


def answered(workspace, asked):
    return Run.load(workspace.artifacts / perform(workspace, asked)["run"])


def rows(workspace):
    with transaction(workspace.engine) as session:
        return list(session.scalars(select(BacktestRunRow).order_by(BacktestRunRow.created_at)))


def same(found, expected):
    """Digit for digit; Parquet does not tell one kind of text from another."""
    plain = {name: str for name in expected.columns if not pd.api.types.is_numeric_dtype(expected[name])}
    pd.testing.assert_frame_equal(
        found.astype(plain), expected.astype(plain), check_exact=True, check_dtype=False, check_freq=False
    )


@pytest.fixture
def evaluated(monkeypatch):
    """Every evaluation of some cells over some sessions that was finished."""
    seen = []

    def noting(name):
        act = getattr(Evaluator, name)

        def noted(self, cells, start=None, end=None):
            found = act(self, cells, start, end)
            seen.append((name, tuple(cells.itertuples(index=False, name=None)), start, end))
            return found

        return noted

    for name in ("metrics", "returns"):
        monkeypatch.setattr(Evaluator, name, noting(name))
    return seen


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of four cells, as those of slow strategies are."""
    for module in ("sweep.kept", "validation.cross_validation", "examined"):
        monkeypatch.setattr(f"workbench.backtest.{module}.chunk_size", lambda _: 4)


@sqlite
@pytest.mark.usefixtures("small_pieces")
class TestEqualToTheDirectCall:
    def test_walk_forward(self, workspace):
        expected, run = walk_forward(SETUP, CELLS, **WALK), answered(workspace, question("walk_forward"))
        same(run.table("folds"), expected.folds)
        same(run.table("equity"), expected.equity.to_frame("out_of_sample"))
        same(run.table("weights"), expected.weights)
        same(run.table("orders"), expected.simulation.orders)
        same(run.table("trades"), expected.simulation.trades)
        assert run.summary == expected.summary
        assert len(expected.folds) > 3

    def test_cross_validation(self, workspace):
        expected, run = cross_validate(SETUP, CELLS, **FOLDS), answered(workspace, question("cross_validation"))
        same(run.table("folds"), expected.folds)
        same(run.table("paths"), expected.paths)
        assert np.array_equal(run.table("path_returns").to_numpy(), expected.path_returns.to_numpy(), equal_nan=True)
        assert run.summary == expected.summary

    @pytest.mark.parametrize("method", METHODS)
    def test_search(self, workspace, method):
        space = {"fast": [3, 5, 8], "slow": (15, 30, 5)} if method == "grid" else SPACE
        asked = JobQuestion.of(
            "optimize",
            SmaCross,
            STUDY,
            space=dict(reversed(space.items())),
            costs=COSTS,
            options={**SEARCH, "method": method, "objective": Objective(turnover=0.01)},
        )
        expected = optimize(SETUP, space, method=method, objective=Objective(turnover=0.01), **SEARCH)
        run = answered(workspace, asked)
        same(run.table("trials"), expected.trials)
        same(run.table("region"), expected.region.members.reset_index(drop=True))
        same(run.table("folds"), expected.walk_forward().folds)
        assert run.summary["region_score"] == expected.region.score
        assert run.summary["trials"] == len(expected.evaluated)

    def test_audit(self, workspace):
        idea = SmaCross(fast=5, slow=20)
        heard = Heard()
        asked = JobQuestion.of("audit", idea, STUDY, options={"checks": ["delay", "costs"]})
        result = perform(workspace, asked, heard)
        run = audit(idea, HISTORY, workspace=workspace, checks=("delay", "costs"))
        assert (run.id, run.reused, result["summary"]) == (result["run"], True, run.summary)
        assert heard.reports[-1] == (2, 2, "done")


@sqlite
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", ["walk_forward", "cross_validation", "optimize"])
class TestOnce:
    def test_what_was_finished_before_a_stop_is_not_evaluated_again(self, workspace, evaluated, kind):
        asked = question(kind)
        with pytest.raises(JobCancelled):
            perform(workspace, asked, Heard(stop_at=3))
        assert [row.status for row in rows(workspace)] == ["CANCELLED"]
        before = list(evaluated)
        assert before
        evaluated.clear()
        result = perform(workspace, asked)
        assert not result["reused"]
        assert not set(evaluated) & set(before)
        assert rows(workspace)[-1].status == "DONE"
        assert not list((workspace.home / "examinations").glob("*"))  # nothing is left of what was kept on the way

    def test_the_identical_question_is_answered_from_the_store(self, workspace, evaluated, kind):
        first = perform(workspace, question(kind), job_id="a" * 32)
        evaluated.clear()
        again = perform(workspace, question(kind, radius=1), job_id="b" * 32)
        assert (again["run"], again["reused"], evaluated) == (first["run"], True, [])
        (row,) = rows(workspace)
        assert (row.kind, row.status, row.job_id) == (kind, "DONE", "a" * 32)
        run = Run.load(workspace.artifacts / first["run"])
        assert run.provenance["machine"] == row.provenance["machine"]
        assert run.config_hash == row.config_hash
        assert json.loads(json.dumps(first["summary"], allow_nan=False)) == run.summary

    def test_the_verb_of_the_bench_is_the_same_question(self, workspace, kind):
        first = perform(workspace, question(kind))
        if kind == "walk_forward":
            found = examined.walk_forward(SETUP, CELLS.iloc[::-1], workspace=workspace, **WALK)
            assert found.summary == walk_forward(SETUP, CELLS.iloc[::-1], **WALK).summary
        elif kind == "cross_validation":
            assert examined.cross_validate(SETUP, CELLS, workspace=workspace, **FOLDS).summary == first["summary"]
        else:
            found = searches.optimize(SETUP, SPACE, workspace=workspace, **SEARCH)
            assert found.region.score == first["summary"]["region_score"]
        assert [row.id for row in rows(workspace)] == [first["run"]]

    def test_its_tries_are_counted_once(self, workspace, kind):
        first = perform(workspace, question(kind))
        with transaction(workspace.engine) as session:
            (counted,) = session.scalars(select(TrialBatchRow.count)).all()
        assert counted == (first["summary"]["trials"] if kind == "optimize" else len(CELLS))


@sqlite
class TestProgress:
    def test_a_walk_counts_its_folds_and_the_whole_history(self, workspace):
        heard = Heard()
        perform(workspace, question("walk_forward"), heard)
        assert [report[:2] for report in heard.reports] == [(0, 0), *((done, 5) for done in range(6))]

    @pytest.mark.usefixtures("small_pieces")
    def test_a_cross_validation_counts_every_cell_twice(self, workspace):
        heard = Heard()
        perform(workspace, question("cross_validation"), heard)
        assert [done for done, total, _ in heard.reports if total] == [4, 8, 9, 13, 17, 18]
        assert {total for _, total, _ in heard.reports} == {0, 18}

    def test_a_search_counts_its_trials(self, workspace):
        heard = Heard()
        perform(workspace, question("optimize"), heard)
        told = [done for done, total, _ in heard.reports if total]
        assert told == sorted(told)
        assert heard.reports[-1] == (16, 16, "measuring the region, and what came after?")


@sqlite
class TestStored:
    def test_fewer_trials_of_a_search_that_went_further_are_those_of_one_that_did_not(self, workspace):
        perform(workspace, question("optimize", trials=30))
        fewer = answered(workspace, question("optimize", trials=12))
        same(fewer.table("trials"), optimize(SETUP, SPACE, trials=12).trials)

    def test_a_judge_of_ones_own_is_a_question_of_its_own(self, workspace):
        def judge(_cells, found):
            return found["cagr"].to_numpy()

        for _ in range(2):
            examined.walk_forward(SETUP, CELLS, workspace=workspace, judge=judge, **WALK)
        assert len(rows(workspace)) == 2

    def test_what_was_damaged_on_disk_is_computed_again(self, workspace, evaluated):
        with pytest.raises(JobCancelled):
            perform(workspace, question("walk_forward"), Heard(stop_at=2))
        before = list(evaluated)
        kept = sorted((workspace.home / "examinations").glob("*/chunk-*"))
        assert len(kept) == 2
        kept[1].write_bytes(b"half")
        evaluated.clear()
        result = perform(workspace, question("walk_forward"))
        assert set(before) & set(evaluated) == {before[1]}
        assert result["summary"] == walk_forward(SETUP, CELLS, **WALK).summary


class Peeking(SmaCross):
    name: ClassVar[str] = "peeking"

    def target_weights(self, history):
        rises = history.close.pct_change().shift(-1).gt(0).astype(float)
        rises.loc[rises.index < history.study.start] = np.nan
        return rises


@sqlite
def test_what_looks_ahead_is_refused_before_anything_is_computed(workspace, evaluated):
    setup = Setup(Peeking, HISTORY)
    for ask in (
        lambda: examined.walk_forward(setup, CELLS, workspace=workspace),
        lambda: examined.cross_validate(setup, CELLS, workspace=workspace),
        lambda: searches.optimize(setup, SPACE, workspace=workspace),
    ):
        with pytest.raises(LookAhead):
            ask()
    assert (evaluated, rows(workspace)) == ([], [])


class TestQuestions:
    def test_what_is_left_out_is_the_default_and_the_same_job(self, workspace):
        short = jobs.enqueue(workspace, question("walk_forward"))
        spelt = jobs.enqueue(workspace, question("walk_forward", purge=0, metric="sharpe", radius=np.int64(1)))
        other = jobs.enqueue(workspace, question("walk_forward", purge=1))
        assert short.id == spelt.id != other.id
        assert JobQuestion.from_payload(short.payload).options == WalkForwardOptions.read(WALK).to_dict()

    def test_a_space_survives_as_json_however_it_was_written(self):
        spaces = ({"slow": range(15, 60, 5), "fast": (2, 12)}, {"fast": (2, 12, 1), "slow": list(range(15, 60, 5))})
        one, other = (JobQuestion.of("optimize", SmaCross, STUDY, space=space) for space in spaces)
        payload = json.loads(json.dumps(one.to_payload(), allow_nan=False))
        assert JobQuestion.from_payload(payload) == one == other
        assert "sma_cross(fast=2…12, slow=15…55)" in one.title

    @sqlite
    @pytest.mark.parametrize(
        ("ask", "error", "said"),
        [
            (lambda: question("walk_forward", scheme="expanding"), ParameterError, "scheme='expanding'"),
            (lambda: question("walk_forward", sheme="rolling"), ParameterError, "did you mean 'scheme'"),
            (lambda: question("walk_forward", train=5), ParameterError, "train=5"),
            (lambda: question("walk_forward", first_test="soon"), ParameterError, "first_test='soon'"),
            (lambda: question("cross_validation", folds=1), ParameterError, "folds=1"),
            (lambda: question("cross_validation", test_folds=4), ParameterError, "test_folds=4: .* from 2 to 3"),
            (lambda: question("cross_validation", metric="max_drawdown"), ParameterError, "metric='max_drawdown'"),
            (lambda: question("optimize", method="annealing"), ParameterError, "method='annealing'"),
            (lambda: question("optimize", trials=0), ParameterError, "trials=0"),
            (lambda: question("optimize", objective="luck"), ParameterError, "luck"),
            (lambda: question("optimize", objective={"turnovers": 1.0}), ParameterError, "turnovers"),
            (lambda: question("optimize", holdout=0.9), ParameterError, "holdout=0.9"),
            (lambda: JobQuestion.of("optimize", SmaCross, STUDY), ParameterError, "an optimize needs a space"),
            (
                lambda: JobQuestion.of("optimize", SmaCross, STUDY, grid=GRID),
                ParameterError,
                "varies a space, but a grid was given",
            ),
            (
                lambda: JobQuestion.of("sweep", SmaCross, STUDY, space=SPACE),
                ParameterError,
                "varies a grid, but a space was given",
            ),
            (lambda: JobQuestion.of("walk_forward", SmaCross, STUDY), ParameterError, "a walk_forward needs a grid"),
            (lambda: JobQuestion.of("optimize", SmaCross, STUDY, space={}), GridRefused, "varies no parameter"),
            (lambda: JobQuestion.of("optimize", SmaCross, STUDY, space={"fats": (2, 5)}), ParameterError, "'fast'"),
            (lambda: JobQuestion.of("optimize", SmaCross, STUDY, space={"fast": {"lo": 2}}), ParameterError, "fast"),
            (
                lambda: JobQuestion.of("optimize", SmaCross, STUDY, space={"fast": (2, 5)}, params={"slow": 1}),
                ParameterError,
                "slow",
            ),
            (
                lambda: JobQuestion.of("optimize", SmaCross, STUDY, space=SPACE, grid=GRID),
                ParameterError,
                "a grid and a space",
            ),
            (
                lambda: JobQuestion.of("audit", SmaCross(), STUDY, options={"checks": ["futures"]}),
                ParameterError,
                "futures",
            ),
        ],
    )
    def test_what_is_wrong_is_named_before_anything_is_enqueued(self, workspace, ask, error, said):
        with pytest.raises(error, match=said):
            jobs.enqueue(workspace, ask())
        assert queue.alive(workspace.engine) == 0

    def test_options_allow_what_the_examinations_allow(self):
        from inspect import signature
        from typing import get_args

        def allowed(options, name):
            return set(get_args(options.model_fields[name].annotation))

        assert allowed(WalkForwardOptions, "scheme") == set(SCHEMES)
        assert allowed(WalkForwardOptions, "metric") == set(JUDGED)
        assert allowed(CrossValidationOptions, "metric") == set(FROM_SUMS)
        assert allowed(SearchOptions, "method") == set(METHODS)
        assert set(get_args(Check)) == set(CHECKS)
        for options, function in (
            (WalkForwardOptions, walk_forward),
            (CrossValidationOptions, cross_validation.cross_validate),
            (SearchOptions, optimize),
            (AuditOptions, audit),
        ):
            defaults = {name: one.default for name, one in signature(function).parameters.items()}
            told = options().to_dict()
            if options is SearchOptions:
                assert told.pop("objective") == Objective(metric=defaults["objective"]).to_dict()
            assert told == {name: defaults[name] for name in told}
