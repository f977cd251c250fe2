"""AlgoEngine: works the slices of an account's parent orders, one small order at a time, from what is booked.

Everything it knows is stored, so it may die at any instant and another one goes on: a slice becomes `sent` in the
transaction that writes its order. For each parent that has something to do at `now`, in this order:

1. A halted account ends it, and its open orders are cancelled; so does a halt that was lifted before anybody saw it.
2. All is booked: done. The end has come: open orders are cancelled, and when they are over, what is left is said.
3. A slice is due: the order of the slice before is cancelled, and when it is over and its fills are booked, the rest is
   planned anew over the slices that are left. A parent never has two orders at the broker, so what it may still order
   is known exactly. Of slices that came due together (nobody was at work) only the newest is ordered; its plan makes up
   for the others. While the fate of an order is unknown, nothing more is ordered.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select

from workbench.errors import DataError, NoData
from workbench.execution.algos.market_facts import MarketFacts
from workbench.execution.algos.parent import WORKING, Parent, load_parent
from workbench.execution.algos.slice_turn import Seen, SliceTurn
from workbench.execution.reconciliation.positions import book_in
from workbench.store.engine import transaction
from workbench.store.tables.algo import ParentOrderRow, ParentSliceRow
from workbench.trace import get_logger, tracing

if TYPE_CHECKING:
    from workbench.execution.journal.journal import Journal
    from workbench.execution.risk.limits import Limits

Answer = TypeVar("Answer")


class AlgoEngine:
    """The parents of one account at work: `start`, then `step` again and again, then `close`, all on one thread.

    It writes intents and sends nothing: the desk does. A second engine on the same account does no harm.

    Args:
        facts: prices and volumes of the market.
        limits: what every child is held against; `Limits()` when None.
        patience: between two looks at an order whose cancel is on its way.
    """

    def __init__(
        self,
        journal: Journal,
        facts: MarketFacts,
        *,
        limits: Limits | None = None,
        patience: dt.timedelta = dt.timedelta(seconds=0.5),
    ) -> None:
        self._journal, self._facts, self._limits, self._patience = journal, facts, limits, patience
        self._next: dict[str, dt.datetime] = {}
        self._log = get_logger(__name__).bind(account=journal.account)

    def start(self) -> int:
        """Find the parents that are at work, those of a process that died included; how many they are."""
        self._next = {}
        return len(self._working())

    def step(self, now: dt.datetime) -> dt.datetime | None:
        """Do what is due at `now`, the market's time; when there will be something to do again (None: no parent works).

        Raises:
            StoreError: the database refused; nothing of the slice at hand was changed.
        """
        working = self._working()
        for gone in self._next.keys() - working.keys():
            self._say_benchmark(gone, now)  # cancelled by somebody else: what it is measured against is still known
            del self._next[gone]
        for parent_id, traced in working.items():
            if self._next.get(parent_id, now) > now:
                continue
            with tracing(traced):
                following = self._work(parent_id, now)
            if following is None:
                self._say_benchmark(parent_id, now)
                self._next.pop(parent_id, None)
            else:
                self._next[parent_id] = following
        return min(self._next.values(), default=None)

    def close(self) -> None:
        """Forget what is not stored anyway. Parents go on with the next engine; open orders stay at the broker."""
        self._next = {}

    def _working(self) -> dict[str, str]:
        """Parents at work and their trace ids, in the order started."""
        question = (
            select(ParentOrderRow.id, ParentOrderRow.trace_id)
            .where(ParentOrderRow.account == self._journal.account, ParentOrderRow.state == WORKING)
            .order_by(ParentOrderRow.created_at, ParentOrderRow.id)
        )
        with transaction(self._journal.engine) as opened:
            return {row.id: row.trace_id for row in opened.execute(question)}

    def _work(self, parent_id: str, now: dt.datetime) -> dt.datetime | None:
        """One turn of one parent; when the next one is due, None when it has ended."""
        seen = self._see(parent_id, now)  # the market is asked before the transaction: it may take its time
        with transaction(self._journal.engine) as opened:
            self._journal.lock(opened)
            row = load_parent(opened, parent_id)
            if row.state != WORKING:
                return None
            turn = SliceTurn(opened, self._journal, row, now, seen, limits=self._limits, patience=self._patience)
            following = turn.taken()
            for what, facts in turn.said:
                self._log.info(what, parent=row.id, symbol=row.symbol, **facts)
        return following

    def _see(self, parent_id: str, now: dt.datetime) -> Seen:
        """What the market says about a parent, and about everything that the risk check must value."""
        with transaction(self._journal.engine) as opened:
            parent = Parent.of(load_parent(opened, parent_id))
            due = opened.scalar(
                select(ParentSliceRow.number)
                .where(ParentSliceRow.parent_id == parent_id, ParentSliceRow.state == "planned")
                .where(ParentSliceRow.due_at <= now)
                .limit(1)
            )
            symbols = {parent.symbol} if due is not None else set()
            if due is not None:
                with contextlib.suppress(NoData):
                    symbols |= {s for s, held in book_in(opened, self._journal.account).positions.items() if held.qty}
                symbols |= {order.symbol for order in self._journal.open_exposure_in(opened)}
        begun = now >= parent.starts_at
        asked = self._facts
        prices = {symbol: self._asked(asked.price, symbol, now) for symbol in sorted(symbols)}
        arrival = volume = None
        if begun and parent.arrival_price is None:
            arrival = self._asked(asked.price, parent.symbol, parent.starts_at)
        if begun and due is not None:
            volume = self._asked(asked.volume, parent.symbol, parent.starts_at, now)
        known = {symbol: price for symbol, price in prices.items() if price is not None}
        return Seen(known, arrival, volume, asked.includes_own)

    def _asked(self, question: Callable[..., Answer | None], *about: Any) -> Answer | None:
        """An answer of the market; None where its source fails: what is not known is not guessed, and others go on."""
        try:
            return question(*about)
        except DataError as error:
            self._log.warning("the market was not heard", about=str(about[0]), error=error.message)
            return None

    def _say_benchmark(self, parent_id: str, now: dt.datetime) -> None:
        """Store the market's average price of the time in which an ended parent was at work."""
        with transaction(self._journal.engine) as opened:
            parent = Parent.of(load_parent(opened, parent_id))
        vwap = self._asked(self._facts.vwap, parent.symbol, parent.starts_at, min(now, parent.ends_at))
        if parent.market_vwap is None and vwap is not None:
            with transaction(self._journal.engine) as opened:
                load_parent(opened, parent_id).market_vwap = vwap
