import itertools
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench import sessions
from workbench.errors import StoreError
from workbench.store.part_file import PartFiles
from workbench.store.vintages import Vintages, fingerprint

DAYS = pd.DatetimeIndex(["2015-06-29", "2015-06-30", "2015-07-01"])
FAR = pd.Timestamp("2030-01-01", tz="UTC")


def utc(text):
    return pd.Timestamp(text, tz="UTC")


def bars(closes, *, symbol="AAPL", days=DAYS, learned=None):
    closes_at = pd.DatetimeIndex(days).tz_localize("UTC") + pd.Timedelta(hours=20)
    return pd.DataFrame(
        {
            "symbol": symbol,
            "session": pd.DatetimeIndex(days),
            "close": np.asarray(closes, dtype=float),
            "happened": closes_at,
            "learned": closes_at if learned is None else utc(learned),
        }
    )


def read(vintages, as_of=FAR, *, symbols=("AAPL",), start=DAYS[0], end=DAYS[-1], dataset="bars/1d"):
    return vintages.read(dataset, symbols, start=start, end=end, as_of=as_of)


def test_what_was_appended_is_read(vintages):
    assert vintages.append("bars/1d", bars([1.0, 2.0, np.nan])) == 3
    rows = read(vintages)
    assert rows["close"].tolist()[:2] == [1.0, 2.0]
    assert np.isnan(rows["close"].iloc[2])
    assert rows["session"].tolist() == list(DAYS)
    assert str(rows["learned"].dtype) == "datetime64[us, UTC]"


def test_identical_rows_are_not_written_again(vintages):
    vintages.append("bars/1d", bars([1.0, 2.0, np.nan]))
    files = vintages.files("bars/1d")
    assert vintages.append("bars/1d", bars([1.0, 2.0, np.nan])) == 0
    assert vintages.append("bars/1d", bars([1.0, 2.0, np.nan], learned="2016-01-01")) == 0
    assert vintages.files("bars/1d") == files


def test_a_revision_is_a_new_vintage_and_the_old_answer_stays(vintages):
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    assert vintages.append("bars/1d", bars([1.0, 2.5, 3.0], learned="2016-01-01")) == 1
    assert read(vintages)["close"].tolist() == [1.0, 2.5, 3.0]
    assert read(vintages, utc("2015-12-31"))["close"].tolist() == [1.0, 2.0, 3.0]
    assert read(vintages, utc("2016-01-01"))["close"].tolist() == [1.0, 2.5, 3.0]


def test_a_row_is_not_seen_before_it_was_learned(vintages):
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    evening = utc("2015-06-30T20:00")
    assert read(vintages, evening)["close"].tolist() == [1.0, 2.0]
    assert read(vintages, evening - pd.Timedelta(1, unit="us"))["close"].tolist() == [1.0]


def test_an_older_vintage_that_arrives_late_does_not_hide_the_newer_one(vintages):
    vintages.append("bars/1d", bars([3.0], days=DAYS[:1], learned="2016-03-01"))
    assert vintages.append("bars/1d", bars([1.0], days=DAYS[:1], learned="2016-01-01")) == 1
    assert read(vintages)["close"].tolist() == [3.0]
    assert read(vintages, utc("2016-02-01"))["close"].tolist() == [1.0]


def test_a_value_that_changes_and_changes_back_has_three_vintages(vintages):
    for close, learned in ((1.0, "2016-01-01"), (2.0, "2016-02-01"), (1.0, "2016-03-01")):
        assert vintages.append("bars/1d", bars([close], days=DAYS[:1], learned=learned)) == 1
    seen = [read(vintages, utc(f"2016-0{month}-15"))["close"].tolist() for month in (1, 2, 3)]
    assert seen == [[1.0], [2.0], [1.0]]


def test_a_source_that_rewrites_the_past_is_recorded_as_learned_now(tmp_path):
    now = utc("2020-01-01")
    vintages = Vintages(str(tmp_path), clock=lambda: now)
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    assert vintages.append("bars/1d", bars([1.0, 9.0, 3.0])) == 1
    assert read(vintages, utc("2019-12-31"))["close"].tolist() == [1.0, 2.0, 3.0]
    assert read(vintages, now)["close"].tolist() == [1.0, 9.0, 3.0]
    assert vintages.append("bars/1d", bars([1.0, 9.0, 3.0])) == 0
    assert vintages.append("bars/1d", bars([1.0, 8.0, 3.0])) == 1
    assert read(vintages)["close"].tolist() == [1.0, 8.0, 3.0]


def test_a_rewritten_past_does_not_hide_a_newer_vintage_of_the_same_batch(tmp_path):
    vintages = Vintages(str(tmp_path), clock=lambda: utc("2020-01-01"))
    vintages.append("bars/1d", bars([1.0], days=DAYS[:1], learned="2016-01-01"))
    batch = pd.concat(
        [bars([7.0], days=DAYS[:1], learned="2016-01-01"), bars([3.0], days=DAYS[:1], learned="2016-02-01")]
    )
    assert vintages.append("bars/1d", batch) == 1
    assert read(vintages)["close"].tolist() == [3.0]
    assert vintages.append("bars/1d", batch) == 0


def test_two_answers_for_one_moment_in_one_batch_are_refused(vintages):
    with pytest.raises(StoreError, match="different values for AAPL in session 2015-06-29"):
        vintages.append("bars/1d", pd.concat([bars([1.0, 2.0, 3.0]), bars([1.5], days=DAYS[:1])]))
    assert vintages.files("bars/1d") == []


def test_only_what_was_asked_for_is_read(vintages):
    vintages.append("bars/1d", pd.concat([bars([1.0, 2.0, 3.0]), bars([4.0, 5.0, 6.0], symbol="MSFT")]))
    vintages.append("bars/5m", bars([7.0, 8.0, 9.0]))
    assert read(vintages, symbols=("MSFT",), start=DAYS[1], end=DAYS[1])["close"].tolist() == [5.0]
    both = read(vintages, symbols=("MSFT", "AAPL"))
    assert both["symbol"].tolist() == ["AAPL"] * 3 + ["MSFT"] * 3
    assert read(vintages, symbols=("XOM",)).empty
    assert read(vintages, dataset="nothing/here").empty


def test_facts_within_a_session_are_told_apart_by_time(vintages):
    rows = pd.concat([bars([1.0, 2.0, 3.0]), bars([4.0, 5.0, 6.0])]).assign(
        time=lambda frame: frame["happened"] - pd.to_timedelta([5, 5, 5, 10, 10, 10], unit="min")
    )
    assert vintages.append("bars/5m", rows) == 6
    assert read(vintages, dataset="bars/5m")["close"].tolist() == [4.0, 1.0, 5.0, 2.0, 6.0, 3.0]
    assert vintages.append("bars/5m", rows) == 0


def test_words_are_values_too(vintages):
    news = bars([0.1, 0.2, 0.3]).assign(headline=["a", "b", None])
    assert vintages.append("news/x", news) == 3
    assert vintages.append("news/x", news) == 0
    assert vintages.append("news/x", news.assign(headline=["a", "B", None], learned=utc("2016-01-01"))) == 1
    assert read(vintages, dataset="news/x")["headline"].iloc[1] == "B"


def test_a_column_that_comes_later_is_missing_in_the_older_rows(vintages):
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    later = pd.DatetimeIndex(["2015-07-02"])
    vintages.append("bars/1d", bars([4.0], days=later).assign(volume=100.0))
    assert read(vintages, end=later[0])["volume"].isna().tolist() == [True, True, True, False]


def test_concurrent_appenders_lose_nothing(tmp_path):
    days = sessions.sessions("XNYS", "2015-01-02", "2015-03-31")
    start, errors = threading.Barrier(4), []

    def appender(number):
        try:
            start.wait()
            for step in range(5):
                rows = bars(np.arange(len(days)) + number, symbol=f"S{number}", days=days)
                rows["close"] += step
                rows["learned"] += pd.Timedelta(days=step)
                # Every thread writes its own symbol, and all of them write the same shared one.
                shared = bars(np.full(len(days), float(step)), symbol="SHARED", days=days)
                shared["learned"] += pd.Timedelta(days=step)
                Vintages(str(tmp_path)).append("bars/1d", pd.concat([rows, shared]))
        except Exception as error:  # noqa: BLE001 - any failure at all is the finding
            errors.append(error)

    threads = [threading.Thread(target=appender, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    vintages = Vintages(str(tmp_path))
    for step in range(5):
        as_of = utc(days[-1]) + pd.Timedelta(hours=20, days=step)
        rows = vintages.read(
            "bars/1d", ("SHARED", "S0", "S1", "S2", "S3"), start=days[-1], end=days[-1], as_of=as_of
        ).set_index("symbol")["close"]
        assert rows["SHARED"] == step
        assert [rows[f"S{number}"] - number - step for number in range(4)] == [len(days) - 1] * 4


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    vintages = Vintages(str(tmp_path))
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        vintages.append("bars/1d", bars([5.0, 2.0, 3.0], learned="2016-01-01"))
    monkeypatch.undo()
    assert len(list((tmp_path / "bars/1d").iterdir())) == 1
    assert read(vintages)["close"].tolist() == [1.0, 2.0, 3.0]


def test_the_remains_of_a_killed_writer_are_not_read(tmp_path):
    vintages = Vintages(str(tmp_path))
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    (tmp_path / "bars/1d/.abc.tmp").write_bytes(b"PAR1 half")
    (tmp_path / "bars/1d/.abc.parquet").write_bytes(b"PAR1 half")
    assert len(read(vintages)) == 3


def test_a_damaged_file_is_named_and_nothing_is_read_around_it(tmp_path):
    vintages = Vintages(str(tmp_path))
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    file = Path(vintages.files("bars/1d")[0])
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreError, match=file.name):
        read(vintages)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows.drop(columns="learned"), "lack the columns learned"),
        (lambda rows: rows.assign(learned=rows["learned"].dt.tz_localize(None)), "learned is datetime64"),
        (lambda rows: rows.assign(session=rows["happened"]), "session is datetime64.*UTC"),
        (lambda rows: rows.assign(session=rows["session"] + pd.Timedelta(hours=1)), "times of day"),
        (lambda rows: rows.assign(learned=rows["learned"].where(rows.index > 0)), "learned is empty in 1 rows"),
    ],
)
def test_malformed_rows_are_refused(vintages, spoil, said):
    with pytest.raises(StoreError, match=said):
        vintages.append("bars/1d", spoil(bars([1.0, 2.0, 3.0])))
    assert vintages.files("bars/1d") == []


@pytest.mark.parametrize("name", ["", "../x", "/etc", "bars//1d", "Bars", "a/../b"])
def test_a_dataset_name_cannot_leave_the_folder(vintages, name):
    with pytest.raises(StoreError, match="not a dataset name"):
        vintages.append(name, bars([1.0, 2.0, 3.0]))


def test_a_moment_without_a_timezone_is_refused(vintages):
    with pytest.raises(StoreError, match="no timezone"):
        read(vintages, pd.Timestamp("2016-01-01"))


def test_the_fingerprint_is_of_what_was_read(vintages):
    question = {"symbols": ("AAPL",), "start": DAYS[0], "end": DAYS[-1]}
    vintages.append("bars/1d", bars([1.0, 2.0, np.nan]))
    before = vintages.fingerprint("bars/1d", as_of=utc("2015-12-31"), **question)
    assert before == fingerprint(read(vintages, utc("2015-12-31")))
    assert before == fingerprint(read(vintages, utc("2015-12-31")).iloc[:, ::-1])
    vintages.append("bars/1d", bars([1.0, 2.5, np.nan], learned="2016-01-01"))
    assert vintages.fingerprint("bars/1d", as_of=utc("2015-12-31"), **question) == before
    assert vintages.fingerprint("bars/1d", as_of=FAR, **question) != before


def test_every_change_of_a_row_changes_the_fingerprint():
    rows = bars([1.0, 2.0, 3.0])
    variants = [
        rows,
        rows.assign(close=[1.0, 2.0, np.nextafter(3.0, 4.0)]),
        rows.assign(symbol="MSFT"),
        rows.assign(learned=rows["learned"] + pd.Timedelta(1, unit="us")),
        rows.rename(columns={"close": "open"}),
        rows.iloc[:2],
        rows.iloc[::-1],
    ]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)


def test_twenty_symbols_of_thirty_years_come_back_whole(tmp_path):
    days = sessions.sessions("XNYS", "1990-01-02", "2022-12-28")
    closes = np.random.default_rng(0).random(len(days))
    rows = pd.concat([bars(closes + number, symbol=f"S{number:02d}", days=days) for number in range(20)])
    symbols = tuple(f"S{number:02d}" for number in range(20))
    vintages = Vintages(str(tmp_path))
    assert vintages.append("bars/1d", rows) == 20 * len(days)
    assert len(read(vintages, symbols=symbols, start=days[0], end=days[-1])) == 20 * len(days)


def articles(headlines, *, keys, learned=None):
    """Several articles about one symbol in one session, told apart by the vendor's id."""
    rows = bars(np.arange(len(keys)), days=[DAYS[0]] * len(keys), learned=learned)
    return rows.assign(key=keys, headline=headlines)


def test_facts_of_one_session_are_told_apart_by_key(vintages):
    assert vintages.append("news/x", articles(["one", "two"], keys=["b", "a"])) == 2
    assert vintages.append("news/x", articles(["one", "two"], keys=["b", "a"])) == 0
    rows = read(vintages, dataset="news/x")
    assert rows["key"].tolist() == ["a", "b"]
    assert rows["headline"].tolist() == ["two", "one"]


def test_one_keyed_fact_is_revised_and_the_other_stays(vintages):
    vintages.append("news/x", articles(["one", "two"], keys=["a", "b"]))
    assert vintages.append("news/x", articles(["one", "changed"], keys=["a", "b"], learned="2016-01-01")) == 1
    assert read(vintages, dataset="news/x")["headline"].tolist() == ["one", "changed"]
    assert read(vintages, utc("2015-12-31"), dataset="news/x")["headline"].tolist() == ["one", "two"]


def test_time_and_key_name_a_fact_together(vintages):
    rows = pd.concat([articles(["one", "two"], keys=["a", "b"]), articles(["three"], keys=["a"])])
    rows["time"] = DAYS[0].tz_localize("UTC") + pd.to_timedelta([9, 9, 10], unit="h")
    assert vintages.append("trades/x", rows) == 3
    assert read(vintages, dataset="trades/x")["headline"].tolist() == ["one", "two", "three"]
    assert vintages.append("trades/x", rows) == 0


@pytest.mark.parametrize(
    ("keys", "said"), [(["a", None], "key is empty in 1 rows"), ([1, 2], "key is int64, not text")]
)
def test_a_key_that_names_nothing_is_refused(vintages, keys, said):
    with pytest.raises(StoreError, match=said):
        vintages.append("news/x", articles(["one", "two"], keys=keys))
    assert vintages.files("news/x") == []


def test_words_that_go_missing_are_a_revision(vintages):
    vintages.append("news/x", articles(["one", "two"], keys=["a", "b"]))
    assert vintages.append("news/x", articles(["one", None], keys=["a", "b"], learned="2016-01-01")) == 1
    assert read(vintages, dataset="news/x")["headline"].isna().tolist() == [False, True]


def test_one_symbol_may_be_asked_for_by_its_name(vintages):
    vintages.append("bars/1d", pd.concat([bars([1.0, 2.0, 3.0]), bars([4.0, 5.0, 6.0], symbol="A")]))
    pd.testing.assert_frame_equal(read(vintages, symbols="AAPL"), read(vintages, symbols=["AAPL"]))
    assert len(read(vintages, symbols="AAPL")) == 3


def test_only_the_columns_that_were_asked_for_are_read(vintages):
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]).assign(volume=7.0, source="x"))
    vintages.append("bars/1d", bars([1.0, 2.5, 3.0], learned="2016-01-01").assign(volume=7.0, source="x"))
    question = {"start": DAYS[0], "end": DAYS[-1], "as_of": FAR}
    rows = vintages.read("bars/1d", "AAPL", **question, columns=["close", "no such column"])
    assert set(rows.columns) == {"symbol", "session", "close", "happened", "learned"}
    pd.testing.assert_frame_equal(rows, read(vintages)[rows.columns])
    assert list(vintages.read("bars/1d", "AAPL", **question, columns=[]).columns) == list(rows.columns.drop("close"))


def contradicted(tmp_path, closes):
    """Appenders that did not see each other said different things of one session, learned at one instant."""
    stores = [Vintages(str(tmp_path)) for _ in closes]
    with patch.object(Vintages, "_stored", lambda *_: (None, 0)):
        for store, close in zip(stores, closes, strict=True):
            store.append("bars/1d", bars([close], days=DAYS[:1]).assign(volume=-close))
    return stores[0]


def test_which_of_two_contradictions_is_answered_depends_on_their_values_only(tmp_path):
    seen = set()
    for number, order in enumerate(itertools.permutations([1.0, 2.0, 3.0])):
        vintages = contradicted(tmp_path / str(number), order)
        assert len(vintages.files("bars/1d")) == 3
        volume = {"start": DAYS[0], "end": DAYS[0], "as_of": FAR, "columns": ["volume"]}
        before = read(vintages), vintages.read("bars/1d", "AAPL", **volume)
        vintages.compact("bars/1d")
        pd.testing.assert_frame_equal(read(vintages), before[0])
        pd.testing.assert_frame_equal(vintages.read("bars/1d", "AAPL", **volume), before[1])
        assert before[1]["volume"].tolist() == (-before[0]["close"]).tolist()
        seen.add(before[0]["close"].item())
    assert len(seen) == 1


def old_layout(folder, rows):
    """A file as the first version of the store wrote it: named after its content only, one group of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, folder / f"{fingerprint(rows)}.parquet", compression="zstd")


def test_files_of_before_are_read_appended_to_and_compacted(tmp_path):
    first = pd.concat([bars([1.0, 2.0, np.nan]), bars([4.0, 5.0, 6.0], symbol="MSFT")], ignore_index=True)
    old_layout(tmp_path / "bars/1d", first)
    old_layout(tmp_path / "bars/1d", bars([2.5], days=DAYS[1:2], learned="2016-01-01"))
    vintages = Vintages(str(tmp_path))
    assert vintages.append("bars/1d", first) == 0
    assert vintages.append("bars/1d", bars([3.5], days=DAYS[2:], learned="2016-02-01")) == 1
    answers = [[4.0, 5.0, 6.0], [1.0, 2.0], [1.0, 2.5], [1.0, 2.5, 3.5]]

    def asked():
        moments = [utc(day) for day in ("2015-12-31", "2016-01-01", "2016-02-01")]
        seen = [read(vintages, symbols=("MSFT",)), *(read(vintages, moment) for moment in moments)]
        return [rows["close"].dropna().tolist() for rows in seen]

    assert asked() == answers
    assert vintages.compact("bars/1d", grace=pd.Timedelta(0)).merged == 3
    assert asked() == answers
    assert [Path(path).name[:6] for path in vintages.files("bars/1d")] == ["v0001-"]


def test_one_file_of_before_is_rewritten_so_that_few_of_its_rows_are_read(tmp_path):
    old_layout(tmp_path / "bars/1d", bars([1.0, 2.0, np.nan]))
    vintages = Vintages(str(tmp_path))
    before = fingerprint(read(vintages))
    assert vintages.compact("bars/1d", grace=pd.Timedelta(0)).merged == 1
    assert vintages.compact("bars/1d", grace=pd.Timedelta(0)).merged == 0
    assert fingerprint(read(vintages)) == before


def test_fingerprints_are_those_that_were_stored_in_runs():
    """The numbers were computed by the first version of the store; runs refer to them for ever."""
    rows = pd.DataFrame(
        {
            "symbol": ["AAPL", "AAPL", "MSFT"],
            "session": DAYS,
            "open": [np.nan, 1.5, 2.5],
            "close": [1.0, 2.0, np.nan],
            "volume": [100.0, 0.0, -0.0],
            "happened": DAYS.tz_localize("UTC") + pd.Timedelta(hours=20),
            "learned": DAYS.tz_localize("UTC") + pd.Timedelta(hours=20),
            "source": "bundled",
        }
    )
    assert fingerprint(rows) == "b7c2680303faca3921cda20d70bc521ac3ad00975d5844b80573433814fda29c"
    assert fingerprint(rows.iloc[:0]) == "ea23bd8e6e81ffe3de61d3faf1b7f5ae118cc6c6af539062e530cfffcd501132"
    with_words = rows.assign(headline=["a", None, "b"], n=[1, 2, 3])
    assert fingerprint(with_words) == "f7835a0a770afd5efe0d75d93e70468ffb128e806c5dcc4aa0916394201f700e"


def test_what_the_store_answers_has_the_fingerprint_of_before(vintages):
    rows = bars([1.0, 2.0, np.nan]).assign(source="bundled")
    vintages.append("bars/1d", rows)
    expected = fingerprint(rows)
    assert expected == "ab8e34b3ce3d833f04c694b5ce32d980192be3ca4c08ecac3a0424785d89f3c2"
    question = {"start": DAYS[0], "end": DAYS[-1], "as_of": FAR}
    assert vintages.fingerprint("bars/1d", ("AAPL",), **question) == expected
    vintages.append("bars/1d", bars([5.0], days=["2016-07-01"], learned="2016-07-02").assign(source="bundled"))
    vintages.compact("bars/1d")
    assert vintages.fingerprint("bars/1d", ("AAPL",), **question) == expected


def test_parts_that_cannot_hold_an_answer_are_not_opened(tmp_path):
    vintages = Vintages(str(tmp_path))
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    mine = vintages.files("bars/1d")
    vintages.append("bars/1d", bars([4.0, 5.0, 6.0], symbol="MSFT"))
    later = pd.DatetimeIndex(["2016-07-01"])
    vintages.append("bars/1d", bars([7.0], days=later))
    for path in set(vintages.files("bars/1d")) - set(mine):
        Path(path).write_bytes(b"nobody reads this")
    vintages = Vintages(str(tmp_path))
    assert read(vintages)["close"].tolist() == [1.0, 2.0, 3.0]
    assert vintages.append("bars/1d", bars([1.0, 2.0, 3.0])) == 0
    with pytest.raises(StoreError, match="cannot be read"):
        read(vintages, end=later[0])


def test_groups_of_rows_that_cannot_hold_an_answer_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.store.part_file.GROUP_ROWS", 3)
    symbols = [f"S{number:02d}" for number in range(50)]  # too many to be in the name
    vintages = Vintages(str(tmp_path))
    vintages.append("bars/1d", pd.concat([bars([1.0, 2.0, number], symbol=s) for number, s in enumerate(symbols)]))
    groups = []
    read_groups = pq.ParquetFile.read_row_groups

    def counted(parquet, numbers, **options):
        groups.append(len(numbers))
        return read_groups(parquet, numbers, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    assert read(vintages, symbols=("S07", "S33"))["close"].tolist() == [1.0, 2.0, 7.0, 1.0, 2.0, 33.0]
    assert groups == [2]
    assert read(vintages, utc("2015-06-29"), symbols=("S07",)).empty
    assert read(vintages, symbols=("S075", "T")).empty
    assert groups == [2]  # nothing known yet, and symbols that lie between two others


def test_appending_a_symbol_opens_none_of_the_others(tmp_path, monkeypatch):
    vintages = Vintages(str(tmp_path), loose=1000)
    opened = []
    open_part = PartFiles._opened

    def counted(files, path, stamp):
        opened.append(path)
        return open_part(files, path, stamp)

    monkeypatch.setattr(PartFiles, "_opened", counted)
    for number in range(100):
        vintages.append("bars/1d", bars([1.0, 2.0, 3.0], symbol=f"S{number:03d}"))
    assert 1 <= len(opened) <= 4  # one for its columns; two symbols of a hundred may share a hash of twelve bits


@pytest.mark.parametrize("symbol", ["^GSPC", "BRK.B", "A\nB", "ÄÖÜ", "𝔸", "../x", "x" * 300, " ", "NaN", "nan"])
def test_any_text_is_a_symbol(vintages, symbol):
    others = [bars([4.0, 5.0, 6.0], symbol=other) for other in ("A", "B", "ZZ")]
    vintages.append("bars/1d", pd.concat([bars([1.0, 2.0, 3.0], symbol=symbol), *others]))
    for _ in range(2):
        assert read(vintages, symbols=(symbol,))["close"].tolist() == [1.0, 2.0, 3.0]
        assert read(vintages, symbols=("A",))["close"].tolist() == [4.0, 5.0, 6.0]
        vintages.append("bars/1d", bars([1.0], symbol="C", days=DAYS[:1]))
        vintages.compact("bars/1d")


def test_another_process_is_seen_at_once(place):
    url, options = place
    first, second = Vintages(url, options=options), Vintages(url, options=options)
    for number in range(1, 11):
        writer, reader = (first, second) if number % 2 else (second, first)
        assert writer.append("bars/1d", bars([float(number)], days=DAYS[:1], learned=f"2016-01-{number:02d}")) == 1
        assert read(reader)["close"].tolist() == [float(number)]


def test_datasets_are_listed(vintages):
    assert vintages.datasets() == []
    vintages.append("bars/1d/x", bars([1.0, 2.0, 3.0]))
    vintages.append("bars/1d", bars([1.0, 2.0, 3.0]))
    vintages.append("news/x", articles(["one"], keys=["a"]))
    vintages.compact("bars/1d")
    assert vintages.datasets() == ["bars/1d", "bars/1d/x", "news/x"]
    assert len(vintages.files("bars/1d")) == 1
