"""The same person twice: in one file, or in two files of a run that do not agree. As `ingest` finds it, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from fhir_equity.model import Received, Severity
from fhir_equity.quality.people import People, Profile, Profiles

Said = dict[str, frozenset[Received]]


def repeats(
    people: People, profiles: Profiles, matter_of: Callable[[str], str], formats: Sequence[str]
) -> Counter[tuple[str, str]]:
    """Findings by code and severity; `formats` are those of the inputs, the first of which is number 1.

    Two records differ only on a matter of which both speak. Files are only compared with files of
    their own format, for another kind of source may well say something else; a person is counted
    once then, so that the order of the files changes nothing.
    """
    found: Counter[tuple[str, str]] = Counter()
    for records in people.repeated():
        known: dict[int, Said] = {}  # by input
        for number in records:
            profile = profiles[number]
            source, said = profile.source, _said(profile, matter_of)
            before = known.get(source)
            if before is not None and source:
                severity = Severity.WARNING if _differ(before, said) else Severity.INFO
                found[("member.duplicate", severity.value)] += 1
            known[source] = {**(before or {}), **said}
        first: dict[str, Said] = {}  # by format, what the first file that speaks of a matter says
        for source, says in known.items():
            if source and _differ(first.setdefault(formats[source - 1], {}), says):
                found[("member.seen_in_two_files", Severity.WARNING.value)] += 1
                break
            if source:
                first[formats[source - 1]] = {**says, **first[formats[source - 1]]}
    return found


def _differ(one: Said, other: Said) -> bool:
    return any(one.get(matter, values) != values for matter, values in other.items())


def _said(profile: Profile, matter_of: Callable[[str], str]) -> Said:
    said: dict[str, set[Received]] = {}
    for received in profile.received:
        said.setdefault(matter_of(received.topic), set()).add(received)
    return {matter: frozenset(values) for matter, values in said.items()}
