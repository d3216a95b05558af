"""Who is not in the store, but was told of: the account of one of two people under one key is not the other's.

Nothing of them is kept but keyed hashes, by which they are known again in the next conversion and by the file that
brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import Struct
from sqlalchemy import Connection, select

from fhir_equity.store.kept import Identity, contradict
from fhir_equity.store.rows import among, insert_new
from fhir_equity.store.schema import Stranger, core

Namer = Callable[[str, str], str]  # partner and key -> pseudonym


class Strangers(Struct):
    """The strangers under some keys of one partner."""

    partner: str
    pseudonym: Namer
    known: dict[str, list[tuple[int, Identity]]]  # by the pseudonym of a key

    def under(self, key: str) -> list[tuple[int, Identity]]:
        """Who is known under a key."""
        return self.known.get(self.pseudonym(self.partner, key), []) if self.known else []

    def twin(self, key: str, one: Identity, taken: Collection[int]) -> int:
        """The number of somebody under a key who is none of those `taken`; a new one is above everybody's."""
        if not self.known:
            return max(taken, default=-1) + 1
        under = self.pseudonym(self.partner, key)
        hashed = self._hashed(under, one)
        theirs = [(twin, other) for twin, other in self.under(key) if twin not in taken]
        same = [twin for twin, other in theirs if other == hashed]
        alike = [twin for twin, other in theirs if not contradict(hashed, other)]
        if same or alike:
            return (same or alike)[0]
        return max((*taken, *(twin for twin, _ in self.under(key))), default=-1) + 1

    def next(self, key: str) -> int:
        """A number that nobody of them has."""
        return max((twin for twin, _ in self.under(key)), default=-1) + 1

    def keep(self, connection: Connection, key: str, one: Identity, twin: int, called: str) -> None:
        """Remember somebody by their number, and by the pseudonym under which they are `called`."""
        under = self.pseudonym(self.partner, key)
        if all(twin != other for other, _ in self.under(key)):
            born, name = self._hashed(under, one)
            row = {"under": under, "twin": twin, "pseudonym": called, "born": born, "name": name}
            insert_new(connection, Stranger, [row])
            self.known.setdefault(under, []).append((twin, (born, name)))

    def _hashed(self, under: str, one: Identity) -> Identity:
        born, name = (self.pseudonym(under, part) if part else "" for part in one)
        return born, name


def strangers_under(connection: Connection, partner: str, keys: Sequence[str], pseudonym: Namer) -> Strangers:
    """Those under some keys; in most stores there is none."""
    table = core(Stranger)
    known: dict[str, list[tuple[int, Identity]]] = {}
    if keys and connection.execute(select(table.c.twin).limit(1)).first() is not None:
        query = select(table.c.under, table.c.twin, table.c.born, table.c.name).order_by(table.c.twin)
        for under, twin, born, name in among(connection, query, table.c.under, [pseudonym(partner, k) for k in keys]):
            known.setdefault(under, []).append((twin, (born, name)))
    return Strangers(partner, pseudonym, known)
