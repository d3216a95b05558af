"""What an 834 needs besides its members: what the file is for, control numbers, what the store knows of a member."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Literal

import msgspec

from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Address, Enrollment, Member, Name, Outgoing
from fhir_equity.pipeline.workspace import Workspace

Purpose = Literal["as-guide", "full", "change"]
BGN08 = {"full": "4", "change": "2"}
_LAST = 999_999_999  # control numbers have nine digits
_SAME = ("", "001", "030")  # INS03 that says of itself of no event in the enrollment


def context_834(workspace: Workspace, context: Context, purpose: Purpose, first: int) -> Context:
    """The context of a writer with its purpose (``as-guide``: the guide's) and its control numbers.

    They come from the store where there is one and are never given twice. Without a store they start
    at `first`, else at the second of the clock.
    """
    write: dict[str, Any] = dict(context.guide["write"])
    write["purpose"] = BGN08.get(purpose, write["purpose"])
    numbers = _numbers(workspace, write, first)
    return msgspec.structs.replace(context, guide={**context.guide, "write": write}, control=numbers)


def _numbers(workspace: Workspace, write: Mapping[str, Any], first: int) -> Iterator[int]:
    if workspace.has_store:
        return workspace.store.control_numbers(write["sender"], write["receiver"], first)
    return ((number - 1) % _LAST + 1 for number in count(first or int(time.time())))


def completed(member: Member, known: Member) -> Member:
    """A member with what the record at hand leaves out as the store knows it; what it says is its own."""
    own = {identifier.kind for identifier in member.identifiers}
    speaks = member.enrollment.maintenance or member.enrollment.relationship or not member.enrollment.subscriber
    return msgspec.structs.replace(
        member,
        name=member.name if member.name != Name() else known.name,
        birth_date=member.birth_date or known.birth_date,
        address=member.address if member.address != Address() else known.address,
        identifiers=(*member.identifiers, *(each for each in known.identifiers if each.kind not in own)),
        enrollment=member.enrollment if speaks else _still(known.enrollment, member.enrollment),
    )


def _still(known: Enrollment, now: Enrollment) -> Enrollment:
    """The known enrollment without its last event; a restriction said now holds."""
    return msgspec.structs.replace(known, maintenance="", restricted=known.restricted or now.restricted)


def is_change(record: Outgoing) -> bool:
    """Whether anything that an 834 tells is another than before; a record without a before is news."""
    if record.before is None or record.member.enrollment.maintenance not in _SAME:
        return True
    return _told(record) != _told(record.before)


def _told(record: Outgoing) -> tuple[object, ...]:
    """What an 834 tells; capitals, and under which name a number came, make no difference."""
    member = record.member
    enrollment = msgspec.structs.replace(member.enrollment, maintenance="")
    written = msgspec.json.encode((member.name, member.address)).decode().casefold()
    numbers = frozenset(each.value for each in member.identifiers)
    return written, member.birth_date, enrollment, numbers, frozenset(record.expressed)
