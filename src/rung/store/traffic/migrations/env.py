"""How Alembic runs the migrations of the traffic database: on a connection that is handed in, inside its transaction."""

from __future__ import annotations

from alembic import context

from rung.store.traffic.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
