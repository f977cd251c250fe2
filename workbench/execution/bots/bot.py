"""Bot: a strategy at work, frozen at the moment of reading, and the states it goes through."""

from __future__ import annotations

import datetime as dt
import enum
import html
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.errors import BotRefused
from workbench.execution.bots.plan import BotPlan
from workbench.execution.bots.risk import read_risk
from workbench.market.hours import TradingWindow

if TYPE_CHECKING:
    from workbench.store.tables.bot import BotRow


class BotState(enum.StrEnum):
    """The life of a bot. Legal steps are in `STEPS`; every other step raises.

    CREATED: it was never started. RUNNING: it decides. PAUSED: it decides nothing, its stops and targets are still
    watched. STOPPED: nothing of it is watched. FAILED: its strategy or its data raised; stops and targets are watched.
    """

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_watched(self) -> bool:
        """Whether its holdings are guarded by their stops and targets."""
        return self in {BotState.RUNNING, BotState.PAUSED, BotState.FAILED}


_S = BotState

STEPS: dict[BotState, frozenset[BotState]] = {
    _S.CREATED: frozenset({_S.RUNNING, _S.STOPPED}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.STOPPED, _S.FAILED}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.STOPPED, _S.FAILED}),
    _S.STOPPED: frozenset({_S.RUNNING}),
    _S.FAILED: frozenset({_S.RUNNING, _S.STOPPED}),
}


def check_step(name: str, current: BotState, to: BotState) -> None:
    """Raise BotRefused unless a bot may go from one state to the other; the remedy names the states it can go to."""
    if to not in STEPS[current]:
        raise BotRefused(
            f"bot {name!r} is {current} and cannot become {to}; nothing was changed.",
            remedy=f"from {current} it can become {' or '.join(sorted(STEPS[current]))}.",
            bot=name,
            state=current.value,
            to=to.value,
        )


@dataclass(frozen=True, slots=True)
class Bot:
    """A stored bot as it stands.

    Attributes:
        number: which version of its plan this is, from 1 on; what `expected` means in `Bots.update`.
        detail: why it is in this state, empty when there is nothing to say.
        ending: its holdings are being sold, then it stops.
        cash: capital and what its fills moved, currency. realized: profit of what it sold, fees taken off.
        equity: what it was worth when it last looked; None before.
        decided_at: when it last acted, UTC; None before.
        began: the session from which its strategy counts; None before the first decision.
        bar_at: the stamp of the newest bar whose wishes were acted on.
    """

    id: str
    account: str
    plan: BotPlan
    number: int
    state: BotState
    detail: str
    ending: bool
    cash: Decimal
    realized: Decimal
    equity: Decimal | None
    session: str | None
    decisions: int
    decided_at: dt.datetime | None
    began: dt.date | None
    bar_at: dt.datetime | None
    waiting: Mapping[str, float]
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None = None

    @classmethod
    def of(cls, row: BotRow) -> Bot:
        """The value of a row."""
        plan = BotPlan(
            name=row.name,
            capital=row.capital,
            strategy=row.strategy,
            params=dict(row.params),
            symbols=tuple(row.symbols),
            every_seconds=row.every_seconds,
            timeframe=row.timeframe,
            window=TradingWindow.of(row.window),
            risk=read_risk(row.risk),
        )
        return cls(
            id=row.id,
            account=row.account,
            plan=plan,
            number=row.number,
            state=BotState(row.state),
            detail=row.detail,
            ending=row.ending,
            cash=row.cash,
            realized=row.realized,
            equity=row.equity,
            session=row.session,
            decisions=row.decisions,
            decided_at=row.decided_at,
            began=None if row.began is None else dt.date.fromisoformat(row.began),
            bar_at=row.bar_at,
            waiting=dict(row.waiting),
            created_at=row.created_at,
            updated_at=row.updated_at,
            deleted_at=row.deleted_at,
        )

    @property
    def name(self) -> str:
        """Its name."""
        return self.plan.name

    @property
    def line(self) -> str:
        """The bot on one line."""
        plan = self.plan
        shown = ", ".join(plan.symbols[:4]) + (f" … ({len(plan.symbols)} symbols)" if len(plan.symbols) > 4 else "")
        worth = "" if self.equity is None else f" · worth {self.equity:,.2f}"
        why = f" ({self.detail})" if self.detail else ""
        return (
            f"{self.name}: {self.state}{why} · {plan.strategy} on {shown} · {plan.timeframe} bars, every "
            f"{plan.every_seconds:g} s · {plan.window} · capital {plan.capital:,.2f}{worth}"
        )

    def __str__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(self.line)}</div>"
