"""What tones add up to: each story once, old ones less, nothing that was learned later; checked by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.kinds import kind_of
from workbench.data.sentiment import HALF_LIFE, daily, distinct, tone_of
from workbench.errors import ParameterError

AS_OF = pd.Timestamp("2015-06-30T20:00", tz="UTC")  # a Tuesday, the close in New York
HOUR = pd.Timedelta(hours=1)
STORIES = ("0000000000000000", "ffffffffffffffff", "00000000ffffffff", "ffffffff00000000")


def article(
    score, *, hours=0.0, confidence=0.5, story=0, symbol="AAPL", key=None, late=0.0, source="alpaca", events=""
):
    """One row of sentiment, published `hours` before the moment and learned `late` hours after that."""
    happened = AS_OF - hours * HOUR
    return {
        "symbol": symbol,
        "session": happened.tz_localize(None).normalize(),
        "time": happened,
        "key": key or f"{source}-{story}-{hours}-{score}",
        "happened": happened,
        "learned": happened + late * HOUR,
        "source": source,
        "score": score,
        "confidence": confidence,
        "story": STORIES[story],
        "events": events,
        "method": "rules-1",
    }


def rows(*articles):
    return kind_of("sentiment").typed(pd.DataFrame(articles)) if articles else kind_of("sentiment").empty()


def at(*articles, symbol="AAPL", **more):
    return tone_of(rows(*articles), symbol, as_of=AS_OF, **more).loc[symbol]


def test_two_stories_weigh_by_confidence_and_age():
    told = at(article(0.8, confidence=0.6), article(-0.4, confidence=0.6, hours=24, story=1))
    # w = 0.6 and 0.3 (one half-life); score = (0.48 − 0.12) / 0.9
    assert told["score"] == pytest.approx(0.4)
    # 1 − 0.4·0.7 = 0.72 sure, of which |0.48 − 0.12| / (0.48 + 0.12) = 0.6 of one mind
    assert told["confidence"] == pytest.approx(0.72 * 0.6)
    assert told["dispersion"] == pytest.approx(math.sqrt((0.6 * 0.16 + 0.3 * 0.64) / 0.9))
    assert (told["articles"], told["stories"], told["silent"]) == (2, 2, 0)
    assert told["newest_age_h"] == 0


def test_one_story_has_no_dispersion():
    assert math.isnan(at(article(0.8))["dispersion"])


def test_a_story_of_several_publishers_counts_once_and_the_first_wins():
    first = article(0.8, hours=3, source="finnhub")
    again = [article(-0.2, hours=hours, key=f"again{hours}") for hours in (2, 1, 0)]
    told = at(first, *again)
    assert told["score"] == pytest.approx(0.8)
    assert (told["articles"], told["stories"]) == (4, 1)


def test_the_same_wording_about_other_events_is_another_story():
    told = at(article(0.8, hours=1, events="guidance_up"), article(-0.8, events="guidance_down"))
    assert told["stories"] == 2


def test_the_same_story_after_three_days_is_news_again():
    assert at(article(0.8, hours=72), article(0.8))["stories"] == 1
    assert at(article(0.8, hours=72.1), article(0.8))["stories"] == 2


def test_a_story_about_two_symbols_counts_for_both():
    told = tone_of(rows(article(0.8), article(0.8, symbol="MSFT")), as_of=AS_OF)
    assert told["stories"].tolist() == [1, 1]


def test_an_article_without_a_finding_is_counted_and_not_averaged():
    told = at(article(0.8, hours=1), article(math.nan, confidence=0.0, story=1))
    assert told["score"] == pytest.approx(0.8)
    assert (told["articles"], told["stories"], told["silent"]) == (2, 1, 1)


def test_without_any_finding_there_is_no_score():
    told = at(article(math.nan, confidence=0.0))
    assert math.isnan(told["score"])
    assert math.isnan(told["confidence"])
    assert told["silent"] == 1


def test_a_symbol_without_news_has_no_score_and_no_zero():
    told = at(article(0.8), symbol="XOM")
    assert math.isnan(told["score"])
    assert told["articles"] == 0


def test_what_is_learned_later_does_not_count():
    told = at(article(0.8, hours=5), article(-0.9, hours=1, story=1, late=1.01))
    assert told["score"] == pytest.approx(0.8)
    assert told["articles"] == 1


def test_older_than_ten_half_lives_is_left_out():
    assert at(article(0.8, hours=240))["stories"] == 1
    assert at(article(0.8, hours=240.1))["stories"] == 0
    assert at(article(0.8, hours=240.1), half_life=pd.Timedelta(hours=48))["stories"] == 1


def test_a_moment_needs_a_timezone_and_a_half_life_a_length():
    with pytest.raises(ParameterError, match="timezone"):
        tone_of(rows(), as_of=AS_OF.tz_localize(None))
    with pytest.raises(ParameterError, match="half_life"):
        tone_of(rows(), as_of=AS_OF, half_life=pd.Timedelta(0))


def test_each_session_knows_what_was_learned_by_its_close():
    told = rows(
        article(0.8, hours=24 * 4),  # Friday 26 June, at the close
        article(-0.8, hours=20, story=1),  # Tuesday 00:00 UTC
        article(0.1, hours=30, story=2, late=29),  # Monday, learned Tuesday 19:00
    )
    made = daily(told, as_of=AS_OF)
    assert made["session"].dt.day.tolist() == [26, 29, 30]
    assert made["articles"].tolist() == [1, 1, 3]
    assert made["score"].iloc[1] == pytest.approx(0.8)
    assert made["confidence"].iloc[1] == pytest.approx(0.5 * 2**-3)
    whole = tone_of(told, "AAPL", as_of=AS_OF).loc["AAPL"]
    assert made["score"].iloc[2] == pytest.approx(whole["score"])


def test_a_session_that_is_not_closed_yet_is_not_there():
    made = daily(rows(article(0.8, hours=24 * 4)), as_of=AS_OF - pd.Timedelta(minutes=1))
    assert made["session"].max() == pd.Timestamp("2015-06-29")


def test_no_news_make_no_sessions():
    assert daily(rows(), as_of=AS_OF).empty


def test_distinct_keeps_every_article_and_marks_the_first():
    made = distinct(rows(article(0.2, hours=1, key="b"), article(0.1, hours=2, key="a")))
    assert made["key"].tolist() == ["a", "b"]
    assert made["first_told"].tolist() == [True, False]


articles = st.lists(
    st.builds(
        article,
        st.one_of(st.just(math.nan), st.floats(-1, 1)),
        hours=st.floats(0, 300),
        confidence=st.floats(0, 1),
        story=st.integers(0, 3),
        symbol=st.sampled_from(["AAPL", "MSFT"]),
        late=st.floats(0, 48),
    ),
    max_size=12,
    unique_by=lambda row: row["key"],
)


@settings(max_examples=40, deadline=None)
@given(articles, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_and_later_ones_are_not_seen(told, random):
    shuffled = random.sample(told, len(told))
    known = [row for row in shuffled if row["learned"] <= AS_OF]
    answers = [tone_of(rows(*part), ["AAPL", "MSFT"], as_of=AS_OF) for part in (told, shuffled, known)]
    pd.testing.assert_frame_equal(answers[0], answers[1], check_exact=True)
    pd.testing.assert_frame_equal(answers[0], answers[2], check_exact=True)
    score, sure = answers[0]["score"].to_numpy(), answers[0]["confidence"].to_numpy()
    assert np.all((np.abs(score) <= 1 + 1e-12) | np.isnan(score))
    assert np.all(((sure >= 0) & (sure <= 1)) | np.isnan(sure))


def test_the_half_life_is_what_it_is_called():
    young, old = at(article(0.8)), at(article(0.8, hours=HALF_LIFE / HOUR))
    assert old["confidence"] == pytest.approx(young["confidence"] / 2)
