"""Moving a store: every object is copied to another URL and read back, and its sha256 must be the one it had.

Market data, runs and stored answers are all objects below one URL, so all of them move the same way, between any two
places: a folder, an S3 bucket. A move that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from workbench.errors import StoreError
from workbench.store.place import Place

SETTING: Final = "WORKBENCH_VINTAGES_URL"
# Lies at the target while a move is under way: what lies beside it may be half of a store.
_MARK: Final = ".moving.json"
_COPIERS: Final = 8
_ROUNDS: Final = 10


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did. Every object is at the target with the sha256 it has at the source.

    Attributes:
        from_url, to_url: from where, to where.
        objects, bytes: what the target has of the source now.
        copied, copied_bytes: what this call had to copy; the rest was there already with the same hash.
        removed: objects removed at the source.
        digest: sha256 (64 hex digits) over the paths and the hashes of all objects.
    """

    from_url: str
    to_url: str
    objects: int
    bytes: int
    copied: int
    copied_bytes: int
    removed: int
    digest: str

    def __repr__(self) -> str:
        removed = f" · {self.removed} removed at the source" if self.removed else ""
        return (
            f"{self.objects} objects, {self.bytes} bytes at {self.to_url}, each with its sha256 · "
            f"{self.copied} copied now ({self.copied_bytes} bytes){removed}\n"
            f"If this is the market data, set {SETTING}={self.to_url}"
        )


@dataclass(frozen=True, slots=True)
class _Copy:
    size: int
    sha256: str
    copied: bool


def move(
    from_url: str,
    to_url: str,
    *,
    progress: Callable[[int, int], None] | None = None,
    remove: bool = False,
    from_options: Mapping[str, Any] | None = None,
    to_options: Mapping[str, Any] | None = None,
) -> Moved:
    """Copy everything below one URL to another, verified by hashes of the bytes read back.

    Objects that appear at the source meanwhile are copied too, until a look finds none; stop the writers before, so
    that nothing is written to the old place afterwards. Names that begin with a dot, remains of killed writers, stay
    behind.

    Args:
        from_url, to_url: folders or fsspec URLs. The target is empty, or has what an earlier move brought.
        progress: called with the number of objects done and of all.
        remove: remove the objects at the source, after all of them were verified.
        from_options, to_options: storage options, as `Vintages` takes them.

    Raises:
        StoreError: one place lies in the other, the source is empty, the target has objects of something else, or
            cannot be reached, or gave back other bytes than it was given. Nothing is removed then, and asking again
            goes on.
    """
    source, target = Place(from_url, options=from_options), Place(to_url, options=to_options)
    if source.overlaps(target):
        raise StoreError(
            f"{from_url} and {to_url} are one place, or one lies in the other; nothing was copied.",
            remedy="give a target of its own.",
        )
    there = source.walk()
    if not there:
        raise StoreError(f"there is nothing below {from_url}; nothing was copied.", remedy="check the URL.")
    _refuse_foreign(source, target, set(there))
    target.write(_MARK, json.dumps({"from": from_url}).encode())
    done: dict[str, _Copy] = {}
    for _ in range(_ROUNDS):
        waiting = [path for path in there if path not in done]
        if not waiting:
            break
        _copy_all(source, target, waiting, done, progress=progress)
        there = source.walk()
    else:
        raise StoreError(
            f"{from_url} is still being written to; what was there is copied, and nothing was removed.",
            remedy="stop the writers and move again.",
        )
    target.remove(_MARK)
    removed = 0
    if remove:
        for path in done:
            source.remove(path)
            removed += 1
        source.remove_empty_folders()
    lines = (f"{path} {copy.sha256}" for path, copy in sorted(done.items()))
    return Moved(
        from_url=from_url,
        to_url=to_url,
        objects=len(done),
        bytes=sum(copy.size for copy in done.values()),
        copied=sum(copy.copied for copy in done.values()),
        copied_bytes=sum(copy.size for copy in done.values() if copy.copied),
        removed=removed,
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    )


def _copy_all(
    source: Place,
    target: Place,
    paths: list[str],
    done: dict[str, _Copy],
    *,
    progress: Callable[[int, int], None] | None,
) -> None:
    there = target.walk()
    total = len(done) + len(paths)
    begun = len(done)
    pool = ThreadPoolExecutor(_COPIERS)
    try:
        copies = pool.map(lambda path: _copy(source, target, path, there.get(path)), paths)
        for number, (path, copy) in enumerate(zip(paths, copies, strict=True), 1):
            if copy is not None:
                done[path] = copy
            if progress is not None:
                progress(begun + number, total)
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure nothing more is begun


def _copy(source: Place, target: Place, path: str, size_there: int | None) -> _Copy | None:
    """One object, unless the target has it with the same hash; None when a compaction removed it at the source."""
    try:
        content = source.read(path)
    except FileNotFoundError:
        return None
    sha256 = hashlib.sha256(content).hexdigest()
    if size_there == len(content) and hashlib.sha256(target.read(path)).hexdigest() == sha256:
        return _Copy(len(content), sha256, copied=False)
    target.write(path, content)
    back = hashlib.sha256(target.read(path)).hexdigest()
    if back != sha256:
        raise StoreError(
            f"{target.full(path)} gave back other bytes (sha256 {back}) than it was given ({sha256}); nothing was "
            "removed.",
            remedy="check the target; moving again copies this object again.",
        )
    return _Copy(len(content), sha256, copied=True)


def _refuse_foreign(source: Place, target: Place, ours: set[str]) -> None:
    theirs = target.walk()
    foreign = sorted(path for path in theirs if path not in ours)
    if not foreign:
        return
    try:
        mark = json.loads(target.read(_MARK))
    except (FileNotFoundError, ValueError):
        mark = {}
    if mark.get("from") != source.url:
        raise StoreError(
            f"{target.url} has {len(foreign)} objects that {source.url} has not, such as {foreign[0]}; nothing was "
            "copied.",
            remedy="give an empty target.",
            foreign=len(foreign),
        )
