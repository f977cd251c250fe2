"""A place by URL: a folder, an S3 bucket or anything else that fsspec opens; objects appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import StoreError

if TYPE_CHECKING:
    import fsspec

# Folders tell when they changed last, but only to the tick of the file system's clock: a listing that was made this
# close to the change may lack what was written in the same tick.
_TICK_NS: Final = 50_000_000
_SCANS: Final = 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a place says of one object without opening it; another stamp, another content.

    Attributes:
        size: in bytes.
        mark: the place's own mark of the content: an ETag, or the moment and the inode of the last change.
    """

    size: int
    mark: str


class Place:
    """Objects below one URL, named by their paths relative to it.

    Args:
        url: `/a/folder`, `file:///…`, `s3://bucket/prefix`, `memory://…`.
        options: handed to the file system, e.g. `{"endpoint_url": "http://127.0.0.1:9000", "key": …, "secret": …}`.
            Without them s3fs reads the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`.

    Raises:
        StoreError: (at the first use) nothing can open such a URL, or the library for it is not installed.
    """

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None) -> None:
        self.url = url
        self._options = dict(options or {})
        self._opened: tuple[int, fsspec.AbstractFileSystem, str] | None = None
        self._listed: dict[str, tuple[int, int, tuple[str, ...]]] = {}

    @property
    def local(self) -> bool:
        """True when the objects are files of this machine."""
        from fsspec.implementations.local import LocalFileSystem

        return isinstance(self._filesystem, LocalFileSystem)

    @property
    def root(self) -> str:
        """The path of the URL in its file system, without its scheme."""
        return self._open()[1]

    def overlaps(self, other: Place) -> bool:
        """True when both are one place, or one lies in the other."""
        if self._filesystem != other._filesystem:  # another protocol, endpoint or account
            return False
        ours, theirs = (Path(place.root or "/") for place in (self, other))
        if self.local:
            ours, theirs = ours.resolve(), theirs.resolve()
        return ours == theirs or ours in theirs.parents or theirs in ours.parents

    def full(self, path: str) -> str:
        """The path of an object in its file system."""
        return f"{self.root}/{path}" if path else self.root

    def names(self, folder: str) -> dict[str, Stamp | None]:
        """The objects directly in a folder, by name; empty when there is none. A local file has no stamp here.

        Objects of other processes are seen as soon as they are whole. Names that begin with a dot are left out: these
        are remains of killed writers.
        """
        if self.local:
            return dict.fromkeys(self._local_names(folder))
        full = self.full(folder)
        with self._speaking(full):
            self._filesystem.invalidate_cache(full)  # another process may have written since the last listing
            try:
                found = self._filesystem.ls(full, detail=True)
            except FileNotFoundError:
                return {}
        listed = {entry["name"].rsplit("/", 1)[-1]: _stamp(entry) for entry in found if entry["type"] == "file"}
        return {name: listed[name] for name in sorted(listed) if name and not name.startswith(".")}

    def walk(self) -> dict[str, int]:
        """All objects below the URL by path, in order, with their sizes in bytes; dotted names are left out."""
        with self._speaking(self.root):
            self._filesystem.invalidate_cache(self.root)
            found = self._filesystem.find(self.root, detail=True)
        sizes = {name[len(self.root) :].lstrip("/"): entry["size"] for name, entry in found.items()}
        return {path: sizes[path] for path in sorted(sizes) if path and not path.rsplit("/", 1)[-1].startswith(".")}

    def stamp(self, path: str) -> Stamp:
        """What the place says of one object. Raises FileNotFoundError."""
        if self.local:
            there = os.stat(self.full(path))  # noqa: PTH116 - a Path costs more than the call
            return Stamp(there.st_size, f"{there.st_mtime_ns}-{there.st_ino}")
        with self._speaking(self.full(path)):
            self._filesystem.invalidate_cache(self.full(path).rsplit("/", 1)[0])
            return _stamp(self._filesystem.info(self.full(path)))

    def read(self, path: str) -> bytes:
        """All bytes of an object. Raises FileNotFoundError."""
        if self.local:
            return Path(self.full(path)).read_bytes()
        with self._speaking(self.full(path)):
            content: bytes = self._filesystem.cat_file(self.full(path))
        return content

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of some ranges [start, end) of an object, asked for at once. Raises FileNotFoundError."""
        full = self.full(path)
        with self._speaking(full):
            if len(ranges) == 1:
                return [self._filesystem.cat_file(full, start=ranges[0][0], end=ranges[0][1])]
            starts, ends = zip(*ranges, strict=True)
            parts: list[bytes] = self._filesystem.cat_ranges([full] * len(ranges), list(starts), list(ends))
        return parts

    def write(self, path: str, content: bytes) -> None:
        """Store an object: it is there whole and for good when this returns, and not at all before.

        Raises:
            OSError: the disk of this machine refuses.
            StoreError: a place elsewhere refuses.
        """
        if not self.local:
            with self._speaking(self.full(path)):
                try:
                    self._filesystem.pipe_file(self.full(path), content)  # an object store shows the whole or none
                except FileNotFoundError as error:
                    raise StoreError(
                        f"{self.url} does not take objects ({error}); nothing was written.",
                        remedy="create the bucket first, or correct the URL.",
                    ) from error
            return
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        passing = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            with passing.open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            passing.replace(target)
        finally:
            passing.unlink(missing_ok=True)
        _sync_folder(target.parent)

    def remove(self, path: str) -> None:
        """Remove an object; one that is not there any more is no error."""
        with self._speaking(self.full(path)), contextlib.suppress(FileNotFoundError):
            if self.local:
                Path(self.full(path)).unlink()
            else:
                self._filesystem.rm_file(self.full(path))

    def remove_empty_folders(self) -> None:
        """Remove what is left of the tree when all its objects are gone; object stores have no folders."""
        if not self.local:
            return
        for folder, _, _ in os.walk(self.root, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST}:
                    raise

    @property
    def _filesystem(self) -> Any:
        return self._open()[0]

    def _open(self) -> tuple[fsspec.AbstractFileSystem, str]:
        if self._opened is None or self._opened[0] != os.getpid():  # the threads of a client do not survive a fork
            from fsspec.core import url_to_fs

            try:
                filesystem, root = url_to_fs(self.url, **self._options)
            except ImportError as error:
                extra = "workbench[s3]" if self.url.startswith(("s3:", "s3a:")) else "the library it names"
                raise StoreError(
                    f"{self.url} cannot be opened ({error}); nothing was done.", remedy=f"pip install {extra}"
                ) from error
            except ValueError as error:
                raise StoreError(
                    f"{self.url} cannot be opened ({error}); nothing was done.",
                    remedy="use a folder, file:///…, s3://bucket/prefix or another URL that fsspec knows.",
                ) from error
            self._opened = (os.getpid(), filesystem, str(root).rstrip("/"))
        return self._opened[1:]

    def _local_names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder of this machine, listed again only when the folder has changed."""
        full = self.full(folder)
        for _ in range(_SCANS):
            try:
                changed = os.stat(full).st_mtime_ns  # noqa: PTH116
                known = self._listed.get(folder)
                if known and known[0] == changed and changed < known[1] - _TICK_NS:
                    return known[2]
                begun = time.time_ns()
                with os.scandir(full) as found:
                    names = [entry.name for entry in found if not entry.name.startswith(".") and entry.is_file()]
                unchanged = os.stat(full).st_mtime_ns == changed  # noqa: PTH116
            except (FileNotFoundError, NotADirectoryError):
                return ()
            listed = tuple(sorted(names))
            if unchanged:
                self._listed[folder] = (changed, begun, listed)
                return listed
        return listed

    @contextlib.contextmanager
    def _speaking(self, full: str) -> Iterator[None]:
        """Say in our words what the client of a store elsewhere says in its own."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            if self.local or not (isinstance(error, OSError) or _of_s3_client(error)):
                raise
            raise StoreError(
                f"{self.url} could not be reached for {full} ({type(error).__name__}: {error}).",
                remedy="check the URL, the credentials and the endpoint (for S3: AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL).",
            ) from error


def _of_s3_client(error: Exception) -> bool:
    client = sys.modules.get("botocore.exceptions")
    return client is not None and isinstance(error, (client.BotoCoreError, client.ClientError))


def _stamp(entry: Mapping[str, Any]) -> Stamp:
    mark = next((entry[name] for name in ("ETag", "LastModified", "mtime", "created") if entry.get(name)), "")
    return Stamp(int(entry["size"]), str(mark))


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
