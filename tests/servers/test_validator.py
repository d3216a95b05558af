"""What we write is valid US Core to a referee that is not ours, and that referee is awake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from fhir_equity.pipeline.convert import Omb, Wish, convert
from fhir_equity.pipeline.demo_people import enrollment, people, survey
from fhir_equity.pipeline.workspace import Workspace
from tests.conftest import ROOT
from tests.servers.patients import (
    NULL_FLAVOR,
    REFUSED,
    REMARKED,
    UNSEEN,
    US_CORE_PATIENT,
    Case,
    Json,
    detailed,
    omb,
    race,
    sound,
    text,
)
from tests.servers.validator import Message, Validator, built

VERSION = "6.1.0"

# Said of every Patient and of no consequence: narrative is recommended, an identifier's type may be
# text, and the referee stumbles over the filters of simple-language once it has found a code in BCP 47.
HARMLESS = (
    "Constraint failed: dom-6:",
    "No code provided, and a code should be provided from the value set 'IdentifierType'",
    'Error Cannot invoke "org.hl7.fhir.r5.model.CodeSystem.getConcept()"',
)


def judged(validator: Validator, patient: Json, package: str = VERSION) -> list[Message]:
    """Everything but the harmless."""
    said = validator.messages(patient, package, US_CORE_PATIENT)
    return [each for each in said if each.refuses or not each.message.startswith(HARMLESS)]


def test_a_sound_patient_is_valid(validator: Validator) -> None:
    assert judged(validator, sound()) == []


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_referee_refuses(validator: Validator, case: Case) -> None:
    errors = validator.errors(case.patient, VERSION, US_CORE_PATIENT)
    assert any(case.words in each.message and each.location == case.location for each in errors), errors


@pytest.mark.parametrize("case", REMARKED, ids=lambda case: case.name)
def test_the_referee_cannot_decide_but_remarks(validator: Validator, case: Case) -> None:
    said = judged(validator, case.patient)
    assert not any(each.refuses for each in said), said
    assert any(case.words in each.message and each.location == case.location for each in said), said


@pytest.mark.parametrize("patient", UNSEEN.values(), ids=UNSEEN)
def test_the_referee_does_not_see(validator: Validator, patient: Json) -> None:
    """Other tests must: should one of these fail, the referee has learned something."""
    assert judged(validator, patient) == []


def test_the_referee_knows_only_the_first_edition_of_cdcrec(validator: Validator) -> None:
    """Somali (4186-3) is of the newer list: a refusal of such a code is the referee's mistake."""
    errors = validator.errors(sound(extension=[race(detailed("4186-3"), text())]), VERSION, US_CORE_PATIENT)
    assert {each.message.split(" (")[0] for each in errors} == {
        "Unknown code 'urn:oid:2.16.840.1.113883.6.238#4186-3'",
        "The Coding provided",
    }


def test_each_package_has_its_own_rules(validator: Validator) -> None:
    """US Core 7.0.0 added us-core-23; R4 alone does not know the profile, and says so."""
    both = sound(extension=[race(omb("ASKU", NULL_FLAVOR), omb("2028-9"), text())])
    assert judged(validator, both) == []
    assert ["us-core-23" in each.message for each in judged(validator, both, "7.0.0")] == [True]
    plain = sound(meta=None, extension=None)
    assert validator.errors(plain) == []
    assert "could not be found" in validator.errors(sound(extension=None))[0].message


def test_definitions_are_judged_too(validator: Validator) -> None:
    codes: Json = {"resourceType": "CodeSystem", "url": "https://plan.example/codes", "status": "active"}
    codes |= {"content": "complete", "caseSensitive": True}
    assert validator.errors(codes | {"concept": [{"code": "a"}, {"code": "b"}]}) == []
    assert "csd-1" in validator.errors(codes | {"concept": [{"code": "a"}, {"code": "a"}]})[0].message


def test_a_question_that_kills_says_why(validator: Validator, shared: Path) -> None:
    """Of a process of its own: the shared one is to live."""
    with Validator(built(), shared) as mortal:
        with pytest.raises(RuntimeError, match=r"the validator stopped: .*hl7\.fhir\.us\.core-1\.2\.3\.tgz"):
            mortal.messages(sound(), "1.2.3")
        with pytest.raises(RuntimeError, match="the validator stopped"):
            mortal.messages(sound())


def sources(folder: Path) -> list[Path]:
    """Every invented person in every format, and the files of the demonstration."""
    (folder / "demo.834").write_bytes(enrollment(people()))
    (folder / "demo.csv").write_bytes(survey(people()))
    stories = ROOT / "fixtures" / "people"
    names = ("enrollment.834", "patient.json", "survey.csv")
    return [folder / "demo.834", folder / "demo.csv", *(p for name in names for p in sorted(stories.glob(f"*/{name}")))]


def written(source: Path, strategy: Omb, out: Path) -> list[bytes]:
    """The Patients that a conversion of `source` makes, one line each."""
    with Workspace() as workspace:
        done = convert(workspace, source, out, wish=Wish(omb=strategy))
    lines = out.read_bytes().splitlines()
    assert len(lines) == done.members > 0
    return lines


def test_what_we_write_is_valid_us_core(validator: Validator, tmp_path: Path) -> None:
    """Both strategies; a Patient that both write alike is judged once."""
    places: dict[bytes, str] = {}
    different: dict[str, set[bytes]] = {}
    for strategy in get_args(Omb):
        for source in sources(tmp_path):
            lines = written(source, strategy, tmp_path / "out.ndjson")
            different.setdefault(strategy, set()).update(lines)
            places |= {
                line: f"{strategy}: {source.parent.name}/{source.name}, line {n}" for n, line in enumerate(lines, 1)
            }
    assert different["faithful"] - different["rollup-1997"]
    assert len(places) > 400
    verdicts = {place: judged(validator, json.loads(line)) for line, place in places.items()}
    assert {place: said for place, said in verdicts.items() if said} == {}
