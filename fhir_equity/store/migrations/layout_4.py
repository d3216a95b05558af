"""Layout 4: a function for each matter that came with it."""

from __future__ import annotations

from alembic.operations import Operations

revision = "4"
down_revision = "3"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Make what layout 3 lacks."""
    op.execute("UPDATE store_version SET version = 4")
