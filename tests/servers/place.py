"""A store of ours and a server of others: what tests/sync does with the sandbox, done with the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import stamina

from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from tests.servers.hies import Hie, Json
from tests.sync.scene import Scene, Wire, ada, theirs

PAGE = 1000


class Place(Scene):
    """Our workspace and their server; the people of a scenario are its own, whoever else is there."""

    def __init__(self, folder: Path, hie: Hie, **settings: Any) -> None:
        paging = {} if "paging" not in hie.kind.lacks else {"page_size": PAGE}
        super().__init__(folder, hie.url, Wire(), **(paging | settings))
        self.server = hie
        self.run = uuid4().hex[:10]

    def number(self, person: int) -> str:
        """The member number of the nth person."""
        return f"{self.run}-{person}"

    def row(self, person: int = 1, **more: Any) -> Json:
        """A row of the survey about the nth person, called Ada like all of them."""
        return ada(member_id=self.number(person), **more)

    def known(self, person: int = 1, race: str = "", language: str = "", **more: Any) -> str:
        """They know the nth person, too; returns the id."""
        return self.put(theirs(race, language, self.number(person), **more))

    def put(self, patient: Json) -> str:
        """Somebody else writes; returns the id."""
        key = patient.get("id")
        method, path = ("PUT", f"Patient/{key}") if key else ("POST", "Patient")
        answer = self.server.ask(method, path, patient)
        assert answer.status_code in (200, 201), answer.status_code
        return str(answer.json()["id"])

    def get(self, key: str) -> Json:
        """What they have."""
        return dict(self.server.ask("GET", f"Patient/{key}").json())

    def delete(self, key: str) -> None:
        """Somebody else deletes a Patient."""
        assert self.server.ask("DELETE", f"Patient/{key}").status_code in (200, 204)

    def there(self, person: int = 1) -> list[Json]:
        """Every Patient there with the number of the nth person."""
        asked = f"Patient?identifier={MEMBER_SYSTEM}%7C{self.number(person)}&_count=50"
        found = self.server.ask("GET", asked).json()
        return [entry["resource"] for entry in found.get("entry", [])]

    def people(self, count: int) -> list[Json]:
        """The only Patient of each of so many people."""
        found = [self.there(person) for person in range(1, count + 1)]
        assert [len(each) for each in found] == [1] * count, "somebody is there twice, or not at all"
        return [each[0] for each in found]


@contextmanager
def opened(folder: Path, hie: Hie, **settings: Any) -> Iterator[Place]:
    """A place whose server has a good day, and whose requests are repeated without waiting."""
    hie.faults()
    with stamina.set_testing(True, attempts=20, cap=True):
        yield Place(folder, hie, **settings)
    hie.faults()
