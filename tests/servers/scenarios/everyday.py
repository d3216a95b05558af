"""An ordinary night: people are made, changed, found, and what they say is taken in."""

from __future__ import annotations

from typing import Any

from fhir_equity.pipeline.probe import sync_probe
from fhir_equity.pipeline.sync import sync_pull
from tests.servers.hies import Json
from tests.servers.place import Place
from tests.servers.scenarios.table import YES, foreign, scenario, settled
from tests.sync.scene import HIE, languages_of, race_of


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
    key = place.known(1, "Asian", "fr", **foreign("Asian"))
    before = place.get(key)
    assert [change.action for change in place.plan().changes] == ["update"]
    assert place.apply().statuses == {"verified": 1}
    after = place.get(key)
    assert race_of(after) == ["2106-3"]
    assert languages_of(after) == ["es"]
    assert _rest(after) == _rest(before)
    assert place.plan().changes == []
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


FOUND = {"rollback": "no rollback", "paging": "no next page", "patch": "no safe JSON Patch"}  # by a probe


@scenario
def probed(place: Place) -> str:
    """A probe with invented Patients finds out what the server does (If-Match, rollback, patches), and deletes them"""
    place.set(sandbox=True)
    with place.workspace() as workspace:
        found = sync_probe(workspace, HIE, write_canary=True)
    assert (found.profile.if_match, found.profile.conditional_create, found.left) == (True, True, 0)
    lacks = place.server.kind.lacks
    assert {trait: getattr(found.profile, trait) for trait in FOUND} == {trait: trait not in lacks for trait in FOUND}
    absent = [words for trait, words in FOUND.items() if trait in lacks]
    return f"{YES}: {', '.join(absent)}" if absent else YES


@scenario
def patched(place: Place) -> str:
    """Where a probe found that JSON Patches are safe, an update is one; a stale one changes nothing, a lost answer is
    looked up, and the rest of the Patient stays"""
    place.set(sandbox=True, provenance=False, transactions=False)
    with place.workspace() as workspace:
        found = sync_probe(workspace, HIE, write_canary=True)
    assert found.left == 0
    if not found.profile.may_patch:
        assert "patch" in place.server.kind.lacks
        return _put_instead(place)
    place.survey(*[place.row(n) for n in range(1, 4)])
    keys = [place.known(n, "Asian", "fr", **foreign("Asian")) for n in range(1, 4)]
    rests = [_rest(place.get(key)) for key in keys]
    assert len(place.plan().changes) == 3
    place.server.faults({"kinds": ["overtaken", "lost"], "methods": ["PATCH"], "times": 2})
    assert place.apply().statuses == {"moved": 1, "verified": 2}
    went = place.server.went()
    settled(place)
    assert {each["method"] for each in [*went, *place.server.went()]} == {"GET", "SEARCH", "PATCH"}
    assert all('"op":"test"' in each["body"] for each in went if each["method"] == "PATCH")
    after = [place.get(key) for key in keys]
    assert [race_of(each) for each in after] == [["2106-3"]] * 3
    assert [languages_of(each) for each in after] == [["es"]] * 3
    assert [len(each["telecom"]) for each in after] == [2, 1, 1]  # somebody else was faster once
    assert [_rest(each) | {"telecom": rest["telecom"]} for each, rest in zip(after, rests, strict=True)] == rests
    return YES


def _put_instead(place: Place) -> str:
    """No patch is sent to a server that would carry out a stale one."""
    place.survey(place.row())
    key = place.known(1, "Asian", **foreign("Asian"))
    place.server.faults()
    settled(place)
    assert race_of(place.get(key)) == ["2106-3"]
    methods = {each["method"] for each in place.server.went()}
    assert "PUT" in methods
    assert "PATCH" not in methods
    return "no: it carries out stale patches, so it gets none"


def _rest(patient: Json) -> Json:
    """A Patient without what is ours to say, and what the server says of it."""
    foreign = [each for each in patient["extension"] if "hie.example" in each["url"]]
    ours = ("communication", "meta", "text")
    return {name: value for name, value in patient.items() if name not in ours} | {"extension": foreign}


@scenario
def together(place: Place) -> str:
    """Where a probe found that a transaction that fails leaves nothing, Patients go as one; its answer gets lost, and
    nobody is there twice"""
    place.set(sandbox=True, provenance=False)
    with place.workspace() as workspace:
        bundles = sync_probe(workspace, HIE, write_canary=True).profile.may_bundle
    assert bundles is ("rollback" not in place.server.kind.lacks)
    place.survey(*[place.row(n) for n in range(1, 7)])
    for n in range(1, 4):
        place.known(n, "Asian", "fr", **foreign("Asian"))
    assert len(place.plan().changes) == 6
    place.server.faults({"kinds": ["lost"], "methods": ["POST"], "times": 1})
    assert place.apply().statuses == {"verified": 6}
    went = place.server.went()
    sent = [each for each in went if '"transaction"' in each["body"]]
    assert len(sent) == (1 if bundles else 0)
    assert bool([each for each in went if each["method"] == "PUT"]) is not bundles
    assert [race_of(each) for each in place.people(6)] == [["2106-3"]] * 6
    assert place.plan().changes == []
    return YES if bundles else "no: it keeps what a failed one made, so it gets none"


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
