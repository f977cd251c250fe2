"""Chunks on disk: whole or not there, whatever happened to the process and to the bytes."""

import logging
import os
import time

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.sweep.chunk_store import ChunkStore, forget_old


@pytest.fixture
def store(tmp_path):
    return ChunkStore(tmp_path / "sweeps" / "question")


@pytest.fixture
def quiet():
    """A thousand damaged files need not be a thousand lines."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def chunk(number, rows=20):
    rng = np.random.default_rng(number)
    return pd.DataFrame(
        {
            "sharpe": np.where(np.arange(rows) % 7 == 0, np.nan, rng.normal(size=rows)),
            "trades": rng.integers(0, 99, rows),
            "error": pd.Series(["", "the strategy raised: ä → ß"] * (rows // 2), dtype="str"),
            "failed": np.arange(rows) % 2 == 1,
        }
    ).set_index(pd.RangeIndex(100 * number, 100 * number + rows, name="cell"))


def files(store):
    return sorted(path for path in store.folder.iterdir())


def test_a_chunk_comes_back_exactly(store):
    for number in (0, 7, 1_234_567):
        store.save(number, chunk(number))
    for number in (0, 7, 1_234_567):
        pd.testing.assert_frame_equal(store.load(number), chunk(number), check_exact=True)
    assert store.finished() == {0, 7, 1_234_567}


def test_nothing_is_there_before_something_is_saved(store):
    assert store.load(0) is None
    assert store.finished() == set()
    store.clear()
    assert not store.folder.exists()


@pytest.mark.usefixtures("quiet")
def test_no_damage_to_any_byte_goes_unnoticed(store):
    store.save(3, chunk(3))
    (path,) = files(store)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        assert store.load(3) is None
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.load(3) is None
        assert store.finished() == set()
    store.save(3, chunk(3))
    pd.testing.assert_frame_equal(store.load(3), chunk(3))


def test_what_a_kill_left_behind_is_not_a_chunk(store):
    store.save(1, chunk(1))
    (path,) = files(store)
    (store.folder / f".{path.name}.0123").write_bytes(path.read_bytes()[:100])
    (store.folder / "chunk-notes.parquet").write_bytes(b"")
    assert store.finished() == {1}
    store.clear()
    assert not store.folder.exists()


def test_saving_the_same_chunk_twice_leaves_one_file(store):
    store.save(1, chunk(1))
    store.save(1, chunk(1))
    assert len(files(store)) == 1


def test_a_disk_that_refuses_leaves_nothing_behind(store, monkeypatch):
    store.save(1, chunk(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(2, chunk(2))
    assert len(files(store)) == 1
    assert store.finished() == {1}


def test_what_nobody_went_on_with_for_a_month_is_forgotten(tmp_path):
    for name, age in (("old", 31), ("new", 29)):
        ChunkStore(tmp_path / name).save(0, pd.DataFrame({"a": [1]}))
        then = time.time() - age * 86_400
        os.utime(tmp_path / name, (then, then))
    assert forget_old(tmp_path) == 1
    assert [place.name for place in tmp_path.iterdir()] == ["new"]
    assert forget_old(tmp_path / "nowhere") == 0
