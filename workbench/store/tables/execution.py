"""Tables of the order path: leases, intents, their outbox, fills, positions, refusals and reconciliations."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from workbench.errors import StoreError
from workbench.market.order import IntentState
from workbench.store.schema import Table, new_id, utc_now

_UNBOOKED = "booked_qty IS NULL OR booked_qty <> filled_qty"
_STATES = ",".join(f"'{state.value}'" for state in IntentState)


def _index_of_some(table: str, column: str) -> Index:
    there = text(f"{column} IS NOT NULL")
    return Index(f"ix_{table}_some_{column}", column, sqlite_where=there, postgresql_where=there)


class LeaseRow(Table):
    """Who owns a name (an account) until when; `token` rises with every new owner and fences out the old one."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(96), primary_key=True)
    holder: Mapped[str] = mapped_column(String(96))
    token: Mapped[int]
    expires_at: Mapped[dt.datetime]


class IntentRow(Table):
    """An order we wish for, written down before anything is sent. The database never says more than the broker did.

    An exit that the broker made for a bracket, an OCO or an OTO is a row of its own: `parent_id` names the entry, and
    `role` is `take_profit`, `stop_loss` or `option_leg`. `replaces_id` names the intent whose place this one takes at
    the broker; `algo_id` the parent order of an execution algorithm whose child this is.

    `filled_qty` is what the broker says, `booked_qty` what executions have brought so far (NULL in a row that is older
    than the column: count them). Where the two differ, executions are on their way.
    """

    __tablename__ = "intent"
    __table_args__ = (
        UniqueConstraint("account", "bot", "session", "symbol", "leg", "generation"),
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("side IN ('buy','sell')", name="side"),
        Index("ix_intent_account_state", "account", "state"),
        # Most intents have none of these: an index of those that do costs nothing where a wish is written.
        *(_index_of_some("intent", name) for name in ("broker_order_id", "parent_id", "replaces_id", "algo_id")),
        Index("ix_intent_unbooked", "account", sqlite_where=text(_UNBOOKED), postgresql_where=text(_UNBOOKED)),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    bot: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(10))
    symbol: Mapped[str] = mapped_column(String(32))
    leg: Mapped[int] = mapped_column(default=0)
    generation: Mapped[int] = mapped_column(default=0)
    client_order_id: Mapped[str] = mapped_column(String(48), unique=True)
    side: Mapped[str] = mapped_column(String(4))
    qty: Mapped[Decimal]
    type: Mapped[str] = mapped_column(String(16))
    time_in_force: Mapped[str] = mapped_column(String(8))
    limit_price: Mapped[Decimal | None]
    stop_price: Mapped[Decimal | None]
    reference_price: Mapped[Decimal | None]
    order_class: Mapped[str] = mapped_column(String(8), default="simple", server_default="simple")
    trail_price: Mapped[Decimal | None]
    trail_percent: Mapped[Decimal | None]
    take_profit_price: Mapped[Decimal | None]
    stop_loss_price: Mapped[Decimal | None]
    stop_loss_limit_price: Mapped[Decimal | None]
    extended_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    position_intent: Mapped[str | None] = mapped_column(String(16))
    option_legs: Mapped[list[Any] | None] = mapped_column(JSON)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"))
    role: Mapped[str] = mapped_column(String(16), default="", server_default="")
    replaces_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"))
    algo_id: Mapped[str | None] = mapped_column(ForeignKey("parent_order.id"))
    state: Mapped[str] = mapped_column(String(16), default=IntentState.INTENT.value)
    attempt: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[dt.datetime | None]
    deadline: Mapped[dt.datetime | None]
    cancel_asked_at: Mapped[dt.datetime | None]
    broker_order_id: Mapped[str | None] = mapped_column(String(64))
    broker_status: Mapped[str | None] = mapped_column(String(32))
    broker_updated_at: Mapped[dt.datetime | None]
    filled_qty: Mapped[Decimal] = mapped_column(default=Decimal(0))
    booked_qty: Mapped[Decimal | None] = mapped_column(default=Decimal(0))
    avg_price: Mapped[Decimal | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")
    reply: Mapped[dict[str, Any] | None]
    decision_id: Mapped[str | None] = mapped_column(ForeignKey("decision.id"))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here

    @validates("state")
    def _only_known_steps(self, _name: str, to: str) -> str:
        """Refuse a step that `market.order.STEPS` does not know, whoever tries. Raises StoreError."""
        current: str | None = self.state
        if current is not None and not IntentState(current).may_become(IntentState(to)):
            raise StoreError(
                f"intent {self.client_order_id} cannot go from {current} to {to}; nothing was changed.",
                remedy="reconcile the account: something acted on an order that it did not own.",
                intent=self.id,
            )
        return to


class OutboxRow(Table):
    """Work to do at the broker, written in the transaction of its intent; claimed under the account's lease.

    `tries` counts the requests of this row that ended without a final word (look-ups of an UNKNOWN, failed cancels).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("intent_id", "kind"),
        CheckConstraint("kind IN ('submit','cancel','replace')", name="kind"),
        Index(
            "ix_outbox_due",
            "account",
            "seq",
            "created_at",
            "id",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        Index("ix_outbox_order", "account", "seq"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    intent_id: Mapped[str] = mapped_column(ForeignKey("intent.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    seq: Mapped[int]
    not_before: Mapped[dt.datetime | None]
    claimed_token: Mapped[int | None]
    tries: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class FillRow(Table):
    """An execution as the broker reported it, booked once, whichever of its two names came first.

    The stream names an execution by `execution_id`, the activities by `activity_id`; both are the same fill when order
    and cumulative quantity agree. A row known only from the activities carries that id in both columns. A busted
    execution keeps its row with `busted_at`, and gives its cumulative quantity back.
    """

    __tablename__ = "fill"
    __table_args__ = (
        UniqueConstraint("account", "execution_id"),
        UniqueConstraint("account", "activity_id", name="uq_fill_activity"),
        UniqueConstraint("account", "broker_order_id", "cum_qty", name="uq_fill_cumulative"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    execution_id: Mapped[str] = mapped_column(String(96))
    activity_id: Mapped[str | None] = mapped_column(String(96))
    intent_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"), index=True)
    broker_order_id: Mapped[str] = mapped_column(String(64), index=True)
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(4))
    qty: Mapped[Decimal]
    price: Mapped[Decimal]
    fee: Mapped[Decimal] = mapped_column(default=Decimal(0))
    cum_qty: Mapped[Decimal | None]
    happened: Mapped[dt.datetime]
    busted_at: Mapped[dt.datetime | None]
    source: Mapped[str] = mapped_column(String(16))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class PositionRow(Table):
    """The broker's truth about a holding, with our metadata beside it.

    `unexplained` is the part of `qty` that no booked fill explains (a transfer, a split, an older holding), normally
    0. Whatever changes it is reported and halts the symbol.
    """

    __tablename__ = "position"

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    qty: Mapped[Decimal]
    avg_price: Mapped[Decimal]
    market_price: Mapped[Decimal | None]
    unrealized: Mapped[Decimal | None]
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    source: Mapped[str] = mapped_column(String(32))
    strategy: Mapped[str | None] = mapped_column(String(64))
    stop: Mapped[Decimal | None]
    target: Mapped[Decimal | None]
    opened_at: Mapped[dt.datetime | None]
    closed_at: Mapped[dt.datetime | None]
    synced_at: Mapped[dt.datetime]
    unexplained: Mapped[Decimal] = mapped_column(default=Decimal(0))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class RiskRefusalRow(Table):
    """A wish that a limit refused: which limit, its bound and the number that broke it."""

    __tablename__ = "risk_refusal"
    __table_args__ = (UniqueConstraint("account", "bot", "session", "symbol", "leg", "generation", "code"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    bot: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(10))
    symbol: Mapped[str] = mapped_column(String(32))
    leg: Mapped[int] = mapped_column(default=0)
    generation: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    code: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(Text)
    numbers: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class ReconciliationRow(Table):
    """One pass of comparing our book with the broker's, with the account's figures as the broker gave them.

    `cash_basis` is `cash` without the money that booked fills moved: only deposits, fees, dividends and the like change
    it. `broker_time` is the broker's own clock, from which the next pass looks back.
    """

    __tablename__ = "reconciliation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96), index=True)
    occasion: Mapped[str] = mapped_column(String(16))
    clean: Mapped[bool]
    orders: Mapped[int]
    positions: Mapped[int]
    fills: Mapped[int]
    account_number: Mapped[str | None] = mapped_column(String(64))
    cash: Mapped[Decimal | None]
    equity: Mapped[Decimal | None]
    buying_power: Mapped[Decimal | None]
    cash_basis: Mapped[Decimal | None]
    broker_time: Mapped[dt.datetime | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    started_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class DiscrepancyRow(Table):
    """One difference found by a reconciliation, and what was done about it."""

    __tablename__ = "discrepancy"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    reconciliation_id: Mapped[str] = mapped_column(ForeignKey("reconciliation.id"), index=True)
    account: Mapped[str] = mapped_column(String(96))
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(96))
    ours: Mapped[dict[str, Any] | None]
    theirs: Mapped[dict[str, Any] | None]
    action: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class HaltRow(Table):
    """A symbol ('*': the whole account) that must not trade until a person clears it."""

    __tablename__ = "halt"
    __table_args__ = (UniqueConstraint("account", "symbol", "since"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96), index=True)
    symbol: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    since: Mapped[dt.datetime] = mapped_column(default=utc_now)
    cleared_at: Mapped[dt.datetime | None]
    cleared_reason: Mapped[str | None] = mapped_column(Text)


class DeskRow(Table):
    """The process that trades an account, in its own words. Who may act is the lease's business; this row informs.

    `asks` counts the reconciliations that others asked for; the pass `answer` serves the first `answered` of them.
    `startup` holds the steps of its start, `counters` what it has done since, `phase` the market's hours until
    `phase_until`; None: not known (yet).
    """

    __tablename__ = "desk"
    __table_args__ = (
        CheckConstraint("state IN ('starting','ready','degraded','stopping','stopped','failed')", name="state"),
    )

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    holder: Mapped[str] = mapped_column(String(96))
    host: Mapped[str] = mapped_column(String(96))
    pid: Mapped[int]
    token: Mapped[int]
    url: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text, default="")
    asks: Mapped[int] = mapped_column(default=0)
    answered: Mapped[int] = mapped_column(default=0)
    answer: Mapped[str | None] = mapped_column(String(32))
    startup: Mapped[dict[str, Any] | None]
    counters: Mapped[dict[str, Any] | None]
    phase: Mapped[str | None] = mapped_column(String(16))
    phase_until: Mapped[dt.datetime | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    started_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    heartbeat_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
