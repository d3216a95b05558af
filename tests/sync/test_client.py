"""Reading from a mocked HIE: retries, refusals, paging, and what the messages say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings
from fhir_equity.sync.client import Client, Versioned

BASE = "https://hie.example/fhir"
FHIR = {"Content-Type": "application/fhir+json"}
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "3"}}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": "MARKED"}]}


def answer(status: int = 200, resource: Any = None, **headers: str) -> httpx.Response:
    content = b"" if resource is None else json.dumps(resource).encode()
    return httpx.Response(status, content=content, headers=FHIR | {k.replace("_", "-"): v for k, v in headers.items()})


def page(*resources: Any, following: str = "", **more: Any) -> httpx.Response:
    links = [{"relation": "next", "url": following}] if following else []
    entries = [{"resource": resource} for resource in resources]
    return answer(200, {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **more})


def sent(hie: respx.MockRouter) -> list[httpx.Request]:
    return [call.request for call in hie.calls]


def test_read(hie: respx.MockRouter, client: Client) -> None:
    hie.get(f"{BASE}/Patient/p1").mock(return_value=answer(200, PATIENT, ETag='W/"7"'))
    assert client.read("Patient", "p1") == Versioned(PATIENT, 'W/"7"', 200)
    request = sent(hie)[0]
    assert request.headers["accept"] == "application/fhir+json"
    assert request.headers["user-agent"] == "fhir-equity"
    assert request.headers["authorization"] == "Bearer t0ken"


def test_read_takes_the_tag_from_the_resource_where_no_header_has_it(hie: respx.MockRouter, client: Client) -> None:
    route = hie.get(f"{BASE}/Patient/p1")
    route.mock(side_effect=[answer(200, PATIENT), answer(200, {"resourceType": "Patient", "id": "p1"})])
    assert [found.etag for found in (client.read("Patient", "p1"), client.read("Patient", "p1")) if found] == [
        'W/"3"',
        "",
    ]


@pytest.mark.parametrize("response", [answer(404), answer(410), answer(404, OUTCOME), answer(410, OUTCOME)])
def test_read_of_what_is_not_there(hie: respx.MockRouter, client: Client, response: httpx.Response) -> None:
    hie.get(f"{BASE}/Patient/p1").mock(return_value=response)
    assert client.read("Patient", "p1") is None


HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(404, content=b"<html>not found MARKED</html>", headers=HTML),
        httpx.Response(200, content=b"<html>log in MARKED</html>", headers=HTML),
        httpx.Response(200, content=b'{"resourceType": "Patient", "id": "p1"}', headers=HTML),
        httpx.Response(200, content=b"<Patient/>", headers={"Content-Type": "application/fhir+xml"}),
        httpx.Response(200, content=b"{MARKED", headers=FHIR),
        httpx.Response(200, content=b"", headers=FHIR),
        httpx.Response(200, stream=httpx.ByteStream(b"MARKED"), headers=FHIR | {"Content-Encoding": "gzip"}),
        answer(200, ["MARKED"]),
        answer(200, OUTCOME),
        answer(200, PATIENT | {"id": "MARKED"}),
        answer(200, PATIENT | {"resourceType": "MARKED"}),
        answer(404, PATIENT),
    ],
)
def test_what_is_not_the_resource_is_refused(hie: respx.MockRouter, client: Client, response: httpx.Response) -> None:
    hie.get(f"{BASE}/Patient/p1").mock(return_value=response)
    with pytest.raises(RemoteContentError, match=r"^hie\.example ") as caught:
        client.read("Patient", "p1")
    assert "MARKED" not in str(caught.value)
    assert len(hie.calls) == 1


@pytest.mark.parametrize(
    "kind", ["application/fhir+json; charset=UTF-8", "application/json", "application/json+fhir", ""]
)
def test_json_by_any_of_its_names_is_read(hie: respx.MockRouter, client: Client, kind: str) -> None:
    content = json.dumps(PATIENT).encode()
    hie.get(f"{BASE}/Patient/p1").mock(
        return_value=httpx.Response(200, content=content, headers={"Content-Type": kind})
    )
    assert client.read("Patient", "p1") is not None


def test_a_huge_answer_is_refused(hie: respx.MockRouter, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hie.get(f"{BASE}/Patient/p1").mock(return_value=answer(200, PATIENT))
    size = len(json.dumps(PATIENT))
    monkeypatch.setattr("fhir_equity.sync.transport.LIMIT", size)
    assert client.read("Patient", "p1") is not None
    monkeypatch.setattr("fhir_equity.sync.transport.LIMIT", size - 1)
    with pytest.raises(RemoteContentError, match=f"more than {size - 1} bytes"):
        client.read("Patient", "p1")


@pytest.mark.parametrize("status", [400, 401, 403, 405, 422, 500, 501])
def test_refusals_are_said_once_and_without_their_words(hie: respx.MockRouter, client: Client, status: int) -> None:
    hie.route().mock(return_value=answer(status, OUTCOME))
    for call in (
        lambda: client.read("Patient", "MARKED"),
        lambda: list(client.search("Patient", {"identifier": "MARKED"})),
        client.capability,
    ):
        with pytest.raises(RemoteError, match=rf"^hie\.example refused a request with {status}$"):
            call()
    assert len(hie.calls) == 3


@pytest.mark.parametrize("target", ["https://elsewhere.example/fhir/Patient/p1", "http://hie.example/fhir/Patient/p1"])
def test_redirects_are_not_followed(hie: respx.MockRouter, client: Client, target: str) -> None:
    hie.get(f"{BASE}/Patient/p1").mock(return_value=answer(302, None, Location=target))
    with pytest.raises(RemoteError, match=r"^hie\.example redirects \(302\)"):
        client.read("Patient", "p1")
    assert len(hie.calls) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_reads_are_repeated_as_retry_after_says(
    hie: respx.MockRouter, client: Client, waits: list[float], status: int
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    route = hie.get(f"{BASE}/Patient/p1")
    route.mock(side_effect=[*(answer(status, None, Retry_After=w) for w in ("7", later, "9999")), answer(200, PATIENT)])
    assert client.read("Patient", "p1") is not None
    assert waits[0] == 7
    assert 25 < waits[1] <= 30
    assert waits[2] == 60


def test_without_a_usable_retry_after_the_wait_grows(hie: respx.MockRouter, client: Client, waits: list[float]) -> None:
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    responses = [answer(503), *(answer(503, None, Retry_After=w) for w in ("soon", past)), answer(200, PATIENT)]
    hie.get(f"{BASE}/Patient/p1").mock(side_effect=responses)
    assert client.read("Patient", "p1") is not None
    assert 0.5 <= waits[0] <= 1.5
    assert 1.0 <= waits[1] <= 2.0
    assert waits[2] == 0


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_come_from_the_settings(hie: respx.MockRouter, attempts: int) -> None:
    hie.get(f"{BASE}/metadata").mock(return_value=answer(503))
    with (
        Client(HieSettings(url=BASE, token_env="EQUITY_LOGIN", attempts=attempts)) as client,
        pytest.raises(RemoteError, match=r"^hie\.example answered 503$"),
    ):
        client.capability()
    assert len(hie.calls) == attempts


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError])
def test_connection_errors_are_repeated_and_then_said(hie: respx.MockRouter, client: Client, error: Any) -> None:
    route = hie.get(f"{BASE}/Patient/p1").mock(side_effect=[error("MARKED"), answer(200, PATIENT)])
    assert client.read("Patient", "p1") is not None
    route.side_effect = error("MARKED")
    with pytest.raises(RemoteError, match=error.__name__) as caught:
        client.read("Patient", "p1")
    assert "MARKED" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert len(hie.calls) == 2 + 4


def test_capability(hie: respx.MockRouter, client: Client) -> None:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
    hie.get(f"{BASE}/metadata").mock(return_value=answer(200, statement))
    assert client.capability() == statement


def test_search_is_posted_and_paged(hie: respx.MockRouter, client: Client) -> None:
    one, two, three = ({"resourceType": "Patient", "id": key} for key in "abc")
    hint = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}]}
    hie.post(f"{BASE}/Patient/_search").mock(return_value=page(one, hint, following=f"{BASE}?page=2"))
    hie.get(f"{BASE}?page=2").mock(return_value=page(two, following="?page=3"))
    hie.get(f"{BASE}/?page=3").mock(return_value=page(three))
    found = client.search("Patient", {"identifier": "https://example.org/m|A 1", "_id": ["x", "y"]})
    assert list(found) == [one, two, three]
    first = sent(hie)[0]
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert first.headers["prefer"] == "handling=strict"
    form = parse_qs(first.content.decode())
    assert form == {"_count": ["100"], "identifier": ["https://example.org/m|A 1"], "_id": ["x", "y"]}
    assert all("A" not in str(request.url) for request in sent(hie))


def test_search_takes_its_page_size_from_settings_or_caller(hie: respx.MockRouter) -> None:
    hie.post(f"{BASE}/Patient/_search").mock(return_value=page())
    with Client(HieSettings(url=BASE, token_env="EQUITY_LOGIN", page_size=7)) as client:
        assert list(client.search("Patient", {})) == []
        assert list(client.search("Patient", {"_count": "2"})) == []
    assert [request.content for request in sent(hie)] == [b"_count=7", b"_count=2"]


@pytest.mark.parametrize(
    "following",
    [
        "https://elsewhere.example/fhir?page=2",
        "http://hie.example/fhir?page=2",
        "https://hie.example:8443/fhir?page=2",
        "//elsewhere.example/fhir?page=2",
        "https://user@hie.example/fhir?page=2",
        "https://hie.example:x/fhir",
        "https://[hie.example/fhir",
        "javascript:MARKED",
    ],
)
def test_a_next_link_to_another_origin_is_refused(hie: respx.MockRouter, client: Client, following: str) -> None:
    hie.post(f"{BASE}/Patient/_search").mock(return_value=page(PATIENT, following=following))
    found = client.search("Patient", {})
    assert next(found) == PATIENT
    with pytest.raises(RemoteError, match="leads to another server"):
        next(found)
    assert len(hie.calls) == 1


def test_the_default_port_is_the_same_origin(hie: respx.MockRouter, client: Client) -> None:
    hie.post(f"{BASE}/Patient/_search").mock(return_value=page(following="HTTPS://HIE.example:443/fhir?page=2"))
    hie.get("https://hie.example/fhir?page=2").mock(return_value=page(PATIENT))
    assert list(client.search("Patient", {})) == [PATIENT]


def test_pages_that_go_in_circles_end(hie: respx.MockRouter, client: Client) -> None:
    hie.post(f"{BASE}/Patient/_search").mock(return_value=page(following=f"{BASE}?page=2"))
    hie.get(f"{BASE}?page=2").mock(return_value=page(following=f"{BASE}?page=3"))
    hie.get(f"{BASE}?page=3").mock(return_value=page(following=f"{BASE}?page=2"))
    with pytest.raises(RemoteError, match="do not come to an end"):
        list(client.search("Patient", {}))
    assert len(hie.calls) == 3


def test_matches_that_no_page_gives_are_missed(hie: respx.MockRouter, client: Client) -> None:
    """Medplum's router was seen to answer with a total of 7, two entries and no next link."""
    entries: list[dict[str, Any]] = [{"resource": {"resourceType": "Patient", "id": "a"}}]
    entries += [{"resource": {"resourceType": "Observation", "id": "o"}, "search": {"mode": "include"}}]
    entries += [{"resource": {"resourceType": "OperationOutcome", "issue": []}}]
    short = {"resourceType": "Bundle", "type": "searchset", "total": 2, "entry": entries}
    hie.post(f"{BASE}/Patient/_search").mock(return_value=httpx.Response(200, json=short))
    with pytest.raises(RemoteError, match=r"has 2 matches, gives 1 of them and no next page"):
        list(client.search("Patient", {}))
    whole = httpx.Response(200, json=short | {"total": 1})
    hie.post(f"{BASE}/Patient/_search").mock(return_value=whole)
    assert [each["id"] for each in client.search("Patient", {})] == ["a", "o"]


def test_pages_without_number_end(hie: respx.MockRouter, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.sync.client.PAGES", 3)
    numbers = iter(range(100))
    hie.route().mock(side_effect=lambda _: page(following=f"{BASE}?page={next(numbers)}"))
    with pytest.raises(RemoteError, match="do not come to an end"):
        list(client.search("Patient", {}))
    assert len(hie.calls) == 4


@pytest.mark.parametrize(
    ("bundle", "error"),
    [
        ({"entry": {}}, RemoteContentError),
        ({"entry": ["MARKED"]}, RemoteContentError),
        ({"entry": [{"fullUrl": "MARKED"}]}, RemoteContentError),
        ({"link": [{"relation": "next"}]}, RemoteContentError),
        ({"entry": [{"resource": OUTCOME}]}, RemoteError),
        ({"resourceType": "Patient"}, RemoteContentError),
    ],
)
def test_a_page_that_cannot_be_trusted_is_refused(
    hie: respx.MockRouter, client: Client, bundle: dict[str, Any], error: type[Exception]
) -> None:
    hie.post(f"{BASE}/Patient/_search").mock(return_value=page(**bundle))
    with pytest.raises(error) as caught:
        list(client.search("Patient", {}))
    assert type(caught.value) is error
    assert "MARKED" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a/b", "..", ".", "_search", "a b", "x" * 65, "a?b", "a\n"])
def test_ids_that_are_none_are_refused(hie: respx.MockRouter, client: Client, key: str) -> None:
    with pytest.raises(UsageError, match=r"^that is no id of a FHIR resource$"):
        client.read("Patient", key)
    with pytest.raises(UsageError, match="no type of a FHIR resource"):
        client.create({"resourceType": key})
    assert len(hie.calls) == 0


def test_the_token_is_sent_as_bearer(hie: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hie.get(f"{BASE}/Patient/p1").mock(return_value=answer(200, PATIENT))
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    with Client(HieSettings(url=BASE, token_file=tmp_path / "token")) as client:
        client.read("Patient", "p1")
    assert sent(hie)[0].headers["authorization"] == "Bearer s3cret"
    monkeypatch.setenv("EQUITY_TEST_TOKEN", "s3cr\u00e9t")
    with pytest.raises(UsageError, match="cannot be sent") as caught:
        Client(HieSettings(url=BASE, token_env="EQUITY_TEST_TOKEN"))
    assert "s3cr" not in str(caught.value)


def test_proxies_of_the_environment_are_for_others_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    real = httpx.Client

    def watched(**options: Any) -> httpx.Client:
        seen.append(options["trust_env"])
        return real(**options)

    monkeypatch.setattr(httpx, "Client", watched)
    for url in (BASE, "http://127.0.0.1:1/fhir", "http://localhost:1", "http://[::1]:1"):
        Client(HieSettings(url=url, token_env="EQUITY_LOGIN")).close()
    assert seen == [True, False, False, False]


def test_nothing_of_a_person_is_in_a_representation() -> None:
    assert repr(Versioned(PATIENT, 'W/"1"', 201)) == "Versioned(Patient, status=201)"
