"""SOGI as Observations: what is written, what it does not tell, and that it reads back as what was said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import ADAPTER, resources_from, validate, waiting
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.model import (
    Coding,
    Event,
    Expressed,
    Finding,
    Identifier,
    Meaning,
    Member,
    Name,
    Origin,
    Outgoing,
    Received,
    Resolution,
    State,
)
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import Pseudonyms
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.us_core import versions

VOCABULARY = Vocabulary()
TOPICS = ("sexual_orientation", "gender_identity", "pronouns")
VERSIONS = versions(VOCABULARY.tables)
MEMBER = Member("acme", "k", identifiers=(Identifier("urn:x", "1"),), name=Name("Ruiz", ("Ana",)))
LOINC = "http://loinc.org"
SUBJECT = "d8c1ae0b-ad6a-59a5-a60f-2d3cbd9b1b4c"


def context(version: str = "6.1.0") -> Context:
    guide = VOCABULARY.tables.document("guides/fhir.toml")
    places = VOCABULARY.express.version(version).places
    uuid = Pseudonyms(b"k" * 32).uuid
    return Context(guide={**guide, "places": places}, systems=VOCABULARY.codes.uris, uuid=uuid)


def said(topic: str, *codings: Coding, text: str = "", on: str = "") -> Expressed:
    return Expressed(topic, State.ANSWERED, details=codings, text=text, origin=Origin(collected_on=on))


def written(*expressed: Expressed, version: str = "6.1.0") -> list[dict[str, Any]]:
    resources, _ = resources_from(Outgoing(MEMBER, expressed), context(version))
    for each in resources:
        assert validate(each, each["resourceType"]) == []
    return resources


def read(*resources: dict[str, Any]) -> tuple[list[Member], list[str]]:
    """The Members in these lines, and the codes of what was found beside them."""
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in resources)
    found = list(ADAPTER.read(Source("x.ndjson", lambda: io.BytesIO(lines)), Range(), context()))
    return [each for each in found if isinstance(each, Member)], [e.code for e in found if isinstance(e, Finding)]


BI = Coding("snomed", "42035005", "Bisexual")


def test_an_observation_in_full() -> None:
    patient, observation = written(said("sexual_orientation", BI, text="Bisexual", on="2026-01-02"))
    assert patient["id"] == observation.pop("subject")["reference"].removeprefix("Patient/")
    name = observation.pop("id")
    assert observation.pop("identifier") == [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{name}"}]
    assert observation == {
        "resourceType": "Observation",
        "meta": {
            "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-sexual-orientation"],
            "security": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "GENDER"},
                {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
            ],
        },
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "social-history",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "76690-7", "display": "Sexual orientation"}]},
        "effectiveDateTime": "2026-01-02",
        "valueCodeableConcept": {
            "coding": [{"system": "http://snomed.info/sct", "code": "42035005", "display": "Bisexual"}],
            "text": "Bisexual",
        },
    }


def test_ids_tell_nothing_of_the_answer() -> None:
    """Nor does the Patient: theirs is the same, labels and all, whatever was answered or not."""
    nothing = written()
    (patient, one, two) = written(said("pronouns", text="xe"), said("pronouns", text="they"))
    (_, other) = written(said("pronouns", text="she"))
    assert nothing == [patient]
    assert "security" not in patient["meta"]
    assert one["id"] == other["id"] != two["id"]
    assert written(said("gender_identity", text="xe"), version="8.0.1")[1]["id"] not in (one["id"], two["id"])


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_version_wants_of_gender_identity(version: str) -> None:
    """On the Patient too from 5.0.1 to 7.0.0, once only in 5.0.1; always an Observation for each."""
    two = (said("gender_identity", text="xe"), said("gender_identity", text="my own"))
    patient, *observations = written(*two, version=version)
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-genderIdentity"
    values = [e["valueCodeableConcept"]["text"] for e in patient.get("extension", []) if e["url"] == url]
    assert values == {"5.0.1": ["xe"], "6.1.0": ["xe", "my own"], "7.0.0": ["xe", "my own"]}.get(version, [])
    assert [each["valueCodeableConcept"] for each in observations] == [{"text": "xe"}, {"text": "my own"}]
    assert all("profile" not in each["meta"] for each in observations)


def resolved(topic: str, received: Received) -> tuple[Meaning, Resolution]:
    meaning = VOCABULARY.meaning(received)
    return meaning, Resolution(topic, meaning.state, (meaning,), Event((received,), Origin()))


@pytest.mark.parametrize(
    ("version", "topic", "element", "code"),
    [
        ("3.1.1", "sexual_orientation", "dataAbsentReason", "asked-declined"),
        ("6.1.0", "sexual_orientation", "valueCodeableConcept", "ASKU"),
        ("6.1.0", "pronouns", "dataAbsentReason", "asked-declined"),
        ("7.0.0", "gender_identity", "dataAbsentReason", "asked-declined"),
        ("9.0.0", "sexual_orientation", "dataAbsentReason", "asked-declined"),
    ],
)
def test_declined_is_said_as_the_version_says_it(version: str, topic: str, element: str, code: str) -> None:
    _, resolution = resolved(topic, Received(topic, "test", (Coding("wording", "Declined"),)))
    expressed, _ = VOCABULARY.express.us_core({topic: resolution}, version=version)
    _, observation = written(*expressed, version=version)
    assert observation[element]["coding"][0]["code"] == code
    assert observation[element]["text"] == "Declined to answer"
    assert len({"dataAbsentReason", "valueCodeableConcept"} & set(observation)) == 1


def test_a_wording_stays_with_the_code_that_says_less() -> None:
    _, resolution = resolved("sexual_orientation", Received("sexual_orientation", "test", text="Lesbian"))
    (one,), _ = VOCABULARY.express.us_core({"sexual_orientation": resolution})
    assert ([coding.code for coding in one.details], one.text) == (["38628009"], "Lesbian")


ANSWERS = [(r["topic"], Coding(r["system"], r["code"])) for r in VOCABULARY.tables.rows("codes/answers.csv")]


@given(
    st.sampled_from(VERSIONS),
    st.sampled_from(TOPICS).flatmap(
        lambda topic: st.tuples(
            st.just(topic),
            st.lists(st.sampled_from([coding for of, coding in ANSWERS if of == topic]), max_size=3, unique=True),
        )
    ),
    st.sampled_from(["", "Kurmanji word", "my own; both"]),
)
def test_what_was_said_reads_back(version: str, answer: tuple[str, list[Coding]], words: str) -> None:
    topic, codings = answer
    meaning, resolution = resolved(topic, Received(topic, "test", tuple(codings), words))
    if meaning.state is not State.ANSWERED or not (codings or words):
        return
    expressed, losses = VOCABULARY.express.us_core({topic: resolution}, version=version)
    assert losses == []
    assert len(expressed) == len(codings) + bool(words)
    (member,), _ = read(*written(*expressed, version=version))
    (again,) = (VOCABULARY.meaning(each.received) for each in member.answers if each.topic == topic)
    assert {c.coding.code for c in again.concepts} == {c.coding.code for c in meaning.concepts}
    assert set(again.text.split("; ")) == set(meaning.text.split("; "))


def test_an_observation_is_read_wherever_it_stands() -> None:
    patient, observation = written(said("sexual_orientation", BI, text="Bisexual", on="2026-01-02"))
    (member,), _ = read(patient, observation)
    (answer,) = (each for each in member.answers if each.topic == "sexual_orientation")
    assert answer.received.codings == (Coding("http://snomed.info/sct", "42035005", "Bisexual"),)
    assert (answer.origin.collected_on, answer.number, answer.path) == ("2026-01-02", 2, "Observation")
    assert SUBJECT not in answer.received.raw
    assert patient["id"] not in answer.received.raw
    other = {**patient, "id": SUBJECT, "identifier": [{"system": "urn:x", "value": "2"}]}
    absolute = observation | {"subject": {"reference": f"https://hie.example/fhir/Patient/{patient['id']}/_history/2"}}
    logical = observation | {"subject": {"identifier": {"system": "urn:x", "value": "1"}}}
    for lines in (
        (observation, patient),
        (observation, other, patient),
        (patient, other, observation),
        (patient, observation, other),
        (other, absolute, patient),
        (other, logical, patient),
        (other, patient, other, observation),
    ):
        members, findings = read(*lines)
        assert [m.resource for m in members] == [each for each in lines if each["resourceType"] == "Patient"]
        about = [(m.resource or {})["id"] for m in members if "sexual_orientation" in [a.topic for a in m.answers]]
        assert (about, findings) == ([patient["id"]], [])
        bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in lines]}
        assert [each.answers[0].topic for each in read(bundle)[0]] == [each.answers[0].topic for each in members]


def test_observations_that_are_not_read_are_counted_and_those_without_a_patient_are_named() -> None:
    patient, observation = written(said("sexual_orientation", BI, text="Bisexual"))
    for lines, codes in (
        ((patient, observation | {"status": "entered-in-error"}), ["fhir.resource.not_used"]),
        (
            (patient, observation | {"code": {"coding": [{"system": LOINC, "code": "8302-2"}]}}),
            ["fhir.resource.not_used"],
        ),
        ((patient, observation | {"subject": {"reference": f"Patient/{SUBJECT}"}}), ["fhir.observation.no_patient"]),
        ((patient, observation | {"subject": "x"}), ["fhir.observation.no_patient"]),
        ((observation,), ["fhir.observation.no_patient", "fhir.patient.none"]),
    ):
        members, findings = read(*lines)
        assert [a for m in members for a in m.answers if a.topic == "sexual_orientation"] == []
        assert findings == codes


def test_a_patient_of_a_bundle_is_known_by_the_url_of_its_entry() -> None:
    patient, observation = written(said("pronouns", text="xe"))
    del patient["id"], observation["id"]
    observation["subject"] = {"reference": "urn:uuid:8a1"}
    entries = [{"resource": observation}, {"fullUrl": "urn:uuid:8a1", "resource": patient}]
    (member,), findings = read({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert [(a.received.text, a.number, a.path) for a in member.answers if a.topic == "pronouns"] == [
        ("xe", 1, "Observation")
    ]
    assert findings == []


@given(st.permutations(range(6)), st.booleans())
def test_the_order_of_a_file_changes_nothing(order: list[int], bundled: bool) -> None:
    people: list[dict[str, Any]] = [{"resourceType": "Patient", "id": f"p{n}"} for n in range(3)]
    code = {"coding": [{"system": LOINC, "code": "90778-2"}]}
    asides: list[dict[str, Any]] = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": code,
            "subject": {"reference": f"Patient/p{n}"},
            "valueString": f"word {n}",
        }
        for n in range(3)
    ]
    lines = [[*people, *asides][n] for n in order]
    entries = [{"resource": each} for each in lines]
    members, findings = read({"resourceType": "Bundle", "entry": entries}) if bundled else read(*lines)
    said = {member.key: [answer.received.text for answer in member.answers] for member in members}
    assert (said, findings) == ({f"Patient/p{n}": [f"word {n}"] for n in range(3)}, [])


def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST", 2)
    patient, observation = written(said("pronouns", text="xe"))
    others = [{**patient, "id": f"p{n}"} for n in range(4)]
    asides = [{**observation, "subject": {"reference": f"Patient/p{n}"}} for n in range(4)]
    members, findings = read(*asides, *others)
    assert [[a.topic for a in m.answers if a.topic == "pronouns"] for m in members] == [["pronouns"]] * 2 + [[]] * 2
    assert findings == ["fhir.observation.too_many"]
    beside = [each for pair in zip(others, asides, strict=True) for each in pair]
    assert read(*beside)[1] == []
    assert all("pronouns" in [a.topic for a in m.answers] for m in read(*beside)[0])


def test_an_observation_that_says_nothing_is_a_finding() -> None:
    patient, observation = written(said("pronouns", text="xe"))
    del observation["valueCodeableConcept"]
    (member,), _ = read(patient, observation)
    assert [each.code for each in member.findings] == ["fhir.pronouns.empty"]
    assert member.findings[0].locator.path == "Observation"


def test_nothing_of_it_leaves_unasked(tmp_path: Path) -> None:
    survey = tmp_path / "in.csv"
    survey.write_text("member_id,last_name,first_name,pronouns\nFX1,Rosefield,Tala,they/them\n", encoding="utf-8")

    def lines(wish: Wish) -> list[dict[str, Any]]:
        with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))) as workspace:
            convert(workspace, survey, tmp_path / "out.ndjson", wish=wish)
        return [json.loads(line) for line in (tmp_path / "out.ndjson").read_text(encoding="utf-8").splitlines()]

    asked = lines(Wish(include_sensitive=True, validate=True))
    assert [each["resourceType"] for each in asked] == ["Patient", "Observation"]
    assert lines(Wish()) == asked[:1]
    assert lines(Wish(recipient="demo-hie")) == asked[:1]
