"""The bar of a job: it moves while the job does, ends with it, and does not show more than was seen."""

from __future__ import annotations

import sys
import threading

import pytest
from sqlalchemy.exc import OperationalError

from tests.store.test_job import made
from workbench.orchestration import live_bar
from workbench.store.job import JobStatus

RUNNING = [made(done=done, total=4) for done in (1, 2, 3)]
DONE = made(status=JobStatus.DONE, done=4, total=4)


class Screen:
    """A notebook's output area; remembers everything that stood in it."""

    def __init__(self):
        self.seen = []

    def display(self, bundle, *, raw, display_id):
        assert raw
        assert display_id
        self.seen.append(bundle)
        return self

    def update(self, bundle, *, raw):
        assert raw
        self.seen.append(bundle)


@pytest.fixture
def screen(monkeypatch):
    made_up = Screen()
    monkeypatch.setattr("IPython.display.display", made_up.display)
    monkeypatch.setattr(live_bar, "EVERY_S", 0.001)
    monkeypatch.setattr(live_bar, "utc_now", lambda: RUNNING[0].started_at)  # nothing moves by the clock alone
    return made_up


def reader(*said):
    left = list(said)

    def read():
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return read


def test_it_moves_until_the_job_has_ended(screen):
    live_bar.follow(reader(*RUNNING, DONE)).join(60)
    assert [bundle["text/plain"] for bundle in screen.seen] == [
        *["sweep · sma_cross — RUNNING"] * 3,
        "sweep · sma_cross — DONE",
    ]
    assert ["25 %" in bundle["text/html"] for bundle in screen.seen] == [True, False, False, False]
    assert "100 %" in screen.seen[-1]["text/html"]


def test_it_returns_at_once_and_draws_only_what_is_new(screen):
    ended = threading.Event()
    thread = live_bar.follow(lambda: DONE if ended.is_set() else RUNNING[0])
    ended.wait(0.05)
    assert thread.is_alive()
    ended.set()
    thread.join(60)
    assert len(screen.seen) == 2


def test_a_job_that_has_ended_is_shown_once(screen):
    live_bar.follow(reader(DONE)).join(60)
    assert len(screen.seen) == 1


def test_a_database_that_is_away_for_a_moment_does_not_end_it(screen):
    away = OperationalError("SELECT", {}, Exception("away"))
    live_bar.follow(reader(RUNNING[0], away, away, DONE)).join(60)
    assert screen.seen[-1]["text/plain"].endswith("DONE")


def test_elsewhere_lines_are_printed_to_the_end(monkeypatch):
    monkeypatch.setattr(live_bar, "EVERY_S", 0.001)
    lines = []
    queued = made(status=JobStatus.QUEUED)
    ended = live_bar.print_lines(reader(queued, queued, *RUNNING, DONE), lines.append, every_s=1000.0)
    assert ended is DONE
    assert [line.split(" — ")[1].split(" ·")[0] for line in lines] == ["QUEUED", "RUNNING", "DONE"]


def test_a_plain_process_is_no_notebook(monkeypatch):
    assert not live_bar.in_notebook()
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not live_bar.in_notebook()
    assert "IPython" not in sys.modules
