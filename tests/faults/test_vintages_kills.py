"""Kill -9 while a store is appended to and compacted: what was appended stays, and every answer with it."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from workbench.store.vintages import Vintages

WORKER = Path(__file__).with_name("vintages_worker.py")
ROUNDS = 5
STRIDE = 5  # of the steps; they are many, and alike


@pytest.fixture(scope="module")
def rounds():
    """The rows of a round, as the worker makes them."""
    sys.path.insert(0, str(WORKER.parent))
    try:
        import vintages_worker
    finally:
        sys.path.pop(0)
    return vintages_worker


class Store:
    """A store that killed processes write to, and what they said of it."""

    def __init__(self, folder, rounds):
        self.url, self.returned, self.rounds = str(folder / "v"), folder / "returned.txt", rounds

    def job(self, **more):
        return {"url": self.url, "returned": str(self.returned), "first": self.first, "rounds": ROUNDS, **more}

    @property
    def first(self):
        """The first round that no life has said it appended; it may be there all the same."""
        said = self.returned.read_text().split() if self.returned.exists() else []
        return max(map(int, said), default=-1) + 1

    def check(self):
        """Every round that was appended answers at its moment, and of a round all rows are there or none."""
        vintages = Vintages(self.url)
        days = self.rounds.DAYS
        for number in range(ROUNDS):
            as_of = self.rounds.T0 + pd.Timedelta(days=number)
            rows = vintages.read("news/x", self.rounds.SYMBOLS, start=days[0], end=days[-1], as_of=as_of)
            if number < self.first:
                assert len(rows) == len(self.rounds.rows_of(number))
                assert set(rows["value"]) == {float(number)}
            elif len(rows):
                assert len(rows) == len(self.rounds.rows_of(number))
                assert set(rows["value"]) in ({float(self.first)}, {float(self.first - 1)})


def test_a_store_survives_a_kill_at_every_step(tmp_path, worker, rounds):
    step = ended = 0
    while ended != 0 or step == 0:
        (tmp_path / str(step)).mkdir()
        store = Store(tmp_path / str(step), rounds)
        ended = worker.live(store.job(die_at=step))
        assert ended in {0, -signal.SIGKILL}
        store.check()
        assert worker.live(store.job()) == 0
        assert store.first == ROUNDS
        store.check()
        step += STRIDE
    assert step > 30  # the last life was not killed any more


def test_a_store_survives_kills_at_any_instant(tmp_path, worker, rounds):
    store, instants, kills = Store(tmp_path, rounds), random.Random(7), 0
    for _ in range(15):
        ended = worker.live(store.job(), seconds=instants.uniform(0.005, 0.08))
        assert ended in {0, -signal.SIGKILL}
        kills += ended != 0
        store.check()
    assert kills > 0
    assert worker.live(store.job()) == 0
    store.check()
    assert store.first == ROUNDS
    Vintages(store.url).compact("news/x", grace=pd.Timedelta(0))
    store.check()
    assert len(Vintages(store.url).files("news/x")) == 1
