"""Who was met before in a run: the same person twice in one file, or in two files that do not agree."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from msgspec import Struct

from fhir_equity.model import Finding, Locator, Member, Severity

Said = frozenset[tuple[str, int]]  # (matter, digest of all that was said about it on one occasion)


class Met(Struct, frozen=True):
    """One record of a member (by the store's id) and what it says."""

    id: int
    member: Member
    said: Said


class Repeats:
    """Where every member was last met in a run and what was said: four bytes for each id of the store.

    What is said repeats from member to member and is kept once.
    """

    def __init__(self) -> None:
        self._last = array("I")
        self._kept: list[tuple[int, Said]] = [(0, frozenset())]  # (artefact, said); 0 is for nobody
        self._places: dict[tuple[int, Said], int] = {}

    def look(self, artefact: int, records: Iterable[Met]) -> tuple[list[Finding], dict[int, int]]:
        """Findings about records of persons met before, and what `learn` takes once the records are written."""
        findings: list[Finding] = []
        met: dict[int, int] = {}
        for record in records:
            before = met.get(record.id) or self._place(record.id)
            if before:
                findings += _found(record, artefact, *self._kept[before])
            met[record.id] = self._keep((artefact, record.said))
        return findings, met

    def learn(self, met: dict[int, int]) -> None:
        """Remember where members were met."""
        short = max(met, default=0) + 1 - len(self._last)
        if short > 0:
            self._last.frombytes(bytes(short * self._last.itemsize))
        for member, place in met.items():
            self._last[member] = place

    def _place(self, member: int) -> int:
        return self._last[member] if member < len(self._last) else 0

    def _keep(self, here: tuple[int, Said]) -> int:
        place = self._places.get(here)
        if place is None:
            place = self._places[here] = len(self._kept)
            self._kept.append(here)
        return place


def _found(record: Met, artefact: int, where: int, said: Said) -> list[Finding]:
    """Twice in one file is told in any case; two files say the same of a person as a rule."""
    place = Locator("", record.member.unit, record.member.number, record.member.offset)
    differs = _differ(record.said, said)
    if where == artefact:
        return [Finding("member.duplicate", Severity.WARNING if differs else Severity.INFO, place)]
    return [Finding("member.seen_in_two_files", Severity.WARNING, place)] if differs else []


def _differ(one: Said, other: Said) -> bool:
    """Whether both speak of a matter and say something else: what a record leaves out says nothing."""
    both = {matter for matter, _ in one} & {matter for matter, _ in other}
    return any(matter in both for matter, _ in one ^ other)
