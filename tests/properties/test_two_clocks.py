"""Whatever is appended, compacted, interrupted: a reader sees the newest of what was learned by then, nothing later."""

import contextlib
import copy
import itertools
import uuid
from unittest.mock import patch

import fsspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.store.failing import failing_at
from workbench.store.facts import in_force
from workbench.store.vintages import Vintages

SYMBOLS = ("AAPL", "MSFT")
DAYS = pd.date_range("2015-06-29", periods=2).as_unit("us")
KEYS = ("a", "b")
MOMENTS = pd.date_range("2015-07-03T20:00", periods=6, freq="1D", tz="UTC").as_unit("us")
# A fact and a moment: symbol, session, key, learned.
FACTS = list(itertools.product(range(len(SYMBOLS)), range(len(DAYS)), range(len(KEYS)), range(len(MOMENTS))))
NAMES = list(itertools.product(range(len(SYMBOLS)), range(len(DAYS)), range(len(KEYS))))
HOUR = pd.Timedelta(hours=1)

# A world says once and for all which value a source gives to a fact at a moment; scripts append parts of it, in any
# order and as often as they like, ask in between, compact, and die while they compact.
world = st.fixed_dictionaries({fact: st.integers(0, 2) for fact in FACTS})
step = st.one_of(
    st.tuples(st.just("append"), st.lists(st.sampled_from(FACTS), min_size=1, max_size=8, unique=True)),
    st.tuples(st.just("read"), st.integers(-1, len(MOMENTS) - 1)),
    st.tuples(st.just("read as listed before"), st.integers(0, len(MOMENTS) - 1)),
    st.tuples(st.just("compact"), st.booleans()),
    st.tuples(st.just("die while compacting"), st.integers(0, 6)),
    st.tuples(st.just("wait"), st.just(0)),
)
scripts = st.tuples(world, st.booleans(), st.lists(step, min_size=1, max_size=10))


class Killed(BaseException):
    """The process is gone: nothing below may handle it."""


class Model:
    """The trivial store: a list of rows, looked through from end to end for every answer."""

    def __init__(self):
        self.rows = []

    def in_force(self, name, moment):
        known = [row for row in self.rows if row[0] == name and row[1] <= moment]
        return max(known, key=lambda row: row[1])[2] if known else None

    def append(self, batch):
        written = 0
        for name, moment, value in sorted(batch, key=lambda row: row[1]):
            if self.in_force(name, moment) != value:
                self.rows.append((name, moment, value))
                written += 1
        return written

    def read(self, moment):
        answers = {name: self.in_force(name, moment) for name in NAMES}
        return {name: value for name, value in answers.items() if value is not None}


class IgnoresLearned(Vintages):
    """A planted leak: it answers every question with the newest vintage there is."""

    def read(self, dataset, symbols, *, start, end, as_of):
        return super().read(dataset, symbols, start=start, end=end, as_of=pd.Timestamp("2100-01-01", tz="UTC"))


class TakesTheNewestFirst(Vintages):
    """A planted mistake: it looks for the newest vintage first and for `as_of` only then: answers go missing."""

    def read(self, dataset, symbols, *, start, end, as_of):
        rows = super().read(dataset, symbols, start=start, end=end, as_of=pd.Timestamp("2100-01-01", tz="UTC"))
        return rows[rows["learned"] <= as_of] if len(rows) else rows


class ForgetsRevisions(Vintages):
    """A planted mistake: a fact that is known is never revised."""

    def append(self, dataset, rows):
        known = super().read(dataset, SYMBOLS, start=DAYS[0], end=DAYS[-1], as_of=pd.Timestamp("2100-01-01", tz="UTC"))
        if len(known):
            names = [name for name in ("symbol", "session", "key") if name in rows.columns]
            there = pd.MultiIndex.from_frame(known[names])
            rows = rows[~pd.MultiIndex.from_frame(rows[names]).isin(there)]
        return super().append(dataset, rows)


class CompactsAway(Vintages):
    """A planted mistake: a compaction keeps the newest vintage of a fact only."""

    def compact(self, dataset, *, grace):
        with patch("workbench.store.compaction.without_copies", in_force):
            return super().compact(dataset, grace=grace)


class ForgetsKeys(Vintages):
    """A planted mistake: of several facts of one symbol and session it answers one."""

    def read(self, dataset, symbols, *, start, end, as_of):
        rows = super().read(dataset, symbols, start=start, end=end, as_of=as_of)
        return rows.drop_duplicates(["symbol", "session"])


class RemovesFirst(Vintages):
    """A planted mistake: a compaction removes what it replaces before it has written what replaces it."""

    def compact(self, dataset, *, grace):
        merge, place = self._compaction._merge, self._place

        def backwards(dataset, names):
            for name in names if len(names) > 1 else ():
                kept = place.read(f"{dataset}/{name}")
                place.remove(f"{dataset}/{name}")
                place.write(f"{dataset}/{name}", kept)
            return merge(dataset, names)

        with patch.object(self._compaction, "_merge", backwards):
            return super().compact(dataset, grace=grace)


def frame(batch, *, keyed):
    """Rows of a batch; with keys, or with one kind of fact for each key in a dataset of its own."""
    names, moments, values = zip(*batch, strict=True)
    symbols, days, keys = zip(*names, strict=True)
    rows = pd.DataFrame(
        {
            "symbol": [SYMBOLS[number] for number in symbols],
            "session": DAYS[list(days)],
            "key": [KEYS[number] for number in keys],
            "close": [float(value) for value in values],
            "happened": DAYS[list(days)].tz_localize("UTC") + pd.Timedelta(hours=20),
            "learned": MOMENTS[list(moments)],
        }
    )
    if keyed:
        return rows
    at = rows["session"].dt.tz_localize("UTC") + pd.to_timedelta(list(keys), unit="h")
    return rows.drop(columns="key").assign(time=at)


class Played:
    """One script on a store and on the model."""

    def __init__(self, kind, root, *, keyed):
        self.keyed, self.now = keyed, pd.Timestamp("2020-01-01", tz="UTC")
        self.store, self.model = kind(f"memory://{root}", clock=lambda: self.now, wall=lambda: self.now), Model()
        self.listed = self.store._parts.of("news/x"), copy.deepcopy(self.model)

    def read(self, moment):
        as_of = MOMENTS[moment] if moment >= 0 else MOMENTS[0] - pd.Timedelta(1, unit="us")
        rows = self.store.read("news/x", SYMBOLS, start=DAYS[0], end=DAYS[-1], as_of=as_of)
        if rows.empty:
            return {}
        keys = rows["key"].map(KEYS.index) if self.keyed else rows["time"].dt.hour
        return {
            (SYMBOLS.index(row.symbol), DAYS.get_loc(row.session), int(key)): int(row.close)
            for row, key in zip(rows.itertuples(), keys, strict=True)
        }

    def step(self, verb, argument, values):
        """What should come out of one step (several answers may be right), and what does."""
        if verb == "append":
            self.listed = self.store._parts.of("news/x"), copy.deepcopy(self.model)
            batch = [(fact[:3], fact[3], values[fact]) for fact in argument]
            return [self.model.append(batch)], self.store.append("news/x", frame(batch, keyed=self.keyed))
        if verb == "read as listed before":
            before, model = self.listed
            listings = itertools.chain([before], itertools.repeat(None))
            listing = self.store._parts.of
            with patch.object(self.store._parts, "of", lambda dataset: next(listings) or listing(dataset)):
                got = self.read(argument)
            return [model.read(argument), self.model.read(argument)], got
        if verb == "compact":
            self.store.compact("news/x", grace=HOUR if argument else 0 * HOUR)
        elif verb == "die while compacting":
            with contextlib.suppress(Killed), failing_at(self.store, argument, Killed()):
                self.store.compact("news/x", grace=0 * HOUR)
        elif verb == "wait":
            self.now += 2 * HOUR
        return [self.model.read(argument if verb == "read" else len(MOMENTS) - 1)], self.read(
            argument if verb == "read" else len(MOMENTS) - 1
        )


def disagreement(kind, script):
    """Play a script on a store and on the model; the first answer in which they differ, or None."""
    values, keyed, steps = script
    root = f"/{uuid.uuid4().hex}"
    memory = fsspec.filesystem("memory")
    try:
        played = Played(kind, root, keyed=keyed)
        for verb, argument in [*steps, *(("read", moment) for moment in range(len(MOMENTS)))]:
            wanted, got = played.step(verb, argument, values)
            if got not in wanted:
                return verb, argument, wanted, got
        return None
    finally:
        if memory.exists(root):
            memory.rm(root, recursive=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts)
def test_readers_see_what_was_learned_by_then(script):
    assert disagreement(Vintages, script) is None


@pytest.mark.parametrize(
    "kind", [IgnoresLearned, TakesTheNewestFirst, ForgetsRevisions, CompactsAway, ForgetsKeys, RemovesFirst]
)
def test_a_planted_mistake_is_caught(kind):
    found = find(
        scripts,
        lambda script: disagreement(kind, script) is not None,
        settings=settings(max_examples=400, deadline=None, database=None, phases=[Phase.generate]),
    )
    assert disagreement(Vintages, found) is None
