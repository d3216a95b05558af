"""Resolve everybody again, page by page: what turns out otherwise than it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, and_, select

from fhir_equity.model import Received
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.merged import person_of
from fhir_equity.store.resolutions import Decided, Judge, Resolutions, Stated
from fhir_equity.store.rows import among, slices
from fhir_equity.store.schema import ReceivedValue, StoredAnswer, StoredMember, StoredOrigin, StoredResolution, core
from fhir_equity.store.stated import stated_by, stated_together
from fhir_equity.store.trail import Since, Trail
from fhir_equity.store.withdrawn import answer_stands, member_stands

PAGE = 2000  # members in one transaction
Kept = tuple[int | None, str, str, str, bool, bool]  # winner, state, rule, policy, provisional, refused

_decode = msgspec.json.Decoder(Received).decode


class Side(Struct, frozen=True):
    """What stood, or stands: the rule, and who had told it how; `said` is the values as received."""

    state: str = ""
    rule: str = ""
    provisional: bool = False
    collector: str = ""
    method: str = ""
    said: tuple[str, ...] = ()


class Turned(Struct, frozen=True):
    """A resolution that turns out otherwise."""

    member: int
    matter: str
    before: Side
    after: Side


def resolve_again(
    engine: Engine, trail: Trail, judge: Callable[[str], Judge], *, dry_run: bool
) -> Iterator[list[Turned]]:
    """What turns out otherwise, page by page; unless `dry_run` each page is kept in a transaction of its own."""
    resolutions: dict[str, Resolutions] = {}
    since, after, members, turned = Since(), 0, 0, 0
    while True:
        with reading(engine) if dry_run else writing(engine) as connection:
            page = _page(connection, after)
            if not page:
                break
            if since.moved(connection):
                resolutions.clear()
            found = _one_page(connection, resolutions, judge, page, dry_run=dry_run)
        after, members, turned = page[-1][0], members + len(page), turned + len(found)
        yield found
    if not dry_run:
        trail.record("resolve", counts={"members": members, "changed": turned}, versions={"policy": judge("").policy})


def resolve_some(connection: Connection, judge: Callable[[str], Judge], members: Iterable[int]) -> None:
    """Resolve the people whom some members are again, in the open write transaction."""
    table = core(StoredMember)
    people = sorted(set(person_of(connection, set(members)).values()))
    query = select(table.c.id, table.c.partner)
    partners: dict[str, list[int]] = {}
    for number, partner in among(connection, query, table.c.id, people):
        partners.setdefault(partner, []).append(number)
    for partner, theirs in sorted(partners.items()):
        resolutions = Resolutions(judge(partner))
        for some in slices(theirs):
            resolutions.write(connection, stated_by(connection, some), ())


def _one_page(
    connection: Connection,
    resolutions: dict[str, Resolutions],
    judge: Callable[[str], Judge],
    page: Sequence[tuple[int, str]],
    *,
    dry_run: bool,
) -> list[Turned]:
    first, last = page[0][0], page[-1][0]
    stated, kept = stated_together(connection, _stated(connection, page)), _kept(connection, first, last)
    otherwise: list[tuple[int, str, Kept | None, Decided | None]] = []
    for partner in dict.fromkeys(partner for _, partner in page):
        if partner not in resolutions:
            resolutions[partner] = Resolutions(judge(partner))
        theirs = {member: stated[member] for member, whose in page if whose == partner}
        decided = resolutions[partner].decided(connection, theirs)
        changed = {
            member: found for member, found in decided.items() if _differs(kept.get(member, {}), found, judge(partner))
        }
        for member, found in changed.items():
            otherwise += _apart(member, kept.get(member, {}), found)
        if not dry_run:
            resolutions[partner].keep(connection, changed, ())
            resolutions[partner].keep_cases(connection, theirs.keys() - changed.keys())
    return _told(connection, otherwise)


def _page(connection: Connection, after: int) -> list[tuple[int, str]]:
    table = core(StoredMember)
    query = select(table.c.id, table.c.partner).where(table.c.id > after, member_stands(table))
    return [(row[0], row[1]) for row in connection.execute(query.order_by(table.c.id).limit(PAGE))]


def _stated(connection: Connection, page: Sequence[tuple[int, str]]) -> dict[int, list[Stated]]:
    table = core(StoredAnswer)
    names = ("member_id", "matter", "event", "origin_id", "received_id", "first_seen", "id")
    query = select(*(table.c[name] for name in names)).order_by(table.c.member_id)
    within = table.c.member_id.between(page[0][0], page[-1][0])
    stated: dict[int, list[Stated]] = {member: [] for member, _ in page}
    for member, *said in connection.execute(query.where(within, answer_stands(table))).cursor.fetchall():
        if member in stated:
            stated[member].append(tuple(said))
    return stated


def _kept(connection: Connection, first: int, last: int) -> dict[int, dict[str, Kept]]:
    table = core(StoredResolution)
    names = ("member_id", "matter", "winner", "state", "rule", "policy", "provisional", "refused")
    query = select(*(table.c[name] for name in names)).where(table.c.member_id.between(first, last))
    kept: dict[int, dict[str, Kept]] = {}
    for member, matter, *what in connection.execute(query):
        kept.setdefault(member, {})[matter] = tuple(what)
    return kept


def _differs(kept: dict[str, Kept], found: Sequence[Decided], judge: Judge) -> bool:
    """Whether anything is otherwise, if only by which policy it was decided."""
    return kept != {each.outcome.matter: _row(each, judge.policy) for each in found}


def _row(each: Decided, policy: str) -> Kept:
    outcome = each.outcome
    return (each.winner, outcome.state, outcome.rule, policy, outcome.provisional, outcome.refused)


def _apart(
    member: int, kept: dict[str, Kept], found: Sequence[Decided]
) -> Iterator[tuple[int, str, Kept | None, Decided | None]]:
    """The matters that have another winner or state, or are settled another way."""
    after = {each.outcome.matter: each for each in found}
    for matter in sorted(kept.keys() | after.keys()):
        was, now = kept.get(matter), after.get(matter)
        if was is None or now is None or was[:2] + was[4:5] != (now.winner, now.outcome.state, now.outcome.provisional):
            yield member, matter, was, now


def _told(connection: Connection, otherwise: Sequence[tuple[int, str, Kept | None, Decided | None]]) -> list[Turned]:
    winners = {was[0] for _, _, was, _ in otherwise if was} | {now.winner for _, _, _, now in otherwise if now}
    said = _said(connection, sorted(winner for winner in winners if winner is not None))
    return [
        Turned(
            member,
            matter,
            Side(was[1], was[2], bool(was[4]), *said.get(was[0], ("", "", ()))) if was else Side(),
            Side(now.outcome.state, now.outcome.rule, now.outcome.provisional, *said.get(now.winner, ("", "", ())))
            if now
            else Side(),
        )
        for member, matter, was, now in otherwise
    ]


def _said(connection: Connection, winners: Sequence[int]) -> dict[int | None, tuple[str, str, tuple[str, ...]]]:
    """Of the first answers of events: who told them and how, and everything that was said with them."""
    answers, origins, values = core(StoredAnswer), core(StoredOrigin), core(ReceivedValue)
    whole = answers.alias()
    names = ("member_id", "event", "origin_id")
    query: Any = select(answers.c.id, origins.c.collector, origins.c.method, values.c.value)
    query = query.join(origins, origins.c.id == answers.c.origin_id)
    query = query.join(whole, and_(*(whole.c[name] == answers.c[name] for name in names)))
    query = query.join(values, values.c.id == whole.c.received_id).order_by(answers.c.id, whole.c.id)
    found: dict[int | None, tuple[str, str, tuple[str, ...]]] = {}
    for answer, collector, method, value in among(connection, query, answers.c.id, winners):
        *who, said = found.get(answer, (collector, method, ()))
        received = _decode(value)
        words = received.text or "+".join(coding.code for coding in received.codings) or received.raw
        found[answer] = (who[0], who[1], (*said, words))
    return found
