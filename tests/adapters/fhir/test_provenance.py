"""Who told what stands beside the answers, by their method, and is read back into their origin."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest

from fhir_equity.adapters.fhir import ADAPTER, resources_from, validate
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.model import (
    Coding,
    Collector,
    Finding,
    Identifier,
    Member,
    Method,
    Name,
    Origin,
    Outgoing,
    Received,
)
from fhir_equity.privacy import Pseudonyms
from tests.adapters.fhir.versions import VOCABULARY, context, expressed

Json = dict[str, Any]
TARGET = "http://hl7.org/fhir/StructureDefinition/targetElement"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
MEMBER = Member("acme", "k", identifiers=(Identifier("urn:x", "1"),), name=Name("Ruiz", ("Ana",)))
WHITE = Received("race_ethnicity", "x", (Coding("cdcrec", "2106-3"),))
SPANISH = Received("language_spoken", "x", (Coding("bcp47", "es"),))
LESBIAN = Received("sexual_orientation", "x", text="Lesbian")
IDENTITIES = Received("gender_identity", "x", (Coding("snomed", "446151000124109"),), "my own")


def written(origin: Origin, *received: Received, version: str = "6.1.0", to: Context | None = None) -> list[Json]:
    answers, _ = expressed(version, *received, origin=origin)
    resources, _ = resources_from(Outgoing(MEMBER, answers), to or context(version))
    for each in resources:
        assert validate(each, each["resourceType"]) == []
    return resources


def provenances(resources: list[Json]) -> list[Json]:
    return [each for each in resources if each["resourceType"] == "Provenance"]


def read(*resources: Json) -> tuple[list[Member], list[str]]:
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in resources)
    found = list(ADAPTER.read(Source("x.ndjson", lambda: io.BytesIO(lines)), Range(), context()))
    return [e for e in found if isinstance(e, Member)], [e.message for e in found if isinstance(e, Finding)]


def participant(code: str) -> Json:
    return {"coding": [{"system": PARTICIPANT, "code": code}]}


def test_a_provenance_in_full() -> None:
    origin = Origin(method="self", collector="plan", collected_on="2026-01-02")
    patient, provenance = written(origin, WHITE)
    subject = f"Patient/{patient['id']}"
    assert patient["extension"][0]["id"] == "race"
    assert len(provenance.pop("id")) == 36
    assert provenance == {
        "resourceType": "Provenance",
        "target": [{"extension": [{"url": TARGET, "valueUri": "race"}], "reference": subject}],
        "occurredDateTime": "2026-01-02",
        "recorded": "2026-06-01T12:00:00+00:00",
        "agent": [
            {"type": participant("informant"), "who": {"reference": subject}},
            {"type": participant("author"), "who": {"type": "Organization", "display": "Health plan"}},
        ],
    }


@pytest.mark.parametrize(
    ("method", "teller", "label"),
    [
        (
            "proxy",
            {
                "type": participant("informant"),
                "who": {"type": "RelatedPerson", "display": "Somebody who answered for the member"},
            },
            ["PACQRPT"],
        ),
        (
            "observed",
            {
                "type": participant("author"),
                "who": {"type": "Practitioner", "display": "Staff who judged by what they saw"},
                "onBehalfOf": {"type": "Organization", "display": "Provider"},
            },
            ["PRORPT"],
        ),
    ],
)
def test_who_told_by_method(method: str, teller: Json, label: list[str]) -> None:
    """Staff act for an organization (provenance-1 of US Core); an Observation carries the integrity label too."""
    _, observation, provenance = written(Origin(method=method, collector="provider"), LESBIAN)
    assert provenance["agent"][0] == teller
    integrity = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
    codes = [each["code"] for each in observation["meta"]["security"] if each["system"] == integrity]
    assert codes == label
    assert "occurredDateTime" not in provenance


def test_labels_of_the_guide_are_those_of_the_method() -> None:
    methods = VOCABULARY.tables.document("guides/fhir.toml")["provenance"]["methods"]
    sources = {row["code"]: row["note"] for row in VOCABULARY.tables.rows("codes/information_source.csv")}
    assert {sources[row["label"]] for row in methods.values() if row["label"]} == set(methods) - {"relayed"}
    for method, row in methods.items():
        assert not row["label"] or sources[row["label"]] == method
    assert set(methods) == set(Method) - {"unstated"}
    assert set(VOCABULARY.tables.document("guides/fhir.toml")["provenance"]["collectors"]) == set(Collector)


def test_a_method_that_nobody_stated_has_no_provenance() -> None:
    (patient,) = written(Origin(collector="plan", collected_on="2026-01-02"), WHITE, SPANISH)
    assert '"id": "race"' not in json.dumps(patient)


def test_what_speaks_of_a_labelled_answer_is_labelled_and_apart() -> None:
    """Whoever may not see an Observation must not learn of it from its Provenance."""
    labels = [("v3-ActCode", "GENDER"), ("v3-Confidentiality", "R")]
    found = provenances(written(Origin(method="self"), WHITE, LESBIAN, IDENTITIES))
    told = {}
    for each in found:
        security = each.get("meta", {}).get("security", [])
        named = tuple(e["valueUri"] for target in each["target"] for e in target.get("extension", []))
        told[named or each["target"][0]["reference"].partition("/")[0] + str(len(each["target"]))] = [
            (label["system"].rpartition("/")[2], label["code"]) for label in security
        ]
    assert told == {
        ("race",): [],
        ("gender_identity", "gender_identity-2"): labels,
        "Observation1": labels,
        "Observation2": labels,
    }


@pytest.mark.parametrize("collector", list(Collector))
@pytest.mark.parametrize("method", sorted(set(Method) - {Method.UNSTATED}))
def test_an_origin_reads_back(method: str, collector: str) -> None:
    origin = Origin(method=method, collector=collector, collected_on="2026-01-02")
    (member,), findings = read(*written(origin, WHITE, SPANISH, LESBIAN, IDENTITIES))
    assert findings == []
    origins = {each.topic: each.origin for each in member.answers}
    assert set(origins) == {"race", "sex", "language_spoken", "sexual_orientation", "gender_identity"}
    back = {(each.method, each.collector, each.collected_on) for topic, each in origins.items() if topic != "sex"}
    assert back == {(method, collector, "2026-01-02")}
    assert origins["sex"].method == "unstated"


def test_the_example_of_us_core_is_understood() -> None:
    """An informant alone, named as the Patient: who told it themselves."""
    patient, provenance = written(Origin(method="self"), WHITE)
    example = provenance | {
        "agent": [{"type": participant("informant"), "who": {"reference": f"Patient/{patient['id']}"}}]
    }
    (member,), _ = read(patient, example)
    assert [(each.topic, each.origin.method) for each in member.answers] == [("race", "self"), ("sex", "unstated")]


def test_a_provenance_of_something_else_says_nothing_of_answers() -> None:
    patient, provenance = written(Origin(method="self"), WHITE)
    subject = f"Patient/{patient['id']}"
    unread, race = "Provenance is not read: 1", provenance["target"][0]["extension"]
    for target, expected in (
        ({"reference": subject}, unread),  # of the whole Patient: who made it did not tell their race
        ({"reference": "Observation/unknown"}, unread),
        ({"reference": "Patient/other", "extension": race}, "about a Patient who is not in this file"),
        ({"reference": subject, "extension": [{"url": TARGET, "valueUri": "name"}]}, "of elements that are no answer"),
    ):
        (member,), findings = read(patient, provenance | {"target": [target]})
        assert {each.origin.method for each in member.answers} == {"unstated"}
        assert [*findings, *(each.message for each in member.findings)] == [expected]
    author = {"type": participant("author"), "who": {"reference": "Organization/7"}}
    (member,), findings = read(patient, provenance | {"agent": [author], "occurredDateTime": "last week"})
    assert {(each.origin.method, each.origin.collected_on) for each in member.answers} == {("unstated", "")}
    assert findings == []


def test_ids_are_keyed_and_tell_nothing() -> None:
    origin = Origin(method="self", collected_on="2026-01-02")
    first, again = written(origin, WHITE, LESBIAN), written(origin, WHITE, LESBIAN)
    assert first == again
    other = msgspec.structs.replace(context(), uuid=Pseudonyms(b"another key").uuid)
    ids = [{each["id"] for each in found} for found in (first, written(origin, WHITE, LESBIAN, to=other))]
    assert len(ids[0]) == len(ids[1]) == 4
    assert not ids[0] & ids[1]
    unkeyed = [each["id"] for each in written(origin, WHITE, to=Context(guide=context().guide))]
    assert unkeyed != [each["id"] for each in written(origin, WHITE, to=Context(guide=context().guide))]
