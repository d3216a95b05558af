"""Formats are found from content; what is none of them is told in one sentence."""

from __future__ import annotations

import gzip
import io

import pytest

from fhir_equity.adapters import Source, adapter_named, adapters, recognise
from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.errors import UnreadableError, UsageError
from tests.adapters.edi834.files import ADA, file, isa


def _source(data: bytes, name: str = "some.file") -> Source:
    return Source(name, lambda: io.BytesIO(data))


def test_the_formats_there_are() -> None:
    assert sorted(adapters()) == ["edi834", "fhir", "survey"]
    assert all(adapter.name == name and adapter.ending.startswith(".") for name, adapter in adapters().items())
    assert adapter_named("edi834") is ADAPTER


def test_a_format_there_is_not() -> None:
    with pytest.raises(UsageError, match="there is no format hl7v2; there are: edi834, fhir, survey"):
        adapter_named("hl7v2")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (file(ADA), "edi834"),
        (b"\xef\xbb\xbf\r\n" + file(ADA), "edi834"),
        (file(ADA, marks="|>!\n"), "edi834"),
        (b"ISA*00", "edi834"),
        (b"ISA", "edi834"),
        (b'{"resourceType": "Patient"}', "fhir"),
        (b'\xef\xbb\xbf {"resourceType": "Bundle"}', "fhir"),
        (b"member_id,race\n1,Asian\n", "survey"),
    ],
)
def test_content_decides_and_not_the_name(data: bytes, name: str) -> None:
    for called in ("a.834", "a.json", "a.csv", "a"):
        assert recognise(_source(data, called)).name == name


@pytest.mark.parametrize("data", [b"ISABEL,race\n", b"ISA number,race\n", b"isa*00*", b"GS*BE*", b""])
def test_what_is_no_interchange(data: bytes) -> None:
    assert not ADAPTER.recognises(data, "a.834")


@pytest.mark.parametrize("data", [b"", b" \r\n\t\n"])
def test_an_empty_file(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^some\.file is empty$"):
        recognise(_source(data))


@pytest.mark.parametrize("data", [b"\x7fELF\x00\x00\x01", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_binary_file(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^some\.file is a binary file, none of the formats we read$"):
        recognise(_source(data))


@pytest.mark.parametrize("data", [b"just words", b"<html><body>no</body></html>", b"GS*BE*A~ST*834*1~"])
def test_text_of_no_known_format(data: bytes) -> None:
    sentence = r"^some\.file is none of the formats we read: edi834, fhir, survey$"
    with pytest.raises(UnreadableError, match=sentence):
        recognise(_source(data))


def test_a_packed_file_inside_a_packed_file_is_no_format() -> None:
    with pytest.raises(UnreadableError, match="binary file"):
        recognise(_source(gzip.compress(isa().encode() * 9)))


def test_the_834_is_one_range() -> None:
    (part,) = ADAPTER.split(_source(b""), 8)
    assert (part.start, part.stop) == (0, -1)
