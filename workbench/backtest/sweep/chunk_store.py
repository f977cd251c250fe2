"""Finished chunks of a sweep on disk, so that a sweep killed at any instant goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import time
from typing import TYPE_CHECKING

import pandas as pd

from workbench.store.schema import new_id
from workbench.trace import get_logger

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"chunk-(\d{6,})-([0-9a-f]{16})\.parquet")


class ChunkStore:
    """The finished chunks of one question, one Parquet file each, by number.

    A chunk is written beside its place and moved in at once, so a reader sees the whole of it or nothing. The name of a
    file carries the first 16 digits of the sha256 of its bytes: a damaged one counts as not finished, and its chunk is
    computed again. Several processes may save the same chunk; they save the same numbers.

    Args:
        folder: of this question alone, e.g. `workspace.home / "sweeps" / config_hash`; made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, number: int) -> pd.DataFrame | None:
        """A finished chunk as it was saved (index, order and types); None when there is none, or it is damaged."""
        for path in sorted(self.folder.glob(f"chunk-{number:06d}-*.parquet")):
            whole = _whole(path)
            if whole is not None:
                return pd.read_parquet(io.BytesIO(whole))
        return None

    def save(self, number: int, frame: pd.DataFrame) -> None:
        """Keep a finished chunk. Raises OSError when it cannot be written; nothing is left behind then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        written: bytes = frame.to_parquet()
        path = self.folder / f"chunk-{number:06d}-{_seal(written)}.parquet"
        beside = path.with_name(f".{path.name}.{new_id()}")
        try:
            beside.write_bytes(written)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def finished(self) -> set[int]:
        """The numbers of the chunks that are whole; every byte is looked at."""
        names = [(path, _NAME.fullmatch(path.name)) for path in self.folder.glob("chunk-*.parquet")]
        return {int(name[1]) for path, name in names if name is not None and _whole(path) is not None}

    def clear(self) -> None:
        """Forget everything: the sweep is answered. What a kill left half written goes too."""
        shutil.rmtree(self.folder, ignore_errors=True)


def forget_old(folder: Path, *, days: float = 30.0) -> int:
    """Remove the chunks of sweeps that nobody went on with for so long; how many sweeps that were.

    What changed code has left behind is never asked for again, since the code is part of the question.
    """
    if not folder.is_dir():
        return 0
    before = time.time() - days * 86_400.0
    old = [place for place in folder.iterdir() if place.is_dir() and place.stat().st_mtime < before]
    for place in old:
        shutil.rmtree(place, ignore_errors=True)
    return len(old)


def _whole(path: Path) -> bytes | None:
    """The bytes of a chunk, if they are those that its name says."""
    name = _NAME.fullmatch(path.name)
    try:
        found = path.read_bytes()
    except OSError:
        return None
    if name is None or _seal(found) != name[2]:
        get_logger(__name__).warning("damaged chunk ignored", path=str(path))
        return None
    return found


def _seal(written: bytes) -> str:
    return hashlib.sha256(written).hexdigest()[:16]
