"""Search by GET and POST, and paging."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.sandbox.records import instant
from fhir_equity.sandbox.search import _split

ONE, TWO = "https://example.org/one", "https://example.org/two"


def put(fhir: Any, key: str, *identifiers: tuple[str, str]) -> dict[str, Any]:
    listed = [{"system": system, "value": value} if system else {"value": value} for system, value in identifiers]
    body = {"resourceType": "Patient", "id": key, "identifier": listed}
    made: dict[str, Any] = fhir("PUT", f"Patient/{key}", body).json()
    return made


def ids(response: Any) -> list[str]:
    assert response.status_code == 200
    bundle = response.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    found = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert bundle["total"] >= len(found)
    return found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("A", ["p1", "p2"]),
        (f"{ONE}|A", ["p1"]),
        (f"{TWO}|A", ["p2"]),
        (f"{ONE}|", ["p1", "p3"]),
        ("|A", []),
        ("|C", ["p4"]),
        ("C", ["p4"]),
        ("A,C", ["p1", "p2", "p4"]),
        (f"{ONE}|A,{TWO}|A", ["p1", "p2"]),
        ("B\\,\\|\\\\$", ["p3"]),
        ("Z", []),
    ],
)
def test_identifier(fhir: Any, value: str, found: list[str]) -> None:
    put(fhir, "p1", (ONE, "A"))
    put(fhir, "p2", (TWO, "A"))
    put(fhir, "p3", (ONE, "B,|\\$"))
    put(fhir, "p4", ("", "C"))
    assert ids(fhir.form("Patient", identifier=value)) == found
    assert ids(fhir("GET", "Patient", params={"identifier": value})) == found


def test_an_identifier_that_was_taken_away_is_not_found(fhir: Any) -> None:
    put(fhir, "p1", (ONE, "A"))
    put(fhir, "p1", (ONE, "B"))
    assert ids(fhir.form("Patient", identifier="A")) == []
    assert ids(fhir.form("Patient", identifier="B")) == ["p1"]
    assert ids(fhir.form("Observation", identifier="B")) == []


def test_repeated_parameters_all_hold(fhir: Any) -> None:
    put(fhir, "p1", (ONE, "A"), (TWO, "B"))
    put(fhir, "p2", (ONE, "A"))
    assert ids(fhir("GET", f"Patient?identifier={ONE}|A&identifier={TWO}|B")) == ["p1"]
    assert ids(fhir("POST", "Patient/_search?identifier=A", data={"_id": "p2"})) == ["p2"]
    assert ids(fhir("GET", "Patient?_id=p1,p2&_sort=_lastUpdated&_format=json")) == ["p1", "p2"]


@pytest.mark.parametrize("name", ["patient", "subject"])
@pytest.mark.parametrize("value", ["p1", "Patient/p1", "http://127.0.0.1/fhir/Patient/p1"])
def test_observations_of_a_patient(fhir: Any, name: str, value: str) -> None:
    for key, subject in (("o1", "Patient/p1"), ("o2", "http://127.0.0.1/fhir/Patient/p1"), ("o3", "Patient/p11")):
        body = {"resourceType": "Observation", "id": key, "status": "final", "code": {"text": "invented"}}
        fhir("PUT", f"Observation/{key}", body | {"subject": {"reference": subject}})
    assert ids(fhir.form("Observation", **{name: value})) == ["o1", "o2"]


def test_last_updated(fhir: Any) -> None:
    stamps = [put(fhir, key)["meta"]["lastUpdated"] for key in ("p1", "p2", "p3")]
    for prefix, found in {
        "gt": ["p3"],
        "ge": ["p2", "p3"],
        "lt": ["p1"],
        "le": ["p1", "p2"],
        "eq": ["p2"],
        "": ["p2"],
    }.items():
        assert ids(fhir.form("Patient", _lastUpdated=prefix + stamps[1])) == found
    moved = datetime.fromisoformat(stamps[1]).astimezone(tz=None).isoformat(timespec="milliseconds")
    assert ids(fhir.form("Patient", _lastUpdated=moved)) == ["p2"]
    day = datetime.fromisoformat(stamps[0]).date()
    later = (day + timedelta(days=2)).isoformat()
    for value, count in {f"ge{day}": 3, f"lt{day}": 0, f"gt{later}": 0, f"le{later}": 3, f"eq{later}": 0}.items():
        assert len(ids(fhir.form("Patient", _lastUpdated=value))) == count, value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2024-03-01", [1, 2, 3]),
        ("gt2024-03-01", []),
        ("lt2024-03-01", [0]),
        ("2024-03-01T10:00Z", [1, 2]),
        ("2024-03-01T10:00:00Z", [1, 2]),
        ("gt2024-03-01T10:00:00Z", [3]),
        ("le2024-03-01T10:00:00Z", [0, 1, 2]),
        ("2024-03-01T11:00:00.000+01:00", [1]),
        ("2024-03-01T10:00:00.1Z", []),
        ("2024-03-01T10:00:00.9Z", [2]),
        ("ge2024-03-01T10:00:00.000001Z", [2, 3]),
    ],
)
def test_a_date_stands_for_its_whole_range(
    fhir: Any, value: str, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 2024-02-29 23:59:59.999, 2024-03-01 10:00:00.000, 10:00:00.999 and 23:59:59.999
    moments = [1709251199_999, 1709287200_000, 1709287200_999, 1709337599_999]
    clock = iter(moment * 1_000_000 for moment in moments)
    monkeypatch.setattr("fhir_equity.sandbox.records.time.time_ns", lambda: next(clock))
    assert [put(fhir, f"p{n}")["meta"]["lastUpdated"] for n in range(4)] == list(map(instant, moments))
    monkeypatch.undo()
    assert ids(fhir.form("Patient", _lastUpdated=value)) == [f"p{n}" for n in found]


@pytest.mark.parametrize(
    "query",
    [
        "name=x",
        "identifier:of-type=x",
        "patient=p1",
        "identifier=",
        "identifier=a,",
        "identifier=|",
        "identifier=a|b|c",
        "_lastUpdated=2024",
        "_lastUpdated=ne2024-01-01",
        "_lastUpdated=2024-02-30",
        "_lastUpdated=2024-01-01T10:00:00",
        "_count=x",
        "_count=-1",
        "_sort=_id",
    ],
)
def test_what_is_not_understood_is_refused(fhir: Any, query: str) -> None:
    response = fhir("GET", f"Patient?{query}")
    assert response.status_code == 400
    assert response.json()["resourceType"] == "OperationOutcome"


def test_pages_are_complete_and_carry_no_identifier(fhir: Any) -> None:
    for n in range(7):
        put(fhir, f"p{n}", (ONE, "SECRET"))
    put(fhir, "other", (ONE, "x"))
    response = fhir.form("Patient", identifier=f"{ONE}|SECRET", _count="3")
    pages = [ids(response)]
    while True:
        bundle = response.json()
        assert bundle["total"] == 7
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert "SECRET" not in str(links)
        assert links["self"] == "http://127.0.0.1/fhir/Patient"
        if "next" not in links:
            break
        assert urlsplit(links["next"]).query.startswith("_page=")
        response = fhir("GET", links["next"])
        pages.append(ids(response))
    assert pages == [["p0", "p1", "p2"], ["p3", "p4", "p5"], ["p6"]]


def test_what_changes_between_pages_comes_again_at_the_end(fhir: Any) -> None:
    for n in range(4):
        put(fhir, f"p{n}")
    first = fhir("GET", "Patient?_count=2").json()
    put(fhir, "p0")
    put(fhir, "p3")
    second = fhir("GET", first["link"][1]["url"])
    assert ids(second) == ["p2", "p0"]
    assert ids(fhir("GET", second.json()["link"][1]["url"])) == ["p3"]


def test_a_full_last_page_has_no_next_link(fhir: Any) -> None:
    for n in range(2):
        put(fhir, f"p{n}")
    assert [link["relation"] for link in fhir("GET", "Patient?_count=2").json()["link"]] == ["self"]


def test_count_zero_gives_the_total_only(fhir: Any) -> None:
    put(fhir, "p1")
    bundle = fhir("GET", "Patient?_count=0").json()
    assert (bundle["total"], "entry" in bundle, len(bundle["link"])) == (1, False, 1)


def test_an_unknown_page_is_gone(fhir: Any) -> None:
    assert fhir("GET", "Patient?_page=nothing").status_code == 410


@given(st.lists(st.text(alphabet="ab,|\\$", min_size=1), min_size=1))
def test_splitting_undoes_escaping(parts: list[str]) -> None:
    escaped = [part.replace("\\", "\\\\").replace(",", "\\,") for part in parts]
    assert _split(",".join(escaped), ",") == escaped


def test_a_provenance_is_found_by_its_target_and_any_resource_by_its_tag(fhir: Any) -> None:
    tag = {"system": "urn:ietf:rfc:3986", "code": "urn:uuid:1"}
    for key, patient in (("one", "p1"), ("two", "p2")):
        meta = {"tag": [tag | {"code": f"urn:uuid:{key}"}]}
        targets = [{"reference": f"Patient/{patient}"}]
        agent = [{"who": {"display": "A plan"}}]
        body = {"resourceType": "Provenance", "id": key, "meta": meta, "target": targets, "agent": agent}
        assert fhir("PUT", f"Provenance/{key}", body).status_code == 422
        assert fhir("PUT", f"Provenance/{key}", {**body, "recorded": "2026-01-01T00:00:00Z"}).status_code == 201
    assert ids(fhir("GET", "Provenance?target=Patient/p2")) == ["two"]
    assert ids(fhir("GET", "Provenance?_tag=urn:ietf:rfc:3986|urn:uuid:one")) == ["one"]
    assert ids(fhir("GET", "Provenance?_tag=urn:uuid:two")) == ["two"]
    assert ids(fhir("GET", "Provenance?_tag=urn:other|urn:uuid:two")) == []
    assert fhir("GET", "Provenance?_tag=a|b|c").status_code == 400
