"""The sources of bars by name; each vendor has one file and knows no other."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.data.source import BarSource

NAMES = ("bundled", "synthetic")  # open to everybody
WITH_KEYS = ("alpaca",)


def open_source(name: str, *, seed: int = 7, keys: tuple[str, str] | None = None, url: str | None = None) -> BarSource:
    """The source that a Study calls `name`; opening costs nothing and reads nothing.

    Args:
        name: one of `NAMES`, or of `WITH_KEYS`.
        seed: the seed of a synthetic market; real sources do not look at it.
        keys: key id and secret key of a vendor that asks for them; nothing is read from the environment here.
        url: the address of the vendor's API; its own when None.

    Raises:
        DataError: there is no such source, or it needs keys and none were given.
    """
    if name == "bundled":
        from workbench.data.sources.bundled import BundledSource

        return BundledSource()
    if name == "synthetic":
        from workbench.data.sources.synthetic import SyntheticSource

        return SyntheticSource(seed=seed)
    if name == "alpaca":
        if keys is None:
            raise DataError(
                "source='alpaca' needs keys, and none were given; nothing was opened.",
                remedy="pass keys=(key_id, secret_key).",
            )
        from workbench.data.sources.alpaca import AlpacaSource

        return AlpacaSource(key_id=keys[0], secret_key=keys[1], url=url)
    known = (*NAMES, *WITH_KEYS)
    near = difflib.get_close_matches(name, known, n=1)
    raise DataError(
        f"source={name!r} is not a source of bars; the known ones are {', '.join(known)}.",
        remedy=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}.",
    )
