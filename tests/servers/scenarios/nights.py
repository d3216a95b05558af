"""Bad nights: answers are late, broken or lost, and the client is killed."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

from tests.servers.hies import Json
from tests.servers.place import Place
from tests.servers.scenarios.table import FOREIGN, YES, scenario, settled, tried
from tests.sync.scene import languages_of, race_of

KILLS = 25  # in the test; `python -m tests.servers.kills` has more


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
def killed(place: Place) -> str:
    """kill -9 of the client at seeded requests: everybody is there once, with our answers, a new plan is empty"""
    survive(place, KILLS, seed=7)
    return YES


def survive(place: Place, kills: int, seed: int) -> int:
    """In how many rounds so many kills were survived, each round with people and a store of its own."""
    chance, rounds = random.Random(seed), 0
    while kills > 0:
        rounds += 1
        folder = place.folder / f"round-{rounds}"
        folder.mkdir()
        night = Place(folder, place.server)
        night.survey(*[night.row(n) for n in range(1, 5)])
        night.known(1, "Asian")
        night.plan()
        while killed_at(night, skip=chance.randint(0, 12), kinds=[chance.choice(("kill", "killed-after"))]):
            kills -= 1
            if chance.random() < 0.5:
                night.plan()
        night.server.faults()
        settled(night)
        assert [race_of(each) for each in night.people(4)] == [["2106-3"]] * 4
    return rounds


def killed_at(place: Place, **rule: Any) -> bool:
    """Apply in a process of its own that is killed at a request; whether it was, or came to its end before."""
    child = os.fork()
    if not child:
        place.server.faults(rule | {"times": 1, "pid": os.getpid()})
        place.apply()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0
