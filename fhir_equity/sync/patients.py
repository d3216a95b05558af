"""The Patients of a portion of members: asked for many in one search where the server allows it, and each once.

Several values in one search are R4 (https://hl7.org/fhir/R4/search.html#combining). A server that reads such a list
otherwise must not make a known person look unknown: only one that has found by one list whom no single value of it
finds is believed when it finds nobody by it. So two who are known to be there are asked for with the others, as
witnesses, until then. What was not settled so is asked for alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.sync.client import Client, Resource, Versioned
from fhir_equity.sync.exchange import id_of, is_active
from fhir_equity.sync.replies import found_version
from fhir_equity.sync.search import Token, token
from fhir_equity.sync.transport import UnavailableError

LIST = 50  # values in one search
WITNESSES = 2
T = TypeVar("T")


class Patients:
    """What one server has of those who are looked at now. Nothing but an id or an identifier is ever asked with."""

    def __init__(self, client: Client, systems: Collection[str] = ()) -> None:
        self._client, self._systems = client, systems
        self._there: dict[str, Versioned] = {}
        self._known: dict[Token, list[Resource]] = {}
        self._ids = self._identifiers = True  # whether the server takes lists of them
        self._reads_lists = False  # whether it has shown that it reads them
        self._witnesses: dict[str, Token] = {}  # id -> an identifier of somebody who is there

    def look_up(self, keys: Iterable[str], wanted: Iterable[Sequence[Token]]) -> None:
        """Ask for the Patients with these ids, and for those with the first of somebody's tokens that finds anybody.

        What was asked for before is forgotten. Raises RemoteError.
        """
        self._there, self._known = {}, {}
        self._by_id(list(dict.fromkeys(keys)))
        waiting = [list(tokens) for tokens in wanted if tokens]
        while waiting:
            self._by_identifier(list(dict.fromkeys(tokens[0] for tokens in waiting)))
            waiting = [tokens[1:] for tokens in waiting if tokens[1:] and self._known.get(tokens[0]) == []]

    def read(self, key: str) -> Versioned | None:
        """A Patient as it was found, else as it is; None where there is none. Raises RemoteError."""
        return self._there[key] if key in self._there else self._client.read("Patient", key)

    def known_as(self, tokens: Iterable[Token]) -> list[Resource]:
        """The Patients with one of these identifiers, by the first of them that finds anybody.

        Those out of use are passed over where there is another. Raises RemoteError.
        """
        for each in tokens:
            found = self._known[each] if each in self._known else self._search("identifier", [token(*each)])
            if found:
                return list(filter(is_active, found)) or found
        return []

    def saw(self, patient: Resource) -> None:
        """Take somebody who is there for a witness."""
        held = sorted(each for each in tokens_of(patient) if each[0] in self._systems)
        if held and len(self._witnesses) < WITNESSES:
            self._witnesses.setdefault(id_of(patient), held[0])

    def _by_id(self, keys: list[str]) -> None:
        for some in _portions(keys) if self._ids and len(keys) > 1 else ():
            found = self._listed("_id", some)
            self._ids = bool(found)
            self._note(found or ())

    def _by_identifier(self, tokens: list[Token]) -> None:
        for portion in _portions(tokens) if self._identifiers and len(tokens) > 1 else ():
            witnesses = () if self._reads_lists else self._witnesses.values()
            some = list(dict.fromkeys((*portion, *witnesses)))
            found = self._listed("identifier", [token(*each) for each in some])
            self._identifiers = found is not None
            self._note(found or ())
            self._settle(some, found or [])

    def _settle(self, tokens: Sequence[Token], found: list[Resource]) -> None:
        carried = [tokens_of(each) for each in found]
        by = {each: [p for p, held in zip(found, carried, strict=True) if each in held] for each in tokens}
        self._reads_lists = self._reads_lists or _is_read(by.values())
        # One that has none of these identifiers as we write them may be found by any of them.
        sure = (self._reads_lists or len(tokens) == 1) and all(not held.isdisjoint(tokens) for held in carried)
        self._known |= {each: patients for each, patients in by.items() if patients or sure}

    def _note(self, found: Collection[Resource]) -> None:
        versions = ((id_of(each), found_version(each)) for each in found)
        self._there |= {key: version for key, version in versions if key and version is not None}
        for each in found:
            self.saw(each)

    def _listed(self, name: str, values: Sequence[str]) -> list[Resource] | None:
        """What a list finds; None from a server that does not take it."""
        try:
            return self._search(name, values)
        except (UnavailableError, RemoteContentError):
            raise
        except RemoteError:
            return None

    def _search(self, name: str, values: Sequence[str]) -> list[Resource]:
        found = self._client.search("Patient", {name: ",".join(values)})
        return list({id_of(each): each for each in found if each.get("resourceType") == "Patient"}.values())


def _is_read(found: Iterable[list[Resource]]) -> bool:
    """Whether no value of a list finds everybody whom the list found: then not only one of them was read."""
    people = [{id_of(each) for each in patients} for patients in found]
    everybody = set[str]().union(*people)
    return everybody not in people


def tokens_of(patient: Resource) -> set[Token]:
    """(system, value) of the identifiers that a Patient has."""
    held = patient.get("identifier")
    pairs = [(e.get("system"), e.get("value")) for e in held if isinstance(e, dict)] if isinstance(held, list) else []
    return {(system, value) for system, value in pairs if isinstance(system, str) and isinstance(value, str)}


def _portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), LIST):
        yield values[start : start + LIST]
