"""plan: what would change, what is left alone and why; nothing is sent and nobody is searched for by their answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from fhir_equity.errors import RemoteError, UsageError
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.sync.plan import Plan
from tests.sync.scene import Scene, ada, enrolled, languages_of, omb, opened, race_of, theirs

RACE = "race_ethnicity"
REL = {"topics": [RACE, "language_spoken", "language_written", "sex"]}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def changed(made: Plan) -> list[tuple[str, dict[str, str]]]:
    return [(change.action, dict(change.matters)) for change in made.changes]


def left(made: Plan) -> list[tuple[str, str]]:
    return [(each.matter, each.reason) for each in made.conflicts]


def test_per_member_and_topic(scene: Scene) -> None:
    scene.survey(ada(), ada(member_id="M2", first_name="Bea"), ada(member_id="M3", first_name="Cleo"))
    scene.put(theirs(language="es"))
    scene.put(theirs("Asian", number="M2", name=[{"family": "ASHGROVE", "given": ["Bea "]}]))
    made = scene.plan()
    assert changed(made) == [
        ("update", {RACE: "add"}),
        ("update", {RACE: "replace", "language_spoken": "add"}),
        ("create", {RACE: "add", "language_spoken": "add"}),
    ]
    assert (made.members, made.agreed, made.unmatched, made.conflicts) == (3, 1, 0, [])
    assert made.name == "hx-1"
    assert "2106-3" not in repr(made)
    assert "Ashgrove" not in repr(made)


def test_nothing_is_sent_and_only_identifiers_are_searched_for(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="White", sexual_orientation="Bisexual", gender_identity="Nonbinary"))
    scene.put(theirs("Asian"))
    scene.plan()
    assert [(each.method, each.path.split("/")[1]) for each in scene.asked()] == [
        ("POST", "Patient"),
        ("GET", "Patient"),
    ]
    search, read = scene.asked()
    assert search.path == "/Patient/_search"
    assert search.body == b"_count=100&identifier=https%3A%2F%2Fdemo-plan.example%2Fmember-number%7CM1"
    assert read.body == b""
    assert [race_of(each) for each in scene.everybody()] == [["2028-9"]]


def test_a_link_is_remembered_and_asked_first(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs("Asian"))
    scene.plan()
    scene.wire.sent.clear()
    assert changed(scene.plan()) == [("update", {RACE: "replace", "language_spoken": "add"})]
    assert [(each.method, each.path) for each in scene.asked() if b"_lastUpdated" not in each.body] == [
        ("GET", f"/Patient/{key}")
    ]


def test_a_link_that_leads_nowhere_falls_back_to_searching(scene: Scene) -> None:
    scene.survey(ada())
    gone = scene.put(theirs())
    scene.plan()
    scene.delete(gone)
    assert [change.action for change in scene.plan().changes] == ["create"]
    there = scene.put(theirs())
    assert [(change.action, change.resource_id) for change in scene.plan().changes] == [("update", there)]


def test_a_person_who_is_somebody_else_is_not_linked(scene: Scene) -> None:
    scene.survey(ada())
    wrong = scene.put(theirs(name=[{"family": "Ashgrove", "given": ["Amir"]}]))
    assert left(scene.plan()) == [("", "name_or_birth_date_differ")]
    scene.put(theirs(id=wrong, number="M9"))
    right = scene.put(theirs())
    assert [change.resource_id for change in scene.plan().changes] == [right]


@pytest.mark.parametrize(
    "more",
    [
        {"name": [{"family": "Ashgrove", "given": ["Amir"]}]},
        {"name": [{"family": "Birchwood", "given": ["Ada"]}]},
        {"name": []},
        {"birthDate": "1980-01-03"},
        {"birthDate": "1980"},
        {"birthDate": ""},
    ],
)
def test_name_or_birth_date_differ(scene: Scene, more: Any) -> None:
    scene.survey(ada())
    scene.put({name: value for name, value in theirs(**more).items() if value})
    made = scene.plan()
    assert left(made) == [("", "name_or_birth_date_differ")]
    assert made.changes == []


def test_several_matches(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs("Asian"))
    scene.put(theirs("White"))
    made = scene.plan()
    assert (left(made), made.changes, made.unmatched) == ([("", "several_matches")], [], 0)


@pytest.mark.parametrize(
    "more", [{"active": False}, {"link": [{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]}]
)
def test_a_patient_out_of_use(scene: Scene, more: Any) -> None:
    scene.survey(ada())
    old = scene.put(theirs(**more))
    made = scene.plan()
    assert (left(made), made.changes) == ([("", "not_active")], [])
    there = scene.put(theirs())
    made = scene.plan()
    assert (left(made), [change.resource_id for change in made.changes]) == ([], [there])
    scene.put(theirs(id=there, active=False))
    scene.put(theirs(id=old, active=True, link=[{"other": {"reference": "Patient/x"}, "type": "replaces"}]))
    assert [change.resource_id for change in scene.plan().changes] == [old]


def test_a_linked_patient_that_goes_out_of_use(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs())
    scene.plan()
    scene.put({**theirs(active=False, number="M9"), "id": key})
    assert left(scene.plan()) == [("", "not_active")]


def test_two_of_ours_are_one_of_theirs(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.set(identifier_systems=(MEMBER_SYSTEM, second))
    scene.enroll(enrolled(), enrolled(number="M2"))
    both = [{"system": MEMBER_SYSTEM, "value": number} for number in ("M1", "M2")]
    scene.put(theirs(identifier=both))
    made = scene.plan()
    assert left(made) == [("", "several_members"), ("", "several_members")]
    assert made.changes == []


def test_identifier_systems_in_order(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.enroll(enrolled(subscriber="S1"))
    other = scene.put(theirs(identifier=[{"system": second, "value": "S1"}]))
    scene.set(identifier_systems=(MEMBER_SYSTEM, second))
    assert [change.resource_id for change in scene.plan().changes] == [other]
    assert [b"member-number" in each.body for each in scene.asked()] == [True, False, False]


def test_a_preferred_system_ends_the_search(scene: Scene) -> None:
    second = "https://demo-plan.example/subscriber-number"
    scene.enroll(enrolled(subscriber="S1"))
    scene.put(theirs(identifier=[{"system": second, "value": "S1"}]))
    first = scene.put(theirs())
    scene.set(identifier_systems=(MEMBER_SYSTEM, second))
    assert [change.resource_id for change in scene.plan().changes] == [first]


def test_the_same_number_from_two_sources_is_searched_for_once(scene: Scene) -> None:
    scene.enroll(enrolled())
    scene.survey(ada())
    scene.plan()
    assert [each.path for each in scene.asked()] == ["/Patient/_search"]


def test_a_system_that_no_sheet_names_finds_nobody(scene: Scene) -> None:
    scene.set(identifier_systems=("https://hie.example/other",))
    scene.survey(ada())
    made = scene.plan()
    assert (made.changes, made.unmatched, scene.wire.sent) == ([], 1, [])


def test_unknown_there_is_skipped_unless_configured(scene: Scene) -> None:
    scene.set(unmatched="skip")
    scene.survey(ada())
    made = scene.plan()
    assert (made.changes, made.unmatched) == ([], 1)


def test_a_patient_is_not_made_to_say_that_somebody_declined(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Prefer not to say", language_spoken=""))
    made = scene.plan()
    assert (made.changes, made.unmatched) == ([], 1)
    scene.put(theirs())
    assert changed(scene.plan()) == [("update", {RACE: "add"})]


# Release: default deny.


def nothing_leaves(scene: Scene, reason: str, matters: list[str]) -> None:
    made = scene.plan()
    assert made.withheld == {(matter, reason): 1 for matter in matters}
    assert (made.changes, made.unmatched, made.agreed) == ([], 0, 0)
    assert scene.wire.sent == []  # nobody is even looked up


def test_no_recipient(scene: Scene) -> None:
    scene.set(recipient="")
    scene.survey(ada())
    with pytest.raises(UsageError, match=r"^\[hie\.hx\] names no recipient, so nothing may be sent to it$"):
        scene.plan()
    assert scene.wire.sent == []


def test_a_recipient_without_a_rule(scene: Scene) -> None:
    scene.set(recipient="somebody")
    scene.survey(ada())
    nothing_leaves(scene, "no_rule", ["language_spoken", RACE])


@pytest.mark.parametrize(("rule", "allowed"), [({"to": "2026-05-31"}, False), ({"to": "2026-06-01"}, True)])
def test_a_rule_that_ends(scene: Scene, rule: Any, allowed: bool) -> None:
    scene.rules(REL | rule)
    scene.survey(ada())
    if allowed:
        assert len(scene.plan().changes) == 1
    else:
        nothing_leaves(scene, "no_rule", ["language_spoken", RACE])


@pytest.mark.parametrize(("since", "allowed"), [("2026-06-02", False), ("2026-06-01", True)])
def test_a_rule_that_is_not_in_force_yet(scene: Scene, since: str, allowed: bool) -> None:
    scene.rules(REL | {"from": since})
    scene.survey(ada())
    if allowed:
        assert len(scene.plan().changes) == 1
    else:
        nothing_leaves(scene, "no_rule", ["language_spoken", RACE])


def test_one_topic_only(scene: Scene) -> None:
    scene.rules({"topics": ["language_spoken"]})
    scene.survey(ada())
    made = scene.plan()
    assert changed(made) == [("create", {"language_spoken": "add"})]
    assert made.withheld == {(RACE, "no_rule"): 1}


def test_no_rules_at_all(scene: Scene) -> None:
    scene.rules()
    scene.survey(ada())
    nothing_leaves(scene, "no_rule", ["language_spoken", RACE])


def test_sensitive_topics_are_withheld(scene: Scene) -> None:
    scene.survey(ada(sexual_orientation="Bisexual", gender_identity="Nonbinary"))
    made = scene.plan()
    reason = "no_rule_sensitive"
    assert made.withheld == {("sexual_orientation", reason): 1, ("gender_identity", reason): 1}
    assert changed(made) == [("create", {RACE: "add", "language_spoken": "add"})]


def test_a_restricted_record(scene: Scene, tmp_path: Path) -> None:
    scene.enroll(enrolled())
    path = tmp_path / "enrollment.834"
    ins = b"INS*Y*18*030**A***FT"
    assert path.read_bytes().count(ins) == 1
    path.write_bytes(path.read_bytes().replace(ins, ins + b"*****R"))
    scene.ingest(path)
    nothing_leaves(scene, "record_restricted", [RACE, "sex", "language_spoken"])


def test_a_provisional_tie_is_not_sent(scene: Scene) -> None:
    scene.survey(ada(), ada(race_ethnicity="Asian"))
    made = scene.plan()
    assert made.withheld == {(RACE, "tie_undecided"): 1}
    assert changed(made) == [("create", {"language_spoken": "add"})]


# Whose answer is better.


def test_our_better_method_replaces(scene: Scene) -> None:
    scene.survey(ada(language_spoken=""))
    scene.put(theirs("Asian"))
    assert changed(scene.plan()) == [("update", {RACE: "replace"})]


def test_their_better_method_is_kept(scene: Scene) -> None:
    scene.attest(method="self")
    scene.enroll(enrolled())
    scene.put(theirs("Asian"))
    made = scene.plan()
    assert made.theirs_kept == {RACE: 1}
    assert changed(made) == [("update", {"language_spoken": "add"})]


def test_what_we_took_over_from_them_is_theirs_to_change(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="", language_spoken=""))
    key = scene.put(theirs("Asian"))
    scene.pull()
    made = scene.plan()
    assert (made.agreed, made.changes) == (1, [])
    scene.put({**theirs("White"), "id": key})
    made = scene.plan()
    assert (made.theirs_kept, made.changes, made.conflicts) == ({RACE: 1}, [], [])


def test_the_same_standing_is_a_conflict(scene: Scene) -> None:
    scene.enroll(enrolled(spoken=None))
    scene.put(theirs("Asian"))
    made = scene.plan()
    assert (left(made), made.changes) == ([(RACE, "same_standing")], [])


def test_a_refusal_there_is_not_ours_to_undo(scene: Scene) -> None:
    scene.enroll(enrolled(spoken=None))
    scene.put(theirs(extension=[omb("race", "Declined")]))
    made = scene.plan()
    assert (left(made), made.changes) == ([(RACE, "declined_there")], [])


def test_a_refusal_here_leaves_their_answer(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Prefer not to say", language_spoken=""))
    scene.put(theirs("White"))
    made = scene.plan()
    assert (made.theirs_kept, made.changes, made.conflicts) == ({RACE: 1}, [], [])


def test_our_own_earlier_word_is_replaced(scene: Scene) -> None:
    scene.enroll(enrolled(spoken="ENG"))
    key = scene.put(theirs())
    scene.plan()
    assert scene.apply().statuses == {"verified": 1}
    assert languages_of(scene.get(key)) == ["en"]
    scene.as_of = "2026-06-05"
    scene.enroll(enrolled(spoken="SPA"))  # the same method, but what stands there is only our own
    assert changed(scene.plan()) == [("update", {"language_spoken": "replace"})]


def test_our_word_in_a_patient_that_is_gone_is_not_our_word_in_another(scene: Scene) -> None:
    scene.enroll(enrolled(spoken=None))
    old = scene.put(theirs())
    scene.plan()
    assert scene.apply().statuses == {"verified": 1}
    scene.delete(old)
    scene.put(theirs("White"))
    scene.as_of = "2026-06-05"
    scene.enroll(enrolled(spoken=None, race=":RET:2028-9"))
    made = scene.plan()
    assert (left(made), made.changes) == ([(RACE, "same_standing")], [])
    assert left(scene.plan()) == [(RACE, "same_standing")]


def test_a_part_that_would_be_removed(scene: Scene) -> None:
    scene.survey(ada(race_ethnicity="Hispanic or Latino", language_spoken=""))
    scene.put(theirs("White"))
    made = scene.plan()
    assert (left(made), made.changes) == ([(RACE, "would_remove_part")], [])


def test_unknown_there_is_filled(scene: Scene) -> None:
    scene.enroll(enrolled(spoken=None))
    scene.put(theirs(extension=[omb("race", "Unknown")]))
    assert changed(scene.plan()) == [("update", {RACE: "add"})]


# Modes and bad servers.


def test_read_only(scene: Scene) -> None:
    scene.set(mode="read-only")
    scene.survey(ada())
    message = r"^\[hie\.hx\] is read-only; set its mode to contributor or editor to send$"
    with pytest.raises(UsageError, match=message):
        scene.plan()
    assert scene.wire.sent == []


def test_nobody_can_be_found_without_systems(scene: Scene) -> None:
    scene.set(identifier_systems=())
    with pytest.raises(UsageError, match=r"has no identifier_systems"):
        scene.plan()


def test_a_contributor_changes_only_what_it_made(scene: Scene) -> None:
    scene.set(mode="contributor")
    scene.survey(ada(), ada(member_id="M2"))
    scene.put(theirs("Asian"))
    made = scene.plan()
    assert left(made) == [(RACE, "contributor_only"), ("language_spoken", "contributor_only")]
    assert [change.action for change in made.changes] == ["create"]
    assert scene.apply().statuses == {"verified": 1}
    scene.as_of = "2026-06-05"
    scene.survey(ada(survey_date="2026-06-02"), ada(member_id="M2", survey_date="2026-06-02", race_ethnicity="Asian"))
    made = scene.plan()
    assert changed(made) == [("update", {RACE: "replace"})]
    assert scene.apply().statuses == {"verified": 1}


def test_a_server_without_versions(scene: Scene) -> None:
    scene.survey(ada())
    key = scene.put(theirs())
    body = b'{"resourceType": "Patient", "id": "%s", "birthDate": "1980-01-02", ' % key.encode()
    body += b'"name": [{"family": "Ashgrove", "given": ["Ada"]}]}'
    answer = Response(body, media_type="application/fhir+json")
    scene.wire.before = lambda request: answer if request.method == "GET" else None
    made = scene.plan()
    assert (left(made), made.changes) == ([("", "no_version")], [])


def test_a_search_result_without_a_usable_id(scene: Scene) -> None:
    scene.survey(ada())
    body = b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "../a"}}]}'
    scene.wire.before = lambda _: Response(body, media_type="application/fhir+json")
    made = scene.plan()
    assert (left(made), made.changes) == ([("", "no_id")], [])


def test_an_empty_plan_takes_the_place_of_the_one_before(scene: Scene) -> None:
    scene.survey(ada())
    scene.put(theirs())
    assert len(scene.plan().changes) == 1
    scene.set(recipient="somebody")
    made = scene.plan()
    assert (made.name, made.changes) == ("hx-2", [])
    scene.set(recipient="demo-hie")
    done = scene.apply()
    assert (done.plan, done.statuses, done.left) == ("hx-2", {}, 0)
    assert scene.writes() == []
    with scene.workspace() as workspace, workspace.store.engine.connect() as connection:
        assert connection.exec_driver_sql("select plan, status from journal").all() == [("hx-1", "superseded")]


def test_the_hie_breaks_down_in_the_middle(scene: Scene) -> None:
    scene.survey(ada(), ada(member_id="M2", first_name="Bea"))
    scene.put(theirs())
    scene.plan()
    before = rows(scene)
    down = Response(status_code=500)
    scene.wire.before = lambda request: down if b"M2" in request.body else None
    with pytest.raises(RemoteError):
        scene.plan()
    assert rows(scene) == before


def rows(scene: Scene) -> list[str]:
    """Everything in the store but when which verb was run, and how that ended."""
    with closing(sqlite3.connect(scene.folder / "equity.db")) as connection:
        return [row for row in connection.iterdump() if not row.startswith('INSERT INTO "sync_run"')]
