"""What shows only across the records of an artefact: people met twice, dependents alone, control numbers used twice."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field
from sqlalchemy import Connection

from fhir_equity.model import Finding, Severity
from fhir_equity.store.controls import seen_before
from fhir_equity.store.families import Orphan, orphans, still_orphans
from fhir_equity.store.repeats import Met, Repeats


class Noticed(Struct):
    """What was noticed in one chunk; it is learnt once the chunk is written."""

    findings: list[Finding] = field(default_factory=list)
    met: list[Met] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)


class Watch:
    """Follows one artefact. `repeats` are of all artefacts of its format in the run.

    `families` is whether an artefact has the subscribers that its dependents name.
    """

    def __init__(self, partner: str, artefact: int, repeats: Repeats, *, families: bool) -> None:
        self._partner = partner
        self._artefact = artefact
        self._families = families
        self._repeats = repeats
        self._orphans: list[Orphan] = []

    def notice(self, connection: Connection, records: Sequence[Met]) -> Noticed:
        """Look at the records of a chunk whose members are written."""
        findings, met = self._repeats.look(self._artefact, records)
        alone = orphans(connection, self._partner, [record.member for record in records]) if self._families else []
        return Noticed(findings, met, alone)

    def learn(self, noticed: Noticed) -> None:
        """Remember a chunk."""
        self._repeats.learn(self._artefact, noticed.met)
        self._orphans += noticed.orphans

    def end(self, connection: Connection) -> list[Finding]:
        """What is left to find when all chunks and the digest of the artefact are written."""
        alone = still_orphans(connection, self._partner, self._orphans)
        findings = [Finding("x12.member.subscriber_unknown", Severity.WARNING, place) for _, place in alone]
        return findings + seen_before(connection, self._partner, self._artefact)
