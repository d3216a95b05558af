"""What counts as an answer on race: codes for not knowing do not, a detail or the person's words alone do.

Programs that count by ombCategory alone take UNK for a race and lose who has only a detail, only a text, or is
Middle Eastern or North African.
"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.adapters.fhir import answers_of
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import State
from fhir_equity.vocabulary import Vocabulary

VOCABULARY = Vocabulary()
US = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
MENA = "Middle Eastern or North African"


def coded(part: str, system: str, code: str, display: str = "") -> dict[str, Any]:
    return {"url": part, "valueCoding": {"system": system, "code": code, "display": display}}


def text(words: str) -> dict[str, Any]:
    return {"url": "text", "valueString": words}


@pytest.mark.parametrize(
    ("name", "parts", "state", "categories", "words"),
    [
        ("race", [coded("ombCategory", NULL, "UNK", "unknown"), text("Unknown")], State.UNKNOWN, [], ""),
        ("race", [coded("ombCategory", NULL, "UNK"), text("UNK")], State.UNKNOWN, [], ""),
        ("race", [coded("ombCategory", NULL, "ASKU"), text("Asked but no answer")], State.DONT_KNOW, [], ""),
        ("race", [coded("ombCategory", ABSENT, "asked-declined"), text("Declined")], State.DECLINED, [], ""),
        ("ethnicity", [coded("ombCategory", NULL, "UNK"), text("unknown")], State.UNKNOWN, [], ""),
        ("race", [coded("detailed", CDCREC, "2118-8"), text(MENA)], State.ANSWERED, [MENA], ""),
        ("race", [coded("detailed", CDCREC, "2122-0", "Iranian"), text("Iranian")], State.ANSWERED, [MENA], ""),
        ("race", [coded("detailed", CDCREC, "2034-7", "Chinese"), text("Chinese")], State.ANSWERED, ["Asian"], ""),
        (
            "ethnicity",
            [coded("detailed", CDCREC, "2148-5"), text("Mexican")],
            State.ANSWERED,
            ["Hispanic or Latino"],
            "",
        ),
        ("race", [text("Kurdish and proud")], State.ANSWERED, [], "Kurdish and proud"),
        ("race", [text("White")], State.ANSWERED, ["White"], ""),
        ("race", [text("Declined to answer")], State.DECLINED, [], ""),
        (
            "race",
            [coded("ombCategory", CDCREC, "2106-3", "White"), text("White, of the Kurds")],
            State.ANSWERED,
            ["White"],
            "White, of the Kurds",
        ),
    ],
)
def test_what_counts(name: str, parts: list[dict[str, Any]], state: State, categories: list[str], words: str) -> None:
    extension = {"url": US + name, "extension": parts}
    member = answers_of({"resourceType": "Patient", "id": "a", "extension": [extension]}, "x", Context())
    meaning = VOCABULARY.meaning(member.answers[0].received)
    assert meaning.state is state
    assert [VOCABULARY.codes.category_2024(each.coding.code) for each in meaning.concepts] == categories
    assert meaning.text == words
