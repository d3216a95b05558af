"""Answer bytes as the command does, and take the answer apart."""

from __future__ import annotations

import io
from collections.abc import Sequence

from fhir_equity.adapters.edi834.ack import Acknowledger, Answered, How, Verdicts, Wish
from fhir_equity.adapters.source import Source
from fhir_equity.pipeline.ack import guides
from fhir_equity.tables import Tables
from tests.adapters.edi834.files import CONTEXT, VERSION, isa, join

TABLES = Tables()
GUIDES = guides(TABLES)
VERDICTS = Verdicts(TABLES.rows("guides/x12_acknowledgement.csv"))
HEADER = ("BGN*00*1*20260101*1200****4", "N1*P5*SPONSOR*FI*12", "N1*IN*PAYER*FI*34")
ADA = ("INS*Y*18*030*XN*A***FT", "REF*0F*S1", "NM1*IL*1*ALDER*ADA****ZZ*M1", "DMG*D8*19800131*F**C")
GS = "GS*BE*SENDER*RECEIVER*20260101*1200*7*X*005010X220A1"


def one_set(*segments: str, number: str = "0001", version: str = VERSION) -> list[str]:
    """One transaction set with these segments after its ST, its SE right."""
    return [f"ST*834*{number}*{version}", *segments, f"SE*{len(segments) + 2}*{number}"]


def interchange(*sets: Sequence[str], control: str = "000000001", gs: str = GS) -> list[str]:
    """One interchange with one group of these sets."""
    inside = [segment for each in sets for segment in each]
    return [isa(control), gs, *inside, f"GE*{len(sets)}*7", f"IEA*1*{control}"]


def enrolled(*segments: str) -> bytes:
    """A file with Ada, and these segments after hers: the first of them is segment 9 of the set."""
    return join(interchange(one_set(*HEADER, *ADA, *segments)))


def answer_of(data: bytes, *, wish: Wish | None = None, with_values: bool = False, most: int = 5000) -> bytes:
    """The whole answer to these bytes."""
    return answered(data, wish=wish, with_values=with_values, most=most)[0]


def answered(
    data: bytes, *, wish: Wish | None = None, with_values: bool = False, most: int = 5000
) -> tuple[bytes, Answered]:
    """The answer, and what is said of it."""
    out = io.BytesIO()
    acknowledger = Acknowledger(CONTEXT, GUIDES, How(VERDICTS, with_values, most), wish or Wish())
    acknowledger.answer(Source("f.834", lambda: io.BytesIO(data)), out)
    return out.getvalue(), acknowledger.done


def segments_of(answer: bytes, *kinds: str) -> list[str]:
    """The segments of an answer written with ``~``, those of some kinds only."""
    found = [segment.strip("\n") for segment in answer.decode("latin-1").split("~")]
    return [segment for segment in found if segment and (not kinds or segment.split("*")[0] in kinds)]


def said(data: bytes, *, with_values: bool = False) -> list[str]:
    """The IK and CTX segments of the answer: what is said of the one set."""
    return segments_of(answer_of(data, with_values=with_values), "IK3", "CTX", "IK4", "IK5")
