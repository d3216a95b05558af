"""What synchronising must withstand, each played with every server; the docstring is the row of the README's matrix.

A scenario returns what its cell says: ``yes``, or ``no ...`` where the server has nothing to play it with.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fhir_equity.errors import RemoteError
from fhir_equity.pipeline.probe import sync_probe
from fhir_equity.pipeline.sync import sync_pull, sync_recall
from fhir_equity.settings import SmartSettings
from tests.servers.hies import Json
from tests.servers.place import Place
from tests.sync.scene import HIE, languages_of, omb, race_of

Scenario = Callable[[Place], str]
SCENARIOS: dict[str, Scenario] = {}
YES = "yes"
KILLS = 4  # rounds in the test; `python -m tests.servers.kills` has more
# What a Patient of theirs may have beside our answers.
FOREIGN: Json = {
    "active": True,
    "extension": [
        {"url": "https://hie.example/vip", "valueBoolean": False},
        {"url": "https://hie.example/consent", "extension": [{"url": "on", "valueDate": "2020-02-03"}]},
    ],
    "telecom": [{"system": "phone", "value": "555-0100", "use": "home"}],
    "address": [{"line": ["1 Invented Way"], "city": "Springfield"}],
    "maritalStatus": {"text": "not ours to say"},
}


def scenario(play: Scenario) -> Scenario:
    """Enter a scenario into the table, by its name."""
    SCENARIOS[play.__name__] = play
    return play


def tried(place: Place, rounds: int) -> None:
    """Plan and apply as often as the night allows, until a new plan is empty."""
    for _ in range(rounds):
        with contextlib.suppress(RemoteError):
            if not place.plan().changes:
                return
            place.apply()


def settled(place: Place) -> None:
    """Plan and apply until a new plan is empty, which it becomes."""
    for _ in range(3):
        if not place.plan().changes:
            return
        place.apply()
    assert place.plan().changes == []


@scenario
def create_people(place: Place) -> str:
    """New people: created once, read back, a new plan is empty; no identifier in any address"""
    place.set(mode="contributor")
    place.survey(*[place.row(n, race_ethnicity="Asian" if n % 2 else "White") for n in range(1, 6)])
    assert len(place.plan().changes) == 5
    assert place.apply().statuses == {"verified": 5}
    assert [race_of(each) for each in place.people(5)] == [["2028-9"], ["2106-3"]] * 2 + [["2028-9"]]
    assert {tuple(languages_of(each)) for each in place.people(5)} == {("es",)}
    again = place.plan()
    assert (again.changes, again.conflicts) == ([], [])
    assert again.agreed >= 10
    went = place.server.went()
    assert {"SEARCH", "POST", "GET"} <= {each["method"] for each in went}
    assert not any(place.run in each["path"] for each in went)
    return YES


@scenario
def update_and_keep_the_rest(place: Place) -> str:
    """An update with If-Match changes our answers and nothing else of the Patient"""
    place.survey(place.row())
    key = place.known(1, "Asian", "fr", **(FOREIGN | {"extension": [*FOREIGN["extension"], omb("race", "Asian")]}))
    before = place.get(key)
    assert [change.action for change in place.plan().changes] == ["update"]
    assert place.apply().statuses == {"verified": 1}
    after = place.get(key)
    assert race_of(after) == ["2106-3"]
    assert languages_of(after) == ["es"]
    for patient in (before, after):
        patient["extension"] = [each for each in patient["extension"] if "hie.example" in each["url"]]
        patient.pop("communication")
        patient.pop("meta")
        patient.pop("text", None)
    assert after == before
    assert place.plan().changes == []
    return YES


@scenario
def somebody_else_was_faster(place: Place) -> str:
    """Changed between our read and our write: the stale ETag is refused, planned again, and nothing is lost"""
    place.survey(*[place.row(n) for n in range(1, 4)])
    keys = [place.known(n, "Asian", **FOREIGN) for n in range(1, 4)]
    assert len(place.plan().changes) == 3
    place.server.faults({"kinds": ["overtaken"], "methods": ["PUT"], "times": 2})
    assert place.apply().statuses == {"moved": 2, "verified": 1}
    place.server.faults()
    settled(place)
    found = [place.get(key) for key in keys]
    assert [race_of(each) for each in found] == [["2106-3"]] * 3
    assert [len(each["telecom"]) for each in found] == [2, 2, 1]
    return YES


@scenario
def somebody_else_writes_all_the_time(place: Place) -> str:
    """Another system changes the same Patients while we write: its words and ours are all there in the end"""
    place.survey(*[place.row(n) for n in range(1, 7)])
    keys = [place.known(n, "Asian") for n in range(1, 7)]
    stopped, written = threading.Event(), dict.fromkeys(keys, 0)

    def write() -> None:
        while not stopped.is_set():
            for key in keys:
                there = place.server.ask("GET", f"Patient/{key}").json()
                number = {"system": "phone", "value": f"555-{written[key] + 1:04}"}
                changed: Json = there | {"telecom": [*there.get("telecom", []), number]}
                if _put_if(place, changed):
                    written[key] += 1

    other = threading.Thread(target=write)
    other.start()
    try:
        for _ in range(3):
            place.plan()
            place.apply()
    finally:
        stopped.set()
        other.join()
    settled(place)
    found = [place.get(key) for key in keys]
    assert [race_of(each) for each in found] == [["2106-3"]] * 6
    assert [len(each.get("telecom", [])) for each in found] == [written[key] for key in keys]
    assert sum(written.values()) > 0
    return YES


def _put_if(place: Place, patient: Json) -> bool:
    tag = {"If-Match": f'W/"{patient["meta"]["versionId"]}"', "Content-Type": "application/fhir+json"}
    url = f"{place.server.direct}/Patient/{patient['id']}"
    return httpx.put(url, json=patient, headers=tag, timeout=60, trust_env=False).status_code == 200


def _bad_night(place: Place, *rules: Json) -> None:
    """Half of six people are there already; whatever happens, in the end each is there once, with our answers."""
    place.set(timeout=2.0, attempts=4)
    place.survey(*[place.row(n) for n in range(1, 7)])
    for n in range(1, 7, 2):
        place.known(n, "Asian", **FOREIGN)
    place.server.faults(*rules)
    tried(place, rounds=3)
    happened = {each["kind"] for each in place.server.went()}
    place.server.faults()
    settled(place)
    assert happened >= {kind for rule in rules for kind in rule["kinds"]}
    found = place.people(6)
    assert [race_of(each) for each in found] == [["2106-3"]] * 6
    assert [languages_of(each) for each in found] == [["es"]] * 6
    assert [len(each.get("telecom", [])) for each in found] == [1, 0] * 3


@scenario
def busy(place: Place) -> str:
    """429 and 503, Retry-After in seconds and as a date"""
    _bad_night(place, {"kinds": ["429", "503", "503-date"], "share": 0.3, "seed": 7, "seconds": 0})
    return YES


@scenario
def cut_off(place: Place) -> str:
    """Connections cut before the server has seen the request"""
    _bad_night(place, {"kinds": ["reset"], "share": 0.3, "seed": 7})
    return YES


@scenario
def lost_answers(place: Place) -> str:
    """The server has written, its answer never arrives (cut off, 504, too late): no duplicate"""
    _bad_night(place, {"kinds": ["lost", "gateway", "slow"], "methods": ["POST", "PUT"], "times": 6, "seconds": 3})
    return YES


@scenario
def broken_answers(place: Place) -> str:
    """Answers cut short, and a log-in page with status 200 instead of FHIR"""
    _bad_night(place, {"kinds": ["truncated", "html"], "share": 0.15, "seed": 3})
    return YES


@scenario
def pull_and_echo(place: Place) -> str:
    """Pull: news come in with the HIE as origin, our own words coming back are left out, then only what changed"""
    place.survey(place.row(1), place.row(2, language_spoken=""))
    settled(place)
    key = place.people(2)[1]["id"]
    first = place.pull()
    assert (first.new_answers, first.pulled.members) == (0, 0)
    assert first.pulled.echoes >= 3
    there = place.get(key)
    place.put(there | {"communication": [_speaks("fr")]})
    place.server.faults()
    second = place.pull()
    assert (second.new_answers, second.pulled.members) == (1, 1)
    asked = [each["body"] for each in place.server.went() if each["path"].endswith("/Patient/_search")]
    assert any("_lastUpdated=ge" in body for body in asked)  # there is an overlap, so not how many came
    assert ("hx", "hie", "unstated") in {origin[1:] for origin in place.origins()}
    assert place.pull().new_answers == 0
    return YES


def _speaks(code: str) -> Json:
    return {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}, "preferred": True}


@scenario
def out_of_use(place: Place) -> str:
    """Inactive or merged Patients are not written to; the one that took their place is"""
    place.survey(place.row(1), place.row(2))
    still = place.known(1, "Asian", active=False)
    survivor = place.known(2, "Asian")
    link: list[dict[str, Any]] = [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
    merged = place.known(2, "Asian", link=link)
    settled(place)
    assert [left.reason for left in place.plan().conflicts] == ["not_active"]
    assert race_of(place.get(still)) == ["2028-9"]
    assert race_of(place.get(merged)) == ["2028-9"]
    assert race_of(place.get(survivor)) == ["2106-3"]
    return YES


@scenario
def deleted(place: Place) -> str:
    """A Patient deleted there after the plan is not written to; the next plan decides again"""
    place.survey(place.row())
    key = place.known(1, "Asian")
    assert [change.action for change in place.plan().changes] == ["update"]
    place.delete(key)
    assert place.apply().statuses == {"moved": 1}
    settled(place)
    assert [each["id"] == key for each in place.people(1)] == [False]
    return YES


@scenario
def withheld(place: Place) -> str:
    """Without a rule no sexual orientation and no gender identity leaves, in no element and no request"""
    place.survey(place.row(1, sexual_orientation="Bisexual", gender_identity="Nonbinary"))
    made = place.plan()
    assert {topic for topic, _ in made.withheld} >= {"sexual_orientation", "gender_identity"}
    place.apply()
    sent = " ".join(each["body"] for each in place.server.went()).casefold()
    assert "2106-3" in sent
    assert not any(
        word in sent for word in ("bisexual", "42035005", "nonbinary", "33791000087105", "76690-7", "76691-5")
    )
    return YES


@scenario
def sent_by_rule(place: Place) -> str:
    """With a rule that names them they leave as Observations of our own, each once however often it is sent"""
    topics = ["race_ethnicity", "language_spoken", "sexual_orientation", "gender_identity"]
    place.rules({"topics": topics})
    place.survey(place.row(1, sexual_orientation="Bisexual", gender_identity="Nonbinary"))
    key = place.known(1, "Asian")
    place.plan()
    place.server.faults({"kinds": ["lost"], "methods": ["POST"], "times": 2})
    tried(place, rounds=2)
    place.server.faults()
    settled(place)
    assert sorted(_observed(place, key)) == [("76690-7", "final"), ("76691-5", "final")]
    return YES


def _observed(place: Place, key: str) -> list[tuple[str, str]]:
    """(code, status) of the Observations of a Patient."""
    found = place.server.ask("GET", f"Observation?subject=Patient/{key}&_count=50").json()
    held = [entry["resource"] for entry in found.get("entry", [])]
    return [(each["code"]["coding"][0]["code"], each["status"]) for each in held]


@scenario
def recalled(place: Place) -> str:
    """What may not stay (an opt-out) is withdrawn, looked for, and gone; what others said is still there"""
    place.rules({"topics": ["race_ethnicity", "language_spoken", "sexual_orientation"]})
    place.survey(place.row(1, sexual_orientation="Bisexual"))
    key = place.known(1, **FOREIGN)
    settled(place)
    place.opt_out(place.number(1))
    with place.workspace() as workspace:
        done = sync_recall(workspace, HIE)
    assert set(done.applied.statuses) == {"verified"}
    there = place.get(key)
    assert (race_of(there), languages_of(there), len(there["telecom"])) == ([], [], 1)
    assert _observed(place, key) == [("76690-7", "entered-in-error")]
    assert place.plan().changes == []
    return YES


@scenario
def probed(place: Place) -> str:
    """A probe with invented Patients finds out what the server does (If-Match, rollback), and deletes them"""
    if "capability" in place.server.kind.lacks:
        return "no CapabilityStatement"
    place.set(sandbox=True)
    with place.workspace() as workspace:
        found = sync_probe(workspace, HIE, write_canary=True)
    assert (found.profile.if_match, found.profile.rollback, found.left) == (True, True, 0)
    assert found.profile.conditional_create
    return YES


@scenario
def exported(place: Place) -> str:
    """A Bulk Data export of the system, to its end: kicked off, asked for, fetched, taken in, deleted there"""
    if "export" in place.server.kind.lacks:
        return "no $export"
    place.survey(place.row())
    place.known(1, "Asian", "fr")
    with place.workspace() as workspace:
        first = sync_pull(workspace, HIE, "system")
    assert first.new_answers >= 2
    assert first.unexported == {}
    assert ("race_ethnicity", "hx", "hie", "unstated") in place.origins()
    return YES


@scenario
def tokens_end(place: Place) -> str:
    """SMART Backend Services (oidc-provider, RS384 and ES384): tokens that end in mid-run are renewed"""
    issuer = place.server.issuer
    for number, algorithm in enumerate(("RS384", "ES384")):
        folder = place.folder / algorithm
        folder.mkdir()
        guarded = Place(folder, place.server, attempts=4)
        guarded.set(smart=SmartSettings(client_id=f"plan-{algorithm}", key_file=issuer.key_file(algorithm)))
        guarded.survey(*[guarded.row(n) for n in range(1, 5)])
        guarded.known(1, "Asian")
        place.server.faults(issuer=issuer.address, uses=5 + number)
        assert len(guarded.plan().changes) == 4
        assert guarded.apply().statuses == {"verified": 4}
        assert guarded.plan().changes == []
        assert [race_of(each) for each in guarded.people(4)] == [["2106-3"]] * 4
        guarded.set(smart=None)
        with pytest.raises(RemoteError, match="401"):  # the guard is there
            guarded.pull()
    return YES


@scenario
def killed(place: Place) -> str:
    """kill -9 of the client at seeded requests: everybody is there once, with our answers, a new plan is empty"""
    assert survived(place, rounds=KILLS, seed=7) >= KILLS
    return YES


def survived(place: Place, rounds: int, seed: int) -> int:
    """How many kills were survived in so many rounds, each with people and a store of its own."""
    chance, kills = random.Random(seed), 0
    for number in range(rounds):
        folder = place.folder / f"round-{number}"
        folder.mkdir()
        night = Place(folder, place.server)
        night.survey(*[night.row(n) for n in range(1, 5)])
        night.known(1, "Asian")
        night.plan()
        while _killed(night, chance.randint(0, 12), chance.choice(("kill", "killed-after"))):
            kills += 1
            if chance.random() < 0.5:
                night.plan()
        night.server.faults()
        settled(night)
        assert [race_of(each) for each in night.people(4)] == [["2106-3"]] * 4
    return kills


def _killed(place: Place, skip: int, kind: str) -> bool:
    """Apply in a process of its own that is killed at a request; whether it was, or came to its end before."""
    child = os.fork()
    if not child:
        place.server.faults({"kinds": [kind], "skip": skip, "times": 1, "pid": os.getpid()})
        place.apply()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0
