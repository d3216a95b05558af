"""apply: exactly the plan, conditional, read back; whatever goes wrong, nobody is there twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError, UsageError
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.pipeline.sync import sync_apply
from fhir_equity.store.hie_journal import Journal
from fhir_equity.sync import apply as module
from fhir_equity.sync import write_patient
from fhir_equity.sync.client import Client
from fhir_equity.sync.stages import Ended
from tests.sync.scene import BCP47, HIE, Json, Scene, Sent, ada, enrolled, languages_of, omb, opened, race_of, theirs

RACE = "race_ethnicity"
BEA = {"member_id": "M2", "first_name": "Bea"}
SOGI = (b"42035005", b"Bisexual", b"Nonbinary", b"genderIdentity", b"76691-5", b"76690-7", b"sexual", b"orientation")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def bea(race: str = "", **more: Any) -> Json:
    return theirs(race, number="M2", name=[{"family": "Ashgrove", "given": ["Bea"]}], **more)


def puts(scene: Scene) -> list[Sent]:
    return [each for each in scene.writes() if each.method == "PUT"]


def posts(scene: Scene) -> list[Sent]:
    return [each for each in scene.writes() if each.method == "POST"]


def test_exactly_the_plan(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.wire.sent.clear()
    done = scene.apply()
    assert (done.plan, done.statuses, done.left) == ("hx-1", {"verified": 2}, 0)
    [put] = puts(scene)
    assert put.path == f"/Patient/{key}"
    assert b'if-match: W/"1"' in put.headers
    [post] = posts(scene)
    assert b"if-none-exist: identifier=https%3A%2F%2Fdemo-plan.example%2Fmember-number%7CM2" in post.headers
    assert json.loads(post.body)["birthDate"] == "1980-01-02"
    found = scene.everybody()
    assert [race_of(each) for each in found] == [["2106-3"], ["2106-3"]]
    assert [languages_of(each) for each in found] == [["es"], ["es"]]
    assert scene.apply().statuses == {}
    again = scene.plan()
    assert (again.changes, again.agreed, again.conflicts) == ([], 4, [])


def test_a_server_that_does_not_honour_if_match(scene: Scene) -> None:
    """What a probe found decides: nothing is written there unless somebody accepts that others lose their changes."""
    scene.survey(ada())
    scene.put(theirs("Asian"))
    scene.plan()
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"if_match": false}')
    with pytest.raises(UsageError, match=r"^\[hie\.hx\] does not honour If-Match"):
        scene.apply()
    assert scene.writes() == []
    assert scene.apply(dry=True).statuses == {"ready": 1}
    scene.set(accept_lost_update=True)
    assert scene.apply().statuses == {"verified": 1}


def patching(scene: Scene) -> None:
    """The server takes JSON Patches, as its profile says."""

    def patch(sent: Sent) -> Response | None:
        if sent.method != "PATCH":
            return None
        key = sent.path.rpartition("/")[2]
        there = scene.get(key)
        for each in json.loads(sent.body):
            name = each["path"].removeprefix("/")
            if each["op"] == "test" and there.get(name) != each["value"]:
                return Response(b"{}", 412, media_type="application/fhir+json")
            if each["op"] in ("add", "replace"):
                there[name] = each["value"]
            elif each["op"] == "remove":
                del there[name]
        scene.put(there)
        return Response(orjson.dumps(scene.get(key)), media_type="application/fhir+json")

    scene.wire.before = patch
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"patch": true, "if_match": true}')


def test_a_patch_where_the_profile_says_that_it_is_safe(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian", telecom=[{"system": "phone", "value": "1"}]))
    patching(scene)
    scene.plan()
    before = scene.get(key)
    scene.wire.sent.clear()
    assert scene.apply().statuses == {"verified": 1}
    (sent,) = scene.writes()
    assert (sent.method, sent.path) == ("PATCH", f"/Patient/{key}")
    assert b'if-match: W/"1"' in sent.headers
    assert b"content-type: application/json-patch+json" in sent.headers
    words = json.loads(sent.body)
    assert [(each["op"], each["path"]) for each in words] == [
        ("add", "/communication"),
        ("test", "/extension"),
        ("replace", "/extension"),
    ]
    assert words[1]["value"] == before["extension"]
    after = scene.get(key)
    assert (race_of(after), languages_of(after), after["telecom"]) == (["2106-3"], ["es"], before["telecom"])
    assert scene.plan().changes == []


def test_what_a_patch_says() -> None:
    before, after = {"a": 1, "b": [1], "c": 2}, {"b": [2], "c": 2, "d": {}}
    assert write_patient.operations(before, after) == [
        {"op": "test", "path": "/a", "value": 1},
        {"op": "remove", "path": "/a"},
        {"op": "test", "path": "/b", "value": [1]},
        {"op": "replace", "path": "/b", "value": [2]},
        {"op": "add", "path": "/d", "value": {}},
    ]
    assert write_patient.operations(after, after) == []


def test_without_a_plan(scene: Scene) -> None:
    with pytest.raises(UsageError, match=r"^there is no plan for hx; run: fhir-equity sync plan --hie hx$"):
        scene.apply()


def test_sensitive_answers_never_leave(scene: Scene) -> None:
    scene.survey(
        ada(sexual_orientation="Bisexual", gender_identity="Nonbinary"), ada(**BEA, gender_identity="Nonbinary")
    )
    scene.put(theirs("Asian"))
    scene.plan()
    assert scene.apply().statuses == {"verified": 2}
    received = everything_sent(scene)
    assert b"Patient" in received
    assert not [mark for mark in SOGI if mark in received]
    scene.pull()  # which asks for nothing that no rule lets in
    assert not [mark for mark in SOGI if mark in everything_sent(scene)]


def everything_sent(scene: Scene) -> bytes:
    return b"".join(each.path.encode() + each.headers + each.body for each in scene.wire.sent)


def test_what_is_asked_names_no_answer(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs("Asian"))
    scene.plan()
    scene.apply()
    scene.pull()
    asked = b"".join(
        each.path.encode() + each.headers + (b"" if each in scene.writes() else each.body) for each in scene.wire.sent
    )
    assert b"if-none-exist" in asked
    for mark in (b"2106-3", b"White", b"race", b"ethnicity", b"language", b"communication", b"Ashgrove", b"1980"):
        assert mark not in asked


def test_everything_else_survives(scene: Scene) -> None:
    scene.survey(ada())
    foreign = {"url": "https://hie.example/ext", "extension": [{"url": "a", "valueString": "b"}]}
    more: Json = {
        "meta": {"tag": [{"system": "https://hie.example/tag", "code": "t"}]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ada</div>'},
        "contained": [{"resourceType": "Organization", "id": "o"}],
        "extension": [foreign, {**omb("race", "Asian"), "id": "e1"}, omb("ethnicity")],
        "telecom": [{"system": "phone", "value": "1"}],
        "communication": [{"id": "c1", "language": {"coding": [{"system": BCP47, "code": "fr"}]}, "preferred": True}],
        "_birthDate": {"extension": [{"url": "https://hie.example/t", "valueString": "x"}]},
    }
    key = scene.put(theirs(**more))
    before = scene.get(key)
    assert [dict(change.matters) for change in scene.plan().changes] == [
        {RACE: "replace", "language_spoken": "replace"}
    ]
    assert scene.apply().statuses == {"verified": 1}
    after = scene.get(key)
    assert {k: v for k, v in after.items() if k not in ("meta", "extension", "communication")} == {
        k: v for k, v in before.items() if k not in ("meta", "extension", "communication")
    }
    assert after["meta"]["tag"] == before["meta"]["tag"]
    assert after["extension"][0] == foreign
    assert (after["extension"][1]["id"], race_of(after)) == ("e1", ["2106-3"])
    assert after["extension"][2] == before["extension"][2]
    assert after["communication"][0] == {**before["communication"][0], "preferred": False}
    assert languages_of(after) == ["es"]


def test_our_answer_changed_since(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs())
    scene.plan()
    scene.survey(ada(race_ethnicity="Asian", survey_date="2026-05-02"))
    assert scene.apply().statuses == {"stale": 1}
    assert scene.writes() == []


@pytest.mark.parametrize("patient", [True, False])
def test_the_release_changed_since(scene: Scene, patient: bool) -> None:
    scene.survey(ada())
    if patient:
        scene.put(theirs())
    scene.plan()
    scene.rules({"topics": ["language_spoken", "sex"]})
    done = scene.apply()
    assert (done.statuses, done.left) == ({"stale": 1}, 1)
    assert scene.writes() == []


def test_the_rule_ended_overnight(scene: Scene) -> None:
    scene.rules({"topics": [RACE, "language_spoken"], "to": "2026-06-01"})
    scene.survey(ada())
    scene.plan()
    scene.as_of = "2026-06-02"
    assert scene.apply().statuses == {"stale": 1}
    assert scene.writes() == []


def test_a_new_patient_says_what_was_planned_and_no_more(scene: Scene) -> None:
    scene.survey(ada())
    scene.plan()
    scene.survey(ada(language_written="Spanish"))
    assert scene.apply().statuses == {"verified": 1}
    assert len(scene.everybody()[0]["communication"]) == 1
    assert [dict(change.matters) for change in scene.plan().changes] == [{"language_written": "add"}]


def test_our_member_turned_out_to_be_somebody_else(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs())
    scene.plan()
    scene.survey(ada(last_name="Birchwood", survey_date="2026-05-02"))
    assert scene.apply().statuses == {"stale": 1}
    assert scene.writes() == []


def test_the_patient_changed_since(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.put({**theirs("Asian"), "id": key})
    assert scene.apply().statuses == {"moved": 1}
    assert scene.writes() == []
    assert race_of(scene.get(key)) == ["2028-9"]


def test_somebody_else_said_the_same_meanwhile(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.put({**theirs("White", language="es"), "id": key})
    assert scene.apply().statuses == {"moved": 1}
    assert scene.pull().pulled.echoes == 0  # it was not us who said it


@pytest.mark.parametrize("status", [409, 412])
def test_the_patient_changes_under_our_hands(scene: Scene, status: int) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.wire.before = lambda request: Response(status_code=status) if request.method == "PUT" else None
    done = scene.apply()
    assert (done.statuses, done.left) == ({"moved": 1}, 1)
    assert race_of(scene.get(key)) == ["2028-9"]


def test_a_real_race_is_lost_without_harm(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()

    real = Client.update

    def update(client: Client, resource: Json, etag: str) -> Any:
        scene.put({**theirs("Asian", gender="other"), "id": key})
        return real(client, resource, etag)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "update", update)
        assert scene.apply().statuses == {"moved": 1}
    assert (race_of(scene.get(key)), scene.get(key)["gender"]) == (["2028-9"], "other")


def test_the_patient_is_gone(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.delete(key)
    assert scene.apply().statuses == {"moved": 1}


def test_somebody_made_the_patient_meanwhile(scene: Scene) -> None:
    scene.survey(ada())
    scene.plan()
    scene.put(theirs())
    assert scene.apply().statuses == {"moved": 1}
    assert len(scene.everybody()) == 1
    assert [change.action for change in scene.plan().changes] == ["update"]


def test_somebody_made_the_patient_at_the_same_time(scene: Scene) -> None:
    scene.survey(ada())
    scene.plan()
    there = orjson.dumps({**theirs(), "id": "x", "meta": {"versionId": "1"}})
    answer = Response(there, media_type="application/fhir+json")
    scene.wire.before = lambda r: answer if r.method == "POST" and r.path == "/Patient" else None
    assert scene.apply().statuses == {"moved": 1}
    assert scene.everybody() == []


def test_several_patients_meet_the_condition(scene: Scene) -> None:
    scene.survey(ada())
    scene.plan()
    scene.wire.before = lambda r: Response(status_code=412) if r.path == "/Patient" else None
    assert scene.apply().statuses == {"moved": 1}


def test_another_of_our_identifiers_is_looked_for_before_creating(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.set(identifier_systems=(MEMBER_SYSTEM, second))
    scene.enroll(enrolled(subscriber="S1"))
    scene.plan()
    scene.put(theirs(identifier=[{"system": second, "value": "S1"}]))
    assert scene.apply().statuses == {"moved": 1}
    assert len(scene.everybody()) == 1


def test_two_of_ours_who_are_one_person_there_are_not_made_twice(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.set(identifier_systems=(MEMBER_SYSTEM, second))
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed('{"if_match": true}')
    scene.enroll(enrolled(subscriber="S1"), enrolled(subscriber="S1", number="M2"))
    scene.plan()
    assert scene.apply().statuses == {"verified": 1, "stale": 1}
    assert len(scene.everybody()) == 1
    assert scene.plan().changes == []


# Answers that get lost.


def busy(scene: Scene, *methods: str) -> None:
    """From now on the answers to these methods get lost after everything happened."""
    answer = Response(status_code=503, headers={"Retry-After": "0"})
    scene.wire.after = lambda r: answer if r.method in methods and not r.path.endswith("_search") else None


def test_every_answer_gets_lost(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    key = scene.put(theirs("Asian"))
    scene.plan()
    busy(scene, "PUT", "POST")
    done = scene.apply()
    assert done.statuses == {"verified": 2}
    found = {each["id"]: each for each in scene.everybody()}
    assert len(found) == 2
    assert found[key]["meta"]["versionId"] == "2"
    assert [race_of(each) for each in found.values()] == [["2106-3"], ["2106-3"]]
    busy(scene)
    assert scene.plan().changes == []


def test_the_first_answer_gets_lost(scene: Scene) -> None:
    """The repeated create finds what the first one made, the repeated update meets its own version."""
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs("Asian"))
    scene.plan()
    lost: set[str] = set()

    def once(request: Sent) -> Response | None:
        if request.method == "GET" or request.path.endswith("_search") or request.method in lost:
            return None
        lost.add(request.method)
        return Response(status_code=503, headers={"Retry-After": "0"})

    scene.wire.after = once
    assert scene.apply().statuses == {"verified": 2}
    assert lost == {"PUT", "POST"}
    assert len(scene.everybody()) == 2


@pytest.mark.parametrize("seed", range(4))
def test_bad_days(tmp_path: Path, seed: int) -> None:
    with opened(tmp_path, faults=f"429:0.1,503:0.1,drop:0.1,lost:0.3,seed={seed}", attempts=20) as scene:
        rows = [ada(member_id=f"M{n}") for n in range(12)]
        scene.survey(*rows)
        with Client(scene.hie) as client:
            for n in range(0, 12, 2):
                client.create(theirs("Asian" if n % 4 else "", number=f"M{n}"), f"identifier={MEMBER_SYSTEM}|M{n}")
        assert len(scene.plan().changes) == 12
        for _ in range(9):  # what came to nothing in the one attempt that there is to make somebody
            if not scene.apply().left:
                break
        assert scene.plan().changes == []
    with opened(tmp_path) as scene:
        found = scene.everybody()
        assert sorted(each["identifier"][0]["value"] for each in found) == sorted(f"M{n}" for n in range(12))
        assert {tuple(race_of(each)) for each in found} == {("2106-3",)}
        assert {tuple(languages_of(each)) for each in found} == {("es",)}


def test_the_outcome_stays_unknown(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs("Asian"))
    scene.plan()
    scene.wire.before = lambda r: Response(status_code=500) if r in scene.writes() else None
    assert scene.apply().statuses == {"unverified": 2}
    assert len(scene.everybody()) == 1
    scene.wire.before = lambda _: None
    assert scene.apply().statuses == {"verified": 2}
    assert len(scene.everybody()) == 2


# What is read back is what counts.


def forgetful(scene: Scene) -> None:
    """A server that drops the race extension of whatever is written."""

    def drop(request: Sent) -> bytes | None:
        if request not in scene.writes():
            return None
        body = json.loads(request.body)
        body["extension"] = [each for each in body.get("extension", []) if "us-core-race" not in each["url"]]
        return orjson.dumps({name: value for name, value in body.items() if value})

    scene.wire.before = drop


def test_a_server_that_drops_what_it_was_sent(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs())
    scene.plan()
    forgetful(scene)
    done = scene.apply()
    assert (done.statuses, done.left, done.repaired) == ({"quarantined": 2}, 2, 2)
    assert [each.method for each in scene.writes()] == ["PUT", "PUT", "POST", "PUT"]  # mended once, and no more
    # The part that arrived is our own word and no answer of theirs.
    assert scene.pull().pulled.echoes == 2
    made = scene.plan()
    assert (made.changes, [(each.matter, each.reason) for each in made.conflicts]) == (
        [],
        [(RACE, "not_kept_there")] * 2,
    )
    made = scene.plan(everybody=True)  # asked for, it is tried again
    assert [dict(change.matters) for change in made.changes] == [{RACE: "add"}, {RACE: "add"}]


def test_a_patient_that_vanishes_after_the_write(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs())
    scene.plan()
    seen: list[str] = []

    def vanish(request: Sent) -> Response | None:
        seen.append(request.method)
        return Response(status_code=404) if seen[-2:] == ["PUT", "GET"] else None

    scene.wire.before = vanish
    assert scene.apply().statuses == {"unverified": 1}
    assert race_of(scene.get(key)) == ["2106-3"]


def test_an_invalid_patient_is_not_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.survey(ada(), ada(**BEA))
    key = scene.put(theirs("Asian"))
    scene.plan()
    mine = "Patient.extension: wrong"
    monkeypatch.setattr(write_patient, "validate", lambda patient: [mine] if race_of(patient) == ["2106-3"] else [])
    done = scene.apply()
    assert (done.statuses, done.left) == ({"invalid": 2}, 2)
    assert scene.writes() == []
    assert race_of(scene.get(key)) == ["2028-9"]


def test_what_was_invalid_before_is_not_ours_to_mend(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian", gender=7))
    scene.plan()
    assert scene.apply().statuses == {"verified": 1}
    assert scene.get(key)["gender"] == 7


def test_what_cannot_be_merged_is_not_sent(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs(extension={"url": "x"}))
    scene.plan()
    assert scene.apply().statuses == {"invalid": 1}
    assert scene.writes() == []


# Interruptions.


class Killed(BaseException):
    pass


def test_a_plan_that_is_killed_settles_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of an interrupted write is recorded with the new plan, or the old one goes on."""
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs("Asian"))
    scene.plan()
    for target, name in ((Client, "update"), (Journal, "begin_plan")):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, _killing(getattr(target, name), [0], 1, before=True))
            with pytest.raises(Killed):
                scene.apply() if target is Client else scene.plan()
    assert scene.apply().statuses == {"verified": 2}
    assert scene.plan().changes == []


@pytest.mark.parametrize(
    ("profile", "disclosed"),
    [('{"if_match": true}', ["verified", "intended", "failed"]), ("{}", ["verified", "intended"])],
)
def test_what_was_not_begun_is_still_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, profile: str, disclosed: list[str]
) -> None:
    """A server that is not known to keep what others write is looked at and written to one change at a time."""
    scene.survey(ada(), ada(**BEA), ada(member_id="M3"))
    scene.put(theirs("Asian"))
    scene.put(bea())
    with scene.workspace() as workspace:
        workspace.store.endpoint(HIE).probed(profile)
    scene.plan()
    with monkeypatch.context() as patch:
        patch.setattr(Client, "update", _killing(Client.update, [0], 2, before=False))
        with pytest.raises(Killed):
            scene.apply()
    with scene.workspace() as workspace:
        journal = workspace.store.hie(HIE).journal
        _, left = journal.latest_plan()
        assert [each.status for each in left] == ["sent", "planned"]  # the first is closed
        told = [workspace.store.disclosures.in_transmission(f"{HIE}/{n}") for n in (1, 2, 3)]
        assert [each.state for some in told for each in some] == disclosed
    assert scene.apply().statuses == {"verified": 2}
    with scene.workspace() as workspace:
        states = [workspace.store.disclosures.in_transmission(f"{HIE}/{n}")[0].state for n in (1, 2, 3)]
    assert states == ["verified"] * 3


@pytest.mark.parametrize("when", ["before the write", "after the write", "while reading back"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_again_after_a_crash(scene: Scene, when: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is not repeated, the rest is done, and every change is known as ours."""
    scene.survey(ada(), ada(**BEA), ada(member_id="M3"))
    scene.put(theirs("Asian"))
    scene.put(bea())
    scene.plan()
    with monkeypatch.context() as patch:
        count = [0]
        if when == "while reading back":
            real = module._Applying._read_back

            def read_back(*arguments: Any) -> Ended:
                count[0] += 1
                if count[0] == number:
                    raise Killed
                return real(*arguments)

            patch.setattr(module._Applying, "_read_back", read_back)
        else:
            for name in ("create", "update"):
                patch.setattr(Client, name, _killing(getattr(Client, name), count, number, before=when[:1] == "b"))
        with pytest.raises(Killed):
            scene.apply()
    scene.wire.sent.clear()
    assert scene.apply().statuses == {"verified": 4 - number}
    assert len(scene.writes()) == (4 - number if when == "before the write" else 3 - number)
    assert {each["identifier"][0]["value"]: each["meta"]["versionId"] for each in scene.everybody()} == {
        "M1": "2",
        "M2": "2",
        "M3": "1",
    }
    assert scene.pull().new_answers == 0
    assert scene.plan().changes == []


def _killing(real: Any, count: list[int], number: int, *, before: bool) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        count[0] += 1
        if before and count[0] == number:
            raise Killed
        result = real(*arguments, **options)
        if count[0] == number:
            raise Killed
        return result

    return call


@pytest.mark.parametrize("known", [True, False])
def test_a_plan_after_a_crash_settles_what_was_interrupted(
    scene: Scene, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.survey(ada())
    if known:
        scene.put(theirs("Asian"))
    scene.plan()
    _crash(scene, monkeypatch)
    made = scene.plan()
    assert (made.changes, made.agreed) == ([], 2)
    assert scene.pull().pulled.echoes == 2
    scene.set(mode="contributor")
    scene.as_of = "2026-06-05"
    scene.survey(ada(race_ethnicity="Asian", survey_date="2026-06-02"))
    assert len(scene.plan().changes) == (0 if known else 1)  # only what we made is ours to change


def test_a_pull_after_a_crash_knows_its_own_word(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian"))
    scene.plan()
    _crash(scene, monkeypatch)
    done = scene.pull()
    assert (done.pulled.echoes, done.new_answers) == (2, 0)


def test_our_answer_changed_after_a_crash(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before the crash is still known as our own word."""
    scene.enroll(enrolled(spoken=None))
    scene.put(theirs())
    scene.plan()
    _crash(scene, monkeypatch)
    scene.as_of = "2026-06-05"
    scene.enroll(enrolled(spoken=None, race=":RET:2028-9"))
    assert scene.apply().statuses == {"stale": 1}
    assert scene.pull().pulled.echoes == 1
    assert [dict(change.matters) for change in scene.plan().changes] == [{RACE: "replace"}]
    assert scene.apply().statuses == {"verified": 1}


def test_a_crash_before_anything_left(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.survey(ada())
    scene.plan()
    with monkeypatch.context() as patch:
        patch.setattr(Client, "create", _killing(Client.create, [0], 1, before=True))
        with pytest.raises(Killed):
            scene.apply()
    scene.plan()
    assert scene.apply().statuses == {"verified": 1}
    assert len(scene.everybody()) == 1


def test_what_somebody_else_made_after_a_crash_is_not_ours(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.set(mode="contributor")
    scene.survey(ada())
    scene.plan()
    with monkeypatch.context() as patch:
        patch.setattr(Client, "create", _killing(Client.create, [0], 1, before=True))
        with pytest.raises(Killed):
            scene.apply()
    scene.put(theirs("White", language="es"))
    assert scene.apply().statuses == {"moved": 1}
    assert scene.plan().agreed == 2
    scene.as_of = "2026-06-05"
    scene.survey(ada(race_ethnicity="Asian", survey_date="2026-06-02"))
    assert scene.plan().changes == []


def _crash(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the write and before it was read back."""

    def killed(*_: Any) -> str:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module._Applying, "_read_back", killed)
        with pytest.raises(Killed):
            scene.apply()


# Refusals and modes.


def test_one_patient_that_is_refused_does_not_stop_the_others(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA), ada(member_id="M3"), ada(member_id="M4"))
    refused = scene.put(theirs("Asian"))
    scene.put(bea())
    scene.plan()
    no = Response(b'{"resourceType": "OperationOutcome"}', 422, media_type="application/fhir+json")
    scene.wire.before = lambda r: (
        no if r in scene.writes() and (r.path.endswith(refused) or b'"value":"M3"' in r.body) else None
    )
    assert scene.apply().statuses == {"refused": 2, "verified": 2}


def test_a_server_that_refuses_everything_stops_the_run(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.put(theirs("Asian"))
    scene.plan()
    down: list[bool] = []

    def expire(request: Sent) -> Response | None:
        down.extend([True] * (request.method == "PUT"))
        return Response(status_code=401) if down else None

    scene.wire.before = expire
    with pytest.raises(RemoteError, match=r"refused a request with 401$") as caught:
        scene.apply()
    assert caught.value.exit_code == 4
    scene.wire.before = lambda _: None
    assert scene.apply().statuses == {"verified": 2}


def test_the_hie_goes_down(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    key = scene.put(theirs("Asian"))
    scene.plan()
    page = Response("<html>Sorry</html>", 200, media_type="text/html")
    scene.wire.before = lambda request: page if request.method == "PUT" else None
    with pytest.raises(RemoteError, match=r"something that is not FHIR JSON$"):
        scene.apply()
    assert race_of(scene.get(key)) == ["2028-9"]
    scene.wire.before = lambda _: None
    assert scene.apply().statuses == {"verified": 2}


@pytest.mark.parametrize(("setting", "words"), [({"mode": "read-only"}, "read-only"), ({"recipient": ""}, "recipient")])
def test_settings_that_changed_since_the_plan(scene: Scene, setting: Any, words: str) -> None:
    scene.survey(ada())
    scene.plan()
    scene.wire.sent.clear()
    scene.set(**setting)
    with pytest.raises(UsageError, match=words):
        scene.apply()
    assert scene.wire.sent == []


def test_a_contributor_does_not_carry_out_what_an_editor_planned(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.set(mode="contributor")
    assert scene.apply().statuses == {"stale": 1}
    assert race_of(scene.get(key)) == ["2028-9"]


def test_progress_is_told(scene: Scene) -> None:
    scene.survey(ada(), ada(**BEA))
    scene.plan()
    told: list[tuple[str, int, int]] = []
    with scene.workspace() as workspace:
        workspace.progress = lambda name, count, total=0: told.append((name, count, total))
        sync_apply(workspace, HIE)
    assert told == [("hx", 1, 2), ("hx", 2, 2)]


def test_who_writes_between_our_write_and_its_reading_back_is_not_overwritten(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))
    key = scene.put(theirs("Asian"))
    scene.plan()

    def later(request: Sent) -> None:
        if scene.writes() and request.method == "GET":
            scene.wire.before = lambda _: None
            assert scene.change(key, extension=[omb("race", "Black or African American")])

    scene.wire.before = later
    assert scene.apply().statuses == {"unverified": 1}
    assert race_of(scene.get(key)) == ["2054-5"]
    assert len(scene.writes()) == 1
    scene.plan()
    with scene.workspace() as workspace:
        assert workspace.store.hie(HIE).journal.pending()["sent"] == 0
