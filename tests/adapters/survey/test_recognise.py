"""What is claimed as a survey, and what is left to others."""

from __future__ import annotations

import io

import pytest

from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import Source
from fhir_equity.adapters.survey import ADAPTER


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"member_id,race\n1,White\n", "noname"),
        (b"MRN;Preferred Language\n", "-"),
        (b"\xef\xbb\xbfmember_id\trace_asian\n", "x"),
        (b"\xff\xfe" + "member_id|race\n".encode("utf-16-le"), "x"),
        (b'\r\n"member_id","race"\n', "x"),
        (b"race,other\nWhite,1\n", "x.csv"),
        (b"race\tother\nWhite\t1\n", "X.TSV"),
        (b"first_name,lab\n", "x.txt"),
        (b"first_name,lab\n", "x.csv.gz"),
        (b"first_name,lab\n", "a.zip!x.csv"),
        (b"member_id,Pe\xf1a,race\n", "x"),
    ],
)
def test_surveys(head: bytes, name: str) -> None:
    assert ADAPTER.recognises(head, name) is True


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "x.csv"),
        (b"\n\n", "x.csv"),
        (b"\xef\xbb\xbf", "x.csv"),
        (b"race,other\n", "x"),
        (b"member_id,city,other\n", "x"),
        (b"race\nWhite\n", "x.csv"),
        (b"a,b\nmember_id,race\n", "x.csv"),
        (b"ISA*00*,member_id,race\n", "x.csv"),
        (b'{"member_id": 1, "race": 2}\n', "x.csv"),
        (b' [{"member_id": 1}, {"race": 2}]', "x.csv"),
        (b"\xef\xbb\xbf<member_id,race", "x.csv"),
        (b"member_id,race\0\n", "x.csv"),
        (b"PK\x03\x04\0\0,race", "x.csv"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF,race", "x.csv"),
    ],
)
def test_other_things(head: bytes, name: str) -> None:
    assert ADAPTER.recognises(head, name) is False


def test_the_adapter_says_what_it_is() -> None:
    assert (ADAPTER.name, ADAPTER.ending, ADAPTER.writes) == ("survey", ".csv", True)
    source = Source("s.csv", lambda: io.BytesIO(b"member_id,race\n"))
    assert ADAPTER.split(source, 8) == [Range(0, -1)]
