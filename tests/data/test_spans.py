import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from workbench.data.spans import Span, days, merged, spans_missing


def span(first, last):
    return Span(pd.Timestamp(first), pd.Timestamp(last))


def test_what_is_missing_before_between_and_after():
    had = [span("2015-03-10", "2015-03-12"), span("2015-03-05", "2015-03-06")]
    missing = spans_missing(had, span("2015-03-01", "2015-03-14"), venue=None)
    assert missing == [
        span("2015-03-01", "2015-03-04"),
        span("2015-03-07", "2015-03-09"),
        span("2015-03-13", "2015-03-14"),
    ]


def test_a_weekend_between_sessions_is_not_missing():
    had = [span("2015-03-02", "2015-03-06"), span("2015-03-09", "2015-03-13")]  # Monday to Friday, twice
    assert spans_missing(had, span("2015-03-02", "2015-03-15"), venue="XNYS") == []
    assert len(spans_missing(had, span("2015-03-02", "2015-03-15"), venue=None)) == 2


def test_spans_grow_together_over_a_weekend_of_a_venue_and_not_over_a_missing_day():
    had = [span("2015-03-02", "2015-03-06"), span("2015-03-18", "2015-03-20")]
    fresh = span("2015-03-09", "2015-03-13")
    assert merged([*had, fresh], fresh, venue="XNYS") == span("2015-03-02", "2015-03-13")
    assert merged([*had, fresh], fresh, venue=None) == fresh


@pytest.mark.parametrize("venue", [None, "XNYS"])
@given(
    had=some.lists(some.tuples(some.integers(0, 40), some.integers(0, 10)), max_size=6),
    wanted=some.tuples(some.integers(0, 40), some.integers(0, 20)),
)
def test_had_and_missing_hold_every_day_and_missing_holds_none_that_was_had(venue, had, wanted):
    origin = pd.Timestamp("2015-03-01")

    def made(pair):
        return Span(origin + pd.Timedelta(days=pair[0]), origin + pd.Timedelta(days=sum(pair)))

    def inside(spans):
        return {day for one in spans for day in days(venue, one)}

    whole, spans = made(wanted), [made(pair) for pair in had]
    missing = spans_missing(spans, whole, venue=venue)
    assert inside(missing) == inside([whole]) - inside(spans)
    for one in missing:
        grown = merged([*spans, *missing], one, venue=venue)
        assert inside([grown]) <= inside([*spans, *missing])
        assert inside([one]) <= inside([grown])
