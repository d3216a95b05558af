"""Rows of partners' tables that a decision wrote, and whom a table that says otherwise concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from fhir_equity.model import Received
from fhir_equity.store.rows import insert_new, slices
from fhir_equity.store.schema import DecidedRow, ReceivedValue, StoredAnswer, StoredOrigin, core

_decode = msgspec.json.Decoder(Received).decode


class TableRow(Struct, frozen=True):
    """A row of a crosswalk of a partner; `place` is the table below mappings/ (``crosswalks/x.csv``).

    An empty `source_code` is of a value that was purged.
    """

    partner: str
    place: str
    applies_to: str
    source_system: str
    source_code: str
    target_system: str
    target_code: str
    relationship: str


Otherwise = Callable[[str, Received], bool]  # whether what a partner sent means something else now
Laying = Callable[[int, str, Sequence[TableRow]], Otherwise]  # changes tables: the decision, its reason, its rows


def keep_rows(connection: Connection, decision: int, rows: Sequence[TableRow]) -> None:
    """Put the rows of a decision on record."""
    numbered = [{"decision_id": decision, "number": n, **msgspec.structs.asdict(row)} for n, row in enumerate(rows)]
    insert_new(connection, DecidedRow, numbered)


def rows_of(connection: Connection, decision: int) -> list[TableRow]:
    """The rows of a decision."""
    table = core(DecidedRow)
    query = select(*(table.c[name] for name in TableRow.__struct_fields__)).where(table.c.decision_id == decision)
    return [TableRow(*row) for row in connection.execute(query.order_by(table.c.number))]


def meant_otherwise(connection: Connection, partners: Iterable[str], otherwise: Otherwise) -> list[int]:
    """The members of whom anything that these partners sent means something else now; everything is looked at."""
    values, answers, origins = core(ReceivedValue), core(StoredAnswer), core(StoredOrigin)
    known = [(row.id, _decode(row.value)) for row in connection.execute(select(values.c.id, values.c.value))]
    found: set[int] = set()
    for partner in set(partners):
        query = select(answers.c.member_id).join(origins, origins.c.id == answers.c.origin_id).distinct()
        query = query.where(origins.c.partner == partner)
        for some in slices([number for number, received in known if otherwise(partner, received)]):
            found.update(connection.execute(query.where(answers.c.received_id.in_(some))).scalars())
    return sorted(found)
