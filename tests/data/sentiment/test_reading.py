"""News becomes sentiment: one row each, with its story and method, never learned before its article."""

import math

import pandas as pd
import pytest

from workbench.data.kinds import kind_of
from workbench.data.sentiment import METHOD, Tone, read_news
from workbench.errors import ParameterError
from workbench.store.vintages import Vintages

PUBLISHED = pd.Timestamp("2015-06-30T14:05", tz="UTC")
LEARNED = PUBLISHED + pd.Timedelta(minutes=2)


def news(*headlines, learned=LEARNED):
    return kind_of("news").typed(
        pd.DataFrame(
            {
                "symbol": "AAPL",
                "session": pd.Timestamp("2015-06-30"),
                "time": PUBLISHED,
                "key": [f"n{number}" for number in range(len(headlines))],
                "headline": list(headlines),
                "happened": PUBLISHED,
                "learned": learned,
                "source": "alpaca",
            }
        )
    )


def test_every_article_becomes_a_row_of_the_kind():
    made = read_news(news("Apple beats estimates", "A look inside", "Apple cuts outlook"))
    assert tuple(made.columns) == kind_of("sentiment").columns
    assert made["key"].tolist() == ["n0", "n1", "n2"]
    assert made["events"].tolist() == ["earnings_beat", "", "guidance_down"]
    assert made["score"].iloc[0] > 0 > made["score"].iloc[2]
    assert math.isnan(made["score"].iloc[1])
    assert made["confidence"].iloc[1] == 0
    assert made["words"].iloc[0] == "beats estimates +2.70"
    assert (made["method"] == METHOD).all()
    assert (made["learned"] == LEARNED).all()
    assert (made["happened"] == PUBLISHED).all()


def test_no_news_are_no_rows():
    assert read_news(kind_of("news").empty()).empty


def test_a_later_reading_is_learned_later_and_never_before_the_article():
    late = LEARNED + pd.Timedelta(days=400)
    assert (read_news(news("Apple beats estimates"), read_at=late)["learned"] == late).all()
    early = LEARNED - pd.Timedelta(days=400)
    assert (read_news(news("Apple beats estimates"), read_at=early)["learned"] == LEARNED).all()


def test_a_reading_by_another_method_is_another_vintage(tmp_path):
    class Contrary:
        method = "contrary-1"

        def read(self, headline, summary=""):
            return Tone(-0.5, 1.0)

    store = Vintages(str(tmp_path))
    rows, later = news("Apple beats estimates"), LEARNED + pd.Timedelta(days=1)
    store.append("sentiment/alpaca", read_news(rows))
    store.append("sentiment/alpaca", read_news(rows, reader=Contrary(), read_at=later))
    day = {"start": pd.Timestamp("2015-06-30"), "end": pd.Timestamp("2015-06-30")}
    first = store.read("sentiment/alpaca", ["AAPL"], as_of=LEARNED, **day)
    second = store.read("sentiment/alpaca", ["AAPL"], as_of=later, **day)
    assert first["method"].tolist() == [METHOD]
    assert second["method"].tolist() == ["contrary-1"]


def test_reading_again_changes_nothing(tmp_path):
    store = Vintages(str(tmp_path))
    made = read_news(news("Apple beats estimates", "A look inside"))
    assert store.append("sentiment/alpaca", made) == 2
    assert store.append("sentiment/alpaca", read_news(news("Apple beats estimates", "A look inside"))) == 0


def test_what_is_no_news_is_refused():
    with pytest.raises(ParameterError, match="headline"):
        read_news(pd.DataFrame({"symbol": ["AAPL"]}))
    with pytest.raises(ParameterError, match="timezone"):
        read_news(news("x"), read_at=pd.Timestamp("2015-06-30"))
