"""The event bus: what publishing costs, how fast a consumer reads, and how soon a follower hears of a commit.

Run: pytest tests/benchmarks/test_events.py --benchmark-only -o addopts=--import-mode=importlib -p no:randomly
"""

import contextlib
import threading
import time

import pytest

from workbench.events import SymbolHalted
from workbench.store.engine import transaction
from workbench.store.event_log import EventLog, publish

MANY = 2_000
COMMITS = 40
SOON_SECONDS = 0.25  # five looks of a poll on SQLite; a notification on PostgreSQL takes a fraction of it


def some(count):
    return [SymbolHalted(account="paper", symbol=f"S{number}", reason="x") for number in range(count)]


@pytest.mark.benchmark(group="events")
def test_publishing_in_one_transaction(benchmark, engine):
    events = some(MANY)

    def many():
        with transaction(engine) as session:
            publish(session, *events)

    benchmark.pedantic(many, rounds=3, iterations=1)
    benchmark.extra_info["events per second"] = round(MANY / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="events")
def test_a_consumer_reads_with_its_place_stored(benchmark, engine):
    with transaction(engine) as session:
        publish(session, *some(MANY))
    seen = []

    def read():
        with contextlib.closing(EventLog(engine)) as log:
            one = log.subscribe(seen.append, consumer=f"reader {len(seen)}")
            while one.turn():
                pass

    benchmark.pedantic(read, rounds=3, iterations=1)
    assert len(seen) == 3 * MANY
    benchmark.extra_info["events per second"] = round(MANY / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="events")
def test_a_follower_hears_of_a_commit_soon(benchmark, engine):
    heard, stop, took = threading.Event(), threading.Event(), []

    def follow():
        with contextlib.closing(EventLog(engine)) as log:
            log.follow("far", lambda _: heard.set(), stop=stop)

    thread = threading.Thread(target=follow)
    thread.start()

    def tell():
        heard.clear()
        with transaction(engine) as session:
            publish(session, *some(1))
        began = time.perf_counter()
        assert heard.wait(10)
        took.append(time.perf_counter() - began)

    tell()
    benchmark.pedantic(tell, rounds=COMMITS, iterations=1)
    stop.set()
    thread.join()
    took.sort()
    benchmark.extra_info["seconds, median and 95 %"] = (round(took[len(took) // 2], 4), round(took[-2], 4))
    assert took[len(took) // 2] < SOON_SECONDS
