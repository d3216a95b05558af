"""FHIR Consents at an HIE: a denial is kept back, a narrower one that is not understood keeps back more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from starlette.responses import Response

from fhir_equity.store import Kept
from tests.sync.scene import HIE, Json, Scene, Sent, ada, opened, theirs

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RACE = "race_ethnicity"
SOURCE = f"consent:{HIE}"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Ada is linked, and the server is known to have Consents."""
    with opened(tmp_path) as made:
        made.survey(ada())
        made.put(theirs("Asian", id="ada"))
        made.plan()
        with made.workspace() as workspace:
            workspace.store.endpoint(HIE).probed('{"consents": true}')
        yield made


def consent(provision: Json | None = None, patient: str = "Patient/ada", **more: Any) -> Json:
    made: Json = {"resourceType": "Consent", "id": "c", "status": "active", "dateTime": "2026-02-03T10:00:00Z"}
    made["patient"] = {"reference": patient}
    return made | ({"provision": provision} if provision is not None else {}) | more


def serve(scene: Scene, *consents: Json) -> None:
    """The server has these Consents."""

    def answer(sent: Sent) -> Response | None:
        if not sent.path.startswith("/Consent"):
            return None
        form = parse_qs(sent.body.decode())
        asked = form.get("patient", [""])[0]
        found = [each for each in consents if asked in ("", each["patient"]["reference"])]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in found]}
        return Response(orjson.dumps(bundle), media_type="application/fhir+json")

    scene.wire.before = answer


def kept(scene: Scene) -> list[tuple[str, str, str]]:
    """(matter, first day, last day) of what Consents keep back."""
    with scene.workspace() as workspace:
        (person,) = workspace.store.history.find("M1")
        found = workspace.store.opt_outs.of(person.id)
    assert {(each.recipient, each.source) for each in found} <= {("demo-hie", SOURCE), ("", "member")}
    return sorted((each.matter, each.since, each.until) for each in found if each.source == SOURCE)


def test_a_denial_wins_over_the_rule_and_comes_back_when_it_is_over(scene: Scene) -> None:
    serve(scene, consent({"type": "deny"}))
    assert scene.pull().consents == 1
    assert kept(scene) == [("", "2026-02-03", "")]
    made = scene.plan()
    assert made.changes == []
    assert set(made.withheld) == {(RACE, "opted_out"), ("language_spoken", "opted_out")}
    assert scene.pull().consents == 0
    serve(scene, consent({"type": "deny"}, status="inactive"))
    assert scene.pull().consents == 1
    assert kept(scene) == []
    assert len(scene.plan().changes) == 1


@pytest.mark.parametrize(
    ("provision", "said"),
    [
        ({"type": "permit"}, []),
        ({"type": "deny", "securityLabel": [{"system": ACT, "code": "RACE"}]}, [(RACE, "2026-02-03", "")]),
        ({"type": "deny", "securityLabel": [{"system": ACT, "code": "HIV"}]}, [("", "2026-02-03", "")]),
        ({"type": "deny", "purpose": [{"system": ACT, "code": "HRESCH"}]}, [("", "2026-02-03", "")]),
        (
            {
                "type": "permit",
                "provision": [
                    {"type": "deny", "code": [{"coding": [{"system": "http://loinc.org", "code": "54899-0"}]}]}
                ],
            },
            [("language_spoken", "2026-02-03", "")],
        ),
        (
            {"type": "deny", "period": {"start": "2026-03-01", "end": "2026-04-30T12:00:00Z"}},
            [("", "2026-03-01", "2026-04-30")],
        ),
        ({"type": "deny", "period": {"start": "2026-03-01", "end": "2026"}}, [("", "2026-03-01", "")]),
        ({"type": "deny", "provision": [{"type": "permit"}]}, [("", "2026-02-03", "")]),
        ({"provision": "x"}, []),
    ],
)
def test_what_a_provision_denies(scene: Scene, provision: Json, said: list[Any]) -> None:
    serve(scene, consent(provision))
    scene.pull()
    assert kept(scene) == said


def test_a_policy_that_denies_without_a_provision(scene: Scene) -> None:
    serve(scene, consent(policyRule={"coding": [{"system": ACT, "code": "OPTOUT"}]}), consent(policyRule={"text": "x"}))
    scene.pull()
    assert kept(scene) == [("", "2026-02-03", "")]


def test_several_denials_cover_the_time_of_all(scene: Scene) -> None:
    days = [("2026-03-01", "2026-03-31"), ("2026-02-01", "2026-02-28")]
    serve(scene, *(consent({"type": "deny", "period": {"start": a, "end": b}}) for a, b in days))
    scene.pull()
    assert kept(scene) == [("", "2026-02-01", "2026-03-31")]


def test_what_the_member_said_stays(scene: Scene) -> None:
    scene.opt_out()
    serve(scene, consent({"type": "deny"}), consent({"type": "deny"}, patient="Patient/somebody"))
    scene.pull()
    serve(scene, consent({"type": "deny"}, status="inactive"))
    scene.pull()
    with scene.workspace() as workspace:
        (person,) = workspace.store.history.find("M1")
        assert workspace.store.opt_outs.of(person.id) == [Kept(person.id, "2026-01-01")]


def test_consents_are_asked_for_only_where_the_server_has_them(scene: Scene) -> None:
    scene.pull()  # the sandbox refuses
    assert scene.pull().consents_refused
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed("{}")
    scene.wire.sent.clear()
    assert not scene.pull().consents_refused
    assert not [each for each in scene.wire.sent if each.path.startswith("/Consent")]


def test_observations_are_asked_for_only_where_a_rule_lets_them_in(scene: Scene) -> None:
    scene.wire.sent.clear()
    scene.pull()
    (asked,) = [parse_qs(each.body.decode())["code"][0] for each in scene.wire.sent if b"code=" in each.body]
    codes = {each.rpartition("|")[2] for each in asked.split(",")}
    assert {"54899-0", "54588-9", "72826-1"} <= codes
    assert not {"76690-7", "76691-5", "90778-2", "76689-9", "46098-0"} & codes
