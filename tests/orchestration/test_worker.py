"""A worker and its child process: what is done, what fails and how, what stops, and what a crash leaves behind."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time

import pytest
from sqlalchemy import delete, select

from workbench.errors import JobLost, StrategyFailed
from workbench.orchestration.worker import Worker
from workbench.orchestration.worker_presence import Presence, may_start, present
from workbench.store import queue
from workbench.store.engine import transaction
from workbench.store.failure import error_of
from workbench.store.job import JobStatus
from workbench.store.processes import process_runs
from workbench.store.tables.backtest import BacktestRunRow
from workbench.store.tables.execution import LeaseRow
from workbench.store.tables.job import JobRow
from workbench.store.workspace import Workspace
from workbench.trace import tracing

PERFORM = "tests.orchestration.job_tasks:perform"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    opened = Workspace.open(tmp_path_factory.mktemp("worker") / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def worker(workspace):
    """One worker for the tests of this file, at work in a thread."""
    at_work = Worker(workspace, perform=PERFORM, poll_s=0.02)
    with running(at_work):
        yield at_work


@contextlib.contextmanager
def running(worker, **how):
    thread = threading.Thread(target=worker.run, kwargs=how)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        worker.stop()
        thread.join(120)
        assert not thread.is_alive()


@pytest.fixture
def put(workspace, tmp_path):
    """Enqueues work; its traces are in the test's folder."""

    def enqueue(work, *, kind="test", **more):
        payload = {"work": work, "notes": str(tmp_path), "name": tmp_path.name, **more.pop("payload", {})}
        key = f"{work} {tmp_path.name}"[:64]
        return queue.enqueue(workspace.engine, kind=kind, key=key, title=work, payload=payload, **more)

    yield enqueue
    with transaction(workspace.engine) as session:
        session.execute(delete(JobRow))


def until(condition, seconds=120.0):
    """Waits for what other processes do; only a defect makes it wait long."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found


def ended(workspace, job):
    def look():
        found = queue.get(workspace.engine, job.id)
        return found if found.status.final else None

    return until(look)


def begun(tmp_path, job):
    until(lambda: (tmp_path / "begun").exists() and job.id in (tmp_path / "begun").read_text())
    return int((tmp_path / "begun").read_text().split()[1])


@pytest.mark.usefixtures("worker")
class TestEnds:
    def test_work_is_done_and_its_result_stored(self, workspace, put):
        done = ended(workspace, put("chunks", payload={"chunks": 3}))
        assert (done.status, done.result, done.attempts, done.percent) == (JobStatus.DONE, {"sum": 3}, 1, 100.0)

    def test_progress_reaches_the_database(self, workspace, put, tmp_path):
        job = put("wait")
        moving = until(lambda: (found := queue.get(workspace.engine, job.id)).done > 1 and found)
        assert (moving.status, moving.total, moving.note) == (JobStatus.RUNNING, 1_000_000, "waiting")
        later = until(lambda: (found := queue.get(workspace.engine, job.id)).done > moving.done and found)
        assert later.eta is not None
        (tmp_path / "enough").touch()
        assert ended(workspace, job).result["looks"] >= later.done

    def test_an_error_of_the_question_is_final_and_comes_back_as_itself(self, workspace, put):
        failed = ended(workspace, put("raise"))
        assert (failed.status, failed.error_code, failed.attempts) == (JobStatus.FAILED, "WB503", 1)
        with pytest.raises(StrategyFailed, match="divided by zero") as raised:
            raise error_of(failed)
        assert raised.value.remedy == "repair it."

    def test_trouble_with_the_disk_is_tried_again(self, workspace, put):
        done = ended(workspace, put("disk"))
        assert (done.status, done.attempts, done.error) == (JobStatus.DONE, 2, None)

    def test_a_crash_of_native_code_takes_only_the_child_down(self, workspace, put):
        done = ended(workspace, put("crash", payload={"times": 1}))
        assert (done.status, done.attempts, done.result) == (JobStatus.DONE, 2, {"survived": True})

    def test_what_crashes_every_time_fails_in_the_end(self, workspace, put):
        failed = ended(workspace, put("crash", payload={"times": 9}, max_attempts=2))
        assert (failed.status, failed.error_code, failed.attempts) == (JobStatus.FAILED, "WB411", 2)
        assert "by signal SIGSEGV" in failed.error
        assert isinstance(error_of(failed), JobLost)

    @pytest.mark.parametrize(("work", "said"), [("nan", "ValueError"), ("exit", "SystemExit: 3")])
    def test_a_defect_is_final_and_named(self, workspace, put, work, said):
        failed = ended(workspace, put(work))
        assert (failed.status, failed.error_code, failed.attempts) == (JobStatus.FAILED, "WB000", 1)
        assert said in failed.error

    def test_the_child_stays_warm_between_jobs(self, workspace, put, tmp_path):
        first = put("chunks", payload={"chunks": 1})
        ended(workspace, first)
        ended(workspace, put("chunks", payload={"chunks": 1}))
        processes = {line.split()[1] for line in (tmp_path / "begun").read_text().splitlines()}
        assert len(processes) == 1

    def test_the_work_carries_the_trace_of_whoever_asked(self, workspace, put):
        with tracing("c" * 32):
            job = put("chunks", payload={"chunks": 1})
        assert ended(workspace, job).trace_id == "c" * 32


@pytest.mark.usefixtures("worker")
class TestCancel:
    def test_work_that_looks_up_stops_by_itself(self, workspace, put, tmp_path):
        job = put("wait")
        process = begun(tmp_path, job)
        queue.request_cancel(workspace.engine, job.id)
        assert ended(workspace, job).status is JobStatus.CANCELLED
        assert process_runs(process)  # nobody was killed

    @pytest.mark.parametrize("work", ["spin", "hold"])
    def test_work_that_never_looks_up_is_killed(self, workspace, put, tmp_path, work):
        job = put(work)
        process = begun(tmp_path, job)
        queue.request_cancel(workspace.engine, job.id)
        assert ended(workspace, job).status is JobStatus.CANCELLED
        assert not process_runs(process)
        assert ended(workspace, put("chunks", payload={"chunks": 2})).status is JobStatus.DONE  # and a new one is there

    def test_the_answer_that_was_under_way_is_settled_too(self, workspace, put, tmp_path):
        job = put("answer")
        row = select(BacktestRunRow).where(BacktestRunRow.config_hash == tmp_path.name)

        def stored():
            with transaction(workspace.engine) as session:
                return session.scalars(row).one_or_none()

        assert until(stored).status == "RUNNING"
        queue.request_cancel(workspace.engine, job.id, who="ann")
        ended(workspace, job)
        settled = stored()
        assert (settled.status, settled.error_code) == ("CANCELLED", "WB410")
        assert settled.error.startswith("ann asked for job")


class TestLife:
    @pytest.fixture
    def alone(self, tmp_path):
        """A workspace that no other worker looks at."""
        opened = Workspace.open(tmp_path / "alone")
        yield opened
        opened.close()

    def enqueue(self, workspace, tmp_path, work, key="k", **more):
        payload = {"work": work, "notes": str(tmp_path), "name": key, **more}
        return queue.enqueue(workspace.engine, kind="test", key=key, title=work, payload=payload)

    def test_until_idle_it_does_everything_and_ends(self, alone, tmp_path):
        jobs = [self.enqueue(alone, tmp_path, "chunks", key=str(number), chunks=2) for number in range(3)]
        worked = Worker(alone, perform=PERFORM, poll_s=0.01).run(until_idle=True)
        assert (worked.done, str(worked)) == (3, "3 done")
        assert {queue.get(alone.engine, job.id).status for job in jobs} == {JobStatus.DONE}
        assert not present(alone.engine, "test")

    def test_once_is_one_job(self, alone, tmp_path):
        for number in range(2):
            self.enqueue(alone, tmp_path, "chunks", key=str(number), chunks=1)
        assert Worker(alone, perform=PERFORM).run(once=True).done == 1
        assert queue.alive(alone.engine) == 1

    def test_only_the_kinds_it_was_told(self, alone, tmp_path):
        self.enqueue(alone, tmp_path, "chunks", chunks=1)
        assert str(Worker(alone, kinds=["sweep"], perform=PERFORM).run(until_idle=True)) == "no job"
        assert queue.alive(alone.engine) == 1

    def test_a_stopped_worker_gives_its_job_back_and_keeps_what_is_finished(self, alone, tmp_path):
        job = self.enqueue(alone, tmp_path, "chunks", chunks=400, seconds=0.01)
        first = Worker(alone, perform=PERFORM, poll_s=0.01, grace_s=0.0)
        with running(first):
            until((tmp_path / "kept").exists)
        back = queue.get(alone.engine, job.id)
        assert (back.status, back.attempts, first.worked.again) == (JobStatus.QUEUED, 0, 1)
        kept = len((tmp_path / "kept").read_text().splitlines())
        assert 0 < kept < 400
        assert self.enqueue(alone, tmp_path, "chunks", chunks=400).id == job.id

    def test_a_job_that_is_nearly_finished_gets_finished(self, alone, tmp_path):
        job = self.enqueue(alone, tmp_path, "wait")
        slow = Worker(alone, perform=PERFORM, poll_s=0.01, grace_s=30.0)
        thread = threading.Thread(target=slow.run)
        thread.start()
        begun(tmp_path, job)
        slow.stop()
        (tmp_path / "enough").touch()
        thread.join(120)
        assert queue.get(alone.engine, job.id).status is JobStatus.DONE

    def test_a_worker_that_lost_its_job_stops_the_work_and_writes_nothing(self, alone, tmp_path):
        job = self.enqueue(alone, tmp_path, "wait")
        at_work = Worker(alone, perform=PERFORM, poll_s=0.01)
        with running(at_work):
            process = begun(tmp_path, job)
            later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3600)
            other = queue.claim(alone.engine, holder="other", clock=lambda: later)
            assert other is not None
            until(lambda: at_work.worked.lost == 1)
            (tmp_path / "enough").touch()
            assert other.finish({"by": "other"}).result == {"by": "other"}
        assert not process_runs(process)
        assert queue.get(alone.engine, job.id).result == {"by": "other"}

    def test_changed_code_is_not_answered_by_a_process_with_the_old_code(self, alone, tmp_path, monkeypatch):
        worker = Worker(alone, perform=PERFORM)
        for number, code in enumerate(["old", "old", "new"]):
            monkeypatch.setattr("workbench.orchestration.worker_process.code_seal", lambda code=code: code)
            self.enqueue(alone, tmp_path, "chunks", key=str(number), chunks=1)
            claimed = queue.claim(alone.engine, holder="me")
            worker._do(claimed)
        worker._child.kill()
        one, two, three = [line.split()[1] for line in (tmp_path / "begun").read_text().splitlines()]
        assert one == two != three


class TestPresence:
    @pytest.fixture
    def workspace(self, tmp_path):
        """One of its own: the worker of this file writes its own presence into the other one."""
        opened = Workspace.open(tmp_path / "home")
        yield opened
        opened.close()

    def test_a_worker_is_there_until_it_leaves_or_falls_silent(self, workspace):
        now = [dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)]

        def clock():
            return now[0]

        one, two = (Presence(workspace.engine, kinds, clock=clock) for kinds in (["sweep"], None))
        assert not present(workspace.engine, "sweep", clock=clock)
        one.renew()
        assert present(workspace.engine, "sweep", clock=clock)
        assert not present(workspace.engine, "backtest", clock=clock)
        two.renew()
        assert present(workspace.engine, "backtest", clock=clock)
        one.leave()
        two.renew()
        now[0] += dt.timedelta(seconds=14)
        assert present(workspace.engine, "sweep", clock=clock)
        now[0] += dt.timedelta(seconds=1)
        assert not present(workspace.engine, "sweep", clock=clock)

    def test_several_of_the_same_sort_and_their_numbers_are_used_again(self, workspace):
        first, second, third = (Presence(workspace.engine) for _ in range(3))
        first.renew(), second.renew()
        first.leave()
        third.renew()
        with transaction(workspace.engine) as session:
            names = set(session.scalars(select(LeaseRow.name)))
        assert names == {"worker/*/1", "worker/*/2"}

    def test_of_many_who_would_start_a_worker_one_may_until_it_is_there(self, workspace):
        assert may_start(workspace.engine) is not None
        assert may_start(workspace.engine) is None
        Presence(workspace.engine).renew()
        assert may_start(workspace.engine) is not None
