"""Whom a plan looks at: those for whom anything changed here or there since the last one, else everybody.

What it costs follows what changed, not how many members there are. Whoever was not looked at stands as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.store import Choice, Person
from fhir_equity.store.hie import Known
from fhir_equity.store.hie_standing import Outcome, Through
from fhir_equity.sync.exchange import Exchange, Resource, id_of
from fhir_equity.sync.search import Params
from fhir_equity.sync.transport import UnavailableError

PORTION = 500  # members who are remembered at a time


class Selection(Struct, frozen=True):
    """Of whom and of what a plan is: `only` these matters, these `members` (ids of the store), at most `limit` changes.

    Nothing given is everything. `everybody` looks at all, whether or not anything changed.
    """

    only: frozenset[str] = frozenset()
    members: frozenset[int] | None = None
    limit: int = 0
    everybody: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether a plan of it leaves nothing out."""
        return not self.only and self.members is None and not self.limit


WHOLE = Selection()


class Looked(Struct, frozen=True):
    """A person to look at, with what is remembered, how they stood last, what they keep back, and what was decided."""

    person: Person
    known: Known
    before: Outcome
    kept_back: frozenset[str]
    choices: Sequence[Choice] = ()


class Looking:
    """Finds whom to look at, and how far that is. Raises RemoteError, StoreError."""

    def __init__(self, exchange: Exchange, selection: Selection) -> None:
        self._exchange, self._selection = exchange, selection
        standing = exchange.memory.standing
        self._last = standing.through()
        self._number = standing.newest()
        self._since: str | None = None
        self.chosen = 0  # how many are looked at, once that is known; 0 for everybody

    def through(self) -> Through | None:
        """How far a plan of this selection has looked; None where it leaves anything out."""
        if not self._selection.is_whole:
            return None
        return Through(self._exchange.edition, self._exchange.as_of, self._number, self._since or "")

    def mark(self) -> None:
        """Take the mark of the server's clock before anybody is looked up: what changes later is for the next plan."""
        if self._since is None:
            self._since = self._newest_there()

    def people(self) -> Iterator[Looked]:
        """Everybody to look at, in the order of the store."""
        exchange, memory = self._exchange, self._exchange.memory
        chosen = self._chosen()
        self.chosen = len(chosen or ())
        everybody = exchange.store.people if chosen is None else exchange.store.people.some(sorted(chosen))
        waiting = iter(everybody)
        while portion := list(islice(waiting, PORTION)):
            ids = [person.id for person in portion]
            known, before = memory.known(ids), memory.standing.of(ids)
            recipient = exchange.settings.recipient
            choices = memory.choices(ids)
            kept = exchange.store.opt_outs.in_force(ids, recipient, exchange.as_of)
            for person in portion:
                stood = before.get(person.id) or Outcome()
                kept_back = frozenset(kept.get(person.id, ()))
                yield Looked(person, known[person.id], stood, kept_back, choices.get(person.id, ()))

    def _chosen(self) -> set[int] | None:
        """The ids of those to look at; None for everybody."""
        if self._selection.members is not None:
            return set(self._selection.members)
        last, exchange, memory = self._last, self._exchange, self._exchange.memory
        if last is None or not last.since or self._selection.everybody:
            return None
        if last.edition != exchange.edition or last.as_of > exchange.as_of:
            return None
        here = set(memory.standing.changed_since(last.number)) | memory.journal.undone()
        here |= exchange.store.opt_outs.turning(exchange.settings.recipient, last.as_of, exchange.as_of)
        self.mark()
        return here | self._changed_there(last.since)

    def _changed_there(self, since: str) -> set[int]:
        """Our members whose Patient, or an Observation of ours, changed there; new Patients with a number of ours."""
        client = self._exchange.client
        found = self._members(client.search("Patient", {"_lastUpdated": f"ge{since}"}))
        if self._exchange.memory.has_observed():
            codes = ",".join(self._exchange.observed_codes)
            found |= self._members(client.search("Observation", {"_lastUpdated": f"ge{since}", "code": codes}))
        return found

    def _members(self, resources: Iterable[Resource]) -> set[int]:
        memory, found = self._exchange.memory, set[int]()
        waiting = iter(resources)
        while portion := list(islice(waiting, PORTION)):
            for members in memory.members_of([id_of(each) for each in portion]).values():
                found |= members
            found |= memory.named([value for each in portion for value in self._values(each)])
        return found

    def _values(self, resource: Resource) -> Iterator[str]:
        held = resource.get("identifier")
        for each in held if isinstance(held, list) else ():
            value = each.get("value") if isinstance(each, dict) else None
            if isinstance(value, str) and each.get("system") in self._exchange.settings.identifier_systems:
                yield value

    def _newest_there(self) -> str:
        """When the server changed anybody last, by its own clock; empty where it does not tell."""
        newest: Params = {"_sort": "-_lastUpdated", "_count": "1"}
        try:
            found = next(iter(self._exchange.client.search("Patient", newest)), {})
        except (UnavailableError, RemoteContentError):
            raise
        except RemoteError:  # it does not sort: then everybody is looked at
            return ""
        meta = found.get("meta")
        moment = meta.get("lastUpdated") if isinstance(meta, dict) else None
        return moment if isinstance(moment, str) else ""
