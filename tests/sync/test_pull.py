"""pull: the HIE's answers about our members, with their origin; nobody else, and nothing of our own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError
from fhir_equity.model import Member
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.split import split
from fhir_equity.store import Which
from fhir_equity.sync.pull import later
from tests.sync.scene import HIE, Json, Scene, Sent, ada, enrolled, omb, opened, theirs

RACE = "race_ethnicity"
FHIR = "application/fhir+json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def cursor(scene: Scene) -> str:
    with scene.workspace() as workspace:
        return workspace.store.hie(HIE).since()


def answers(scene: Scene, *bodies: Any, moment: str = "") -> None:
    """The HIE answers every search of Patients with these resources."""
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": body} for body in bodies]}
    bundle |= {"meta": {"lastUpdated": moment}} if moment else {}
    told = Response(orjson.dumps(bundle), media_type=FHIR)
    scene.wire.before = lambda sent: told if sent.path.startswith("/Patient/_search") else None


def asked(scene: Scene, kind: str = "Patient") -> list[dict[str, list[str]]]:
    """The searches of one type of resource so far."""
    return [parse_qs(each.body.decode()) for each in scene.wire.sent if each.path == f"/{kind}/_search"]


def test_answers_come_with_their_origin(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))
    scene.put(theirs("Asian", language="es", gender="female"))
    done = scene.pull()
    pulled = done.pulled
    assert (pulled.patients, pulled.members, pulled.echoes, done.new_answers) == (1, 1, 0, 2)
    assert pulled.topics == {"race": 1, "language_spoken": 1}
    hers = [each for each in scene.origins() if each[0] in (RACE, "language_spoken") and each[1] == HIE]
    assert hers == [("language_spoken", HIE, "hie", "unstated"), (RACE, HIE, "hie", "unstated")]
    with scene.workspace() as workspace:
        [person] = workspace.store.people
        resolved = workspace.resolutions(person.member.partner, [event for _, event in person.events])
    winner = resolved[RACE].winner
    assert winner is not None
    assert winner.origin.method == "self"  # hers wins over what the HIE passes on
    assert resolved["language_spoken"].meanings[0].concepts[0].coding.code == "es"


def test_what_the_sheet_of_the_hie_says(scene: Scene) -> None:
    scene.set(partner="state-exchange")
    scene.survey(ada())
    scene.put(theirs("Asian"))
    scene.pull()
    assert (RACE, "state-exchange", "hie", "unstated") in scene.origins()
    scene.set(partner="")
    scene.attest(collector="provider", method="relayed")
    scene.put(theirs("Asian", number="M2"))
    scene.survey(ada(member_id="M2"))
    scene.pull()
    assert (RACE, HIE, "provider", "relayed") in scene.origins()


def test_registration_is_not_taken_over(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian", gender="other", address=[{"city": "Elsewhere"}], identifier=_both()))
    assert scene.pull().new_answers == 1
    with scene.workspace() as workspace:
        [person] = workspace.store.people
    assert not [matter for matter, _ in person.events if matter == "sex"]
    assert person.member.address.city == ""
    assert [each.value for each in person.member.identifiers] == ["M1"]


@pytest.mark.parametrize(("into", "other"), [("M1", "M2"), ("M2", "M1")])
def test_what_is_told_of_a_merged_member_is_theirs_when_that_is_undone(scene: Scene, into: str, other: str) -> None:
    scene.survey(ada(language_spoken=""))
    scene.survey(ada(member_id="M2", birth_date="1980-02", language_spoken=""))
    scene.put(theirs("Asian", id="twin", language="es"))
    scene.plan()
    before = members_of(scene)
    with scene.workspace() as workspace:
        number = merge(workspace, into, other, reason="one person").joined.merging.id
    assert scene.pull().new_answers == 2
    with scene.workspace() as workspace:
        unmerge(workspace, number)
        told = {p.member.key: {m for m, e in p.events if e.origin.partner == HIE} for p in workspace.store.people}
    assert told == {"M1": {RACE, "language_spoken"}, "M2": set()}
    assert members_of(scene) == before


def members_of(scene: Scene) -> list[Member]:
    with scene.workspace() as workspace:
        return [person.member for person in workspace.store.people]


def _both() -> list[Json]:
    return [{"system": MEMBER_SYSTEM, "value": "M1"}, {"system": "https://hie.example/other", "value": "X"}]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("into", ["apart", "bea"])
def test_what_is_told_of_who_was_split_off_without_a_name_is_not_the_other_ones(
    scene: Scene, into: str, linked: bool
) -> None:
    scene.survey(ada(language_spoken=""))
    scene.survey(ada(race_ethnicity="", survey_date="2026-05-20"))
    scene.survey(ada(member_id="M2", first_name="Bea", race_ethnicity="", language_spoken="French"))
    with scene.workspace() as workspace:
        split(workspace, "M1", Which(runs=(2,)), reason="two people of one number")
        ours, bea, apart = (person.pseudonym for person in workspace.store.people)
        merge(workspace, *((apart, bea) if into == "apart" else (bea, apart)), reason="one person")
    scene.put(theirs(number="M2", id="b", name=[{"family": "Ashgrove", "given": ["Bea"]}]))
    if linked:
        scene.plan()
        scene.apply()
    scene.change("b", extension=[omb("race", "Black or African American")])
    assert scene.pull().new_answers == 1
    with scene.workspace() as workspace:
        told = {p.pseudonym: [m for m, e in p.events if e.origin.partner == HIE] for p in workspace.store.people}
    assert told == {ours: [], (apart if into == "apart" else bea): [RACE]}


def test_only_what_changed_since(scene: Scene) -> None:
    scene.set(overlap=3600)
    scene.survey(ada(), ada(member_id="M2"))
    scene.put(theirs("Asian"))
    assert cursor(scene) == ""
    begun = datetime.now(UTC).replace(microsecond=0)
    scene.pull()
    assert asked(scene)[0] == {"_count": ["100"]}
    moment = datetime.fromisoformat(cursor(scene))
    # By the server's clock, when it began to answer; a busy server writes a Date that is some seconds old.
    assert begun - timedelta(seconds=60) <= moment <= datetime.now(UTC)
    scene.put(theirs("White", number="M2"))
    done = scene.pull()
    hour_before = (moment - timedelta(hours=1)).isoformat()
    assert asked(scene)[-1]["_lastUpdated"] == [f"ge{hour_before}"]
    assert (done.pulled.patients, done.new_answers) == (2, 1)  # what was pulled in the last hour comes again


def test_pulled_twice_changes_nothing(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian", language="fr"))
    scene.pull()
    before = scene.origins()
    assert scene.pull().new_answers == 0
    with scene.workspace() as workspace:
        workspace.store.hie(HIE).pulled("")
    scene.as_of = "2026-07-01"
    assert scene.pull().new_answers == 0
    assert scene.origins() == before


def test_echoes_are_left_out(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.apply()
    done = scene.pull()
    assert (done.pulled.echoes, done.pulled.members, done.new_answers) == (2, 0, 0)
    assert {partner for _, partner, _, _ in scene.origins()} == {"demo-plan"}
    scene.put({**scene.get(key), "extension": [omb("race", "White", "Asian")]})
    done = scene.pull()
    assert (done.pulled.echoes, done.new_answers) == (1, 1)


def test_our_word_that_was_not_kept_whole_is_an_echo(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Korean", language_spoken=""))
    scene.put(theirs())
    scene.plan()
    kept = {b"2040-4": b"2028-9", b"Korean": b"Asian"}  # the server knows the categories only

    def rolled_up(request: Sent) -> bytes | None:
        body = request.body
        for word, less in kept.items() if request.method == "PUT" else ():
            body = body.replace(word, less)
        return body

    scene.wire.before = rolled_up
    assert scene.apply().statuses == {"quarantined": 1}
    scene.wire.before = lambda _: None
    done = scene.pull()
    assert (done.new_answers, done.pulled.echoes) == (0, 1)


def test_people_unknown_here_are_forgotten(scene: Scene) -> None:
    scene.survey(ada())
    stranger = theirs("Asian", number="STRANGER1", name=[{"family": "Quarryman", "given": ["Zane"]}])
    stranger["birthDate"] = "1971-07-07"
    stranger["address"] = [{"line": ["7 Secret Lane"]}]
    scene.put(stranger)
    done = scene.pull()
    assert (done.pulled.unknown_here, done.pulled.members, done.new_answers) == (1, 0, 0)
    stored = scene.store_bytes()
    assert b"Ashgrove" in stored
    for mark in (b"STRANGER1", b"Quarryman", b"Zane", b"1971-07-07", b"Secret Lane", b"2028-9"):
        assert mark not in stored


def test_people_who_differ_are_not_merged(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian", birthDate="1901-01-01"))
    done = scene.pull()
    assert (done.pulled.differ, done.pulled.unknown_here, done.new_answers) == (1, 0, 0)
    assert b"1901-01-01" not in scene.store_bytes()


@pytest.mark.parametrize(
    "more", [{"active": False}, {"link": [{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]}]
)
def test_a_patient_out_of_use_says_nothing(scene: Scene, more: Any) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian", **more))
    done = scene.pull()
    assert (done.pulled.not_active, done.new_answers) == (1, 0)


def test_a_refusal_is_never_filled(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Prefer not to say", language_spoken="Don't know"))
    scene.put(theirs("Asian", language="es"))
    done = scene.pull()
    assert (done.pulled.refused, done.pulled.topics) == (1, {"language_spoken": 1})
    assert (RACE, HIE, "hie", "unstated") not in scene.origins()


def test_a_refusal_that_the_hie_told_us_may_be_filled_by_it(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""))
    key = scene.put(theirs(extension=[omb("race", "Declined")]))
    assert scene.pull().pulled.topics == {"race": 1}
    scene.put({**theirs("Asian"), "id": key})
    done = scene.pull()
    assert (done.pulled.refused, done.new_answers) == (0, 1)


def test_a_linked_patient_needs_no_identifier(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs())
    scene.plan()
    scene.put({**theirs("Asian", identifier=[]), "id": key})
    assert scene.pull().pulled.members == 1


def test_identifiers_in_the_order_of_preference(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.set(identifier_systems=(MEMBER_SYSTEM, second))
    scene.enroll(enrolled(race=None), enrolled(number="M2", relationship="19", race=None, given="Ada"))
    # Both are Ada Ashgrove of that day; the member number, although it comes last, says which.
    pairs = [{"system": second, "value": "M1"}, {"system": MEMBER_SYSTEM, "value": "M2"}]
    scene.put(theirs("Asian", identifier=pairs))
    assert scene.pull().pulled.members == 1
    with scene.workspace() as workspace:
        told = {person.member.key: [matter for matter, _ in person.events] for person in workspace.store.people}
    assert [RACE in matters for matters in told.values()] == [False, True]


def test_an_identifier_that_a_family_shares(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.set(identifier_systems=(second,))
    scene.enroll(enrolled(race=None), enrolled(number="M2", relationship="19", race=None, given="Bea"))
    scene.put(theirs("Asian", identifier=[{"system": second, "value": "M1"}]))
    scene.put(theirs("Asian", identifier=[{"system": second, "value": "M1"}], birthDate="1999-09-09"))
    done = scene.pull()
    assert (done.pulled.members, done.pulled.differ, done.new_answers) == (1, 1, 1)


def test_a_malformed_patient_does_not_stop_the_others(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""), ada(member_id="M2"), ada(member_id="M3"))
    good = {**theirs("Asian"), "id": "a", "meta": {"lastUpdated": "2026-01-02T03:04:05Z"}}
    bad = {
        "resourceType": "Patient",
        "id": 7,
        "meta": [],
        "identifier": "x",
        "name": 1,
        "extension": [None, {"url": 1}],
    }
    worse = {**theirs(number="M2", extension=[{**omb("race"), "extension": "no list"}]), "id": "b", "meta": "m"}
    answers(scene, bad, worse, {"resourceType": "Organization", "id": "o"}, good)
    done = scene.pull()
    pulled = done.pulled
    assert (pulled.patients, pulled.unknown_here, pulled.malformed) == (4, 1, 1)
    assert pulled.topics["race"] >= 1
    with scene.workspace() as workspace:
        found = workspace.store.people.findings()
    assert "fhir.patient.malformed" in {code for code, _, _ in found}


def test_interrupted_it_begins_again(scene: Scene) -> None:
    scene.set(page_size=1)
    scene.survey(ada(race_ethnicity=""), ada(member_id="M2", race_ethnicity=""))
    scene.put(theirs("Asian"))
    scene.put(theirs("White", number="M2"))
    down = Response("<html>", 200, media_type="text/html")
    scene.wire.before = lambda r: down if "_page" in r.path else None
    with pytest.raises(RemoteError):
        scene.pull()
    assert cursor(scene) == ""
    scene.wire.before = lambda _: None
    assert scene.pull().new_answers == 2
    assert cursor(scene) != ""


def test_interrupted_after_some_were_stored(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.pipeline.sync.CHUNK", 1)
    scene.set(page_size=1)
    scene.survey(ada(race_ethnicity=""), ada(member_id="M2", race_ethnicity=""))
    scene.put(theirs("Asian"))
    scene.put(theirs("White", number="M2"))
    scene.pull()
    old = cursor(scene)
    scene.put(theirs("White", number="M9"))
    scene.wire.before = lambda r: Response(status_code=500) if "_page" in r.path else None
    with pytest.raises(RemoteError):
        scene.pull()
    assert cursor(scene) == old


def test_the_cursor_follows_the_clock_of_the_server(scene: Scene) -> None:
    scene.survey(ada())
    answers(scene, moment="2026-05-01T00:00:00Z")
    assert scene.pull().pulled.patients == 0
    assert cursor(scene) == "2026-05-01T00:00:00Z"
    answers(
        scene, {**theirs(), "id": "a", "meta": {"lastUpdated": "2026-04-01T00:00:00Z"}}, moment="2026-05-02T00:00:00Z"
    )
    scene.pull()
    assert asked(scene)[-1]["_lastUpdated"] == ["ge2026-04-30T23:55:00+00:00"]
    assert cursor(scene) == "2026-05-02T00:00:00Z"


def test_what_no_inbound_rule_names_is_left_there(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""))
    scene._lay("policies/inbound.toml", 'rule = []\nversion = "none"')
    scene.put(theirs("Asian", language="fr"))
    done = scene.pull()
    assert (done.new_answers, done.pulled.not_accepted) == (0, {RACE: 1, "language_spoken": 1})


def test_what_is_marked_as_from_a_part_2_programme_is_counted_and_not_taken(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""))
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}
    scene.put(theirs("Asian", meta={"security": [label]}))
    done = scene.pull()
    assert (done.new_answers, done.pulled.part_2, done.pulled.members) == (0, 1, 0)


def observation(key: str, code: str = "76690-7") -> Json:
    """Somebody says at the HIE that a Patient is bisexual."""
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{key}"},
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "42035005"}]},
    }


def sogi_in(scene: Scene) -> None:
    rule = (
        '[[rule]]\nid = "s"\nhie = "*"\npurpose = "treatment"\ntopics = ["sexual_orientation"]\nfrom = "2026-01-01"\n'
    )
    scene._lay("policies/inbound.toml", rule)


def searches(scene: Scene, *beside: Json) -> None:
    """The HIE finds these when Observations are searched."""
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in beside]}
    told = Response(orjson.dumps(bundle), media_type=FHIR)
    scene.wire.before = lambda sent: told if sent.path.startswith("/Observation/_search") else None


def test_observations_of_patients_that_did_not_change(scene: Scene) -> None:
    sogi_in(scene)
    scene.survey(ada(sexual_orientation=""))
    key = scene.put(theirs())
    searches(scene, observation(key), observation("nobody") | {"id": "o2"})
    done = scene.pull()
    assert (done.new_answers, done.pulled.topics, done.observations_refused) == (1, {"sexual_orientation": 1}, False)
    assert ("sexual_orientation", HIE, "hie", "unstated") in scene.origins()
    body = next(each.body for each in scene.wire.sent if each.path == "/Observation/_search")
    assert "http://loinc.org|76690-7" in parse_qs(body.decode())["code"][0].split(",")


def test_a_server_that_does_not_let_observations_be_searched(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""))
    scene.put(theirs("Asian"))
    scene.wire.before = lambda r: Response(status_code=403) if r.path.startswith("/Observation") else None
    done = scene.pull()
    assert (done.new_answers, done.observations_refused) == (1, True)
    scene.wire.before = lambda r: Response(status_code=503) if r.path.startswith("/Observation") else None
    with pytest.raises(RemoteError):
        scene.pull()


def test_what_stands_beside_a_patient_comes_with_it(scene: Scene) -> None:
    sogi_in(scene)
    scene.survey(ada(sexual_orientation=""))
    key = scene.put(theirs())
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"includes": true}')
    told_by = {
        "resourceType": "Provenance",
        "target": [{"reference": "Observation/o1"}, {"reference": f"Patient/{key}"}],
    }
    answers(scene, scene.get(key), observation(key), told_by, {"resourceType": "Observation", "id": "z"})
    done = scene.pull()
    assert asked(scene)[0]["_revinclude"] == ["Observation:subject", "Provenance:target"]
    assert (done.pulled.patients, done.pulled.topics) == (1, {"sexual_orientation": 1})


def test_observations_are_asked_for_by_what_they_are_about_and_of_our_members_only(scene: Scene) -> None:
    sogi_in(scene)
    scene.survey(ada(sexual_orientation=""))
    key = scene.put(theirs())
    stranger = scene.put(theirs(number="M9"))
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"includes": true, "by_code": true}')
    other = observation(key, "8302-2") | {"id": "height"}
    for each in (observation(key), other, observation(stranger)):
        scene.add({name: value for name, value in each.items() if name != "id"})
    scene.wire.before = without_includes
    done = scene.pull()
    assert (done.new_answers, done.pulled.topics) == (1, {"sexual_orientation": 1})
    (patients,), (observations,) = asked(scene), asked(scene, "Observation")
    assert patients["_revinclude"] == ["Provenance:target"]
    assert observations["patient"] == [key]
    assert "http://loinc.org|76690-7" in observations["code"][0].split(",")
    assert "_lastUpdated" not in observations
    scene.wire.sent.clear()
    scene.survey(ada(member_id="M9", sexual_orientation=""))
    assert scene.pull().new_answers == 1  # of one who is known here by now
    found = asked(scene, "Observation")
    assert [each.get("patient") for each in found] == [[f"{key},{stranger}"], None]
    assert "_lastUpdated" in found[1]


def without_includes(sent: Sent) -> bytes | None:
    """The sandbox has no _revinclude: what it says is noted, and left out."""
    return b"&".join(part for part in sent.body.split(b"&") if b"_revinclude" not in part) or None


def test_a_server_that_finds_no_observations_by_patient_is_told_once(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""))
    scene.put(theirs("Asian"))
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"by_code": true}')
    scene.wire.before = lambda r: Response(status_code=403) if r.path.startswith("/Observation") else None
    done = scene.pull()
    assert (done.new_answers, done.observations_refused) == (1, True)
    assert sum(each.path.startswith("/Observation") for each in scene.wire.sent) == 1


def test_our_word_rolled_up_is_an_echo(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Middle Eastern or North African"))
    key = scene.put(theirs())
    scene.plan()
    scene.apply()
    there = scene.get(key)
    kept = [each for each in there.get("extension", []) if "race" not in each["url"]]
    scene.put(there | {"extension": [*kept, omb("race", "White")]})
    done = scene.pull()
    assert done.pulled.topics["race"] == 0
    assert done.pulled.echoes >= 1


def test_a_patient_that_took_the_place_of_ours(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity=""))
    old = scene.put(theirs())
    scene.plan()
    link = [{"other": {"reference": "Patient/new"}, "type": "replaced-by"}]
    scene.put({**scene.get(old), "link": link})
    survivor = theirs("Asian", number="OTHER", link=[{"other": {"reference": f"Patient/{old}"}, "type": "replaces"}])
    scene.put({**survivor, "id": "new"})
    done = scene.pull()
    assert (done.pulled.members, done.pulled.not_active, done.pulled.topics) == (1, 1, {"race": 1})


@pytest.mark.parametrize(
    ("since", "updated", "then"),
    [
        ("", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("", "2026-01-01T00:00:00.123456+02:00", "2026-01-01T00:00:00.123456+02:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        # later as text and earlier in time, and the other way round
        ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00+02:00", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", "2026-01-01T09:00:00-05:00", "2026-01-01T09:00:00-05:00"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00.001Z", "2026-01-01T10:00:00.001Z"),
        # what is no instant would be refused by the next search
        ("2026-01-01T10:00:00Z", "yesterday", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", "2026-01-02T10:00:00", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", "2026-02-30T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", "20260301T100000Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", 20260301, "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", "9999-01-01T00:00:00Z", "2026-01-01T10:00:00Z"),
    ],
)
def test_how_far_the_pull_has_come(since: str, updated: object, then: str) -> None:
    assert later(since, {"meta": {"lastUpdated": updated}}) == then


def test_a_server_whose_clock_is_ahead_is_asked_again() -> None:
    ahead = (datetime.now(UTC) + timedelta(minutes=5)).isoformat(timespec="milliseconds")
    assert later("2026-01-01T10:00:00Z", {"meta": {"lastUpdated": ahead}}) == "2026-01-01T10:00:00Z"
    assert later("", {"meta": []}) == ""
    assert later("", {}) == ""
