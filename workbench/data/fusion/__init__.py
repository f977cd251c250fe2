"""Fusion: everything the store knows of one symbol at one moment, as one record that is named by its sha256.

1. `rules` says which kinds of facts are looked for, how far back, and how fast they age.
2. `gather` reads them from the store, one question per dataset, and nothing that was learned later.
3. `weighing` weighs sources against each other, and tells where they disagree.
4. `fuse` adds what is missing of what was `expected`, and stores the `record`.
"""

from __future__ import annotations

from workbench.data.fusion.fuse import Fusion, fuse
from workbench.data.fusion.record import Disagreement, EvidenceRecord, Fact, Missing, read_record

__all__ = ["Disagreement", "EvidenceRecord", "Fact", "Fusion", "Missing", "fuse", "read_record"]
