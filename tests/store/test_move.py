"""Moving a store: every object arrives with its hash, an interrupted move goes on, and nothing foreign is touched."""

import hashlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from workbench.errors import StoreError
from workbench.store.move import Moved, move
from workbench.store.place import Place
from workbench.store.vintages import Vintages

DAYS = pd.bdate_range("2015-01-02", periods=40).as_unit("us")
FAR = pd.Timestamp("2030-01-01", tz="UTC")
SYMBOLS = ("AAPL", "MSFT", "XOM")


def filled(url, options=None):
    """Two datasets, one of them compacted with its grace still running."""
    vintages = Vintages(url, options=options)
    for number, symbol in enumerate(SYMBOLS):
        at = DAYS.tz_localize("UTC")
        rows = pd.DataFrame({"symbol": symbol, "session": DAYS, "close": np.arange(40.0) + number})
        rows = rows.assign(happened=at, learned=at)
        vintages.append("bars/1d", rows)
        vintages.append("bars/1d/other", rows)
    vintages.compact("bars/1d")
    return vintages


def answers(vintages):
    question = {"start": DAYS[0], "end": DAYS[-1]}
    return [
        vintages.fingerprint(dataset, SYMBOLS, **question, as_of=as_of)
        for dataset in ("bars/1d", "bars/1d/other")
        for as_of in (FAR, DAYS[9].tz_localize("UTC"))
    ]


def hashes(url, options=None):
    place = Place(url, options=options)
    return {path: hashlib.sha256(place.read(path)).hexdigest() for path in place.walk()}


def test_a_folder_moves_to_a_bucket_and_answers_the_same(tmp_path, bucket):
    url, options = f"{bucket[0]}/market", bucket[1]
    source = tmp_path / "vintages"
    before = answers(filled(source.as_uri()))
    said = []
    moved = move(source.as_uri(), url, to_options=options, progress=lambda *done: said.append(done))
    there = hashes(url, options)
    assert there == hashes(str(source))
    assert len(there) == 8  # three parts, and one with its note and the three that it replaces
    assert (moved.objects, moved.copied, moved.removed) == (8, 8, 0)
    assert moved.bytes == moved.copied_bytes == sum(path.stat().st_size for path in source.rglob("*.*"))
    assert said == [(number, 8) for number in range(1, 9)]
    assert f"WORKBENCH_VINTAGES_URL={url}" in repr(moved)
    assert "8 objects" in repr(moved)
    assert answers(Vintages(url, options=options)) == before


def test_and_back_again(place, tmp_path):
    url, options = place
    before = answers(filled(url, options))
    target = tmp_path / "target"
    there = move(url, str(target), from_options=options)
    back = move(str(target), f"{url.rstrip('/')}-back", to_options=options)
    assert (back.objects, back.digest) == (there.objects, there.digest)
    assert answers(Vintages(f"{url}-back", options=options)) == before


def test_moving_twice_copies_nothing_again(tmp_path):
    filled(str(tmp_path / "a"))
    first = move(str(tmp_path / "a"), str(tmp_path / "b"))
    with patch.object(Place, "write", autospec=True, side_effect=Place.write) as write:
        again = move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert [call.args[1] for call in write.call_args_list] == [".moving.json"]
    assert (again.copied, again.copied_bytes, again.objects) == (0, 0, first.objects)
    assert again.digest == first.digest
    assert not (tmp_path / "b/.moving.json").exists()


def test_an_interrupted_move_goes_on_where_it_stopped(tmp_path):
    filled(str(tmp_path / "a"))
    write, written = Place.write, []

    def stops(place, path, content):
        if len(written) == 5:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(place, path, content)

    with patch.object(Place, "write", stops), pytest.raises(OSError, match="No space"):
        move(str(tmp_path / "a"), str(tmp_path / "b"), remove=True)
    assert len(hashes(str(tmp_path / "a"))) == 8  # nothing was removed
    there = len(hashes(str(tmp_path / "b")))
    moved = move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (moved.objects, moved.copied) == (8, 8 - there)
    assert hashes(str(tmp_path / "b")) == hashes(str(tmp_path / "a"))


def test_an_interrupted_move_goes_on_after_the_source_was_compacted(tmp_path):
    vintages = filled(str(tmp_path / "a"))
    before = answers(vintages)
    with (
        patch("workbench.store.move._ROUNDS", 0),
        pytest.raises(StoreError, match="still being written to"),
    ):
        move(str(tmp_path / "a"), str(tmp_path / "b"))
    for path in list(Place(str(tmp_path / "a")).walk()):
        Place(str(tmp_path / "b")).write(path, Place(str(tmp_path / "a")).read(path))
    vintages.compact("bars/1d/other", grace=pd.Timedelta(0))
    move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert answers(Vintages(str(tmp_path / "b"))) == before


def test_an_object_with_another_hash_is_copied_again(tmp_path):
    filled(str(tmp_path / "a"))
    move(str(tmp_path / "a"), str(tmp_path / "b"))
    spoiled = sorted((tmp_path / "b").rglob("*.parquet"))[:2]
    spoiled[0].write_bytes(b"x" * spoiled[0].stat().st_size)
    spoiled[1].write_bytes(b"half")
    assert move(str(tmp_path / "a"), str(tmp_path / "b")).copied == 2
    assert hashes(str(tmp_path / "b")) == hashes(str(tmp_path / "a"))


def test_a_target_that_gives_back_other_bytes_is_refused_and_nothing_is_removed(tmp_path):
    filled(str(tmp_path / "a"))
    before = hashes(str(tmp_path / "a"))
    read = Place.read

    def flips(place, path):
        content = read(place, path)
        return content if place.url.endswith("a") else bytes([content[0] ^ 1]) + content[1:]

    with patch.object(Place, "read", flips), pytest.raises(StoreError, match="gave back other bytes"):
        move(str(tmp_path / "a"), str(tmp_path / "b"), remove=True)
    assert hashes(str(tmp_path / "a")) == before


def test_a_target_with_something_else_is_refused(tmp_path):
    filled(str(tmp_path / "a"))
    stranger = tmp_path / "b/photo.jpeg"
    stranger.parent.mkdir()
    stranger.write_bytes(b"mine")
    with pytest.raises(StoreError, match=r"(?s)has 1 objects that .* such as photo.jpeg.*give an empty target"):
        move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["photo.jpeg"]


def test_a_target_that_has_gone_on_by_itself_is_refused(tmp_path):
    filled(str(tmp_path / "a"))
    move(str(tmp_path / "a"), str(tmp_path / "b"))
    Vintages(str(tmp_path / "b")).compact("bars/1d/other")
    with pytest.raises(StoreError, match="objects that"):
        move(str(tmp_path / "a"), str(tmp_path / "b"))


@pytest.mark.parametrize("target", ["a", "a/inside", "."])
def test_a_place_does_not_move_into_itself(tmp_path, target):
    filled(str(tmp_path / "a"))
    with pytest.raises(StoreError, match="one place"):
        move(str(tmp_path / "a"), str(tmp_path / target))


def test_nothing_cannot_be_moved(tmp_path):
    with pytest.raises(StoreError, match="there is nothing below"):
        move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_the_source_is_emptied_when_asked_and_only_of_what_was_verified(place, tmp_path):
    url, options = place
    before = answers(filled(url, options))
    Place(url, options=options).write("bars/1d/.half.tmp", b"half")
    moved = move(url, str(tmp_path / "target"), from_options=options, remove=True)
    assert (moved.objects, moved.removed) == (8, 8)
    assert Place(url, options=options).walk() == {}
    assert Place(url, options=options).read("bars/1d/.half.tmp") == b"half"
    assert answers(Vintages(str(tmp_path / "target"))) == before


def test_what_is_written_meanwhile_is_copied_too(tmp_path):
    vintages = filled(str(tmp_path / "a"))
    late = iter([True])

    def progress(*_):
        if next(late, False):
            at = pd.DatetimeIndex(["2016-01-04"]).as_unit("us")
            rows = pd.DataFrame({"symbol": "LATE", "session": at, "close": 1.0})
            moment = at.tz_localize("UTC")
            vintages.append("bars/1d", rows.assign(happened=moment, learned=moment))

    moved = move(str(tmp_path / "a"), str(tmp_path / "b"), progress=progress)
    assert moved.objects == 9
    assert hashes(str(tmp_path / "b")) == hashes(str(tmp_path / "a"))


def test_runs_and_reports_move_like_market_data(tmp_path, bucket):
    runs = tmp_path / "runs/2015-06-30/daily"
    runs.mkdir(parents=True)
    (runs / "report.html").write_text("<p>ü</p>", encoding="utf-8")
    (runs / "notebook.ipynb").write_bytes(np.random.default_rng(0).bytes(300_000))
    url, options = f"{bucket[0]}/runs", bucket[1]
    moved = move((tmp_path / "runs").as_uri(), url, to_options=options)
    assert moved.objects == 2
    assert hashes(url, options) == hashes(str(tmp_path / "runs"))


def test_a_move_says_what_it_did():
    moved = Moved("file:///a", "s3://b/c", 3, 1000, 1, 500, 3, "0" * 64)
    assert repr(moved).splitlines() == [
        "3 objects, 1000 bytes at s3://b/c, each with its sha256 · 1 copied now (500 bytes) · 3 removed at the source",
        "If this is the market data, set WORKBENCH_VINTAGES_URL=s3://b/c",
    ]


def test_a_plain_path_is_a_place_too(tmp_path, monkeypatch):
    filled(str(tmp_path / "a"))
    monkeypatch.chdir(tmp_path)
    assert move("a", "b").objects == 8
    assert Path("b/bars/1d/other").is_dir()
