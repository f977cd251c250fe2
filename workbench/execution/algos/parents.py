"""Parent orders: start one, look at it, cancel it. They are rows, so any process may; the desk works their slices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import AlgorithmRefused, StoreError
from workbench.execution.algos.algorithm import Plan, algorithm_of, params_of
from workbench.execution.algos.parent import (
    WORKING,
    Parent,
    Progress,
    cancel_all_in,
    cancel_in,
    load_parent,
    progress_in,
    slices_in,
)
from workbench.execution.algos.parent_wish import columns_of
from workbench.execution.algos.schedule import ZERO, number
from workbench.execution.algos.tally import tally_in
from workbench.execution.journal.journal import Journal
from workbench.market import hours
from workbench.market.order import OrderWish
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.schema import new_id, utc_now
from workbench.store.tables.algo import ParentOrderRow, ParentSliceRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

_LONGEST_KEY = 64


class Parents:
    """The parent orders of one account.

    Args:
        clock: wall clock of this process (UTC), for when something was asked for; a schedule has moments of its own.
    """

    def __init__(self, engine: Engine, account: str, *, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self.journal = Journal(engine, account, clock)

    def start(self, wish: OrderWish, **named: Any) -> Parent:
        """Store a parent with its schedule, in a transaction of its own; see `start_in` for what it takes."""
        with transaction(self.journal.engine) as opened:
            return self.start_in(opened, wish, **named)

    def start_in(
        self,
        opened: Session,
        wish: OrderWish,
        *,
        key: str,
        algorithm: str,
        params: Mapping[str, Any],
        starts_at: dt.datetime,
        ends_at: dt.datetime,
        bot: str,
        session: dt.date,
        decision_price: Decimal | None = None,
        lot: Decimal = Decimal(1),
        venue: str = "XNYS",
        decision_id: str | None = None,
    ) -> Parent:
        """Store a parent with its schedule in the open transaction. Nothing is ordered yet: `AlgoEngine.step` does.

        The same `key` finds the parent that is there, so repeating a call after a crash starts nothing twice.

        Args:
            wish: symbol, side, quantity; with a limit price, every child is a limit order at it, else a market order.
                `extended_hours` lets the span leave the regular session, and needs the limit.
            key: the asker's name for this parent, up to 64 characters, unique in the account.
            algorithm: `twap`, `vwap`, `pov` or `shortfall`.
            params: of the algorithm, see `algorithm`.
            starts_at, ends_at: the span (UTC), within `session`. A start that is past already is made up for.
            decision_price: the price at which it was decided, for the report; the wish's reference price when None.
            lot: every child is a multiple of it.

        Raises:
            AlgorithmRefused: the wish, the span or the parameters make no schedule, or the key belongs to another
                parent; nothing was stored.
        """
        self.journal.lock(opened)
        asked = columns_of(wish, starts_at=starts_at, ends_at=ends_at, session=session, venue=venue)
        chosen = algorithm_of(algorithm)
        checked = params_of(chosen, dict(params))
        regular = next(span for span in hours.spans(venue, session) if span.phase is hours.Phase.REGULAR)
        slices = Plan(checked, starts_at, ends_at, regular.start, regular.end, lot).slices(wish.qty)
        wanted = {
            **asked,
            "bot": bot,
            "algorithm": chosen.value,
            "params": checked.model_dump(mode="json"),
            "lot": lot,
            "decision_price": wish.reference_price if decision_price is None else decision_price,
            "decision_id": decision_id,
        }
        if wanted["decision_price"] is not None:
            number(wanted["decision_price"], "decision_price", above=ZERO)
        found = self._standing(opened, key, wanted)
        if found is not None:
            return Parent.of(found)
        row = ParentOrderRow(
            id=new_id(),
            account=self.journal.account,
            key=key,
            **wanted,
            state=WORKING,
            detail="",
            trace_id=trace_id(),
        )
        opened.add(row)
        opened.flush()  # the slices point at it
        sweeps = checked.sweep_seconds is not None
        opened.add_all(
            ParentSliceRow(
                parent_id=row.id,
                number=one.number,
                due_at=one.due_at,
                qty=one.qty,
                sweep=sweeps and one is slices[-1],
                state="planned",
                detail="",
            )
            for one in slices
        )
        after = {"symbol": row.symbol, "side": row.side, "qty": str(row.qty), "algorithm": row.algorithm}
        after |= {
            "slices": str(len(slices)),
            "starts_at": row.starts_at.isoformat(),
            "ends_at": row.ends_at.isoformat(),
        }
        audit.record(opened, entity="parent_order", entity_id=row.id, action="started", after=after)
        return Parent.of(row)

    def cancel(self, parent_id: str, *, reason: str) -> Progress:
        """End a parent now and ask for the cancel of its open children; harmless when it has ended.

        A fill that is on its way is still booked and counted. Raises StoreError when there is no such parent.
        """
        with transaction(self.journal.engine) as opened:
            self.journal.lock(opened)
            row = self._load(opened, parent_id)
            cancel_in(opened, row, at=self.journal.clock(), reason=reason)
            return progress_in(opened, row)

    def cancel_all(self, *, reason: str) -> list[Progress]:
        """`cancel` for every working parent of the account, in one transaction: for the kill switch and for people."""
        with transaction(self.journal.engine) as opened:
            self.journal.lock(opened)
            return [progress_in(opened, row) for row in cancel_all_in(opened, self.journal, reason=reason)]

    def progress(self, parent_id: str) -> Progress:
        """How far a parent is. Raises StoreError when there is no such parent."""
        with transaction(self.journal.engine) as opened:
            return progress_in(opened, self._load(opened, parent_id))

    def all(self, *, states: Sequence[str] | None = None, bot: str | None = None) -> list[Progress]:
        """The parents of the account in the order started, of the given states and bot (all where None)."""
        question = select(ParentOrderRow).where(ParentOrderRow.account == self.journal.account)
        if states is not None:
            question = question.where(ParentOrderRow.state.in_(states))
        if bot is not None:
            question = question.where(ParentOrderRow.bot == bot)
        question = question.order_by(ParentOrderRow.created_at, ParentOrderRow.id)
        with transaction(self.journal.engine) as opened:
            return [progress_in(opened, row) for row in opened.scalars(question)]

    def schedule(self, parent_id: str) -> pd.DataFrame:
        """One row per slice: due_at (UTC), planned, sent and filled (shares; NaN: not sent), price, state, detail."""
        import pandas as pd

        with transaction(self.journal.engine) as opened:
            self._load(opened, parent_id)
            booked = {child.intent.id: child for child in tally_in(opened, parent_id).children}
            rows = []
            for one in slices_in(opened, parent_id):
                child = booked.get(one.intent_id or "")
                rows.append(
                    {
                        "number": one.number,
                        "due_at": pd.Timestamp(one.due_at),
                        "planned": float(one.qty),
                        "sent": float("nan") if one.sent_qty is None else float(one.sent_qty),
                        "filled": float("nan") if child is None else float(child.booked),
                        "price": float(child.value / child.booked) if child and child.booked else float("nan"),
                        "state": one.state,
                        "detail": one.detail,
                    }
                )
        return pd.DataFrame(rows).set_index("number")

    def _load(self, opened: Session, parent_id: str) -> ParentOrderRow:
        row = load_parent(opened, parent_id)
        if row.account != self.journal.account:
            raise StoreError(f"parent {parent_id!r} is not of account {self.journal.account!r}; nothing was changed.")
        return row

    def _standing(self, opened: Session, key: str, wanted: Mapping[str, Any]) -> ParentOrderRow | None:
        """The parent under that key, if it is the same wish."""
        if not key or len(key) > _LONGEST_KEY:
            raise AlgorithmRefused(
                f"key={key!r} must have 1 to {_LONGEST_KEY} characters; nothing was stored.", remedy="use another name."
            )
        row = opened.scalars(
            select(ParentOrderRow).where(ParentOrderRow.account == self.journal.account, ParentOrderRow.key == key)
        ).one_or_none()
        if row is None:
            return None
        other = [
            f"{name} {getattr(row, name)} stands, {value} was asked"
            for name, value in wanted.items()
            if getattr(row, name) != value
        ]
        if other:
            raise AlgorithmRefused(
                f"key={key!r} belongs to another parent order ({'; '.join(other)}); nothing was stored.",
                remedy="use a new key for a new parent.",
                parent_id=row.id,
            )
        return row
