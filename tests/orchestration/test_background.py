"""Asking in the background: a worker is there when it is needed, the answer comes, errors come back as themselves."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import nbformat
import pytest

from workbench.backtest import runs
from workbench.backtest.job_question import JobQuestion
from workbench.bench import Bench
from workbench.errors import JobCancelled, NoData, StoreError, StrategyFailed
from workbench.orchestration import background
from workbench.orchestration.background import Background, ensure_worker, submit
from workbench.orchestration.worker_presence import Presence, may_start, present
from workbench.settings import Settings
from workbench.store import queue
from workbench.store.job import JobStatus
from workbench.strategies import SmaCross
from workbench.study import Study

STUDY = Study.of(["SYN01", "SYN02"], start="2014-01-02", as_of="2015-06-30", source="synthetic")
FAST = SmaCross(fast=5, slow=20)
QUESTION = JobQuestion.of("backtest", FAST, STUDY)


@pytest.fixture
def no_worker(monkeypatch):
    """Counts how often a worker would have been started."""
    started = []
    monkeypatch.setattr(background, "ensure_worker", lambda *_, **__: bool(started.append(1)) or True)
    monkeypatch.setattr(background, "_POLL_S", 0.001)
    monkeypatch.setattr(background, "_CARE_S", 0.0)
    return started


def until(condition, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


class TestHandle:
    def claimed(self, workspace):
        return queue.claim(workspace.engine, holder="me")

    def test_the_same_question_is_the_same_job_while_it_is_alive(self, workspace, no_worker):
        one, two = submit(workspace, QUESTION), submit(workspace, QUESTION.to_payload())
        assert one.id == two.id
        assert len(no_worker) == 2
        assert one.job.status is JobStatus.QUEUED
        assert repr(one) == repr(one.job)

    @pytest.mark.usefixtures("no_worker")
    def test_a_failed_job_raises_what_it_failed_with(self, workspace):
        asked = submit(workspace, QUESTION)
        self.claimed(workspace).fail("WB503", "divided by zero\nWhat to do: repair it.", retryable=False, rng=None)
        with pytest.raises(StrategyFailed, match="divided by zero") as raised:
            asked.wait()
        assert raised.value.remedy == "repair it."

    @pytest.mark.usefixtures("no_worker")
    def test_a_cancelled_job_says_so(self, workspace):
        asked = submit(workspace, QUESTION)
        assert asked.cancel().status is JobStatus.CANCELLED
        with pytest.raises(JobCancelled, match="was cancelled by"):
            asked.wait()

    @pytest.mark.usefixtures("no_worker")
    def test_waiting_has_an_end_and_the_job_goes_on(self, workspace, monkeypatch):
        monkeypatch.setattr(background, "_CARE_S", 60.0)
        asked = submit(workspace, QUESTION)
        self.claimed(workspace)
        with pytest.raises(TimeoutError, match=r"is not finished after 0\.05 s; it goes on"):
            asked.wait(timeout=0.05)
        assert asked.job.status is JobStatus.RUNNING

    def test_a_worker_that_never_comes_up_is_an_error_with_the_end_of_its_log(self, workspace, no_worker):
        asked = submit(workspace, QUESTION)
        background.log_of(workspace).parent.mkdir()
        background.log_of(workspace).write_text("no module named numbers")
        with pytest.raises(StoreError, match="no module named numbers"):
            asked.wait()
        assert len(no_worker) == 1 + background._STARTS + 1

    @pytest.mark.usefixtures("no_worker")
    def test_an_answer_that_lies_elsewhere_is_said_to(self, workspace):
        asked = submit(workspace, QUESTION)
        self.claimed(workspace).finish({"run": "0" * 32})
        with pytest.raises(NoData, match="worker me keeps its files elsewhere"):
            asked.wait()

    def test_in_a_terminal_it_prints_a_line(self, workspace, no_worker, capsys):
        submit(workspace, QUESTION)._ipython_display_()
        assert "QUEUED" in capsys.readouterr().out
        assert no_worker


class TestEnsureWorker:
    """Whether a worker would be started; none is."""

    @pytest.fixture(autouse=True)
    def popen(self, monkeypatch, workspace):
        """Stands in for processes; those who collect them are through before the workspace closes."""
        begun = []

        class Popen:
            def __init__(self, command, **options):
                begun.append((command, options))

            def wait(self):
                time.sleep(0.01)

        monkeypatch.setattr("workbench.orchestration.background.subprocess.Popen", Popen)
        yield begun
        for thread in threading.enumerate():
            if thread.name == "worker-reaper":
                thread.join(60)

    def test_one_that_is_there_is_enough(self, workspace, popen):
        there = Presence(workspace.engine)
        there.renew()
        assert not ensure_worker(workspace, "sweep")
        there.leave()
        only_backtests = Presence(workspace.engine, ["backtest"])
        only_backtests.renew()
        assert not ensure_worker(workspace, "backtest")
        assert popen == []
        assert ensure_worker(workspace, "sweep")

    def test_while_one_is_on_its_way_no_other_is_started(self, workspace, popen):
        right = may_start(workspace.engine)
        assert not ensure_worker(workspace, "sweep")
        right.release()
        assert ensure_worker(workspace, "sweep")
        assert len(popen) == 1

    def test_one_that_died_at_its_start_may_be_started_again_at_once(self, workspace, popen):
        assert ensure_worker(workspace, "sweep")
        until(lambda: ensure_worker(workspace, "sweep"))
        assert len(popen) == 2

    def test_the_database_reaches_it_through_its_environment_not_its_command_line(self, workspace, popen):
        ensure_worker(workspace, "sweep", compute="threads:1")
        ((command, options),) = popen
        url = workspace.engine.url.render_as_string(hide_password=False)
        assert url not in " ".join(command)
        assert options["env"]["WORKBENCH_DATABASE_URL"] == url
        assert options["env"]["WORKBENCH_COMPUTE"] == "threads:1"
        assert options["start_new_session"]


NOTEBOOK = """
from pathlib import Path
from workbench.backtest.job_question import JobQuestion
from workbench.orchestration.background import submit
from workbench.store.workspace import Workspace
from workbench.strategies import SmaCross
from workbench.study import Study
workspace = Workspace.open(Path({home!r}))
study = Study.of(["SYN01", "SYN02"], start="2014-01-02", as_of="2015-06-30", source="synthetic")
asked = submit(workspace, JobQuestion.of("backtest", SmaCross(fast=5, slow=20), study))
asked
"""

BAR_ENDS = "import threading; [bar.join(120) for bar in threading.enumerate() if bar.name.startswith('bar-')];"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_notebook_asks_a_worker_answers_and_the_bar_ends_with_it(workspace, tmp_path):
    """The whole way, in a real kernel: nothing but `submit` is needed, and what is saved is the bar's last state."""
    from nbclient import NotebookClient

    cells = [
        NOTEBOOK.format(home=str(workspace.home)),
        "run = asked.wait(300); print(run.id)",
        BAR_ENDS,
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    try:
        NotebookClient(notebook, timeout=400, store_widget_state=False).execute(cwd=str(tmp_path))
    finally:
        for holder in holders(workspace):
            os.kill(int(holder.split(":")[1]), signal.SIGTERM)
    (bar,) = notebook.cells[0].outputs
    assert bar["data"]["text/plain"] == f"{QUESTION.title} — DONE"
    assert "100 %" in bar["data"]["text/html"]
    assert len(json.dumps(notebook.cells[0].outputs)) < 5000
    run_id = notebook.cells[1].outputs[0]["text"].strip()
    (job,) = queue.jobs(workspace.engine).jobs
    assert (job.status, job.result["run"], job.attempts) == (JobStatus.DONE, run_id, 1)
    bench = Bench(workspace=workspace, settings=Settings(home=workspace.home))
    here = runs.run(FAST, bench.load(STUDY), workspace=workspace)
    assert (here.id, here.reused) == (run_id, True)  # the same question asked here finds the worker's answer
    assert Background(workspace, job.id).wait().summary == here.summary
    until(lambda: not present(workspace.engine, "backtest"))


def holders(workspace):
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.execution import LeaseRow

    with transaction(workspace.engine) as session:
        return session.scalars(select(LeaseRow.holder).where(LeaseRow.name.startswith("worker/"))).all()
