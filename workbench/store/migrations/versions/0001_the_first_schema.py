"""The first schema.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

from workbench.store.schema import Money, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("happened", UtcDateTime(), nullable=False),
        sa.Column("who", sa.String(length=96), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("entity_id", sa.String(length=96), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_entity", ["entity", "entity_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "backtest_run",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("strategy_hash", sa.String(length=64), nullable=False),
        sa.Column("slice_hash", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("study", sa.JSON(), nullable=False),
        sa.Column("universe", sa.JSON(), nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("timeframe", sa.String(length=8), nullable=False),
        sa.Column("start", sa.String(length=10), nullable=False),
        sa.Column("end", sa.String(length=10), nullable=False),
        sa.Column("initial_cash", sa.Double(), nullable=False),
        sa.Column("costs", sa.JSON(), nullable=False),
        sa.Column("execution_price", sa.String(length=16), nullable=False),
        sa.Column("data_source", sa.String(length=64), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.Column("artifacts", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("runtime_s", sa.Double(), nullable=True),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('QUEUED','RUNNING','DONE','FAILED','CANCELLED')", name=op.f("ck_backtest_run_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_run")),
        sa.UniqueConstraint("config_hash", name=op.f("uq_backtest_run_config_hash")),
    )
    with op.batch_alter_table("backtest_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_backtest_run_slice_hash"), ["slice_hash"], unique=False)
        batch_op.create_index(batch_op.f("ix_backtest_run_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "collected",
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("first", sa.String(length=10), nullable=False),
        sa.Column("last", sa.String(length=10), nullable=False),
        sa.Column("collected_at", UtcDateTime(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "symbol", "first", "last", name=op.f("pk_collected")),
    )
    with op.batch_alter_table("collected", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_collected_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "desk",
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("holder", sa.String(length=96), nullable=False),
        sa.Column("host", sa.String(length=96), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(length=32), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('starting','ready','degraded','stopping','stopped','failed')", name=op.f("ck_desk_state")
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_desk")),
    )
    with op.batch_alter_table("desk", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_desk_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "evidence_pack",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_evidence_pack")),
    )
    with op.batch_alter_table("evidence_pack", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evidence_pack_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "halt",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("cleared_at", UtcDateTime(), nullable=True),
        sa.Column("cleared_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_halt")),
        sa.UniqueConstraint("account", "symbol", "since", name=op.f("uq_halt_account")),
    )
    with op.batch_alter_table("halt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_halt_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_halt_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=96), nullable=False),
        sa.Column("holder", sa.String(length=96), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "pipeline_run",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("pipeline", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("holder", sa.String(length=96), nullable=False),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("resumed_from", sa.String(length=32), nullable=True),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('QUEUED','RUNNING','DONE','FAILED','CANCELLED','SKIPPED')", name=op.f("ck_pipeline_run_status")
        ),
        sa.ForeignKeyConstraint(
            ["resumed_from"], ["pipeline_run.id"], name=op.f("fk_pipeline_run_resumed_from_pipeline_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_run")),
    )
    with op.batch_alter_table("pipeline_run", schema=None) as batch_op:
        batch_op.create_index("ix_pipeline_run_question", ["pipeline", "session", "config_hash"], unique=False)
        batch_op.create_index(
            "ix_pipeline_run_running",
            ["pipeline", "session"],
            unique=True,
            sqlite_where=sa.text("status = 'RUNNING'"),
            postgresql_where=sa.text("status = 'RUNNING'"),
        )
        batch_op.create_index(batch_op.f("ix_pipeline_run_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "position",
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("avg_price", Money(), nullable=False),
        sa.Column("market_price", Money(), nullable=True),
        sa.Column("unrealized", Money(), nullable=True),
        sa.Column("realized", Money(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=True),
        sa.Column("stop", Money(), nullable=True),
        sa.Column("target", Money(), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("unexplained", Money(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "symbol", name=op.f("pk_position")),
    )
    with op.batch_alter_table("position", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_position_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "quality_finding",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("quarantined", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("row", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_finding")),
        sa.UniqueConstraint("dataset", "symbol", "session", "kind", name=op.f("uq_quality_finding_dataset")),
    )
    with op.batch_alter_table("quality_finding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quality_finding_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "reconciliation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("occasion", sa.String(length=16), nullable=False),
        sa.Column("clean", sa.Boolean(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("positions", sa.Integer(), nullable=False),
        sa.Column("fills", sa.Integer(), nullable=False),
        sa.Column("account_number", sa.String(length=64), nullable=True),
        sa.Column("cash", Money(), nullable=True),
        sa.Column("equity", Money(), nullable=True),
        sa.Column("buying_power", Money(), nullable=True),
        sa.Column("cash_basis", Money(), nullable=True),
        sa.Column("broker_time", UtcDateTime(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    with op.batch_alter_table("reconciliation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reconciliation_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_reconciliation_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "risk_refusal",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("bot", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_refusal")),
        sa.UniqueConstraint("account", "bot", "session", "symbol", "leg", "code", name=op.f("uq_risk_refusal_account")),
    )
    with op.batch_alter_table("risk_refusal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_risk_refusal_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "trading_session",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("bot", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("filled_in", sa.String(length=10), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("run_folder", sa.Text(), nullable=True),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('OPEN','CLOSED')", name=op.f("ck_trading_session_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trading_session")),
        sa.UniqueConstraint("bot", "chain", "session", name=op.f("uq_trading_session_bot")),
    )
    with op.batch_alter_table("trading_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_trading_session_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "universe",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_universe")),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("pack_hash", sa.String(length=64), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("p_up", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("horizon", sa.Integer(), nullable=False),
        sa.Column("expires", UtcDateTime(), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("cost", Money(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(action = 'abstain') = (p_up IS NULL)", name=op.f("ck_decision_abstained")),
        sa.CheckConstraint("action IN ('buy','hold','sell','abstain')", name=op.f("ck_decision_action")),
        sa.CheckConstraint("status IN ('proposed','executed','rejected','expired')", name=op.f("ck_decision_status")),
        sa.CheckConstraint("p_up IS NULL OR (p_up > 0 AND p_up < 1)", name=op.f("ck_decision_p_up")),
        sa.ForeignKeyConstraint(
            ["pack_hash"], ["evidence_pack.hash"], name=op.f("fk_decision_pack_hash_evidence_pack")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("symbol", "as_of", "pack_hash", "config_hash", name=op.f("uq_decision_symbol")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decision_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_decision_symbol"), ["symbol"], unique=False)
        batch_op.create_index(batch_op.f("ix_decision_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "discrepancy",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("reconciliation_id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("ours", sa.JSON(), nullable=True),
        sa.Column("theirs", sa.JSON(), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliation.id"], name=op.f("fk_discrepancy_reconciliation_id_reconciliation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy")),
    )
    with op.batch_alter_table("discrepancy", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_discrepancy_reconciliation_id"), ["reconciliation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_discrepancy_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "step_run",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("notebook", sa.Text(), nullable=False),
        sa.Column("step_key", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("executed", sa.Text(), nullable=True),
        sa.Column("outputs", sa.JSON(), nullable=False),
        sa.Column("cells_done", sa.Integer(), nullable=False),
        sa.Column("cells", sa.Integer(), nullable=False),
        sa.Column("kernel_s", sa.Double(), nullable=True),
        sa.Column("runtime_s", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("reused_from", sa.String(length=32), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('QUEUED','RUNNING','DONE','FAILED','CANCELLED','SKIPPED')", name=op.f("ck_step_run_status")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["pipeline_run.id"], name=op.f("fk_step_run_run_id_pipeline_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_run")),
        sa.UniqueConstraint("run_id", "step", name=op.f("uq_step_run_run_id")),
    )
    with op.batch_alter_table("step_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_step_run_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_step_run_step_key"), ["step_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_step_run_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "universe_member",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("universe", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("entered", UtcDateTime(), nullable=False),
        sa.Column("left", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("left_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["universe"], ["universe.name"], name=op.f("fk_universe_member_universe_universe")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_universe_member")),
        sa.UniqueConstraint("universe", "symbol", "entered", name=op.f("uq_universe_member_universe")),
    )
    op.create_table(
        "analyst_view",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=False),
        sa.Column("analyst", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("abstained", sa.Boolean(), nullable=False),
        sa.Column("veto", sa.Boolean(), nullable=False),
        sa.Column("p_up", sa.Double(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("cost", Money(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('voice','risk')", name=op.f("ck_analyst_view_role")),
        sa.CheckConstraint("p_up IS NULL OR (p_up > 0 AND p_up < 1)", name=op.f("ck_analyst_view_p_up")),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_analyst_view_decision_id_decision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyst_view")),
        sa.UniqueConstraint("decision_id", "analyst", "round", name=op.f("uq_analyst_view_decision_id")),
    )
    with op.batch_alter_table("analyst_view", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_analyst_view_decision_id"), ["decision_id"], unique=False)

    op.create_table(
        "intent",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("bot", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("client_order_id", sa.String(length=48), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("time_in_force", sa.String(length=8), nullable=False),
        sa.Column("limit_price", Money(), nullable=True),
        sa.Column("stop_price", Money(), nullable=True),
        sa.Column("reference_price", Money(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("deadline", UtcDateTime(), nullable=True),
        sa.Column("cancel_asked_at", UtcDateTime(), nullable=True),
        sa.Column("broker_order_id", sa.String(length=64), nullable=True),
        sa.Column("broker_status", sa.String(length=32), nullable=True),
        sa.Column("broker_updated_at", UtcDateTime(), nullable=True),
        sa.Column("filled_qty", Money(), nullable=False),
        sa.Column("avg_price", Money(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reply", sa.JSON(), nullable=True),
        sa.Column("decision_id", sa.String(length=32), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("side IN ('buy','sell')", name=op.f("ck_intent_side")),
        sa.CheckConstraint(
            "state IN ('intent','sending','unknown','acked','partially_filled','filled','canceled','expired','rejected','unknown_expired')",
            name=op.f("ck_intent_state"),
        ),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_intent_decision_id_decision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intent")),
        sa.UniqueConstraint("account", "bot", "session", "symbol", "leg", "generation", name=op.f("uq_intent_account")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_intent_client_order_id")),
    )
    with op.batch_alter_table("intent", schema=None) as batch_op:
        batch_op.create_index("ix_intent_account_state", ["account", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_intent_broker_order_id"), ["broker_order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_intent_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "fill",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("execution_id", sa.String(length=96), nullable=False),
        sa.Column("activity_id", sa.String(length=96), nullable=True),
        sa.Column("intent_id", sa.String(length=32), nullable=True),
        sa.Column("broker_order_id", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("qty", Money(), nullable=False),
        sa.Column("price", Money(), nullable=False),
        sa.Column("fee", Money(), nullable=False),
        sa.Column("cum_qty", Money(), nullable=True),
        sa.Column("happened", UtcDateTime(), nullable=False),
        sa.Column("busted_at", UtcDateTime(), nullable=True),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name=op.f("fk_fill_intent_id_intent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fill")),
        sa.UniqueConstraint("account", "activity_id", name="uq_fill_activity"),
        sa.UniqueConstraint("account", "broker_order_id", "cum_qty", name="uq_fill_cumulative"),
        sa.UniqueConstraint("account", "execution_id", name=op.f("uq_fill_account")),
    )
    with op.batch_alter_table("fill", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fill_broker_order_id"), ["broker_order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_fill_intent_id"), ["intent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_fill_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=96), nullable=False),
        sa.Column("intent_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("claimed_token", sa.Integer(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('submit','cancel')", name=op.f("ck_outbox_kind")),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name=op.f("fk_outbox_intent_id_intent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("intent_id", "kind", name=op.f("uq_outbox_intent_id")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_intent_id"), ["intent_id"], unique=False)
        batch_op.create_index("ix_outbox_open", ["account", "done_at"], unique=False)
        batch_op.create_index("ix_outbox_order", ["account", "seq"], unique=False)
