"""How FHIR files are told from others, how lines are counted and where NDJSON is cut."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import ADAPTER, layout
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.model import Member

PATIENT = b'{"resourceType":"Patient","id":"a"}'
PRETTY = json.dumps({"resourceType": "Patient", "id": "a"}, indent=2).encode()


def source(raw: bytes, name: str = "x.ndjson") -> Source:
    return Source(name, lambda: io.BytesIO(raw))


@pytest.mark.parametrize(
    "head",
    [
        PATIENT,
        PRETTY,
        b"\xef\xbb\xbf" + PATIENT,
        b'{"id":"a","resourceType" : "Patient"}',
        b"[" + PATIENT + b"]",
        PATIENT + b"\n" + PATIENT,
        b"{broken\n" + PATIENT + b"\n",
        b'<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"><id value="a"/></Patient>',
        b"<Patient xmlns='http://hl7.org/fhir'/>",
        b'{"resourceType":"Bundle","entry":[{"resour',
        '{"resourceType":"Patient","name":[{"family":"Muñoz"}]}'.encode("latin-1"),
    ],
)
def test_fhir_is_recognised_from_content(head: bytes) -> None:
    assert ADAPTER.recognises(head, "whatever.bin") is True


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}",
        b'{"a": 1}',
        b'{"resources": [{"resourceType": "Patient"}]}',
        b'[{"op": "add"}]',
        b'{"exportId":"1"}\n{"exportId":"2"}\n',
        b"id,race\n1,White\n",
        b"ISA*00*",
        b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>',
        b'<Patient xmlns="http://hl7.org/fhirx"/>',
        b'text before {"resourceType":"Patient"}',
    ],
)
def test_other_files_are_not_recognised(head: bytes) -> None:
    assert ADAPTER.recognises(head, "x.json") is False


def test_lines_are_numbered_and_located_in_the_whole_file() -> None:
    found = list(layout.lines(source(b"a\nbb\r\n\nccc"), Range()))
    assert [(line.number, line.offset, line.raw) for line in found] == [
        (1, 0, b"a"),
        (2, 2, b"bb\r"),
        (3, 6, b""),
        (4, 7, b"ccc"),
    ]


def test_a_range_keeps_the_numbers_of_the_whole_file() -> None:
    found = list(layout.lines(source(b"a\nbb\nccc\nd\n"), Range(2, 9, 1)))
    assert [(line.number, line.offset, line.raw) for line in found] == [(2, 2, b"bb"), (3, 5, b"ccc")]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=90), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 50))
def test_ranges_put_together_are_the_file(sizes: list[int], pieces: int, grain: int) -> None:
    raw = b"".join(PATIENT[:-1] + b',"x":"' + b"y" * size + b'"}\n' for size in sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "GRAIN", grain)
        ranges = ADAPTER.split(source(raw), pieces)
    assert len(ranges) <= pieces
    assert ranges[0].start == 0
    assert ranges[-1].stop == -1
    whole = list(ADAPTER.read(source(raw), Range(), Context()))
    cut = [each for part in ranges for each in ADAPTER.read(source(raw), part, Context())]
    assert cut == whole
    assert len(cut) == len(sizes)


def test_a_large_file_is_cut_into_as_many_pieces_as_asked() -> None:
    raw = (PATIENT + b"\n") * 20_000
    ranges = ADAPTER.split(source(raw), 4)
    assert len(ranges) == 4
    assert [part.stop for part in ranges[:-1]] == [part.start for part in ranges[1:]]
    members = [sum(isinstance(x, Member) for x in ADAPTER.read(source(raw), part, Context())) for part in ranges]
    assert sum(members) == 20_000
    assert min(members) > 3_000


@pytest.mark.parametrize(
    "raw",
    [
        PRETTY * 1,
        b"[" + PATIENT + b",\n" + PATIENT + b"]",
        (PATIENT + b"\n") * 9_000 + b'{"id":"e","resourceType":"Encounter"}\n',
    ],
)
def test_documents_and_mixed_lines_stay_whole(raw: bytes) -> None:
    assert ADAPTER.split(source(raw), 4) == [Range()]


@pytest.mark.parametrize(
    ("raw", "share"),
    [
        (PATIENT, 0.0),
        (PATIENT + b"\n\n", 0.0),
        (PRETTY, 0.0),
        (PATIENT + b"\nbroken", 1.0),
        (b"\n" + PATIENT + b"\n" + PATIENT, 1.0),
        (b"broken\n" + PATIENT, 0.5),
        (b"broken\n" + PATIENT + b"\n" + PATIENT, 2 / 3),
        (b'{"resourceType":"Bundle","entry":[{"resource":\n' + PATIENT + b"\n}]}", 1 / 3),
    ],
)
def test_share_of_lines(raw: bytes, share: float) -> None:
    assert layout.share_of_lines(source(raw)) == share


class _Cut(Source):
    """A source whose blocks end where a test wants."""

    def __init__(self, raw: bytes, size: int) -> None:
        super().__init__("x.ndjson", lambda: io.BytesIO(raw))
        self._size = size

    def part(self, start: int, stop: int, size: int = 0) -> Iterator[bytes]:
        return super().part(start, stop, self._size)


@given(st.integers(64, 90), st.integers(0, 80))
def test_other_resources_are_seen_wherever_blocks_end(size: int, before: int) -> None:
    patients = b" " * before + b'{"resourceType" : "Patient","id":"a"}\n' * 4
    assert not layout.has_others(_Cut(patients, size))
    assert layout.has_others(_Cut(patients + b'{"resourceType" : "Observation"}', size))
