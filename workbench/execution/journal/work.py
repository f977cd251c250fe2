"""Work and Claim: one thing to do at the broker, and whether it may be done now."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from workbench.execution.journal.intent import Intent


@dataclass(frozen=True, slots=True)
class Work:
    """One open row of the outbox: `submit`, `replace` or `cancel`; `tries`: how often it ended without a final word."""

    outbox_id: str
    kind: str
    tries: int
    intent: Intent


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether a request may leave: its intent, SENDING now; or why it may not, and until when (None: not known).

    `closed`: the work is over without a request; `look`: it may be at the broker and must be looked for again.
    """

    intent: Intent | None = None
    why: str = ""
    until: dt.datetime | None = None
    closed: bool = False
    look: bool = False
