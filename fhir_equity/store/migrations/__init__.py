"""How a store comes to the layout of today: one Alembic script for each layout, run when a store is opened.

A new store goes through all of them, an older one through those it lacks. A script is never changed
once a store may have been through it.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_FOLDER = str(Path(__file__).parent)


def migrate(connection: Connection, found: int, wanted: int) -> None:
    """Bring a store from layout `found` (0 = empty) to layout `wanted`, within the transaction at hand."""
    scripts = ScriptDirectory(_FOLDER, version_locations=[_FOLDER])
    steps = list(scripts.iterate_revisions(str(wanted), str(found) if found else "base"))
    operations = Operations(MigrationContext.configure(connection))
    for step in reversed(steps):
        step.module.upgrade(operations)
