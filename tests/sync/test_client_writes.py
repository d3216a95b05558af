"""Create and update against a mocked HIE: what is repeated, what is not, and what the caller is told."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.sync.client import Client, Conflict, OutcomeUnknownError, Versioned

BASE = "https://hie.example/fhir"
FHIR = {"Content-Type": "application/fhir+json"}
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "3"}}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": "MARKED"}]}
ONLY = "identifier=https://example.org/m%7CA1"


def answer(status: int = 200, resource: Any = None, **headers: str) -> httpx.Response:
    content = b"" if resource is None else json.dumps(resource).encode()
    return httpx.Response(status, content=content, headers=FHIR | {k.replace("_", "-"): v for k, v in headers.items()})


def sent(hie: respx.MockRouter) -> list[httpx.Request]:
    return [call.request for call in hie.calls]


def test_create(hie: respx.MockRouter, client: Client) -> None:
    hie.post(f"{BASE}/Patient").mock(return_value=answer(201, PATIENT, ETag='W/"1"'))
    assert client.create({"resourceType": "Patient"}) == Versioned(PATIENT, 'W/"1"', 201)
    request = sent(hie)[0]
    assert json.loads(request.content) == {"resourceType": "Patient"}
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["prefer"] == "return=representation"
    assert "if-none-exist" not in request.headers


def test_conditional_create(hie: respx.MockRouter, client: Client) -> None:
    hie.post(f"{BASE}/Patient").mock(return_value=answer(200, PATIENT))
    assert client.create(PATIENT, "identifier=s|\u00e9 1%7C\r\nX: y").status == 200
    assert sent(hie)[0].headers["if-none-exist"] == "identifier=s|%C3%A9%201%7C%0D%0AX:%20y"


@pytest.mark.parametrize("body", [None, OUTCOME])
def test_a_create_that_is_answered_with_less_is_read_back(hie: respx.MockRouter, client: Client, body: Any) -> None:
    hie.post(f"{BASE}/Patient").mock(return_value=answer(201, body, Location="Patient/p1/_history/1"))
    hie.get(f"{BASE}/Patient/p1").mock(return_value=answer(200, PATIENT, ETag='W/"1"'))
    assert client.create({"resourceType": "Patient"}) == Versioned(PATIENT, 'W/"1"', 201)
    hie.post(f"{BASE}/Patient").mock(return_value=answer(201, body, Location=f"{BASE}/OtherPatient/p1"))
    with pytest.raises(RemoteContentError, match="does not say what it created"):
        client.create({"resourceType": "Patient"})


LOST = [
    httpx.ReadTimeout("x"),
    httpx.RemoteProtocolError("x"),
    httpx.WriteError("x"),
    answer(502),
    answer(503),
    answer(504),
]


@pytest.mark.parametrize("failure", [*LOST, answer(500)])
def test_a_lost_create_is_not_repeated(hie: respx.MockRouter, client: Client, failure: Any) -> None:
    hie.post(f"{BASE}/Patient").mock(side_effect=[failure, answer(201, PATIENT)])
    with pytest.raises(OutcomeUnknownError, match="the write may have been carried out"):
        client.create({"resourceType": "Patient"})
    assert len(hie.calls) == 1


@pytest.mark.parametrize("failure", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), answer(429)])
def test_a_create_that_was_not_carried_out_is_repeated(hie: respx.MockRouter, client: Client, failure: Any) -> None:
    route = hie.post(f"{BASE}/Patient").mock(side_effect=[failure, answer(201, PATIENT)])
    assert client.create({"resourceType": "Patient"}).status == 201
    route.side_effect = [failure] * 4
    with pytest.raises(RemoteError) as caught:
        client.create({"resourceType": "Patient"})
    assert not isinstance(caught.value, OutcomeUnknownError)


@pytest.mark.parametrize("failure", LOST)
def test_a_conditional_create_is_repeated(hie: respx.MockRouter, client: Client, failure: Any) -> None:
    route = hie.post(f"{BASE}/Patient").mock(side_effect=[failure, answer(200, PATIENT)])
    assert client.create(PATIENT, ONLY).status == 200
    assert [request.headers["if-none-exist"] for request in sent(hie)] == [ONLY] * 2
    route.side_effect = [failure] * 4
    with pytest.raises(OutcomeUnknownError):
        client.create(PATIENT, ONLY)


def test_several_matches_are_a_conflict(hie: respx.MockRouter, client: Client) -> None:
    hie.post(f"{BASE}/Patient").mock(return_value=answer(412, OUTCOME))
    with pytest.raises(Conflict) as caught:
        client.create(PATIENT, ONLY)
    assert (caught.value.status, caught.value.repeated) == (412, False)
    assert "MARKED" not in str(caught.value)


def test_update(hie: respx.MockRouter, client: Client) -> None:
    hie.put(f"{BASE}/Patient/p1").mock(return_value=answer(200, PATIENT, ETag='W/"4"'))
    assert client.update(PATIENT, 'W/"3"') == Versioned(PATIENT, 'W/"4"', 200)
    assert sent(hie)[0].headers["if-match"] == 'W/"3"'
    assert json.loads(sent(hie)[0].content) == PATIENT


@pytest.mark.parametrize("status", [409, 412])
def test_an_update_of_a_version_that_moved_is_a_conflict(hie: respx.MockRouter, client: Client, status: int) -> None:
    hie.put(f"{BASE}/Patient/p1").mock(return_value=answer(status, OUTCOME))
    with pytest.raises(Conflict) as caught:
        client.update(PATIENT, 'W/"3"')
    assert isinstance(caught.value, RemoteError)
    assert (caught.value.status, caught.value.repeated) == (status, False)
    assert len(hie.calls) == 1


@pytest.mark.parametrize(("failure", "repeated"), [*((one, True) for one in LOST), (answer(429), False)])
def test_a_repeated_update_tells_that_it_may_be_its_own_conflict(
    hie: respx.MockRouter, client: Client, failure: Any, repeated: bool
) -> None:
    hie.put(f"{BASE}/Patient/p1").mock(side_effect=[failure, answer(412)])
    with pytest.raises(Conflict) as caught:
        client.update(PATIENT, 'W/"3"')
    assert caught.value.repeated is repeated


@pytest.mark.parametrize("status", [302, 401, 403, 500])
def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(
    hie: respx.MockRouter, client: Client, status: int
) -> None:
    hie.put(f"{BASE}/Patient/p1").mock(side_effect=[answer(503), answer(429), answer(status)])
    with pytest.raises(OutcomeUnknownError):
        client.update(PATIENT, 'W/"3"')
    hie.put(f"{BASE}/Patient/p1").mock(side_effect=[answer(503), *[answer(429)] * 3])
    with pytest.raises(OutcomeUnknownError):
        client.update(PATIENT, 'W/"3"')


def test_an_update_that_is_answered_with_less_is_read_back(hie: respx.MockRouter, client: Client) -> None:
    hie.put(f"{BASE}/Patient/p1").mock(return_value=answer(200))
    hie.get(f"{BASE}/Patient/p1").mock(side_effect=[answer(200, PATIENT), answer(404)])
    assert client.update(PATIENT, 'W/"2"') == Versioned(PATIENT, 'W/"3"', 200, later=True)
    with pytest.raises(OutcomeUnknownError):
        client.update(PATIENT, 'W/"2"')


@pytest.mark.parametrize("etag", ["", 'W/"\u00e9"', 'W/"1"\r\n'])
def test_an_update_needs_a_version(hie: respx.MockRouter, client: Client, etag: str) -> None:
    with pytest.raises(UsageError, match="needs the tag of the version"):
        client.update(PATIENT, etag)
    assert len(hie.calls) == 0
