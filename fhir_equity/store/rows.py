"""Rows in and out of the Core tables: what a member, a finding and an identifier look like there."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from fhir_equity.model import Address, Enrollment, Event, Finding, Identifier, Member, Name
from fhir_equity.store.schema import MemberIdentifier, StoredMember, core

encode = msgspec.json.Encoder().encode


class Kept(Struct, frozen=True):
    """What is kept of a member beside key, name parts and birth date."""

    name: Name = Name()
    address: Address = Address()
    enrollment: Enrollment = Enrollment()
    identifiers: tuple[Identifier, ...] = ()


_decode = msgspec.json.Decoder(Kept).decode


def event_digest(event: Event) -> int:
    """A 63-bit digest of all that was said on one occasion, so that a change of any part is a new event."""
    words = sorted(encode(received) for received in event.received)
    return int.from_bytes(hashlib.sha256(b"\x1f".join(words)).digest()[:8], "big") >> 1


def digest(value: bytes) -> str:
    """The SHA-256 of a value, in hex."""
    return hashlib.sha256(value).hexdigest()


def insert_one(connection: Connection, model: Any, **values: Any) -> int:
    """Insert a row and return its id; columns left out take the model's plain defaults."""
    fields = model.model_fields
    plain = {n: f.default for n, f in fields.items() if n not in values and isinstance(f.default, str | int)}
    result = connection.execute(core(model).insert().values(**plain, **values))
    return int(result.inserted_primary_key[0])  # type: ignore[index]


def insert_all(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> None:
    """Insert rows."""
    if rows:
        connection.execute(core(model).insert(), rows)


def insert_new(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> int:
    """Insert rows, leaving out those that are there; returns how many were new."""
    if not rows:
        return 0
    before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    connection.execute(insert(core(model)).on_conflict_do_nothing(), rows)
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one() - before)


def intern(connection: Connection, model: Any, of: str, **values: Any) -> int:
    """The id of the row with this digest, inserted when it is new."""
    table = core(model)
    connection.execute(insert(table).values(digest=of, **values).on_conflict_do_nothing())
    return int(connection.execute(select(table.c.id).where(table.c.digest == of)).scalar_one())


def demographics(member: Member) -> dict[str, Any]:
    """The columns of a member that a later record may change."""
    kept = Kept(member.name, member.address, member.enrollment, member.identifiers)
    given = member.name.given[0] if member.name.given else ""
    return {
        "family": member.name.family,
        "given": given,
        "birth_date": member.birth_date,
        "details": encode(kept),
    }


def update_member(connection: Connection, row: dict[str, Any], member: Member) -> None:
    """Take over what a record says; what it leaves out clears nothing."""
    said = demographics(member)
    if all(row[name] == value for name, value in said.items()):
        return
    kept = _decode(row["details"])
    new = Kept(
        member.name if member.name != Name() else kept.name,
        member.address if member.address != Address() else kept.address,
        member.enrollment if member.enrollment != Enrollment() else kept.enrollment,
        tuple(dict.fromkeys((*kept.identifiers, *member.identifiers))),
    )
    values = {name: value or row[name] for name, value in said.items()} | {"details": encode(new)}
    if any(row[name] != value for name, value in values.items()):
        table = core(StoredMember)
        connection.execute(update(table).where(table.c.id == row["id"]).values(**values))
        row.update(values)
        insert_new(connection, MemberIdentifier, identifiers(row["id"], member))


def identifiers(member_id: int, member: Member) -> list[dict[str, Any]]:
    """The identifier rows of a member."""
    return [
        {"member_id": member_id, "system": i.system, "kind": i.kind, "value": i.value, "use": i.use}
        for i in member.identifiers
    ]


def is_same_person(row: dict[str, Any], member: Member) -> bool:
    """Two records under one key are two people only when birth date and name both differ."""
    given = member.name.given[0] if member.name.given else ""
    born = bool(row["birth_date"] and member.birth_date and row["birth_date"] != member.birth_date)
    stored, name = f"{row['family']}|{row['given']}".casefold(), f"{member.name.family}|{given}".casefold()
    return not (born and stored != name and "|" not in (stored, name))


def finding_row(artefact: int, finding: Finding) -> dict[str, Any]:
    """The columns of a finding: code and position, never a value."""
    place = finding.locator
    return {
        "artefact_id": artefact,
        "code": finding.code,
        "severity": finding.severity.value,
        "unit": place.unit,
        "number": place.number,
        "offset": place.offset,
        "path": place.path,
    }
