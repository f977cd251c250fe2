"""The sources of bars by name; each vendor has one file and knows no other."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.data.source import BarSource

NAMES = ("bundled", "synthetic")


def open_source(name: str, *, seed: int = 7) -> BarSource:
    """The source that a Study calls `name`; opening costs nothing and reads nothing.

    Args:
        name: one of `NAMES`.
        seed: the seed of a synthetic market; real sources do not look at it.

    Raises:
        DataError: there is no such source.
    """
    if name == "bundled":
        from workbench.data.sources.bundled import BundledSource

        return BundledSource()
    if name == "synthetic":
        from workbench.data.sources.synthetic import SyntheticSource

        return SyntheticSource(seed=seed)
    near = difflib.get_close_matches(name, NAMES, n=1)
    raise DataError(
        f"source={name!r} is not a source of bars; the known ones are {', '.join(NAMES)}.",
        remedy=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(NAMES)}.",
    )
