"""What is on record about single members beside what they answered, for a folder: decided, kept back and held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from fhir_equity.store.rows import among
from fhir_equity.store.schema import OptOut, Pattern, Settlement, StoredDecision, core

Words = Mapping[str, list[dict[str, Any]]]  # by table of the folder
KEPT = ("recipient", "matter", "source", "since", "until", "at")
DECIDED = ("author", "reason", "at", "undone_at", "undone_by")


def words_of(
    connection: Connection, members: Sequence[int], held: Mapping[int, list[dict[str, Any]]]
) -> dict[int, Words]:
    """What is on record about some members (ids), by member; `held` are the holds.

    A decision names answers: the one that was chosen and those that were known then. What was settled by a row of a
    table, or about what an HIE holds, names none and is left out.
    """
    found: dict[int, dict[str, list[dict[str, Any]]]] = {}
    for table, query, column in (("decisions", *_decisions()), ("opt_outs", *_opt_outs())):
        names = [each.name for each in query.selected_columns]
        for row in among(connection, query, column, members):
            said = dict(zip(names, row, strict=True))
            found.setdefault(said.pop("member_id"), {}).setdefault(table, []).append(said)
    for member in held.keys() & set(members):
        found.setdefault(member, {})["holds"] = held[member]
    for words in found.values():
        for said in words.get("decisions", ()):
            said["known"] = [int(number) for number in said["known"].split()]
            said["sides"] = bytes(said["sides"]).decode()
    return dict(found)


def _decisions() -> tuple[Select[Any], Any]:
    table, decisions, patterns = core(Settlement), core(StoredDecision), core(Pattern)
    settled = (table.c.member_id, table.c.matter, table.c.answer_id.label("chosen"), table.c.known)
    made = (decisions.c.id.label("decision"), decisions.c.side, *(decisions.c[name] for name in DECIDED))
    query = select(*settled, *made, patterns.c.kind, patterns.c.sides).where(table.c.answer_id > 0)
    query = query.join(decisions, decisions.c.id == table.c.decision_id)
    query = query.join(patterns, patterns.c.id == decisions.c.pattern_id)
    return query.order_by(table.c.member_id, decisions.c.id), table.c.member_id


def _opt_outs() -> tuple[Select[Any], Any]:
    table = core(OptOut)
    query = select(table.c.member_id, *(table.c[name] for name in KEPT))
    return query.order_by(table.c.member_id, *(table.c[name] for name in KEPT)), table.c.member_id
