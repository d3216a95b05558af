"""What synchronising must withstand, each played with every server; the docstring is the row of the README's matrix.

A scenario returns what its cell says: ``yes``, or ``no ...`` where the server has nothing to play it with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from fhir_equity.errors import RemoteError
from tests.servers.hies import Json
from tests.servers.place import Place
from tests.sync.scene import omb

Scenario = Callable[[Place], str]
SCENARIOS: dict[str, Scenario] = {}
YES = "yes"
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


def foreign(race: str) -> Json:
    """The same of a Patient who has this race."""
    return FOREIGN | {"extension": [*FOREIGN["extension"], omb("race", race)]}


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
