"""Killed: what the kill switch did, in numbers and in one sentence."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.execution.kill_switch.flattened import Flattened


@dataclass(frozen=True)
class Killed:
    """What the kill switch did.

    Attributes:
        halted_in: where the state HALTED stands: `database`, `file`, both, or neither.
        cancelled: client_order_ids whose cancel the broker accepted and that are no longer open.
        unsent: how many intents were ended before they were sent.
        left: client_order_ids of ours that are still open.
        unknown: client_order_ids that were sent, of which the broker has no order or does not say; watched by the desk.
        foreign: broker ids of open orders that are not ours, left alone.
        suspended: whether the broker refuses new orders itself now; None: it was not asked to.
        flattened: what came of closing the holdings; None: not asked for, or it could not be done (see `trouble`).
        timings: seconds from the command: `halted`, `first_cancel`, `zero` (nothing of ours open), `total`.
        trouble: what went wrong on the way, in words; empty when nothing did.
    """

    account: str
    reason: str
    halted_in: tuple[str, ...]
    cancelled: tuple[str, ...]
    unsent: int
    left: tuple[str, ...]
    unknown: tuple[str, ...]
    foreign: tuple[str, ...]
    suspended: bool | None
    flattened: Flattened | None
    timings: dict[str, float] = field(default_factory=dict)
    trouble: str = ""

    @property
    def clean(self) -> bool:
        """Whether the account is halted, nothing of ours is open, and no order is of unknown fate."""
        return bool(self.halted_in) and not self.left and not self.unknown and "zero" in self.timings

    @property
    def sentence(self) -> str:
        """All of it in words."""
        parts = [
            f"{self.account} is HALTED ({' and '.join(self.halted_in)})"
            if self.halted_in
            else f"the state of {self.account} could NOT be stored; a desk may go on sending"
        ]
        parts.append(f"{len(self.cancelled)} orders cancelled, {self.unsent} ended before they were sent")
        if "zero" in self.timings:
            parts.append(f"nothing of ours open after {self.timings['zero']:.2f} s")
        elif not self.left:
            parts.append("what is open at the broker could not be read")
        if self.left:
            parts.append(f"{len(self.left)} STILL OPEN: {', '.join(self.left[:5])}{' …' if len(self.left) > 5 else ''}")
        if self.unknown:
            parts.append(f"{len(self.unknown)} of unknown fate are cancelled on sight: {', '.join(self.unknown[:5])}")
        if self.foreign:
            parts.append(f"{len(self.foreign)} open orders are not ours and were left alone")
        if self.suspended is not None:
            parts.append("suspended at the broker" if self.suspended else "the broker did NOT suspend the account")
        if self.flattened is not None:
            parts.append(self.flattened.sentence)
        if self.trouble:
            parts.append(f"trouble: {self.trouble}")
        return "; ".join(parts) + "."

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(self.sentence)}</div>"
