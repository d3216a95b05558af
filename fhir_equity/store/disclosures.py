"""Who was told what about whom: one record for each member, recipient, transmission and rule, written beforehand.

Write down what is intended, then send, then settle: what was interrupted in between stays ``intended``,
which is a disclosure until somebody knows better. Topics only, never what they say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, bindparam, select, update

from fhir_equity.model import Member
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.members import called
from fhir_equity.store.rows import among, insert_all, now, slices
from fhir_equity.store.schema import StoredDisclosure, core
from fhir_equity.store.strangers import Namer

INTENDED, SENT, VERIFIED, FAILED, RECALLED = STATES = ("intended", "sent", "verified", "failed", "recalled")


class Disclosure(Struct, frozen=True):
    """What a transmission tells a recipient about a member under one rule.

    `transmission` names a plan, a run or a file's digest: whatever is one act of sending. `purpose`, `basis`
    (the legal one, or an agreement) and `rule` are those of `policies/release.toml`, whose version is `policy`.
    `topics` are topics or matters. `state` is one of `STATES`; ``failed`` says that nothing arrived.
    """

    pseudonym: str
    partner: str
    recipient: str
    transmission: str
    purpose: str
    basis: str
    topics: tuple[str, ...]
    rule: str
    policy: str
    intended_at: str = ""
    state: str = INTENDED
    settled_at: str = ""


class Disclosures:
    """The account of disclosures. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def intend(self, disclosures: Iterable[Disclosure], *, connection: Connection | None = None) -> int:
        """Write down what is about to be sent; returns how many records are new.

        In the open write transaction of `connection` where one is given. What is written down already
        under this transmission, member and rule keeps its date and its state, and takes what is new of the
        topics; but a ``failed`` one is tried again, with the topics of now.
        """
        if connection is not None:
            return _intend(connection, list(disclosures))
        with writing(self._engine) as own:
            return _intend(own, list(disclosures))

    def intend_of(self, told: Sequence[tuple[Member, Sequence[Disclosure]]], pseudonym: Namer) -> int:
        """As `intend`, of members as a file has them, whatever pseudonyms the disclosures say.

        Two people of one key have two accounts. Who is not in the store is named in this same transaction, so that
        nobody is remembered of whom nothing is written down, and the other way round.
        """
        with writing(self._engine) as connection:
            return _intend(connection, list(_named(connection, told, pseudonym)))

    def settle(
        self,
        transmission: str,
        state: str,
        pseudonyms: Sequence[str] | None = None,
        *,
        connection: Connection | None = None,
    ) -> int:
        """Say what became of a transmission, about these members or about all; returns how many records say so now.

        Raises ValueError for a state that is none.
        """
        if state not in STATES:
            raise ValueError(f"a disclosure is {', '.join(STATES)}")
        if connection is not None:
            return _settle(connection, transmission, state, pseudonyms)
        with writing(self._engine) as own:
            return _settle(own, transmission, state, pseudonyms)

    def became(self, connection: Connection, states: Mapping[str, str]) -> None:
        """Say what became of transmissions (name -> state) as a whole, in an open write transaction.

        What was recalled meanwhile stays so.
        """
        table, at = core(StoredDisclosure), now()
        change = update(table).where(table.c.transmission == bindparam("name"), table.c.state != RECALLED)
        rows = [{"name": name, "became": state, "at": at} for name, state in states.items()]
        if rows:
            connection.execute(change.values(state=bindparam("became"), settled_at=bindparam("at")), rows)

    def recalled(self, connection: Connection, withdrawn: Mapping[str, Collection[str]]) -> None:
        """Say of transmissions (name -> the topics withdrawn) that they were recalled, in an open write transaction.

        A record of which some topics stand still is left as it is.
        """
        rows = _records(connection, withdrawn, core(StoredDisclosure).c.state != RECALLED)
        _say(connection, RECALLED, [number for number, name, topics in rows if topics <= set(withdrawn[name])])

    def standing(self, connection: Connection, seen: Mapping[str, Collection[str]]) -> None:
        """Say of transmissions (name -> the topics seen there) that they were not, as something of them stands."""
        rows = _records(connection, seen, core(StoredDisclosure).c.state == RECALLED)
        _say(connection, SENT, [number for number, name, topics in rows if topics & set(seen[name])])

    def of(self, pseudonym: str) -> list[Disclosure]:
        """Everything that was disclosed about one member, oldest first."""
        return self._selected("pseudonym", pseudonym)

    def in_transmission(self, transmission: str) -> list[Disclosure]:
        """What one transmission disclosed, in the order in which it was written down."""
        return self._selected("transmission", transmission)

    def _selected(self, column: str, value: str) -> list[Disclosure]:
        table = core(StoredDisclosure)
        with reading(self._engine) as connection:
            rows = connection.execute(select(table).where(table.c[column] == value).order_by(table.c.id))
            return [_disclosure(dict(row)) for row in rows.mappings()]


def _records(connection: Connection, names: Iterable[str], which: Any) -> Iterator[tuple[int, str, set[str]]]:
    """Id, transmission and topics of those records of transmissions that meet a condition."""
    table = core(StoredDisclosure)
    query = select(table.c.id, table.c.transmission, table.c.topics).where(which)
    for number, name, topics in among(connection, query, table.c.transmission, sorted(names)):
        yield number, name, set(topics.split())


def _say(connection: Connection, state: str, records: Sequence[int]) -> None:
    table = core(StoredDisclosure)
    change = update(table).values(state=state, settled_at=now())
    for some in slices(records):
        connection.execute(change.where(table.c.id.in_(some)))


def _named(
    connection: Connection, told: Sequence[tuple[Member, Sequence[Disclosure]]], pseudonym: Namer
) -> Iterator[Disclosure]:
    """The same under the pseudonyms of these members."""
    for partner in sorted({member.partner for member, _ in told}):
        theirs = [each for each in told if each[0].partner == partner]
        names = called(connection, partner, [member for member, _ in theirs], pseudonym)
        for whose, (_, disclosures) in zip(names, theirs, strict=True):
            yield from (msgspec.structs.replace(each, pseudonym=whose) for each in disclosures)


def _intend(connection: Connection, disclosures: Sequence[Disclosure]) -> int:
    table = core(StoredDisclosure)
    rows: dict[tuple[str, str, str], Disclosure] = {}
    for each in disclosures:  # a member may have several records
        key = (each.transmission, each.pseudonym, each.rule)
        rows[key] = _united(rows[key], each.topics) if key in rows else each
    query = select(table.c.transmission, table.c.pseudonym, table.c.rule, table.c.state, table.c.id, table.c.topics)
    known: dict[tuple[str, str, str], tuple[str, int, str]] = {}
    for transmission in {each.transmission for each in disclosures}:
        whose = sorted({each.pseudonym for each in disclosures if each.transmission == transmission})
        for some in slices(whose):
            found = query.where(table.c.transmission == transmission, table.c.pseudonym.in_(some))
            known |= {(a, b, c): tuple(said) for a, b, c, *said in connection.execute(found)}
    for key in rows.keys() & known.keys():
        state, number, told = known[key]
        topics = " ".join(rows[key].topics if state == FAILED else _together(told.split(), rows[key].topics))
        tried = {"state": INTENDED, "settled_at": ""} if state == FAILED else {}
        if tried or topics != told:
            connection.execute(update(table).where(table.c.id == number).values(topics=topics, **tried))
    new = [_row(each) for key, each in rows.items() if key not in known]
    insert_all(connection, StoredDisclosure, new)
    return len(new)


def _united(each: Disclosure, topics: Sequence[str]) -> Disclosure:
    return msgspec.structs.replace(each, topics=_together(each.topics, topics))


def _together(some: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *others)))


def _settle(connection: Connection, transmission: str, state: str, pseudonyms: Sequence[str] | None) -> int:
    table = core(StoredDisclosure)
    change = update(table).where(table.c.transmission == transmission).values(state=state, settled_at=now())
    if pseudonyms is None:
        return int(connection.execute(change).rowcount)
    one = change.where(table.c.pseudonym == bindparam("whose"))
    return sum(int(connection.execute(one, {"whose": each}).rowcount) for each in pseudonyms)


def _row(each: Disclosure) -> dict[str, Any]:
    names = ("pseudonym", "partner", "recipient", "transmission", "purpose", "basis", "rule", "policy")
    row = {name: getattr(each, name) for name in names}
    state = {"intended_at": each.intended_at or now(), "state": INTENDED, "settled_at": ""}
    return row | {"topics": " ".join(each.topics)} | state


def _disclosure(row: Mapping[str, Any]) -> Disclosure:
    told = {name: row[name] for name in Disclosure.__struct_fields__ if name != "topics"}
    return Disclosure(**told, topics=tuple(row["topics"].split()))
