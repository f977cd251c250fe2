"""Cache: answers in one file of a folder; bodies under their sha256, entries under a hash of question and credentials.

Two processes may use one folder: an answer is there whole or not at all, and a body whose hash is not its name is a
miss and goes. What was used longest ago goes first when there is no room. A file that is damaged is started anew: it
holds nothing that a vendor cannot say again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workbench.errors import StoreError

LARGEST: Final = 512 * 1024 * 1024  # bytes of all bodies
_KEPT: Final = 0.8  # the share that is left after making room
_WAIT: Final = 0.25  # seconds to wait for another process; then it is a miss, or is not kept
_TOUCH: Final = 60.0  # seconds; a use is noted this seldom
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS body (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
    key TEXT PRIMARY KEY, sha256 TEXT NOT NULL, status INTEGER NOT NULL, headers TEXT NOT NULL,
    fetched REAL NOT NULL, until REAL NOT NULL, used REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_used ON entry (used);
CREATE INDEX IF NOT EXISTS entry_sha256 ON entry (sha256);
CREATE TABLE IF NOT EXISTS salt (one INTEGER PRIMARY KEY CHECK (one = 1), bytes BLOB NOT NULL);
"""
_READ: Final = """
SELECT entry.sha256, status, headers, fetched, used, content FROM entry JOIN body ON body.sha256 = entry.sha256
WHERE key = ? AND fetched <= ? AND until > ?
"""
_ORPHANS: Final = "DELETE FROM body WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.sha256 = body.sha256)"


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was stored."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    fetched_at: dt.datetime


class Cache:
    """A folder of answers, for threads and processes: what cannot be read is a miss, what cannot be written is lost.

    Args:
        folder: made where it is absent, open to its owner only.
        largest: bytes of all bodies together; it may be passed by a twentieth for a moment.

    Raises:
        StoreError: the folder cannot be used at all.
    """

    def __init__(self, folder: Path, *, largest: int = LARGEST) -> None:
        self.path = folder / "answers.db"
        self._largest = largest
        self._lock = threading.Lock()
        self._written: int | None = None  # bytes since the bodies were last measured; None: never
        self._connection: sqlite3.Connection | None = None
        self.salt = b""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError(
                f"the cache of answers at {self.path} cannot be opened ({error}); nothing was read.",
                remedy="make the folder writable, or name another one.",
            ) from error
        except sqlite3.DatabaseError:
            self._start_anew()

    def read(self, key: str, *, at: dt.datetime) -> Kept | None:
        """The answer under the key where it is whole and not too old."""
        now = at.timestamp()
        with self._asked() as connection:
            if connection is None:
                return None
            found = connection.execute(_READ, (key, now, now)).fetchone()
            if found is None:
                return None
            name, status, headers, fetched, used, content = found
            if hashlib.sha256(content).hexdigest() != name:
                connection.execute("DELETE FROM body WHERE sha256 = ?", (name,))
                return None
            if now - used > _TOUCH:
                connection.execute("UPDATE entry SET used = ? WHERE key = ?", (now, key))
            return Kept(status, json.loads(headers), content, dt.datetime.fromtimestamp(fetched, dt.UTC))
        return None

    def write(self, key: str, kept: Kept, *, seconds: float) -> bool:
        """Keep an answer for so many seconds from when it was fetched; False: it was not kept."""
        size = len(kept.content)
        if size > self._largest // 4:
            return False
        name, fetched = hashlib.sha256(kept.content).hexdigest(), kept.fetched_at.timestamp()
        entry = (key, name, kept.status, json.dumps(dict(kept.headers)), fetched, fetched + seconds, fetched)
        with self._asked() as connection:
            if connection is None:
                return False
            with _transaction(connection):
                connection.execute("INSERT OR IGNORE INTO body VALUES (?, ?, ?)", (name, size, kept.content))
                connection.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", entry)
                self._make_room(connection, size)
            return True
        return False

    def drop(self, key: str) -> None:
        """Forget the answer; its body goes when room is needed."""
        with self._asked() as connection:
            if connection is not None:
                connection.execute("DELETE FROM entry WHERE key = ?", (key,))

    def bytes(self) -> int:
        """Bytes of all bodies."""
        with self._asked() as connection:
            if connection is not None:
                return _total(connection)
        return 0

    def close(self) -> None:
        """Close the file; the cache reads and keeps nothing afterwards."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _make_room(self, connection: sqlite3.Connection, written: int) -> None:
        """Every so many bytes: drop what was used longest ago until enough is free."""
        if self._written is not None:
            self._written += written
            if self._written < self._largest // 20:
                return
        self._written = 0
        if _total(connection) <= self._largest:
            return
        connection.execute("DELETE FROM entry WHERE sha256 NOT IN (SELECT sha256 FROM body)")
        connection.execute(_ORPHANS)
        most = self._largest * _KEPT
        while (over := _total(connection) - most) > 0:
            oldest = connection.execute(
                "SELECT key, size FROM entry JOIN body ON body.sha256 = entry.sha256 ORDER BY used LIMIT 100"
            ).fetchall()
            if not oldest:
                return
            gone = []
            for key, size in oldest:
                gone.append((key,))
                over -= size
                if over <= 0:
                    break
            connection.executemany("DELETE FROM entry WHERE key = ?", gone)
            connection.execute(_ORPHANS)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection | None]:
        """The connection, for one thread at a time; None: it is closed. Faults of the file end the block quietly."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.OperationalError:
                return  # another process was busy too long, or the disk is full: a miss
            except (sqlite3.DatabaseError, ValueError, TypeError):
                self._start_anew()

    def _open(self) -> None:
        connection = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            self.path.chmod(0o600)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            with _transaction(connection):
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", (os.urandom(32),))
            self.salt = connection.execute("SELECT bytes FROM salt").fetchone()[0]
            connection.execute(f"PRAGMA busy_timeout={int(_WAIT * 1000)}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _start_anew(self) -> None:
        """Put a damaged file away and begin an empty one; where that fails too, nothing is kept from now on."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        with contextlib.suppress(OSError, sqlite3.Error):
            for ending in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            self._open()


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _total(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT COALESCE(SUM(size), 0) FROM body").fetchone()[0])
