"""Who a person is and how they are enrolled, as sent: identifier, name, address, enrollment. Told to all by `model`."""

from __future__ import annotations

from msgspec import Struct


class Identifier(Struct, frozen=True, gc=False):
    """An identifier as sent. `kind` is the sender's name for it (``NM109``, ``REF*0F``, ``MR``).

    `use` is ``ssn`` for a social security number, which never leaves unless configured.
    """

    system: str
    value: str
    kind: str = ""
    use: str = ""


class Name(Struct, frozen=True, gc=False):
    """A person's name as sent."""

    family: str = ""
    given: tuple[str, ...] = ()
    prefix: str = ""
    suffix: str = ""


class Address(Struct, frozen=True, gc=False):
    """A postal address as sent."""

    lines: tuple[str, ...] = ()
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    county: str = ""


Spans = tuple[tuple[str, str], ...]  # (from, to) ISO dates; an open end is empty
Coverage = tuple[str, Spans]  # a product line (HD03) and its spans


class Enrollment(Struct, frozen=True, gc=False):
    """How a person is enrolled, in the words of the 834 (INS, REF, DTP, HD); empty where unknown.

    `spans` are the (from, to) ISO dates of `coverage`, its first product line; an open end is empty.
    `other_coverages` are further product lines, each with its spans. `references` are the other REF of
    the person's loop as sent, (REF01, REF02), sub-values and all.
    """

    subscriber: bool = True
    relationship: str = ""  # INS02
    maintenance: str = ""  # INS03
    subscriber_key: str = ""  # REF*0F
    group: str = ""  # REF*1L
    coverage: str = ""  # HD03
    spans: Spans = ()
    restricted: bool = False  # INS13 = R
    reason: str = ""  # INS04
    benefit: str = ""  # INS05
    employment: str = ""  # INS08
    student: str = ""  # INS09
    disability: str = ""  # INS10
    deceased_on: str = ""  # INS12, an ISO date
    birth_sequence: str = ""  # INS17
    references: tuple[tuple[str, str], ...] = ()
    other_coverages: tuple[Coverage, ...] = ()

    @property
    def coverages(self) -> tuple[Coverage, ...]:
        """Every product line with its spans, each once."""
        first = ((self.coverage, self.spans),) if self.coverage or self.spans else ()
        return (*first, *self.other_coverages)
