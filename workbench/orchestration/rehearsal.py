"""A rehearsal: the bots of an account trade past sessions on the local exchange, in minutes instead of days.

The bots, the risk checks, the journal, the desk, the broker's protocol and the stream are the real ones. Only the clock
is not the wall's: after every bar it stands still until the bots have looked and the desk has sent what they wish.
"""

from __future__ import annotations

import contextlib
import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench import sessions
from workbench.errors import BotRefused, ExecutionError
from workbench.exchange import embedded
from workbench.execution.bots.bot import BotState
from workbench.execution.bots.roster import Bots
from workbench.market.order import IntentState
from workbench.orchestration.accounts import opened
from workbench.orchestration.bot_bars import SourceFeed
from workbench.orchestration.bot_engine import BotEngine
from workbench.orchestration.desk_spawn import stem
from workbench.orchestration.stepped_desk import SteppedDesk
from workbench.study import MINUTES
from workbench.trace import logging_to

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from workbench.execution.reconciliation.discrepancy import Reconciliation
    from workbench.execution.risk.limits import Limits
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace

_LIVE = tuple(state for state in IntentState if state.may_be_live)
_COLUMNS = ("session", "equity", "cash", "orders", "fills", "refused", "discrepancies")


@dataclass(frozen=True)
class Rehearsal:
    """What came of a rehearsal.

    `sessions` has one row per session: equity and cash at its close, what was done, and what still differed from the
    exchange's book after repairs. `bots` shows what each bot has made of it; positions, trades and decisions are asked
    of `Bots`.
    """

    account: str
    label: str
    sessions: pd.DataFrame
    bots: pd.DataFrame

    @property
    def line(self) -> str:
        """The rehearsal on one line."""
        total = self.sessions[["orders", "fills", "refused", "discrepancies"]].sum()
        first, last = self.sessions["session"].iloc[[0, -1]]
        return (
            f"{self.account}: {len(self.bots)} bots, sessions {first} to {last} · {total['orders']:.0f} orders, "
            f"{total['fills']:.0f} fills, {total['refused']:.0f} refused, {total['discrepancies']:.0f} discrepancies · "
            f"equity {self.sessions['equity'].iloc[-1]:,.2f} · {self.label}"
        )

    def __repr__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        table: str = self.sessions.to_html(index=False, escape=True)
        return f"<div><b>{html.escape(self.line)}</b>{table}</div>"


def rehearse(
    workspace: Workspace,
    settings: Settings,
    account: str,
    *,
    start: Any,
    end: Any = None,
    source: str = "synthetic",
    seed: int = 7,
    cash: float = 100_000.0,
    limits: Limits | None = None,
    faults: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Rehearsal:
    """Let the running bots of an account trade from session `start` to session `end`, both included.

    The account is opened with `cash` on the local exchange the session before, or goes on where it stands. It must not
    be traded by another desk meanwhile. What is traded stays booked under the account: each try has a name of its own.
    What the desk logs is in the folder `desks`.

    Args:
        source, seed: the market; it must have bars of the bots' shortest timeframe.
        limits: bounds of the account; `Limits()` when None.
        faults: what goes wrong on the wire meanwhile, e.g. `"504-after-accept:0.1"`; see `exchange.telling.faults`.
        progress: called with (bars done, bars in all).

    Raises:
        BotRefused: no bot of the account runs, or the account's clock stands after `start`.
        LeaseLost: another desk trades the account.
        ExecutionError: the settings name another broker than the local exchange, or an order did not come to an end.
    """
    if settings.broker != "local":
        raise ExecutionError(
            f"broker={settings.broker!r} cannot be replayed; nothing was traded.",
            remedy="rehearse with broker='local', the default.",
        )
    from workbench.data.sources import open_source

    bots = Bots(workspace.engine, account)
    running = bots.list(states=[BotState.RUNNING])
    if not running:
        raise BotRefused(f"no bot of {account!r} runs; nothing was traded.", remedy="create one and start it.")
    feed_source = open_source(source, seed=seed)
    finest = min((bot.plan.timeframe for bot in running), key=lambda one: MINUTES.get(one, 24 * 60))
    venue = feed_source.venue
    first, last = pd.Timestamp(start), pd.Timestamp(start if end is None else end)
    reached = opened(
        workspace,
        settings,
        account,
        source=source,
        seed=seed,
        cash=cash,
        at=sessions.closes(venue, sessions.previous_session(venue, first)).to_pydatetime(),
        timeframe=finest,
    )
    _refuse_the_past(reached.url, account, sessions.opens(venue, first).to_pydatetime())
    desk = SteppedDesk(workspace.engine, reached.broker(account), url=reached.url)
    engine = BotEngine(desk.journal, SourceFeed(feed_source, finest=finest), limits=limits)
    stage = _Stage(desk, engine)
    rows = []
    with contextlib.ExitStack() as closing:
        closing.enter_context(logging_to(workspace.home / "desks" / f"{stem(account)}.log"))
        for fault in faults:
            embedded.add_fault(reached.url, text=fault)
            closing.callback(embedded.clear_faults, reached.url)
        closing.callback(desk.close)
        desk.start()
        closing.callback(engine.close)
        engine.start()
        days = list(sessions.sessions(venue, first, last))
        ends = {day: _moments(venue, day, finest) for day in days}
        total, done = sum(map(len, ends.values())), 0
        for day in days:
            begun = stage.counted()
            for moment in ends[day]:
                stage.play(moment)
                done += 1
                if progress is not None:
                    progress(done, total)
            rows.append((day.date().isoformat(), *stage.closed(begun)))
        rehearsed = pd.DataFrame(rows, columns=list(_COLUMNS))
    return Rehearsal(account, feed_source.label, rehearsed, bots.frame())


class _Stage:
    """The desk and the bots, moved from bar to bar."""

    def __init__(self, desk: SteppedDesk, engine: BotEngine) -> None:
        self.desk, self.engine, self.journal = desk, engine, desk.journal
        self.differences = 0
        self.due: dt.datetime | None = None

    def play(self, moment: dt.datetime) -> None:
        """Up to the end of one bar: at each moment at which a bot wants to look, and at the end."""
        while self.due is not None and self.due < moment:
            self._look(self.due)
        self._look(moment)

    def _look(self, moment: dt.datetime) -> None:
        """The market moves, fills are booked, the bots look, the desk sends."""
        self.desk.advance(moment)
        if self.journal.intents(states=_LIVE):
            self._reconciled()
        self.due = self.engine.step(moment)
        while self.due is not None and self.due <= moment:
            self.due = self.engine.step(moment)
        self.desk.send()

    def counted(self) -> tuple[int, int, int, int]:
        """Orders, fills and refusals booked so far, and differences found."""
        refused = len(self.engine.bots.decisions(limit=10**9).query("outcome.str.startswith('refused')"))
        return len(self.journal.intents()), len(self.journal.fills()), refused, self.differences

    def closed(self, begun: tuple[int, int, int, int]) -> tuple[float, float, int, int, int, int]:
        """Equity and cash as the broker has them, and what was done since `begun`."""
        done = self._reconciled()
        after = self.counted()
        orders, fills, refused, differences = (now - before for now, before in zip(after, begun, strict=True))
        equity = float("nan") if done.equity is None else float(done.equity)
        cash = float("nan") if done.cash is None else float(done.cash)
        return equity, cash, orders, fills, refused, differences

    def _reconciled(self) -> Reconciliation:
        """What differed is counted; comparing has repaired what facts can repair."""
        done = self.desk.reconcile()
        self.differences += len(done.discrepancies)
        return done


def _refuse_the_past(url: str, account: str, opens: dt.datetime) -> None:
    """A replayed clock goes forward only. Raises BotRefused where it stands after the first open."""
    found = embedded.account(url, name=account)
    if found is not None and found.clock > opens:
        raise BotRefused(
            f"the clock of {account!r} stands at {found.clock:%Y-%m-%d %H:%M} UTC and cannot go back to "
            f"{opens:%Y-%m-%d %H:%M}; nothing was traded.",
            remedy="take another account name, or a later start.",
        )


def _moments(venue: str, day: pd.Timestamp, timeframe: str) -> list[dt.datetime]:
    """The end of each bar of a session."""
    minutes = MINUTES.get(timeframe)
    if minutes is None:
        return [sessions.closes(venue, day).to_pydatetime()]
    return [moment.to_pydatetime() for moment in sessions.bar_ends(venue, day, day, minutes=minutes)]
