"""An attacker that shares nothing with ours: it reads what was published, and knows how audits are made.

It knows of whom every count is (a partner's stratum and a program's line of that partner are the same people), that
counts are no less than 0, and nothing of the rule by which they were hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import numpy as np
from scipy.optimize import linprog

from tests.quality.publish.audits import document, program, row, stratum, topic

STATES = ("answered", "declined", "unknown")
VALUES = ("a", "b")
RACE, GENDER = "race_ethnicity", "gender_identity"
FLOORS = {RACE: 11, GENDER: 20}
Person = tuple[str, frozenset[str], str, str]  # an age, partners, a state of race, a state or a value of gender
Name = tuple[str, ...]


def people_of(random: Random) -> list[Person]:
    """Some people; now and then a state, a value or a partner is rare, and somebody has two partners."""
    ages = "123"[: random.choice((2, 3))]
    partners = "AB"[: random.choice((1, 2))]
    weights = [random.random() + 0.05 for _ in partners]
    rare = [random.choice((0, 0.2, 1)) for _ in range(5)]
    found = []
    for _ in range(random.choice((60, 150, 400))):
        whose = frozenset(partners if random.random() < 0.02 else random.choices(partners, weights))
        race = random.choices(STATES, (6, *rare[:2]))[0]
        gender = random.choices((*VALUES, "declined", "unknown"), (random.random() * 3, *rare[2:]))[0]
        found.append((random.choice(ages), whose, race, gender))
    return found


def later(random: Random, people: list[Person]) -> list[Person]:
    """Some of them have answered since, and some are new."""
    found = [*people]
    for _ in range(random.choice((1, 3, 8, 25, 60))):
        one = random.randrange(len(found))
        if random.random() < 0.6:
            found.append(found[one])
        else:
            age, whose, _, gender = found[one]
            found[one] = age, whose, "answered", gender
    return found


def audit_of(people: list[Person], data: str = "0a") -> dict[str, Any]:
    """Their audit by age and by partner, with a program whose lines are the partners."""
    ages = sorted({person[0] for person in people})
    partners = sorted({partner for person in people for partner in person[1]})
    strata = [_stratum("age", age, [each for each in people if each[0] == age]) for age in ages]
    strata += [_stratum("partner", name, [each for each in people if name in each[1]]) for name in partners]
    rows = []
    for line in (*partners, "") if len(partners) > 1 else ("",):
        among = [each for each in people if not line or line in each[1]]
        for measure, told, states in (("known", RACE, STATES[:1]), ("asked", RACE, STATES[:2]), ("gender", GENDER, "")):
            counted = sum(each[2] in states if states else each[3] in VALUES for each in among)
            rows.append(row(measure, counted, len(among), told) | {"line": line})
    given = document(len(people), _topics(people), strata=strata, programs={"p": program(rows, [], len(people))})
    given["run"]["inputs"][0]["sha256"] = data
    return given


def _stratum(name: str, value: str, people: list[Person]) -> dict[str, Any]:
    return stratum({name: value}, len(people), _topics(people))


def _topics(people: list[Person]) -> dict[str, Any]:
    values = Counter(each[3] for each in people if each[3] in VALUES)
    genders = Counter("answered" if each[3] in VALUES else each[3] for each in people)
    races = Counter(each[2] for each in people)
    return {RACE: topic(dict(races)), GENDER: topic(dict(genders), values=dict(values), unmapped=0)}


class Outsider:
    """Finds out what follows from a published document; of the true one it takes how each guess turns out."""

    def __init__(self, published: Mapping[str, Any], true: Mapping[str, Any]) -> None:
        self._places: dict[Name, int] = {}
        self._true: dict[int, int] = {}
        self._equations: list[tuple[dict[int, int], int]] = []
        self._goals: list[tuple[Name, dict[int, int]]] = []
        self._take((), published, true)
        for told, known in zip(published["strata"], true["strata"], strict=True):
            self._take(_place(known), told, known)
        for kind in ("age", "partner"):
            self._add_up([_place(each) for each in true["strata"] if kind in each["by"]])
        for each in published["programs"]["p"]["rows"]:
            self._rate(each)

    def found(self, width: int) -> list[Name]:
        """Small counts that can be told more narrowly than this."""
        matrix, rests = self._known()
        return [name for name, goal in self._small() if _spread(goal, matrix, rests) < width - 0.01]

    def changed(self, before: Outsider, width: int) -> list[Name]:
        """Counts that changed by few, and of which that can be told more narrowly than this."""
        common = [name for name in self._places if name in before._places and name[0] != "twice"]
        changes = {name: abs(self._true[self._places[name]] - before._true[before._places[name]]) for name in common}
        few = [name for name in common if 0 < changes[name] < FLOORS[RACE]]
        now, then = self._known(), before._known()
        spreads = {
            name: _spread({self._places[name]: 1}, *now) + _spread({before._places[name]: 1}, *then) for name in few
        }
        return [name for name, spread in spreads.items() if spread < width - 0.01]

    def _known(self) -> tuple[Any, list[int]]:
        size = len(self._places)
        matrix = np.zeros((len(self._equations), size))
        for number, (terms, _) in enumerate(self._equations):
            for place, factor in terms.items():
                matrix[number, place] = factor
        rests = [rest for _, rest in self._equations]
        assert np.allclose(matrix @ [self._true[place] for place in range(size)], rests), "the attacker is wrong"
        return matrix, rests

    def _small(self) -> Iterator[tuple[Name, dict[int, int]]]:
        for name, goal in self._goals:
            count = sum(factor * self._true[place] for place, factor in goal.items())
            least = 0 if len(goal) > 1 else 1  # nobody who is not in something sensitive is everybody who is
            if least <= count < FLOORS[name[-2]]:
                yield name, goal

    def _count(self, name: Name, true: int) -> int:
        place = self._places.setdefault(name, len(self._places))
        self._true[place] = true
        return place

    def _take(self, where: Name, told: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        people = self._count((*where, "people"), known["population"])
        self._tell(people, told["population"])
        for name, given in known["topics"].items():
            states = [self._count((*where, name, state), given["states"].get(state, 0)) for state in STATES]
            self._equations.append(({people: -1, **dict.fromkeys(states, 1)}, 0))
            self._goals += [((*where, name, state), {place: 1}) for state, place in zip(STATES, states, strict=True)]
            shown = told["topics"].get(name)
            for state, place in zip(STATES, states, strict=True):
                self._tell(place, shown["states"].get(state, 0) if shown else None)
            if name == GENDER and given["states"].get("answered"):
                self._goals.append(((*where, name, "not answered"), {people: 1, states[0]: -1}))
                if not where:
                    self._values(states[0], shown, given)

    def _values(self, answered: int, shown: Mapping[str, Any] | None, given: Mapping[str, Any]) -> None:
        places = {value: self._count((GENDER, value), given["values"].get(value, 0)) for value in VALUES}
        self._equations.append(({answered: -1, **dict.fromkeys(places.values(), 1)}, 0))
        for value, place in places.items():
            self._tell(place, shown["values"].get(value, 0) if shown and "values" in shown else None)
            if self._true[place]:
                self._goals.append(((GENDER, f"not {value}"), {answered: 1, place: -1}))

    def _tell(self, place: int, count: int | None) -> None:
        if count is not None:
            self._equations.append(({place: 1}, count))

    def _add_up(self, parts: list[Name]) -> None:
        """Strata are all people, of whom some are in two of them."""
        for name in [name for name in self._places if name == ("people",) or (len(name) == 2 and name[1] in STATES)]:
            terms = {self._places[*part, *name]: 1 for part in parts} | {self._places[name]: -1}
            twice = sum(factor * self._true[place] for place, factor in terms.items())
            if parts[0][0].startswith("partner"):
                terms[self._count(("twice", *name), twice)] = -1
            self._equations.append((terms, 0))

    def _rate(self, told: Mapping[str, Any]) -> None:
        where = (f"partner {told['line']}",) if told["line"] else ()
        people, unknown = self._places[*where, "people"], self._places[*where, told["topic"], "unknown"]
        self._tell(people, told["denominator"])
        if told["numerator"] is None:
            return
        if told["measure"] == "asked":
            self._equations.append(({people: 1, unknown: -1}, told["numerator"]))
        else:
            self._tell(self._places[*where, told["topic"], "answered"], told["numerator"])


def _place(known: Mapping[str, Any]) -> Name:
    return tuple(f"{name} {value}" for name, value in known["by"].items())


def _spread(goal: Mapping[int, int], matrix: Any, rests: list[int]) -> float:
    weights = np.zeros(matrix.shape[1])
    weights[list(goal)] = list(goal.values())
    low, high = (linprog(sign * weights, A_eq=matrix, b_eq=rests, bounds=(0, None)) for sign in (1, -1))
    return float("inf") if low.fun is None or high.fun is None else -high.fun - low.fun
