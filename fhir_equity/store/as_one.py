"""What members who are one person are together: the word of one, and what only the others have."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec

from fhir_equity.model import Member
from fhir_equity.store.kept import joined, kept_of

in_order = attrgetter("partner", "key", "twin")  # of the others: whoever came first has no say in it


def member_of(row: Any, others: Iterable[Any] = ()) -> Member:
    """A member of their row, with what the `others` have who are the same person."""
    kept, born = kept_of(row["details"]), row["birth_date"]
    for other in others:
        kept = joined(kept, kept_of(other.details))
        born = other.birth_date if other.birth_date.startswith(born) else born
    return Member(
        partner=row["partner"],
        key=row["key"],
        key_rule=row["key_rule"],
        identifiers=kept.identifiers,
        name=kept.name,
        birth_date=born,
        address=kept.address,
        enrollment=kept.enrollment,
    )


def as_known_to(partner: str, row: Any, others: Iterable[Any]) -> Member:
    """A member of those who are one person, as far as they are a partner's; restricted where any of them is."""
    whole = member_of(row, others).enrollment
    mine = [each for each in others if each.partner == partner]
    own = member_of(row if row["partner"] == partner else mine.pop(0)._mapping, mine)
    restricted = msgspec.structs.replace(own.enrollment, restricted=whole.restricted)
    return msgspec.structs.replace(own, enrollment=restricted)
