"""Look at a member and yield findings; never change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhir_equity.model import Finding, Locator, Meaning, Member, Received, Severity


def problems(received: Received, meaning: Callable[[Received], Meaning]) -> Iterator[tuple[str, Severity]]:
    """What a value means that it should not: ``<element>.<problem>`` and how bad that is."""
    for name, severity in meaning(received).problems:
        yield f"{received.element}.{name}", severity


def findings(member: Member, meaning: Callable[[Received], Meaning], as_of: str) -> Iterator[Finding]:
    """What the reader found, what the values mean that they should not, and what cannot be.

    `as_of` is the ISO date of the run. Codes are ``<element>.<problem>`` for values.
    """
    yield from member.findings
    for answer in member.answers:
        for code, severity in problems(answer.received, meaning):
            yield Finding(code, severity, answer.locator)
    yield from of_the_person(member, as_of)


def of_the_person(member: Member, as_of: str) -> Iterator[Finding]:
    """What cannot be, whatever the values are."""
    if member.birth_date > as_of and member.birth_date[:1].isdecimal():
        place = member.answers[0].locator if member.answers else Locator("")
        yield Finding("member.birth_date.future", Severity.ERROR, place)
