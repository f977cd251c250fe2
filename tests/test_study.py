import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import sessions
from workbench.errors import StudyError
from workbench.study import Study, canonical, digest

QUESTION = {"symbols": ["AAPL", "MSFT"], "start": "2015-01-01", "as_of": "2015-06-30"}


def test_text_becomes_time_at_the_door():
    study = Study.of(" aapl ", start="2015-01-01", as_of="2015-06-30")
    assert study.symbols == ("AAPL",)
    assert study.start == pd.Timestamp("2015-01-02")  # the first of January is no session
    assert study.as_of == pd.Timestamp("2015-06-30 20:00", tz="UTC")
    assert study.end == study.session == pd.Timestamp("2015-06-30")


def test_a_moment_before_the_close_knows_only_the_session_before():
    study = Study.of("AAPL", start="2015-01-02", as_of="2015-06-30T19:59:00Z")
    assert study.end == pd.Timestamp("2015-06-29")


def test_an_early_close_is_known():
    assert sessions.closes("XNYS", "2024-11-29") == pd.Timestamp("2024-11-29 18:00", tz="UTC")
    assert not sessions.is_session("XNYS", "2025-01-09")  # the day of mourning for President Carter


def test_repeats_are_dropped_and_order_is_kept():
    assert Study.of(["msft", "AAPL", "MSFT"], start="2015-01-02", as_of="2015-06-30").symbols == ("MSFT", "AAPL")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"symbols": []}, "empty"),
        ({"symbols": ["AAPL; DROP TABLE"]}, "not a symbol"),
        ({"start": "yesterday-ish"}, "start='yesterday-ish'"),
        ({"start": None}, "start=None"),
        ({"as_of": "2015-07-04"}, "2015-07-04 is not a session of XNYS; the session before it is 2015-07-02"),
        ({"as_of": "2015-06-30 16:00"}, "no timezone"),
        ({"end": "2015-07-01"}, "later than the last session known"),
        ({"start": "2015-06-30", "end": "2015-06-29"}, "is after end"),
        ({"timeframe": "2d"}, "timeframe='2d'"),
        ({"venue": "MOON"}, "venue='MOON'"),
        ({"initial_cash": 0}, "initial_cash=0"),
        ({"initial_cash": float("nan")}, "initial_cash=nan"),
    ],
)
def test_a_question_that_cannot_be_asked_says_which_field(change, says):
    with pytest.raises(StudyError, match=r".*") as caught:
        Study.of(**{**QUESTION, **change})
    assert says in str(caught.value)
    assert "What to do" in str(caught.value)


def test_the_same_question_has_the_same_hash_and_another_has_another():
    one, two = Study.of(**QUESTION), Study.of(**{**QUESTION, "start": "2015-01-02"})
    assert one.hash == two.hash
    assert one.hash != Study.of(**QUESTION, seed=8).hash
    assert one.hash != one.at("2015-06-29").hash


def test_at_moves_the_end_with_the_moment():
    assert Study.of(**QUESTION).at("2015-03-31").end == pd.Timestamp("2015-03-31")


def test_the_line_repeats_the_question():
    line = str(Study.of(**QUESTION))
    for part in ("AAPL, MSFT", "2015-01-02", "2015-06-30", "1d", "bundled", "seed 7"):
        assert part in line


@given(
    symbols=st.lists(st.from_regex(r"[A-Z]{1,5}", fullmatch=True), min_size=1, max_size=5),
    start=st.dates(pd.Timestamp("2000-01-01").date(), pd.Timestamp("2010-01-01").date()),
    span=st.integers(10, 2000),
    seed=st.integers(0, 2**31),
)
def test_writing_and_reading_a_study_is_the_identity(symbols, start, span, seed):
    as_of = sessions.previous_session("XNYS", pd.Timestamp(start) + pd.Timedelta(days=span))
    study = Study.of(symbols, start=start, as_of=as_of, seed=seed)
    assert Study.from_dict(study.to_dict()) == study


def test_an_unknown_field_is_refused_with_a_suggestion():
    with pytest.raises(StudyError, match="did you mean 'symbols'"):
        Study.from_dict({**Study.of(**QUESTION).to_dict(), "symbol": "AAPL"})


def test_canonical_json_ignores_order_and_refuses_nan():
    assert canonical({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


def test_sessions_carry_no_frequency():
    assert sessions.sessions("XNYS", "2015-01-02", "2015-06-30").freq is None


@pytest.mark.parametrize(("timeframe", "bars"), [("1d", 252), ("1h", 252 * 7), ("5m", 252 * 78), ("1m", 252 * 390)])
def test_a_year_of_new_york_has_252_sessions_of_six_and_a_half_hours(timeframe, bars):
    study = Study.of("SYN01", start="2015-06-29", as_of="2015-06-30", source="synthetic", timeframe=timeframe)
    assert study.bars_per_year == bars
