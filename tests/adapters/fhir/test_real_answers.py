"""Real files of others: what everybody in them is read as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_equity.adapters.fhir import ADAPTER
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source, sources
from fhir_equity.model import Answer, Finding, Member
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

CONTEXT = Context(guide=Tables().document("guides/fhir.toml"))
VOCABULARY = Vocabulary()
FOLDERS = ("fhir-r4", "fhir-r4-oddities", "fhir-older", "fhir-newer", "hl7v2-expected-fhir")
# By file, for each person of whom more than the sex is known: the codes that a topic means, or the words where no
# code does, or =state where it is no answer.
ANSWERS: dict[str, list[dict[str, str]]] = {
    "phdi/ecr-viewer-BundleLab.json": [
        {
            "race": "2106-3",
            "ethnicity": "2186-5",
            "birth_sex": "=invalid",
            "sex": "male",
            "language_spoken": "=invalid",
        },
    ],
    "phdi/ecr-viewer-BundlePatient.json": [
        {
            "race": "2054-5 2076-8",
            "ethnicity": "2135-2 2106-3",
            "birth_sex": "M",
            "sex": "male",
            "language_spoken": "en",
        },
    ],
    "phdi/ecr-viewer-BundlePatientDeceased.json": [
        {
            "race": "2054-5 2076-8",
            "ethnicity": "2135-2 2106-3",
            "birth_sex": "M",
            "sex": "male",
            "language_spoken": "en",
        },
    ],
    "phdi/example_eicr_with_rr_data_with_person.json": [
        {
            "race": "=unknown",
            "ethnicity": "=unknown",
            "birth_sex": "M",
            "gender_identity": "446141000124107",
            "tribal_affiliation": "91 338",
            "sex": "female",
            "language_spoken": "en",
        },
    ],
    "phdi/patient_resource_w_extensions.json": [
        {
            "race": "2106-3",
            "ethnicity": "2135-2",
            "birth_sex": "M",
            "gender_identity": "446141000124107",
            "tribal_affiliation": "91 338",
            "sex": "female",
        },
    ],
    "phdi/sample_ecr.json": [
        {
            "race": "2106-3 2108-9",
            "ethnicity": "Mixed",
            "birth_sex": "M",
            "sex": "male",
            "language_spoken": "=invalid",
            "sexual_orientation": "=dont_know",
        },
    ],
    "phdi/sample_fhir_bundle_for_phdc_conversion.json": [
        {"race": "2054-5", "ethnicity": "2186-5", "sex": "female", "language_spoken": "en-US"},
    ],
    "phdi/tefca-viewer-BundlePatient.json": [
        {"race": "2054-5", "ethnicity": "2135-2", "birth_sex": "M", "sex": "male", "language_spoken": "en"},
    ],
    "phdi/tefca-viewer-GoldenSickPatient.json.gz": [
        {"race": "2106-3", "ethnicity": "2135-2", "birth_sex": "M", "sex": "male"},
    ],
    "US-Core/patient-child-example.json": [
        {"race": "2028-9", "ethnicity": "2186-5", "recorded_sex": "248153007"},
    ],
    "US-Core/patient-deceased-example.json": [
        {"race": "2106-3 2028-9", "ethnicity": "2186-5", "recorded_sex": "248152002"},
    ],
    "US-Core/patient-example.json": [
        {
            "race": "2106-3 1002-5 2028-9 1586-7 2036-2",
            "ethnicity": "2135-2 2184-0 2148-5",
            "tribal_affiliation": "187",
            "recorded_sex": "248152002",
            "interpreter_needed": "true",
            "language_spoken": "es",
        },
    ],
    "US-Core/patient-infant-example.json": [
        {"race": "2028-9", "ethnicity": "2186-5", "recorded_sex": "248153007"},
    ],
    "fhir-py/epic-sandbox-Patient-eJzlzKe3KPzAV5TtkxmNivQ3.json": [
        {"race": "=unknown", "ethnicity": "=unknown", "birth_sex": "F", "sex": "female"},
    ],
    "fhir-data-pipes/patient_bundle_us_core_profile.json": [
        {"race": "2028-9", "ethnicity": "2186-5", "birth_sex": "M", "recorded_sex": "248153007", "sex": "male"},
    ],
    "fhir-data-pipes/patient_child_us_core_profile.json": [
        {"race": "2028-9", "ethnicity": "2186-5", "birth_sex": "M", "recorded_sex": "248153007", "sex": "male"},
    ],
    "fhir-data-pipes/patient_us_core.json": [
        {
            "race": "2106-3 1002-5 2028-9 1586-7 2036-2",
            "ethnicity": "2135-2 2184-0 2148-5",
            "birth_sex": "F",
            "gender_identity": "=unknown",
            "sex": "female",
        },
    ],
    "fhir-data-pipes/patient_us_core~2.json": [
        {
            "race": "2106-3 1002-5 2028-9 1586-7 2036-2",
            "ethnicity": "2135-2 2184-0 2148-5",
            "birth_sex": "F",
            "gender_identity": "=unknown",
            "sex": "female",
        },
    ],
    "fhir-data-pipes/stu3-patient_us_core.json": [
        {
            "race": "2106-3 1002-5 2028-9 1586-7 2036-2",
            "ethnicity": "2135-2 2184-0 2148-5",
            "birth_sex": "F",
            "sex": "female",
        },
    ],
    "hapi-fhir-jpaserver-starter/numer-EXM125-patient.json": [
        {"race": "2028-9", "ethnicity": "2135-2", "sex": "female"},
    ],
    "fhir/synthea.bundle.json": [
        {
            "race": "2106-3",
            "ethnicity": "2186-5",
            "birth_sex": "M",
            "interpreter_needed": "false",
            "sex": "male",
            "language_spoken": "en-US",
        },
    ],
    "cumulus-etl/Patient.1.json": [
        {
            "ethnicity": "kept",
            "race": "kept",
            "birth_sex": "kept",
            "gender_identity": "kept",
            "recorded_sex": "kept",
            "sex": "male",
            "language_spoken": "en-US",
        },
    ],
    "cumulus-etl/Patient.2.json": [
        {"sex": "female", "language_spoken": "zh"},
    ],
    "cumulus-etl/Patient.3.json": [
        {"sex": "male", "language_spoken": "en-US"},
    ],
    "cumulus-etl/Patient.ndjson": [
        {"race": "2106-3", "sex": "male"},
        {"ethnicity": "2135-2", "sex": "male"},
    ],
    "cumulus-etl/patient.000.ndjson": [
        {"race": "2106-3", "sex": "male"},
        {"ethnicity": "2135-2", "sex": "male"},
    ],
    "fhir/Patient-f001.json": [
        {"sex": "male", "language_spoken": "nl"},
    ],
    "fhir/Patient-f201.json": [
        {"sex": "male", "language_spoken": "nl-NL"},
    ],
    "fhir/Patient-proband.json": [
        {"race": "2106-3", "sex": "female"},
    ],
    "fhir/Patient-us01.json": [
        {"race": "1096-7", "ethnicity": "2162-6"},
    ],
    "FHIR-Converter/ADT-A01-01-expected.json": [
        {"race": "2106-3 2028-9", "ethnicity": "2186-5", "sex": "male", "language_spoken": "ar en"},
    ],
    "FHIR-Converter/ADT-A01-02-expected.json": [
        {"race": "2106-3 2028-9", "ethnicity": "2186-5", "sex": "male", "language_spoken": "ar en"},
    ],
    "FHIR-Converter/ADT-A04-01-expected.json": [
        {"race": "2106-3 2028-9", "ethnicity": "2186-5", "sex": "male", "language_spoken": "ar en"},
    ],
    "FHIR-Converter/ADT-A04-02-expected.json": [
        {"race": "2106-3 2028-9", "ethnicity": "2186-5", "sex": "male", "language_spoken": "ar en"},
    ],
    "FHIR-Converter/ADT01-23-expected.json": [
        {"race": "1", "sex": "male", "language_spoken": "1"},
    ],
    "FHIR-Converter/ADT01-28-expected.json": [
        {"race": "C", "sex": "male"},
    ],
    "FHIR-Converter/ADT04-251-expected.json": [
        {"race": "2106-3", "sex": "female"},
    ],
}
# Files of many: how often each topic is answered for everybody in them.
MANY = {
    "sample-bulk-fhir-datasets/synthea-bulk-10-Patient.ndjson": (
        13,
        ("race", "ethnicity", "birth_sex", "sex", "language_spoken"),
    ),
    "sample-bulk-fhir-datasets/synthea-bulk-100-Patient.ndjson.gz": (
        120,
        ("race", "ethnicity", "birth_sex", "sex", "language_spoken"),
    ),
    "sample-bulk-fhir-datasets/synthea-bulk-1000-Patient.ndjson.gz": (
        1144,
        ("race", "ethnicity", "birth_sex", "sex", "language_spoken"),
    ),
    "generated-sample-data/synthea-DSTU2-patients.ndjson.gz": (
        97,
        ("race", "ethnicity", "birth_sex", "interpreter_needed", "sex", "language_spoken"),
    ),
    "phdi/patient_bundle_to_link_with_mpi.json": (6, ("sex",)),
}
# What says something and has no Patient beside it.
ALONE = [
    "US-Core/Observation-PRAPARE-item-example-54899-0.json",
    "phdi/ecr-viewer-BundleSexualOrientation.json",
    "phdi/tefca-viewer-BundleSexualOrientation.json",
]


def found(shared: Path) -> Iterator[tuple[str, Source]]:
    """Every file that is FHIR, with the name of its repository before its own."""
    for folder in (each for name in FOLDERS for each in sorted((shared / "data/real" / name).iterdir())):
        for source in sources([folder]):
            if ADAPTER.recognises(source.head(), source.name):
                yield f"{folder.name.rpartition('__')[2]}/{source.name}", source


def told(answer: Answer) -> str:
    meaning = VOCABULARY.meaning(answer.received)
    if meaning.state.value != "answered":
        return f"={meaning.state.value}"
    return " ".join(concept.coding.code for concept in meaning.concepts) or meaning.text


@pytest.fixture(scope="module")
def read(shared: Path) -> dict[str, tuple[list[Member], list[Finding]]]:
    """Members and findings by file."""
    everything = {}
    for name, source in found(shared):
        items = list(ADAPTER.read(source, Range(), CONTEXT))
        members = [each for each in items if isinstance(each, Member)]
        everything[name] = (members, [each for each in items if isinstance(each, Finding)])
    return everything


Everything = dict[str, tuple[list[Member], list[Finding]]]


def test_everybody_in_files_of_few(read: Everything) -> None:
    said = {
        name: [{each.topic: told(each) for each in member.answers} for member in members]
        for name, (members, _) in read.items()
        if name not in MANY
    }
    more = {name: [each for each in people if set(each) - {"sex"}] for name, people in said.items()}
    assert {name: people for name, people in more.items() if people} == ANSWERS


def test_everybody_in_files_of_many(read: Everything) -> None:
    for name, (count, topics) in MANY.items():
        members, _ = read[name]
        answered = Counter(each.topic for member in members for each in member.answers)
        assert (len(members), answered) == (count, dict.fromkeys(topics, count)), name


def test_what_is_no_answer_or_not_mapped_comes_with_a_reason(read: Everything) -> None:
    """Nobody is without an answer in silence: a finding of the reader, or a state or problem of the meaning."""
    for name, (members, findings) in read.items():
        for member in members:
            for answer in member.answers:
                meaning = VOCABULARY.meaning(answer.received)
                if meaning.state.value == "invalid":
                    assert meaning.problems or member.findings, name
        assert members or findings, name


def test_observations_without_a_patient(read: Everything) -> None:
    alone = [name for name, (_, found) in read.items() if "fhir.observation.no_patient" in [f.code for f in found]]
    assert sorted(alone) == ALONE
