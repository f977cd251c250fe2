"""Kill -9 of walk-forward, cross-validation and search: the job is answered once, and what was finished is kept."""

from __future__ import annotations

import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.properties.future import random_history
from workbench.backtest import jobs
from workbench.backtest.job_question import JobQuestion
from workbench.run import Run
from workbench.store import queue
from workbench.store.engine import transaction
from workbench.store.job import JobStatus
from workbench.store.tables.backtest import BacktestRunRow
from workbench.store.workspace import Workspace

WORKER = Path(__file__).with_name("examination_worker.py")
STUDY = random_history(symbols=("KO",), length=420, warm_up=200, seed=3).study
GRID = {"fast": [3, 5, 8], "slow": [15, 20, 30]}
# The steps of one life, see the worker: enough to get somewhere, too few to get to the end.
STEPS = {"walk_forward": (7, 14), "cross_validation": (3, 6), "optimize": (15, 30)}
QUESTIONS = {
    "walk_forward": {"grid": GRID, "options": {"train": 60, "test": 40}},
    "cross_validation": {"grid": GRID, "options": {"folds": 4}},
    "optimize": {"space": {"fast": (2, 12), "slow": (15, 60)}, "options": {"trials": 14}},
}
# Evaluations that a kill may cost: the one that was not kept yet; with it the returns of the chosen cells, which are
# few; of a trial its quarter, its half and its whole.
COST = {"walk_forward": 1, "cross_validation": 2, "optimize": 3}


def evaluations(notes):
    return Counter(notes.read_text().splitlines()) if notes.exists() else Counter()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_killed_examination_goes_on_and_ends_as_if_nothing_had_happened(
    workspace, database_url, tmp_path, worker, kind
):
    question = JobQuestion.of(kind, "sma_cross", STUDY, **QUESTIONS[kind])
    there = {"home": str(workspace.home), "url": database_url, "notes": str(tmp_path / "killed")}
    other = Workspace.open(tmp_path / "other")
    calm = {"home": str(other.home), "url": f"sqlite:///{other.home / 'workbench.db'}", "notes": str(tmp_path / "calm")}
    jobs.enqueue(other, question)
    assert worker.live(calm) == 0
    (expected,) = queue.jobs(other.engine).jobs
    alone = evaluations(tmp_path / "calm")

    rng, kills = random.Random(7), 0
    job = jobs.enqueue(workspace, question, max_attempts=100)
    while (ended := worker.live({**there, "die_at": rng.randint(*STEPS[kind])})) != 0:
        assert ended == -signal.SIGKILL
        kills += 1
        with transaction(workspace.engine) as session:
            assert session.scalars(select(BacktestRunRow.status)).all() in ([], ["RUNNING"])
    done = queue.get(workspace.engine, job.id)
    assert (done.status, done.attempts) == (JobStatus.DONE, kills + 1)
    assert kills >= 2

    needed = evaluations(tmp_path / "killed")
    assert not alone - needed
    assert (needed - alone).total() <= COST[kind] * kills
    assert {**done.result, "run": "", "runtime_s": 0} == {**expected.result, "run": "", "runtime_s": 0}
    found, calmly = (
        Run.load(home.artifacts / one.result["run"]) for home, one in ((workspace, done), (other, expected))
    )
    assert found.config_hash == calmly.config_hash
    assert found.tables.keys() == calmly.tables.keys()
    for name, table in calmly.tables.items():
        assert found.table(name).equals(table), name
    with transaction(workspace.engine) as session:
        assert session.execute(select(BacktestRunRow.status, BacktestRunRow.job_id)).all() == [("DONE", job.id)]
    other.close()
