"""Compaction: fewer, sorted parts; the same answers at every moment, whoever dies, reads or writes meanwhile."""

import contextlib
import itertools
import json
import logging
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.store.failing import failing_at
from workbench.errors import StoreError
from workbench.store import compaction
from workbench.store.facts import fingerprint
from workbench.store.part_name import parse
from workbench.store.vintages import Vintages

BROKEN = OSError(5, "Input/output error")
DAYS = pd.bdate_range("2013-12-30", periods=6).as_unit("us")  # two years
MOMENTS = pd.date_range("2016-01-01", periods=3, freq="7D", tz="UTC").as_unit("us")
SYMBOLS = tuple(f"S{number:02d}" for number in range(3))
NOW = pd.Timestamp("2020-01-01", tz="UTC")
AT_ONCE, HOUR = pd.Timedelta(0), pd.Timedelta(hours=1)


def news(seed, *, learned, symbols=SYMBOLS):
    """Two facts a session, with prices that are sometimes missing and words."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(list(itertools.product(symbols, DAYS, ("a", "b"))), columns=["symbol", "session", "key"])
    rows["session"] = rows["session"].astype("datetime64[us]")
    return rows.assign(
        close=rng.choice([1.0, 2.0, np.nan], len(rows)),
        headline=rng.choice(np.array(["up", "down", None], dtype=object), len(rows)),
        happened=rows["session"].dt.tz_localize("UTC"),
        learned=learned,
    )


def filled(vintages, *, dataset="news/x"):
    """Many small parts with several vintages of each fact; the answers at every moment."""
    for number, learned in enumerate(MOMENTS):
        for symbol in SYMBOLS:
            vintages.append(dataset, news(number, learned=learned, symbols=(symbol,)))
    return answers(vintages, dataset=dataset)


def answers(vintages, *, dataset="news/x", symbols=SYMBOLS):
    """What every question is answered with, at, before and after every moment of learning."""
    moments = [*MOMENTS, MOMENTS[0] - pd.Timedelta(1, unit="us"), MOMENTS[-1] + pd.Timedelta(days=9999)]
    questions = [(symbols, DAYS[0], DAYS[-1]), (symbols[:1], DAYS[3], DAYS[3])]
    return [
        fingerprint(vintages.read(dataset, asked, start=start, end=end, as_of=moment))
        for moment in moments
        for asked, start, end in questions
    ]


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of a few rows, so that a test needs few rows to see them cut."""
    monkeypatch.setattr(compaction, "PART_ROWS", 24)
    monkeypatch.setattr(compaction, "SMALL_ROWS", 24)
    monkeypatch.setattr(compaction, "MERGE_ROWS", 1000)


def test_no_answer_changes_and_few_parts_are_left(vintages):
    before = filled(vintages)
    assert len(vintages.files("news/x")) == 9
    done = vintages.compact("news/x", grace=AT_ONCE)
    assert (done.merged, done.written, done.removed, done.waiting, done.parts) == (9, 1, 9, 0, 1)
    assert answers(vintages) == before
    assert len(vintages.files("news/x")) == 1


def test_every_vintage_stays(tmp_path):
    vintages = Vintages(str(tmp_path))
    filled(vintages)
    before = pd.concat([pq.read_table(path).to_pandas() for path in vintages.files("news/x")])
    done = vintages.compact("news/x")
    after = pd.concat([pq.read_table(path).to_pandas() for path in vintages.files("news/x")])
    order = ["symbol", "session", "key", "learned"]
    pd.testing.assert_frame_equal(
        before.sort_values(order).reset_index(drop=True), after.sort_values(order).reset_index(drop=True)
    )
    assert done.rows == len(before)


def test_compacting_twice_changes_nothing(vintages):
    filled(vintages)
    vintages.compact("news/x", grace=AT_ONCE)
    files = vintages.files("news/x")
    again = vintages.compact("news/x", grace=AT_ONCE)
    assert (again.merged, again.written, again.removed) == (0, 0, 0)
    assert vintages.files("news/x") == files
    assert vintages.compact("nothing/here").parts == 0


def test_appending_goes_on_after_a_compaction(vintages):
    filled(vintages)
    vintages.compact("news/x")
    assert vintages.append("news/x", news(2, learned=MOMENTS[2], symbols=SYMBOLS[:1])) == 0
    assert vintages.append("news/x", news(9, learned=MOMENTS[2] + HOUR)) > 0
    before = answers(vintages)
    vintages.compact("news/x")
    assert answers(vintages) == before


@pytest.mark.usefixtures("small_parts")
def test_merged_parts_are_cut_by_years_and_symbols(tmp_path):
    vintages = Vintages(str(tmp_path))
    before = filled(vintages)
    vintages.compact("news/x", grace=AT_ONCE)
    assert answers(vintages) == before
    for path in vintages.files("news/x"):
        rows = pq.read_table(path).to_pandas()
        said = parse(Path(path).name)
        assert len(rows) == said.rows <= 24
        assert len(set(rows["session"].dt.year)) == 1
        assert rows["symbol"].is_monotonic_increasing
        assert said.first == f"{rows['session'].min():%Y%m%d}"
        assert said.last == f"{rows['session'].max():%Y%m%d}"
    files = vintages.files("news/x")
    assert vintages.compact("news/x", grace=AT_ONCE).merged == 0
    assert vintages.files("news/x") == files


@pytest.mark.usefixtures("small_parts")
def test_a_symbol_that_fills_several_parts_is_cut_too(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "PART_ROWS", 5)
    vintages = Vintages(str(tmp_path))
    for number, learned in enumerate(MOMENTS):
        rows = news(number, learned=learned)
        for _, of_one in rows.groupby(["symbol", "session"]):
            vintages.append("news/x", of_one)
    before = answers(vintages)
    vintages.compact("news/x", grace=AT_ONCE)
    assert max(parse(Path(path).name).rows for path in vintages.files("news/x")) == 5
    assert answers(vintages) == before


def test_large_parts_are_left_as_they_are(tmp_path, monkeypatch):
    vintages = Vintages(str(tmp_path))
    vintages.append("news/x", news(0, learned=MOMENTS[0]))
    large = vintages.files("news/x")[0]
    monkeypatch.setattr(compaction, "SMALL_ROWS", 30)
    for number in (1, 2):
        vintages.append("news/x", news(number, learned=MOMENTS[number], symbols=SYMBOLS[:2]))
    before = answers(vintages)
    assert vintages.compact("news/x").merged == 2
    assert large in vintages.files("news/x")
    assert answers(vintages) == before


def test_replaced_parts_stay_for_a_grace(tmp_path):
    now = [NOW]
    vintages = Vintages(str(tmp_path), wall=lambda: now[0])
    before = filled(vintages)
    done = vintages.compact("news/x", grace=HOUR)
    assert (done.removed, done.waiting, done.parts) == (0, 9, 1)
    assert len(list((tmp_path / "news/x").iterdir())) == 11
    now[0] += pd.Timedelta(minutes=59)
    assert vintages.compact("news/x", grace=HOUR).removed == 0
    now[0] += pd.Timedelta(minutes=1)
    assert vintages.compact("news/x", grace=HOUR).removed == 9
    assert len(list((tmp_path / "news/x").iterdir())) == 1
    assert answers(vintages) == before


def test_a_store_that_lives_in_a_rehearsed_past_leaves_readers_their_grace(tmp_path):
    vintages = Vintages(str(tmp_path), clock=lambda: pd.Timestamp("2015-06-30", tz="UTC"))
    filled(vintages)
    vintages.compact("news/x", grace=HOUR)
    assert Vintages(str(tmp_path)).compact("news/x", grace=HOUR).waiting == 9


def test_a_reader_that_listed_before_a_compaction_lists_again(vintages):
    before = filled(vintages)
    listed = [vintages._parts.of("news/x")]
    listing = vintages._parts.of
    vintages.compact("news/x", grace=AT_ONCE)
    with patch.object(vintages._parts, "of", lambda dataset: listed.pop() if listed else listing(dataset)):
        assert answers(vintages) == before
    assert listed == []


def test_a_reader_does_not_follow_for_ever(vintages):
    filled(vintages)
    stale = vintages._parts.of("news/x")
    vintages.compact("news/x", grace=AT_ONCE)
    reader = Vintages(vintages.url, options=vintages._place._options)  # one that has decoded nothing of them yet
    with (
        patch.object(reader._parts, "of", lambda _: stale),
        pytest.raises(StoreError, match="replaced faster than they can be read"),
    ):
        answers(reader)


@pytest.mark.parametrize("place", ["folder", "memory"], indirect=True)
@pytest.mark.parametrize("step", range(24))
def test_a_compaction_may_fail_at_every_step(vintages, step):
    before = filled(vintages)
    with failing_at(vintages, step, BROKEN), contextlib.suppress(OSError):
        vintages.compact("news/x", grace=AT_ONCE)
    assert answers(Vintages(vintages.url)) == before
    for _ in range(2):
        vintages.compact("news/x", grace=AT_ONCE)
    assert answers(vintages) == before
    assert len(vintages._place.names("news/x")) == 1


def test_the_steps_of_a_compaction_are_fewer_than_are_tried(tmp_path):
    vintages = Vintages(str(tmp_path))
    filled(vintages)
    with failing_at(vintages, 24, BROKEN):
        vintages.compact("news/x", grace=AT_ONCE)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
@pytest.mark.parametrize("step", [1, 3, 7])
def test_a_compaction_in_an_object_store_may_fail(vintages, step):
    before = filled(vintages)
    with failing_at(vintages, step, BROKEN), pytest.raises(OSError, match="Input/output"):
        vintages.compact("news/x", grace=AT_ONCE)
    assert answers(vintages) == before
    for _ in range(2):
        vintages.compact("news/x", grace=AT_ONCE)
    assert answers(vintages) == before
    assert len(vintages._place.names("news/x")) == 1


def test_two_compactors_with_the_same_parts_write_the_same_part(vintages):
    before = filled(vintages)
    batch = list(vintages._parts.of("news/x").live)
    for _ in range(2):
        vintages._compaction._merge("news/x", batch)
    assert len(vintages.files("news/x")) == 1
    assert answers(vintages) == before


def test_two_compactors_with_different_parts_lose_nothing(vintages):
    filled(vintages)
    older = list(vintages._parts.of("news/x").live)
    vintages.append("news/x", news(9, learned=MOMENTS[2] + HOUR))
    before = answers(vintages)
    vintages._compaction._merge("news/x", list(vintages._parts.of("news/x").live))
    vintages._compaction._merge("news/x", older)  # it listed before, and is slower
    assert answers(vintages) == before
    assert len(vintages.files("news/x")) == 2  # the same rows lie in both; nobody sees them twice
    vintages.compact("news/x", grace=AT_ONCE)
    assert answers(vintages) == before
    assert len(vintages._place.names("news/x")) == 1


def test_a_slow_compactor_brings_nothing_back_to_life(vintages):
    filled(vintages)
    older = list(vintages._parts.of("news/x").live)
    kept = {name: vintages._place.read(f"news/x/{name}") for name in older}
    vintages.append("news/x", news(9, learned=MOMENTS[2] + HOUR))
    before = answers(vintages)
    vintages.compact("news/x", grace=AT_ONCE)
    for name, content in kept.items():
        vintages._place.write(f"news/x/{name}", content)
    vintages._compaction._merge("news/x", older)
    assert answers(vintages) == before


def test_a_note_counts_only_while_its_parts_are_there(tmp_path):
    vintages = Vintages(str(tmp_path))
    before = filled(vintages)
    vintages.compact("news/x")
    Path(vintages.files("news/x")[0]).unlink()  # somebody took the merged part away
    assert answers(vintages) == before
    assert len(vintages.files("news/x")) == 9


def test_a_damaged_note_is_named(tmp_path):
    vintages = Vintages(str(tmp_path))
    filled(vintages)
    vintages.compact("news/x")
    note = next((tmp_path / "news/x").glob("merged-*.json"))
    note.write_text(json.dumps({"replaces": []}))
    with pytest.raises(StoreError, match=rf"(?s){note.name} is damaged.*remove the note"):
        answers(Vintages(str(tmp_path)))


def test_parts_with_other_columns_are_merged_and_every_answer_has_them_all(vintages):
    days = DAYS[:1]
    first = news(0, learned=MOMENTS[0])
    vintages.append("news/x", first[first["session"] == days[0]])
    later = news(1, learned=MOMENTS[1])
    vintages.append("news/x", later[later["session"] != days[0]].assign(volume=1.0, empty=None))
    question = {"start": days[0], "end": days[0], "as_of": MOMENTS[-1]}
    before = vintages.read("news/x", SYMBOLS, **question)  # from a part that knows of no volume
    assert before["volume"].isna().all()
    everything = answers(vintages)
    assert vintages.compact("news/x", grace=AT_ONCE).written == 1
    pd.testing.assert_frame_equal(vintages.read("news/x", SYMBOLS, **question), before, check_like=True)
    assert answers(vintages) == everything


def test_columns_of_different_types_are_refused(tmp_path):
    vintages = Vintages(str(tmp_path))
    vintages.append("news/x", news(0, learned=MOMENTS[0], symbols=("A",)))
    wrong = news(0, learned=MOMENTS[0], symbols=("B",)).assign(close="high")
    files = vintages.files("news/x")
    with pytest.raises(StoreError, match=r"close has incompatible types.*nothing was done"):
        vintages.append("news/x", wrong)
    assert vintages.files("news/x") == files
    with patch("workbench.store.vintages.together"):  # another appender wrote before this one looked
        vintages._stored = lambda *_: (None, 0)
        vintages.append("news/x", wrong)
    files = vintages.files("news/x")
    assert len(files) == 2
    with pytest.raises(StoreError, match=r"close has incompatible types.*nothing was done"):
        vintages.compact("news/x")
    assert vintages.files("news/x") == files


def test_an_append_merges_what_lies_loose(place):
    url, options = place
    vintages = Vintages(url, options=options, loose=4)
    parts: list[int] = []
    for number in range(20):
        symbols = (f"T{number:02d}",)
        assert not vintages.needs_compaction("news/x")
        vintages.append("news/x", news(number, learned=MOMENTS[0], symbols=symbols))
        parts.append(len(vintages.files("news/x")))
    assert max(parts) <= 8
    everything = tuple(f"T{number:02d}" for number in range(20))
    rows = vintages.read("news/x", everything, start=DAYS[0], end=DAYS[-1], as_of=MOMENTS[0])
    assert len(rows) == 20 * len(DAYS) * 2
    assert all(
        fingerprint(rows[rows["symbol"] == symbol])
        == fingerprint(news(number, learned=MOMENTS[0], symbols=(symbol,)).reindex(columns=rows.columns))
        for number, symbol in enumerate(everything)
    )


def test_appending_for_long_rewrites_a_row_a_few_times_only(tmp_path):
    vintages = Vintages(str(tmp_path), loose=4)
    written = []
    write = vintages._place.write

    def counted(path, content):
        said = parse(path.rsplit("/", 1)[-1])
        written.append(said.rows if said else 0)
        write(path, content)

    with patch.object(vintages._place, "write", counted):
        for number in range(64):
            vintages.append("news/x", news(number, learned=MOMENTS[0], symbols=(f"T{number:02d}",)))
    assert sum(written) / (64 * len(DAYS) * 2) < 1 + np.log2(64)


def test_large_files_of_before_are_merged_a_few_at_a_time(tmp_path, monkeypatch):
    (tmp_path / "news/x").mkdir(parents=True)
    for number, learned in enumerate(MOMENTS):
        news(number, learned=learned).to_parquet(tmp_path / f"news/x/{number:064x}.parquet")
    monkeypatch.setattr(compaction, "MERGE_ROWS", 40)
    vintages = Vintages(str(tmp_path))
    before = answers(vintages)
    merged = []
    merge = vintages._compaction._merge
    monkeypatch.setattr(vintages._compaction, "_merge", lambda *job: merged.append(len(job[1])) or merge(*job))
    vintages.compact("news/x", grace=AT_ONCE)
    assert max(merged) == 2
    assert answers(vintages) == before


def test_needs_compaction_counts_what_lies_loose(tmp_path):
    vintages = Vintages(str(tmp_path), loose=1000)
    filled(vintages)
    assert not Vintages(str(tmp_path), loose=10).needs_compaction("news/x")
    assert Vintages(str(tmp_path), loose=9).needs_compaction("news/x")
    vintages.compact("news/x")
    assert not Vintages(str(tmp_path), loose=2).needs_compaction("news/x")
    assert not vintages.needs_compaction("nothing/here")


def test_an_append_is_not_failed_by_its_compaction(tmp_path, caplog):
    vintages = Vintages(str(tmp_path), loose=2)
    vintages.append("news/x", news(0, learned=MOMENTS[0]))
    with failing_at(vintages, 2, BROKEN), caplog.at_level(logging.WARNING, "workbench.store.vintages"):
        assert vintages.append("news/x", news(1, learned=MOMENTS[1])) > 0
    assert "Input/output error" in caplog.text
    assert vintages.append("news/x", news(1, learned=MOMENTS[1])) == 0


def test_readers_and_appenders_and_compactors_at_once(tmp_path):  # noqa: C901 - each thread is a few lines
    rounds, appenders = 12, ("A0", "A1", "A2")
    done, errors = threading.Event(), []

    def append(symbol):
        vintages = Vintages(str(tmp_path), loose=5)
        for step in range(rounds):
            rows = news(step, learned=MOMENTS[0] + step * HOUR, symbols=(symbol,)).assign(close=float(step))
            vintages.append("news/x", rows)
            assert closes(vintages, symbol) == {float(step)}

    def compact():
        while not done.is_set():
            Vintages(str(tmp_path)).compact("news/x", grace=AT_ONCE)

    def read():
        vintages, known = Vintages(str(tmp_path)), dict.fromkeys(appenders, -1.0)
        while not done.is_set():
            for symbol in appenders:
                newest = max(closes(vintages, symbol), default=-1.0)
                assert newest >= known[symbol]  # what was seen once stays
                known[symbol] = newest

    def closes(vintages, symbol, as_of=NOW):
        rows = vintages.read("news/x", symbol, start=DAYS[0], end=DAYS[-1], as_of=as_of)
        assert len(rows) in {0, len(DAYS) * 2}
        return set(rows["close"]) if len(rows) else set()

    def guarded(act, *arguments):
        try:
            act(*arguments)
        except Exception as error:  # noqa: BLE001 - any failure at all is the finding
            errors.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(append, symbol)) for symbol in appenders]
    others = [threading.Thread(target=guarded, args=(act,)) for act in (compact, read)]
    for thread in [*threads, *others]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    assert errors == []
    vintages = Vintages(str(tmp_path))
    vintages.compact("news/x", grace=AT_ONCE)
    for symbol, step in itertools.product(appenders, range(rounds)):
        assert closes(vintages, symbol, MOMENTS[0] + step * HOUR) == {float(step)}
