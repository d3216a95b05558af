"""probe: what a server does is found out, also of one that misbehaves, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError, UsageError
from fhir_equity.pipeline.probe import sync_probe
from fhir_equity.sync.client import Client
from fhir_equity.sync.probe import Probed, probe
from fhir_equity.sync.profile import Profile, stored_profile, with_quirks
from fhir_equity.tables import Tables
from tests.sync.scene import HIE, Json, Scene, Sent, opened

FHIR = "application/fhir+json"
QUIRKS = Tables().rows("guides/server_quirks.csv")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path, sandbox=True) as made:
        yield made


def found(scene: Scene, *, write: bool = True) -> Probed:
    with scene.workspace() as workspace:
        done = sync_probe(workspace, HIE, write_canary=write)
        assert stored_profile(workspace.store.endpoint(HIE)) == done.profile
    return done


def test_without_a_canary_nothing_is_written(scene: Scene) -> None:
    done = found(scene, write=False)
    assert [each.method for each in scene.wire.sent] == ["GET"]
    assert (done.profile.software, done.profile.fhir, done.profile.wrote) == ("fhir-equity sandbox", "4.0.1", False)
    assert (done.profile.if_match, done.profile.patch, done.profile.rollback) == (None, None, None)
    assert [done.profile.may_patch, done.profile.may_bundle, done.profile.loses_updates] == [False, False, False]
    assert done.profile.consents is False


def test_what_the_sandbox_does(scene: Scene) -> None:
    done = found(scene)
    profile = done.profile
    assert (profile.if_match, profile.conditional_create, profile.rollback, profile.paging) == (True, True, True, True)
    assert (profile.conditional_if_match, profile.patch, profile.match) == (None, False, False)
    assert (profile.entries, profile.exports, profile.retry_after) == (200, (), None)
    assert profile.may_bundle
    assert not profile.may_patch
    assert done.left == 0
    assert scene.everybody() == []


def test_a_canary_is_for_test_endpoints(scene: Scene) -> None:
    scene.set(sandbox=False)
    with pytest.raises(UsageError, match=r"\[hie\.hx\] does not say sandbox"):
        found(scene)
    assert scene.wire.sent == []


def test_a_server_that_does_not_look_at_if_match(scene: Scene) -> None:
    scene.wire.ignored = b"if-match"
    done = found(scene)
    assert (done.profile.if_match, done.profile.loses_updates) == (False, True)
    assert scene.everybody() == []


def test_a_server_that_makes_two(scene: Scene) -> None:
    scene.wire.ignored = b"if-none-exist"
    done = found(scene)
    assert done.profile.conditional_create is False
    assert (done.left, scene.everybody()) == (0, [])


def test_a_server_that_keeps_what_a_failed_transaction_made(scene: Scene) -> None:
    def before(request: Sent) -> Response | None:
        if request.path == "" and b'"transaction"' in request.body:
            scene.put(json.loads(request.body)["entry"][0]["resource"])
            return Response(b'{"resourceType":"OperationOutcome"}', 412, media_type=FHIR)
        return None

    scene.wire.before = before
    done = found(scene)
    assert (done.profile.rollback, done.profile.may_bundle) == (False, False)
    assert scene.everybody() == []


@pytest.mark.parametrize(("whole", "works"), [(True, True), (False, False)])
def test_patches(scene: Scene, whole: bool, works: bool) -> None:
    """A server that patches: one that takes the extension whole, one that keeps its last part only."""

    def before(request: Sent) -> Response | None:
        if request.method != "PATCH":
            return None
        key, operations = request.path.rpartition("/")[2], json.loads(request.body)
        there = scene.get(key)
        wrong = operations[0]["value"] != there["active"]
        tag = f'W/"{there["meta"]["versionId"]}"'.encode()
        if wrong or b"if-match: " + tag not in request.headers:
            return Response(status_code=422 if wrong else 412)
        value = dict(operations[1]["value"])
        value["extension"] = value["extension"] if whole else value["extension"][-1:]
        scene.put(there | {"extension": [*there["extension"], value]})
        return Response(json.dumps(scene.get(key)), 200, media_type=FHIR)

    scene.wire.before = before
    done = found(scene)
    assert (done.profile.patch, done.profile.may_patch) == (works, works)


def test_what_cannot_be_deleted_is_told(scene: Scene) -> None:
    scene.wire.before = lambda sent: Response(status_code=405) if sent.method == "DELETE" else None
    done = found(scene)
    assert done.left == len(scene.everybody()) > 0


def test_canaries_are_deleted_when_the_probe_breaks_off(scene: Scene) -> None:
    def before(request: Sent) -> Response | None:
        return Response(b"<html>", 200, media_type="text/html") if b"_count=1&" in request.body else None

    scene.wire.before = before
    with pytest.raises(RemoteError):
        found(scene)
    assert scene.everybody() == []


def test_a_server_that_says_nothing_of_itself(scene: Scene) -> None:
    """What it does can be found out all the same; what only its statement tells is not known."""
    other = b'{"resourceType":"Bundle","type":"searchset"}'
    scene.wire.before = lambda sent: Response(other, media_type=FHIR) if sent.path == "/metadata" else None
    with pytest.raises(RemoteError, match="something else than CapabilityStatement"):
        found(scene, write=False)
    profile = found(scene).profile
    assert (profile.if_match, profile.rollback, profile.entries) == (True, True, 200)
    assert (profile.software, profile.fhir, profile.match, profile.consents) == ("", "", None, None)
    assert scene.everybody() == []


def test_a_server_without_a_next_page(scene: Scene) -> None:
    def before(sent: Sent) -> Response | None:
        if b"_count=1&" not in sent.body:
            return None
        page = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 2,
            "entry": [{"resource": scene.everybody()[0]}],
        }
        return Response(json.dumps(page), media_type=FHIR)

    scene.wire.before = before
    assert found(scene).profile.paging is False
    assert scene.everybody() == []


def statement(**more: Any) -> Json:
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", **more}


def declared(scene: Scene, document: Json) -> Profile:
    scene.wire.before = lambda _: Response(json.dumps(document), media_type=FHIR)
    with Client(scene.hie) as client:
        return probe(client, QUIRKS, write=False).profile


def test_what_is_declared(scene: Scene) -> None:
    patient = {"type": "Patient", "operation": [{"name": "$match"}, {"name": "export"}]}
    group = {"type": "Group", "operation": [{"name": "group-export"}]}
    rest = [{"operation": [{"name": "export"}], "resource": [patient, group, {"type": "Device"}, 7]}]
    profile = declared(scene, statement(rest=rest, software={"name": "HAPI FHIR Server\x1b", "version": "8.10.0"}))
    assert (profile.match, profile.exports) == (True, ("system", "patient", "group"))
    assert (profile.software, profile.version) == ("HAPI FHIR Server", "8.10.0")
    assert (profile.patch, profile.quirks) == (False, ("hapi-fhir-nested-patch",))
    bare = declared(scene, statement(rest="x", software=7))
    assert (bare.software, bare.version, bare.fhir, bare.match, bare.exports) == ("", "", "4.0.1", False, ())
    with pytest.raises(RemoteError, match="another version of FHIR"):
        declared(scene, statement(fhirVersion="5.0.0"))


def quirk(**more: str) -> dict[str, str]:
    row = {"id": "q", "software": "Acme", "from": "", "below": "", "trait": "if_match", "works": "no"}
    return row | more


@pytest.mark.parametrize(
    ("version", "row", "applies"),
    [
        ("3.2", quirk(), True),
        ("3.2", quirk(software="acme fhir"), True),
        ("3.2", quirk(software="Other"), False),
        ("3.2", quirk(below="3.2"), False),
        ("3.1.9", quirk(below="3.2"), True),
        ("3.10", quirk(below="3.9"), False),
        ("3.2", quirk(**{"from": "3.2"}), True),
        ("3.1", quirk(**{"from": "3.2"}), False),
        ("", quirk(below="3.2"), True),
        ("3.2", quirk(trait="probed_at"), False),
    ],
)
def test_which_quirks_apply(version: str, row: dict[str, str], applies: bool) -> None:
    profile = with_quirks(Profile(software="ACME FHIR", version=version), [row])
    assert (profile.if_match, profile.quirks) == ((False, ("q",)) if applies else (None, ()))


def test_a_canary_knows_better_than_a_quirk() -> None:
    seen = Profile(software="Acme", wrote=True, if_match=True)
    assert with_quirks(seen, [quirk(), quirk(trait="patch", id="p")]) == Profile(
        software="Acme", wrote=True, if_match=True, patch=False, quirks=("p",)
    )
