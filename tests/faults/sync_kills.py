"""Kill `sync apply` many times: ``python -m tests.faults.sync_kills [COUNT [URL of a PostgreSQL server]]``.

Each round has an empty store and an HIE that knows some of the people. The apply is killed (SIGKILL) at a random
moment: before or after a statement of the database, a commit, or a request. What goes on, with or without a new
plan, is killed at another one, until one comes to its end. Then everybody is there once, with what was planned.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from fhir_equity.adapters.fhir import validate
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.sync import sync_apply, sync_plan
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.sandbox import serve
from fhir_equity.sandbox.records import Records
from fhir_equity.settings import HieSettings, MappingSettings, PrivacySettings, Settings, StoreSettings
from fhir_equity.sync.looking import Selection
from fhir_equity.sync.transport import Transport
from fhir_equity.vocabulary import Vocabulary
from tests import postgresql
from tests.faults.points import kill, moments

AGAIN = 0.5  # how often what goes on is killed once more
PEOPLE, KNOWN = 5, 2  # the first of them have a Patient at the HIE already
SURVEY = "member_id,first_name,last_name,birth_date,survey_date,answered_by,race_ethnicity,language_spoken,"
SURVEY += "sexual_orientation,gender_identity\n"
RULE = """version = "kills"
[[rule]]
id = "all"
recipient = "demo-hie"
purpose = "operations"
topics = ["race_ethnicity", "language_spoken", "sexual_orientation", "gender_identity"]
from = "2026-01-01"
"""
_KNOWN: dict[str, Vocabulary] = {}  # tables are read once, and children take them over


class Place:
    """A folder with an HIE, its people, and stores."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self._url = folder, url
        rules = folder / "overlay" / "policies" / "release.toml"
        rules.parent.mkdir(parents=True)
        rules.write_text(RULE)
        rows = (
            f"M{n},Ada{n},Ashgrove,1980-01-0{n},2026-05-01,self,White,Spanish,Bisexual,Nonbinary\n"
            for n in range(1, PEOPLE + 1)
        )
        (folder / "survey.csv").write_text(SURVEY + "".join(rows))

    def workspace(self, store: str) -> Workspace:
        """A workspace on a store."""
        hie = HieSettings(
            url=self._url,
            recipient="demo-hie",
            mode="editor",
            unmatched="create",
            identifier_systems=(MEMBER_SYSTEM,),
        )
        settings = Settings(
            partner="demo-plan",
            store=StoreSettings(url=store),
            mappings=MappingSettings(overlay=self.folder / "overlay"),
            privacy=PrivacySettings(key_file=self.folder / "equity.key"),
            hie={"hx": hie},
        )
        made = Workspace(settings, "2026-06-01")
        made._vocabularies = _KNOWN
        return made

    def begin(self, store: str) -> None:
        """An HIE that knows some people, a store with all of them, and a plan."""
        with Records(self.folder / "hie.db").session() as session:
            for table in ("version", "current", "identifier", "cursor"):
                session._db.execute(f"delete from {table}")  # noqa: S608 -- our names
            for n in range(1, KNOWN + 1):
                name = [{"family": "Ashgrove", "given": [f"Ada{n}"]}]
                identifier = [{"system": MEMBER_SYSTEM, "value": f"M{n}"}]
                session.put("Patient", f"p{n}", {"identifier": identifier, "name": name, "birthDate": f"1980-01-0{n}"})
        with self.workspace(store) as workspace:
            ingest(workspace, [self.folder / "survey.csv"])
            sync_plan(workspace, "hx")

    def go_on(self, store: str, *, planning: bool) -> None:
        """Apply, with or without planning again before."""
        with self.workspace(store) as workspace:
            if planning:
                sync_plan(workspace, "hx")
            sync_apply(workspace, "hx")

    def found(self) -> tuple[Counter[str], Counter[str], list[str]]:
        """How many Patients have which number, how many Observations say what of whom, versions of the known."""
        with Records(self.folder / "hie.db").session() as session:
            patients = [each.resource for each in session.find("Patient", [], 1000)]
            observations = [each.resource for each in session.find("Observation", [], 1000)]
        whose = {each["id"]: each["identifier"][0]["value"] for each in patients}
        said: Counter[str] = Counter()
        for each in observations:
            value = each["valueCoding" if "valueCoding" in each else "valueCodeableConcept"]["coding"][0]["code"]
            who = whose[each["subject"]["reference"].removeprefix("Patient/")]
            said[f"{who} {each['code']['coding'][0]['code']} {value} {each['status']}"] += 1
        numbers = Counter(f"{whose[p['id']]} {_race(p)} {_language(p)}" for p in patients)
        return numbers, said, sorted(p["meta"]["versionId"] for p in patients if p["id"] in ("p1", "p2"))

    def left(self, store: str) -> tuple[int, int]:
        """What a new plan that looks at everybody would change, and leaves to a person."""
        with self.workspace(store) as workspace:
            made = sync_plan(workspace, "hx", Selection(everybody=True))
            return len(made.changes), len(made.conflicts)


def _race(patient: dict[str, Any]) -> str:
    extensions = [each for each in patient.get("extension", []) if each["url"].endswith("us-core-race")]
    return " ".join(p["valueCoding"]["code"] for each in extensions for p in each["extension"] if "valueCoding" in p)


def _language(patient: dict[str, Any]) -> str:
    return " ".join(each["language"]["coding"][0]["code"] for each in patient.get("communication", []))


@contextmanager
def requests_too(point: int) -> Iterator[list[int]]:
    """As `moments` with a kill, requests to the HIE counted as well."""
    real = Transport.send
    with moments(point, kill) as counted:

        def moment() -> None:
            counted[0] += 1
            if counted[0] == point:
                os.kill(os.getpid(), signal.SIGKILL)

        def send(*arguments: Any) -> Any:
            moment()
            reply = real(*arguments)
            moment()
            return reply

        Transport.send = send  # type: ignore[method-assign, assignment]
        try:
            yield counted
        finally:
            Transport.send = real  # type: ignore[method-assign]


def killed(place: Place, store: str, point: int, *, planning: bool) -> bool:
    """Go on in a process of its own that is killed at a moment; whether it was, or came to its end before."""
    child = os.fork()
    if not child:
        with requests_too(point):
            place.go_on(store, planning=planning)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise ValueError(f"the apply ended with {status}")
    return status != 0


def survive(place: Place, new_url: Callable[[], str], rounds: int, seed: int) -> tuple[int, int]:
    """How many kills were survived in so many rounds, and how many resources came out. Raises ValueError otherwise."""
    whole = new_url()
    place.begin(whole)
    with requests_too(0) as counted:
        place.go_on(whole, planning=False)
    expected, (most,) = place.found(), counted
    if place.left(whole) != (0, 0) or set(expected[0].values()) | set(expected[1].values()) != {1}:
        raise ValueError("an apply that nobody kills does not end as planned")
    chance, kills = random.Random(seed), 0
    for number in range(rounds):
        url = new_url()
        place.begin(url)
        planning = False
        while killed(place, url, chance.randint(1, most), planning=planning):
            kills += 1
            planning = chance.random() < AGAIN
            if chance.random() > AGAIN:
                place.go_on(url, planning=planning)
                break
        if place.found() != expected:
            raise ValueError(f"round {number} of seed {seed} left something else at the HIE")
        if place.left(url) != (0, 0):
            raise ValueError(f"round {number} of seed {seed} left something to do")
    return kills, len(expected[0]) + len(expected[1])


@contextmanager
def hie(folder: Path) -> Iterator[str]:
    """The sandbox in a process of its own, because this one forks."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        serve(folder / "hie.db", ready=lambda url: os.write(writer, f"{url}\n".encode()))
        os._exit(0)
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            yield told.readline().strip()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def main(arguments: list[str]) -> None:
    """Kill on SQLite and on PostgreSQL, and tell."""
    rounds = int(arguments[0]) if arguments else 300
    validate({"resourceType": "Patient"})  # loads its models before anything forks
    with tempfile.TemporaryDirectory() as name, hie(Path(name)) as url:
        place, numbers = Place(Path(name), url), count()
        tell(place, "sqlite", lambda: f"sqlite:///{name}/{next(numbers)}.db", rounds)
        if arguments[1:]:
            tell(place, "postgresql", partial(postgresql.new_schema, arguments[1]), rounds)
        else:
            with postgresql.cluster() as server:
                tell(place, "postgresql", partial(postgresql.new_schema, server), rounds)


def tell(place: Place, database: str, new_url: Callable[[], str], rounds: int) -> None:
    """Survive on one kind of database and say so."""
    kills, resources = survive(place, new_url, rounds, seed=7)
    sys.stdout.write(f"{database}: {kills} kills survived in {rounds} rounds, {resources} resources there once each\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
