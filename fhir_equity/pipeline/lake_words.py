"""What is on record about the members of an exported folder, kept in a store: kept back, held and decided."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from operator import itemgetter

import msgspec

from fhir_equity.model import Side
from fhir_equity.parquet import Row, Where
from fhir_equity.pipeline.lake import CHUNK, Whose
from fhir_equity.pipeline.lake_partition import Partition, event_of
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Chosen, Kept, Made

_sides = msgspec.json.Decoder(tuple[Side, ...]).decode


def keep(workspace: Workspace, partition: Partition) -> None:
    """Keep back what a partner's members keep back, and hold whom somebody held. Raises UnreadableError."""
    store = workspace.store
    for some in _each(partition, "opt_outs"):
        store.opt_outs.bring((_kept(number, row), row["at"]) for number, row in some)
    held: dict[tuple[str, str, str], list[int]] = {}
    for some in _each(partition, "holds"):
        for number, row in some:
            held.setdefault((row["author"], row["reason"], row["at"]), []).append(number)
    for said, members in held.items():
        store.holds.bring(*said, members)


def decide(workspace: Workspace, partitions: Sequence[Partition]) -> None:
    """Decide what was decided, when everybody is there, whoever is whom. Raises UnreadableError.

    What was chosen from answers that are not in the folder is left out.
    """
    rows = sorted(chain.from_iterable(each.rows("decisions") for each in partitions), key=itemgetter("decision"))
    if not rows:
        return
    answers, who = dict[int, int](), dict[Whose, int]()
    for each in partitions:
        answers |= _answers(workspace, each, {event for row in rows for event in (row["chosen"], *row["known"])})
        who |= each.who({_named(row) for row in rows})
    made = [_made(list(some), answers, who) for _, some in groupby(rows, itemgetter("decision"))]
    workspace.store.decisions.bring(made, workspace.judge)


def _made(rows: Sequence[Row], answers: Mapping[int, int], who: Mapping[Whose, int]) -> Made:
    settled = [
        Chosen(who[_named(row)], answers[row["chosen"]], tuple([answers[e] for e in row["known"] if e in answers]))
        for row in rows
        if row["chosen"] in answers and _named(row) in who
    ]
    said = {name: rows[0][name] for name in Made.__struct_fields__ if name not in ("sides", "settled")}
    return Made(**said, sides=_sides(rows[0]["sides"]), settled=tuple(settled))


def _answers(workspace: Workspace, partition: Partition, events: Collection[int]) -> Iterator[tuple[int, int]]:
    """The events of a folder, each with its first answer in the store."""
    for some in _each(partition, "answers", {"event": events}):
        told = [
            (event, number, [row for _, row in rows])
            for (number, event), rows in groupby(some, lambda each: (each[0], each[1]["event"]))
        ]
        found = workspace.store.lake.answers([(number, event_of(rows)) for _, number, rows in told])
        yield from ((event, answer) for (event, *_), answer in zip(told, found, strict=True) if answer)


def _each(partition: Partition, table: str, where: Where | None = None) -> Iterator[list[tuple[int, Row]]]:
    """The rows of a table that is in the order of members, each with the id of its member, of some at a time."""
    found = partition.beside(table, where) if table in partition.layout.tables else iter(())
    while some := list(islice(found, CHUNK)):
        numbers = partition.ids([row for row, _ in some])
        yield [(number, row) for number, (_, rows) in zip(numbers, some, strict=True) for row in rows]


def _kept(member: int, row: Row) -> Kept:
    return Kept(member, **{name: row[name] for name in ("since", "recipient", "matter", "until", "source")})


def _named(row: Row) -> Whose:
    return row["partner"], row["key"], row["twin"]
