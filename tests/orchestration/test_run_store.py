"""The rows of runs, on both databases: claims, heartbeats, take-overs and ends. No kernel is needed."""

import datetime as dt
import os
import threading

import pytest
from sqlalchemy import select, update

from workbench.errors import LeaseLost, PipelineError
from workbench.orchestration.heart import Heart
from workbench.orchestration.plan import Plan
from workbench.orchestration.run_store import RunStore
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.pipeline import PipelineRunRow, Status
from workbench.trace import tracing

START = dt.datetime(2015, 6, 30, 21, tzinfo=dt.UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def later(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(engine, clock):
    return RunStore(engine, clock=clock)


@pytest.fixture
def plan(site):
    site.notebook("a", "1")
    site.notebook("b", "1")
    pipeline = site.pipeline(
        "name: a, notebook: notebooks/a.ipynb",
        "name: b, notebook: notebooks/b.ipynb, needs: [a]",
        parameters="{as_of: 2015-06-30}",
    )
    return Plan.of(pipeline)


def strangers(engine, holder="elsewhere:1:another:mark"):
    """Make the runs look like those of a process on another machine."""
    with transaction(engine) as session:
        session.execute(update(PipelineRunRow).values(holder=holder))


def test_a_run_is_claimed_with_all_its_steps(store, plan, tmp_path):
    with tracing("trace-7"):
        claim = store.begin(plan, tmp_path)
    row = store.run(claim.run_id)
    assert (row.status, row.session, row.config_hash, row.trace_id) == (
        "RUNNING",
        "2015-06-30",
        plan.config_hash,
        "trace-7",
    )
    assert claim.folder == tmp_path / "tiny" / "2015-06-30" / claim.run_id
    steps = store.steps(claim.run_id)
    assert list(steps) == ["a", "b"]
    assert {step.status for step in steps.values()} == {"QUEUED"}
    assert steps["b"].step_key == plan.steps[1].key
    assert steps["a"].trace_id == "trace-7"


def test_two_runners_of_one_session_do_not_meet(store, plan, tmp_path):
    first = store.begin(plan, tmp_path)
    with pytest.raises(PipelineError, match=first.run_id[:8]):
        store.settle(plan)
    with pytest.raises(PipelineError, match="already being run"):
        store.begin(plan, tmp_path)  # it looked a moment before the first one began: the database refuses
    assert len(store.steps(first.run_id)) == 2
    store.end(first, Status.DONE)
    assert store.settle(plan) == ()
    store.begin(plan, tmp_path)


def test_of_many_runners_that_begin_together_one_gets_in(store, plan, tmp_path):
    barrier = threading.Barrier(4)
    got, refused = [], []

    def begin():
        barrier.wait()
        try:
            got.append(store.begin(plan, tmp_path))
        except PipelineError as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 3)


def test_a_heartbeat_keeps_a_run_and_its_silence_gives_it_away(engine, store, clock, plan, tmp_path):
    first = store.begin(plan, tmp_path)
    store.step(first, "a", status=Status.RUNNING, executed=str(tmp_path / "a.ipynb"))
    strangers(engine, first.holder.replace(first.holder.split(":")[2], "elsewhere"))
    claim = type(first)(first.run_id, first.holder.replace(first.holder.split(":")[2], "elsewhere"), first.folder)
    clock.later(29)
    assert store.beat(claim)
    clock.later(29)
    with pytest.raises(PipelineError):
        store.settle(plan)
    clock.later(2)
    assert store.settle(plan) == (tmp_path / "a.ipynb",)
    row = store.run(first.run_id)
    assert (row.status, row.ended_at) == ("FAILED", clock.now)
    assert "stopped without a word; last heartbeat 2015-06-30 21:00:29" in row.error
    assert [step.status for step in store.steps(first.run_id).values()] == ["FAILED", "SKIPPED"]

    second = store.begin(plan, tmp_path)
    assert not store.beat(claim)  # the one thought dead wakes up, and may not write any more
    with pytest.raises(LeaseLost):
        store.step(claim, "a", status=Status.DONE)
    with pytest.raises(LeaseLost):
        store.end(claim, Status.DONE)
    assert store.run(first.run_id).status == "FAILED"
    assert store.run(second.run_id).status == "RUNNING"


def test_a_process_that_is_gone_from_this_machine_need_not_be_waited_for(engine, store, plan, tmp_path):
    claim = store.begin(plan, tmp_path)
    process = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(process, 0)
    strangers(engine, claim.holder.replace(f":{os.getpid()}:", f":{process}:"))
    assert store.settle(plan) == ()
    assert store.run(claim.run_id).status == "FAILED"


def test_the_heart_beats_and_notices_that_the_run_is_lost(engine, store, clock, plan, tmp_path):
    claim = store.begin(plan, tmp_path)
    with Heart(store, claim, every_s=0.01) as heart:
        clock.later(5)
        deadline = threading.Event()
        while store.run(claim.run_id).heartbeat_at != clock.now:
            assert not deadline.wait(0.01)
        heart.check()
        strangers(engine)
        while not heart.lost:
            assert not deadline.wait(0.01)
        with pytest.raises(LeaseLost, match="another runner took it over"):
            heart.check()


def test_steps_not_reached_are_skipped_and_each_change_is_audited(engine, store, plan, tmp_path):
    claim = store.begin(plan, tmp_path)
    store.step(claim, "a", status=Status.RUNNING)
    store.step(claim, "a", cells_done=1)
    store.step(claim, "a", status=Status.FAILED, error="cell In [2] raised")
    store.end(claim, Status.FAILED, code="WB802", error="step 'a' failed")
    assert [step.status for step in store.steps(claim.run_id).values()] == ["FAILED", "SKIPPED"]
    with transaction(engine) as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.happened)).all()
    assert sorted((row.entity, row.action) for row in rows) == [
        ("pipeline_run", "failed"), ("pipeline_run", "started"), ("step_run", "failed"), ("step_run", "running"),
    ]  # fmt: skip
    failed = next(row for row in rows if (row.entity, row.action) == ("step_run", "failed"))
    assert failed.before == {"status": "RUNNING"}
    assert failed.after == {"status": "FAILED", "error": "cell In [2] raised"}


def test_the_newest_run_of_each_kind_is_found(store, clock, plan, tmp_path):
    assert store.done(plan) is None
    assert store.broken(plan) is None
    ends = {}
    for status in (Status.DONE, Status.FAILED, Status.DONE, Status.CANCELLED):
        claim = store.begin(plan, tmp_path)
        store.end(claim, status, report="page.html" if status is Status.DONE else None)
        ends[status] = claim.run_id
        clock.later(60)
    assert store.done(plan).id == ends[Status.DONE]
    assert store.done(plan).report == "page.html"
    assert store.broken(plan).id == ends[Status.CANCELLED]


def test_runs_of_other_processes_are_counted(engine, store, clock, plan, tmp_path):
    store.begin(plan, tmp_path)
    assert store.running_elsewhere() == 0
    strangers(engine)
    assert store.running_elsewhere() == 1
    clock.later(31)
    assert store.running_elsewhere() == 0
