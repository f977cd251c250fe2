"""The trading state of an account, in the database and in a file; of the two, the stricter one counts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from workbench.errors import ParameterError, StoreError
from workbench.events import TradingStateChanged
from workbench.execution.risk import kill_file, limits
from workbench.market.order import IntentState, Side
from workbench.market.trading_state import TradingState
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.event_log import publish
from workbench.store.schema import utc_now
from workbench.store.tables.execution import FillRow, IntentRow, PositionRow
from workbench.store.tables.risk import TradingStateRow
from workbench.trace import get_logger, trace_id

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

KILL_BOT = limits.KILL_BOT
_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
_RAISED = ("qty", "limit_price", "stop_price", "trail_price", "trail_percent")  # what a replacement may change
# Asked in every transaction of the order path: building a statement costs as much as running it.
_STATE = select(TradingStateRow.state).where(TradingStateRow.account == bindparam("account"))


@dataclass(frozen=True, slots=True)
class Standing:
    """The state that counts, why, who set it and since when (None: not known); `told_by`: `database`, `file`, `nobody`.

    `nobody` has ever set a state: the account is ACTIVE.
    """

    account: str
    state: TradingState
    reason: str = ""
    who: str = ""
    since: dt.datetime | None = None
    told_by: str = "nobody"

    @property
    def line(self) -> str:
        """The standing on one line."""
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        who = f" by {self.who}" if self.who else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.account} is {self.state.value.upper()}{since}{who}{why}"


def standing(session: Session, account: str, *, home: Path | None = None) -> TradingState:
    """What the account may do, in the open transaction; ACTIVE when nobody ever said otherwise.

    Args:
        home: folder of user state with the kill file; the one that belongs to the database when None.
    """
    said = session.execute(_STATE, {"account": account}).scalar_one_or_none()
    stored = TradingState(said) if said is not None else TradingState.ACTIVE
    where = home or kill_file.home_of(session.get_bind())
    mirror = kill_file.read(where, account) if where is not None else None
    return stored if mirror is None else stricter(stored, mirror.state)


def stricter(one: TradingState, other: TradingState) -> TradingState:
    """The one that allows less."""
    return max(one, other, key=_STRICTNESS.__getitem__)


def known(engine: Engine, account: str, *, home: Path | None = None) -> Standing:
    """The state with its reason. Where the database cannot be reached, the kill file alone speaks.

    Raises:
        StoreError: the database cannot be reached and there is no kill file, so nothing is known.
    """
    where = home or kill_file.home_of(engine)
    mirror = kill_file.read(where, account) if where is not None else None
    said = None if mirror is None else Standing(account, mirror.state, mirror.reason, mirror.who, mirror.since, "file")
    try:
        with transaction(engine) as session:
            row = session.get(TradingStateRow, account)
            stored = Standing(account, TradingState.ACTIVE)
            if row is not None:
                stored = Standing(account, TradingState(row.state), row.reason, row.who, row.since, "database")
    except SQLAlchemyError as error:
        if said is None:
            raise StoreError(
                f"the trading state of {account} is not known: the database does not answer and there is no kill file.",
                remedy="nothing is sent without it; the kill switch writes the file and cancels all the same.",
            ) from error
        return said
    return said if said is not None and _STRICTNESS[said.state] > _STRICTNESS[stored.state] else stored


def change(
    engine: Engine, account: str, to: TradingState, *, reason: str, who: str | None = None, home: Path | None = None
) -> Standing:
    """Set the state, audited, in the database and in the kill file. Setting the same state again renews its reason.

    What allows less is written to the file first: from then on it counts, whatever happens to the database. What allows
    more is written to the database first, so that a crash between the two leaves the account as strict as it was.

    Args:
        reason: why; stored. Needed for whatever allows more than the state that counts now.
        who: who asks; the audit's actor when None.
        home: folder of user state with the kill file; the one that belongs to the database when None.

    Raises:
        ParameterError: it would allow more, and no reason was given; nothing was changed.
        StoreError: the database or, for what allows more, the file refused; the message says which state counts.
    """
    named = (who or audit.actor())[:96]
    where = home or kill_file.home_of(engine)
    mirror = kill_file.read(where, account) if where is not None else None
    filed = TradingState.ACTIVE if mirror is None else mirror.state
    tightens = to is not TradingState.ACTIVE and _STRICTNESS[to] >= _STRICTNESS[filed]
    in_file = tightens and where is not None and _filed(where, account, to, reason=reason, who=named)
    try:
        with transaction(engine) as session:
            _store(session, account, to, filed=filed, reason=reason, who=named)
    except SQLAlchemyError as error:
        done = "the kill file says it, and that counts" if in_file else "nothing was changed"
        raise StoreError(
            f"the database refused to store {to.value} for {account} ({type(error).__name__}); {done}.",
            remedy="repeat it when the database answers again.",
        ) from error
    loosens = where is not None and mirror is not None and not tightens
    if loosens and where is not None and not _filed(where, account, to, reason=reason, who=named):
        raise StoreError(
            f"{kill_file.path_of(where, account)} cannot be written, so {account} stays {filed.value.upper()}.",
            remedy="make room on the disk, or remove the file by hand, and repeat it.",
        )
    return known(engine, account, home=where)


def may_send(session: Session, row: IntentRow, *, home: Path | None = None) -> str:
    """Whether an intent may leave now, in the transaction that claims it: empty when it may, else why not.

    HALTED lets nothing out but reducing intents of the bot `kill`; REDUCING lets out what brings a holding nearer to
    zero, and what takes the place of an order with no number above it. Holdings are what booked fills and the newest
    reconciliation say; other orders on the same side that may be live count as filled.
    """
    state = standing(session, row.account, home=home)
    if state is TradingState.ACTIVE:
        return ""
    if state is TradingState.HALTED and row.bot != KILL_BOT:
        return f"{row.account} is HALTED; nothing is sent until a person sets it active again"
    if not _reduces(session, row):
        return f"{row.account} is {state.value.upper()} and {row.side} {row.qty} {row.symbol} would add to a holding"
    return ""


def holding(session: Session, account: str, symbol: str) -> Decimal:
    """Signed shares of a symbol: what booked fills add up to, and what the newest reconciliation found beside them."""
    fills = session.execute(
        select(FillRow.side, FillRow.qty).where(
            FillRow.account == account, FillRow.symbol == symbol, FillRow.busted_at.is_(None)
        )
    )
    booked = sum((Side(side).sign * qty for side, qty in fills), Decimal(0))
    unexplained = session.scalar(
        select(PositionRow.unexplained).where(PositionRow.account == account, PositionRow.symbol == symbol)
    )
    return booked + (unexplained or Decimal(0))


def _filed(home: Path, account: str, state: TradingState, *, reason: str, who: str) -> bool:
    """Whether the file says it now. A disk that refuses must not keep the database from being told."""
    try:
        kill_file.write(home, account, state, reason=reason, who=who)
    except OSError as error:
        get_logger(__name__).warning("the kill file cannot be written", account=account, error=str(error))
        return False
    return True


def raises_nothing(older: IntentRow, **newer: Decimal | None) -> bool:
    """Whether no number of what takes the place of `older` is above what `older` has: then it adds no exposure.

    A number that is not finite, or that `older` does not have, counts as raised.
    """
    pairs = [(getattr(older, name), value) for name, value in newer.items()]
    return all(
        value is None or (value.is_finite() and before is not None and value <= before) for before, value in pairs
    )


def _reduces(session: Session, row: IntentRow) -> bool:
    """Whether it can only bring a holding nearer to zero. What is to take the place of another counts with it, once."""
    older = session.get(IntentRow, row.replaces_id) if row.replaces_id else None
    if older is not None and raises_nothing(older, **{name: getattr(row, name) for name in _RAISED}):
        return True
    held = holding(session, row.account, row.symbol)
    live = [state.value for state in IntentState if state.may_be_live]
    others = session.execute(
        select(IntentRow.id, IntentRow.qty, IntentRow.filled_qty).where(
            IntentRow.account == row.account,
            IntentRow.symbol == row.symbol,
            IntentRow.side == row.side,
            IntentRow.id != row.id,
            IntentRow.state.in_(live),
        )
    )
    left = {name: qty - filled for name, qty, filled in others}
    asked = row.qty - row.filled_qty
    if older is not None:
        asked = max(asked - older.filled_qty, left.pop(older.id, Decimal(0)))
    available = held if row.side == Side.SELL else -held
    return asked <= available - sum(left.values(), Decimal(0))


def _store(session: Session, account: str, to: TradingState, *, filed: TradingState, reason: str, who: str) -> None:
    row = session.get(TradingStateRow, account, with_for_update=True)
    before = TradingState.ACTIVE if row is None else TradingState(row.state)
    counts = stricter(before, filed)
    if _STRICTNESS[to] < _STRICTNESS[counts] and not reason.strip():
        raise ParameterError(
            f"reason is empty; {account} stays {counts.value.upper()}.",
            remedy="say why it is safe to trade again; it is kept in the audit.",
        )
    if row is None:
        row = TradingStateRow(account=account)
        session.add(row)
    row.state, row.reason, row.who, row.since, row.trace_id = to.value, reason, who, utc_now(), trace_id()
    audit.record(
        session,
        entity="trading_state",
        entity_id=account,
        action=to.value,
        before={"state": before.value},
        after={"state": to.value, "reason": reason},
        who=who,
    )
    if before is not to:
        changed = TradingStateChanged(account=account, before=before.value, after=to.value, reason=reason, who=who)
        publish(session, changed)
