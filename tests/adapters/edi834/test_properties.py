"""Whatever the bytes are: nothing but UnreadableError, and every INS of a well-formed set is accounted for."""

from __future__ import annotations

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from fhir_equity.errors import UnreadableError
from fhir_equity.model import Member, Rejected
from tests.adapters.edi834.files import ADA, BRUNO, file, isa, read

VALID = file(ADA, BRUNO, (*ADA, "LUI*LE*SPA**7", "HD*030**HLT", "DTP*348*D8*20260101"), end="\n")


def _accounted(data: bytes) -> None:
    """Every item is placed inside the file, and rejected bytes are the file's own."""
    with contextlib.suppress(UnreadableError):
        for item in read(data):
            if isinstance(item, Rejected):
                start = item.finding.locator.offset
                assert data[start : start + len(item.raw)] == item.raw
            places = [a.locator for a in item.answers] if isinstance(item, Member) else []
            assert all(0 <= place.offset < len(data) for place in places)


@given(st.binary(max_size=600))
@example(b"ISA")
@example(b"ISA\n" * 40)
def test_any_bytes(data: bytes) -> None:
    _accounted(data)


@given(st.binary(max_size=300), st.sampled_from([b"~", b"\n", b"INS*Y~", b"NM1*IL~", b"~DMG*"]))
def test_any_bytes_after_an_isa(data: bytes, glue: bytes) -> None:
    _accounted(isa().encode() + b"~GS*BE~ST*834*1~" + data.replace(b"\x00", glue))


Edit = tuple[int, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.integers(0, len(VALID)),
        st.integers(0, 40),
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from([b"~", b"*", b":", b"^", b"\n", b"~~", b"INS*", b"ISA*", b"~IEA*", b"~SE*", b"\xc3", b""]),
        ),
    ),
    max_size=6,
)


@given(EDITS)
def test_a_valid_file_changed_anywhere(edits: list[Edit]) -> None:
    data = VALID
    for start, length, text in edits:
        data = data[:start] + text + data[start + length :]
    _accounted(data)


VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="*:^~"), max_size=12)
KINDS = ["REF", "NM1", "N3", "N4", "DMG", "LUI", "HD", "DTP", "COB", "LX", "LS", "LE", "N1", "PER"]
SEGMENT = st.builds(
    lambda kind, values: "*".join((kind, *values)),
    st.sampled_from([*KINDS, "NM1*IL", "NM1*70", "DMG*D8*19800131*F*", "XX"]),
    st.lists(VALUE, max_size=9),
)
PERSON = st.lists(SEGMENT, max_size=8).map(lambda rest: tuple(rest))


@given(st.lists(st.tuples(st.sampled_from(["INS*Y*18*030", "INS*N*19", "INS*?", "INS"]), PERSON), max_size=6))
def test_every_ins_is_one_member_or_one_rejected(people: list[tuple[str, tuple[str, ...]]]) -> None:
    data = file(*((ins, *rest) for ins, rest in people))
    found = [item for item in read(data) if isinstance(item, Member | Rejected)]
    assert len(found) == len(people)
    assert b"".join(item.raw for item in found if isinstance(item, Rejected)) == b"".join(
        "".join(f"{part}~" for part in (ins, *rest)).encode("latin-1")
        for (ins, rest), item in zip(people, found, strict=True)
        if isinstance(item, Rejected)
    )
