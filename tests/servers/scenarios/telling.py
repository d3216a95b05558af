"""Who told an answer: a Provenance of ours, made once and withdrawn with it, beside those of others."""

from __future__ import annotations

from fhir_equity.pipeline.sync import sync_recall
from tests.servers.hies import Json
from tests.servers.place import Place
from tests.servers.scenarios.leaving import observed
from tests.servers.scenarios.nights import killed_at
from tests.servers.scenarios.table import YES, foreign, scenario
from tests.sync.scene import HIE, languages_of, race_of

TOPICS = ["race_ethnicity", "language_spoken", "sexual_orientation"]  # each person stated all of them
KINDS = ["Observation", "Patient", "Patient"]  # what is told of then
CREATES = 2 * (1 + len(TOPICS))  # the Observation of each of two people, and who told what


@scenario
def told(place: Place) -> str:
    """Who told an answer (Provenance) is made once, kept up to date, and withdrawn by recall, also where the answers of
    all these writes get lost; others' Provenance stays as it is"""
    place.set(provenance=True, transactions=False)
    place.rules({"topics": TOPICS})
    place.survey(*[place.row(n, sexual_orientation="Bisexual") for n in (1, 2)])
    keys = [place.known(n, "Asian", **foreign("Asian")) for n in (1, 2)]
    others = [_foreign(place, key) for key in keys]
    assert sorted(change.action for change in place.plan().changes) == ["observe"] * 2 + ["tell"] * 6 + ["update"] * 2
    _lost(place, "POST")
    assert place.apply().statuses == {"verified": 2 + CREATES}
    _all_lost(place, "POST")
    assert [_kinds(place, key) for key in keys] == [KINDS] * 2
    assert [place.plan(everybody=everybody).changes for everybody in (False, True)] == [[], []]
    _changed(place, keys[1])
    _recalled(place, keys)
    assert [place.server.ask("GET", f"Provenance/{each['id']}").json() for each in others] == others
    return YES


def _changed(place: Place, key: str) -> None:
    """The second person says something newer: the Provenance that there is tells of it."""
    before = {each["id"] for each in _ours(place, key)}
    newer = {"race_ethnicity": "Black or African American", "language_spoken": "", "survey_date": "2026-05-20"}
    place.survey(place.row(2, **newer))
    changes = [(change.action, dict(change.matters)) for change in place.plan().changes]
    assert changes == [("update", {TOPICS[0]: "replace"}), ("tell", {TOPICS[0]: "replace"})]
    _lost(place, "PUT")
    assert place.apply().statuses == {"verified": 2}
    _all_lost(place, "PUT")
    found = _ours(place, key)
    assert {each["id"] for each in found} == before
    assert sorted(each["occurredDateTime"] for each in found) == ["2026-05-01", "2026-05-01", "2026-05-20"]
    assert place.plan().changes == []


def _recalled(place: Place, keys: list[str]) -> None:
    """The first person takes back what they allowed; the second stays as they are."""
    place.opt_out(place.number(1))
    _lost(place, "DELETE")
    with place.workspace() as workspace:
        assert sync_recall(workspace, HIE).applied.statuses == {"verified": 2 * len(TOPICS)}
        _all_lost(place, "DELETE")
        assert sync_recall(workspace, HIE).found == {}
    assert [_kinds(place, key) for key in keys] == [[], KINDS]
    assert [race_of(place.get(key)) for key in keys] == [[], ["2054-5"]]
    assert place.plan(everybody=True).changes == []


@scenario
def unseen(place: Place) -> str:
    """kill -9 of the client when the server has made something and before it says so: what nobody saw arrive (Patient,
    Observation, Provenance) is found by recall and withdrawn"""
    for number in range(2 + len(TOPICS)):
        folder = place.folder / f"kill-{number}"
        folder.mkdir()
        night = Place(folder, place.server, provenance=True, transactions=False)
        night.rules({"topics": TOPICS})
        night.survey(night.row(sexual_orientation="Bisexual"))
        night.plan()
        assert killed_at(night, kinds=["killed-after"], methods=["POST"], skip=number)
        night.server.faults()
        assert _made(night) == number + 1
        night.opt_out(night.number(1))
        with night.workspace() as workspace:
            assert set(sync_recall(workspace, HIE).applied.statuses) == {"verified"}
            assert sync_recall(workspace, HIE).found == {}
        [there] = night.people(1)
        assert (race_of(there), languages_of(there), _kinds(night, there["id"])) == ([], [], [])
        assert {status for _, status in observed(night, there["id"])} <= {"entered-in-error"}
    return YES


def _made(place: Place) -> int:
    """How many resources of ours are there."""
    [there] = place.people(1)
    return 1 + len(observed(place, there["id"])) + len(_ours(place, there["id"]))


def _lost(place: Place, method: str) -> None:
    place.server.faults({"kinds": ["lost"], "methods": [method]})


def _all_lost(place: Place, method: str) -> None:
    kinds = {each["kind"] for each in place.server.went() if each["method"] == method}
    assert kinds == {"lost"}
    place.server.faults()


def _foreign(place: Place, key: str) -> Json:
    """Somebody else says who told a Patient's record."""
    made: Json = {"resourceType": "Provenance", "target": [{"reference": f"Patient/{key}"}]}
    made |= {"recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "Somebody else"}}]}
    answer = place.server.ask("POST", "Provenance", made)
    assert answer.status_code == 201
    return dict(place.server.ask("GET", f"Provenance/{answer.json()['id']}").json())


def _ours(place: Place, key: str) -> list[Json]:
    """Every Provenance in which a Patient told something."""
    found = place.server.ask("GET", "Provenance?_count=1000").json()
    held = [entry["resource"] for entry in found.get("entry", [])]
    return [each for each in held if str(each["agent"][0]["who"].get("reference")).endswith(f"Patient/{key}")]


def _kinds(place: Place, key: str) -> list[str]:
    """What they are told of."""
    return sorted(each["target"][0]["reference"].split("/")[-2] for each in _ours(place, key))
