"""Build 834 files of invented people with any delimiters, and read bytes as the adapter does."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.model import Answer, Finding, Frame, Member, Rejected
from fhir_equity.tables import Tables

WHOLE = Tables().document("guides/edi834.toml")
GUIDE = {**WHOLE, "header": {**WHOLE["header"], "parties": {}}}  # the files here name no payer
CONTEXT = Context(partner="plan", guide=GUIDE, created="2026-01-15T12:30:00")
VERSION = "005010X220A1"

ADA = ("INS*Y*18*030*XN*A***FT", "REF*0F*S1", "NM1*IL*1*ALDER*ADA****ZZ*M1", "DMG*D8*19800131*F**C")
BRUNO = ("INS*N*19*030*XN*A", "REF*0F*S1", "NM1*IL*1*ALDER*BRUNO****ZZ*M2", "DMG*D8*20100228*M**:RET:2106-3^H")


def isa(control: str = "000000001", repetition: str = "^") -> str:
    """A fixed-width ISA without its terminator."""
    blank = " " * 10
    names = f"ZZ*{'SENDER':15}*ZZ*{'RECEIVER':15}"
    return f"ISA*00*{blank}*00*{blank}*{names}*260101*1200*{repetition}*00501*{control}*0*T*:"


def segments(
    *members: Sequence[str], control: str = "000000001", version: str = VERSION, header: Iterable[str] = ()
) -> list[str]:
    """The segments of one interchange with one set, all counts right."""
    inside = ["BGN*00*1*20260101*1200****4", "N1*P5*SPONSOR*FI*1", *header, *(s for m in members for s in m)]
    start = [isa(control), "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1", f"ST*834*0001*{version}"]
    return [*start, *inside, f"SE*{len(inside) + 2}*0001", "GE*1*1", f"IEA*1*{control}"]


def join(parts: Iterable[str], *, end: str = "", marks: str = "*:^~") -> bytes:
    """The bytes of these segments under the delimiters `marks` (element, component, repetition, segment)."""
    table = str.maketrans("*:^", marks[:3])
    return "".join(part.translate(table) + marks[3] + end for part in parts).encode("latin-1")


def file(*members: Sequence[str], end: str = "", marks: str = "*:^~") -> bytes:
    """One interchange with these members."""
    return join(segments(*members), end=end, marks=marks)


def read(data: bytes, context: Context = CONTEXT) -> list[Read]:
    """Everything the adapter yields for a file ``f.834`` with these bytes, but the frames."""
    items = ADAPTER.read(Source("f.834", lambda: io.BytesIO(data)), Range(), context)
    return [item for item in items if not isinstance(item, Frame)]


def members(data: bytes, context: Context = CONTEXT) -> list[Member]:
    return [item for item in read(data, context) if isinstance(item, Member)]


def only(*parts: str) -> Member:
    """The one member that these segments make, of a file in which nothing else is found."""
    (found,) = read(file(parts))
    assert isinstance(found, Member)
    return found


def rejected(data: bytes) -> list[Rejected]:
    return [item for item in read(data) if isinstance(item, Rejected)]


def codes(items: Iterable[Read]) -> list[str]:
    """The codes of all findings, those of members and of rejected ones too, in order."""
    found: list[str] = []
    for item in items:
        if isinstance(item, Finding):
            found.append(item.code)
        elif isinstance(item, Member):
            found += [finding.code for finding in item.findings]
        elif isinstance(item, Rejected):
            found.append(item.finding.code)
    return found


def answer(member: Member, topic: str) -> Answer:
    (found,) = [a for a in member.answers if a.topic == topic]
    return found


def codings(member: Member, topic: str) -> list[tuple[str, str]]:
    return [(c.system, c.code) for c in answer(member, topic).received.codings]
