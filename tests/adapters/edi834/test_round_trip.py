"""What we write we read back identically: any people, partner, delimiters and order; a difference has its loss."""

from __future__ import annotations

import io
from itertools import count
from typing import Any

import msgspec
from hypothesis import given

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Member, Outgoing, State
from tests.adapters.edi834.files import codes, read
from tests.adapters.edi834.people import USES, files

SYSTEMS = {"1109": "x12-1109", "RET": "cdcrec", "LE": "iso639", "LD": "iso639", "1068": "x12-1068"}
BENT = {"characters", "transliterated", "delimiter_replaced", "capitals", "shortened", "too_short", "too_long"}


def _written(records: list[Outgoing], context: Context) -> tuple[bytes, list[str]]:
    out = io.BytesIO()
    again = msgspec.structs.replace(context, control=count(1))
    losses = [loss.rule.removeprefix("edi834.") for loss in ADAPTER.write(records, out, again)]
    return out.getvalue(), losses


def _read(data: bytes, context: Context) -> list[Member]:
    items = read(data, context)
    assert [code for code in codes(items) if code != "x12.dmg05.too_many_repeats"] == []
    found = [item for item in items if isinstance(item, Member)]
    assert len(found) == len(items)
    return found


def _again(member: Member) -> Outgoing:
    """A member as read, to be written again: answers in the codes that they came with."""
    said = [
        Expressed(
            a.topic,
            State.ANSWERED,
            details=tuple(Coding(SYSTEMS[c.system], c.code) for c in a.received.codings),
            text=a.received.text,
        )
        for a in member.answers
    ]
    return Outgoing(msgspec.structs.replace(member, answers=()), tuple(said))


def _number(member: Member) -> str:
    return next(identifier.value for identifier in member.identifiers if identifier.kind == "NM109")


def _codes(record: Outgoing, topic: str) -> list[str]:
    return [c.code.lower() for e in record.expressed if e.topic == topic for c in e.details]


def _words(record: Outgoing, topic: str) -> str:
    return "".join(e.text for e in record.expressed if e.topic == topic)


@given(files())
def test_what_is_written_comes_back_or_the_loss_says_why(file: tuple[Context, list[Outgoing]]) -> None:
    context, records = file
    back = {_number(member): member for member in _read(_written(records, context)[0], context)}
    assert len(back) == len(records)
    for record in records:
        _, lost = _written([record], context)
        _compare(record, _again(back[_number(record.member)]), set(lost), context.guide["write"])


def _compare(sent: Outgoing, came: Outgoing, lost: set[str], write: dict[str, Any]) -> None:
    member, back = sent.member, came.member
    enrolled, read_again = member.enrollment, back.enrollment
    own = write["purpose"] == "2" and enrolled.maintenance in ("001", "021", "024", "025")
    assert read_again.maintenance == (enrolled.maintenance if own else write["maintenance"][write["purpose"]])
    for name in ("subscriber", "relationship", "subscriber_key", "group", "restricted"):
        assert getattr(read_again, name) == getattr(enrolled, name)
    assert read_again.coverages == enrolled.coverages or lost & {"coverage_without_date", "more_spans"}
    assert back.name == member.name or lost & {*BENT, "more_given_names"}
    assert back.address == member.address or lost & {*BENT, "more_address_lines", "no_city"}
    assert back.birth_date == member.birth_date
    races = _codes(sent, "race_ethnicity")
    told = _codes(came, "race_ethnicity")
    assert told == races[: len(told)]
    assert len(told) == len(races) or (len(told) >= 10 and "more_races" in lost) or "no_birth_date" in lost
    assert _codes(came, "sex") == (_codes(sent, "sex") or ["u"]) if member.birth_date else not _codes(came, "sex")
    for use in USES:
        assert _codes(came, use) == _codes(sent, use)
        assert _words(came, use) == _words(sent, use) or lost & BENT
    if not lost:
        assert (back.name, back.address) == (member.name, member.address)
        assert all(_words(came, use) == _words(sent, use) for use in USES)


@given(files())
def test_what_was_read_back_is_written_the_same_and_loses_nothing_more(file: tuple[Context, list[Outgoing]]) -> None:
    context, records = file
    records.sort(key=lambda r: (r.member.enrollment.subscriber_key, not r.member.enrollment.subscriber))
    data, _ = _written(records, context)
    again, lost = _written([_again(member) for member in _read(data, context)], context)
    assert again == data
    assert [rule for rule in lost if rule != "no_family_name"] == []


@given(files())
def test_a_subscriber_stands_before_their_dependents(file: tuple[Context, list[Outgoing]]) -> None:
    context, records = file
    seen: set[str] = set()
    subscribers = {r.member.enrollment.subscriber_key for r in records if r.member.enrollment.subscriber}
    for member in _read(_written(records, context)[0], context):
        if member.enrollment.subscriber:
            seen.add(member.enrollment.subscriber_key)
        else:
            assert member.enrollment.subscriber_key in seen | ({member.enrollment.subscriber_key} - subscribers)
