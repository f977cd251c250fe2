"""A part's name never says that something is not in it that is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.part_name import MOST_SYMBOLS, day, name_of, parse, symbol_hashes

symbols = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=MOST_SYMBOLS + 8)
sessions = st.datetimes(min_value=pd.Timestamp("1600-01-01"), max_value=pd.Timestamp("9999-12-31"))


def part(names, days):
    rows = pd.DataFrame({"symbol": names, "session": pd.to_datetime(np.resize(days, len(names))).astype("M8[us]")})
    return rows.assign(session=rows["session"].dt.normalize())


@given(symbols, st.lists(sessions, min_size=1, max_size=5), sessions, st.integers(0, 65_535))
def test_what_is_in_a_part_may_be_in_it(names, days, other, level):
    rows = part(names, days)
    name = name_of(rows, level=level, columns="0123abcd", digest="f" * 64)
    assert parse(name.text) == name
    assert len(name.text) <= 255
    assert (name.rows, name.level) == (len(rows), level)
    for symbol, session in zip(rows["symbol"], rows["session"], strict=True):
        first, last = sorted((day(session), day(pd.Timestamp(other))))
        assert name.may_hold(symbol_hashes([symbol]), first, last)


def test_most_other_symbols_and_sessions_cannot_be_in_it():
    rows = part(["AAPL", "MSFT"], ["2015-06-29", "2015-07-01"])
    name = name_of(rows, level=0, columns="0123abcd", digest="f" * 64)
    assert not name.may_hold(symbol_hashes(["AAPL"]), "20150702", "20151231")
    assert not name.may_hold(symbol_hashes(["AAPL"]), "20140101", "20150628")
    others = [f"S{number}" for number in range(1000)]
    assert sum(name.may_hold(symbol_hashes([other]), "20150629", "20150629") for other in others) < 10


def test_a_part_with_many_symbols_may_hold_any():
    rows = part([f"S{number:04d}" for number in range(500)], ["2015-06-29"])
    name = name_of(rows, level=0, columns="0123abcd", digest="f" * 64)
    assert name.symbols is None
    assert name.may_hold(symbol_hashes(["XOM"]), "20150629", "20150629")
    assert parse(name.text) == name


def test_the_hash_of_a_symbol_is_the_same_everywhere():
    assert symbol_hashes(["AAPL", "MSFT"]) == {0x368, 0x034}


@pytest.mark.parametrize(("moment", "said"), [("0001-05-05", "00000000"), ("2015-06-29", "20150629")])
def test_days_have_eight_digits(moment, said):
    assert day(pd.Timestamp(moment)) == said


def test_days_after_the_year_9999_are_the_last_of_all():
    assert day(pd.Timestamp(np.datetime64("12000-01-01", "s"))) == "99999999"


@pytest.mark.parametrize("name", ["", "x.parquet", "f" * 64 + ".parquet", "v0000-20150629-20150701-3.parquet"])
def test_other_names_say_nothing(name):
    assert parse(name) is None
