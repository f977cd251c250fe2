"""Jobs of the backtest: a question is checked when it is asked, survives as JSON, and is answered once."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, ClassVar

import numpy as np
import pytest
from pydantic import Field
from sqlalchemy import select

from tests.backtest.heard import Heard
from tests.properties.future import random_history
from workbench.backtest import jobs, ledger, runs
from workbench.backtest.abandoned import settle
from workbench.backtest.costs import Costs
from workbench.backtest.examination_options import Options
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.job_question import JobQuestion
from workbench.errors import GridRefused, JobCancelled, NoData, ParameterError, StudyError
from workbench.run import Run
from workbench.store import queue
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.backtest import BacktestRunRow
from workbench.strategies import Condition, Momentum, Rules, SmaCross
from workbench.strategy import Strategy

HISTORY = random_history(seed=1)
STUDY = HISTORY.study
FAST = SmaCross(fast=5, slow=20)
GRID = {"fast": range(3, 6), "slow": [20, 30]}


class Handmade(Strategy):
    """As written in a notebook's cell."""

    name: ClassVar[str] = "handmade"
    days: Annotated[int, Field(ge=1)] = 3
    warm_up: ClassVar[int] = 1

    def target_weights(self, history):
        return history.close * np.nan


class Impostor(Handmade):
    name: ClassVar[str] = "sma_cross"


def load(study):
    assert study == STUDY
    return HISTORY


def stored(workspace):
    with transaction(workspace.engine) as session:
        return list(session.scalars(select(BacktestRunRow).order_by(BacktestRunRow.created_at)))


class TestQuestion:
    @pytest.mark.parametrize(
        "question",
        [
            JobQuestion.of("backtest", FAST, STUDY),
            JobQuestion.of("backtest", "momentum", STUDY, params={"top": 2}, costs=Costs(fee=0.001)),
            JobQuestion.of("backtest", Rules(entry=(Condition(left="close", op=">", right=1.0),)), STUDY),
            JobQuestion.of("sweep", SmaCross, STUDY, grid=GRID, rules=FillRules(band=0.1)),
            JobQuestion.of("sweep", "sma_cross", STUDY, params={"fast": 3}, grid={"slow": np.arange(10, 30, 10)}),
            JobQuestion.of("backtest", FAST, STUDY, costs=Costs(fee_tiers=((0, 0.1), (5, 0.05)), fee_max=0.2)),
        ],
        ids=lambda question: question.title[:40],
    )
    def test_it_survives_as_json(self, question):
        payload = json.loads(json.dumps(question.to_payload(), allow_nan=False))
        assert JobQuestion.from_payload(payload) == question
        assert jobs.key_of(JobQuestion.from_payload(payload)) == jobs.key_of(question)

    def test_what_is_left_out_is_the_default_and_the_same_question(self):
        short = {
            "kind": "backtest",
            "study": STUDY.to_dict(),
            "strategy": "sma_cross",
            "params": {"slow": 20, "fast": 5},
        }
        assert jobs.key_of(JobQuestion.from_payload(short)) == jobs.key_of(JobQuestion.of("backtest", FAST, STUDY))

    @pytest.mark.parametrize(
        "other",
        [
            {"strategy": SmaCross(fast=6, slow=20)},
            {"study": dataclasses.replace(STUDY, initial_cash=1.0)},
            {"costs": Costs(slippage=0.0)},
            {"rules": FillRules(lot=1.0)},
            {"kind": "audit"},
        ],
    )
    def test_another_question_has_another_key(self, other):
        asked = {"kind": "backtest", "strategy": FAST, "study": STUDY}
        assert jobs.key_of(JobQuestion.of(**asked)) != jobs.key_of(JobQuestion.of(**{**asked, **other}))

    def test_changed_code_is_another_question(self, monkeypatch):
        before = jobs.key_of(JobQuestion.of("backtest", FAST, STUDY))
        monkeypatch.setattr(jobs, "code_seal", lambda *_: "another")
        assert jobs.key_of(JobQuestion.of("backtest", FAST, STUDY)) != before

    def test_its_title_says_what_is_asked(self):
        assert JobQuestion.of("backtest", FAST, STUDY).title.startswith(
            "backtest · sma_cross(fast=5, slow=20) · AAPL, JNJ"
        )
        assert "6 cells" in JobQuestion.of("sweep", SmaCross, STUDY, grid=GRID).title


class TestBadQuestions:
    """Each is named before anything is enqueued."""

    @pytest.fixture
    def enqueue(self, workspace):
        def attempt(**changes):
            asked = {"kind": "backtest", "study": STUDY.to_dict(), "strategy": "sma_cross", "params": {}, **changes}
            return jobs.enqueue(workspace, {name: value for name, value in asked.items() if value is not None})

        yield attempt
        assert queue.alive(workspace.engine) == 0

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    @pytest.mark.parametrize(
        ("changes", "error", "said"),
        [
            ({"strategy": "sma_crosss"}, ParameterError, "did you mean 'sma_cross'"),
            ({"params": {"fats": 3}}, ParameterError, "did you mean 'fast'"),
            ({"params": {"fast": 0}}, ParameterError, "fast=0"),
            ({"params": {"fast": 50, "slow": 20}}, ParameterError, "fast=50 must be less than slow=20"),
            ({"params": "fast=3"}, ParameterError, "params='fast=3' must be a mapping"),
            ({"costs": {"fees": 0.1}}, ParameterError, "did you mean 'fee'"),
            ({"costs": {"fee": -0.1}}, ParameterError, "costs.fee=-0.1"),
            ({"costs": {"fee": "a lot"}}, ParameterError, "'a lot'"),
            ({"rules": {"execution_price": "yesterday"}}, ParameterError, "execution_price='yesterday'"),
            ({"rules": {"bands": 0.1}}, ParameterError, "did you mean 'band'"),
            ({"study": {**STUDY.to_dict(), "as_of": "soon"}}, StudyError, "as_of='soon'"),
            ({"study": None}, ParameterError, "no 'study'"),
            ({"studdy": {}}, ParameterError, "did you mean 'study'"),
            ({"kind": "sweeep"}, ParameterError, "kind='sweeep' is no kind of job"),
            ({"grid": {"fast": [3, 4]}}, ParameterError, "a backtest varies no parameter"),
            ({"kind": "sweep"}, ParameterError, "a sweep needs a grid"),
            ({"kind": "sweep", "grid": {"fats": [3]}}, ParameterError, "did you mean 'fast'"),
            ({"kind": "sweep", "grid": {"fast": [0, 3]}}, ParameterError, "fast"),
            ({"kind": "sweep", "grid": {"fast": []}}, GridRefused, "fast has no value"),
            ({"kind": "sweep", "grid": {"fast": range(1, 40_000), "slow": range(2, 40_000)}}, GridRefused, "more than"),
            ({"kind": "sweep", "grid": {"fast": [90], "slow": [20, 30]}}, GridRefused, "refuses all 2"),
            ({"kind": "sweep", "grid": {"fast": [3]}, "params": {"fast": 4}}, ParameterError, "both varied and fixed"),
            ({"options": {"folds": 3}}, ParameterError, "no option 'folds'"),
        ],
    )
    def test_what_is_wrong_is_named(self, enqueue, changes, error, said):
        with pytest.raises(error) as refused:
            enqueue(**changes)
        assert said in str(refused.value)

    @pytest.mark.parametrize("kind", [Handmade, Impostor])
    def test_a_class_that_a_worker_cannot_find_is_refused(self, kind):
        with pytest.raises(ParameterError, match="is not registered, and a worker is another process"):
            JobQuestion.of("backtest", kind(), STUDY)


class TestEnqueue:
    def test_the_job_holds_the_question(self, workspace):
        question = JobQuestion.of("backtest", FAST, STUDY)
        job = jobs.enqueue(workspace, question, priority=2)
        assert (job.kind, job.key, job.title, job.priority) == ("backtest", jobs.key_of(question), question.title, 2)
        assert JobQuestion.from_payload(job.payload) == question
        assert jobs.enqueue(workspace, question.to_payload()).id == job.id

    def test_another_kind_is_one_more_entry(self, workspace):
        asked = []

        def audit(question, means):
            asked.append((question.options, means.compute))
            return runs.run(FAST, means.load(question.study), workspace=means.workspace)

        class Depth(Options):
            depth: float = 1.0

        known = {**jobs.kinds(), "audit": jobs.Kind(audit, options=Depth)}
        question = JobQuestion.of("audit", FAST, STUDY, options={"depth": np.float64(2.0)})
        job = jobs.enqueue(workspace, question, known=known)
        result = jobs.perform(
            job.payload, workspace=workspace, progress=Heard(), load=load, compute="threads:1", known=known
        )
        assert asked == [({"depth": 2.0}, "threads:1")]
        assert result["kind"] == "backtest"
        with pytest.raises(ParameterError, match="did you mean 'depth'"):
            jobs.enqueue(workspace, dataclasses.replace(question, options={"deep": 1}), known=known)


class TestPerform:
    def perform(self, workspace, question, **more):
        given = {"workspace": workspace, "progress": Heard(), "load": load, **more}
        return jobs.perform(question.to_payload(), **given)

    def test_a_backtest_gives_the_run_that_bench_gives(self, workspace):
        heard = Heard()
        question = JobQuestion.of("backtest", FAST, STUDY, costs=Costs(fee=0.001))
        result = self.perform(workspace, question, job_id="j" * 32, progress=heard)
        json.dumps(result, allow_nan=False)
        run = Run.load(workspace.artifacts / result["run"])
        assert result["summary"] == run.summary
        assert result["summary"]["trades"] > 0
        assert (result["kind"], result["reused"], result["title"]) == ("backtest", False, FAST.line)
        assert runs.run(FAST, HISTORY, workspace=workspace, costs=Costs(fee=0.001)).id == run.id
        assert [report[:2] for report in heard.reports] == [(0, 2), (1, 2), (2, 2)]
        assert [row.job_id for row in stored(workspace)] == ["j" * 32]

    def test_the_identical_question_is_answered_from_the_store_and_its_row_keeps_its_job(self, workspace):
        question = JobQuestion.of("backtest", FAST, STUDY)
        first = self.perform(workspace, question, job_id="a" * 32)
        again = self.perform(workspace, question, job_id="b" * 32)
        assert (again["run"], again["reused"]) == (first["run"], True)
        assert [row.job_id for row in stored(workspace)] == ["a" * 32]

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    def test_a_sweep_gives_its_cells_and_reports_them(self, workspace):
        heard = Heard()
        question = JobQuestion.of("sweep", SmaCross, STUDY, grid=GRID)
        result = self.perform(
            workspace,
            question,
            compute="threads:1",
            job_id="s" * 32,
            progress=heard,
        )
        json.dumps(result, allow_nan=False)
        run = Run.load(workspace.artifacts / result["run"])
        assert (run.kind, len(run.table("cells"))) == ("sweep", 6)
        assert heard.reports[-1][:2] == (6, 6)
        (row,) = stored(workspace)
        assert (row.kind, row.status, row.job_id) == ("sweep", "DONE", "s" * 32)
        assert not (workspace.home / "sweeps" / row.config_hash).exists()

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    def test_a_sweep_that_was_stopped_keeps_its_chunks_and_says_so(self, workspace):
        question = JobQuestion.of("sweep", SmaCross, STUDY, grid=GRID)
        with pytest.raises(JobCancelled):
            self.perform(workspace, question, progress=Heard(stop_at=1))
        (row,) = stored(workspace)
        assert (row.status, row.error_code) == ("CANCELLED", "WB410")
        assert list((workspace.home / "sweeps" / row.config_hash).glob("chunk-*.parquet"))
        assert self.perform(workspace, question)["reused"] is False
        assert [row.status for row in stored(workspace)] == ["DONE"]

    def test_what_the_data_say_comes_through(self, workspace):
        def nothing(_):
            raise NoData("no such symbol")

        with pytest.raises(NoData, match="no such symbol"):
            self.perform(workspace, JobQuestion.of("backtest", Momentum(), STUDY), load=nothing)
        assert stored(workspace) == []


class TestSettle:
    def test_the_answers_of_a_killed_process_end_and_those_of_others_stay(self, workspace, monkeypatch):
        def begin(process):
            monkeypatch.setattr("workbench.backtest.ledger.os.getpid", lambda: process)
            values = {
                **dict.fromkeys(("strategy", "strategy_hash", "slice_hash", "timeframe", "start", "end"), "x"),
                **{name: {} for name in ("params", "study", "costs", "provenance")},
                "data_source": "x",
                "universe": [],
                "initial_cash": 1.0,
                "execution_price": "next_open",
                "config_hash": f"question of {process}",
            }
            return ledger.claim(workspace.engine, values, complete=lambda _: False)

        killed, other = begin(111), begin(1111)
        assert settle(workspace.engine, 111, "CANCELLED", code="WB410", error="ann asked") == 1
        assert settle(workspace.engine, 111, "CANCELLED", code="WB410", error="ann asked") == 0
        found = {row.id: (row.status, row.error_code, row.error) for row in stored(workspace)}
        assert found == {killed.id: ("CANCELLED", "WB410", "ann asked"), other.id: ("RUNNING", None, None)}
        with transaction(workspace.engine) as session:
            told = session.scalars(select(AuditRow.action).where(AuditRow.entity_id == killed.id)).all()
        assert sorted(told) == ["CANCELLED", "RUNNING"]
        monkeypatch.setattr("workbench.backtest.ledger.process_runs", lambda _: True)
        assert begin(111).mine  # asked again it is answered anew, although a process of that number runs
