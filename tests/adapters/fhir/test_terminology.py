"""CodeSystem, ValueSet and ConceptMap from neutral rows: what is said, what is left out, in which order."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.fhir.terminology import About, Defined, Mapped, code_system, concept_map, value_set
from fhir_equity.adapters.fhir.validate import validate

ABOUT = About("race-codes.1", "https://acme.example/race", "Race codes", "2", "2026-01-31", "acme", "All.", "CC0")
BARE = About("7up", "https://acme.example/7up", "Seven")
A, B = "https://acme.example/a", "https://acme.example/b"


def test_what_a_definition_says_of_itself() -> None:
    assert value_set(ABOUT, {A: {"1": "One"}}) == {
        "resourceType": "ValueSet",
        "id": "race-codes.1",
        "url": "https://acme.example/race",
        "version": "2",
        "name": "RaceCodes1",
        "title": "Race codes",
        "status": "active",
        "experimental": False,
        "date": "2026-01-31",
        "publisher": "acme",
        "description": "All.",
        "copyright": "CC0",
        "compose": {"inactive": True, "include": [{"system": A, "concept": [{"code": "1", "display": "One"}]}]},
    }
    bare = value_set(BARE, {A: {"1": ""}})
    assert bare["name"] == "N7up"
    assert not {"version", "date", "publisher", "description", "copyright"} & set(bare)
    assert bare["compose"]["include"] == [{"system": A, "concept": [{"code": "1"}]}]


def test_a_complete_code_system_with_its_tree() -> None:
    top = Defined("1", "Top", "Everything", {"notSelectable": True, "note": "Grouping"})
    made = code_system(ABOUT, [top, Defined("2", properties={"parent": "1", "inactive": True})], "complete")
    assert validate(made, "CodeSystem") == []
    assert (made["content"], made["count"], made["caseSensitive"]) == ("complete", 2, True)
    assert made["hierarchyMeaning"] == "is-a"
    uri = "http://hl7.org/fhir/concept-properties#"
    assert made["property"] == [
        {"code": "inactive", "uri": f"{uri}inactive", "type": "boolean"},
        {"code": "notSelectable", "uri": f"{uri}notSelectable", "type": "boolean"},
        {"code": "note", "type": "string"},
        {"code": "parent", "uri": f"{uri}parent", "type": "code"},
    ]
    assert made["concept"] == [
        {
            "code": "1",
            "display": "Top",
            "definition": "Everything",
            "property": [{"code": "notSelectable", "valueBoolean": True}, {"code": "note", "valueString": "Grouping"}],
        },
        {
            "code": "2",
            "property": [{"code": "inactive", "valueBoolean": True}, {"code": "parent", "valueCode": "1"}],
        },
    ]


def test_a_part_has_no_count_and_a_supplement_leaves_case_to_the_system_it_adds_to() -> None:
    part = code_system(ABOUT, [Defined("1")], "fragment")
    assert part["caseSensitive"] is True
    assert not {"count", "supplements", "property", "hierarchyMeaning"} & set(part)
    added = code_system(ABOUT, [Defined("1", properties={"note": "Ours"})], "supplement", A)
    assert (added["content"], added["supplements"]) == ("supplement", A)
    assert not {"count", "caseSensitive"} & set(added)
    assert validate(part, "CodeSystem") == validate(added, "CodeSystem") == []


def test_a_map_has_a_group_for_each_pair_and_an_element_for_each_code() -> None:
    rows = [
        Mapped(A, "1", B, "x", "equivalent"),
        Mapped(A, "2", A, "1", "wider", "says less"),
        Mapped(A, "1", B, "y", "narrower"),
        Mapped(A, "3", "", "", "unmatched", "nobody knows"),
    ]
    made = concept_map(ABOUT, rows)
    assert validate(made, "ConceptMap") == []
    narrower = "The target says more than the source does: a candidate for a person to decide, never applied."
    targets = [
        {"code": "x", "equivalence": "equivalent"},
        {"code": "y", "equivalence": "narrower", "comment": narrower},
    ]
    wider = {"code": "1", "equivalence": "wider", "comment": "says less"}
    assert made["group"] == [
        {"source": A, "target": B, "element": [{"code": "1", "target": targets}]},
        {"source": A, "target": A, "element": [{"code": "2", "target": [wider]}]},
        {
            "source": A,
            "element": [{"code": "3", "target": [{"equivalence": "unmatched", "comment": "nobody knows"}]}],
        },
    ]


@pytest.mark.parametrize(
    ("relationship", "note", "comment"),
    [
        ("inexact", "", "The two overlap and neither holds the other."),
        ("inexact", "seldom", "seldom"),
        ("narrower", "seldom", "seldom"),
        ("wider", "", None),
        ("equivalent", "", None),
    ],
)
def test_r4_wants_to_be_told_in_which_sense(relationship: str, note: str, comment: str | None) -> None:
    made = concept_map(ABOUT, [Mapped(A, "1", B, "x", relationship, note)])
    assert made["group"][0]["element"][0]["target"][0].get("comment") == comment
