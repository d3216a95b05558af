"""Rows in and out of the Core tables: digests, bulk inserts, interning, where a thing stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Select, func, select

from fhir_equity.model import Finding, Frame, Locator, Loss, Received
from fhir_equity.store.connection import backend_of
from fhir_equity.store.schema import core

LOOKUP = 500  # values in one IN (...): below every SQLite's limit of variables
T = TypeVar("T")

_NOWHERE = Locator("")

encode = msgspec.json.Encoder().encode


def now() -> str:
    """The time as the store writes it: ISO, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(value: bytes) -> str:
    """The SHA-256 of a value, in hex."""
    return hashlib.sha256(value).hexdigest()


def event_digest(received: Iterable[Received]) -> int:
    """A 63-bit digest of all that was said on one occasion, so that a change of any part is a new event."""
    words = sorted({encode(each) for each in received})
    return int.from_bytes(hashlib.sha256(b"\x1f".join(words)).digest()[:8], "big") >> 1


def slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Values in portions that fit into one IN (...)."""
    for start in range(0, len(values), LOOKUP):
        yield values[start : start + LOOKUP]


def among(connection: Connection, query: Select[Any], column: Any, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query where a column has one of these values, as the driver gives them."""
    for some in slices(values):
        found = connection.execute(query.where(column.in_(some)))
        yield from found.cursor.fetchall()


def by_key(rows: Iterable[Any], name: str = "member_id") -> Callable[[int], list[Any]]:
    """The rows of one key after the other, from rows in its order; keys are asked for in that order, too."""
    groups = groupby(rows, key=attrgetter(name))
    held = [next(groups, None)]

    def of(key: int) -> list[Any]:
        while held[0] is not None and held[0][0] < key:
            held[0] = next(groups, None)
        if held[0] is None or held[0][0] != key:
            return []
        found = list(held[0][1])
        held[0] = next(groups, None)
        return found

    return of


def next_id(connection: Connection, model: Any) -> int:
    """The id that the next row of a table takes. Only a writer may ask: there is one at a time."""
    return int(connection.execute(select(func.coalesce(func.max(core(model).c.id), 0))).scalar_one()) + 1


def insert_one(connection: Connection, model: Any, **values: Any) -> int:
    """Insert a row and return its id; columns left out take the model's plain defaults."""
    fields = model.model_fields
    plain = {n: f.default for n, f in fields.items() if n not in values and isinstance(f.default, str | int)}
    made = next_id(connection, model)
    connection.execute(core(model).insert().values(**plain, **values, id=made))
    return made


def insert_all(connection: Connection, model: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows of a table with ids, which follow one another in order; returns the first."""
    first = next_id(connection, model) if rows else 0
    if rows:
        names = tuple(rows[0])
        numbered = [(number, *row) for number, row in enumerate(_tuples(rows, names), first)]
        backend_of(connection).insert(connection, core(model), ("id", *names), numbered)
    return first


def insert_new(connection: Connection, model: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows of a table without ids, leaving out those that are there; returns how many were new."""
    if not rows:
        return 0
    names = tuple(rows[0])
    return backend_of(connection).insert_new(connection, core(model), names, [*_tuples(rows, names)])


def insert_tuples(connection: Connection, model: Any, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """As `insert_new`, for many rows that are no mappings: the columns in the order of `names`."""
    if rows:
        backend_of(connection).insert_new(connection, core(model), names, rows)


def _tuples(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return map(itemgetter(*names), rows) if len(names) > 1 else ((row[names[0]],) for row in rows)


def upsert(connection: Connection, model: Any, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; where there is one with the same keys, its other columns are replaced."""
    if rows:
        statement = backend_of(connection).upsert(core(model))
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed), list(rows))


def intern(connection: Connection, model: Any, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """digest -> id of the rows with these digests; those that are new are inserted."""
    table = core(model)
    query = select(table.c.digest, table.c.id)
    found = dict(among(connection, query, table.c.digest, list(rows)))
    new = [{"digest": of, **values} for of, values in rows.items() if of not in found]
    first = insert_all(connection, model, new)
    return found | {row["digest"]: number for number, row in enumerate(new, first)}


def finding_row(artefact: int, finding: Finding) -> dict[str, Any]:
    """The columns of a finding: code and position, never a value."""
    return {
        "artefact_id": artefact,
        "code": finding.code,
        "severity": str(finding.severity),
        **_place(finding.locator),
        "loop": finding.locator.loop,
        "within": finding.locator.within,
    }


def loss_row(artefact: int, loss: Loss) -> dict[str, Any]:
    """The columns of a loss: rule, topic and position, never a value."""
    place = loss.locator or _NOWHERE
    return {
        "artefact_id": artefact,
        "rule": loss.rule,
        "relationship": str(loss.relationship),
        "topic": loss.topic,
        "unit": place.unit,
        "number": place.number,
        "offset": place.offset,
        "path": place.path,
    }


def frame_row(artefact: int, frame: Frame) -> dict[str, Any]:
    """The columns of a frame."""
    return {"artefact_id": artefact, "control": frame.control, "raw": frame.raw, **_place(frame.locator)}


def _place(place: Locator) -> dict[str, Any]:
    return {"unit": place.unit, "number": place.number, "offset": place.offset, "path": place.path}


def escaped(value: T) -> T:
    """A struct, list or text with what not every database takes as text written as escapes.

    JSON may hold half a surrogate pair or U+0000, and a file name bytes that are no UTF-8; they are
    kept readable (``\\udcff``, ``\\x00``) instead of stopping the run.
    """
    if isinstance(value, list):
        return [escaped(each) for each in value]  # type: ignore[return-value]
    return msgspec.convert(_escaped(msgspec.to_builtins(value)), type(value))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if isinstance(value, dict):
        return {_escaped(name): _escaped(each) for name, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value
