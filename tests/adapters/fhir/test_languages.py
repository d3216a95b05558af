"""Which languages answer which question."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_equity.adapters.fhir import answers_of
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Locator, Loss, Member, Relationship

TYPE = "http://hl7.org/fhir/StructureDefinition/patient-preferenceType"
BCP47 = "urn:ietf:bcp:47"


def entry(
    code: str, *, preferred: bool | None = None, modes: tuple[str, ...] = (), inside: bool = True
) -> dict[str, Any]:
    found: dict[str, Any] = {"language": {"coding": [{"system": BCP47, "code": code}]}}
    if preferred is not None:
        found["preferred"] = preferred
    extensions = [{"url": TYPE, "valueCoding": {"code": mode}} for mode in modes]
    if extensions and inside:
        found["_preferred"] = {"extension": extensions}
    elif extensions:
        found["extension"] = extensions
    return found


def read(*entries: dict[str, Any]) -> Member:
    return answers_of({"resourceType": "Patient", "id": "a", "communication": list(entries)}, "x", Context())


def proficient(code: str, *modes: str, preferred_for: tuple[str, ...] = ()) -> dict[str, Any]:
    found = entry(code, modes=preferred_for, inside=False)
    parts = [{"url": "type", "valueCoding": {"code": mode}} for mode in modes]
    level = {"url": "level", "valueCoding": {"code": "E"}}
    url = "http://hl7.org/fhir/StructureDefinition/patient-proficiency"
    found["extension"] = [*found.get("extension", []), {"url": url, "extension": [level, *parts]}]
    return found


def test_proficiency_says_what_a_language_is_for_where_nothing_else_does() -> None:
    assert languages(read(proficient("es", "ESP", "RSP"), proficient("en", "RWR"))) == {
        "language_spoken": ["es"],
        "language_written": ["en"],
    }
    assert languages(read(proficient("es", "RSP", "EWR"))) == {"language_spoken": ["es"], "language_written": ["es"]}
    assert languages(read(proficient("es", "EWR", preferred_for=("verbal",)))) == {"language_spoken": ["es"]}
    for modes in ((), ("ESGN",)):
        found = read(proficient("es", *modes))
        assert (languages(found), found.findings) == ({"language_spoken": ["es"]}, ())


def languages(member: Member) -> dict[str, list[str]]:
    return {each.topic: [coding.code for coding in each.received.codings] for each in member.answers}


def test_all_entries_speak_where_none_is_preferred() -> None:
    member = read(entry("en"), entry("es", preferred=False))
    assert languages(member) == {"language_spoken": ["en", "es"]}
    assert member.answers[0].path == "Patient.communication[0]"
    assert member.answers[0].received.element == "fhir.communication"
    assert json.loads(member.answers[0].received.raw) == [entry("en"), entry("es", preferred=False)]
    assert member.losses == ()


def test_preferred_entries_win_and_the_others_are_a_loss() -> None:
    member = read(entry("en"), entry("es", preferred=True))
    assert languages(member) == {"language_spoken": ["es"]}
    assert member.answers[0].path == "Patient.communication[1]"
    assert json.loads(member.answers[0].received.raw) == entry("es", preferred=True)
    place = Locator("x", "resource", 0, -1, "Patient.communication[0]")
    assert member.losses == (Loss("fhir.communication.not_preferred", Relationship.NARROWER, "language_spoken", place),)


@pytest.mark.parametrize("inside", [True, False])
def test_the_preference_type_says_which_question(inside: bool) -> None:
    member = read(
        entry("es", preferred=True, modes=("verbal",), inside=inside),
        entry("en", preferred=True, modes=("written",), inside=inside),
    )
    assert languages(member) == {"language_spoken": ["es"], "language_written": ["en"]}
    both = read(entry("fr", modes=("verbal", "written"), inside=inside))
    assert languages(both) == {"language_spoken": ["fr"], "language_written": ["fr"]}


def test_a_preferred_written_language_says_nothing_about_speech() -> None:
    member = read(entry("en"), entry("es", preferred=True, modes=("written",)))
    assert languages(member) == {"language_spoken": ["en"], "language_written": ["es"]}
    assert member.losses == ()


def test_a_preference_type_that_is_not_known_is_speech_with_a_finding() -> None:
    member = read(entry("en", modes=("sung",)))
    assert languages(member) == {"language_spoken": ["en"]}
    assert [(each.code, each.locator.path) for each in member.findings] == [
        ("fhir.communication.preference_type", "Patient.communication[0]")
    ]


def test_an_entry_without_a_language_is_told() -> None:
    member = read({"language": {"coding": [{"system": BCP47}]}})
    assert [(each.topic, each.received.codings) for each in member.answers] == [("language_spoken", ())]
    assert [(each.code, each.locator.path) for each in member.findings] == [
        ("fhir.communication.empty", "Patient.communication[0]")
    ]


def test_texts_and_several_codings() -> None:
    member = read(
        {"language": {"coding": [{"code": "es"}, {"system": BCP47, "code": "e", "display": "d"}], "text": "Spanish"}},
        {"language": {"text": "Mixteco"}},
        {"language": {"text": "Spanish"}},
    )
    received = member.answers[0].received
    assert received.codings == (Coding("", "es"), Coding(BCP47, "e", "d"))
    assert received.text == "Spanish; Mixteco"
