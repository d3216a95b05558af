"""Who the members of a chunk are: people known before, with what is new about them, or new people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, bindparam, select, update

from fhir_equity.errors import StoreError
from fhir_equity.model import Member
from fhir_equity.store.changed import touch
from fhir_equity.store.kept import Identity, Kept, Placed, contradict, identity, kept_of, taken_over
from fhir_equity.store.rows import among, encode, insert_all, insert_new
from fhir_equity.store.schema import MemberIdentifier, Run, Sighting, StoredMember, core
from fhir_equity.store.strangers import Namer, Strangers, strangers_under
from fhir_equity.store.withdrawn import run_stands


class _Row(Struct):
    """A person on the way into the store or out of it; `later` is whether a later file has named them."""

    values: dict[str, Any]
    id: int = 0
    changed: bool = False
    later: bool = False


def settle(
    connection: Connection,
    partner: str,
    members: Sequence[Member],
    pseudonym: Callable[[str, str], str],
    as_of: str,
    placed: Sequence[Placed | None] = (),
) -> tuple[list[int], set[int]]:
    """The ids of members in order, and those of new people. Who is `placed` is who they were elsewhere.

    Records under one key are two people only when birth date and name both differ. What a record
    leaves out clears nothing, and one that comes late, after what was sent later than `as_of` (an ISO
    date) is known of the member, only fills what is empty.
    """
    known = _known(connection, partner, sorted({member.key for member in members}))
    _mark_late(connection, partner, as_of, [row for twins in known.values() for row in twins])
    strangers = strangers_under(connection, partner, sorted({member.key for member in members}), pseudonym)
    rows = [
        _settled(known.setdefault(member.key, []), strangers, member, where) for member, where in _with(members, placed)
    ]
    people = list({id(row): row for row in rows}.values())
    new = [row for row in people if not row.id]
    changed = [row for row in people if row.id and row.changed]
    _insert(connection, new)
    _update(connection, changed)
    insert_new(connection, MemberIdentifier, [found for row in (*new, *changed) for found in _identifiers(row)])
    return [row.id for row in rows], {row.id for row in new}


def recall(
    connection: Connection,
    partner: str,
    members: Sequence[Member],
    pseudonym: Namer,
    placed: Sequence[Placed | None] = (),
) -> list[int]:
    """The ids of members, in order, who were settled before. Raises StoreError for one who was not."""
    keys = sorted({member.key for member in members})
    known, strangers = _known(connection, partner, keys), strangers_under(connection, partner, keys, pseudonym)
    rows = [_who(known.get(member.key, []), strangers, member, where) for member, where in _with(members, placed)]
    if None in rows:
        raise StoreError("the store lacks people of a run that it says it has read; ingest with another --as-of")
    return [row.id for row in rows if row is not None]


def find(connection: Connection, partner: str, members: Sequence[Member]) -> list[int]:
    """The ids of members, in order; 0 for those who are not known."""
    known = _known(connection, partner, sorted({member.key for member in members}))
    rows = [_find(known.get(member.key, ()), identity(member)) for member in members]
    return [0 if row is None else row.id for row in rows]


def called(
    connection: Connection, partner: str, members: Sequence[Member], pseudonym: Callable[[str, str], str]
) -> list[str]:
    """The pseudonyms of members, in order, within an open write transaction: those who are not known are remembered."""
    keys = sorted({member.key for member in members})
    known, strangers = _known(connection, partner, keys), strangers_under(connection, partner, keys, pseudonym)
    found = []
    for member in members:
        twins, one = known.get(member.key, []), identity(member)
        row = _find(twins, one)
        if row is None:
            twin = strangers.twin(member.key, one, [each.values["twin"] for each in twins])
        else:
            twin = row.values["twin"]
        found.append(_pseudonym(partner, member.key, twin, pseudonym))
        if row is None:
            strangers.keep(connection, member.key, one, twin, found[-1])
    return found


def part(
    connection: Connection, member: int, who: Member, pseudonym: Namer, *, dated: bool
) -> tuple[int, str, tuple[int, ...]]:
    """Make one more person under the key of a member, with the name and the birth date of `who`.

    Returns their id and pseudonym, and where their identities stood among those of the member, who has them no more.
    With `dated` the birth date tells the two apart, too. They are enrolled as the member is; address and identifiers
    stay with the member.
    """
    table = core(StoredMember)
    row = connection.execute(select(table).where(table.c.id == member)).mappings().one()
    kept, one = kept_of(row["details"]), identity(who)
    places = _theirs(kept.seen, one, dated=dated) if any(one) else ()
    moved = tuple(kept.seen[place] for place in places)
    seen = tuple(dict.fromkeys((*moved, one))) if any(one) else ()
    if places:
        left = msgspec.structs.replace(kept, seen=tuple(each for each in kept.seen if each not in moved))
        connection.execute(update(table).where(table.c.id == member).values(details=encode(left)))
    twins = _known(connection, row["partner"], [row["key"]])[row["key"]]
    strangers = strangers_under(connection, row["partner"], [row["key"]], pseudonym)
    twin = max(_next(twins), strangers.next(row["key"]))
    values = {name: row[name] for name in ("partner", "key", "key_rule")} | {"birth_date": who.birth_date}
    values |= _columns(Kept(name=who.name, enrollment=kept.enrollment, seen=seen))
    called = _pseudonym(row["partner"], row["key"], twin, pseudonym)
    return insert_all(connection, StoredMember, [values | {"twin": twin, "pseudonym": called}]), called, places


def _theirs(seen: Sequence[Identity], one: Identity, *, dated: bool) -> tuple[int, ...]:
    """Where the identities of somebody's name stand, with and without a birth date; never all there are.

    Where the name alone does not tell people apart, it is this very one only.
    """
    named = tuple(place for place, each in enumerate(seen) if each[1] == one[1])
    otherwise = dated and any(seen[place][0] not in ("", one[0]) for place in named)
    if otherwise or len(named) == len(seen):
        named = tuple(place for place in named if seen[place] == one)
    return named if len(named) < len(seen) else ()


def reunite(connection: Connection, member: int, apart: int, places: Sequence[int]) -> None:
    """Let a member have the identities again that `part` took, which are the first that the other has."""
    table = core(StoredMember)
    query = select(table.c.details).where(table.c.id == apart)
    theirs = kept_of(connection.execute(query).scalar_one()).seen
    kept = kept_of(connection.execute(select(table.c.details).where(table.c.id == member)).scalar_one())
    seen = list(kept.seen)
    for place, one in zip(places, theirs, strict=False):  # ascending, so that each finds those before it in place
        if one not in seen:
            seen.insert(place, one)
    if len(seen) > len(kept.seen):
        back = msgspec.structs.replace(kept, seen=tuple(seen))
        connection.execute(update(table).where(table.c.id == member).values(details=encode(back)))


def _next(twins: Sequence[_Row]) -> int:
    """The number of one more person under a key; one before may have been purged."""
    return max((row.values["twin"] for row in twins), default=-1) + 1


def _pseudonym(partner: str, key: str, twin: int, pseudonym: Callable[[str, str], str]) -> str:
    return pseudonym(partner, f"{key}#{twin}" if twin else key)


def _known(connection: Connection, partner: str, keys: Sequence[str]) -> dict[str, list[_Row]]:
    table = core(StoredMember)
    names = ("key", "twin", "family", "given", "birth_date", "details")
    known: dict[str, list[_Row]] = {}
    query = select(table.c.id, *(table.c[name] for name in names)).order_by(table.c.twin)
    for number, *values in among(connection, query.where(table.c.partner == partner), table.c.key, keys):
        known.setdefault(values[0], []).append(_Row(dict(zip(names, values, strict=True)), number))
    return known


def _mark_late(connection: Connection, partner: str, as_of: str, rows: Sequence[_Row]) -> None:
    """Mark those whom a run that stands has seen in something sent later than this day."""
    runs, sightings = core(Run), core(Sighting)
    later = select(runs.c.id).where(runs.c.partner == partner, runs.c.as_of > as_of, run_stands(runs))
    numbers = [number for (number,) in connection.execute(later)]
    if numbers:
        query = select(sightings.c.member_id).where(sightings.c.run_id.in_(numbers)).distinct()
        seen = {found for (found,) in among(connection, query, sightings.c.member_id, [row.id for row in rows])}
        for row in rows:
            row.later = row.id in seen


def _with(members: Sequence[Member], placed: Sequence[Placed | None]) -> Iterable[tuple[Member, Placed | None]]:
    return zip(members, placed or [None] * len(members), strict=True)


def _settled(twins: list[_Row], strangers: Strangers, member: Member, placed: Placed | None) -> _Row:
    seen = (identity(member),) if placed is None else placed.seen
    said = _columns(Kept(member.name, member.address, member.enrollment, member.identifiers, seen))
    said["birth_date"] = member.birth_date
    said |= {} if placed is None else {"twin": placed.twin}
    for row in twins:
        if all(row.values[name] == value for name, value in said.items()):
            return row
    found = _who(twins, strangers, member, placed)
    if found is not None:
        _take_over(found, member, seen)
        return found
    taken = [row.values["twin"] for row in twins]
    if placed is None or placed.twin in taken or strangers.under(member.key):
        twin = strangers.twin(member.key, identity(member), taken)
    else:
        twin = placed.twin
    partner = strangers.partner
    values = {
        "partner": partner,
        "key": member.key,
        "key_rule": member.key_rule,
        "pseudonym": _pseudonym(partner, member.key, twin, strangers.pseudonym),
        **said,
        "twin": twin,
    }
    twins.append(_Row(values))
    return twins[-1]


def _who(twins: Sequence[_Row], strangers: Strangers, member: Member, placed: Placed | None) -> _Row | None:
    """Who a member is; one who is `placed` is whoever is like them, first who has their number.

    Where that is free, they are new, but for somebody who is none of those who come with them and whom nothing
    tells apart from them. Where strangers are under the key, the number is theirs by which they were told of.
    """
    one = identity(member)
    if placed is None:
        return _find(twins, one)
    number = strangers.twin(member.key, one, ()) if strangers.under(member.key) else placed.twin
    there = {row.values["twin"]: row for row in twins}
    if number not in there:
        return next((row for row in twins if row.values["twin"] not in placed.others and _same(row, placed)), None)
    alike = (row for row in (there[number], *twins) if _alike(row, placed))
    return next(alike, None) or next((row for one in placed.seen if (row := _find(twins, one)) is not None), None)


def _alike(row: _Row, placed: Placed) -> bool:
    """Whether they have an identity in common, or neither has any."""
    seen = kept_of(row.values["details"]).seen
    return seen == placed.seen or not {*seen}.isdisjoint(placed.seen)


def _same(row: _Row, placed: Placed) -> bool:
    """Whether they have an identity in common, and no two contradict one another."""
    seen = kept_of(row.values["details"]).seen
    return not {*seen}.isdisjoint(placed.seen) and not any(contradict(a, b) for a in seen for b in placed.seen)


def _find(twins: Iterable[_Row], one: Identity) -> _Row | None:
    """The person who had this identity before, else one who shares a part of it, else whom nothing contradicts."""
    ranked: dict[int, _Row] = {}
    for row in twins:
        seen = kept_of(row.values["details"]).seen
        if one in seen:
            return row
        possible = [other for other in seen if not contradict(one, other)]
        if possible:
            ranked.setdefault(0 if any(_shares(one, other) for other in possible) else 1, row)
    return ranked.get(0) or ranked.get(1)


def _shares(one: Identity, other: Identity) -> bool:
    return any(a == b and a for a, b in zip(one, other, strict=True))


def _take_over(row: _Row, member: Member, seen: Sequence[Identity]) -> None:
    """Take over what a record says; what it leaves out clears nothing, and the later of two holds."""
    values = _columns(taken_over(kept_of(row.values["details"]), member, seen, late=row.later))
    born = (member.birth_date, row.values["birth_date"])
    was, said = born if row.later else born[::-1]
    values["birth_date"] = was if was.startswith(said) else said  # a year alone says less than a date
    row.changed = row.changed or any(row.values[name] != value for name, value in values.items())
    row.values.update(values)


def _columns(kept: Kept) -> dict[str, Any]:
    given = kept.name.given[0] if kept.name.given else ""
    return {"family": kept.name.family, "given": given, "details": encode(kept)}


def _insert(connection: Connection, rows: Sequence[_Row]) -> None:
    first = insert_all(connection, StoredMember, [row.values for row in rows])
    for number, row in enumerate(rows, first):
        row.id = number
    touch(connection, [row.id for row in rows], new=True)


def _update(connection: Connection, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    touch(connection, {row.id for row in rows})
    table = core(StoredMember)
    names = ("family", "given", "birth_date", "details")
    statement = update(table).where(table.c.id == bindparam("row"))
    statement = statement.values({name: bindparam(f"new_{name}") for name in names})
    connection.execute(
        statement, [{"row": row.id, **{f"new_{name}": row.values[name] for name in names}} for row in rows]
    )


def _identifiers(row: _Row) -> list[dict[str, Any]]:
    found = kept_of(row.values["details"]).identifiers
    return [{"member_id": row.id, "system": i.system, "kind": i.kind, "value": i.value, "use": i.use} for i in found]
