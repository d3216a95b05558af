"""The forms in which resources leave: transactions that a server understands, and Bulk Data folders."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from fhir_equity.adapters.fhir import ADAPTER, bind_bulk, validate
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import Source, sources
from fhir_equity.model import Coding, Finding, Identifier, Member, Name, Origin, Outgoing, Received
from tests.adapters.fhir.versions import context, expressed

Json = dict[str, Any]
WHITE = Received("race_ethnicity", "x", (Coding("cdcrec", "2106-3"),))
LESBIAN = Received("sexual_orientation", "x", text="Lesbian")
SELF = Origin(method="self", collector="plan", collected_on="2026-01-02")


def person(number: str, *received: Received) -> Outgoing:
    member = Member("acme", number, identifiers=(Identifier("urn:x&y", number),), name=Name("Ruiz", ("Ana",)))
    return Outgoing(member, expressed("6.1.0", *received, origin=SELF)[0])


def transactions(*records: Outgoing, patient: str = "id") -> tuple[list[Json], list[str]]:
    guide = {**context().guide, "form": "bundle", "transaction": {"patient": patient}}
    out = io.BytesIO()
    losses = [loss.rule for loss in ADAPTER.write(records, out, msgspec.structs.replace(context(), guide=guide))]
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [validate(each, "Bundle") for each in found] == [[]] * len(found)
    return found, losses


def requests(bundle: Json) -> list[tuple[str, str]]:
    return [(each["request"]["method"], each["request"]["url"].partition("/")[0]) for each in bundle["entry"]]


def test_a_transaction_for_each_member_that_can_be_sent_again() -> None:
    (first, second), losses = transactions(person("1", WHITE, LESBIAN), person("2"))
    assert losses == ["fhir.gender.required"] * 2
    assert (first["resourceType"], first["type"]) == ("Bundle", "transaction")
    assert requests(first) == [("PUT", "Patient"), ("PUT", "Observation"), *[("PUT", "Provenance")] * 2]
    assert requests(second) == [("PUT", "Patient")]
    for entry in first["entry"]:
        resource = entry["resource"]
        assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"
        assert entry["request"]["url"] == f"{resource['resourceType']}/{resource['id']}"
    assert transactions(person("1", WHITE, LESBIAN), person("2"))[0] == [first, second]


def test_references_within_a_transaction_lead_to_its_entries() -> None:
    ((bundle,), _) = transactions(person("1", WHITE, LESBIAN))
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    found = references(bundle)
    assert len(found) == 5  # subject, two targets, two informants
    assert set(found) <= urls


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [each for item in value for each in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if "reference" in value else []
    return own + references(list(value.values()))


def test_where_the_receiver_knows_people_by_an_identifier() -> None:
    """A Patient who is there stays as they are, and so nobody is said to have told their elements."""
    ((bundle,), losses) = transactions(person("1 2", WHITE, LESBIAN), patient="identifier")
    patient, observation, provenance = bundle["entry"]
    assert patient["request"] == {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn%3Ax%26y|1%202"}
    own = observation["resource"]["identifier"][0]
    assert own["value"] == observation["fullUrl"]
    token = f"urn%3Aietf%3Arfc%3A3986|{own['value'].replace(':', '%3A')}"
    assert observation["request"] == {"method": "PUT", "url": f"Observation?identifier={token}"}
    assert provenance["request"] == {"method": "POST", "url": "Provenance"}
    assert provenance["resource"]["target"] == [{"reference": observation["fullUrl"]}]
    assert not any("id" in entry["resource"] for entry in bundle["entry"])
    assert losses.count("fhir.provenance.patient_not_ours") == 1


def test_what_a_transaction_says_reads_back() -> None:
    (bundles, _) = transactions(person("1", WHITE, LESBIAN), person("2", WHITE))
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in bundles)
    read = list(ADAPTER.read(Source("x.ndjson", lambda: io.BytesIO(lines)), Range(), context()))
    first, second = (each for each in read if isinstance(each, Member))
    assert [answer.topic for answer in first.answers] == ["race", "sex", "sexual_orientation"]
    assert [answer.topic for answer in second.answers] == ["race", "sex"]
    assert {answer.origin.method for answer in first.answers if answer.topic != "sex"} == {"self"}
    assert len(read) == 2


def bulk(*records: Outgoing) -> tuple[dict[str, list[Json]], list[str]]:
    files: dict[str, io.BytesIO] = {}

    def opened(name: str) -> io.BytesIO:
        assert name not in files
        return files.setdefault(name, io.BytesIO())

    losses = [loss.rule for loss in bind_bulk(map(ADAPTER.pieces(context()), records), opened, context())]
    return {name: [json.loads(line) for line in file.getvalue().splitlines()] for name, file in files.items()}, losses


def test_a_file_for_each_type_and_a_manifest_that_counts() -> None:
    files, losses = bulk(person("1", WHITE, LESBIAN), person("2", WHITE))
    assert losses == ["fhir.gender.required"] * 2
    (manifest,) = files.pop("manifest.json")
    assert {name: {each["resourceType"] for each in found} for name, found in files.items()} == {
        "Patient.ndjson": {"Patient"},
        "Observation.ndjson": {"Observation"},
        "Provenance.ndjson": {"Provenance"},
    }
    assert manifest == {
        "transactionTime": "2026-06-01T12:00:00+00:00",
        "request": "fhir-equity convert",
        "requiresAccessToken": False,
        "output": [
            {"type": "Patient", "url": "Patient.ndjson", "count": 2},
            {"type": "Observation", "url": "Observation.ndjson", "count": 1},
            {"type": "Provenance", "url": "Provenance.ndjson", "count": 3},
        ],
        "error": [],
    }
    for each in (resource for found in files.values() for resource in found):
        assert validate(each, each["resourceType"]) == []
    subject = files["Observation.ndjson"][0]["subject"]["reference"]
    assert subject == f"Patient/{files['Patient.ndjson'][0]['id']}"


def test_nobody_makes_an_empty_file_and_a_manifest() -> None:
    files, _ = bulk()
    assert files.pop("manifest.json")[0]["output"] == [{"type": "Patient", "url": "Patient.ndjson", "count": 0}]
    assert files == {"Patient.ndjson": []}


def test_a_folder_reads_back_with_who_told_it(tmp_path: Path) -> None:
    """Observations and Provenances stand in files of their own."""
    records = [person("1", WHITE, LESBIAN), person("2", WHITE)]
    with ExitStack() as files:
        written = map(ADAPTER.pieces(context()), records)
        for _ in bind_bulk(written, lambda name: files.enter_context((tmp_path / name).open("wb")), context()):
            continue
    (source,) = sources([tmp_path])
    read = list(ADAPTER.read(source, Range(), context()))
    people = [each for each in read if isinstance(each, Member)]
    told = [[(a.topic, a.origin.method, a.origin.collected_on) for a in person.answers] for person in people]
    white, sex = ("race", "self", "2026-01-02"), ("sex", "unstated", "")
    assert told == [[white, sex, ("sexual_orientation", "self", "2026-01-02")], [white, sex]]
    # Of an Observation in another file its own labels and date say who told it.
    assert [each.message for each in read if isinstance(each, Finding)] == ["Provenance is not read: 1"]
