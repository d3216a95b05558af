"""What we write is valid US Core to a referee that is not ours, and that referee is awake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.demo_people import enrollment, people, survey
from fhir_equity.pipeline.leaving import Omb, Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
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
# The extension by which a Provenance names an element is of a package that is not here.
HARMLESS = (
    "Constraint failed: dom-6:",
    "No code provided, and a code should be provided from the value set 'IdentifierType'",
    'Error Cannot invoke "org.hl7.fhir.r5.model.CodeSystem.getConcept()"',
    "Unknown extension http://hl7.org/fhir/StructureDefinition/targetElement",
)


def judged(validator: Validator, patient: Json, package: str = VERSION) -> list[Message]:
    """Everything but the harmless."""
    profile = US_CORE_PATIENT if patient["resourceType"] == "Patient" else ""  # else what it claims itself
    said = validator.messages(patient, package, profile)
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


def written(source: Path, strategy: Omb, out: Path, version: str = "") -> list[bytes]:
    """The resources that a conversion of `source` makes, one line each; SOGI too where a version is named."""
    wish = Wish(omb=strategy, us_core=version or VERSION, include_sensitive=bool(version))
    with Workspace(Settings(store=StoreSettings(url=str(out.with_name("equity.db"))))) as workspace:
        done = convert(workspace, source, out, wish=wish)
    lines = out.read_bytes().splitlines()
    assert sum(b'"resourceType":"Patient"' in line for line in lines) == done.members > 0
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


# Of 8.0.1 and 9.0.0 there is no package here: they are judged by that of 8.0.0.
PACKAGES = {each: each for each in ("3.1.1", "4.0.0", "5.0.1", VERSION, "7.0.0")} | {"8.0.1": "8.0.0", "9.0.0": "8.0.0"}

# What the referee cannot decide: sets of VSAC that nobody here has, codes of SNOMED CT and LOINC, that
# somebody's own words have no code (the binding is extensible), an extension of 8.0.1 that 8.0.0 did
# not have yet. And what it decides wrongly: Other Race is one of the codes of the OMB category from
# 5.0.1 to 7.0.0, but the set that the referee was given is an older one.
UNDECIDED = (
    "This element does not match any known slice",
    "ValueSet 'http://cts.nlm.nih.gov/fhir/ValueSet/",
    "ValueSet 'http://terminology.hl7.org/ValueSet/Languages' not found",
    "The code cannot be checked because codeSystem 'http://snomed.info/sct'",
    "CodeSystem is unknown and can't be validated: http://loinc.org for 'http://loinc.org#",
    "Best Practice Recommendation: In general, all observations should have ",
    "No code provided, and a code should be provided from the value set 'US Core Sexual Orientation'",
    "Unknown extension http://hl7.org/fhir/us/core/StructureDefinition/us-core-individual-sex",
    "The Coding provided (urn:oid:2.16.840.1.113883.6.238#2131-1) was not found in the value set 'OMB Race Categories'",
)
EVERY_STATE = """\
member_id,first_name,last_name,birth_date,race_ethnicity,birth_sex,recorded_sex,interpreter_needed,language_spoken
FX1,Tala,Rosefield,1984-05-06,Declined,Female,Male,yes,en-US
FX2,Omar,Pinecrest,2001-07-15,Asian; Egyptian; Other Race,Male,Female,no,es-MX
FX3,Hana,Larkspur,1975-11-02,Don't know,Declined,Declined,Declined,Declined
FX4,Wren,Northwind,1988-02-29,Mexican; Cuban; White; Somali Bantu,Don't know,Don't know,Don't know,Don't know
"""
IDENTITIES = """\
member_id,first_name,last_name,birth_date,gender_identity,sexual_orientation,pronouns,collected_on
FX5,Tala,Rosefield,1984-05-06,Man; Nonbinary,Lesbian; Bisexual,they/them; xe/xem,2026-01-02
FX6,Omar,Pinecrest,2001-07-15,Two spirit; my own word,Queer,she/her,
FX7,Hana,Larkspur,1975-11-02,Declined,Declined,Declined,
FX8,Wren,Northwind,1988-02-29,Don't know,Don't know,Don't know,
"""


@pytest.mark.parametrize(("version", "package"), PACKAGES.items())
def test_every_version_is_valid(validator: Validator, tmp_path: Path, version: str, package: str) -> None:
    (tmp_path / "states.csv").write_text(EVERY_STATE, encoding="utf-8")
    (tmp_path / "sogi.csv").write_text(IDENTITIES, encoding="utf-8")
    stories = sorted((ROOT / "fixtures" / "people").glob("*/survey.csv"))
    lines = {
        line
        for strategy in get_args(Omb)
        for source in (tmp_path / "states.csv", tmp_path / "sogi.csv", *stories)
        for line in written(source, strategy, tmp_path / "out.ndjson", version)
    }
    observations = [line for line in lines if b'"resourceType":"Observation"' in line]
    assert len(lines) - len(observations) > len(stories) + 8
    assert len(observations) >= 14
    said = [each for line in lines for each in judged(validator, json.loads(line), package)]
    assert [each for each in said if not each.message.startswith(UNDECIDED)] == []
