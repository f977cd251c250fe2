"""Whatever is appended in whatever order, a reader sees the newest of what was learned by then, and nothing later."""

import itertools
import uuid

import fsspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from workbench.store.vintages import Vintages

SYMBOLS = ("AAPL", "MSFT")
DAYS = pd.date_range("2015-06-29", periods=3).as_unit("us")
MOMENTS = pd.date_range("2015-07-03T20:00", periods=6, freq="1D", tz="UTC").as_unit("us")
FACTS = list(itertools.product(range(len(SYMBOLS)), range(len(DAYS)), range(len(MOMENTS))))

# A world says once and for all which value a source gives to a fact at a moment; scripts append parts of it, in any
# order and as often as they like, and ask in between.
world = st.fixed_dictionaries({fact: st.integers(0, 2) for fact in FACTS})
step = st.one_of(
    st.tuples(st.just("append"), st.lists(st.sampled_from(FACTS), min_size=1, max_size=8, unique=True)),
    st.tuples(st.just("read"), st.integers(-1, len(MOMENTS) - 1)),
)
scripts = st.tuples(world, st.lists(step, min_size=1, max_size=8))


class Model:
    """The trivial store: a list of rows, looked through from end to end for every answer."""

    def __init__(self):
        self.rows = []

    def in_force(self, symbol, day, moment):
        known = [row for row in self.rows if row[:2] == (symbol, day) and row[2] <= moment]
        return max(known, key=lambda row: row[2])[3] if known else None

    def append(self, batch):
        written = 0
        for symbol, day, moment, value in sorted(batch, key=lambda row: row[2]):
            if self.in_force(symbol, day, moment) != value:
                self.rows.append((symbol, day, moment, value))
                written += 1
        return written

    def read(self, moment):
        answers = {
            (symbol, day): self.in_force(symbol, day, moment)
            for symbol in range(len(SYMBOLS))
            for day in range(len(DAYS))
        }
        return {key: value for key, value in answers.items() if value is not None}


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
            there = pd.MultiIndex.from_frame(known[["symbol", "session"]])
            rows = rows[~pd.MultiIndex.from_frame(rows[["symbol", "session"]]).isin(there)]
        return super().append(dataset, rows)


def frame(batch):
    symbols, days, moments, values = zip(*batch, strict=True)
    return pd.DataFrame(
        {
            "symbol": [SYMBOLS[number] for number in symbols],
            "session": DAYS[list(days)],
            "close": [float(value) for value in values],
            "happened": DAYS[list(days)].tz_localize("UTC") + pd.Timedelta(hours=20),
            "learned": MOMENTS[list(moments)],
        }
    )


def disagreement(kind, script):
    """Play a script on a store and on the model; the first answer in which they differ, or None."""
    values, steps = script
    root = f"/{uuid.uuid4().hex}"
    store, model = kind(f"memory://{root}"), Model()
    memory = fsspec.filesystem("memory")
    try:
        for verb, argument in [*steps, ("read", len(MOMENTS) - 1)]:
            if verb == "append":
                batch = [(*fact, values[fact]) for fact in argument]
                wanted, got = model.append(batch), store.append("bars/1d", frame(batch))
            else:
                as_of = MOMENTS[argument] if argument >= 0 else MOMENTS[0] - pd.Timedelta(1, unit="us")
                rows = store.read("bars/1d", SYMBOLS, start=DAYS[0], end=DAYS[-1], as_of=as_of)
                wanted = model.read(argument)
                got = {
                    (SYMBOLS.index(row.symbol), DAYS.get_loc(row.session)): int(row.close) for row in rows.itertuples()
                }
            if wanted != got:
                return verb, argument, wanted, got
        return None
    finally:
        if memory.exists(root):
            memory.rm(root, recursive=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts)
def test_readers_see_what_was_learned_by_then(script):
    assert disagreement(Vintages, script) is None


@pytest.mark.parametrize("kind", [IgnoresLearned, TakesTheNewestFirst, ForgetsRevisions])
def test_a_planted_mistake_is_caught(kind):
    found = find(
        scripts,
        lambda script: disagreement(kind, script) is not None,
        settings=settings(max_examples=300, deadline=None, database=None, phases=[Phase.generate]),
    )
    assert disagreement(Vintages, found) is None
