import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.errors import StoreError
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


@pytest.fixture(params=["folder", "file", "memory"])
def vintages(request, tmp_path):
    """The same promises hold for a plain folder, a file URL and a store that is no file system at all."""
    if request.param == "memory":
        import fsspec

        yield Vintages(f"memory://{tmp_path.name}")
        memory = fsspec.filesystem("memory")
        if memory.exists(f"/{tmp_path.name}"):
            memory.rm(f"/{tmp_path.name}", recursive=True)
        return
    yield Vintages(str(tmp_path / "v") if request.param == "folder" else (tmp_path / "v").as_uri())


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
