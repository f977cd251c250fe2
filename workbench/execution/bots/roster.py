"""The bots of an account: made, started, paused, stopped and changed while the others run; stored with an audit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import BotRefused, ParameterError, VersionConflict
from workbench.events import BotStatusChanged
from workbench.execution.bots import log as bot_log
from workbench.execution.bots.book import credit
from workbench.execution.bots.bot import Bot, BotState, check_step
from workbench.execution.bots.intents import open_intents
from workbench.execution.bots.plan import BotPlan, nearest
from workbench.execution.bots.rows import (
    columns_of,
    forget,
    held_symbols,
    refuse_deleted,
    refuse_orphans,
    refuse_taken,
    row_of,
)
from workbench.execution.journal.transitions import ask_cancel
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.event_log import publish
from workbench.store.schema import new_id, utc_now
from workbench.store.tables.bot import BotRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from workbench.execution.bots.risk import BotRisk
    from workbench.market.hours import TradingWindow

_REJOINS = ("strategy", "params", "symbols", "timeframe")  # a change of these is another idea: it joins the market anew


class Bots:
    """The bots of one account. Each call is one audited transaction; the desk of the account does what they decide.

    Args:
        known_symbols: what can be traded on the account; every well-formed symbol when None.
        clock: wall clock, UTC.
    """

    def __init__(
        self,
        engine: Engine,
        account: str,
        *,
        known_symbols: Collection[str] | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.engine, self.account = engine, account
        self._known, self._clock = known_symbols, clock

    # --- what there is

    def get(self, name: str) -> Bot:
        """The bot of that name (or id), a deleted one too. Raises NoData when there is none, with the nearest name."""
        with transaction(self.engine) as session:
            return Bot.of(row_of(session, self.account, name, lock=False))

    def list(self, *, states: Collection[BotState] | None = None, deleted: bool = False) -> tuple[Bot, ...]:
        """The bots by name; of the given states only, and the deleted ones too where asked for."""
        question = select(BotRow).where(BotRow.account == self.account).order_by(BotRow.name)
        if not deleted:
            question = question.where(BotRow.deleted_at.is_(None))
        if states is not None:
            question = question.where(BotRow.state.in_([state.value for state in states]))
        with transaction(self.engine) as session:
            return tuple(Bot.of(row) for row in session.scalars(question))

    def frame(self) -> pd.DataFrame:
        """One row per bot, see `bot_log.overview`."""
        return bot_log.overview(self.engine, self.account)

    def positions(self, name: str | None = None) -> pd.DataFrame:
        """What a bot (each bot when None) holds, see `bot_log.positions`. Raises NoData as `get`."""
        return bot_log.positions(self.engine, self.account, self._id(name))

    def trades(self, name: str | None = None) -> pd.DataFrame:
        """The round trips of a bot (each bot when None), see `bot_log.trades`. Raises NoData as `get`."""
        return bot_log.trades(self.engine, self.account, self._id(name))

    def decisions(self, name: str | None = None, *, limit: int = 1000) -> pd.DataFrame:
        """The newest decisions of a bot (each bot when None), see `bot_log.decisions`. Raises NoData as `get`."""
        return bot_log.decisions(self.engine, self.account, self._id(name), limit=limit)

    def __iter__(self) -> Iterator[Bot]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self.list())

    def __repr__(self) -> str:
        lines = [bot.line for bot in self.list()]
        return "\n".join(lines) if lines else f"{self.account} has no bot; make one with create(name, capital=…, …)"

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(index=False, escape=True)
        return html

    # --- making and changing

    def create(
        self,
        name: str,
        *,
        capital: Decimal | float | str,
        symbols: str | Sequence[str],
        strategy: str = "rules",
        params: Mapping[str, Any] | None = None,
        every_seconds: float = 60.0,
        timeframe: str = "1d",
        window: TradingWindow | Mapping[str, Any] | None = None,
        risk: BotRisk | Mapping[str, Any] | None = None,
    ) -> Bot:
        """Make a bot; it does nothing until it is started. See `BotPlan` for what it is told.

        Raises:
            ParameterError: a part is not accepted; nothing was made.
            BotRefused: the name is taken, by a deleted bot too: its orders and fills are booked under it.
        """
        plan = BotPlan.of(
            name,
            capital=capital,
            symbols=symbols,
            strategy=strategy,
            params=params,
            every_seconds=every_seconds,
            timeframe=timeframe,
            window=window,
            risk=risk,
            known_symbols=self._known,
        )
        with transaction(self.engine) as session:
            refuse_taken(session, self.account, name)
            row = BotRow(
                id=new_id(),
                account=self.account,
                **columns_of(plan),
                number=1,
                state=BotState.CREATED.value,
                detail="",
                ending=False,
                cash=plan.capital,
                realized=Decimal(0),
                decisions=0,
                waiting={},
                barred={},
                trace_id=trace_id(),
            )
            session.add(row)
            session.flush()
            audit.record(session, entity="bot", entity_id=row.id, action="created", after=plan.to_dict())
            publish(session, self._event(row, before="", after=BotState.CREATED, reason=""))
            return Bot.of(row)

    def update(self, name: str, /, *, expected: int | None = None, **changes: Any) -> Bot:
        """Change what a bot that does not run is told: any part of its plan but the name; `params` are all of them.

        Another strategy, other parameters, symbols or bars are another idea: it joins the market anew when it starts
        next. More or less `capital` is money given to it or taken from it: its cash changes by the difference.

        Args:
            expected: `Bot.number` as it was read; the change is refused when somebody else was faster.

        Raises:
            ParameterError: a part is not accepted, or there is no such part.
            BotRefused: it runs, is deleted, or still holds a symbol that it shall no longer trade.
            VersionConflict: it was changed since `expected` was read; nothing was overwritten.
        """
        with transaction(self.engine) as session:
            row = row_of(session, self.account, name)
            before = Bot.of(row)
            refuse_deleted(row)
            if before.state is BotState.RUNNING:
                raise BotRefused(
                    f"bot {row.name!r} is running; its plan was not changed.",
                    remedy=f"pause it first: pause({row.name!r}).",
                )
            if expected is not None and expected != row.number:
                raise VersionConflict(
                    f"bot {row.name!r} is at version {row.number}, not {expected}: somebody else changed it meanwhile; "
                    "nothing was overwritten.",
                    remedy="read it again and decide anew.",
                    expected=expected,
                    found=row.number,
                )
            told = before.plan.to_dict()
            if unknown := sorted(changes.keys() - (told.keys() - {"name"})):
                raise ParameterError(
                    f"{unknown[0]!r} is no part of a bot's plan that can be changed; nothing was changed.",
                    remedy=nearest(unknown[0], told.keys() - {"name"}),
                )
            if "strategy" in changes and changes["strategy"] != told["strategy"] and "params" not in changes:
                told["params"] = {}
            plan = BotPlan.of(**{**told, **changes}, known_symbols=self._known)
            if plan == before.plan:
                return before
            credit(session, self.account)
            refuse_orphans(session, row, plan)
            for column, value in columns_of(plan).items():
                setattr(row, column, value)
            row.cash += plan.capital - before.plan.capital
            row.number += 1
            if any(getattr(plan, part) != getattr(before.plan, part) for part in _REJOINS):
                forget(row)
            audit.record(
                session,
                entity="bot",
                entity_id=row.id,
                action="changed",
                before=before.plan.to_dict(),
                after=plan.to_dict(),
            )
            session.flush()
            return Bot.of(row)

    def delete(self, name: str) -> Bot:
        """Put a bot away that does not run, holds nothing and has no open order. Its trades stay, its name stays taken.

        Raises:
            BotRefused: it runs, is paused, holds something or has an order that may be live.
        """
        with transaction(self.engine) as session:
            row = row_of(session, self.account, name)
            refuse_deleted(row)
            credit(session, self.account)
            held, open_orders = held_symbols(session, row), open_intents(session, row)
            lively = BotState(row.state) in {BotState.RUNNING, BotState.PAUSED}
            if lively or held or open_orders:
                why = row.state if lively else f"holding {', '.join(held)}" if held else "waiting for an order to end"
                raise BotRefused(
                    f"bot {row.name!r} is {why}; it was not deleted.",
                    remedy=f"stop it first: stop({row.name!r}, flatten=True).",
                )
            row.deleted_at = self._clock()
            audit.record(session, entity="bot", entity_id=row.id, action="deleted", before=Bot.of(row).plan.to_dict())
            return Bot.of(row)

    # --- its life

    def start(self, name: str) -> Bot:
        """Let it trade. A paused bot goes on; any other joins the market anew: it moves to the wish then in force.

        Raises:
            BotRefused: it runs already, or is deleted.
        """
        return self._move(name, BotState.RUNNING)

    def pause(self, name: str) -> Bot:
        """Let it decide nothing until `resume`; its stops and targets are still watched. Raises BotRefused."""
        return self._move(name, BotState.PAUSED)

    def resume(self, name: str) -> Bot:
        """Let a paused bot go on; what its strategy wished meanwhile is acted on. Raises BotRefused if not paused."""
        return self._move(name, BotState.RUNNING, only_from=BotState.PAUSED)

    def stop(self, name: str, *, flatten: bool = False) -> Bot:
        """End it: its open orders are cancelled, and nothing of it is watched any more.

        Args:
            flatten: sell what it holds first. The desk does that inside the bot's window; the bot is `ending` until its
                holdings are gone, and stops then.

        Raises:
            BotRefused: it is stopped already, or deleted.
        """
        with transaction(self.engine) as session:
            row = row_of(session, self.account, name)
            refuse_deleted(row)
            check_step(row.name, BotState(row.state), BotState.STOPPED)
            credit(session, self.account)
            self._cancel_open(session, row)
            if (
                flatten
                and BotState(row.state).is_watched
                and (held_symbols(session, row) or open_intents(session, row))
            ):
                row.ending, row.detail, row.waiting = True, "its holdings are being sold, then it stops", {}
                audit.record(session, entity="bot", entity_id=row.id, action="ending", before={"state": row.state})
                return Bot.of(row)
            held = held_symbols(session, row)
            self._step(session, row, BotState.STOPPED, f"it still holds {', '.join(held)}" if held else "")
            return Bot.of(row)

    def fail(self, name: str, why: str) -> Bot:
        """Say why it cannot go on; only this bot stops deciding. Failing again keeps the first reason.

        Raises:
            BotRefused: it neither runs nor is paused.
        """
        with transaction(self.engine) as session:
            row = row_of(session, self.account, name)
            if row.state != BotState.FAILED:
                check_step(row.name, BotState(row.state), BotState.FAILED)
                self._step(session, row, BotState.FAILED, why)
            return Bot.of(row)

    def ended(self, name: str) -> Bot:
        """Stop an `ending` bot whose holdings and orders are gone; any other is returned as it stands."""
        with transaction(self.engine) as session:
            row = row_of(session, self.account, name)
            if row.ending and not held_symbols(session, row) and not open_intents(session, row):
                self._step(session, row, BotState.STOPPED, "")
            return Bot.of(row)

    # --- inside

    def _move(self, name: str, to: BotState, *, only_from: BotState | None = None) -> Bot:
        with transaction(self.engine) as session:
            row = row_of(session, self.account, name)
            refuse_deleted(row)
            current = BotState(row.state)
            if only_from is not None and current is not only_from:
                raise BotRefused(
                    f"bot {row.name!r} is {current}, not {only_from}; nothing was changed.",
                    remedy=f"start({row.name!r}) begins anew.",
                    state=current.value,
                )
            check_step(row.name, current, to)
            if to is BotState.RUNNING:
                Bot.of(row).plan.built  # noqa: B018 - a plan that its strategy no longer accepts must not start
                if current is not BotState.PAUSED:
                    forget(row)
            self._step(session, row, to, "")
            return Bot.of(row)

    def _step(self, session: Session, row: BotRow, to: BotState, why: str) -> None:
        before = row.state
        row.state, row.detail, row.ending = to.value, why, False
        after = {"state": to.value, **({"why": why} if why else {})}
        audit.record(session, entity="bot", entity_id=row.id, action=to.value, before={"state": before}, after=after)
        publish(session, self._event(row, before=before, after=to, reason=why))
        session.flush()

    def _event(self, row: BotRow, *, before: str, after: BotState, reason: str) -> BotStatusChanged:
        return BotStatusChanged(
            account=self.account, bot_id=row.id, bot=row.name, before=before, after=after.value, reason=reason
        )

    def _id(self, name: str | None) -> str | None:
        return None if name is None else self.get(name).id

    def _cancel_open(self, session: Session, row: BotRow) -> None:
        for intent in open_intents(session, row):
            ask_cancel(session, intent, at=self._clock(), note=f"bot {row.name} was stopped")
