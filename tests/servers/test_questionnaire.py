"""The questionnaire, and answers to it, are valid FHIR R4 to a referee that is not ours, who knows the form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.pipeline.questionnaire import questionnaire
from fhir_equity.pipeline.workspace import Workspace
from tests.servers.validator import Validator

Json = dict[str, Any]
CDCREC = "urn:oid:2.16.840.1.113883.6.238"

# What the referee cannot decide here (codes of others, a script of a language) and of no consequence.
HARMLESS = (
    "Constraint failed: dom-6:",
    "The code cannot be checked because codeSystem 'http://snomed.info/sct'",
    "The code cannot be checked because codeSystem 'http://loinc.org'",
    "CodeSystem is unknown and can't be validated: urn:ietf:bcp:47 for 'urn:ietf:bcp:47#zh-Han",
    "Unknown extension http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-openLabel",
)


def judged(validator: Validator, answered: Json, form: Json, folder: Path) -> list[str]:
    """What the referee says of a response as an answer to its form. LHC-Forms names a profile that does not exist."""
    definitions = folder / "definitions"
    definitions.mkdir(exist_ok=True)
    (definitions / "Questionnaire.json").write_text(json.dumps(form), encoding="utf-8")
    resource = {name: value for name, value in answered.items() if name != "meta"}
    said = [each.message for each in validator.messages(resource, definitions=definitions)]
    return [message for message in said if not message.startswith(HARMLESS)]


@pytest.fixture(scope="module", params=["en", "es"])
def form(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Json:
    with Workspace() as workspace:
        return questionnaire(workspace, tmp_path_factory.mktemp("form") / "q.json", lang=request.param).resource


def test_it_is_valid_in_every_language(validator: Validator, form: Json) -> None:
    assert [each for each in validator.messages(form) if not each.message.startswith(HARMLESS)] == []


def test_the_referee_is_awake(validator: Validator, form: Json) -> None:
    twice = form | {"item": [*form["item"], form["item"][0]]}
    assert any("que-2" in each.message for each in validator.errors(twice))
    coded = form | {"item": [form["item"][0] | {"code": [{"code": "x"}]}]}
    assert any("que-3" in each.message for each in validator.errors(coded))


def test_the_referee_knows_what_may_be_answered(validator: Validator, form: Json, tmp_path: Path) -> None:
    def answered(link: str, code: str, *more: Json) -> list[str]:
        chosen = {"linkId": link, "answer": [{"valueCoding": {"system": CDCREC, "code": code}}]}
        items = [{"linkId": "race-ethnicity", "item": [chosen, *more]}]
        said = {"resourceType": "QuestionnaireResponse", "questionnaire": f"{form['url']}|{form['version']}"}
        return judged(validator, said | {"status": "completed", "item": items}, form, tmp_path)

    detail = {"linkId": "race-mena", "answer": [{"valueString": "Moroccan"}]}
    assert answered("race-category", "2118-8", detail) == []
    assert "not in the set of permitted values" in " ".join(answered("race-category", "2131-1"))
    assert "not enabled" in " ".join(answered("race-category", "2028-9", detail))
    assert "not found in questionnaire" in " ".join(answered("race-nonsense", "2028-9"))
