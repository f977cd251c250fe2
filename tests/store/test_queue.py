"""The queue of jobs: who gets which job, what a worker that lost its job can still do (nothing), and how jobs end."""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from sqlalchemy import delete, select, text

from workbench.errors import JobCancelled, JobLost, NoData, ParameterError, StoreError
from workbench.store import queue
from workbench.store.claimed import backoff
from workbench.store.engine import open_engine, transaction
from workbench.store.job import JobStatus
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.job import JobRow
from workbench.trace import tracing

RACER = Path(__file__).with_name("queue_racer.py")
NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
TTL = dt.timedelta(seconds=15)


class Time:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request, tmp_path_factory):
    """One database on each engine for all tests of this file: making one takes longer than most tests."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('queue') / 'workbench.db'}"
        return
    admin = request.getfixturevalue("postgresql_admin")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE queue TEMPLATE migrated"))
    yield admin.url.set(database="queue").render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE queue WITH (FORCE)"))


@pytest.fixture(scope="module")
def opened(url):
    made = open_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def engine(opened):
    """The database without a job in it."""
    empty(opened)
    return opened


def empty(engine):
    with transaction(engine) as session:
        session.execute(delete(JobRow))
        session.execute(delete(AuditRow))


@pytest.fixture
def time():
    return Time()


def put(engine, time, key="a", **more):
    values = {"kind": "backtest", "title": f"question {key}", "payload": {"of": key}, **more}
    return queue.enqueue(engine, key=key, clock=time, **values)


def take(engine, time, holder="one", **more):
    return queue.claim(engine, holder=holder, ttl=TTL, clock=time, gone=lambda _: False, **more)


def history(engine, job_id):
    query = select(AuditRow).where(AuditRow.entity == "job", AuditRow.entity_id == job_id).order_by(AuditRow.happened)
    with transaction(engine) as session:
        return [row.action for row in session.scalars(query)]


class TestEnqueue:
    def test_a_job_repeats_what_was_asked(self, engine, time):
        with tracing("b" * 32):
            job = put(engine, time, priority=3, max_attempts=5)
        assert (job.kind, job.key, job.title, job.payload) == ("backtest", "a", "question a", {"of": "a"})
        assert (job.status, job.attempts, job.max_attempts, job.priority) == (JobStatus.QUEUED, 0, 5, 3)
        assert (job.trace_id, job.created_at, job.percent, job.eta) == ("b" * 32, NOW, None, None)
        assert queue.get(engine, job.id) == job
        assert queue.get(engine, job.id[:10]) == job

    def test_the_same_question_is_one_job_while_it_is_alive(self, engine, time):
        first = put(engine, time)
        assert put(engine, time).id == first.id
        claimed = take(engine, time)
        assert put(engine, time).id == first.id
        claimed.finish({})
        assert put(engine, time).id != first.id

    def test_many_who_ask_at_once_get_one_job(self, engine, time):
        found, start = [], threading.Barrier(6)

        def ask():
            start.wait()
            found.append(put(engine, time).id)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 6
        assert len(set(found)) == 1

    def test_an_equal_job_that_is_being_cancelled_is_not_handed_out(self, engine, time):
        first = put(engine, time)
        claimed = take(engine, time)
        queue.request_cancel(engine, first.id, clock=time)
        with pytest.raises(StoreError, match="still being cancelled"):
            put(engine, time, patience=0.0)
        claimed.cancelled()
        assert put(engine, time).id != first.id

    def test_it_does_not_wait_for_a_cancelled_job_whose_worker_is_lost(self, engine, time):
        first = put(engine, time)
        take(engine, time)
        queue.request_cancel(engine, first.id, clock=time)
        time.pass_by(15)
        assert put(engine, time, patience=0.0).id != first.id
        assert queue.get(engine, first.id).status is JobStatus.CANCELLED

    @pytest.mark.parametrize("wrong", [{"max_attempts": 0}, {"key": ""}, {"key": "x" * 65}])
    def test_what_cannot_be_stored_is_named(self, engine, time, wrong):
        with pytest.raises(ParameterError, match="nothing was enqueued"):
            put(engine, time, **wrong)


class TestClaim:
    def test_the_highest_priority_first_then_the_oldest(self, engine, time):
        for key, priority in (("old", 0), ("new", 0), ("urgent", 1)):
            put(engine, time, key=key, priority=priority)
            time.pass_by(1)
        assert [take(engine, time).job.key for _ in range(3)] == ["urgent", "old", "new"]
        assert take(engine, time) is None

    def test_only_of_the_kinds_that_were_asked_for(self, engine, time):
        put(engine, time, key="a", kind="backtest")
        put(engine, time, key="b", kind="sweep")
        assert take(engine, time, kinds=["audit"]) is None
        assert take(engine, time, kinds=["sweep", "audit"]).job.kind == "sweep"
        assert take(engine, time, kinds=["sweep"]) is None

    def test_a_claim_counts_the_attempt_and_names_the_worker(self, engine, time):
        put(engine, time)
        job = take(engine, time, holder="me").job
        assert (job.status, job.attempts, job.holder) == (JobStatus.RUNNING, 1, "me")
        assert (job.started_at, job.lease_until) == (NOW, NOW + TTL)
        assert queue.get(engine, job.id) == job

    def test_heartbeats_keep_a_job_and_silence_loses_it(self, engine, time):
        put(engine, time)
        first = take(engine, time, holder="one")
        for _ in range(4):
            time.pass_by(14)
            first.heartbeat()
        assert take(engine, time, holder="two") is None
        time.pass_by(15)
        second = take(engine, time, holder="two")
        assert (second.job.id, second.token, second.job.attempts) == (first.job.id, first.token + 1, 2)

    def test_whoever_lost_a_job_writes_nothing_any_more(self, engine, time):
        put(engine, time)
        first = take(engine, time, holder="one")
        time.pass_by(15)
        second = take(engine, time, holder="two")
        before = queue.get(engine, second.job.id)
        rng = random.Random(1)
        late = (
            first.heartbeat,
            first.check,
            first.cancelled,
            first.give_back,
            lambda: first.progress(9, 10),
            lambda: first.finish({"wrong": True}),
            lambda: first.fail("WB000", "late", retryable=True, rng=rng),
        )
        for write in late:
            with pytest.raises(JobLost, match=r"ours had token 1, but it is RUNNING with token 2, held by two"):
                write()
        assert queue.get(engine, second.job.id) == before
        assert second.finish({"right": True}).result == {"right": True}
        with pytest.raises(JobLost, match="it is DONE"):
            second.finish({"again": True})

    def test_a_worker_that_is_certainly_gone_need_not_be_waited_for(self, engine, time):
        put(engine, time)
        first = take(engine, time, holder="dead")
        second = queue.claim(engine, holder="two", ttl=TTL, clock=time, gone=lambda holder: holder == "dead")
        assert (second.job.id, second.token) == (first.job.id, 2)
        assert queue.claim(engine, holder="three", ttl=TTL, clock=time, gone=lambda holder: holder == "dead") is None

    def test_a_job_that_takes_its_workers_with_it_fails_in_the_end(self, engine, time):
        job = put(engine, time, max_attempts=2)
        for _ in range(2):
            assert take(engine, time) is not None
            time.pass_by(15)
        assert take(engine, time) is None
        failed = queue.get(engine, job.id)
        assert (failed.status, failed.error_code, failed.attempts) == (JobStatus.FAILED, "WB411", 2)
        assert "ended without a word in attempt 2 of 2" in failed.error
        assert failed.ended_at == time.now

    def test_the_next_job_is_taken_in_the_same_call_that_settles_a_lost_one(self, engine, time):
        put(engine, time, key="lost", max_attempts=1)
        take(engine, time)
        put(engine, time, key="next")
        time.pass_by(15)
        assert take(engine, time).job.key == "next"

    def test_workers_of_several_processes_never_do_the_same_job(self, url, engine):
        ids = {queue.enqueue(engine, kind="k", key=str(number), title="t", payload={}).id for number in range(40)}
        racers = [
            subprocess.Popen(
                [sys.executable, RACER, url, str(seed)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for seed in range(3)
        ]
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = [json.loads(line) for racer in racers for line in racer.communicate(timeout=60)[0].splitlines()]
        assert [racer.returncode for racer in racers] == [0, 0, 0]
        done = Counter(line["did"] for line in said if "did" in line)
        assert done == dict.fromkeys(ids, 1)
        assert len({line["by"] for line in said if "did" in line}) > 1  # it was a race
        by = {line["did"]: line["by"] for line in said if "did" in line}
        rows = queue.jobs(engine, limit=100).jobs
        assert {row.id: row.result["by"] for row in rows} == by
        assert {row.attempts for row in rows} == {1}


class TestProgress:
    def test_percent_note_and_estimate_are_stored(self, engine, time):
        job = put(engine, time)
        claimed = take(engine, time)
        claimed.progress(100, 1000, "loading")
        assert queue.get(engine, job.id).eta is None
        time.pass_by(10)
        claimed.progress(300, 1000, "evaluating")
        seen = queue.get(engine, job.id)
        assert (seen.percent, seen.note, seen.done, seen.total) == (30.0, "evaluating", 300, 1000)
        assert seen.eta == dt.timedelta(seconds=35)  # 20 a second, 700 left
        time.pass_by(5)
        claimed.heartbeat()
        assert queue.get(engine, job.id).eta == dt.timedelta(seconds=30)
        done = claimed.finish({})
        assert (done.percent, done.eta, done.done, done.total) == (100.0, None, 1000, 1000)

    def test_a_new_attempt_begins_at_nothing(self, engine, time):
        put(engine, time)
        take(engine, time).progress(5, 10, "half")
        time.pass_by(15)
        again = take(engine, time).job
        assert (again.done, again.total, again.note, again.percent) == (0, 0, None, None)


class TestEnds:
    def test_done_keeps_the_result_and_every_state_is_in_the_audit(self, engine, time):
        job = put(engine, time)
        done = take(engine, time).finish({"run": "x"})
        assert (done.status, done.result, done.ended_at) == (JobStatus.DONE, {"run": "x"}, NOW)
        assert history(engine, job.id) == ["QUEUED", "RUNNING", "DONE"]

    def test_a_failure_of_the_question_is_final(self, engine, time):
        put(engine, time)
        failed = take(engine, time).fail("WB503", "the strategy raised", retryable=False, rng=random.Random(1))
        assert (failed.status, failed.error_code, failed.error) == (JobStatus.FAILED, "WB503", "the strategy raised")
        assert take(engine, time) is None

    def test_a_failure_that_may_pass_is_tried_again_later_and_later(self, engine, time):
        job = put(engine, time, max_attempts=3)
        rng, waits = random.Random(1), []
        for attempt in (1, 2):
            back = take(engine, time).fail("WB400", "the disk is full", retryable=True, rng=rng)
            assert (back.status, back.attempts, back.error_code) == (JobStatus.QUEUED, attempt, "WB400")
            waits.append((back.available_at - time.now).total_seconds())
            assert take(engine, time) is None
            time.pass_by(waits[-1])
        last = take(engine, time).fail("WB400", "the disk is full", retryable=True, rng=rng)
        assert (last.status, last.attempts) == (JobStatus.FAILED, 3)
        assert 0.5 <= waits[0] <= 1.0 <= waits[1] <= 2.0
        assert history(engine, job.id) == ["QUEUED", *["RUNNING", "QUEUED"] * 2, "RUNNING", "FAILED"]

    def test_success_after_a_failure_forgets_the_error(self, engine, time):
        put(engine, time)
        take(engine, time).fail("WB400", "busy", retryable=True, rng=random.Random(1))
        time.pass_by(2)
        assert take(engine, time).finish({}).error is None

    def test_a_worker_that_stops_gives_its_job_back_uncounted(self, engine, time):
        put(engine, time, max_attempts=1)
        back = take(engine, time, holder="one").give_back()
        assert (back.status, back.attempts) == (JobStatus.QUEUED, 0)
        assert take(engine, time, holder="two").token == 2


class TestCancel:
    def test_a_queued_job_is_cancelled_at_once(self, engine, time):
        job = put(engine, time)
        gone = queue.request_cancel(engine, job.id, who="ann", clock=time)
        assert (gone.status, gone.cancel_requested_by, gone.ended_at) == (JobStatus.CANCELLED, "ann", NOW)
        assert take(engine, time) is None

    def test_a_running_job_is_told_by_every_call_of_its_worker(self, engine, time):
        job = put(engine, time)
        claimed = take(engine, time)
        asked = queue.request_cancel(engine, job.id, who="ann", clock=time)
        assert (asked.status, asked.cancelling) == (JobStatus.RUNNING, True)
        for call in (claimed.heartbeat, claimed.check, lambda: claimed.progress(1, 2)):
            with pytest.raises(JobCancelled, match="ann asked for job"):
                call()
        assert queue.get(engine, job.id).done == 1  # the progress was kept
        assert claimed.cancelled().status is JobStatus.CANCELLED
        assert history(engine, job.id) == ["QUEUED", "RUNNING", "cancel requested", "CANCELLED"]

    def test_work_that_was_faster_than_the_cancel_is_done(self, engine, time):
        job = put(engine, time)
        claimed = take(engine, time)
        queue.request_cancel(engine, job.id, clock=time)
        assert claimed.finish({"run": "x"}).status is JobStatus.DONE

    @pytest.mark.parametrize(
        "end", [lambda c: c.give_back(), lambda c: c.fail("WB400", "x", retryable=True, rng=random.Random(1))]
    )
    def test_what_was_asked_to_stop_does_not_come_back(self, engine, time, end):
        job = put(engine, time)
        claimed = take(engine, time)
        queue.request_cancel(engine, job.id, clock=time)
        assert end(claimed).status is JobStatus.CANCELLED

    def test_a_cancelled_job_whose_worker_is_lost_is_settled(self, engine, time):
        asked_before, asked_after = put(engine, time, key="a"), put(engine, time, key="b")
        take(engine, time), take(engine, time)
        queue.request_cancel(engine, asked_before.id, clock=time)
        time.pass_by(15)
        assert queue.request_cancel(engine, asked_after.id, clock=time).status is JobStatus.CANCELLED
        assert take(engine, time) is None
        assert queue.get(engine, asked_before.id).status is JobStatus.CANCELLED

    def test_what_has_ended_stays_as_it_is(self, engine, time):
        job = put(engine, time)
        done = take(engine, time).finish({})
        assert queue.request_cancel(engine, job.id, clock=time) == done
        with pytest.raises(NoData, match="no job 'nobody'"):
            queue.request_cancel(engine, "nobody")


class TestList:
    def test_pages_do_not_shift_when_jobs_arrive(self, engine, time):
        ids = []
        for number in range(7):
            ids.append(put(engine, time, key=str(number)).id)
            time.pass_by(number % 2)  # some share their moment
        first = queue.jobs(engine, limit=3)
        put(engine, time, key="newer")
        second = queue.jobs(engine, cursor=first.cursor, limit=3)
        third = queue.jobs(engine, cursor=second.cursor, limit=3)
        assert third.cursor is None
        seen = [job for page in (first, second, third) for job in page.jobs]
        assert sorted(job.id for job in seen) == sorted(ids)
        assert [job.created_at for job in seen] == sorted((job.created_at for job in seen), reverse=True)

    def test_by_status_and_kind(self, engine, time):
        put(engine, time, key="a", kind="sweep")
        put(engine, time, key="b")
        running = take(engine, time, kinds=["sweep"]).job
        assert queue.jobs(engine, status="RUNNING").jobs == (running,)
        assert [job.key for job in queue.jobs(engine, kind="backtest").jobs] == ["b"]
        assert queue.alive(engine) == 2
        assert queue.alive(engine, ["sweep"]) == 1

    @pytest.mark.parametrize("wrong", [{"cursor": "x"}, {"limit": 0}, {"limit": 1001}, {"status": "RUNING"}])
    def test_what_is_no_page_is_named(self, engine, wrong):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            queue.jobs(engine, **wrong)

    def test_an_id_that_names_no_single_job_is_refused(self, engine, time):
        put(engine, time, key="a"), put(engine, time, key="b")
        for wrong in ("", "z", "%"):
            with pytest.raises(NoData):
                queue.get(engine, wrong)


def test_waits_double_up_to_a_minute_and_are_spread():
    rng = random.Random(7)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 8), (7, 60), (50, 60)):
        waits = [backoff(attempt, rng).total_seconds() for _ in range(200)]
        assert longest / 2 <= min(waits) < 0.6 * longest
        assert 0.9 * longest < max(waits) <= longest


# The machine draws histories of a queue: three workers of which each may fall silent, cancel requests, time.

_ENGINE = None


def machine_engine():
    global _ENGINE  # noqa: PLW0603 - one database for all drawn histories: migrating takes longer than a history
    if _ENGINE is None:
        _ENGINE = open_engine("sqlite://")
    return _ENGINE


class QueueMachine(RuleBasedStateMachine):
    claims = Bundle("claims")

    @initialize()
    def begin(self):
        self.engine, self.time, self.ended, self.held = machine_engine(), Time(), {}, {}
        empty(self.engine)

    @rule(key=st.sampled_from("abc"), attempts=st.integers(1, 3))
    def enqueue(self, key, attempts):
        self.time.pass_by(1e-6)  # no two are equally old: what is drawn must not depend on random ids
        try:
            job = put(self.engine, self.time, key=key, max_attempts=attempts, patience=-1.0)
        except StoreError:
            assert any(job.key == key and job.cancelling for job in self.rows())
        else:
            assert not job.status.final

    @rule(target=claims, holder=st.sampled_from(["one", "two", "three"]))
    def claim(self, holder):
        waiting = [
            job
            for job in self.rows()
            if (job.status is JobStatus.QUEUED and job.available_at <= self.time.now)
            or (job.status is JobStatus.RUNNING and job.lease_until <= self.time.now)
        ]
        claimed = take(self.engine, self.time, holder=holder)
        if claimed is None:
            # Nothing that may still be tried was left lying.
            assert all(job.cancelling or job.attempts >= job.max_attempts for job in waiting)
            return multiple()
        assert claimed.job.id in {job.id for job in waiting}
        assert claimed.token > self.held.get(claimed.job.id, 0)
        self.held[claimed.job.id] = claimed.token
        return claimed

    def owns(self, claimed):
        job = queue.get(self.engine, claimed.job.id)
        return job.status is JobStatus.RUNNING and self.held[job.id] == claimed.token

    @rule(claimed=claims, done=st.integers(0, 10))
    def progress(self, claimed, done):
        job, owned = queue.get(self.engine, claimed.job.id), self.owns(claimed)
        try:
            claimed.progress(done, 10)
        except JobLost:
            assert not owned
            assert queue.get(self.engine, job.id) == job
        except JobCancelled:
            assert owned
            assert job.cancelling
        else:
            assert owned
            assert not job.cancelling

    @rule(claimed=consumes(claims), how=st.sampled_from(["finish", "fail", "retry", "cancelled", "give back"]))
    def end(self, claimed, how):
        ways = {
            "finish": lambda: claimed.finish({"token": claimed.token}),
            "fail": lambda: claimed.fail("WB503", "x", retryable=False, rng=random.Random(0)),
            "retry": lambda: claimed.fail("WB400", "x", retryable=True, rng=random.Random(0)),
            "cancelled": claimed.cancelled,
            "give back": claimed.give_back,
        }
        job, owned = queue.get(self.engine, claimed.job.id), self.owns(claimed)
        try:
            ways[how]()
        except JobLost:
            assert not owned
            assert queue.get(self.engine, job.id) == job
        else:
            assert owned

    @rule(number=st.integers(0, 5))
    def cancel(self, number):
        rows = self.rows()
        if rows:
            queue.request_cancel(self.engine, rows[number % len(rows)].id, clock=self.time)

    @rule(seconds=st.sampled_from([0.5, 2, 14, 15, 120]))
    def wait(self, seconds):
        self.time.pass_by(seconds)

    @invariant()
    def of_one_key_at_most_one_is_alive(self):
        alive = Counter(job.key for job in self.rows() if not job.status.final)
        assert all(number == 1 for number in alive.values())

    @invariant()
    def what_has_ended_never_changes(self):
        for job in self.rows():
            if job.status.final:
                assert self.ended.setdefault(job.id, job) == job
            assert 0 <= job.attempts <= job.max_attempts

    @invariant()
    def the_audit_tells_the_same_story(self):
        with transaction(self.engine) as session:
            told = session.execute(select(AuditRow.entity_id, AuditRow.action).order_by(AuditRow.happened)).all()
        last = {job: action for job, action in told if action != "cancel requested"}
        assert last == {job.id: str(job.status) for job in self.rows()}

    def rows(self):
        return queue.jobs(self.engine, limit=1000).jobs if hasattr(self, "engine") else ()


TestDrawnHistories = QueueMachine.TestCase
TestDrawnHistories.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
