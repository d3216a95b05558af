"""Batch and transaction."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from fhir_equity.adapters.fhir import ADAPTER
from fhir_equity.model import Identifier, Member, Name, Outgoing, Received
from tests.adapters.fhir.versions import context, expressed

BASE = "http://127.0.0.1/fhir"
URN = "urn:uuid:11111111-1111-4111-8111-111111111111"


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def patient(value: str = "A1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"value": value}], **more}


def observation(subject: str) -> dict[str, Any]:
    code = {"text": "invented"}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}}


def post(fhir: Any, kind: str, *entries: Any) -> Any:
    return fhir("POST", "", {"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def statuses(response: Any, kind: str) -> list[str]:
    assert response.status_code == 200
    assert (response.json()["resourceType"], response.json()["type"]) == ("Bundle", f"{kind}-response")
    return [one["response"]["status"] for one in response.json()["entry"]]


def test_transaction_links_what_it_creates(fhir: Any) -> None:
    response = post(
        fhir,
        "transaction",
        entry("GET", "Patient?identifier=A1"),
        entry("POST", "Observation", observation(URN)),
        entry("POST", "Patient", patient(), URN),
        entry("PUT", "Patient/p2", patient("B", id="p2", link=[{"other": {"reference": URN}}])),
    )
    assert statuses(response, "transaction") == ["200 OK", "201 Created", "201 Created", "201 Created"]
    third, first, second, fourth = response.json()["entry"]
    key = second["resource"]["id"]
    assert first["resource"]["subject"]["reference"] == f"Patient/{key}"
    assert fourth["resource"]["link"][0]["other"]["reference"] == f"Patient/{key}"
    assert third["resource"]["total"] == 1
    assert second["response"] == {
        "status": "201 Created",
        "location": f"{BASE}/Patient/{key}/_history/1",
        "etag": 'W/"1"',
        "lastModified": second["resource"]["meta"]["lastUpdated"],
    }


def test_transaction_rolls_back(fhir: Any) -> None:
    fhir("PUT", "Patient/p1", patient(id="p1"))
    response = post(
        fhir,
        "transaction",
        entry("POST", "Patient", patient("B")),
        entry("PUT", "Patient/p1", patient("C", id="p1"), ifMatch='W/"9"'),
    )
    assert (response.status_code, response.json()["resourceType"]) == (412, "OperationOutcome")
    assert fhir("GET", "Patient").json()["total"] == 1
    assert fhir("GET", "Patient/p1").headers["etag"] == 'W/"1"'


def test_transaction_refers_to_what_exists(fhir: Any) -> None:
    fhir("PUT", "Patient/p1", patient(id="p1"))
    response = post(
        fhir,
        "transaction",
        entry("POST", "Patient", patient(), URN, ifNoneExist="identifier=A1"),
        entry("POST", "Observation", observation(URN)),
    )
    assert statuses(response, "transaction") == ["200 OK", "201 Created"]
    assert response.json()["entry"][1]["resource"]["subject"]["reference"] == "Patient/p1"


def test_transaction_refuses_the_same_person_twice(fhir: Any) -> None:
    twice = [entry("POST", "Patient", patient(), ifNoneExist="identifier=A1") for _ in range(2)]
    assert post(fhir, "transaction", *twice).status_code == 412
    again = [entry("PUT", "Patient/p1", patient(id="p1")) for _ in range(2)]
    assert post(fhir, "transaction", *again).status_code == 400
    assert fhir("GET", "Patient").json()["total"] == 0


def test_transaction_deletes_first_and_patients_last(fhir: Any) -> None:
    fhir("PUT", "Patient/p1", patient(id="p1"))
    fhir("PUT", "Observation/o1", observation("Patient/p1") | {"id": "o1"})
    response = post(fhir, "transaction", entry("DELETE", "Patient/p1"), entry("DELETE", "Observation/o1"))
    assert statuses(response, "transaction") == ["204 No Content", "204 No Content"]
    assert fhir("GET", "Patient/p1").status_code == 410


def test_batch_entries_fail_one_by_one(fhir: Any) -> None:
    response = post(
        fhir,
        "batch",
        entry("POST", "Patient", patient()),
        entry("GET", "Patient/none"),
        {"request": {"method": "PATCH", "url": "Patient/p1"}},
        "nonsense",
        entry("PUT", f"{BASE}/Patient/p9", patient("B", id="p9")),
        entry("POST", "Medication", {"resourceType": "Medication"}),
    )
    assert statuses(response, "batch") == [
        "201 Created",
        "404 Not Found",
        "400 Bad Request",
        "400 Bad Request",
        "201 Created",
        "404 Not Found",
    ]
    assert response.json()["entry"][1]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert fhir("GET", "Patient").json()["total"] == 2


def test_an_empty_bundle_is_answered(fhir: Any) -> None:
    response = fhir("POST", "", {"resourceType": "Bundle", "type": "batch"})
    assert response.json() == {"resourceType": "Bundle", "type": "batch-response"}


@pytest.mark.parametrize(
    "body",
    [
        [],
        patient(),
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
        {"resourceType": "Bundle", "type": "transaction", "entry": [{}]},
    ],
)
def test_what_is_no_batch_is_refused(fhir: Any, body: Any) -> None:
    assert fhir("POST", "", body).status_code == 400


def test_what_is_answered_is_valid_fhir(fhir: Any) -> None:
    response = post(fhir, "batch", entry("POST", "Patient", patient()), entry("GET", "Patient/none"))
    for bundle in (response.json(), fhir("GET", "Patient?_count=1").json(), fhir("GET", "Observation").json()):
        Bundle.model_validate(bundle)
    OperationOutcome.model_validate(fhir("GET", "Patient/none").json())


def written(found_by: str, *received: Received) -> dict[str, Any]:
    """The transaction that we write of one member."""
    guide = {**context().guide, "form": "bundle", "transaction": {"patient": found_by}}
    member = Member("acme", "k", identifiers=(Identifier("urn:x&y", "A 1"),), name=Name("Ruiz", ("Ana",)))
    out = io.BytesIO()
    records = [Outgoing(member, expressed("6.1.0", *received)[0])]
    for _ in ADAPTER.write(records, out, msgspec.structs.replace(context(), guide=guide)):
        continue
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def all_of(fhir: Any, kind: str) -> list[dict[str, Any]]:
    return [each["resource"] for each in fhir("GET", kind).json()["entry"]]


def test_a_transaction_that_we_write_can_be_sent_again(fhir: Any) -> None:
    for _ in range(2):
        response = fhir("POST", "", written("id", Received("pronouns", "test", text="xe")))
        assert response.status_code == 200
        (person,), (one,) = all_of(fhir, "Patient"), all_of(fhir, "Observation")
        assert one["subject"]["reference"] == f"Patient/{person['id']}"
        assert one["valueCodeableConcept"] == {"text": "xe"}
        assert person["name"] == [{"family": "Ruiz", "given": ["Ana"]}]


def test_by_identifier_a_patient_who_is_there_stays_as_they_are(fhir: Any) -> None:
    known = {"resourceType": "Patient", "identifier": [{"system": "urn:x&y", "value": "A 1"}], "active": True}
    assert fhir("POST", "Patient", known).status_code == 201
    assert statuses(fhir("POST", "", written("identifier")), "transaction") == ["200 OK"]
    (person,) = all_of(fhir, "Patient")
    assert "name" not in person
    assert fhir("DELETE", f"Patient/{person['id']}").status_code == 204
    for expected in ("201 Created", "200 OK"):
        assert statuses(fhir("POST", "", written("identifier")), "transaction") == [expected]
    assert len(all_of(fhir, "Patient")) == 1
