"""The kill switch: halt the account, cancel everything that is open at the broker, and close what is held if asked to.

It needs no desk and works beside one that is alive, dead or hung. The order of its steps: the state HALTED in the kill
file and the database, so that nothing new leaves; unsent intents ended; every open order of ours cancelled by its id,
again and again until none is open and none can be on its way; then, if asked, holdings closed and the account suspended
at the broker. A database that does not answer delays the cancels by its `patience` at most.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import BrokerRefused, ExchangeUnavailable, LeaseLost
from workbench.execution.algos.parent import cancel_all_in
from workbench.execution.brokers.broker import Outcome
from workbench.execution.journal.journal import Journal
from workbench.execution.journal.ledger import UNRESOLVED
from workbench.execution.journal.transitions import ask_cancel
from workbench.execution.kill_switch.flatten import flatten as close_holdings
from workbench.execution.kill_switch.killed import Killed
from workbench.execution.kill_switch.orders import Sweep, Sweeper
from workbench.execution.kill_switch.store import PatientStore
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.risk import kill_file, trading_state
from workbench.market.order import IntentState
from workbench.market.trading_state import TradingState
from workbench.store import audit, rate_budget
from workbench.store.engine import transaction
from workbench.store.holders import this_process
from workbench.store.lease import Lease, account_lease
from workbench.store.schema import utc_now
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from workbench.execution.brokers.broker import Broker
    from workbench.execution.kill_switch.flattened import Flattened


def kill(
    engine: Engine,
    broker: Broker,
    account: str,
    *,
    reason: str,
    flatten: bool = False,
    suspend: bool = False,
    include_foreign: bool = False,
    home: Path | None = None,
    timeout: float = 30.0,
    helpers: Sequence[Broker] = (),
    per_minute: int | None = None,
    venue: str = "XNYS",
    who: str | None = None,
    patience: float = 1.0,
    grace: float = 8.0,
    now: Callable[[], dt.datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Killed:
    """Stop an account: nothing new leaves, nothing stays open. Never raises for what the broker or the database do.

    Safe to repeat; a second call finishes what the first could not. To trade again, a person calls
    `trading_state.change(engine, account, ACTIVE, reason=…)`, and `broker.suspend(False)` where it was suspended.

    Args:
        reason: why; stored, may be empty.
        flatten: close what is held, by our own journaled orders of the bot `kill`; see `flatten.flatten`.
        suspend: let the broker refuse new orders itself, at once; after the closing orders where `flatten` is asked.
        include_foreign: cancel (and close) what is not ours as well; otherwise it is reported.
        home: folder of user state with the kill file; the one that belongs to the database when None.
        timeout: seconds for the cancels; closing holdings may take as long again.
        helpers: more sessions of the same account, so that cancels go side by side: one thread for each.
        per_minute: the budget of requests; cancels use the share that is kept for them. None: no budget.
        patience: seconds to wait for a database that does not answer, before going on without it.
        grace: seconds that a request may be on its way; the broker's client gives up before that. So long an order that
            was being sent, and that the broker does not have, is waited for.
        now: wall clock (UTC). clock, sleep: a monotonic clock in seconds.
    """
    started = clock()
    timings: dict[str, float] = {}
    with PatientStore(patience) as store:
        where = home or kill_file.home_of(engine)
        halted = store.attempt(
            "HALTED",
            lambda: trading_state.change(engine, account, TradingState.HALTED, reason=reason, who=who, home=where),
        )
        timings["halted"] = clock() - started
        suspended = _suspend(broker) if suspend and not flatten else None
        unsent = store.attempt("unsent intents", lambda: _withdraw(engine, account, now())) or 0
        journal = _Journal(engine, account, store, now, clock, started=started, grace=grace)
        sweep = Sweeper(
            brokers=(broker, *helpers),
            include_foreign=include_foreign,
            unresolved=journal.unresolved,
            blind=journal.blind,
            budget=lambda wanted: journal.budget(wanted, per_minute),
            clock=clock,
            sleep=sleep,
        ).sweep(started=started, timeout=timeout)
        trouble = [store.trouble, sweep.trouble] if sweep.left or sweep.zero_s is None else [store.trouble]
        still = {order.id for order in sweep.left}
        store.attempt("cancels", lambda: _remember(engine, account, sweep, now()), patience=5 * patience)
        flattened = None
        if flatten:
            more: Any = {"reason": reason, "venue": venue, "include_foreign": include_foreign, "timeout": timeout}
            flattened, problem = _flatten(store, lambda: close_holdings(engine, broker, account, **more), timeout)
            trouble.append(problem)
            suspended = _suspend(broker) if suspend else None
        else:
            store.attempt("reconciliation", lambda: _reconcile(engine, broker, account, now), patience=5 * patience)
        if sweep.first_cancel_s is not None:
            timings["first_cancel"] = sweep.first_cancel_s
        if sweep.zero_s is not None:
            timings["zero"] = sweep.zero_s
        timings["total"] = clock() - started
        mirror = None if where is None else kill_file.read(where, account)
        killed = Killed(
            account=account,
            reason=reason,
            halted_in=(
                *(["database"] if halted is not None else []),
                *(["file"] if mirror is not None and mirror.state is TradingState.HALTED else []),
            ),
            cancelled=tuple(name for key, name in sweep.asked.items() if key not in still),
            unsent=unsent,
            left=tuple(order.client_order_id or order.id for order in sweep.left),
            unknown=tuple(sweep.unknown),
            foreign=tuple(order.id for order in sweep.foreign),
            suspended=suspended,
            flattened=flattened,
            timings=timings,
            trouble="; ".join(word for word in dict.fromkeys(trouble) if word),
        )
        store.attempt("audit", lambda: _audit(engine, killed, who))
    return killed


@dataclass(slots=True)
class _Journal:
    """What the sweep asks the journal; silence is remembered, so that an order in flight is not forgotten."""

    engine: Engine
    account: str
    store: PatientStore
    now: Callable[[], dt.datetime]
    clock: Callable[[], float]
    started: float
    grace: float
    last: dict[str, bool] = field(default_factory=dict)
    silent: bool = False

    def unresolved(self) -> dict[str, bool]:
        found = self.store.attempt("orders in flight", self._read)
        self.silent = found is None
        if found is not None:
            self.last = found
        return self.last

    def blind(self) -> bool:
        return self.silent and self.clock() - self.started < self.grace

    def budget(self, wanted: int, per_minute: int | None) -> tuple[int, float]:
        if per_minute is None:
            return wanted, 0.0

        def take() -> tuple[int, dt.datetime | None]:
            with transaction(self.engine) as session:
                at = self.now()
                return rate_budget.take_some(session, self.account, wanted, lane="cancel", at=at, per_minute=per_minute)

        taken = self.store.attempt("budget of requests", take)
        if taken is None:
            return wanted, 0.0  # the broker's own limit is still there; not to cancel is worse
        granted, when = taken
        return granted, 0.0 if when is None else min(1.0, max(0.05, (when - self.now()).total_seconds()))

    def _read(self) -> dict[str, bool]:
        question = select(IntentRow.client_order_id, IntentRow.sent_at).where(
            IntentRow.account == self.account, IntentRow.state.in_([state.value for state in UNRESOLVED])
        )
        with transaction(self.engine) as session:
            rows = session.execute(question).all()
        since = self.now() - dt.timedelta(seconds=self.grace)
        return {name: sent_at is not None and sent_at > since for name, sent_at in rows}


def _withdraw(engine: Engine, account: str, at: dt.datetime) -> int:
    """End what was not sent, and wish away what may be on its way; how many were ended.

    Each intent is locked: one that a desk is about to send is either ended here or seen as being sent.
    """
    waiting = [state.value for state in (IntentState.INTENT, *UNRESOLVED)]
    ended = 0
    with transaction(engine) as session:
        rows = session.scalars(
            select(IntentRow)
            .where(IntentRow.account == account, IntentRow.state.in_(waiting))
            .order_by(IntentRow.id)
            .with_for_update()
        ).all()
        for row in rows:
            ask_cancel(session, row, at=at, note="kill switch")
            ended += row.state == IntentState.CANCELED
        cancel_all_in(session, Journal(engine, account, clock=lambda: at), reason="kill switch")
    return ended


def _remember(engine: Engine, account: str, sweep: Sweep, at: dt.datetime) -> None:
    """Write down which orders were wished away; those still open stay work for the desk."""
    left = {order.id for order in sweep.left}
    names = {*sweep.asked, *left}
    if not names:
        return
    with transaction(engine) as session:
        rows = session.scalars(
            select(IntentRow)
            .where(IntentRow.account == account, IntentRow.broker_order_id.is_not(None))
            .where(IntentRow.state.in_([state.value for state in IntentState if not state.is_end]))
            .order_by(IntentRow.id)
            .with_for_update()
        ).all()
        for row in rows:
            if row.broker_order_id in left:
                ask_cancel(session, row, at=at, note="kill switch")
            elif row.broker_order_id in names and row.cancel_asked_at is None:
                row.cancel_asked_at = at
                after = {"note": "kill switch; the broker accepted the cancel"}
                audit.record(session, entity="intent", entity_id=row.id, action="cancel asked", after=after)


def _reconcile(engine: Engine, broker: Broker, account: str, now: Callable[[], dt.datetime]) -> bool:
    """Book what became of the orders, where no desk does that: its lease is free or has expired."""
    lease = Lease.acquire(engine, account_lease(account), f"kill {this_process()}"[:96], clock=now)
    if lease is None:
        return False
    try:
        reconcile(Journal(engine, account, clock=now), broker, "kill", lease=lease)
    finally:
        lease.release()
    return True


def _flatten(store: PatientStore, close: Callable[[], Flattened], timeout: float) -> tuple[Flattened | None, str]:
    """Close the holdings; what came of it, or why it could not be done."""
    problem = ""

    def run() -> Flattened | None:
        nonlocal problem
        try:
            return close()
        except (BrokerRefused, ExchangeUnavailable, LeaseLost) as error:
            problem = f"holdings were not closed: {error.message}"
            return None

    done = store.attempt("closing the holdings", run, patience=timeout + 30.0)
    return done, problem or (store.trouble if done is None else "")


def _suspend(broker: Broker) -> bool:
    return broker.suspend(suspended=True).outcome is Outcome.PLACED


def _audit(engine: Engine, killed: Killed, who: str | None) -> None:
    with transaction(engine) as session:
        after = {"sentence": killed.sentence, "timings": killed.timings, "left": list(killed.left)}
        audit.record(session, entity="kill", entity_id=killed.account, action="killed", after=after, who=who)
