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
    their own format: another kind of source may well say something else.
    """
    found: Counter[tuple[str, str]] = Counter()
    said = [_said(profile, matter_of) for profile in profiles.profiles]
    for records in people.repeated():
        known: dict[str, tuple[int, Said]] = {}  # by format: the input where the person was last met
        for number in records:
            source = profiles.profiles[number].source
            if not source:
                continue
            format_ = formats[source - 1]
            where, before = known.get(format_, (0, {}))
            differs = any(before.get(matter, values) != values for matter, values in said[number].items())
            if where == source:
                severity = Severity.WARNING if differs else Severity.INFO
                found[("member.duplicate", severity.value)] += 1
            elif where and differs:
                found[("member.seen_in_two_files", Severity.WARNING.value)] += 1
            known[format_] = source, {**before, **said[number]}
    return found


def _said(profile: Profile, matter_of: Callable[[str], str]) -> Said:
    said: dict[str, set[Received]] = {}
    for received in profile.received:
        said.setdefault(matter_of(received.topic), set()).add(received)
    return {matter: frozenset(values) for matter, values in said.items()}
