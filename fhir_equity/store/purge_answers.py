"""Answers that were last given too long ago, and whose going changes nobody who wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, delete, select

from fhir_equity.store.answers import saying_of
from fhir_equity.store.cases import Judges
from fhir_equity.store.handed_in import WAITING
from fhir_equity.store.merged import merged_among, parts_of, person_of
from fhir_equity.store.resolutions import Decided, Resolutions, Stated
from fhir_equity.store.rows import among, insert_new, slices
from fhir_equity.store.schema import (
    Pattern,
    SayingPart,
    Settlement,
    Sighting,
    StoredAnswer,
    StoredCase,
    StoredDecision,
    StoredMember,
    WithdrawnAnswer,
    core,
)
from fhir_equity.store.standing import Meeting, answers_of, meetings
from fhir_equity.store.stated import stated_by

Runs = dict[int, str]  # every run -> the date it is as of
Outcome = tuple[int | None, str, bool, bool]


class Counts(Protocol):
    """Where it is counted what went."""

    counts: Counter[str]
    runs: Counter[int]


def purge_answers(
    connection: Connection, judges: Judges, before: str, kept: Collection[int], runs: Runs, gone: Counts
) -> None:
    """Take answers last given before an ISO date, of nobody who is `kept`, page by page.

    An event goes whole. What would turn out otherwise without it, if only whether it is settled or refused,
    keeps all that was said about that matter; so does a case that waits, and a decision, which may be taken back.
    Who was merged keeps everything, for the same reason.
    """
    answers, members = core(StoredAnswer), core(StoredMember)
    old = select(answers.c.member_id).where(answers.c.first_seen < before).distinct()
    whose = set(connection.execute(old).scalars()) - set(kept)
    partners: dict[str, list[int]] = {}
    people = sorted(set(person_of(connection, whose).values()))
    for number, partner in among(connection, select(members.c.id, members.c.partner), members.c.id, people):
        partners.setdefault(partner, []).append(number)
    for partner, theirs in sorted(partners.items()):
        resolutions = Resolutions(judges(partner))
        for page in slices(sorted(theirs)):
            _page(connection, resolutions, page, before, runs, gone)


def _page(
    connection: Connection, resolutions: Resolutions, page: Sequence[int], before: str, runs: Runs, gone: Counts
) -> None:
    whose = parts_of(connection, page)
    members = list(whose)
    met = meetings(connection, members, runs)
    answers = [row for some in slices(members) for row in answers_of(connection, some)]
    old = [row for row in answers if _last(row, met.get(row.member_id, ())) < before]
    if not old:
        return
    stated = stated_by(connection, page)
    stays = _needed(connection, resolutions, stated, {row.id for row in old})
    merged = merged_among(connection, members)
    goes = [row for row in old if row.member_id not in merged and (row.member_id, row.matter) not in stays]
    ids = {row.id for row in goes}
    changed = sorted({row.member_id for row in goes})
    left = {person: [said for said in stated[person] if said[5] not in ids] for person in changed}
    resolutions.write(connection, left, ())
    forget_answers(connection, ids)
    _say_less(connection, goes, before, runs)
    for row in goes:
        gone.runs[row.run_id] += 1
    gone.counts["answers"] += len(goes)


def _last(answer: Any, met: Sequence[Meeting]) -> str:
    """When an answer was last given: the latest run that gave it, whether it was retracted or not."""
    return max((each.as_of for each in met if each.gave(answer)), default=str(answer.first_seen))


def _needed(
    connection: Connection, resolutions: Resolutions, stated: Mapping[int, list[Stated]], old: Collection[int]
) -> set[tuple[int, str]]:
    """(person, matter) of which nothing may go."""
    left = {person: [said for said in told if said[5] not in old] for person, told in stated.items()}
    with_all, without = (_outcomes(resolutions.decided(connection, each)) for each in (stated, left))
    needed = {key for key in with_all.keys() | without.keys() if with_all.get(key) != without.get(key)}
    cases, patterns = core(StoredCase), core(Pattern)
    waiting = select(cases.c.member_id, patterns.c.matter).join(patterns, patterns.c.id == cases.c.pattern_id)
    waiting = waiting.where(cases.c.state.in_(WAITING))
    needed.update(among(connection, waiting, cases.c.member_id, list(stated)))
    settled, decisions = core(Settlement), core(StoredDecision)
    chosen = select(settled.c.member_id, settled.c.matter).join(decisions, decisions.c.id == settled.c.decision_id)
    chosen = chosen.where(decisions.c.undone_at == "")
    needed.update(among(connection, chosen, settled.c.member_id, list(stated)))
    return needed


def _outcomes(decided: Mapping[int, Sequence[Decided]]) -> dict[tuple[int, str], Outcome]:
    return {
        (person, each.outcome.matter): (
            each.winner,
            each.outcome.state,
            each.outcome.provisional,
            each.outcome.refused,
        )
        for person, found in decided.items()
        for each in found
    }


def forget_answers(connection: Connection, answers: Collection[int]) -> None:
    """Delete answers, of which nothing knows any more, and that they were withdrawn."""
    table, withdrawn = core(StoredAnswer), core(WithdrawnAnswer)
    for some in slices(sorted(answers)):
        connection.execute(delete(withdrawn).where(withdrawn.c.answer_id.in_(some)))
        connection.execute(delete(table).where(table.c.id.in_(some)))


def _say_less(connection: Connection, goes: Sequence[Any], before: str, runs: Runs) -> None:
    """Say of the runs that gave these answers what they said beside: the digest of an answer may be guessed."""
    table, parts = core(Sighting), core(SayingPart)
    gone: dict[int, set[tuple[int, int]]] = {}
    for row in goes:
        gone.setdefault(row.member_id, set()).add((row.event, row.origin_id))
    query = select(table.c.member_id, table.c.run_id, table.c.saying_id).where(table.c.saying_id > 0)
    seen = [row for row in among(connection, query, table.c.member_id, sorted(gone)) if runs[row[1]] < before]
    said: dict[int, list[tuple[str, int, int]]] = {}
    columns = select(parts.c.saying_id, parts.c.matter, parts.c.event, parts.c.origin_id)
    for saying, *part in among(connection, columns, parts.c.saying_id, sorted({row[2] for row in seen})):
        said.setdefault(saying, []).append((part[0], part[1], part[2]))
    for member, run, saying, left in _less(seen, said, gone):
        one = (table.c.member_id == member, table.c.run_id == run, table.c.saying_id == saying)
        connection.execute(delete(table).where(*one))
        row = {"member_id": member, "run_id": run, "saying_id": saying_of(connection, left)}
        insert_new(connection, Sighting, [row])


def _less(
    seen: Sequence[Any], said: Mapping[int, list[tuple[str, int, int]]], gone: Mapping[int, set[tuple[int, int]]]
) -> Iterator[tuple[int, int, int, tuple[tuple[str, int, int], ...]]]:
    for member, run, saying in seen:
        parts = said.get(saying, [])
        left = tuple(sorted(part for part in parts if part[1:] not in gone[member]))
        if len(left) < len(parts):
            yield member, run, saying, left
