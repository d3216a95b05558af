"""audit: how complete and how good is what we hold, or what is in these files?"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Enrollment, Event, Finding, Loss, Member, Rejected, Severity
from fhir_equity.pipeline.reading import Failures, inputs, items
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.document import SCHEMA, body
from fhir_equity.quality.people import People, Profiles, check_of
from fhir_equity.quality.rules import of_the_person, problems
from fhir_equity.quality.tally import Counting, Tally

MOST_LOSSES = 10_000  # tuples of losses that wait to be counted
STRATA = ("partner", "coverage", "relationship", "state")
_ORDER = [Severity.INFO, Severity.WARNING, Severity.ERROR]


class Audit(Struct):
    """The audit document and the inputs that could not be read."""

    document: dict[str, Any]
    failures: list[str]

    def worst(self) -> Severity | None:
        """The worst severity among the findings; None without findings."""
        found = [Severity(f["severity"]) for f in self.document["findings"]]
        return max(found, key=_ORDER.index, default=None)

    def reaches(self, severity: Severity) -> bool:
        """Whether any finding is at least this bad."""
        worst = self.worst()
        return worst is not None and _ORDER.index(worst) >= _ORDER.index(severity)


def audit(
    workspace: Workspace,
    paths: Sequence[str | Path] = (),
    *,
    partner: str = "",
    format_: str = "",
    by: Sequence[str] = (),
) -> Audit:
    """Audit files, or the store when no path is given.

    `by` names strata (partner, coverage, relationship, state). Raises UsageError.
    """
    unknown = set(by) - set(STRATA)
    if unknown:
        raise UsageError(f"there is no stratum {', '.join(sorted(unknown))}; there are: {', '.join(STRATA)}")
    count = _Count(workspace, by)
    failures = Failures()
    named = workspace.partner(partner)
    entries = count.files(paths, named, format_, failures) if paths else count.stored(partner)
    return Audit(count.document(entries), failures.messages)


class _Count:
    """One audit being counted."""

    def __init__(self, workspace: Workspace, by: Sequence[str]) -> None:
        self._workspace = workspace
        self._by = tuple(by)
        self._people = People()
        self._profiles = Profiles(workspace.matter_of, workspace.as_of)
        self._pseudonyms = Pseudonyms(secrets.token_bytes(32))  # for this run only
        self._numbers: dict[str, Callable[[str], int]] = {}
        self._findings: Counter[tuple[str, str]] = Counter()
        self._losses: Counter[tuple[str, str]] = Counter()
        self._lost: dict[int, list[Any]] = {}  # by identity: most members of an 834 share a few tuples of losses

    def files(
        self, paths: Iterable[str | Path], partner: str, format_: str, failures: Failures
    ) -> list[dict[str, str | int]]:
        entries = []
        for read in inputs(self._workspace, paths, partner, format_, failures):
            for item in items(self._workspace, read, failures):
                self._item(item)
            if read.listed:
                entries.append(read.entry())
        return entries

    def _item(self, item: Member | Rejected | Finding | Loss) -> None:
        if isinstance(item, Member):
            self._member(item)
        elif isinstance(item, Rejected):
            self._finding(item.finding)
        elif isinstance(item, Finding):
            self._finding(item)
        else:
            self._lose((item,), 1)

    def _member(self, member: Member) -> None:
        partner, as_of = member.partner, self._workspace.as_of
        for finding in member.findings:
            self._finding(finding)
        if member.birth_date > as_of:
            for finding in of_the_person(member, as_of):
                self._finding(finding)
        if member.losses:
            lost = self._lost.setdefault(id(member.losses), [member.losses, 0])
            lost[1] += 1
            if len(self._lost) > MOST_LOSSES:
                self._settle_losses()
        number = self._numbers.get(partner)
        if number is None:
            number = self._numbers[partner] = self._pseudonyms.numbers(partner)
        profile = self._profiles.number(member.answers, self._stratum(member))
        self._people.add(number(member.key), check_of(member), profile)

    def _finding(self, finding: Finding) -> None:
        self._findings[(finding.code, finding.severity.value)] += 1

    def _lose(self, losses: Iterable[Loss], count: int) -> None:
        for loss in losses:
            self._losses[(loss.rule, loss.relationship.value)] += count

    def _settle_losses(self) -> None:
        for losses, count in self._lost.values():
            self._lose(losses, count)
        self._lost.clear()

    def _settle_values(self) -> None:
        """What the values mean that they should not: found once for each profile, counted for all its records."""
        for number, count in self._people.records().items():
            profile = self._profiles.profiles[number]
            meaning = self._workspace.vocabulary(profile.stratum[0]).meaning
            for received in profile.received:
                for code, severity in problems(received, meaning):
                    self._findings[(code, severity.value)] += count

    def stored(self, partner: str) -> list[dict[str, Any]]:
        people, partners = self._workspace.store.people, [partner] if partner else None
        for code, severity, count in people.findings(partners):
            self._findings[(code, severity)] += count
        if unfinished := people.unfinished(partners):  # a killed ingest: what is here is only a part
            self._findings[("store.run.unfinished", Severity.ERROR.value)] += unfinished
        for rule, relationship, count in people.losses(partners):
            self._losses[(rule, relationship)] += count
        for number, person in enumerate(people.among(partners), start=1):
            profile = self._profiles.of_events(tuple(event for _, event in person.events), self._stratum(person.member))
            self._people.add(person.id, check_of(person.member), profile)
            if number % 1000 == 0:
                self._workspace.progress("store", number)
        return people.inputs(partners)

    def _stratum(self, member: Member) -> tuple[str, ...]:
        """The partner, whose tables say what values mean, then the member's value of each stratum."""
        if not self._by:
            return (member.partner,)
        values = {
            "partner": member.partner,
            "coverage": member.enrollment.coverage,
            "relationship": _relationship(member.enrollment),
            "state": member.address.state,
        }
        return (member.partner, *(values[name] for name in self._by))

    def document(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """The audit document of everything counted."""
        self._settle_losses()
        self._settle_values()
        whole, strata = self._tallies()
        codes = self._workspace.vocabulary().codes
        matters = list(dict.fromkeys(topic.matter for topic in codes.topics.values()))
        counted = body(whole, matters)
        languages = {code for t in counted["topics"].values() for code in t.get("values", {})}
        found = self._findings.items()
        return {
            "schema": SCHEMA,
            "audience": "internal",
            "generated": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": software(),
            "run": {"as_of": self._workspace.as_of, "inputs": entries},
            **counted,
            "strata": [{"by": dict(by), **body(tally, matters)} for by, tally in sorted(strata.items())],
            "programs": {},
            "findings": [
                {"code": code, "severity": severity, "count": count}
                for (code, severity), count in sorted(
                    found, key=lambda f: (-_ORDER.index(Severity(f[0][1])), -f[1], f[0])
                )
            ],
            "losses": [
                {"rule": rule, "relationship": relationship, "count": count}
                for (rule, relationship), count in sorted(self._losses.items())
            ],
            "languages": {code: known.display for code in sorted(languages) if (known := codes.language(code))},
            "editions": {name: entry["edition"] for name, entry in codes.tables.sources["table"].items()},
        }

    def _tallies(self) -> tuple[Tally, dict[tuple[tuple[str, str], ...], Tally]]:
        whole: Tally = Counter()
        strata: dict[tuple[tuple[str, str], ...], Tally] = {}
        counting = Counting(self._workspace.vocabulary())
        for numbers, count in self._people.persons().items():
            profiles = [self._profiles.profiles[number] for number in numbers]
            places = [profile.stratum for profile in profiles]
            events: list[Event] = [event for profile in profiles for event in profile.events]
            resolutions = self._workspace.resolutions(places[0][0], events)
            counting.add(whole, resolutions, count)
            for place, name in enumerate(self._by, start=1):
                # A record that does not say it (a survey) does not take the person out of their stratum.
                for value in {stratum[place] for stratum in places} - {""} or {"(none)"}:
                    counting.add(strata.setdefault(((name, value),), Counter()), resolutions, count)
        return whole, strata


def _relationship(enrollment: Enrollment) -> str:
    if enrollment == Enrollment():
        return ""
    return "subscriber" if enrollment.subscriber else "dependent"
