"""What was decoded lately: never more than it may hold, never another content, and an answer is the same with it."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.store.decoded import Decoded
from workbench.store.place import Stamp
from workbench.store.vintages import Vintages

ONE, OTHER = Stamp(1, "a"), Stamp(1, "b")
TABLE = pa.table({"close": pa.array([1.0] * 100)})  # 800 bytes


def name(number, stamp=ONE):
    return ("bars/1d/part.parquet", stamp, number, ("close",))


def test_the_oldest_makes_room_and_what_was_asked_for_is_young_again():
    decoded = Decoded(most=3500)
    for number in range(4):
        decoded.keep(name(number), TABLE)
    assert decoded.get(name(0)) is not None
    decoded.keep(name(4), TABLE)
    assert [number for number in range(5) if decoded.get(name(number)) is not None] == [0, 2, 3, 4]


def test_keeping_the_same_again_takes_no_more_room():
    decoded = Decoded(most=3500)
    for _ in range(50):
        decoded.keep(name(0), TABLE)
    for number in range(1, 4):
        decoded.keep(name(number), TABLE)
    assert all(decoded.get(name(number)) is not None for number in range(4))


def test_a_table_that_would_push_out_most_others_is_not_kept():
    decoded = Decoded(most=3000)
    decoded.keep(name(0), TABLE)
    assert decoded.get(name(0)) is None


def test_another_content_under_the_same_name_is_another_group():
    decoded = Decoded()
    decoded.keep(name(0), TABLE)
    assert decoded.get(name(0, OTHER)) is None


def test_groups_that_were_read_together_are_found_one_by_one():
    decoded = Decoded()
    table = pa.table({"close": [1.0, 2.0, 3.0]})
    decoded.keep_groups("part", ONE, {7: 1, 9: 2}, table)
    found = decoded.groups("part", ONE, ["close"], [7, 8, 9])
    assert {number: of["close"].to_pylist() for number, of in found.items()} == {7: [1.0], 9: [2.0, 3.0]}
    assert decoded.groups("part", ONE, ["open"], [7, 9]) == {}


def test_a_second_question_decodes_only_the_groups_that_the_first_did_not(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.store.part_file.GROUP_ROWS", 3)
    days = pd.DatetimeIndex(["2015-01-02", "2015-01-05"], dtype="datetime64[us]")
    happened = days.tz_localize("UTC") + pd.Timedelta(hours=21)
    rows = [
        pd.DataFrame(
            {"symbol": f"S{n:02d}", "session": days, "happened": happened, "learned": happened, "close": n + 0.5}
        )
        for n in range(40)
    ]
    Vintages(str(tmp_path)).append("bars/1d", pd.concat(rows))
    vintages, decoded = Vintages(str(tmp_path)), []
    read_groups = pq.ParquetFile.read_row_groups

    def counted(parquet, numbers, **options):
        decoded.append(list(numbers))
        return read_groups(parquet, numbers, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    question = {"start": days[0], "end": days[1]}

    def closes(symbol, as_of="2015-02-01"):
        found = vintages.read("bars/1d", symbol, as_of=pd.Timestamp(as_of, tz="UTC"), **question)
        return found["close"].tolist()

    assert closes("S01") == [1.5, 1.5]
    assert decoded == [[0, 1]]
    assert closes("S00") == [0.5, 0.5]
    assert closes("S01", "2015-01-03") == [1.5]
    assert closes("S01") == [1.5, 1.5]
    assert decoded == [[0, 1]]
    assert closes("S02") == [2.5, 2.5]
    assert closes("S03") == [3.5, 3.5]
    assert decoded == [[0, 1], [2]]
