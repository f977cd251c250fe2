"""Alembic's environment: migrations run on a connection that the workbench has opened."""

from alembic import context

from workbench.store import tables  # noqa: F401 - registers every table
from workbench.store.schema import Table

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
