"""A rejected row read again below its header: as in its file, in every encoding and with every delimiter."""

from __future__ import annotations

import codecs
import io

import pytest

from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.adapters.survey import ADAPTER
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Frame, Locator, Member, Rejected, Severity
from fhir_equity.tables import Tables

CONTEXT = Context(partner="p")
MENDED = Context(partner="p", guide={**Tables().document("guides/survey.toml"), "keys": [["medicaid_id"]]})
ROWS = 'member_id,medicaid_id,race_ethnicity\nM1,,White\n,MC1,"Samoan\nand more"\n,MC2,Ásia\n'


def items(data: bytes, context: Context) -> tuple[Frame, list[Member], list[Rejected]]:
    found = list(ADAPTER.read(Source("s.csv", lambda: io.BytesIO(data)), Range(), context))
    (frame,) = [item for item in found if isinstance(item, Frame)]
    return (
        frame,
        [item for item in found if isinstance(item, Member)],
        [item for item in found if isinstance(item, Rejected)],
    )


@pytest.mark.parametrize("before", ["", "\n\n", " , , \n"])
@pytest.mark.parametrize(
    ("bom", "encoding"),
    [(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "cp1252")],
)
@pytest.mark.parametrize(("delimiter", "end"), [(",", "\n"), (";", "\r\n"), ("\t", "\n")])
def test_a_row_read_again(bom: bytes, encoding: str, delimiter: str, end: str, before: str) -> None:
    data = bom + (before + ROWS).replace(",", delimiter).replace("\n", end).encode(encoding)
    frame, (first,), kept = items(data, CONTEXT)
    assert first.key == "M1"
    assert [each.finding.code for each in kept] == ["survey.key.empty"] * 2
    _, whole, _ = items(data, MENDED)
    assert [member.key for member in whole] == ["MC1", "MC2"]
    assert [item for each in kept for item in ADAPTER.again(each, frame.raw, MENDED)] == whole
    assert [item for each in kept for item in ADAPTER.again(each, frame.raw, CONTEXT)] == kept


def test_a_frame_says_where_the_header_is_and_has_no_control_number() -> None:
    frame, _, _ = items(b"\n\nmember_id,race\nM1,White\n", CONTEXT)
    assert frame == Frame(b"member_id,race\n", Locator("s.csv", "row", 3, 2))


@pytest.mark.parametrize("frame", [b"", b'"open'])
def test_without_its_header_it_cannot_be_read(frame: bytes) -> None:
    kept = Rejected(b",x\n", Finding("survey.key.empty", Severity.ERROR, Locator("s.csv", "row", 2, 15)))
    with pytest.raises(UnreadableError, match=r"^s\.csv: the header row of its records was not kept"):
        list(ADAPTER.again(kept, frame, CONTEXT))
