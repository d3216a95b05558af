"""Somebody else writes to the same Patients: what they say is theirs."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.client import OK

import httpx
import pytest

from fhir_equity.errors import RemoteError, UsageError
from fhir_equity.pipeline.probe import sync_probe
from tests.servers.hies import Json
from tests.servers.place import Place
from tests.servers.scenarios.table import FOREIGN, YES, foreign, scenario, settled
from tests.sync.scene import HIE, languages_of, race_of, theirs


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
                reply = place.server.ask("GET", f"Patient/{key}")
                if reply.status_code != OK:
                    continue  # the database of the server is busy with us
                there = reply.json()
                number = {"system": "phone", "value": f"555-{written[key] + 1:04}"}
                changed: Json = there | {"telecom": [*there.get("telecom", []), number]}
                if _put_if(place, changed):
                    written[key] += 1

    other = threading.Thread(target=write)
    other.start()
    try:
        for _ in range(3):
            with suppress(RemoteError):  # a read that a busy database fails ends the run; running again goes on
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
    return httpx.put(url, json=patient, headers=tag, timeout=60, trust_env=False).status_code == OK


@scenario
def both_changed(place: Place) -> str:
    """Both sides changed the same answer since they agreed: a conflict for a person, and neither side is overwritten"""
    place.attest(method="self")
    place.survey(place.row())
    settled(place)
    [there] = place.people(1)
    put = theirs("Asian", "es", place.number(1))
    place.put({**put, "id": there["id"]})
    place.survey(place.row(1, race_ethnicity="Black or African American", survey_date="2026-05-20"))
    made = place.plan()
    assert [(left.matter, left.reason) for left in made.conflicts] == [("race_ethnicity", "same_standing")]
    assert [change.matters for change in made.changes] == []
    place.server.faults()
    assert place.apply().statuses == {}
    assert {each["method"] for each in place.server.went()} <= {"GET", "SEARCH"}
    assert race_of(place.get(there["id"])) == ["2028-9"]
    place.put({**place.get(there["id"]), **theirs("Asian", "fr", place.number(1))})
    made = place.plan()
    assert made.theirs_kept == {"language_spoken": 1}  # only they moved, so theirs is the newer word
    assert languages_of(place.get(there["id"])) == ["fr"]
    return YES


@scenario
def if_match_not_honoured(place: Place) -> str:
    """The same server behind something that takes If-Match away: a probe finds out, nothing is written unless
    `accept_lost_update` is set, and then what others write meanwhile is lost"""
    place.survey(place.row())
    key = place.known(1, "Asian", **foreign("Asian"))
    unconditional = {"kinds": ["unconditional"], "methods": ["PUT", "PATCH", "DELETE"]}
    place.set(sandbox=True, provenance=False)
    place.server.faults(unconditional)
    with place.workspace() as workspace:
        found = sync_probe(workspace, HIE, write_canary=True)
    assert (found.profile.if_match, found.profile.may_patch, found.left) == (False, False, 0)
    assert [change.action for change in place.plan().changes] == ["update"]
    place.server.faults(unconditional)
    with pytest.raises(UsageError, match="accept_lost_update"):
        place.apply()
    assert place.server.went() == []
    assert race_of(place.get(key)) == ["2028-9"]
    place.set(accept_lost_update=True)
    place.server.faults({"kinds": ["overtaken-unconditional"], "methods": ["PUT"], "times": 1})
    assert place.apply().statuses == {"verified": 1}
    there = place.get(key)
    assert race_of(there) == ["2106-3"]
    assert len(there["telecom"]) == 1  # somebody wrote a second one, which is what was accepted
    return YES
