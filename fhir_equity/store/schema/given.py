"""How the store numbers its rows."""

from __future__ import annotations

# The store numbers rows itself, without gaps, so that they do not tell how often a run was interrupted.
GIVEN = {"autoincrement": False}
