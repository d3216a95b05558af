"""What `codes export` writes is valid FHIR R4 to a referee that is not ours, and works where it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.codes_export import export
from fhir_equity.pipeline.workspace import Workspace
from tests.servers.validator import Message, Validator

BASE = "https://fhir-equity.example"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
HL7 = "http://terminology.hl7.org/CodeSystem/"
MOST = 1500  # concepts: the referee compares each with each

# Warnings of no consequence: narrative is recommended, and what is said of code systems that are
# not here whole, because they are somebody else's.
HARMLESS = ("Constraint failed: dom-6:", "No Target Code System, so", "The value set references CodeSystem")
NOT_WHOLE = ("is not fully defined and populated", "doesn't have all content")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("terminology")
    export(Workspace(), made)
    return made


def resource(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    if len(found.get("concept", ())) > MOST:
        found["concept"] = found["concept"][:MOST]
    return found


def judged(validator: Validator, folder: Path, definition: dict[str, Any]) -> list[Message]:
    """Everything but information and the harmless."""
    said = validator.messages(definition, definitions=folder)
    told = [each for each in said if each.severity != "information" and not each.message.startswith(HARMLESS)]
    return [each for each in told if each.refuses or not any(words in each.message for words in NOT_WHOLE)]


def test_every_definition_is_valid(validator: Validator, folder: Path) -> None:
    verdicts = {path.stem: judged(validator, folder, resource(folder, path.stem)) for path in folder.iterdir()}
    assert len(verdicts) == 107
    assert {name: said for name, said in verdicts.items() if said} == {}


def test_the_referee_is_awake(validator: Validator, folder: Path) -> None:
    """A target that its complete system does not have, and a sense that is not told."""
    states = resource(folder, "ConceptMap-wordings-to-state-any")
    states["group"][0]["element"][0]["target"][0]["code"] = "tired"
    assert ["'tired'" in each.message for each in judged(validator, folder, states)] == [True]
    letters = resource(folder, "ConceptMap-x12-1109-to-cdcrec-race-ethnicity")
    targets = [each for group in letters["group"] for element in group["element"] for each in element["target"]]
    next(each for each in targets if each["equivalence"] == "narrower").pop("comment")
    assert ["cmd-1" in each.message for each in judged(validator, folder, letters)] == [True]


def test_a_server_expands_every_list_to_its_codes(validator: Validator, folder: Path) -> None:
    """It takes no code that a complete code system of its own does not have: ours are those of HL7."""
    missing: dict[str, list[str]] = {}
    for path in sorted(folder.glob("ValueSet-*.json")):
        listed = json.loads(path.read_bytes())
        include = listed["compose"]["include"]
        codes = {f"{part['system']}|{each['code']}" for part in include for each in part["concept"]}
        found = set(validator.expanded(listed, folder))
        assert found <= codes
        missing |= {path.stem: sorted(codes - found)} if codes - found else {}
    tribes = [f"{HL7}v3-TribalEntityUS|{number}" for number in range(567, 580)]
    newer = {  # than the HL7 terminology that came with R4 in 2018
        "ValueSet-information-source": [f"{HL7}v3-ObservationValue|AIAST"],
        "ValueSet-tribal-entities": tribes,
    }
    assert missing == newer


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("cdcrec-to-omb2024-race-ethnicity", "2118-8", f"{BASE}/CodeSystem/omb2024|Middle Eastern or North African"),
        ("cdcrec-to-omb2024-race-ethnicity", "2129-5", ""),  # under review: no match until a steward decides
        ("cdcrec-to-omb1997-race-ethnicity", "2118-8", f"{BASE}/CodeSystem/omb1997|2106-3"),
        ("x12-1109-to-cdcrec-race-ethnicity", "I", f"{CDCREC}|1002-5"),
        ("wordings-to-cdcrec-race", "Dominicano", f"{CDCREC}|2069-3"),
    ],
)
def test_a_server_translates_with_the_maps(
    validator: Validator, folder: Path, name: str, code: str, expected: str
) -> None:
    assert validator.translated(code, f"{BASE}/ConceptMap/{name}", folder) == expected


def test_a_letter_that_may_be_either_is_decided_for_nobody(validator: Validator, folder: Path) -> None:
    said = validator.translated("A", f"{BASE}/ConceptMap/x12-1109-to-cdcrec-race-ethnicity", folder)
    assert said.startswith("Unable to process translate A because multiple targets were found")
