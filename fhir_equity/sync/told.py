"""Who is told how far something has come: for a progress bar."""

from __future__ import annotations

from typing import Protocol


class Told(Protocol):
    """Told a name, how many of them are done and, where that is known, of how many."""

    def __call__(self, name: str, count: int, total: int = 0, /) -> None:
        """Hear it."""
