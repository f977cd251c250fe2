"""Order classes, trading states, bots, events and execution algorithms.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from workbench.store.schema import Money, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "bot",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("capital", Money(), nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("symbols", sa.JSON(), nullable=False),
        sa.Column("every_seconds", sa.Double(), nullable=False),
        sa.Column("timeframe", sa.String(length=8), nullable=False),
        sa.Column("window", sa.JSON(), nullable=False),
        sa.Column("risk", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("ending", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cash", Money(), nullable=False),
        sa.Column("realized", Money(), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=True),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("began", sa.String(length=10), nullable=True),
        sa.Column("bar_at", UtcDateTime(), nullable=True),
        sa.Column("waiting", sa.JSON(), nullable=False),
        sa.Column("barred", sa.JSON(), nullable=False),
        sa.Column("equity", Money(), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("day_equity", Money(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('created','running','paused','stopped','failed')", name=op.f("ck_bot_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot")),
        sa.UniqueConstraint("account", "name", name=op.f("uq_bot_account")),
    )
    with op.batch_alter_table("bot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_bot_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "equity_mark",
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("start", Money(), nullable=False),
        sa.Column("peak", Money(), nullable=False),
        sa.Column("low", Money(), nullable=False),
        sa.Column("newest", Money(), nullable=False),
        sa.Column("high", Money(), nullable=False),
        sa.Column("drawdown", Money(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", "session", name=op.f("pk_equity_mark")),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("happened", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
        sa.UniqueConstraint("id", name=op.f("uq_event_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_account", ["account", "seq"], unique=False)
        batch_op.create_index("ix_event_kind", ["kind", "seq"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "event_offset",
        sa.Column("consumer", sa.String(length=96), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", name=op.f("pk_event_offset")),
    )
    op.create_table(
        "event_parked",
        sa.Column("consumer", sa.String(length=96), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("parked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "seq", name=op.f("pk_event_parked")),
    )
    op.create_table(
        "losses_cleared",
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("bot", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=96), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("account", "bot", name=op.f("pk_losses_cleared")),
    )
    op.create_table(
        "rate_budget",
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("told_limit", sa.Integer(), nullable=True),
        sa.Column("used", sa.JSON(), nullable=False),
        sa.Column("limited_until", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_rate_budget")),
    )
    op.create_table(
        "trading_state",
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=96), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('active','reducing','halted')", name=op.f("ck_trading_state_state")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_trading_state")),
    )
    op.create_table(
        "bot_position",
        sa.Column("bot_id", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("avg_price", Money(), nullable=False),
        sa.Column("realized", Money(), nullable=False),
        sa.Column("stop", Money(), nullable=True),
        sa.Column("target", Money(), nullable=True),
        sa.Column("high", Money(), nullable=True),
        sa.Column("market_price", Money(), nullable=True),
        sa.Column("priced_at", UtcDateTime(), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("filled_at", UtcDateTime(), nullable=True),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bot.id"], name=op.f("fk_bot_position_bot_id_bot")),
        sa.PrimaryKeyConstraint("bot_id", "symbol", name=op.f("pk_bot_position")),
    )
    op.create_table(
        "parent_order",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("bot", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("lot", Money(), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("venue", sa.String(length=16), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("extended_hours", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("limit_price", Money(), nullable=True),
        sa.Column("decision_price", Money(), nullable=True),
        sa.Column("arrival_price", Money(), nullable=True),
        sa.Column("market_vwap", Money(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("side IN ('buy','sell')", name=op.f("ck_parent_order_side")),
        sa.CheckConstraint(
            "state IN ('working','done','cancelled','expired','failed')", name=op.f("ck_parent_order_state")
        ),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_parent_order_decision_id_decision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parent_order")),
        sa.UniqueConstraint("account", "key", name=op.f("uq_parent_order_account")),
    )
    with op.batch_alter_table("parent_order", schema=None) as batch_op:
        batch_op.create_index("ix_parent_order_state", ["account", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_parent_order_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "bot_decision",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("bot_id", sa.String(length=32), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("price", Money(), nullable=True),
        sa.Column("indicators", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("intent_id", sa.String(length=32), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bot.id"], name=op.f("fk_bot_decision_bot_id_bot")),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name=op.f("fk_bot_decision_intent_id_intent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot_decision")),
        sa.UniqueConstraint("bot_id", "session", "generation", "symbol", name=op.f("uq_bot_decision_bot_id")),
    )
    with op.batch_alter_table("bot_decision", schema=None) as batch_op:
        batch_op.create_index("ix_bot_decision_at", ["bot_id", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_bot_decision_intent_id"), ["intent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bot_decision_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "parent_slice",
        sa.Column("parent_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("sweep", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("sent_qty", Money(), nullable=True),
        sa.Column("arrival_price", Money(), nullable=True),
        sa.Column("intent_id", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('planned','sent','skipped','refused')", name=op.f("ck_parent_slice_state")),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name=op.f("fk_parent_slice_intent_id_intent")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["parent_order.id"], name=op.f("fk_parent_slice_parent_id_parent_order")
        ),
        sa.PrimaryKeyConstraint("parent_id", "number", name=op.f("pk_parent_slice")),
    )
    op.create_table(
        "bot_fill",
        sa.Column("fill_id", sa.String(length=32), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("bot_id", sa.String(length=32), nullable=True),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("price", Money(), nullable=False),
        sa.Column("fee", Money(), nullable=False),
        sa.Column("realized", Money(), nullable=False),
        sa.Column("busted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=True),
        sa.Column("credited_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bot.id"], name=op.f("fk_bot_fill_bot_id_bot")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["bot_decision.id"], name=op.f("fk_bot_fill_decision_id_bot_decision")
        ),
        sa.ForeignKeyConstraint(["fill_id"], ["fill.id"], name=op.f("fk_bot_fill_fill_id_fill")),
        sa.PrimaryKeyConstraint("fill_id", "share", name=op.f("pk_bot_fill")),
    )
    with op.batch_alter_table("bot_fill", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_fill_bot_id"), ["bot_id"], unique=False)

    with op.batch_alter_table("desk", schema=None) as batch_op:
        batch_op.add_column(sa.Column("startup", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("counters", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("phase", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("phase_until", UtcDateTime(), nullable=True))

    with op.batch_alter_table("intent", schema=None) as batch_op:
        batch_op.add_column(sa.Column("order_class", sa.String(length=8), server_default="simple", nullable=False))
        batch_op.add_column(sa.Column("trail_price", Money(), nullable=True))
        batch_op.add_column(sa.Column("trail_percent", Money(), nullable=True))
        batch_op.add_column(sa.Column("take_profit_price", Money(), nullable=True))
        batch_op.add_column(sa.Column("stop_loss_price", Money(), nullable=True))
        batch_op.add_column(sa.Column("stop_loss_limit_price", Money(), nullable=True))
        batch_op.add_column(sa.Column("extended_hours", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("position_intent", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("option_legs", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("parent_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("role", sa.String(length=16), server_default="", nullable=False))
        batch_op.add_column(sa.Column("replaces_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("algo_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("booked_qty", Money(), nullable=True))
        batch_op.drop_index(batch_op.f("ix_intent_broker_order_id"))
        batch_op.create_index(
            "ix_intent_some_algo_id",
            ["algo_id"],
            unique=False,
            sqlite_where=sa.text("algo_id IS NOT NULL"),
            postgresql_where=sa.text("algo_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_intent_some_broker_order_id",
            ["broker_order_id"],
            unique=False,
            sqlite_where=sa.text("broker_order_id IS NOT NULL"),
            postgresql_where=sa.text("broker_order_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_intent_some_parent_id",
            ["parent_id"],
            unique=False,
            sqlite_where=sa.text("parent_id IS NOT NULL"),
            postgresql_where=sa.text("parent_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_intent_some_replaces_id",
            ["replaces_id"],
            unique=False,
            sqlite_where=sa.text("replaces_id IS NOT NULL"),
            postgresql_where=sa.text("replaces_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_intent_unbooked",
            ["account"],
            unique=False,
            sqlite_where=sa.text("booked_qty IS NULL OR booked_qty <> filled_qty"),
            postgresql_where=sa.text("booked_qty IS NULL OR booked_qty <> filled_qty"),
        )
        batch_op.create_foreign_key(batch_op.f("fk_intent_parent_id_intent"), "intent", ["parent_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_intent_algo_id_parent_order"), "parent_order", ["algo_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_intent_replaces_id_intent"), "intent", ["replaces_id"], ["id"])

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_open"))
        batch_op.create_index(
            "ix_outbox_due",
            ["account", "seq", "created_at", "id"],
            unique=False,
            sqlite_where=sa.text("done_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL"),
        )

    with op.batch_alter_table("risk_refusal", schema=None) as batch_op:
        batch_op.add_column(sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.drop_constraint(batch_op.f("uq_risk_refusal_account"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_risk_refusal_account"), ["account", "bot", "session", "symbol", "leg", "generation", "code"]
        )
    with op.batch_alter_table("intent", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_intent_state"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_intent_state"),
            "state IN ('intent','sending','unknown','acked','partially_filled','filled','canceled','expired','rejected','replaced','unknown_expired')",
        )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_outbox_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_outbox_kind"), "kind IN ('submit','cancel','replace')")
