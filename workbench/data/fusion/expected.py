"""Expected: the sources from which a record expects something, and the places in the store where that lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.data.fusion.place import Place
from workbench.data.fusion.rules import NOT_EXPECTED, RULES
from workbench.data.kinds import dataset_name
from workbench.data.sources import SOURCES, listed
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from workbench.data.source import Source

VENUE: Final = "XNYS"


@dataclass(frozen=True, slots=True)
class Expected:
    """A source from which something is expected: its name in the store, what it can be asked for, is it invented."""

    name: str
    kinds: tuple[str, ...]
    synthetic: bool


def expected_of(sources: str | Source | Sequence[str | Source] | None, seed: int) -> list[Expected]:
    """Those of the list by name, others as objects: what these can be asked for are their methods.

    Raises:
        DataError: one is not of the list.
        ParameterError: none is named.
    """
    if sources is None:
        given: list[str | Source] = [name for name in SOURCES if name not in NOT_EXPECTED]
    elif isinstance(sources, Sequence) and not isinstance(sources, str):
        given = list(sources)
    else:
        given = [sources]
    if not given:
        raise ParameterError("sources is empty; nothing was fused.", remedy="name at least one, or leave it out.")
    found = {}
    for one in given:
        if isinstance(one, str):
            name = listed(one.strip()).name
            invented = name == "synthetic"
            made = Expected(f"{name}-{seed}" if invented else name, listed(name).kinds, invented)
        else:
            kinds = tuple(kind for kind in RULES if callable(getattr(one, kind, None)))
            made = Expected(one.name, kinds, one.synthetic)
        found[made.name] = made
    return [found[name] for name in sorted(found)]


def places_of(expected: Iterable[Expected]) -> Iterable[Place]:
    """Every kind that each source can be asked for, and the reading of its news."""
    for source in expected:
        for kind in (*source.kinds, *(("sentiment",) if "news" in source.kinds else ())):
            if kind in RULES:
                timeframe = "1d" if kind == "bars" else ""
                yield Place(RULES[kind], source.name, dataset_name(kind, source.name, timeframe=timeframe), VENUE)
