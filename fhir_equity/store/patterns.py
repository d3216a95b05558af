"""Patterns of cases, each kept once, and the cases that answers make."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete

from fhir_equity.model import Side
from fhir_equity.store.rows import digest, encode, intern
from fhir_equity.store.schema import Pattern, StoredCase, core

decode_sides = msgspec.json.Decoder(tuple[Side, ...]).decode


def pattern_id(connection: Connection, kind: str, matter: str, sides: Sequence[Side]) -> int:
    """The number of a pattern, made where it is new."""
    value = encode(sides)
    row = {"kind": kind, "matter": matter, "sides": value}
    of = digest(encode([kind, matter]) + value)
    return intern(connection, Pattern, {of: row})[of]


def forget_cases(connection: Connection, members: Sequence[int], source: str = "") -> None:
    """Forget the cases of members, as many as fit into one IN (...), that one source made; empty: their answers."""
    table = core(StoredCase)
    connection.execute(delete(table).where(table.c.member_id.in_(members), table.c.source == source))
