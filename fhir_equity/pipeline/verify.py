"""verify: does an evidence bundle that somebody has kept still add up?"""

from __future__ import annotations

from pathlib import Path

from fhir_equity.reports.evidence import verify as checked


def verify(bundle: str | Path) -> list[str]:
    """What does not add up in an evidence bundle, in sentences; none when everything does.

    Every digest is computed again, page and tables are made anew from the document, and every total and rate of
    the document is recomputed. Raises UnreadableError for something that is no bundle, UsageError without the
    extra ``reports``.
    """
    return checked(Path(bundle))
