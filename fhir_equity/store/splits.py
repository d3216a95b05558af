"""Members who are two people: what some runs, one file or one collection brought is the other's, until that is undone.

What moves is written down, with how runs had met the member, so that undoing it leaves every row as it was. Links to
HIEs, disclosures and decisions stay with the member under whom they came about; what is kept back holds for both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, delete, or_, select, update

from fhir_equity.errors import UsageError
from fhir_equity.model import Member
from fhir_equity.store.answers import saying_of
from fhir_equity.store.cases import Judges
from fhir_equity.store.changed import touch
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.hie_journal import refuse_interrupted, supersede
from fhir_equity.store.members import part, reunite
from fhir_equity.store.merged import merged_among
from fhir_equity.store.purge_answers import forget_answers
from fhir_equity.store.resolutions import Resolutions
from fhir_equity.store.rows import insert_all, insert_new, insert_one, now
from fhir_equity.store.schema import (
    Beaten,
    OptOut,
    SayingPart,
    Sighting,
    Split,
    SplitAnswer,
    SplitSighting,
    StoredAnswer,
    StoredMember,
    StoredResolution,
    core,
)
from fhir_equity.store.settlements import instead
from fhir_equity.store.split_choice import Met, Which, met_by
from fhir_equity.store.split_members import forget, forget_sayings
from fhir_equity.store.standing import restate
from fhir_equity.store.strangers import Namer
from fhir_equity.store.trail import Trail


class Splitting(Struct, frozen=True):
    """A split: part of what `member` said is the word of `apart` (pseudonyms). `undone_at` is empty while it holds."""

    id: int
    partner: str
    member: str
    apart: str
    author: str
    reason: str
    at: str
    undone_at: str = ""
    undone_by: str = ""


class Parted(Struct, frozen=True):
    """A split that was made or undone: how many answers moved, or were both's. `stays` is whether, undone, the other
    is a person all the same, by what came since.
    """

    splitting: Splitting
    moved: int
    shared: int
    stays: bool = False


class Splits:
    """The splits of a store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine = engine
        self._trail = trail

    def all(self) -> list[Splitting]:
        """Every split, also those that were undone, oldest first."""
        with reading(self._engine) as connection:
            return [Splitting(*row) for row in connection.execute(_splittings())]

    def split(
        self,
        member: int,
        which: Which,
        who: Member,
        pseudonym: Namer,
        judges: Judges,
        author: str,
        reason: str,
        *,
        dated: bool = False,
    ) -> Parted:
        """Make two people of a member, in one transaction, and resolve both.

        `who` has the name and the birth date of the other person, by which later records find them; empty ones
        are found by nobody. With `dated` those of another birth date stay with the member, whatever their name; else
        all of that name go. Raises UsageError where nothing of the member came so, or all of it, where they were
        merged, or a change of theirs at an HIE was interrupted.
        """
        with writing(self._engine) as connection:
            partner = _splittable(connection, {member})
            met = met_by(connection, member, which)
            apart, called, places = part(connection, member, who, pseudonym, dated=dated)
            what = {"member_id": member, "apart_id": apart, "apart": called, "places": " ".join(map(str, places))}
            said = {"author": author, "reason": reason, "at": now(), "undone_at": "", "undone_by": ""}
            number = insert_one(connection, Split, **what, **said)
            _meet(connection, number, member, apart, met)
            moved, shared = _move(connection, number, member, apart, met)
            _keep_back(connection, member, apart)
            self._again(connection, judges, partner, [member, apart])
            return self._done(connection, "split", number, moved, shared, {"reason": reason})

    def undo(self, split: int, judges: Judges, author: str) -> Parted:
        """Give back what moved, in one transaction; what came to the other person since stays theirs.

        Raises UsageError where there is no such split that holds, a later one concerns the same people, who was
        split off was merged or purged, or a change of theirs at an HIE was interrupted.
        """
        table, members = core(Split), core(StoredMember)
        with writing(self._engine) as connection:
            query = select(table).where(table.c.id == split, table.c.undone_at == "")
            found = connection.execute(query).one_or_none()
            if found is None:
                raise UsageError(f"there is no split {split} that holds")
            both = [found.member_id, found.apart_id]
            if connection.execute(select(members.c.id).where(members.c.id == found.apart_id)).first() is None:
                raise UsageError("who was split off was purged")
            concerned = or_(table.c.member_id.in_(both), table.c.apart_id.in_(both))
            later = select(table.c.id).where(table.c.id > split, table.c.undone_at == "", concerned)
            if (last := connection.execute(later.order_by(table.c.id.desc())).scalar()) is not None:
                raise UsageError(f"a later split concerns them, too; undo split {last} first")
            partner = _splittable(connection, set(both))
            moved, shared = _give_back(connection, split, *both)
            reunite(connection, found.member_id, found.apart_id, [int(place) for place in found.places.split()])
            self._again(connection, judges, partner, both)
            stays = not forget(connection, found.apart_id, found.member_id)
            undone = {"undone_at": now(), "undone_by": author, "apart_id": found.apart_id if stays else 0}
            connection.execute(update(table).where(table.c.id == split).values(**undone))
            done = self._done(connection, "split undo", split, moved, shared, {})
            return Parted(done.splitting, moved, shared, stays)

    def _again(self, connection: Connection, judges: Judges, partner: str, both: list[int]) -> None:
        supersede(connection, both)
        touch(connection, both)
        restate(connection, Resolutions(judges(partner)), both)

    def _done(
        self, connection: Connection, action: str, split: int, moved: int, shared: int, more: dict[str, str | int]
    ) -> Parted:
        counts = {"members": 2, "answers": moved, "shared": shared}
        self._trail.record(action, connection=connection, about={"split": split} | more, counts=counts)
        row = connection.execute(_splittings().where(core(Split).c.id == split)).one()
        return Parted(Splitting(*row), moved, shared)


def _splittings() -> Any:
    table, members = core(Split), core(StoredMember)
    names = ("apart", "author", "reason", "at", "undone_at", "undone_by")
    query = select(table.c.id, members.c.partner, members.c.pseudonym, *(table.c[name] for name in names))
    return query.join(members, members.c.id == table.c.member_id).order_by(table.c.id)


def _splittable(connection: Connection, both: set[int]) -> str:
    """The partner of people who are nobody else, and of whom nothing is on its way."""
    if merged_among(connection, sorted(both)):
        raise UsageError("several keys are read as one person; take the merge back first: fhir-equity unmerge")
    refuse_interrupted(connection, both)
    members = core(StoredMember)
    return str(connection.execute(select(members.c.partner).where(members.c.id.in_(both)).limit(1)).scalar_one())


def _meet(connection: Connection, split: int, member: int, apart: int, met: Sequence[Met]) -> None:
    """Let runs have met each of the two for what they said of them."""
    table = core(Sighting)
    runs = {each.run for each in met if each.theirs or each.whole}
    before = [
        {"split_id": split, "run_id": m.run, "saying_id": m.saying, "member_id": apart} for m in met if m.run in runs
    ]
    insert_new(connection, SplitSighting, before)
    connection.execute(delete(table).where(table.c.member_id == member, table.c.run_id.in_(runs)))
    rows = []
    for each in (each for each in met if each.run in runs):
        left = tuple(part for part in each.parts if part not in set(each.theirs))
        if each.theirs or each.whole:
            whole = each.saying if each.theirs == each.parts else saying_of(connection, each.theirs)
            rows.append({"member_id": apart, "run_id": each.run, "saying_id": whole})
        if left or not (each.theirs or each.whole):
            stays = each.saying if not each.theirs else saying_of(connection, left)
            rows.append({"member_id": member, "run_id": each.run, "saying_id": stays})
    insert_new(connection, Sighting, rows)


def _move(connection: Connection, split: int, member: int, apart: int, met: Sequence[Met]) -> tuple[int, int]:
    """Move the answers that are the other's alone, and copy those that both gave; returns how many of each."""
    table = core(StoredAnswer)
    theirs = {part[1:] for each in met for part in each.theirs}
    own = {part[1:] for each in met for part in each.parts if part not in each.theirs}
    rows = connection.execute(select(table).where(table.c.member_id == member).order_by(table.c.id)).mappings().all()
    moved = [row["id"] for row in rows if (key := (row["event"], row["origin_id"])) in theirs and key not in own]
    _release(connection, [member])
    connection.execute(update(table).where(table.c.id.in_(moved)).values(member_id=apart))
    both = [row for row in rows if (row["event"], row["origin_id"]) in theirs & own]
    copies = [{name: value for name, value in row.items() if name != "id"} | {"member_id": apart} for row in both]
    first = insert_all(connection, StoredAnswer, copies)
    kept = [(number, False) for number in moved] + [(first + place, True) for place in range(len(copies))]
    noted = [{"split_id": split, "answer_id": number, "member_id": apart, "copied": copied} for number, copied in kept]
    insert_new(connection, SplitAnswer, noted)
    return len(moved), len(copies)


def _release(connection: Connection, members: Collection[int]) -> None:
    """Forget who wins for these members: it is worked out again."""
    for model in (StoredResolution, Beaten):
        connection.execute(delete(core(model)).where(core(model).c.member_id.in_(members)))


def _keep_back(connection: Connection, member: int, apart: int) -> None:
    """What the member keeps back, the other keeps back too: nobody knows whose word it was."""
    table = core(OptOut)
    rows: list[Mapping[str, Any]] = [
        {**row, "member_id": apart}
        for row in connection.execute(select(table).where(table.c.member_id == member)).mappings()
    ]
    insert_new(connection, OptOut, rows)


def _give_back(connection: Connection, split: int, member: int, apart: int) -> tuple[int, int]:
    """As it was before the split, but for what came since; returns how many answers moved back and were both's."""
    seen, before = core(Sighting), core(SplitSighting)
    met = connection.execute(select(before.c.run_id, before.c.saying_id).where(before.c.split_id == split)).all()
    runs = {row.run_id for row in met}
    theirs = (seen.c.member_id.in_((member, apart)), seen.c.run_id.in_(runs))
    made = set(connection.execute(select(seen.c.saying_id).where(*theirs)).scalars()) - {row.saying_id for row in met}
    connection.execute(delete(seen).where(*theirs))
    insert_new(connection, Sighting, [{"member_id": member, "run_id": run, "saying_id": said} for run, said in met])
    forget_sayings(connection, made)
    _release(connection, [member, apart])
    table, noted = core(StoredAnswer), core(SplitAnswer)
    rows = connection.execute(select(noted.c.answer_id, noted.c.copied).where(noted.c.split_id == split)).all()
    moved, copies = ([row.answer_id for row in rows if row.copied is flag] for flag in (False, True))
    again = _said_since(connection, apart)
    both = select(table).where(table.c.id.in_([*moved, *copies]), table.c.member_id == apart)
    back = [row for row in connection.execute(both.order_by(table.c.id)).mappings() if row["id"] in set(moved)]
    for row in back:  # what came again meanwhile is there once
        same = [table.c[name] == row[name] for name in ("event", "received_id", "origin_id")]
        twice = connection.execute(select(table.c.id).where(table.c.member_id == member, *same)).scalars().all()
        instead(connection, member, dict.fromkeys(twice, row["id"]))
        forget_answers(connection, twice)
    theirs_too = [row for row in back if (row["event"], row["origin_id"]) in again]
    gone = [row["id"] for row in connection.execute(both).mappings() if (row["event"], row["origin_id"]) not in again]
    forget_answers(connection, [number for number in gone if number in set(copies)])
    connection.execute(update(table).where(table.c.id.in_(moved), table.c.member_id == apart).values(member_id=member))
    kept = [{name: value for name, value in row.items() if name != "id"} for row in theirs_too]
    insert_all(connection, StoredAnswer, kept)
    for model in (SplitAnswer, SplitSighting):
        connection.execute(delete(core(model)).where(core(model).c.split_id == split))
    return len(back), len(copies)


def _said_since(connection: Connection, apart: int) -> set[tuple[int, int]]:
    """Event and origin of all that the runs said which met somebody."""
    seen, parts = core(Sighting), core(SayingPart)
    query = select(parts.c.event, parts.c.origin_id).join(seen, seen.c.saying_id == parts.c.saying_id)
    return {(row.event, row.origin_id) for row in connection.execute(query.where(seen.c.member_id == apart))}
