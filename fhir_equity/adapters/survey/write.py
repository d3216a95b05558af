"""Write members as a survey CSV: fixed columns, wordings instead of codes, no cell that is a formula.

The header is member_id, given_name, middle_name, family_name, name_prefix, name_suffix, birth_date,
subscriber_id, relationship, address_1, address_2, city, state, postal_code, county, country, one
column for each topic of the guide in its order, collected_on, answered_by. UTF-8, commas, CRLF.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from fhir_equity.adapters.protocol import Context, Piece
from fhir_equity.adapters.survey.guide import Guide, guide_from
from fhir_equity.adapters.survey.read import enrolled
from fhir_equity.model import Expressed, Locator, Loss, Member, Outgoing, Relationship

WHO = (
    *("member_id", "given_name", "middle_name", "family_name", "name_prefix", "name_suffix", "birth_date"),
    *("subscriber_id", "relationship", "address_1", "address_2", "city", "state", "postal_code", "county", "country"),
)
WHEN = ("collected_on", "answered_by")
BETWEEN = "; "

# What a spreadsheet runs as a formula (OWASP, CSV injection). An apostrophe before one of these
# counts too, so that taking one apostrophe off always gives back what was written.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def rows_of(context: Context) -> Callable[[Outgoing], Piece]:
    """What writes one row for each member."""
    guide = guide_from(context.guide)

    def piece(record: Outgoing) -> Piece:
        row = _Row(guide, record)
        try:
            line = _line(row.cells)
        except UnicodeEncodeError:  # half a surrogate pair is no text and has no bytes in UTF-8
            line = _line([cell.encode("utf-8", "replace").decode() for cell in row.cells])
            row.lose("text")
        return Piece((("", line),), tuple(row.losses))

    return piece


def bind(pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:
    """Write the header and the rows; yields the losses of each."""
    out.write(_line((*WHO, *guide_from(context.guide).topics, *WHEN)))
    for piece in pieces:
        out.writelines(line for _, line in piece.parts)
        yield from piece.losses


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])
    return text.getvalue().encode("utf-8")


class _Row:
    """The cells of one member, and what did not fit into them."""

    def __init__(self, guide: Guide, record: Outgoing) -> None:
        self.guide = guide
        self.losses: list[Loss] = []
        answers = record.member.answers
        self.locator: Locator | None = answers[0].locator if answers else None
        expressed = {each.topic: each for each in record.expressed}
        who = self._who(record.member)
        topics = [self._topic(expressed[t]) if t in expressed else guide.absent for t in guide.topics]
        for topic in sorted(set(expressed) - set(guide.topics)):
            self.lose("topic", topic, Relationship.UNMATCHED)
        self.cells = [*who, *topics, *self._when(record.member)]

    def lose(self, rule: str, topic: str = "", relationship: Relationship = Relationship.INEXACT) -> None:
        """Say that something was not carried over."""
        self.losses.append(Loss(f"survey.write.{rule}", relationship, topic, self.locator))

    def _who(self, member: Member) -> list[str]:
        name, address, enrollment = member.name, member.address, member.enrollment
        if {each.value for each in member.identifiers} - {member.key, enrollment.subscriber_key}:
            self.lose("identifiers", relationship=Relationship.UNMATCHED)
        if enrollment != enrolled(enrollment.relationship, enrollment.subscriber_key):
            self.lose("enrollment", relationship=Relationship.UNMATCHED)
        if len(address.lines) > 2:
            self.lose("address", relationship=Relationship.EQUIVALENT)
        key, family = self._key(member), enrollment.subscriber_key
        place = (address.city, address.state, address.postal_code, address.county, address.country)
        return [
            *(key, "".join(name.given[:1]), " ".join(name.given[1:]), name.family, name.prefix, name.suffix),
            *(member.birth_date, "" if family in _secret(member) else family, enrollment.relationship),
            *("".join(address.lines[:1]), ", ".join(address.lines[1:]), *place),
        ]

    def _key(self, member: Member) -> str:
        """What names the member in the table: never a social security number."""
        secret = _secret(member)
        if member.key not in secret:
            return member.key
        self.lose("ssn_withheld", relationship=Relationship.UNMATCHED)
        return next((i.value for i in member.identifiers if i.value not in secret), "")

    def _topic(self, expressed: Expressed) -> str:
        wordings = [coding.display or coding.code for coding in (*expressed.categories, *expressed.details)]
        if any(mark in wording for wording in wordings for mark in self.guide.separators_of(expressed.topic)):
            self.lose("separator", expressed.topic)
        wordings += expressed.text.split(BETWEEN)
        chosen: dict[str, str] = {}
        for wording in filter(None, wordings):
            chosen.setdefault(wording.casefold(), wording)
        if chosen:
            return BETWEEN.join(chosen.values())
        if expressed.state not in self.guide.state_wordings:
            self.lose("state", expressed.topic, Relationship.UNMATCHED)
        return self.guide.state_wordings.get(expressed.state, self.guide.absent)

    def _when(self, member: Member) -> tuple[str, str]:
        """One row is one collection event: that of the first answer."""
        if not member.answers:
            return "", ""
        if len({(answer.origin.method, answer.origin.collected_on) for answer in member.answers}) > 1:
            self.lose("origin")
        first = member.answers[0].origin
        return first.collected_on, first.method


def _secret(member: Member) -> set[str]:
    return {each.value for each in member.identifiers if each.use == "ssn"}
