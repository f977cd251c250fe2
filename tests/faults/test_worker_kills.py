"""Kill workers at any instant: each job is done once in effect, no finished chunk is computed again, nobody is left."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from workbench.orchestration import worker as work_loop
from workbench.store import queue
from workbench.store.holders import certainly_gone
from workbench.store.job import JobStatus
from workbench.store.processes import process_runs

WORKER = Path(__file__).with_name("job_worker.py")
KILLS = {"sqlite": 5, "postgresql": 2}
CHUNKS = 20
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def start(workspace, database_url):
    """Starts workers, each in a process of its own; none outlives the test."""
    started = []

    def begin():
        worker = subprocess.Popen(
            [sys.executable, WORKER, workspace.home, database_url], stdout=subprocess.PIPE, text=True
        )
        started.append(worker)
        return worker

    yield begin
    for worker in started:
        worker.kill()
        worker.wait(60)
        worker.stdout.close()


def until(condition, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return found


def put(workspace, notes, work, name="a", **more):
    payload = {"work": work, "notes": str(notes), "name": name, **more}
    return queue.enqueue(workspace.engine, kind="test", key=name, title=name, payload=payload, max_attempts=100)


def lines(path):
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_no_job_is_lost_and_nothing_finished_is_done_again_whoever_is_killed_whenever(workspace, tmp_path, start):
    rng = random.Random(7)
    wanted = KILLS[workspace.engine.dialect.name]
    jobs = {put(workspace, tmp_path, "chunks", name, chunks=CHUNKS, seconds=0.03).id for name in NAMES}
    workers = [start(), start()]

    def in_the_middle_of_a_job():
        """Which workers hold a job that is not nearly done: killed now, they are killed in the middle of it."""
        kept = Counter(job for job, *_ in lines(tmp_path / "kept"))
        held = [job for job in queue.jobs(workspace.engine, status="RUNNING").jobs if kept[job.id] <= CHUNKS // 4]
        return [
            number for number, worker in enumerate(workers) if any(f":{worker.pid}:" in str(job.holder) for job in held)
        ]

    for kill in range(wanted):
        before = len(lines(tmp_path / "kept"))
        # The next kill comes after some more chunks, so that a slow machine also gets to work in between.
        further = min(before + rng.randint(1, 8), len(NAMES) * CHUNKS)
        until(lambda least=further: len(lines(tmp_path / "kept")) >= least)
        time.sleep(rng.uniform(0, 0.03))
        # The first one meets a worker at work; which of the two is, does not depend on how fast they started.
        victim = until(in_the_middle_of_a_job)[0] if kill == 0 else rng.randrange(2)
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = start()
    assert [worker.wait(120) for worker in workers] == [0, 0]

    done = queue.jobs(workspace.engine).jobs
    assert {job.id for job in done} == jobs
    assert {job.status for job in done} == {JobStatus.DONE}
    assert {job.result["sum"] for job in done} == {sum(range(CHUNKS))}
    kept = lines(tmp_path / "kept")
    assert Counter((job, number) for job, number, _ in kept) == {
        (job, str(number)): 1 for job in jobs for number in range(CHUNKS)
    }
    for job in jobs:  # one process after the other, never two side by side
        took_turns = [process for process, _ in groupby(process for one, _, process in kept if one == job)]
        assert len(took_turns) == len(set(took_turns))
    processes = {int(process) for _, process in lines(tmp_path / "begun")}
    until(lambda: not any(process_runs(process) for process in processes))
    # A kill fell into the work: a job was taken over.
    assert sum(job.attempts for job in done) > len(jobs)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_child_does_not_take_its_worker_down(workspace, tmp_path, start):
    job = put(workspace, tmp_path, "chunks", chunks=20, seconds=0.1)
    worker = start()
    until(lambda: len(lines(tmp_path / "kept")) >= 3)
    os.kill(int(lines(tmp_path / "begun")[0][1]), 9)
    assert worker.wait(120) == 0
    done = queue.get(workspace.engine, job.id)
    assert (done.status, done.attempts) == (JobStatus.DONE, 2)
    assert Counter(number for _, number, _ in lines(tmp_path / "kept")) == {str(n): 1 for n in range(20)}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("work", ["spin", "hold"])
def test_the_work_dies_with_its_worker_also_when_it_hears_nothing(workspace, tmp_path, start, work):
    job = put(workspace, tmp_path, work)
    worker = start()
    process = int(until(lambda: lines(tmp_path / "begun"))[0][1])
    worker.kill()
    worker.wait()
    if sys.platform == "linux" or work == "spin":
        until(lambda: not process_runs(process))
    assert certainly_gone(queue.get(workspace.engine, job.id).holder)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("work", ["spin", "hold", "wait"])
def test_a_cancel_takes_effect_soon_whatever_the_work_does(workspace, tmp_path, start, work):
    job = put(workspace, tmp_path, work)
    start()
    until(lambda: lines(tmp_path / "begun"))
    queue.request_cancel(workspace.engine, job.id)
    until(lambda: queue.get(workspace.engine, job.id).status is JobStatus.CANCELLED, seconds=45)  # `hold` holds for 60
    # Promised is a second; how much of it a loaded machine adds is not measured here.
    assert work_loop._LOOK_S + work_loop._STOP_S < 1.0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_terminated_worker_gives_its_job_to_the_next(workspace, tmp_path, start):
    job = put(workspace, tmp_path, "chunks", chunks=1000, seconds=0.01)
    worker = start()
    until(lambda: len(lines(tmp_path / "kept")) >= 3)
    worker.terminate()
    assert worker.wait(120) == 0
    back = queue.get(workspace.engine, job.id)
    assert (back.status, back.attempts) == (JobStatus.QUEUED, 0)
    kept = len(lines(tmp_path / "kept"))
    start()
    until(lambda: len(lines(tmp_path / "kept")) > kept + 3)
    numbers = [number for _, number, _ in lines(tmp_path / "kept")]
    assert len(numbers) == len(set(numbers))
