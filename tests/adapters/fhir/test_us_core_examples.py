"""The examples of the US Core packages read as their authors meant them, version by version."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_equity.adapters.fhir import ADAPTER
from fhir_equity.adapters.fhir.shape import compact
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.model import Member
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

CONTEXT = Context(guide=Tables().document("guides/fhir.toml"))
VOCABULARY = Vocabulary()
# Who is read from a file: by topic the codes received, what they mean where that is not answered, and the text.
Said = dict[str, str]
ASIAN = {"race": "2028-9 'Asian'", "ethnicity": "2186-5 'Not Hispanic or Latino'"}
MIXED = {"race": "2106-3 1002-5 2028-9 1586-7 2036-2 'Mixed'"}
LATINA = {"ethnicity": "2135-2 2184-0 2148-5 'Hispanic or Latino'"}
BOY, GIRL = {"sex": "male"}, {"sex": "female"}
BORN_M, BORN_F = {"birth_sex": "M"}, {"birth_sex": "F"}
SEX_M, SEX_F = {"recorded_sex": "248153007"}, {"recorded_sex": "248152002"}
TRIBE = {"tribal_affiliation": "187 'Shoshone'"}
OTHER = {"race": "2106-3 2028-9 'Mixed'", "ethnicity": "2186-5 'Not Hispanic or Latino'"}
TARGETED = {"race": "2106-3 'Mixed'", "ethnicity": "2135-2 'Hispanic or Latino'", **BORN_F, **SEX_F, **GIRL}
SPEAKS = {"interpreter_needed": "373066001", "language_spoken": "es"}
UNKNOWN = {"gender_identity": "UNK=unknown 'Unknown'"}

PATIENTS: dict[str, dict[str, Said]] = {
    "example": {
        "3.1.1": {**MIXED, **LATINA, **BORN_F, **GIRL},
        "4.0.0": {**MIXED, **LATINA, **BORN_F, **GIRL},
        "5.0.1": {**MIXED, **LATINA, **BORN_F, **GIRL, "gender_identity": "ASKU=dont_know 'asked but unknown'"},
        "6.1.0": {**MIXED, **LATINA, **TRIBE, **BORN_F, **SEX_F, **UNKNOWN, **GIRL},
        "7.0.0": {**MIXED, **LATINA, **TRIBE, **BORN_F, **SEX_F, **UNKNOWN, **GIRL},
        "8.0.0": {**MIXED, **LATINA, **TRIBE, **SEX_F, **SPEAKS},
        "8.0.1": {**MIXED, **LATINA, **TRIBE, **SEX_F, **SPEAKS},
        "9.0.0": {**MIXED, **LATINA, **TRIBE, **SEX_F, **SPEAKS},
    },
    "child-example": {
        **{version: {**ASIAN, **BORN_M, **BOY} for version in ("3.1.1", "4.0.0", "5.0.1")},
        **{version: {**ASIAN, **BORN_M, **SEX_M, **BOY} for version in ("6.1.0", "7.0.0")},
        **{version: {**ASIAN, **SEX_M} for version in ("8.0.0", "8.0.1", "9.0.0")},
    },
    "infant-example": {
        **{version: {**ASIAN, **BORN_M, **BOY} for version in ("3.1.1", "4.0.0", "5.0.1")},
        **{version: {**ASIAN, **BORN_M, **SEX_M, **BOY} for version in ("6.1.0", "7.0.0")},
        "8.0.0": {**ASIAN, **SEX_M},
    },
    "deceased-example": {
        **{version: {**OTHER, **GIRL} for version in ("6.1.0", "7.0.0")},
        "8.0.0": {**OTHER, **SEX_F},
    },
    "example-targeted-provenance": {
        version: {**TARGETED, "gender_identity": "UNK=unknown"} for version in ("6.1.0", "7.0.0")
    },
}
PRAPARE = {
    "PRAPARE-multiselect-item-example-32624-9-answer0": {"race": "LA4457-3 'White'"},
    "PRAPARE-multiselect-item-example-32624-9-answer1": {"race": "LA30187-1 'Pacific Islander'"},
    "PRAPARE-item-example-56051-6": {"ethnicity": "LA32-8 'No'"},
    "PRAPARE-item-example-54899-0": {"language_spoken": "LA43-5 'English'"},
}
ASKED = {"sexual-orientation-example": {"sexual_orientation": "ASKU=dont_know 'asked but unknown'"}}
DECLINED = {"sexual-orientation-example": {"sexual_orientation": "asked-declined=declined 'Asked But Declined'"}}
OBSERVATIONS: dict[str, dict[str, Said]] = {
    "3.1.1": {},
    "4.0.0": {},
    "5.0.1": {**PRAPARE, **ASKED},
    "6.1.0": {**PRAPARE, **ASKED},
    "7.0.0": {**PRAPARE, **DECLINED},
    "8.0.0": PRAPARE,
}


def examples(shared: Path, version: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The examples of one type in a package, or in the sources of a version that has none here."""
    folder = shared / "standards/packages"
    package = folder / f"hl7.fhir.us.core-{version}.tgz"
    if package.exists():
        with tarfile.open(package) as archive:
            for each in archive:
                name = Path(each.name).name
                if "/example" in each.name and name.startswith(f"{kind}-") and (file := archive.extractfile(each)):
                    yield name.removeprefix(f"{kind}-").removesuffix(".json"), json.load(file)
        return
    for path in (folder / f"hl7.fhir.us.core-{version}-source").glob(f"Example-{kind.lower()}-*.json"):
        yield path.stem.removeprefix(f"Example-{kind.lower()}-"), json.loads(path.read_bytes())


def said(*resources: dict[str, Any]) -> Said:
    """What one Patient with what stands beside them is read as; a finding is a failure."""
    bundle = compact({"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]})
    found = list(ADAPTER.read(Source("x.json", lambda: io.BytesIO(bundle)), Range(), CONTEXT))
    (member,) = (each for each in found if isinstance(each, Member))
    assert member.findings == ()
    answers: Said = {}
    for topic, received in ((each.topic, each.received) for each in member.answers):
        state = VOCABULARY.meaning(received).state.value
        codes = " ".join(coding.code for coding in received.codings)
        told = f"{codes}={state}" if state != "answered" else codes
        answers[topic] = f"{told} '{received.text}'" if received.text else told
    return answers


def test_every_patient_of_every_package(shared: Path) -> None:
    versions = list(PATIENTS["example"])
    read = {(name, version): said(each) for version in versions for name, each in examples(shared, version, "Patient")}
    assert read == {(name, version): each for name, found in PATIENTS.items() for version, each in found.items()}


def test_every_observation_that_answers_a_question_of_ours(shared: Path) -> None:
    patient = {"resourceType": "Patient", "id": "example"}
    for version, expected in OBSERVATIONS.items():
        read = {name: said(patient, each) for name, each in examples(shared, version, "Observation")}
        assert {name: each for name, each in read.items() if each} == expected


def test_what_the_answers_of_prapare_mean(shared: Path) -> None:
    found = dict(examples(shared, "6.1.0", "Observation"))
    bundle = compact([{"resourceType": "Patient", "id": "example"}, *(found[name] for name in PRAPARE)])
    (member, *_) = ADAPTER.read(Source("x.json", lambda: io.BytesIO(bundle)), Range(), CONTEXT)
    assert isinstance(member, Member)
    meanings = {each.topic: VOCABULARY.meaning(each.received) for each in member.answers}
    assert {topic: [c.coding.code for c in each.concepts] for topic, each in meanings.items()} == {
        "race": ["2106-3", "2076-8"],
        "ethnicity": ["2186-5"],
        "language_spoken": ["en"],
    }
