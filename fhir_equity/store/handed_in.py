"""Cases that somebody else than the answers makes: handed in, kept while they last, and what was decided about them.

What a decision about one rests on is `known`: what the source had seen when it asked. It is kept with how the member
stands (`hie_standing.Outcome.asked`), so that whoever decides need not know it, and one that says otherwise asks anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select, update

from fhir_equity.model import Side
from fhir_equity.store.changed import touch
from fhir_equity.store.hie_journal import supersede
from fhir_equity.store.hie_members import LINKED_TWICE
from fhir_equity.store.hie_standing import asked_of
from fhir_equity.store.merged import parts_of
from fhir_equity.store.patterns import decode_sides, forget_cases, pattern_id
from fhir_equity.store.rows import among, insert_new, slices
from fhir_equity.store.schema import Link, Pattern, Settlement, StoredCase, StoredDecision, core

OPEN, DECIDED, REOPENED = STATES = ("open", "decided", "reopened")
WAITING = (OPEN, REOPENED)
LINK = "link"  # what a case about who somebody is there is about
NOBODY = "none"  # the method of the side that says so
_HIE = "hie "


class Opening(Struct, frozen=True):
    """A case to be handed in: about which member (id), what kind, who says what; `since` is an ISO date.

    `known` is what it rests on beside its sides.
    """

    member: int
    kind: str
    matter: str
    sides: tuple[Side, ...]
    since: str
    known: str = ""


class Choice(Struct, frozen=True):
    """What somebody chose about a case of this kind with these sides, and what was known then."""

    kind: str
    matter: str
    sides: tuple[Side, ...]
    side: int
    known: str

    def __repr__(self) -> str:
        return f"Choice({self.kind}, {self.matter}, {self.side})"

    def is_about(self, opening: Opening) -> bool:
        """Whether it decides this very case: everything that it rests on is as it was then."""
        rests = (opening.kind, opening.matter, opening.sides, opening.known)
        return rests == (self.kind, self.matter, self.sides, self.known)


def source_of(hie: str) -> str:
    """The source of the cases that an HIE makes."""
    return f"{_HIE}{hie}"


def chosen(opening: Opening, choices: Iterable[Choice]) -> Choice | None:
    """The decision that holds about a case; the last where there are several."""
    return next((each for each in reversed(list(choices)) if each.is_about(opening)), None)


def hand_in(connection: Connection, source: str, members: Collection[int], openings: Iterable[Opening]) -> None:
    """Let these be all the cases of a source about some members: others of theirs are over.

    One that was there keeps since when; what was decided once and is asked again by something new is reopened.
    """
    table, ids = core(StoredCase), sorted(members)
    query = select(table.c.member_id, table.c.pattern_id, table.c.since).where(table.c.source == source)
    since = {(row[0], row[1]): row[2] for row in among(connection, query, table.c.member_id, ids)}
    for some in slices(ids):
        forget_cases(connection, some, source)
    openings = list(openings)
    made = choices_of(connection, {each.member for each in openings})
    rows: dict[tuple[int, int], dict[str, object]] = {}
    patterns: dict[tuple[str, str, tuple[Side, ...]], int] = {}
    for each in openings:
        key = (each.kind, each.matter, each.sides)
        patterns[key] = patterns.get(key) or pattern_id(connection, *key)
        at, before = (each.member, patterns[key]), made.get(each.member, ())
        again = REOPENED if any(c.matter == each.matter and _is_between(c, each) for c in before) else OPEN
        state = DECIDED if chosen(each, before) else again
        names = ("member_id", "pattern_id", "source", "state", "since")
        rows[at] = dict(zip(names, (*at, source, state, since.get(at, each.since)), strict=True))
    insert_new(connection, StoredCase, list(rows.values()))


def _is_between(choice: Choice, opening: Opening) -> bool:
    """Whether a decision was about the same HIE."""
    return bool(choice.sides) and choice.sides[-1].partner == opening.sides[-1].partner


def choices_of(connection: Connection, members: Collection[int]) -> dict[int, list[Choice]]:
    """Person -> what was decided about cases that were handed in about them, and holds, oldest first."""
    settled, held, patterns = core(Settlement), core(StoredDecision), core(Pattern)
    said = (patterns.c.kind, patterns.c.matter, patterns.c.sides)
    query = select(settled.c.member_id, held.c.id, *said, held.c.side, settled.c.known)
    query = query.join(held, held.c.id == settled.c.decision_id).join(patterns, patterns.c.id == held.c.pattern_id)
    query = query.where(held.c.undone_at == "", settled.c.answer_id == 0)
    if not members or connection.execute(query.limit(1)).first() is None:
        return {}
    whose = parts_of(connection, members)
    found: dict[int, list[tuple[int, Choice]]] = {}
    for member, number, kind, matter, sides, side, known in among(
        connection, query, settled.c.member_id, sorted(whose)
    ):
        choice = Choice(kind, matter, decode_sides(sides), side, known)
        found.setdefault(whose[member], []).append((number, choice))
    return {person: [each for _, each in sorted(held, key=lambda pair: pair[0])] for person, held in found.items()}


def settle_handed_in(
    connection: Connection, members: Mapping[int, str], decision: int, pattern: int, kind: tuple[str, str], side: Side
) -> int:
    """Settle the cases of a pattern that were handed in about members (id -> source); returns how many.

    What a plan wants of them was wanted without the decision, and is not done any more. Raises StoreError.
    """
    known: dict[int, str] = {}
    for source in set(members.values()):
        if source.startswith(_HIE):
            of = [member for member, made in members.items() if made == source]
            hie = source.removeprefix(_HIE)
            known |= {member: asked.get(" ".join(kind), "") for member, asked in asked_of(connection, hie, of).items()}
            if side.method == NOBODY:
                unlink(connection, hie, of)
    rows = [
        {"member_id": m, "decision_id": decision, "matter": kind[1], "answer_id": 0, "known": known.get(m, "")}
        for m in members
    ]
    settled = insert_new(connection, Settlement, rows)
    table = core(StoredCase)
    change = update(table).where(table.c.member_id == bindparam("who"), table.c.pattern_id == pattern)
    if members:
        touch(connection, list(members))
        supersede(connection, list(members))
        connection.execute(change.values(state=DECIDED), [{"who": member} for member in members])
    return settled


def reopen(connection: Connection, decision: int) -> None:
    """After a decision was taken back: its cases wait again, and who was linked by it is linked no more."""
    held, settled, cases, patterns = core(StoredDecision), core(Settlement), core(StoredCase), core(Pattern)
    query = select(held.c.pattern_id, held.c.side, patterns.c.kind, patterns.c.matter, patterns.c.sides)
    query = query.join(patterns, patterns.c.id == held.c.pattern_id).where(held.c.id == decision)
    pattern, side, kind, matter, sides = connection.execute(query).one()
    theirs = select(settled.c.member_id).where(settled.c.decision_id == decision, settled.c.answer_id == 0)
    members = list(connection.execute(theirs).scalars())
    again = (cases.c.pattern_id == pattern, cases.c.source != "")
    chosen_side = decode_sides(sides)[side : side + 1]
    for some in slices(members):
        connection.execute(update(cases).where(*again, cases.c.member_id.in_(some)).values(state=OPEN))
    if matter == LINK and kind != LINKED_TWICE and chosen_side:
        unlink(connection, chosen_side[0].partner, members, [value for _, value in chosen_side[0].said])


def unlink(connection: Connection, hie: str, members: Sequence[int], resources: Sequence[str] | None = None) -> None:
    """Forget which Patient of an HIE members are, or only where it is one of `resources`."""
    table = core(Link)
    for some in slices(list(parts_of(connection, members))):
        gone = delete(table).where(table.c.hie == hie, table.c.member_id.in_(some))
        connection.execute(gone if resources is None else gone.where(table.c.resource_id.in_(resources)))
