"""What a stream has told is stored like any other source's answer, with both clocks, and read as of any moment."""

from __future__ import annotations

import datetime as dt

import msgpack
import numpy as np
import pandas as pd
import pytest

from workbench.data.facts import read_facts
from workbench.data.stream.article import Article
from workbench.data.stream.batch import batches_of
from workbench.data.stream.decode import Decoder
from workbench.data.stream.record import Recorder, rows_of_articles, rows_of_batch
from workbench.errors import ParameterError
from workbench.store.vintages import Vintages

DAY = pd.Timestamp("2024-03-05")


def new_york(text):
    return pd.Timestamp(f"2024-03-05 {text}", tz="America/New_York").tz_convert("UTC")


def batch(*messages, learned):
    """One batch of messages whose `t` is a wall-clock time in New York."""
    decoder = Decoder()
    sent = [m | {"t": msgpack.Timestamp.from_datetime(new_york(m["t"]).to_pydatetime())} for m in messages]
    rows = decoder.decode(msgpack.packb(sent), new_york(learned).value).rows
    found = batches_of(np.array(rows), decoder.symbols)
    assert len(found) == 1
    return found[0]


def bar(letter, symbol, at, close, **more):
    return {
        "T": letter,
        "S": symbol,
        "t": at,
        "o": close,
        "h": close + 1,
        "l": close - 1,
        "c": close,
        "v": 100.0,
    } | more


def test_trades_are_named_by_venue_and_number_and_learned_when_they_arrived():
    rows = rows_of_batch(
        batch({"T": "t", "S": "A", "t": "09:30:01.5", "p": 10.0, "s": 5, "i": 7, "x": "V"}, learned="09:30:02")
    )
    assert rows.to_dict("records") == [
        {
            "symbol": "A",
            "session": DAY,
            "time": new_york("09:30:01.5"),
            "key": "V:7",
            "price": 10.0,
            "size": 5.0,
            "venue": "V",
            "happened": new_york("09:30:01.5"),
            "learned": new_york("09:30:02"),
            "source": "stream",
        }
    ]


def test_quotes_of_an_evening_belong_to_its_day_in_new_york():
    rows = rows_of_batch(batch({"T": "q", "S": "A", "t": "19:59:00", "bp": 1.0, "ap": 2.0}, learned="20:00"))
    assert rows["session"].tolist() == [DAY]
    assert rows["bid_size"].isna().all()


def test_minute_bars_of_the_regular_session_happened_at_their_end():
    rows = rows_of_batch(
        batch(
            bar("b", "A", "09:29", 1.5),
            bar("b", "A", "09:30", 2.0),
            bar("b", "B", "15:59", 3.0),
            bar("b", "A", "16:00", 4.0),
            bar("b", "A", "09:30", 2.5),
            learned="16:00:30",
        )
    )
    assert rows[["symbol", "close"]].to_numpy().tolist() == [["A", 2.5], ["B", 3.0]]
    assert rows["happened"].tolist() == [new_york("09:31"), new_york("16:00")]
    assert rows["learned"].tolist() == [new_york("16:00:30")] * 2
    early = rows_of_batch(batch(bar("b", "A", "09:30", 2.0), learned="09:30:30"))
    assert early["learned"].tolist() == [new_york("09:31")]  # our clock is behind: nothing is known before it happened


def test_a_daily_bar_is_a_fact_when_the_day_is_over():
    running = batch(bar("d", "A", "00:00", 2.0), learned="15:59")
    assert len(rows_of_batch(running)) == 0
    rows = rows_of_batch(batch(bar("d", "A", "00:00", 2.0), learned="16:00:01"))
    assert rows[["session", "happened", "learned"]].iloc[0].tolist() == [DAY, new_york("16:00"), new_york("16:00:01")]


def test_an_article_is_a_row_for_each_of_its_symbols():
    article = Article(
        key="5",
        symbols=("A", "B"),
        headline="h",
        summary="",
        author="a",
        publisher="p",
        url="u",
        happened=new_york("10:05"),
        created=new_york("10:00"),
        learned=new_york("10:06"),
    )
    rows = rows_of_articles([article])
    assert rows["symbol"].tolist() == ["A", "B"]
    assert set(rows["time"]) == set(rows["happened"]) == {new_york("10:00")}
    assert set(rows["learned"]) == {new_york("10:06")}
    assert rows_of_articles([]).empty


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_recorder_stores_bars_and_their_updates_as_vintages(workspace):
    now = [new_york("09:31:00").to_pydatetime()]
    recorder = Recorder(workspace, seconds=60, clock=lambda: now[0])
    recorder(batch(bar("b", "A", "09:30", 2.0), bar("b", "B", "09:30", 5.0), learned="09:31:01"))
    assert recorder.new_rows == 0
    now[0] += dt.timedelta(seconds=61)
    recorder(batch(bar("u", "A", "09:30", 2.5), learned="09:31:30"))
    assert (recorder.new_rows, recorder.quarantined) == (3, 0)
    store = Vintages(workspace.vintages_url)

    def closes(at):
        rows = store.read("bars/1m/stream", ["A", "B"], start=DAY, end=DAY, as_of=new_york(at))
        return dict(zip(rows["symbol"], rows["close"], strict=True))

    assert closes("09:31:00") == {}
    assert closes("09:31:02") == {"A": 2.0, "B": 5.0}
    assert closes("09:32:00") == {"A": 2.5, "B": 5.0}
    recorder(batch(bar("b", "A", "09:30", 2.0), learned="09:31:01"))
    recorder.flush()
    recorder.flush()
    assert recorder.new_rows == 3  # what is stored already is no news


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_recorder_takes_in_news_and_trades_and_the_intake_keeps_back_what_cannot_be(workspace):
    recorder = Recorder(workspace, most=2, clock=lambda: new_york("10:00").to_pydatetime())
    good = {"T": "t", "S": "A", "t": "09:30:01", "p": 10.0, "s": 5, "x": "V"}
    recorder(batch(good | {"i": 7}, good, learned="09:30:02"))
    assert (recorder.new_rows, recorder.quarantined) == (1, 1)
    rows = read_facts(workspace, "trades", "stream", ["A"], start=DAY, end=DAY, as_of=new_york("12:00"))
    assert rows["key"].tolist() == ["V:7"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rows_wait_while_the_store_cannot_be_written_but_not_without_a_bound(workspace, monkeypatch):
    recorder = Recorder(workspace, most=2, clock=lambda: new_york("10:00").to_pydatetime())

    def locked(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr("workbench.data.intake.take_in", locked)
    for minute in range(30, 44):
        one = batch(bar("b", "A", f"09:{minute}", 2.0), learned="09:50")
        if minute == 30:
            recorder(one)
        else:
            with pytest.raises(OSError, match="full"):
                recorder(one)
    assert recorder.lost == 14 - 8
    monkeypatch.undo()
    recorder.flush()
    assert recorder.new_rows == 8


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_recorder_needs_a_bound(workspace):
    with pytest.raises(ParameterError, match="most"):
        Recorder(workspace, most=0)
