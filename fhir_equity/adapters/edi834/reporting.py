"""Loop 2750: what a partner says in reporting categories, by the table ``[[reporting]]`` of its guide.

The standard names no category: N102, REF01 and what REF02 means are agreed in a companion guide (X12 RFI 2851).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.edi834.delimiters import BLANK
from fhir_equity.adapters.edi834.envelope import decoded, text
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.edi834.shape import Note
from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Loss, Origin, Received, Relationship, Severity

REPORTED = "x12.2750"
CATEGORY = "75"  # N101
_EFFECTIVE = "007"  # DTP01
_LOST = Loss("x12.not_kept.2750", Relationship.UNMATCHED)


class Category(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the table: N102 and REF01 (empty: any) that it is known by, the topic, and what each REF02 means.

    A meaning is ``system|code`` or a wording; a REF02 that is not listed is a wording as it stands.
    """

    name: str
    topic: str
    reference: str = ""
    values: dict[str, str] = {}

    def meant(self, value: str) -> str:
        """What a REF02 means."""
        return next((meant for sent, meant in self.values.items() if folded(sent) == folded(value)), value)


class Reported(Struct, frozen=True, gc=False):
    """What one 2750 says; the numbers in `answers` and places of `notes` count its segments from N1 at 0."""

    answers: tuple[tuple[Received, Origin, int], ...] = ()
    notes: tuple[Note, ...] = ()
    losses: tuple[Loss, ...] = ()


def categories(guide: Mapping[str, Any]) -> list[Category]:
    """The table of a guide. Raises TableError for a row that cannot be used."""
    try:
        return msgspec.convert(guide.get("reporting", []), list[Category])
    except msgspec.ValidationError as error:
        raise TableError(f"guides/edi834.toml, reporting: {error}") from None


def folded(words: str) -> str:
    """A name without case and doubled spaces, as categories are compared."""
    return " ".join(words.casefold().split())


class CategoryReader:
    """Reads the categories of one interchange; ``reported[N1 and what follows it]``, each distinct one cut once."""

    def __init__(self, element: str, known: list[Category], origin: Origin) -> None:
        self._element = element
        self._origin = origin
        self._known: dict[str, list[Category]] = {}
        for category in known:
            self._known.setdefault(folded(category.name), []).append(category)
        self.reported: Memory[tuple[str, ...], Reported] = Memory(self._cut)

    def _cut(self, segments: tuple[str, ...]) -> Reported:
        sent = [segment.lstrip(BLANK) for segment in segments]
        cells = [[*map(text, segment.split(self._element)), "", "", "", ""] for segment in sent]
        known = self._known.get(folded(cells[0][2]), []) if cells[0][1] == CATEGORY else []
        if not known:
            return Reported(losses=(_LOST,))
        notes: list[Note] = []
        origin = self._origin_of(cells, notes)
        answers, lost = [], False
        for at, ref in enumerate(cells):
            if ref[0] != "REF" or not ref[2]:
                continue
            category = next((each for each in known if each.reference in ("", ref[1])), None)
            lost = lost or category is None
            if category is not None:
                raw = decoded(f"{sent[0]}\n{sent[at]}")
                answers.append((_received(category.topic, category.meant(ref[2]), raw), origin, at))
        if not answers and not lost:
            notes.append(Note(f"{REPORTED}.no_value", Severity.WARNING, 0, "N102"))
        return Reported(tuple(answers), tuple(notes), (_LOST,) if lost else ())

    def _origin_of(self, cells: list[list[str]], notes: list[Note]) -> Origin:
        """DTP*007 dates the answer; of a period (RD8) it is the first day."""
        for at, dtp in enumerate(cells):
            if dtp[0] == "DTP" and dtp[1] == _EFFECTIVE:
                day = iso_date(dtp[3].partition("-")[0] if dtp[2] == "RD8" else dtp[3])
                if day:
                    return msgspec.structs.replace(self._origin, collected_on=day)
                notes.append(Note(f"{REPORTED}.not_a_date", Severity.WARNING, at, "DTP03"))
        return self._origin


def _received(topic: str, meant: str, raw: str) -> Received:
    system, coded, code = meant.partition("|")
    if coded:
        return Received(topic, REPORTED, (Coding(system, code),), raw=raw)
    return Received(topic, REPORTED, text=meant, raw=raw)
