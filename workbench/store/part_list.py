"""Which parts of a dataset are in force: all that lie there, less those that a merge has replaced.

A merge writes the merged parts, then a note that names what they replace; much later the replaced parts are removed. A
note counts only while what it was replaced by is there, or was itself replaced: ignoring a note shows rows twice, which
a reader does not notice, and never hides any. So a process may die between any two steps, and two may merge at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from workbench.errors import StoreError
from workbench.store.part_name import parse

if TYPE_CHECKING:
    from workbench.store.place import Place, Stamp

_NOTE: Final = "merged-"


@dataclass(frozen=True, slots=True)
class Note:
    """What one merge did.

    Attributes:
        name: of the object.
        replaces: names of the parts whose rows are all in `by`.
        by: names of the parts that were written.
        at: when (UTC).
    """

    name: str
    replaces: frozenset[str]
    by: frozenset[str]
    at: pd.Timestamp

    @classmethod
    def of(cls, replaces: Iterable[str], by: Iterable[str], *, at: pd.Timestamp, digest: str) -> Note:
        """The note of a merge that `digest` names."""
        return cls(f"{_NOTE}{digest[:32]}.json", frozenset(replaces), frozenset(by), at)

    def content(self) -> bytes:
        """The note as it is stored."""
        said = {"replaces": sorted(self.replaces), "by": sorted(self.by), "at": self.at.isoformat()}
        return json.dumps(said, indent=1).encode()

    @classmethod
    def read(cls, name: str, content: bytes) -> Note:
        """The note of that name. Raises StoreError."""
        try:
            said = json.loads(content)
            return cls(name, frozenset(said["replaces"]), frozenset(said["by"]), pd.Timestamp(said["at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"the note {name} is damaged ({error}); nothing was read.",
                remedy="remove the note: what it says is only which parts need not be read.",
            ) from error


@dataclass(frozen=True, slots=True)
class Parts:
    """What lies in the folder of a dataset at one moment.

    Attributes:
        live: names of the parts to be read, in order, with their stamps.
        hidden: parts that a note in force has replaced.
        notes: all notes, those in force first.
        in_force: how many of them are.
        loose: how many of the parts to be read were never merged.
    """

    live: dict[str, Stamp | None]
    hidden: dict[str, Stamp | None]
    notes: tuple[Note, ...]
    in_force: int
    loose: int


class PartList:
    """Lists the parts of the datasets of one place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._notes: dict[str, Note] = {}
        self._last: dict[str, tuple[dict[str, Stamp | None], Parts]] = {}

    def of(self, dataset: str) -> Parts:
        """What lies there now, parts of other processes included. Raises StoreError for a damaged note."""
        names = self._place.names(dataset)
        last = self._last.get(dataset)
        if last is not None and last[0] == names:  # what the notes say follows from the names and never changes
            return last[1]
        notes = [self._note(dataset, name) for name in names if name.startswith(_NOTE) and name.endswith(".json")]
        told = _told(names, [note for note in notes if note is not None])
        if None not in notes:
            self._last[dataset] = names, told
        return told

    def _note(self, dataset: str, name: str) -> Note | None:
        path = f"{dataset}/{name}"
        if path not in self._notes:
            try:
                self._notes[path] = Note.read(name, self._place.read(path))
            except FileNotFoundError:  # it has done its work meanwhile
                return None
        return self._notes[path]


def _told(names: dict[str, Stamp | None], notes: list[Note]) -> Parts:
    """Which of the objects of these names are in force."""
    parts = {name: stamp for name, stamp in names.items() if name.endswith(".parquet")}
    good = list(notes)
    while True:
        explained = set(parts).union(*(note.replaces for note in good))
        still = [note for note in good if note.by <= explained]
        if len(still) == len(good):
            break
        good = still
    replaced: set[str] = set().union(*(note.replaces for note in good))
    return Parts(
        live={name: stamp for name, stamp in parts.items() if name not in replaced},
        hidden={name: stamp for name, stamp in parts.items() if name in replaced},
        notes=(*good, *(note for note in notes if note not in good)),
        in_force=len(good),
        loose=sum(1 for name in parts if name not in replaced and ((said := parse(name)) is None or said.level == 0)),
    )
