"""The figure of a universe: a line per stay, why one entered and left, how many were in."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import pytest

from workbench.data import universe
from workbench.errors import NoData
from workbench.report import figures


def stay(symbol, start, end, *, still=False, why="rank 1 of 3", left="rank 9 of 9"):
    moments = [pd.Timestamp(text, tz="UTC") for text in (start, end)]
    return (symbol, *moments, still, why, None if still else left)


def picture(*stays):
    return pd.DataFrame(list(stays), columns=["symbol", "start", "end", "open", "reason", "left_reason"])


def test_lines_markers_reasons_and_the_count():
    figure = figures.membership(
        picture(
            stay("AAA", "2015-01-02", "2015-12-31", still=True),
            stay("BBB", "2015-01-02", "2015-06-01", left="<b>fell</b>"),
            stay("BBB", "2015-09-01", "2015-12-31", still=True),
        ),
        label="liquid: the most traded",
    )
    assert type(figure) is go.Figure
    count, lines, enters, leaves = figure.data
    assert list(count.y) == [2, 1, 2, 2]
    assert list(count.x) == ["2015-01-02", "2015-06-01", "2015-09-01", "2015-12-31"]
    assert list(lines.x[:3]) == ["2015-01-02", "2015-12-31", None]
    assert list(lines.y) == ["AAA", "AAA", None, "BBB", "BBB", None, "BBB", "BBB", None]
    assert len(enters.x) == 3
    assert list(leaves.x) == ["2015-06-01"]
    assert leaves.customdata[0][0] == "&lt;b&gt;fell&lt;/b&gt;"
    assert figure.layout.meta["text"] == "members: 2 symbols, 3 stays, 2 in at the end"
    assert figure.layout.annotations[-1].text == "liquid: the most traded"
    assert figure.layout.yaxis.title.text == "members"


def test_many_symbols_stay_small_and_say_that_some_are_not_drawn():
    stays = [stay(f"S{number:03d}", "2010-01-04", "2015-06-30", still=number % 2 == 0) for number in range(500)]
    figure = figures.membership(picture(*stays), label="SYNTHETIC · x")
    assert len(figure.to_json()) < 300_000
    assert "60 of 500 symbols" in figure.layout.title.text
    assert figure.data[0].y[0] == 500
    assert any(note.text == "SYNTHETIC" for note in figure.layout.annotations)


def test_nobody_is_an_answer_and_another_frame_is_refused():
    assert figures.membership(picture(), label="x").layout.meta["text"] == "members: none"
    with pytest.raises(NoData, match="lacks end, left_reason, open, reason, start"):
        figures.membership(pd.DataFrame({"symbol": ["A"]}), label="x")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_draws_what_a_universe_says(workspace):
    universe.define(workspace, "tech", ["AAPL", "AMD"], entered="2013-01-02", reason="start")
    universe.leave(workspace, "tech", "AMD", left="2014-01-02", reason="too small")
    figure = figures.membership(universe.picture(workspace, "tech"), label="tech")
    assert figure.layout.meta["text"] == "members: 2 symbols, 2 stays, 1 in at the end"
