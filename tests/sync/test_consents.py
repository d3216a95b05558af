"""FHIR Consents at an HIE: a denial is kept back, a narrower one that is not understood keeps back more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from starlette.responses import Response

from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.store import Kept
from fhir_equity.sync.denials import patient_of
from tests.sync.scene import HIE, Json, Scene, Sent, ada, opened, theirs

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RACE = "race_ethnicity"
SOURCE = f"consent:{HIE}"
OPTOUT = {"coding": [{"system": ACT, "code": "OPTOUT"}]}
EVERYTHING = ("", "2026-02-03", "")


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


def serve(scene: Scene, *consents: Json, changed: list[Json] | None = None, **bundle: Any) -> None:
    """The server has these Consents, of which some (default: all) `changed`."""

    def answer(sent: Sent) -> Response | None:
        if not sent.path.startswith("/Consent"):
            return None
        asked = parse_qs(sent.body.decode()).get("patient", [""])[0]
        those = consents if asked or changed is None else changed
        found = [each for each in those if asked in ("", each["patient"]["reference"])]
        page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in found]}
        return Response(orjson.dumps(page | ({} if asked else bundle)), media_type="application/fhir+json")

    scene.wire.before = answer


def refuse(scene: Scene, status: int = 403) -> None:
    """The server does not let Consents be searched."""
    scene.wire.before = lambda sent: Response(status_code=status) if sent.path.startswith("/Consent") else None


def asked_since(scene: Scene) -> list[str]:
    """Since when the changed Consents were asked for; empty for all."""
    forms = [parse_qs(each.body.decode()) for each in scene.wire.sent if each.path.startswith("/Consent")]
    scene.wire.sent.clear()
    return [form.get("_lastUpdated", [""])[0] for form in forms if "patient" not in form]


def kept(scene: Scene, number: str = "M1") -> list[tuple[str, str, str]]:
    """(matter, first day, last day) of what Consents keep back."""
    with scene.workspace() as workspace:
        (person,) = workspace.store.history.find(number)
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
    serve(scene, consent(policyRule=OPTOUT), consent(policyRule={"text": "x"}))
    scene.pull()
    assert kept(scene) == [("", "2026-02-03", "")]


@pytest.mark.parametrize(
    ("provision", "said"),
    [
        ({"period": {"start": "2026-03-01", "end": "2026-12-31"}}, ("", "2026-03-01", "2026-12-31")),
        ({"provision": [{"type": "permit", "securityLabel": [{"system": ACT, "code": "RACE"}]}]}, EVERYTHING),
        ({"type": "permit", "purpose": [{"system": ACT, "code": "TREAT"}]}, EVERYTHING),
    ],
)
def test_a_policy_that_denies_with_a_provision(scene: Scene, provision: Json, said: Any) -> None:
    serve(scene, consent(provision, policyRule=OPTOUT))
    scene.pull()
    assert kept(scene) == [said]


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
        workspace.store.endpoint(HIE).probed("{}")  # as those of before are, and where nobody ever looked
    assert scene.pull().consents_refused
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"consents": false}')
    scene.wire.sent.clear()
    assert not scene.pull().consents_refused
    assert not [each for each in scene.wire.sent if each.path.startswith("/Consent")]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Scene]:
    """Ada is at an HIE that was never asked for anything."""
    with opened(tmp_path) as made:
        made.survey(ada())
        made.put(theirs("Asian", id="ada"))
        yield made


def test_a_denial_of_somebody_who_is_linked_after_the_pull(fresh: Scene) -> None:
    serve(fresh, consent({"type": "deny"}))
    assert fresh.pull().consents == 0
    assert fresh.plan(dry=True).changes == []
    assert kept(fresh) == []  # a rehearsal writes nothing
    serve(fresh, consent({"type": "deny"}), changed=[])
    made = fresh.plan()
    assert (made.changes, made.consents_refused) == ([], False)
    assert set(made.withheld) == {(RACE, "opted_out"), ("language_spoken", "opted_out")}
    assert kept(fresh) == [EVERYTHING]
    assert fresh.apply().statuses == {}
    assert fresh.writes() == []


def test_a_refusal_to_the_plan_that_links_is_made_good_by_the_next_pull(fresh: Scene) -> None:
    serve(fresh, consent({"type": "deny"}), meta={"lastUpdated": "2026-05-01T00:00:00Z"})
    fresh.pull()
    refuse(fresh)
    assert fresh.plan().consents_refused
    serve(fresh, consent({"type": "deny"}), meta={"lastUpdated": "2026-05-01T00:00:00Z"})
    fresh.wire.sent.clear()
    assert fresh.pull().consents == 1
    assert asked_since(fresh) == [""]


def test_a_denial_of_one_topic_keeps_back_that_alone(fresh: Scene) -> None:
    fresh.pull()
    serve(fresh, consent({"type": "deny", "securityLabel": [{"system": ACT, "code": "RACE"}]}))
    (change,) = fresh.plan().changes
    assert [matter for matter, _ in change.matters] == ["language_spoken"]


def test_a_denial_that_is_not_yet_in_force_keeps_nothing_back_today(fresh: Scene) -> None:
    serve(fresh, consent({"type": "deny", "period": {"start": "2027-01-01"}}))
    assert len(fresh.plan().changes) == 1
    assert kept(fresh) == [("", "2027-01-01", "")]


def test_a_denial_goes_with_a_link_that_moves(scene: Scene) -> None:
    old = consent({"type": "deny"})
    serve(scene, old, changed=[])
    other = {"reference": "Patient/new"}
    scene.put(theirs("Asian", id="new", link=[{"other": {"reference": "Patient/ada"}, "type": "replaces"}]))
    assert scene.change("ada", active=False, link=[{"other": other, "type": "replaced-by"}])
    assert scene.plan().changes == []
    assert kept(scene) == [EVERYTHING]
    permit = consent({"type": "permit"}, patient="Patient/new")
    serve(scene, old, permit, changed=[permit])
    scene.pull()
    assert kept(scene) == [EVERYTHING]


def test_a_denial_since_the_plan_stops_the_apply(scene: Scene) -> None:
    serve(scene, consent({"type": "deny"}))
    assert scene.apply(dry=True).statuses == {"stale": 1}
    assert kept(scene) == []
    done = scene.apply()
    assert (done.statuses, done.consents_refused) == ({"stale": 1}, False)
    assert kept(scene) == [EVERYTHING]
    assert scene.writes() == []


def test_a_refusal_is_told_once_and_is_no_reason_to_stop(fresh: Scene) -> None:
    fresh.survey(ada(member_id="M2", first_name="Bea"))
    fresh.put(theirs("Asian", number="M2", name=[{"family": "Ashgrove", "given": ["Bea"]}]))
    refuse(fresh)
    made = fresh.plan()
    assert (len(made.changes), made.consents_refused) == (2, True)
    assert len([each for each in fresh.wire.sent if each.path.startswith("/Consent")]) == 1
    done = fresh.apply()
    assert (done.statuses, done.consents_refused) == ({"verified": 2}, True)


def test_consents_that_were_refused_are_asked_for_again(scene: Scene) -> None:
    refuse(scene)
    assert scene.pull().consents_refused
    serve(scene, consent({"type": "deny"}), meta={"lastUpdated": "2026-05-01T00:00:00Z"}, total=9)
    assert scene.pull().consents_refused  # not all that there are, but those are kept back
    assert kept(scene) == [EVERYTHING]
    serve(scene, meta={"lastUpdated": "2026-05-01T00:00:00Z"})
    assert not scene.pull().consents_refused
    assert asked_since(scene) == ["", "", ""]
    scene.pull()
    assert asked_since(scene) == ["ge2026-04-30T23:55:00+00:00"]  # a little before they were read


def test_the_consents_of_one_patient_that_are_refused_stay_new(scene: Scene) -> None:
    serve(scene, consent({"type": "deny"}), meta={"lastUpdated": "2026-05-01T00:00:00Z"})
    served = scene.wire.before
    scene.wire.before = lambda sent: Response(status_code=403) if b"patient=" in sent.body else served(sent)
    assert scene.pull().consents_refused
    scene.wire.before = served
    assert scene.pull().consents == 1
    assert asked_since(scene) == ["", ""]


@pytest.mark.parametrize(("one", "other"), [("ada", "second"), ("second", "ada")])
def test_two_patients_of_one_person_each_keep_their_word(scene: Scene, one: str, other: str) -> None:
    scene.survey(ada(member_id="M2"))
    scene.put(theirs("Asian", number="M2", id="second"))
    scene.plan()
    with scene.workspace() as workspace:
        merge(workspace, "M1", "M2", reason="one person")
    denial = consent({"type": "deny"}, patient=f"Patient/{one}")
    serve(scene, denial)
    assert scene.pull().consents == 1
    permit = consent({"type": "permit"}, patient=f"Patient/{other}")
    serve(scene, denial, permit, changed=[permit])
    assert scene.pull().consents == 0
    assert kept(scene) == [EVERYTHING]
    later = consent({"type": "deny"}, patient=f"Patient/{other}", dateTime="2026-04-01")
    serve(scene, denial, later, changed=[later])
    scene.pull()
    assert kept(scene) == [EVERYTHING, ("", "2026-04-01", "")]


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("Patient/1", "1"),
        ("Patient/1/_history/2", "1"),
        ("https://hie.example/fhir/Patient/1", "1"),
        ("https://hie.example/fhir/Patient/1/_history/2", "1"),
        ("https://other.example/fhir/Patient/1", ""),
        ("https://hie.example/fhir/other/Patient/1", ""),
        ("Group/1", ""),
        ("Patient/1/Observation/2", ""),
        ("#Patient/1", ""),
        (None, ""),
    ],
)
def test_whose_consent_it_is(reference: Any, key: str) -> None:
    assert patient_of(consent() | {"patient": {"reference": reference}}, "https://hie.example/fhir") == key
    assert patient_of({"resourceType": "Group", "patient": {"reference": "Patient/1"}}, "https://hie.example") == ""


def test_observations_are_asked_for_only_where_a_rule_lets_them_in(scene: Scene) -> None:
    scene.wire.sent.clear()
    scene.pull()
    (asked,) = [parse_qs(each.body.decode())["code"][0] for each in scene.wire.sent if b"code=" in each.body]
    codes = {each.rpartition("|")[2] for each in asked.split(",")}
    assert {"54899-0", "54588-9", "72826-1"} <= codes
    assert not {"76690-7", "76691-5", "90778-2", "76689-9", "46098-0"} & codes


@pytest.mark.parametrize("status", [500, 501])
def test_a_server_that_fails_at_consents_keeps_what_was_known(scene: Scene, status: int) -> None:
    serve(scene, consent({"type": "deny"}))
    scene.pull()
    refuse(scene, status)
    done = scene.pull()
    assert (done.consents, done.consents_refused) == (0, True)
    assert kept(scene) == [EVERYTHING]
    assert scene.plan().changes == []
    scene.wire.sent.clear()
    serve(scene, consent({"type": "deny"}, status="inactive"))
    assert scene.pull().consents == 1
    assert kept(scene) == []


def test_a_server_that_fails_at_the_consents_of_those_who_are_written_to(scene: Scene) -> None:
    scene.plan()
    refuse(scene, 500)
    done = scene.apply()
    assert (done.statuses, done.consents_refused) == ({"verified": 1}, True)


def test_consents_go_with_whom_they_are_about_when_a_merge_is_undone(scene: Scene) -> None:
    scene.survey(ada(member_id="M2"))
    scene.put(theirs("Asian", number="M2", id="twin"))
    scene.plan()
    serve(scene, consent({"type": "deny"}, "Patient/twin"))
    with scene.workspace() as workspace:
        number = merge(workspace, "M1", "M2", reason="the same").joined.merging.id
    scene.pull()
    assert scene.plan().changes == []
    with scene.workspace() as workspace:
        unmerge(workspace, number)
    assert (kept(scene, "M1"), kept(scene, "M2")) == ([], [EVERYTHING])
    made = scene.plan()
    assert [change.resource_id for change in made.changes] == ["ada"]
    assert set(made.withheld) == {(RACE, "opted_out"), ("language_spoken", "opted_out")}
    serve(scene, consent({"type": "deny"}, "Patient/twin", status="inactive"))
    assert scene.pull().consents == 1
    assert {change.resource_id for change in scene.plan().changes} == {"ada", "twin"}
