"""Places: objects appear whole, are listed at once, and a client's complaint is told in our words."""

import os
import sys
from pathlib import Path

import fsspec
import pytest

from workbench.errors import StoreError
from workbench.store.place import Place
from workbench.store.vintages import Vintages


@pytest.fixture
def here(place):
    url, options = place
    return Place(url, options=options)


def test_what_was_written_is_there(here):
    assert here.names("a/b") == {}
    assert here.walk() == {}
    here.write("a/b/one", b"1")
    here.write("a/b/two", b"22")
    here.write("a/b/c/deep", b"333")
    assert list(here.names("a/b")) == ["one", "two"]
    assert here.walk() == {"a/b/c/deep": 3, "a/b/one": 1, "a/b/two": 2}
    assert here.read("a/b/two") == b"22"
    assert here.read_ranges("a/b/c/deep", [(0, 1), (1, 3)]) == [b"3", b"33"]
    here.write("a/b/two", b"changed")
    assert here.read("a/b/two") == b"changed"


def test_what_was_removed_is_gone(here):
    here.write("a/one", b"1")
    here.remove("a/one")
    here.remove("a/one")
    assert here.names("a") == {}
    with pytest.raises(FileNotFoundError):
        here.read("a/one")
    with pytest.raises(FileNotFoundError):
        here.stamp("a/one")


def test_another_content_has_another_stamp(here):
    here.write("a/one", b"first")
    before = here.stamp("a/one")
    assert here.stamp("a/one") == before
    here.write("a/one", b"other")
    assert here.stamp("a/one") != before


def test_every_object_is_listed_as_soon_as_it_is_there(place):
    url, options = place
    writer, reader = Place(url, options=options), Place(url, options=options)
    for number in range(30):
        writer.write(f"a/{number:03d}", b"")
        assert len(reader.names("a")) == number + 1
        assert len(writer.names("a")) == number + 1
    writer.remove("a/000")
    assert len(reader.names("a")) == 29


def test_a_folder_that_has_not_changed_is_not_listed_again(tmp_path, monkeypatch):
    here = Place(str(tmp_path))
    here.write("a/one", b"")
    monkeypatch.setattr("workbench.store.place._TICK_NS", -(10**18))  # as if the last change were long ago
    here.names("a")
    monkeypatch.setattr("os.scandir", None)
    assert list(here.names("a")) == ["one"]


def test_a_listing_from_the_tick_of_a_change_is_not_trusted(tmp_path):
    here = Place(str(tmp_path))
    here.write("a/one", b"")
    here.names("a")
    changed = (tmp_path / "a").stat().st_mtime_ns
    (tmp_path / "a/two").touch()
    os.utime(tmp_path / "a", ns=(changed, changed))  # the clock of the file system stood still
    assert list(here.names("a")) == ["one", "two"]


def test_dotted_names_are_remains(here):
    here.write("a/.half.tmp", b"half")
    assert here.names("a") == {}
    assert here.walk() == {}


def test_places_overlap_when_one_lies_in_the_other(tmp_path, s3_server):
    assert Place(str(tmp_path)).overlaps(Place(f"file://{tmp_path}/a"))
    assert Place(f"{tmp_path}/a/b").overlaps(Place(str(tmp_path / "a")))
    assert not Place(f"{tmp_path}/ab").overlaps(Place(f"{tmp_path}/a"))
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert Place(str(tmp_path / "link")).overlaps(Place(str(tmp_path / "target")))
    assert Place("s3://bucket-a/x", options=s3_server).overlaps(Place("s3://bucket-a", options=s3_server))
    elsewhere = {**s3_server, "endpoint_url": "http://127.0.0.1:9"}
    assert not Place("s3://bucket-a/x", options=s3_server).overlaps(Place("s3://bucket-a/x", options=elsewhere))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(StoreError, match=r"(?s)s3://bucket/x cannot be opened.*pip install workbench\[s3\]"):
        Vintages("s3://bucket/x").files("bars/1d")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(StoreError, match=r"(?s)nowhere://x cannot be opened.*use a folder"):
        Vintages("nowhere://x").files("bars/1d")


def test_a_fork_opens_its_own_client(here, monkeypatch):
    here.write("a/one", b"1")
    before = here._opened
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert here.read("a/one") == b"1"
    assert here._opened is not before


def test_empty_folders_are_removed_and_others_stay(tmp_path):
    here = Place(str(tmp_path / "v"))
    here.write("a/b/one", b"1")
    here.write("c/d/two", b"2")
    here.remove("a/b/one")
    here.remove_empty_folders()
    assert not (tmp_path / "v/a").exists()
    assert (tmp_path / "v/c/d/two").exists()
    Place(f"memory://{tmp_path.name}").remove_empty_folders()


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    here = Place(str(tmp_path))
    here.write("a/one", b"before")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        here.write("a/one", b"after")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one"]
    assert here.read("a/one") == b"before"


def test_a_listing_of_memory_is_not_the_folders(tmp_path):
    memory = fsspec.filesystem("memory")
    here = Place(f"memory://{tmp_path.name}")
    here.write("a/b/one", b"1")
    assert here.names("a") == {}
    memory.rm(f"/{tmp_path.name}", recursive=True)
