"""Patients asked for many in one search: only a server that shows that it reads lists is believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteContentError
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.sync.client import Client
from fhir_equity.sync.patients import LIST, Patients
from fhir_equity.sync.replies import found_version, is_same_version
from tests.sync.scene import Json, Scene, Sent, opened, theirs

FHIR = "application/fhir+json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        for number in range(1, 4):
            made.put({**theirs(number=f"M{number}"), "id": f"p{number}"})
        made.wire.sent.clear()
        yield made


@pytest.fixture
def patients(scene: Scene) -> Iterator[Patients]:
    with Client(scene.hie) as client:
        yield Patients(client, [MEMBER_SYSTEM])


def number(*numbers: str) -> list[list[tuple[str, str]]]:
    return [[(MEMBER_SYSTEM, each)] for each in numbers]


def keys(patients: Patients, *numbers: str) -> list[list[str]]:
    return [[p["id"] for p in patients.known_as([(MEMBER_SYSTEM, each)])] for each in numbers]


def lists(scene: Scene) -> list[dict[str, list[str]]]:
    """The values of each search, by parameter."""
    forms = [parse_qs(each.body.decode()) for each in scene.wire.sent if each.path.endswith("/_search")]
    return [{k: v[0].split(",") for k, v in form.items() if k != "_count"} for form in forms]


def test_many_are_found_by_one_search_and_read_by_none(scene: Scene, patients: Patients) -> None:
    patients.look_up([], number("M1", "M2", "M9"))
    assert keys(patients, "M1", "M2", "M9") == [["p1"], ["p2"], []]
    there = patients.read("p1")
    assert there is not None
    assert (there.resource["identifier"][0]["value"], there.etag) == ("M1", 'W/"1"')
    assert lists(scene) == [{"identifier": [f"{MEMBER_SYSTEM}|M{n}" for n in (1, 2, 9)]}]
    assert len(scene.wire.sent) == 1
    assert b"cache-control: no-cache" in scene.wire.sent[0].headers


def test_many_are_read_by_one_search(scene: Scene, patients: Patients) -> None:
    patients.look_up(["p1", "p2", "p7"], [])
    found = [patients.read(key) for key in ("p1", "p2", "p7")]
    assert [there and there.resource["id"] for there in found] == ["p1", "p2", None]
    assert [(each.method, each.path) for each in scene.wire.sent] == [
        ("POST", "/Patient/_search"),
        ("GET", "/Patient/p7"),  # what a list does not find is asked for alone
    ]


def test_what_was_looked_up_before_is_forgotten(scene: Scene, patients: Patients) -> None:
    patients.look_up(["p1", "p2"], [])
    scene.put({**theirs(number="M1"), "id": "p1"})
    patients.look_up([], [])
    there = patients.read("p1")
    assert there is not None
    assert there.etag == 'W/"2"'


def test_the_next_token_is_asked_for_those_whom_the_first_did_not_find(scene: Scene, patients: Patients) -> None:
    elsewhere = ("https://other.example", "M2")
    patients.look_up([], [*number("M1", "M3"), [elsewhere, (MEMBER_SYSTEM, "M2")], [elsewhere]])
    assert [p["id"] for p in patients.known_as([elsewhere, (MEMBER_SYSTEM, "M2")])] == ["p2"]
    assert [each["identifier"] for each in lists(scene)] == [
        [f"{MEMBER_SYSTEM}|M1", f"{MEMBER_SYSTEM}|M3", "https://other.example|M2"],
        [f"{MEMBER_SYSTEM}|M2"],
    ]


def test_nobody_found_by_a_list_is_asked_for_alone_until_the_server_showed_that_it_reads_lists(
    scene: Scene, patients: Patients
) -> None:
    patients.look_up([], number("M8", "M9"))
    assert keys(patients, "M8", "M9") == [[], []]
    assert len(scene.wire.sent) == 3
    patients.look_up([], number("M1", "M9"))  # one found could be all that it looked for
    assert keys(patients, "M1", "M9") == [["p1"], []]
    assert len(scene.wire.sent) == 5
    patients.look_up([], number("M1", "M2"))
    scene.wire.sent.clear()
    patients.look_up([], number("M8", "M9"))
    assert keys(patients, "M8", "M9") == [[], []]
    assert len(scene.wire.sent) == 1


def test_two_who_are_there_are_witnesses(scene: Scene, patients: Patients) -> None:
    patients.look_up(["p1", "p2", "p3"], number("M8", "M9"))
    assert keys(patients, "M8", "M9") == [[], []]
    assert lists(scene)[1] == {"identifier": [f"{MEMBER_SYSTEM}|M{n}" for n in (8, 9, 1, 2)]}
    assert len(scene.wire.sent) == 2
    patients.look_up([], number("M7", "M6"))  # no longer needed
    assert lists(scene)[-1] == {"identifier": [f"{MEMBER_SYSTEM}|M{n}" for n in (7, 6)]}


def shown(scene: Scene, values: Any) -> Any:
    """A server that reads other values than it was given."""

    def change(sent: Sent) -> bytes | None:
        form = parse_qs(sent.body.decode())
        if "identifier" not in form or "," not in form["identifier"][0]:
            return None
        return f"identifier={values(form['identifier'][0].split(','))}".encode()

    scene.wire.before = change
    return change


@pytest.mark.parametrize(
    "reads",
    [
        lambda values: values[0],
        lambda values: "urn:x|" + "-".join(v[-2:] for v in values),
    ],
    ids=["the first value only", "the list as one value"],
)
def test_a_server_that_reads_lists_otherwise_hides_nobody(scene: Scene, patients: Patients, reads: Any) -> None:
    shown(scene, reads)
    patients.look_up(["p1", "p2"], number("M2", "M3", "M9"))
    assert keys(patients, "M2", "M3", "M9") == [["p2"], ["p3"], []]


def test_a_family_that_one_value_finds_shows_nothing(scene: Scene) -> None:
    """Two Patients by one number, one of whom has another number of the list, too: that is the first value only."""
    family = "https://demo-plan.example/subscriber-number"
    for key, member, subscriber in (("p4", "M4", "S1"), ("p5", "M5", "S1"), ("p6", "M6", "S2")):
        known = theirs(number=member)
        known["identifier"].append({"system": family, "value": subscriber})
        scene.put({**known, "id": key})
    shown(scene, lambda values: values[0])
    with Client(scene.hie) as client:
        patients = Patients(client, [MEMBER_SYSTEM, family])
        patients.look_up([], [[(family, "S1")], [(MEMBER_SYSTEM, "M4")], [(family, "S2")]])
        found = [[p["id"] for p in patients.known_as([(family, each)])] for each in ("S1", "S2")]
        patients.look_up([], [[(family, "S1")], [(family, "S2")]])
        again = [p["id"] for p in patients.known_as([(family, "S2")])]
    assert (found, again) == ([["p4", "p5"], ["p6"]], ["p6"])


def test_a_server_that_ignores_the_list_gives_nobody_to_the_wrong_person(scene: Scene, patients: Patients) -> None:
    def everybody(sent: Sent) -> bytes | None:
        return b"_count=50" if b"identifier" in sent.body and b"%2C" in sent.body else None

    scene.wire.before = everybody
    patients.look_up([], number("M1", "M9"))
    assert keys(patients, "M1", "M9") == [["p1"], []]
    assert len(scene.wire.sent) == 2  # M9 alone: some of those who came have none of these numbers


def test_a_server_that_refuses_lists_is_asked_one_by_one(scene: Scene, patients: Patients) -> None:
    def refuse(sent: Sent) -> Response | None:
        outcome = b'{"resourceType": "OperationOutcome"}'
        return Response(outcome, 400, media_type=FHIR) if b"%2C" in sent.body else None

    scene.wire.before = refuse
    patients.look_up(["p1", "p2"], number("M1", "M9"))
    assert keys(patients, "M1", "M9") == [["p1"], []]
    assert patients.read("p2") is not None
    refused = len([each for each in scene.wire.sent if b"%2C" in each.body])
    patients.look_up(["p1", "p2"], number("M1", "M9"))
    assert len([each for each in scene.wire.sent if b"%2C" in each.body]) == refused == 2


def test_what_is_no_fhir_stops(scene: Scene, patients: Patients) -> None:
    scene.wire.before = lambda _: Response("<html/>", 200, media_type="text/html")
    with pytest.raises(RemoteContentError):
        patients.look_up(["p1", "p2"], [])


def test_a_list_has_an_end(scene: Scene, patients: Patients) -> None:
    patients.look_up([f"q{n}" for n in range(LIST)] + ["p1"], [])
    patients.look_up([], number(*(f"N{n}" for n in range(LIST + 1))))
    assert [len(next(iter(each.values()))) for each in lists(scene)] == [LIST, 1, LIST + 1, 2]  # p1 is a witness


def test_one_who_is_out_of_use_is_passed_over_where_there_is_another(scene: Scene, patients: Patients) -> None:
    scene.put({**theirs(number="M1", active=False), "id": "old"})
    scene.put({**theirs(number="M4", active=False), "id": "lone"})
    patients.look_up([], number("M1", "M4", "M2"))
    assert keys(patients, "M1", "M4") == [["p1"], ["lone"]]


@pytest.mark.parametrize(
    ("meta", "etag"),
    [
        ({"versionId": "7"}, 'W/"7"'),
        ({"versionId": "7", "tag": [{"code": "t"}, "x"]}, 'W/"7"'),
        ({"versionId": "7", "tag": [{"code": "SUBSETTED"}]}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_version_that_was_found(meta: Json | None, etag: str) -> None:
    found = found_version({"resourceType": "Patient", "id": "a", "meta": meta})
    assert (found.etag if found else "") == etag


def test_a_patient_that_is_not_whole_is_read(scene: Scene, patients: Patients) -> None:
    def part(sent: Sent) -> Response | None:
        if not sent.path.endswith("/_search"):
            return None
        bare = [{"resource": {"resourceType": "Patient", "id": f"p{n}", "meta": {"versionId": "1"}}} for n in (1, 2)]
        for entry in bare:
            entry["resource"]["meta"]["tag"] = [{"code": "SUBSETTED"}]  # type: ignore[index]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": bare}
        return Response(orjson.dumps(bundle), media_type=FHIR)

    scene.wire.before = part
    patients.look_up(["p1", "p2"], [])
    there = patients.read("p1")
    assert there is not None
    assert there.resource["birthDate"] == "1980-01-02"


def test_a_tag_may_leave_out_that_it_is_weak() -> None:
    assert is_same_version('W/"1"', '"1"')
    assert is_same_version('"1"', '"1"')
    assert not is_same_version('W/"1"', 'W/"2"')
