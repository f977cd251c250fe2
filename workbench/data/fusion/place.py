"""Place: one kind of facts of one source, and where they lie in the store."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.data.fusion.rules import KindRule


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of one source: `dataset` is its name in the vintages, `venue` the calendar of its sessions."""

    rule: KindRule
    source: str
    dataset: str
    venue: str = "XNYS"
