"""FHIR XML is read as the JSON that it stands for; what is no XML or no FHIR is told without its content."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import pytest

from fhir_equity.adapters.fhir import ADAPTER, answers_of
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Member, Rejected
from fhir_equity.tables import Tables
from tests.adapters.fhir.test_tolerance import FULL

CONTEXT = Context(guide=Tables().document("guides/fhir.toml"))
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "76690-7"}]},
    "subject": {"reference": "urn:uuid:1"},
    "valueCodeableConcept": {"text": "my own"},
}


def xml(resource: dict[str, Any]) -> bytes:
    """A resource in XML, written by fhir.resources."""
    kind = resource["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    text: str | bytes = model.model_validate(resource).model_dump_xml()
    return text if isinstance(text, bytes) else text.encode()


def read(raw: bytes) -> list[Read]:
    source = Source("x.xml", lambda: io.BytesIO(raw))
    assert ADAPTER.recognises(source.head(), source.name)
    return list(ADAPTER.read(source, Range(), CONTEXT))


def test_a_patient_reads_as_in_json() -> None:
    (member,) = read(xml(FULL))
    twin = answers_of(FULL, "x.xml", CONTEXT)
    assert isinstance(member, Member)
    said = [[(a.topic, a.received.codings, a.received.text) for a in each.answers] for each in (member, twin)]
    assert said[0] == said[1]
    assert (member.key, member.name, member.address, member.birth_date) == (
        twin.key,
        twin.name,
        twin.address,
        twin.birth_date,
    )
    assert member.resource == FULL
    assert member.answers[0].number == 1


def test_a_bundle_of_resources_some_of_which_no_version_knows() -> None:
    patient = xml({"resourceType": "Patient", "gender": "female", "birthDate": "1980-01-02"})
    entries = (
        b'<entry><fullUrl value="urn:uuid:1"/><resource>%s</resource></entry>' % patient.partition(b"?>")[2],
        b"<entry><resource>%s</resource></entry>" % xml(OBSERVATION).partition(b"?>")[2],
        b"<entry><resource><MedicationOrder><id value='m'/></MedicationOrder></resource></entry>",
        b"<entry><resource><Patient><gander value='Ada'/></Patient></resource></entry>",
        b"<entry><response><status value='200'/></response></entry>",
    )
    found = read(b'<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>' + b"".join(entries) + b"</Bundle>")
    rejected, member, unused = found
    assert isinstance(member, Member)
    assert [(a.topic, a.number, a.path) for a in member.answers] == [
        ("sex", 1, "Patient.gender"),
        ("sexual_orientation", 2, "Observation"),
    ]
    assert isinstance(rejected, Rejected)
    assert (rejected.finding.locator.number, rejected.finding.locator.path) == (4, "Bundle.entry[3]")
    assert b"gander" in rejected.raw
    assert isinstance(unused, Finding)
    assert unused.message == "MedicationOrder is not read: 1"


def test_what_is_older_or_newer_is_read_too() -> None:
    older = b"<gender value='male'/><animal><species><text value='dog'/></species></animal>"
    (member,) = read(b'<Patient xmlns="http://hl7.org/fhir">' + older + b"</Patient>")
    assert isinstance(member, Member)
    assert [each.code for each in member.findings] == ["fhir.patient.no_identity", "fhir.patient.animal"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'<Patient xmlns="http://hl7.org/fhir">\n<name>Ada', r"^x.xml is not valid XML \(line 2\)$"),
        (
            b'<Patient xmlns="http://hl7.org/fhir"><gander value="Ada"/></Patient>',
            r"^x.xml is XML, but a resource of no",
        ),
        (
            b'<!DOCTYPE p [<!ENTITY a "Ada">]><Patient xmlns="http://hl7.org/fhir"><id value="1"/>&a;</Patient>',
            r"^x.xml is XML, but a resource of no version",
        ),
    ],
)
def test_what_cannot_be_read_says_so_without_content(raw: bytes, message: str) -> None:
    with pytest.raises(UnreadableError, match=message) as caught:
        read(raw)
    assert "Ada" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_entities_do_not_grow() -> None:
    bomb = b'<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    raw = bomb + b'<Patient xmlns="http://hl7.org/fhir"><id value="&b;"/><gender value="male"/></Patient>'
    try:
        found = read(raw)
    except UnreadableError:
        return
    assert all(len(each.record) < 200 for each in found if isinstance(each, Member))


def test_without_lxml_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml.etree", None)
    with pytest.raises(UnreadableError, match=r"^x\.xml is FHIR XML; to read it, install fhir-equity\[xml\]$"):
        read(b'<Patient xmlns="http://hl7.org/fhir"/>')
