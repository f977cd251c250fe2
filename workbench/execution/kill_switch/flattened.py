"""Flattened: what came of closing every holding, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from workbench.execution.journal.intent import Intent


@dataclass(frozen=True, slots=True)
class Flattened:
    """What came of flattening.

    Attributes:
        intents: the closing orders as they are now.
        refusals: holdings that no order could be written for: symbol, code, message.
        held: signed shares per symbol that the broker still reports.
        foreign: holdings of symbols that no order of ours was ever for; left alone.
        taken_over: from whom the account was taken over, empty when from nobody.
        sentence: all of it in words.
    """

    intents: tuple[Intent, ...]
    refusals: tuple[dict[str, Any], ...]
    held: dict[str, Decimal]
    foreign: dict[str, Decimal]
    taken_over: str
    sentence: str
