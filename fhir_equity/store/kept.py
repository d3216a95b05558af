"""What is kept of a member from all their records, and what a further record changes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from fhir_equity.model import Address, Enrollment, Identifier, Member, Name
from fhir_equity.store.coverages import laid_out, merged

Identity = tuple[str, str]  # birth date and name, as far as they are given
FULL_DATE = len("YYYY-MM-DD")
VERIFY = "030"  # INS03: audit or compare
T = TypeVar("T", Name, Enrollment)


class Kept(Struct, frozen=True):
    """What is kept of a member beside key, name parts and birth date.

    `seen` are the identities of all their records: who is who must not depend on which came last.
    """

    name: Name = Name()
    address: Address = Address()
    enrollment: Enrollment = Enrollment()
    identifiers: tuple[Identifier, ...] = ()
    seen: tuple[Identity, ...] = ()


class Placed(Struct, frozen=True):
    """Who a member was in the store that they come from: their number under the key, and what `Kept` has `seen`.

    `others` are the numbers under the key of those who come with them.
    """

    twin: int
    seen: tuple[Identity, ...]
    others: frozenset[int] = frozenset()


def contradict(one: Identity, other: Identity) -> bool:
    """Whether nothing that both say is the same."""
    return all(a != b and a and b for a, b in zip(one, other, strict=True))


kept_of = msgspec.json.Decoder(Kept).decode  # of the details of a row


def identity(member: Member) -> Identity:
    """Birth date (when it is a whole one) and name of a record, to tell people apart under one key."""
    given = member.name.given[0] if member.name.given else ""
    name = f"{member.name.family}|{given}".casefold()
    return member.birth_date if len(member.birth_date) == FULL_DATE else "", "" if name == "|" else name


def taken_over(kept: Kept, member: Member, seen: Sequence[Identity], *, late: bool) -> Kept:
    """What a record says laid over what is kept; what it leaves out clears nothing, and the later of two holds.

    `seen` are its identities.
    """
    sent = Kept(member.name, member.address, member.enrollment)
    old, new = (sent, kept) if late else (kept, sent)
    return Kept(
        _over(old.name, new.name),
        old.address if _says_nothing_new(old.address, new.address) else new.address,
        _enrolled(old.enrollment, new.enrollment),
        tuple(dict.fromkeys((*kept.identifiers, *member.identifiers))),
        tuple(dict.fromkeys((*kept.seen, *seen))),
    )


def joined(kept: Kept, other: Kept) -> Kept:
    """One person of two members: the word of `kept`, and what only the other one has. Either may restrict."""
    enrollment = _enrolled(other.enrollment, kept.enrollment)
    restricted = kept.enrollment.restricted or other.enrollment.restricted
    return Kept(
        _over(other.name, kept.name),
        other.address if _says_nothing_new(other.address, kept.address) else kept.address,
        msgspec.structs.replace(enrollment, restricted=restricted),
        tuple(dict.fromkeys((*kept.identifiers, *other.identifiers))),
        tuple(dict.fromkeys((*kept.seen, *other.seen))),
    )


def _over(old: T, new: T) -> T:
    """Field by field the new value, where it says something that the old one does not."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in old.__struct_fields__}
    return type(old)(**{name: was if _is_part(said, was) else said for name, (was, said) in pairs.items()})


def _enrolled(old: Enrollment, new: Enrollment) -> Enrollment:
    """As `_over`; only a record that speaks of enrollment decides who subscribes and what is restricted.

    A record that verifies (INS03 = 030) asks whether it is so and changes nothing that came with a
    change: it fills what is empty, and it may restrict. Where only such records are known, the last one holds.
    """
    verifies = new.maintenance == VERIFY != old.maintenance and _speaks(old)
    coverage, spans, others = laid_out(merged(old, new, fill=verifies))
    if verifies:
        old, new = new, msgspec.structs.replace(old, restricted=old.restricted or new.restricted)
    return msgspec.structs.replace(
        _over(old, new),
        subscriber=new.subscriber if _speaks(new) else old.subscriber,
        restricted=new.restricted if new.maintenance else old.restricted or new.restricted,
        coverage=coverage,
        spans=spans,
        other_coverages=others,
    )


def _speaks(enrollment: Enrollment) -> bool:
    return bool(enrollment.maintenance or enrollment.relationship or not enrollment.subscriber)


def _says_nothing_new(old: Address, new: Address) -> bool:
    # An address is one thing: parts of two of them would make a place that is neither.
    return all(_is_part(getattr(new, name), getattr(old, name)) for name in old.__struct_fields__)


def _is_part(said: Any, was: Any) -> bool:
    return said == was or not said or (isinstance(said, tuple) and was[: len(said)] == said)
