"""A folder with the manifest of a Bulk Data export is one source; what it lists is read, told or missed."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters import recognise
from fhir_equity.adapters.manifest import Listed, manifest_in
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source, sources
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Member, Rejected
from fhir_equity.tables import Tables

CONTEXT = Context(guide=Tables().document("guides/fhir.toml"))
PATIENTS = [{"resourceType": "Patient", "id": name, "gender": "female"} for name in "abc"]
SERVER = "https://fhir.example.org/bulk/"


def orientation(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "76690-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueCodeableConcept": {"text": f"word of {patient}"},
    }


def lines(*resources: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in resources)


def export(folder: Path, **lists: list[tuple[str, str]]) -> Path:
    manifest = {name: [{"type": kind, "url": SERVER + url} for kind, url in found] for name, found in lists.items()}
    path = folder / "manifest.json"
    path.write_text(json.dumps({"transactionTime": "2026-01-02T03:04:05Z", "request": "x", **manifest}))
    return path


OUTPUT = [("Patient", "Patient.1.ndjson?token=x"), ("Patient", "Patient.2.ndjson"), ("Observation", "O.ndjson")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Patient.1.ndjson").write_bytes(lines(*PATIENTS[:2]) + b"broken\n")
    (tmp_path / "Patient.2.ndjson.gz").write_bytes(gzip.compress(lines(PATIENTS[2])))
    (tmp_path / "O.ndjson").write_bytes(lines(orientation("c"), orientation("a"), orientation("x")))
    (tmp_path / "Encounter.ndjson").write_bytes(lines({"resourceType": "Encounter"}))
    (tmp_path / "more.ndjson").write_bytes(lines(PATIENTS[0]))
    return tmp_path


def read(source: Source) -> list[Read]:
    return list(recognise(source).read(source, Range(), CONTEXT))


def test_an_export_is_one_source_and_all_files_of_it_belong_together(folder: Path) -> None:
    export(folder, output=[*OUTPUT, ("Encounter", "Encounter.ndjson")])
    manifest, more = sources([folder])
    assert (manifest.name, more.name) == ("manifest.json", "more.ndjson")
    found = read(manifest)
    members = [each for each in found if isinstance(each, Member)]
    assert [each.key for each in members] == ["Patient/a", "Patient/b", "Patient/c"]
    assert [[(a.topic, a.received.text) for a in each.answers[1:]] for each in members] == [
        [("sexual_orientation", "word of a")],
        [],
        [("sexual_orientation", "word of c")],
    ]
    assert members[2].answers[0].locator.artefact == "Patient.2.ndjson.gz"
    (rejected,) = (each for each in found if isinstance(each, Rejected))
    assert (rejected.finding.locator.artefact, rejected.finding.locator.number) == ("Patient.1.ndjson", 3)
    assert [(each.code, each.locator.artefact, each.locator.number) for each in found if isinstance(each, Finding)] == [
        ("fhir.resource.not_used", "manifest.json", 0),
        ("fhir.observation.no_patient", "O.ndjson", 3),
    ]
    before = (manifest.sha256, manifest.size)
    assert before[1] > 600
    (folder / "O.ndjson").write_bytes(lines(orientation("b")))
    read(manifest)
    assert manifest.sha256 != before[0]


def test_what_is_missing_deleted_or_went_wrong_is_told(tmp_path: Path) -> None:
    export(tmp_path, output=OUTPUT, deleted=[("Bundle", "gone.ndjson")], error=[("OperationOutcome", "e.ndjson")])
    (tmp_path / "e.ndjson").write_bytes(lines({"resourceType": "OperationOutcome"}))
    (source,) = sources([tmp_path])
    assert [(each.code, each.locator.path) for each in read(source) if isinstance(each, Finding)] == [
        ("fhir.manifest.missing", "output[0]"),
        ("fhir.manifest.missing", "output[1]"),
        ("fhir.manifest.missing", "output[2]"),
        ("fhir.manifest.missing", "deleted[0]"),
        ("fhir.manifest.deleted", ""),
        ("fhir.manifest.error", ""),
        ("fhir.patient.none", ""),
    ]


def test_a_manifest_alone_or_packed(folder: Path) -> None:
    path = export(folder, output=OUTPUT)
    (source,) = sources([path])
    assert sum(isinstance(each, Member) for each in read(source)) == 3
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.write(path, "manifest.json")
    (packed,) = sources([folder / "all.zip"])
    with pytest.raises(UnreadableError, match=r"manifest\.json is the manifest of an export, which is read from its"):
        read(packed)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h.example/x/Patient.ndjson?a=/b", "Patient.ndjson"),
        ("Patient%201.ndjson", "Patient 1.ndjson"),
        ("https://h.example/..", ".."),
        ("https://h.example/a%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://h.example/", ""),
        ("https://[x/Patient.ndjson", ""),
    ],
)
def test_an_address_names_a_file_beside_the_manifest_only(url: str, name: str) -> None:
    assert Listed(url).name == name


@pytest.mark.parametrize(
    "raw",
    [
        b'{"transactionTime":"x","output":[{"type":"Patient"}]}',
        b'{"transactionTime":"x","output":{}}',
        b'{"transactionTime":"x","output":[]',
        b'[{"transactionTime":"x","output":[]}]',
        b'{"output":[]}',
    ],
)
def test_what_is_no_manifest(raw: bytes, tmp_path: Path) -> None:
    assert manifest_in(raw) is None
    (tmp_path / "m.json").write_bytes(raw)
    (tmp_path / "p.ndjson").write_bytes(lines(*PATIENTS))
    assert [each.name for each in sources([tmp_path])] == ["m.json", "p.ndjson"]


def test_a_manifest_of_many_files_is_one_still(tmp_path: Path) -> None:
    path = export(tmp_path, output=[("Patient", f"{'long' * 20}-{number}.ndjson") for number in range(1000)])
    assert path.stat().st_size > 65536
    (source,) = sources([tmp_path])
    codes = [each.code for each in read(source) if isinstance(each, Finding)]
    assert codes == ["fhir.manifest.missing"] * 1000 + ["fhir.patient.none"]


def test_responses_find_their_patients_in_another_file(tmp_path: Path) -> None:
    answered = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "https://fhir-equity.example/Questionnaire/member-reported",
        "status": "in-progress",
        "item": [{"linkId": "gender-identity", "answer": [{"valueString": "agender"}]}],
    }
    responses = [answered | {"subject": {"reference": f"Patient/{name}"}} for name in "cx"]
    (tmp_path / "Q.ndjson").write_bytes(lines(*responses, answered))
    (tmp_path / "P.ndjson").write_bytes(lines(*PATIENTS))
    path = export(tmp_path, output=[("QuestionnaireResponse", "Q.ndjson"), ("Patient", "P.ndjson")])
    found = read(sources([path.parent])[0])
    said = {each.key: len(each.answers) for each in found if isinstance(each, Member)}
    assert said == {"Patient/a": 1, "Patient/b": 1, "Patient/c": 2, "Patient/x": 1}
    assert [each.finding.code for each in found if isinstance(each, Rejected)] == ["fhir.response.no_subject"]
    assert len(found) == len(said) + 1
