"""A file read in ranges gives what it gives in one, or says that it cannot be cut."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.edi834 import ADAPTER, ranges
from fhir_equity.adapters.protocol import Range, Read, Seam
from fhir_equity.adapters.protocol import join as join_seams
from fhir_equity.adapters.source import sources
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Frame, Member
from tests.adapters.edi834.files import ADA, BRUNO, CONTEXT, codes, isa, join, segments

BAD = ("INS*X*18", "NM1*IL*1*FIRTH*GRETA")
SPEAKER = (*ADA[:3], "XX*1", "DMG*D8*19900101*F**:RET^C", "LUI*LE*SPA**6", "LUI*LE*ENG**7", "HD*030**HLT")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LEAST", 1)


def read(path: Path, part: Range) -> list[Read]:
    return list(ADAPTER.read(sources([path])[0], part, CONTEXT))


def in_ranges(path: Path, pieces: int) -> tuple[list[Read], list[Read] | None, int]:
    """What all ranges yield with what stands in the place of seams, what only all show, and how many there were.

    None where the ranges do not fit together: what was yielded until then is right.
    """
    parts = ADAPTER.split(sources([path])[0], pieces)
    items: list[Read] = []
    joint = ADAPTER.joint()
    for part in parts:
        for item in read(path, part):
            if isinstance(item, Seam):
                found = joint.take(pickle.loads(pickle.dumps(item)))  # noqa: S301 - as between our own processes
                if found is None:
                    return items, None, len(parts)
                items += found
            else:
                items.append(item)
    return items, joint.end() if len(parts) > 1 else [], len(parts)


def same(items: list[Read], joined: list[Read] | None, whole: list[Read]) -> bool:
    """The same items in the same order; where ranges do not fit, those before are the first of them."""
    return items == whole[: len(items)] if joined is None else [*items, *joined] == whole


def sets(count: int, each: int) -> list[str]:
    inside = []
    for number in range(1, count + 1):
        people = [part for _ in range(each) for part in (*ADA, *BRUNO)]
        inside += [f"ST*834*{number:04}*005010X220A1", "BGN*00*1*20260101*1200****4", f"QTY*TO*{2 * each}", *people]
        inside.append(f"SE*{len(people) + 4}*{number:04}")
    start = [isa(), "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1"]
    return [*start, *inside, f"GE*{count}*1", "IEA*1*000000001"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    people=st.lists(st.sampled_from([ADA, BRUNO, BAD, SPEAKER]), min_size=2, max_size=9),
    pieces=st.integers(2, 5),
    end=st.sampled_from(["", "\n", "\r\n", "\n  "]),
    marks=st.sampled_from(["*:^~", "|>!\n", "+;,'"]),
)
def test_any_cut_gives_the_same(
    tmp_path: Path, people: list[tuple[str, ...]], pieces: int, end: str, marks: str
) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(segments(*people), end=end, marks=marks))
    items, joined, _ = in_ranges(path, pieces)
    assert same(items, joined, read(path, Range()))


@pytest.mark.parametrize("each", [1, 5])
def test_counts_and_control_numbers_are_right_across_cuts(tmp_path: Path, each: int) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(sets(12, each)))
    items, joined, number = in_ranges(path, 4)
    assert number == 4
    assert joined == []
    assert items == read(path, Range())


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"SE*12*0012", b"SE*13*0012", "x12.se01.count_differs"),
        (b"SE*12*0011", b"SE*12*0099", "x12.se02.control_number_differs"),
        (b"QTY*TO*2~", b"QTY*TO*3~", "x12.qty.total_differs"),
        (b"QTY*TO*2~", b"QTY*DT*2~", "x12.qty.dependents_differ"),
        (b"QTY*TO*2~", b"QTY*ET*2~", "x12.qty.subscribers_differ"),
        (b"BGN*00*1*", b"BGN*99*1*", "x12.bgn01.not_in_code_list"),
        (b"GE*12*1", b"GE*11*1", "x12.ge01.count_differs"),
        (b"GE*12*1", b"GE*12*2", "x12.ge02.control_number_differs"),
        (b"IEA*1*000000001", b"IEA*2*000000001", "x12.iea01.count_differs"),
        (b"IEA*1*000000001~", b"", "x12.truncated"),
        (b"SE*12*0012~", b"", "x12.se.missing"),
        (b"ST*834*0010*005010X220A1~", b"", "x12.st.missing"),
        (b"ST*834*0010*005010X220A1", b"ST*820*0010*005010X218", "x12.st01.not_834"),
    ],
)
def test_what_the_envelope_finds_does_not_depend_on_the_cut(tmp_path: Path, old: bytes, new: bytes, code: str) -> None:
    path = tmp_path / "f.834"
    data = join(sets(12, 1))
    assert old in data
    path.write_bytes(data.replace(old, new))
    whole = read(path, Range())
    assert code in codes(whole)
    items, joined, number = in_ranges(path, 3)
    assert number == 3
    assert same(items, joined, whole)
    if code not in ("x12.st.missing", "x12.st01.not_834"):  # there a cut may fall outside of a set
        assert joined is not None


def test_the_totals_are_right_across_cuts(tmp_path: Path) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(sets(12, 1)).replace(b"QTY*TO*2~", b"QTY*DT*1~").replace(b"QTY*DT*1~", b"QTY*ET*1~", 6))
    items, joined, number = in_ranges(path, 3)
    assert (number, joined) == (3, [])
    assert items == read(path, Range())


NEW = tuple(segment.replace("*030*", "*021*") for segment in ADA)


def test_a_range_knows_that_the_file_only_verifies(tmp_path: Path) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(segments(*[NEW] * 9)))
    items, joined, number = in_ranges(path, 3)
    found = [item for item in items if isinstance(item, Member)]
    assert (number, joined, codes(items)) == (3, [], ["x12.ins03.not_verify"] * 9)
    assert [member.enrollment.maintenance for member in found] == ["030"] * 9


@pytest.mark.parametrize("changes", [range(1), range(1, 12), range(6), range(6, 12), range(0, 12, 2)])
def test_sets_of_another_purpose_are_read_alike_or_in_one(tmp_path: Path, changes: range) -> None:
    path = tmp_path / "f.834"
    text = join(sets(12, 2)).decode().replace("*030*", "*021*").split("****4~")
    path.write_bytes("".join(f"{part}****{2 if at in changes else 4}~" for at, part in enumerate(text[:-1])).encode())
    with path.open("ab") as stream:
        stream.write(text[-1].encode())
    whole = read(path, Range())
    told = [item.enrollment.maintenance for item in whole if isinstance(item, Member)]
    assert told == [code for at in range(12) for code in ["021" if at in changes else "030"] * 4]
    items, joined, number = in_ranges(path, 3)
    assert number == 3
    assert joined is None or same(items, joined, whole)


def test_ranges_that_do_not_fit_are_told(tmp_path: Path) -> None:
    path = tmp_path / "f.834"
    other = join(sets(12, 1)).replace(b"ST*834", b"ST*820")
    path.write_bytes(other)
    assert in_ranges(path, 3)[1] is None


@pytest.mark.parametrize("marks", ["*:^~", "|>!'", "|>!~"])
def test_several_interchanges_in_ranges(tmp_path: Path, marks: str) -> None:
    path = tmp_path / "f.834"
    second = join([part.replace("000000001", "000000002") for part in sets(12, 1)], marks=marks)
    path.write_bytes(join(sets(6, 1)) + second)
    items, joined, number = in_ranges(path, 4)
    assert number > 1
    assert same(items, joined, read(path, Range()))


def test_a_file_without_an_834_is_refused_when_its_ranges_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(sets(4, 1)).replace(b"ST*834", b"ST*820"))
    with pytest.raises(UnreadableError, match="820, not an 834"):
        read(path, Range())
    first = list(read(path, Range(0, 400)))
    seam = first[-1]
    assert isinstance(seam, Seam)
    assert join_seams(ADAPTER, [seam]) is None  # and then it is read in one


def test_segment_numbers_and_the_digest_are_known_after_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(sets(4, 2), end="\r\n"))
    (source,) = sources([path])
    parts = ADAPTER.split(source, 3)
    data = path.read_bytes()
    assert len(parts) == 3
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, -1)
    for part in parts[1:]:
        assert data[part.start :].lstrip().startswith(b"INS*Y")  # dependents stay with theirs
        assert part.before == data[: part.start].count(b"~")
        assert part.opened == data[: data.rindex(b"ST*834", 0, part.start)].count(b"~") + 1
    list(ADAPTER.read(whole := sources([path])[0], Range(), CONTEXT))
    assert (source.sha256, source.size) == (whole.sha256, whole.size)


def test_what_cannot_be_cut_is_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(sets(4, 2)))
    assert ADAPTER.split(sources([path])[0], 1) == [Range()]
    (tmp_path / "g.834").write_bytes(b"no interchange" * 100)
    assert ADAPTER.split(sources([tmp_path / "g.834"])[0], 4) == [Range()]
    (tmp_path / "h.834").write_bytes(join([isa(), "GS*BE*A*B"]) + b"x" * 1000)
    assert ADAPTER.split(sources([tmp_path / "h.834"])[0], 4) == [Range()]
    monkeypatch.setattr(ranges, "LEAST", 10_000)
    assert ADAPTER.split(sources([path])[0], 4) == [Range()]


def test_the_isa_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "f.834"
    path.write_bytes(join(sets(12, 1)))
    items, _, _ = in_ranges(path, 4)
    assert len([item for item in items if isinstance(item, Frame)]) == 1


@pytest.mark.parametrize(
    ("names", "told"),
    [(("É", "A"), ["x12.encoding.utf8"]), (("É", "\udcc9"), ["x12.encoding.latin1"]), (("A", "A"), [])],
)
def test_the_encoding_of_all_ranges_is_told_once(tmp_path: Path, names: tuple[str, str], told: list[str]) -> None:
    path = tmp_path / "f.834"
    first, *middle, last = [part.encode() for part in join(sets(12, 1)).decode().split("NM1*IL")]
    known = [name.encode("utf-8", "surrogateescape") for name in names]
    data = b"NM1*IL".join([first, b"*1*" + known[0] + middle[0][3:], *middle[1:], b"*1*" + known[1] + last[3:]])
    path.write_bytes(data)
    items, joined, number = in_ranges(path, 3)
    assert number == 3
    assert joined is not None
    assert codes(joined) == told == codes(read(path, Range()))
    assert codes(items) == []
