"""Rows: any dialect, exact offsets and raw bytes, and going on after a row that cannot be cut."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.survey import rows as module
from fhir_equity.adapters.survey.rows import Encoding, Row, encoding_of, rows

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["", " ", '"', '""', "\r\n", "\n", "\r", ",", ";", "a\nb", "'x"]
)
TABLE = st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=8)
UTF8 = Encoding("utf-8")


def cut(data: bytes, delimiter: str = ",", encoding: Encoding = UTF8, block: int = 1 << 20) -> list[Row]:
    blocks = (data[at : at + block] for at in range(0, len(data), block))
    return list(rows(blocks, encoding, delimiter))


@given(
    TABLE,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
    st.integers(1, 40),
)
def test_any_dialect_reads_back(
    table: list[list[str]], delimiter: str, quoting: int, end: str, encoding: str, block: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")  # type: ignore[arg-type]
    lines = []
    for cells in table:
        text.seek(0)
        text.truncate()
        writer.writerow(cells)
        lines.append(text.getvalue().removesuffix("\r\n") + end)
    found = cut("".join(lines).encode(encoding), delimiter, Encoding(encoding), block)
    assert [row.cells for row in found] == table
    assert [row.raw for row in found] == [line.encode(encoding) for line in lines]
    assert {row.encoding for row in found} <= {encoding}
    assert all(row.problem == "" for row in found)


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(1, 50))
def test_no_byte_is_lost(data: bytes, encoding: str, block: int) -> None:
    found = cut(data, encoding=Encoding(encoding), block=block)
    assert b"".join(row.raw for row in found) == data
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    assert all(data[row.offset : row.offset + len(row.raw)] == row.raw for row in found)
    assert found == cut(data, encoding=Encoding(encoding))


def test_encodings_by_byte_order_mark() -> None:
    assert encoding_of(b"a,b") == Encoding("utf-8", b"")
    assert encoding_of(b"\xef\xbb\xbfa") == Encoding("utf-8", b"\xef\xbb\xbf")
    assert encoding_of(b"\xff\xfea\0") == Encoding("utf-16-le", b"\xff\xfe")
    assert encoding_of(b"\xfe\xff\0a") == Encoding("utf-16-be", b"\xfe\xff")


@pytest.mark.parametrize("block", [1, 2, 3, 4, 100])
def test_the_byte_order_mark_is_no_part_of_the_first_row(block: int) -> None:
    data = b"\xff\xfe" + "a,ñ\r\nb,c".encode("utf-16-le")
    found = cut(data, encoding=encoding_of(data), block=block)
    assert [(row.number, row.offset, row.cells) for row in found] == [(1, 2, ["a", "ñ"]), (2, 12, ["b", "c"])]


def test_a_line_that_is_not_utf8_is_windows_1252() -> None:
    found = cut(b"a,b\nPe\xf1a,\x93x\x94\nPe\xc3\xb1a,\x81\xf1\nz,\xc3\xb1\n")
    assert [row.cells for row in found] == [["a", "b"], ["Peña", "“x”"], ["PeÃ±a", "\x81ñ"], ["z", "ñ"]]
    assert [row.encoding for row in found] == ["utf-8", "cp1252", "cp1252", "utf-8"]


def test_a_stray_quote_costs_one_line() -> None:
    found = cut(b'a,b\n1,"Ann\n2,Bo\n3,Cy\n')
    assert [(row.number, row.offset, row.raw, row.problem) for row in found] == [
        (1, 0, b"a,b\n", ""),
        (2, 4, b'1,"Ann\n', "quote"),
        (3, 11, b"2,Bo\n", ""),
        (4, 16, b"3,Cy\n", ""),
    ]
    assert [row.cells for row in found] == [["a", "b"], [], ["2", "Bo"], ["3", "Cy"]]


def test_text_after_a_closing_quote_is_not_guessed_at() -> None:
    found = cut(b'"Bob "Bo" Roe",1\nx,2\n')
    assert [(row.raw, row.problem, row.cells) for row in found] == [
        (b'"Bob "Bo" Roe",1\n', "quote", []),
        (b"x,2\n", "", ["x", "2"]),
    ]


def test_nul_and_broken_utf16_have_no_cells() -> None:
    assert [(row.raw, row.problem) for row in cut(b"a\0,b\nc,d\n")] == [(b"a\0,b\n", "binary"), (b"c,d\n", "")]
    half = "a,b\n".encode("utf-16-le") + b"\x00\xd8,\x00\n\x00" + b"c"
    found = cut(half, encoding=Encoding("utf-16-le"))
    assert [(row.raw, row.problem) for row in found] == [
        ("a,b\n".encode("utf-16-le"), ""),
        (b"\x00\xd8,\x00\n\x00", "encoding"),
        (b"c", "encoding"),
    ]


def test_an_endless_line_is_rejected_in_pieces_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 8)
    data = b"a,b\n" + b"x" * 21 + b"\n" + b"c,d\n"
    found = cut(data, block=5)
    assert [(row.problem, row.cells) for row in found if row.problem != "too_long"] == [
        ("", ["a", "b"]),
        ("", ["c", "d"]),
    ]
    assert b"".join(row.raw for row in found if row.problem) == b"x" * 21 + b"\n"
    assert all(len(row.raw) < 16 for row in found)


def test_a_quoted_cell_of_too_many_lines_is_a_missing_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 3)
    assert [row.cells for row in cut(b'"1\n2\n3",x\n')] == [["1\n2\n3", "x"]]
    found = cut(b'"1\n2\n3\n4",x\ny,z\n')
    assert [(row.raw, row.problem) for row in found][:2] == [(b'"1\n', "quote"), (b"2\n", "")]
    assert found[-1].cells == ["y", "z"]


def test_a_quoted_cell_of_too_many_bytes_is_a_missing_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 12)
    assert [row.cells for row in cut(b'"1\n23",x\n')] == [["1\n23", "x"]]
    assert next((row.raw, row.problem) for row in cut(b'"1\n2345678",x\n')) == (b'"1\n', "quote")


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(blocks: int) -> int:
        tracemalloc.start()
        for row in rows((b"1,2\n" * 5000 for _ in range(blocks)), UTF8, ","):
            assert row.cells == ["1", "2"]
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(20) < peak(2) + 20_000
