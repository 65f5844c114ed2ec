"""Runs migrations on the connection that `upgrade` holds, inside its transaction.

To write one: `alembic` has no ini file here; copy the newest file in `versions`, the tests hold it against the models.
"""

from __future__ import annotations

from alembic import context

from profilemesh.storage.models import Base
from profilemesh.storage.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
