"""HTTP around the interactions: metadata, media types, tokens, faults, privacy of the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from fhir_equity.errors import UsageError
from fhir_equity.sandbox import create_app
from fhir_equity.sandbox.faults import Faults

PATIENT = {"resourceType": "Patient", "identifier": [{"value": "A1"}]}


def test_metadata(fhir: Any) -> None:
    response = fhir("GET", "metadata")
    statement = response.json()
    CapabilityStatement.model_validate(statement)
    assert response.status_code == 200
    assert (statement["fhirVersion"], statement["format"]) == ("4.0.1", ["json"])
    resources = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert list(resources) == ["Patient", "Observation", "Provenance"]
    assert resources["Patient"]["versioning"] == "versioned-update"
    assert resources["Patient"]["conditionalCreate"] is True
    names = {kind: [one["name"] for one in item["searchParam"]] for kind, item in resources.items()}
    assert names["Patient"] == ["identifier", "_id", "_lastUpdated", "_tag"]
    assert names["Observation"] == ["identifier", "_id", "_lastUpdated", "_tag", "code", "patient", "subject"]
    assert names["Provenance"] == ["_id", "_lastUpdated", "_tag", "target"]
    assert [one["code"] for one in statement["rest"][0]["interaction"]] == ["transaction", "batch"]


@pytest.mark.parametrize(
    ("method", "address", "status", "allow"),
    [
        ("PATCH", "Patient/p1", 405, "GET, PUT, DELETE"),
        ("POST", "Patient/p1", 405, "GET, PUT, DELETE"),
        ("PUT", "Patient", 405, "GET, POST"),
        ("GET", "Patient/_search", 405, "POST"),
        ("DELETE", "Patient/p1/_history/1", 405, "GET"),
        ("POST", "metadata", 405, "GET"),
        ("GET", "", 405, "POST"),
        ("GET", "Medication", 404, None),
        ("GET", "Patient/a_b", 404, None),
        ("GET", "Patient/p1/_history", 404, None),
        ("GET", "http://127.0.0.1/other", 404, None),
        ("TRACE", "Patient", 405, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ],
)
def test_addresses_and_methods(fhir: Any, method: str, address: str, status: int, allow: str | None) -> None:
    response = fhir(method, address, PATIENT if method in ("POST", "PUT", "PATCH") else None)
    assert response.status_code == status
    assert response.json()["resourceType"] == "OperationOutcome"
    if method != "TRACE":
        assert response.headers.get("allow") == allow


@pytest.mark.parametrize("kind", ["application/fhir+xml", "text/plain", ""])
def test_media_types_of_bodies(fhir: Any, kind: str) -> None:
    assert fhir("POST", "Patient", content=b"{}", headers={"Content-Type": kind}).status_code == 415
    assert fhir("POST", "Patient/_search", content=b"_id=p", headers={"Content-Type": kind}).status_code == 415


def test_json_and_forms_are_read_strictly(fhir: Any) -> None:
    json = {"Content-Type": "application/fhir+json; charset=utf-8"}
    assert fhir("POST", "Patient", content=b'{"resourceType":"Patient"}', headers=json).status_code == 201
    assert fhir("POST", "Patient", content=b"{", headers=json).status_code == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"identifier=%FF", b"identifier=\xff"):
        assert fhir("POST", "Patient/_search", content=content, headers=form).status_code == 400
    assert fhir("POST", "Patient/_search").status_code == 200


def test_only_json_is_answered(fhir: Any) -> None:
    assert fhir("GET", "Patient", headers={"Accept": "application/fhir+xml"}).status_code == 406
    assert fhir("GET", "Patient?_format=xml").status_code == 406
    assert fhir("GET", "Patient", headers={"Accept": "application/fhir+json"}).status_code == 200


def test_a_foreign_name_for_this_machine_is_refused(fhir: Any) -> None:
    assert fhir("GET", "http://rebound.example/fhir/metadata").status_code == 400
    assert fhir("GET", "http://localhost/fhir/metadata").status_code == 200


def test_token(make: Callable[..., Any]) -> None:
    fhir = make(token="s3cret")
    refused = fhir("GET", "Patient")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json()["issue"][0]["code"] == "login"
    for words in ("Bearer wrong", "s3cret", "Bearer \u00e9"):
        assert fhir("GET", "Patient", headers={"Authorization": words.encode()}).status_code == 401
    assert fhir("GET", "Patient", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert fhir("GET", "metadata").status_code == 200


def test_our_own_failure_says_nothing(fhir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("MARKED")

    monkeypatch.setattr("fhir_equity.sandbox.app.perform", broken)
    transport = httpx.ASGITransport(fhir.app, raise_app_exceptions=False)
    monkeypatch.setattr("httpx.ASGITransport", lambda _app: transport)
    response = fhir("GET", "Patient")
    assert (response.status_code, response.json()["issue"][0]["code"]) == (500, "exception")
    assert "MARKED" not in response.text


def test_the_file_is_private_and_kept(make: Callable[..., Any], tmp_path: Path) -> None:
    make()("PUT", "Patient/p1", PATIENT | {"id": "p1"})
    assert (tmp_path / "sandbox.db").stat().st_mode & 0o777 == 0o600
    assert make()("GET", "Patient/p1").status_code == 200


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"not a database, and long enough to be read as one " * 50)
    with pytest.raises(UsageError, match="not a SQLite file"):
        create_app(other)
    with pytest.raises(UsageError, match="cannot be made: No such file"):
        create_app(tmp_path / "none" / "sandbox.db")


def test_faults_come_before_anything_happens(make: Callable[..., Any]) -> None:
    for kind in ("429", "503"):
        response = make(faults=f"{kind}:1")("POST", "Patient", PATIENT)
        assert response.status_code == int(kind)
        assert response.headers["retry-after"] in ("0", "1")
    assert make()("GET", "Patient").json()["total"] == 0


def test_a_lost_answer_leaves_the_write(make: Callable[..., Any]) -> None:
    fhir = make(faults="lost:1")
    response = fhir("POST", "Patient", PATIENT)
    assert (response.status_code, "retry-after" in response.headers) == (503, False)
    assert fhir.form("Patient", identifier="A1").json()["total"] == 1
    assert fhir("GET", "Patient").json()["total"] == 1


def test_what_else_comes_before_anything_happens(make: Callable[..., Any]) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    late = make(faults="503-date:1")("POST", "Patient", PATIENT)
    moment = parsedate_to_datetime(late.headers["retry-after"])
    assert late.status_code == 503
    assert before <= moment <= datetime.now(UTC) + timedelta(seconds=1)
    ended = make(faults="401:1")("POST", "Patient", PATIENT)
    assert (ended.status_code, ended.headers["www-authenticate"]) == (401, "Bearer")
    page = make(faults="html:1")("POST", "Patient", PATIENT)
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert make()("GET", "Patient").json()["total"] == 0


def test_somebody_else_is_faster(make: Callable[..., Any]) -> None:
    made = make()("POST", "Patient", PATIENT)
    key, tag = made.json()["id"], made.headers["etag"]
    fhir = make(faults="stale:1")
    assert fhir("PUT", f"Patient/{key}", PATIENT | {"id": key}, headers={"If-Match": tag}).status_code == 412
    assert fhir("GET", f"Patient/{key}").json()["meta"]["versionId"] == "2"
    assert fhir("PUT", "Patient/new", PATIENT | {"id": "new"}).status_code == 201


def test_a_late_answer_is_whole(make: Callable[..., Any]) -> None:
    fhir = make(faults="slow:1,seconds=0")
    assert fhir("POST", "Patient", PATIENT).status_code == 201
    assert fhir("GET", "Patient").json()["total"] == 1


def test_faults_are_repeatable_and_have_their_share() -> None:
    specification = "429:0.2, 503:0.1,drop:0.05,lost:0.1,seed=7"
    first, second = (Faults(specification) for _ in range(2))
    drawn = [first.draw(write=True) for _ in range(4000)]
    assert drawn == [second.draw(write=True) for _ in range(4000)]
    kinds = [fault.kind if fault else "none" for fault in drawn]
    for kind, share in {"429": 0.2, "503": 0.1, "drop": 0.05, "lost": 0.1, "none": 0.55}.items():
        assert abs(kinds.count(kind) / 4000 - share) < 0.03, kind
    assert {fault.retry_after for fault in drawn if fault} == {0, 1}
    other = Faults(specification.replace("7", "8"))
    assert drawn != [other.draw(write=True) for _ in range(4000)]
    assert all(fault is None or fault.kind != "lost" for fault in (first.draw(write=False) for _ in range(200)))
    assert Faults().draw(write=True) is None


@pytest.mark.parametrize(
    "words", ["418:0.1", "503", "503:x", "503:-0.1", "503:1.1", "503:nan", "429:0.6,503:0.6", "seed=x", "seconds=x"]
)
def test_faults_that_make_no_sense_are_refused(words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        create_app(tmp_path / "sandbox.db", faults=words)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from fhir_equity import sandbox\n"
        "from fhir_equity.errors import UsageError\n"
        "try:\n"
        "    sandbox.serve('unused.db')\n"
        "except UsageError as error:\n"
        "    assert 'install fhir-equity[sandbox]' in str(error)\n"
        "    assert error.__cause__ is None\n"
        "else:\n"
        "    raise SystemExit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_package_loads_no_server() -> None:
    program = "import sys, fhir_equity.sandbox; assert not {'starlette', 'uvicorn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
