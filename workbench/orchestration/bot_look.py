"""One look of a bot at the market: what it saw, and what it led to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.market.bars import Bars
    from workbench.orchestration.bot_bars import Seen
    from workbench.orchestration.bot_signal import Signal


@dataclass(frozen=True, slots=True)
class Look:
    """One look of a bot at the market.

    Attributes:
        now: the market's moment, UTC. session: the session it lies in. opens, closes: the bot's window in it, UTC.
        prices: newest price per symbol, where there is one, of everything that the account holds too.
        bars: what the strategy sees, for sizes that depend on how much a price moves; None: not at hand.
        signal: what the strategy says; None when it has nothing new to say, or was not asked.
        indicators: the values that the strategy looked at, of a symbol.
    """

    now: dt.datetime
    session: dt.date
    opens: dt.datetime
    closes: dt.datetime
    prices: Mapping[str, Seen]
    bars: Bars | None
    signal: Signal | None
    indicators: Callable[[str], dict[str, float | None]]


@dataclass(frozen=True, slots=True)
class Acted:
    """What a look led to: intents written, wishes refused, and whether the bot must look again soon.

    `stale`: the bot was changed since it was read; nothing was done.
    """

    written: int = 0
    refused: int = 0
    soon: bool = False
    stale: bool = False
