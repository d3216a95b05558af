"""Create, read, vread, update and delete over HTTP."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

BASE = "http://127.0.0.1/fhir"
SYSTEM = "https://example.org/members"


def patient(value: str = "A1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


def observation(subject: str = "Patient/p1") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "invented"},
        "subject": {"reference": subject},
    }


def problem(response: Any, status: int, code: str) -> None:
    """Every refusal is an OperationOutcome in FHIR JSON."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/fhir+json"
    assert response.json()["resourceType"] == "OperationOutcome"
    assert [(issue["severity"], issue["code"]) for issue in response.json()["issue"]] == [("error", code)]


def test_create_sets_id_version_and_headers(fhir: Any) -> None:
    sent = patient(meta={"versionId": "9", "lastUpdated": "1999-01-01T00:00:00Z", "profile": ["http://p"]}, id="mine")
    response = fhir("POST", "Patient", sent)
    made = response.json()
    assert response.status_code == 201
    assert made["id"] != "mine"
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["location"] == f"{BASE}/Patient/{made['id']}/_history/1"
    assert made["meta"]["versionId"] == "1"
    assert made["meta"]["profile"] == ["http://p"]
    assert re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["meta"]["lastUpdated"])
    stamp = parsedate_to_datetime(response.headers["last-modified"])
    assert stamp.strftime("%Y-%m-%dT%H:%M:%S") == made["meta"]["lastUpdated"][:19]
    assert made["identifier"] == sent["identifier"]


def test_read_gives_the_newest_and_vread_any(fhir: Any) -> None:
    assert fhir("PUT", "Patient/p1", patient("A", id="p1")).status_code == 201
    assert fhir("PUT", "Patient/p1", patient("B", id="p1")).status_code == 200
    newest = fhir("GET", "Patient/p1")
    assert newest.headers["etag"] == 'W/"2"'
    assert "location" not in newest.headers
    assert newest.json()["identifier"][0]["value"] == "B"
    first = fhir("GET", "Patient/p1/_history/1")
    assert (first.headers["etag"], first.json()["identifier"][0]["value"]) == ('W/"1"', "A")
    problem(fhir("GET", "Patient/p1/_history/3"), 404, "not-found")
    problem(fhir("GET", "Patient/p1/_history/x"), 404, "not-found")
    problem(fhir("GET", "Patient/p2"), 404, "not-found")


def test_read_answers_304_for_a_known_version(fhir: Any) -> None:
    fhir("PUT", "Patient/p1", patient(id="p1"))
    known = fhir("GET", "Patient/p1", headers={"If-None-Match": 'W/"1"'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", 'W/"1"')
    assert fhir("GET", "Patient/p1", headers={"If-None-Match": 'W/"2"'}).status_code == 200


def test_last_updated_always_grows(fhir: Any) -> None:
    stamps = [fhir("PUT", f"Patient/p{n % 3}", patient(id=f"p{n % 3}")).json()["meta"]["lastUpdated"] for n in range(9)]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "1"])
def test_update_holds_if_match(fhir: Any, tag: str) -> None:
    fhir("PUT", "Patient/p1", patient(id="p1"))
    assert fhir("PUT", "Patient/p1", patient("B", id="p1"), headers={"If-Match": tag}).status_code == 200
    problem(fhir("PUT", "Patient/p1", patient("C", id="p1"), headers={"If-Match": tag}), 412, "conflict")
    assert fhir("GET", "Patient/p1").json()["identifier"][0]["value"] == "B"


def test_if_match_never_creates(fhir: Any) -> None:
    problem(fhir("PUT", "Patient/p1", patient(id="p1"), headers={"If-Match": 'W/"1"'}), 412, "conflict")
    problem(fhir("PUT", "Patient/p1", patient(id="p1"), headers={"If-Match": ""}), 412, "conflict")
    assert fhir("GET", "Patient/p1").status_code == 404


def test_update_needs_the_id_of_the_address(fhir: Any) -> None:
    problem(fhir("PUT", "Patient/p1", patient(id="p2")), 400, "invalid")
    problem(fhir("PUT", "Patient/p1", patient()), 400, "invalid")


def test_delete_then_gone_then_back(fhir: Any) -> None:
    problem(fhir("DELETE", "Patient/p1"), 404, "not-found")
    fhir("PUT", "Patient/p1", patient(id="p1"))
    problem(fhir("DELETE", "Patient/p1", headers={"If-Match": 'W/"7"'}), 412, "conflict")
    gone = fhir("DELETE", "Patient/p1")
    assert (gone.status_code, gone.content) == (204, b"")
    assert fhir("DELETE", "Patient/p1").status_code == 204
    problem(fhir("GET", "Patient/p1"), 410, "deleted")
    problem(fhir("GET", "Patient/p1/_history/2"), 410, "deleted")
    assert fhir("GET", "Patient/p1/_history/1").status_code == 200
    assert fhir("GET", "Patient").json()["total"] == 0
    back = fhir("PUT", "Patient/p1", patient(id="p1"))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')


@pytest.mark.parametrize("subject", ["Patient/p1", f"{BASE}/Patient/p1"])
def test_a_patient_that_is_referred_to_stays(fhir: Any, subject: str) -> None:
    fhir("PUT", "Patient/p1", patient(id="p1"))
    made = fhir("POST", "Observation", observation(subject)).json()["id"]
    problem(fhir("DELETE", "Patient/p1"), 409, "conflict")
    fhir("DELETE", f"Observation/{made}")
    assert fhir("DELETE", "Patient/p1").status_code == 204


def test_conditional_create(fhir: Any) -> None:
    only = {"If-None-Exist": f"identifier={SYSTEM}|A1"}
    first = fhir("POST", "Patient", patient("A1"), headers=only)
    again = fhir("POST", "Patient", patient("A1"), headers=only)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    fhir("POST", "Patient", patient("A1"))
    problem(fhir("POST", "Patient", patient("A1"), headers=only), 412, "multiple-matches")
    problem(fhir("POST", "Patient", patient("A1"), headers={"If-None-Exist": "_count=1"}), 412, "incomplete")
    problem(fhir("POST", "Patient", patient("A1"), headers={"If-None-Exist": "name=x"}), 400, "not-supported")
    assert fhir("POST", "Patient", patient("A2"), headers={"If-None-Exist": "identifier=A2"}).status_code == 201
    assert fhir("GET", "Patient").json()["total"] == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([], 400, "structure"),
        ("text", 400, "structure"),
        ({}, 400, "invalid"),
        ({"resourceType": "Observation"}, 400, "invalid"),
        ({"resourceType": "Patient", "identifier": {}}, 422, "structure"),
        ({"resourceType": "Patient", "identifier": ["x"]}, 422, "structure"),
        ({"resourceType": "Patient", "identifier": [{"value": 1}]}, 422, "structure"),
        ({"resourceType": "Patient", "meta": []}, 422, "structure"),
    ],
)
def test_what_is_no_patient_is_refused(fhir: Any, body: Any, status: int, code: str) -> None:
    problem(fhir("POST", "Patient", body), status, code)
    assert fhir("GET", "Patient").json()["total"] == 0


def test_what_is_no_observation_is_refused(fhir: Any) -> None:
    problem(fhir("POST", "Observation", {"resourceType": "Observation", "status": "final"}), 422, "required")
    problem(fhir("POST", "Observation", observation() | {"subject": "Patient/p1"}), 422, "structure")
    assert fhir("POST", "Observation", observation()).status_code == 201
