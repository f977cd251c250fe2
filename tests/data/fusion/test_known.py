"""The short way to a few rows says the same as the store's own reading, whatever was appended."""

import math

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.fusion.known import known
from workbench.data.fusion.place import Place
from workbench.data.fusion.rules import RULES
from workbench.store.vintages import Vintages

AS_OF = pd.Timestamp("2015-06-30T20:00", tz="UTC")
PLACE = Place(RULES["macro"], "fred", "macro/fred")
fact = st.tuples(
    st.sampled_from(["DFF", "UNRATE", "DGS10"]),
    st.integers(0, 3),
    st.integers(-2, 2),
    st.floats(1, 9) | st.just(math.nan),
)


def rows(batch):
    made = [
        {
            "symbol": symbol,
            "session": pd.Timestamp("2015-06-20") + pd.Timedelta(days=day),
            "happened": pd.Timestamp("2015-06-20", tz="UTC"),
            "learned": AS_OF + pd.Timedelta(hours=late),
            "value": value,
        }
        for (symbol, day, late), value in {each[:3]: each[3] for each in batch}.items()
    ]
    return pd.DataFrame(made)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(fact, min_size=1, max_size=6), min_size=1, max_size=4), st.integers(0, 10_000))
def test_the_same_rows_as_vintages(batches, number):
    store = Vintages(f"memory://known{number}-{hash(str(batches))}")
    for batch in batches:
        store.append("macro/fred", rows(batch))
    wanted = ("DFF", "UNRATE")
    window = {"start": pd.Timestamp("2015-01-01"), "end": pd.Timestamp("2015-07-01")}
    expected = store.read("macro/fred", wanted, as_of=AS_OF, **window)
    found = [
        (part.symbol, day, None if math.isnan(value) else value)
        for part in known(store, PLACE, wanted, AS_OF)
        for day, value in zip(part.days, part.numbers("value"), strict=True)
    ]
    assert found == [
        (line.symbol, f"{line.session:%Y-%m-%d}", None if math.isnan(line.value) else line.value)
        for line in expected.itertuples()
    ]


def test_two_vintages_of_one_instant_are_decided_by_the_store(tmp_path):
    """Two processes that did not see each other: each wrote another value, learned at the same moment."""
    first, second = Vintages(str(tmp_path / "a")), Vintages(str(tmp_path / "b"))
    first.append("macro/fred", rows([("DFF", 0, 0, 1.0)]))
    second.append("macro/fred", rows([("DFF", 0, 0, 2.0)]))
    for path in (tmp_path / "b" / "macro" / "fred").glob("*.parquet"):
        path.rename(tmp_path / "a" / "macro" / "fred" / path.name)
    both = Vintages(str(tmp_path / "a"))
    window = {"start": pd.Timestamp("2015-01-01"), "end": pd.Timestamp("2015-07-01")}
    expected = both.read("macro/fred", ["DFF"], as_of=AS_OF, **window)["value"].tolist()
    (part,) = known(both, PLACE, ("DFF",), AS_OF)
    assert part.numbers("value") == expected
    assert len(expected) == 1
