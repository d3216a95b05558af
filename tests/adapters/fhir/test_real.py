"""Real files of others: all are read without a traceback, merged without a change, written validly."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters.fhir import ADAPTER, answers_of, merge, patient_from, validate
from fhir_equity.adapters.fhir.merge_extensions import is_about
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source, sources
from fhir_equity.model import Coding, Expressed, Finding, Member, Outgoing, Received, Rejected, State
from tests.adapters.fhir.versions import VERSIONS, context, expressed

FOLDERS = ("fhir-r4", "fhir-r4-oddities", "fhir-older", "fhir-newer")
MALFORMED = "fhir.patient.malformed"
NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"


def found(place: Path, *names: str) -> Iterator[Source]:
    for name in names:
        yield from sources([place / "data" / "real" / name])


def members(source: Source) -> list[Member]:
    if not ADAPTER.recognises(source.head(), source.name):
        return []
    return [each for each in ADAPTER.read(source, Range(), Context()) if isinstance(each, Member)]


def test_every_file_gives_members_or_findings(shared: Path) -> None:
    unknown = []
    for source in found(shared, "fhir-r4", "fhir-r4-oddities"):
        if not ADAPTER.recognises(source.head(), source.name):
            unknown.append(source.name)
        else:
            read = list(ADAPTER.read(source, Range(), Context()))
            assert any(isinstance(each, Member | Finding) for each in read), source.name
    # An API answer, a test case, a JSON patch, an export log, and resources without a type.
    assert sorted(unknown) == [
        "Patient-example.json",
        "TestPatient.json",
        "ecr_sample_manual_result.json",
        "fn_extension.json",
        "observation_invalid_unicode.prototxt",
        "patient_patch.json",
        "synthea-bulk-10-log.ndjson",
    ]


def test_a_bulk_export_in_full(shared: Path) -> None:
    bulk = shared / "data/real/fhir-r4/smart-on-fhir__sample-bulk-fhir-datasets/synthea-bulk-1000-Patient.ndjson.gz"
    (source,) = sources([bulk])
    read = list(ADAPTER.read(source, Range(), Context()))
    assert len(read) == 1144
    people = [each for each in read if isinstance(each, Member)]
    assert [each for member in people for each in member.findings] == []
    topics = [answer.topic for member in people for answer in member.answers]
    for topic in ("race", "ethnicity", "birth_sex", "sex", "language_spoken"):
        assert topics.count(topic) == 1144
    unknown = [a for m in people for a in m.answers if any(c.system == NULL for c in a.received.codings)]
    assert [(each.topic, each.received.codings[0].code) for each in unknown] == [("race", "UNK")] * 15
    assert len({id(answer.received) for member in people for answer in member.answers}) < 60
    content = gzip.decompress(bulk.read_bytes())
    at = people[-1].answers[0].offset
    assert content.count(b"\n", 0, at) == 1143
    ranges = ADAPTER.split(source, 3)
    assert len(ranges) == 3
    assert [each for part in ranges for each in ADAPTER.read(source, part, Context())] == read


def test_the_file_that_is_latin_1(shared: Path) -> None:
    (source,) = found(shared, "fhir-r4-oddities/microsoft__FHIR-Converter")
    first, *rest = ADAPTER.read(source, Range(), Context())
    assert isinstance(first, Finding)
    assert first.code == "fhir.encoding.not_utf8"
    assert sum(isinstance(each, Member) for each in rest) == 1


def test_nothing_is_rejected_in_lines_but_what_is_no_resource(shared: Path) -> None:
    rejected = []
    for source in found(shared, *FOLDERS):
        if ADAPTER.recognises(source.head(), source.name):
            read = ADAPTER.read(source, Range(), Context())
            rejected += [(source.name, each.finding.code) for each in read if isinstance(each, Rejected)]
    assert rejected == [("sample_fhir_bundle_for_phdc_conversion.json", "fhir.json.not_a_resource")]


def again(received: Received) -> Expressed:
    return Expressed(received.topic, State.ANSWERED, (), received.codings, received.text)


def test_the_same_answers_leave_real_patients_as_they_are(shared: Path) -> None:
    count = 0
    for source in found(shared, *FOLDERS):
        for member in members(source):
            patient: dict[str, Any] = member.resource or {}
            answers = tuple(again(each.received) for each in member.answers)
            assert merge(patient, Outgoing(member, answers), Context())[0] == patient
            count += 1
    assert count > 1300


@pytest.mark.parametrize("version", VERSIONS)
def test_an_update_touches_only_what_is_ours(shared: Path, version: str) -> None:
    """Every topic that the version has on a Patient: the same answers change nothing, new ones nothing else."""
    written, topics = context(version), ("race", "language_spoken", "birth_sex", "interpreter_needed")
    new = (
        Received("race", "x", (Coding("cdcrec", "2118-8"),)),
        Received("language_spoken", "x", (Coding("bcp47", "ar"),)),
        Received("birth_sex", "x", (Coding("us-core-birthsex", "UNK"), Coding("us-core-birthsex", "F"))),
        Received("interpreter_needed", "x", (Coding("interpreter", "true"),)),
    )
    answers, _ = expressed(version, *new)
    count = 0
    for source in found(shared, *FOLDERS):
        for member in members(source)[:100]:
            patient: dict[str, Any] = member.resource or {}
            same = tuple(again(each.received) for each in member.answers)
            assert merge(patient, Outgoing(member, same), written)[0] == patient
            changed, losses = merge(patient, Outgoing(member, answers), written)
            lost = {loss.rule for loss in losses}
            assert lost <= {"fhir.merge.not_merged", "fhir.extension.one_only", "fhir.merge.malformed"}
            assert without(changed, topics) == without(patient, topics)
            assert [name for name in changed if name in patient] == list(patient)
            count += changed != patient
    assert count > 200


def without(patient: dict[str, Any], topics: tuple[str, ...]) -> dict[str, Any]:
    """A Patient without the extensions about some topics, and without whether a language is preferred."""
    left = {name: value for name, value in patient.items() if name not in ("extension", "communication")}
    others = [e for e in patient.get("extension", []) if not any(is_about(e, topic) for topic in topics)]
    spoken = [entry["language"] for entry in patient.get("communication", []) if "language" in entry]
    return left | {"extension": others, "communication": [each for each in spoken if "ar" not in str(each)]}


def test_what_is_read_is_written_validly_and_reads_back(shared: Path) -> None:
    topics = ("race", "ethnicity", "language_spoken", "language_written", "sex")
    empty: list[tuple[str, list[str]]] = []
    for source in found(shared, "fhir-r4", "fhir-r4-oddities"):
        for member in members(source)[:200]:
            answers = tuple(again(each.received) for each in member.answers if each.topic in topics)
            patient, losses = patient_from(Outgoing(member, answers), Context())
            assert validate(patient) == [], source.name
            back = {each.topic: each.received for each in answers_of(patient, "x", Context()).answers}
            lost = {loss.topic for loss in losses}
            for answer in answers:
                if not answer.details and not answer.text:
                    empty.append((source.name, [each.code for each in member.findings]))
                    continue
                assert back[answer.topic].codings == answer.details
                assert back[answer.topic].text == answer.text or answer.topic in lost
    # These two have a language system without a code, and a list for meta.source.
    assert empty == [
        ("ecr-viewer-BundleLab.json", [MALFORMED, "fhir.birth_sex.empty", "fhir.communication.empty"]),
        ("sample_ecr.json", [MALFORMED, "fhir.communication.empty"]),
    ]
