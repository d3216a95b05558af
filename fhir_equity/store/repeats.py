"""Who was met before in a run: the same person twice in one file, or in two files that do not agree."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from fhir_equity.model import Finding, Locator, Member, Severity

Said = Mapping[str, int]  # matter -> 32 bits of the digest of what was said about it, never 0


class Met(Struct, frozen=True):
    """One record of a member (by the store's id) and what it says."""

    id: int
    member: Member
    said: Said


class Repeats:
    """Where every member was last met in a run, and what was last said about each matter.

    Takes four bytes for each id of the store, and four more for each matter.
    """

    def __init__(self) -> None:
        self._where = array("I")  # artefact by member, 0 where not met
        self._said: dict[str, array[int]] = {}  # by matter; 0 where nothing was said

    def look(self, artefact: int, records: Iterable[Met]) -> tuple[list[Finding], list[Met]]:
        """Findings about records of persons met before, and what `learn` takes once the records are written."""
        findings: list[Finding] = []
        met: dict[int, Met] = {}
        for record in records:
            before = met.get(record.id)
            if before is not None:
                findings += _found(record, artefact, artefact, before.said)
                record = Met(record.id, record.member, {**before.said, **record.said})
            elif record.id < len(self._where) and (where := self._where[record.id]):
                said = {matter: values[record.id] for matter, values in self._said.items() if values[record.id]}
                findings += _found(record, artefact, where, said)
            met[record.id] = record
        return findings, list(met.values())

    def learn(self, artefact: int, met: Sequence[Met]) -> None:
        """Remember where members were met and what they said; what they left out stays as it was."""
        for matter in {matter for record in met for matter in record.said}:
            self._said.setdefault(matter, array("I"))
        size = max(len(self._where), *(record.id + 1 for record in met)) if met else 0
        for values in (self._where, *self._said.values()):
            values.frombytes(bytes(max(size - len(values), 0) * values.itemsize))
        for record in met:
            self._where[record.id] = artefact
            for matter, value in record.said.items():
                self._said[matter][record.id] = value


def _found(record: Met, artefact: int, where: int, said: Said) -> list[Finding]:
    """Twice in one file is told in any case; two files say the same of a person as a rule."""
    place = Locator("", record.member.unit, record.member.number, record.member.offset)
    differs = any(said.get(matter, value) != value for matter, value in record.said.items())
    if where == artefact:
        return [Finding("member.duplicate", Severity.WARNING if differs else Severity.INFO, place)]
    return [Finding("member.seen_in_two_files", Severity.WARNING, place)] if differs else []
