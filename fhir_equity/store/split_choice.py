"""What of a member is another person's: how every run met them, and which part of what it said."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, select

from fhir_equity.errors import UsageError
from fhir_equity.store.answers import Said
from fhir_equity.store.schema import Artefact, SayingPart, Sighting, StoredAnswer, StoredOrigin, core


class Which(Struct, frozen=True):
    """What is the other person's: what these `runs` brought, or one `file` by its name, or one day of collection."""

    runs: tuple[int, ...] = ()
    file: str = ""
    collected: str = ""


class Met(Struct, frozen=True):
    """How a run met the member: all that it said, and what of it is the other person's."""

    run: int
    saying: int
    parts: Said
    theirs: Said
    whole: bool  # all of it goes, however little it is


def met_by(connection: Connection, member: int, which: Which) -> list[Met]:
    """How every run met the member, and what of it is the other's. Raises UsageError where that is nothing, or all."""
    table, parts = core(Sighting), core(SayingPart)
    seen = connection.execute(select(table.c.run_id, table.c.saying_id).where(table.c.member_id == member)).all()
    columns = select(parts.c.saying_id, parts.c.matter, parts.c.event, parts.c.origin_id)
    said: dict[int, list[tuple[str, int, int]]] = {}
    sayings = {row.saying_id for row in seen}
    for row in connection.execute(columns.where(parts.c.saying_id.in_(sayings))):
        said.setdefault(row[0], []).append((row[1], row[2], row[3]))
    chosen = _Chosen(connection, member, which)
    met = []
    for run, saying in sorted((row.run_id, row.saying_id) for row in seen):
        every = said.get(saying, []) if saying else chosen.by_then(run)
        theirs = [each for each in every if chosen.has(run, saying, each)]
        whole = run in chosen.runs and len(theirs) == len(every)
        met.append(Met(run, saying, tuple(sorted(every)), tuple(sorted(theirs)), whole))
    if not any(each.theirs or each.whole for each in met):
        raise UsageError("nothing of theirs came so")
    if all(each.whole or (each.theirs and each.theirs == each.parts) for each in met):
        raise UsageError("all of theirs came so; nothing would be left")
    return met


class _Chosen:
    """What of a member's is the other person's."""

    def __init__(self, connection: Connection, member: int, which: Which) -> None:
        answers, artefacts, origins = core(StoredAnswer), core(Artefact), core(StoredOrigin)
        query = select(answers.c.matter, answers.c.event, answers.c.origin_id, artefacts.c.run_id, artefacts.c.name)
        query = query.add_columns(origins.c.collected_on).join(artefacts, artefacts.c.id == answers.c.artefact_id)
        query = query.join(origins, origins.c.id == answers.c.origin_id).where(answers.c.member_id == member)
        self._which = which
        self._first = {  # run, file, day
            (row.matter, row.event, row.origin_id): (row.run_id, row.name, row.collected_on)
            for row in connection.execute(query)
        }
        named = select(artefacts.c.run_id).where(artefacts.c.name == which.file)
        self.runs = set(which.runs) | set(connection.execute(named).scalars() if which.file else ())

    def by_then(self, run: int) -> list[tuple[str, int, int]]:
        """What a store of layout 3 or older took for said in a run: all that the member had said by then."""
        return [what for what, (first, *_) in self._first.items() if first <= run]

    def has(self, run: int, saying: int, what: tuple[str, int, int]) -> bool:
        """Whether this part of what a run said is the other's."""
        first, file, day = self._first.get(what, (0, "", ""))
        if self._which.collected:
            return bool(day == self._which.collected)
        if run not in self.runs or (not saying and first != run):
            return False
        return not (self._which.file and first == run and file != self._which.file)
