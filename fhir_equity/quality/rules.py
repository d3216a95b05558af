"""Look at a member and yield findings; never change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhir_equity.model import Finding, Locator, Meaning, Member, Received, Severity


def findings(member: Member, meaning: Callable[[Received], Meaning], as_of: str) -> Iterator[Finding]:
    """What the reader found, what the values mean that they should not, and what cannot be.

    `as_of` is the ISO date of the run. Codes are ``<element>.<problem>`` for values.
    """
    yield from member.findings
    for answer in member.answers:
        for name, severity in meaning(answer.received).problems:
            yield Finding(f"{answer.received.element}.{name}", severity, answer.locator)
    if member.birth_date[:1].isdecimal() and member.birth_date > as_of:
        place = member.answers[0].locator if member.answers else Locator("")
        yield Finding("member.birth_date.future", Severity.ERROR, place)
