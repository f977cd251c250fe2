"""Connectors, quarantine, rules of universes, evidence records.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from workbench.store.schema import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "connector",
        sa.Column("vendor", sa.String(length=64), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("used", sa.JSON(), nullable=False),
        sa.Column("newest_us", sa.BigInteger(), nullable=False),
        sa.Column("limited_until_us", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("open_until_us", sa.BigInteger(), nullable=True),
        sa.Column("probe_until_us", sa.BigInteger(), nullable=True),
        sa.Column("last_success", UtcDateTime(), nullable=True),
        sa.Column("last_refused", UtcDateTime(), nullable=True),
        sa.Column("last_failure", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("vendor", name=op.f("pk_connector")),
    )
    op.create_table(
        "connector_count",
        sa.Column("vendor", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.BigInteger(), nullable=False),
        sa.Column("joined", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.BigInteger(), nullable=False),
        sa.Column("waited_ms", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("unreadable", sa.BigInteger(), nullable=False),
        sa.Column("bytes_network", sa.BigInteger(), nullable=False),
        sa.Column("bytes_cache", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vendor", "kind", name=op.f("pk_connector_count")),
    )
    op.create_table(
        "connector_minute",
        sa.Column("vendor", sa.String(length=64), nullable=False),
        sa.Column("minute", UtcDateTime(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("busy", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("latencies", sa.JSON(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("vendor", "minute", name=op.f("pk_connector_minute")),
    )
    with op.batch_alter_table("connector_minute", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_connector_minute_minute"), ["minute"], unique=False)

    op.create_table(
        "evidence_record",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_evidence_record")),
    )
    with op.batch_alter_table("evidence_record", schema=None) as batch_op:
        batch_op.create_index("ix_evidence_record_symbol_as_of", ["symbol", "as_of"], unique=False)
        batch_op.create_index(batch_op.f("ix_evidence_record_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "quarantined_row",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("session", sa.String(length=10), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("row", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by", sa.String(length=128), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("stored_at", UtcDateTime(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('held', 'released', 'refused', 'passed')", name=op.f("ck_quarantined_row_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_row")),
    )
    with op.batch_alter_table("quarantined_row", schema=None) as batch_op:
        batch_op.create_index("ix_quarantined_row_dataset_symbol", ["dataset", "symbol"], unique=False)
        batch_op.create_index(batch_op.f("ix_quarantined_row_trace_id"), ["trace_id"], unique=False)

    op.create_table(
        "universe_rotation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("universe", sa.String(length=64), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("effective", UtcDateTime(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("ranked", sa.Integer(), nullable=False),
        sa.Column("entered", sa.JSON(), nullable=False),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.Column("ran_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["universe"], ["universe.name"], name=op.f("fk_universe_rotation_universe_universe")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_universe_rotation")),
        sa.UniqueConstraint("universe", "as_of", name=op.f("uq_universe_rotation_universe")),
    )
    op.create_table(
        "universe_rule",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("universe", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["universe"], ["universe.name"], name=op.f("fk_universe_rule_universe_universe")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_universe_rule")),
        sa.UniqueConstraint("universe", "version", name=op.f("uq_universe_rule_universe")),
    )
    op.create_table(
        "universe_change",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("universe", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("happened", UtcDateTime(), nullable=False),
        sa.Column("learned", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rotation", sa.String(length=32), nullable=True),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rotation"], ["universe_rotation.id"], name=op.f("fk_universe_change_rotation_universe_rotation")
        ),
        sa.ForeignKeyConstraint(["universe"], ["universe.name"], name=op.f("fk_universe_change_universe_universe")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_universe_change")),
        sa.UniqueConstraint("universe", "number", name=op.f("uq_universe_change_universe")),
    )
