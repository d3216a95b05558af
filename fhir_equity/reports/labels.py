"""Names and order of topics, categories and languages, from the tables and from the document itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from fhir_equity.reports.figures import Document
from fhir_equity.tables import Row, Tables

OTHERWISE = " (counted otherwise then)"  # a rate of another audit, under other rules


@cache
def _tables() -> Tables:
    return Tables()


def _topics() -> dict[str, Row]:
    return {row["topic"]: row for row in _tables().rows("codes/topics.csv")}


def topic(key: str) -> str:
    """The reader's name for a topic; its key where the table has none."""
    return _topics().get(key, {}).get("label") or key


def is_sensitive(key: str) -> bool:
    """Whether a topic leaves only by an explicit rule."""
    return _topics().get(key, {}).get("sensitive") == "yes"


def topics(met: Iterable[str]) -> list[str]:
    """The topics met, in the order of the table, then any the table does not know."""
    met = sorted(met)
    known = [key for key in _topics() if key in met]
    return list(dict.fromkeys([*known, *met]))


def is_language(key: str) -> bool:
    """Whether the values of a topic are languages (BCP 47)."""
    return _topics().get(key, {}).get("code_system") == "bcp47"


def omb2024(met: Iterable[str]) -> list[str]:
    """The seven minimum categories of OMB SPD 15 (2024, 89 FR 22182) in official order, then others met.

    All seven are listed because a category that nobody has is news as well.
    """
    rows = _tables().rows("codes/omb2024.csv")
    return _joined((row["category"] for row in rows if row["kind"] == "minimum"), met)


def omb1997(question: str, met: Iterable[str]) -> list[str]:
    """The OMB 1997 categories of ``race`` or ``ethnicity`` (62 FR 58782), then others met."""
    rows = _tables().rows("codes/omb1997.csv")
    return _joined((row["category"] for row in rows if row["question"] == question), met)


def _joined(official: Iterable[str], met: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*official, *sorted(met)]))


def language(document: Document, code: str) -> str:
    """A language by its English name and code, ``Spanish (es)``; the code alone where no name is given."""
    name = document.get("languages", {}).get(code)
    return f"{name} ({code})" if name else code
