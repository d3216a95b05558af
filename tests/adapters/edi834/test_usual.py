"""Usual members are taken apart by one pattern: they must be what walking their loops would make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_equity.adapters import recognise
from fhir_equity.adapters.edi834 import envelope
from fhir_equity.adapters.edi834.member import MemberReader
from fhir_equity.adapters.edi834.usual import UsualReader
from fhir_equity.adapters.protocol import Read
from fhir_equity.adapters.source import sources
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Member
from fhir_equity.tables import Tables, partners
from tests.adapters.edi834.files import ADA, BRUNO, CONTEXT, file, join, read, segments
from tests.benchmarks.generate_834 import generate

WHOLE = (
    *("INS*N*19*030*28*A*E**FT*F**D8*20260102******3", "REF*0F*S1", "REF*1L*G 1", "REF*17* X1", "REF*DX*none"),
    *("DTP*356*D8*20260101", "DTP*303*D8*20250101", "NM1*IL*1*VAN DYKE*ADA*MAY*DR*JR*34*M1", "PER*IP**TE*5550100"),
    *("N3*1 OAK WAY*APT 2", "N4*SAMPLETON*OR*97001**CY*033", "DMG*D8*19800131*F*M*:RET:2118-8^H", "EC*X", "AMT*D2*1"),
    *("LUI*LE*SPA**7", "LUI*LE*ENG**6", "LUI***KLINGON*7", "HD*021**HLT*P1*IND", "DTP*348*D8*20260201"),
    *("DTP*349*D8*20261130", "REF*1L*OTHER", "AMT*P3*9", "IDC*1*H", "HD*021**DEN", "DTP*348*D8*20260301"),
    *("HD*021**HLT", "DTP*348*D8*20270101", "AMT*P3*9"),
)
BARE = ("INS*Y*18", "NM1*IL*1*ALDER*BO****ZZ*M2")
BEFORE = [BARE] * 60  # more than one block: what is read with the header is walked
# So many have the REF of WHOLE that the pattern has them, too.
REFERRED = (BARE[0], "REF*0F*S9", "REF*1L*G9", "REF*17*X9", "REF*DX*some", BARE[1])
OFTEN = [*BEFORE, *[REFERRED] * 60]


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "_BLOCK", 2048)
        yield


def walked(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Read]:
    """The same read without the pattern."""
    with monkeypatch.context() as patch:
        patch.setattr(UsualReader, "read", lambda *_: None)
        return read(data)


@pytest.fixture
def by_loops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the INS of the members whose loops are walked."""
    numbers: list[int] = []
    reading = MemberReader.read

    def counted(self: MemberReader, raw: object, shape: object) -> object:
        numbers.append(raw.number)  # type: ignore[attr-defined]
        return reading(self, raw, shape)  # type: ignore[arg-type]

    monkeypatch.setattr(MemberReader, "read", counted)
    return numbers


@pytest.fixture(params=[BEFORE, OFTEN], ids=["few", "often"])
def before(request: pytest.FixtureRequest) -> list[tuple[str, ...]]:
    """Who comes before those that a test looks at."""
    return list(request.param)


def count_of(members: list[tuple[str, ...]]) -> int:
    """How many segments they have."""
    return sum(map(len, members))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_only_the_last_of_usual_members_is_walked(end: str, by_loops: list[int], before: list[tuple[str, ...]]) -> None:
    data = file(*before, WHOLE, BARE, BRUNO, WHOLE, ADA, end=end)
    found = [item for item in read(data) if isinstance(item, Member)][-5:]
    assert [member.key for member in found] == ["M1", "M2", "M2", "M1", "M1"]
    assert [member.number for member in found if member.number in by_loops] == [found[-1].number]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("marks", ["*:^~", "|>!\n", "+;,'", "\x1d\x1f\x1e\x1c", "\t:^~", "*\\^~", "-:^]", "^:*\\"])
def test_whole_members_are_what_the_loops_say(
    marks: str, end: str, before: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = join(segments(*before, WHOLE, BARE, WHOLE, ADA), marks=marks, end="" if marks[3] == "\n" else end)
    assert read(data) == walked(data, monkeypatch)


@pytest.mark.parametrize(
    ("was", "becomes", "walks"),
    [
        ("INS*N", "INS*X", True),
        ("D8*20260102", "D8*2026", True),
        ("REF*17* X1", "REF*0F*S2", True),
        ("REF*17* X1", "REF*17*", True),
        ("REF*17* X1", "REF*17", True),
        ("REF*17* X1", "REF*17*X1*words*more", False),
        ("REF*17* X1", "REF*17*X 1", False),
        ("REF*17* X1", "REF*23*X1", False),
        ("REF*17* X1", "REF*17*X1~REF*23*X1", False),
        ("REF*DX*none", "REF*DX*none~REF*23*X1", False),
        ("REF*DX*none", "REF*DX*none*", False),
        ("REF*DX*none", "REF*DX*", True),
        ("~REF*DX*none", "", False),
        ("REF*17* X1", "REF**X1", True),
        ("DTP*356*D8*20260101", "DTP*356*D8*20261301", True),
        ("DTP*348*D8*20260201", "DTP*348*D8*x", True),
        ("DTP*348*D8*20260301", "DTP*348*D8*x", True),
        ("*34*M1", "", False),
        ("*34*M1", "*ZZ*S1", False),
        ("VAN DYKE", " ALDER ", False),
        ("VAN DYKE", "N\u00da\u00d1EZ", True),
        ("1 OAK WAY*APT 2", " 1 OAK WAY * ", False),
        ("N3*1 OAK WAY*APT 2", "N3", True),
        ("N4*SAMPLETON*OR*97001**CY*033", "N4*", False),
        ("DMG*D8*19800131*F*M*:RET:2118-8^H", "DMG*D8*19800131", False),
        ("DMG*D8*19800131*F*M*:RET:2118-8^H", "DMG**", True),
        ("DMG*D8*19800131*F*M*:RET:2118-8^H", "DMG*D8", True),
        ("DMG*D8*1980", "DMG**1980", True),
        ("DMG*D8*1980", "DMG*D8*19", True),
        (":RET:2118-8^H", "::2118-8", True),
        ("LUI*LE*SPA**7", "LUI*LE*SPA**9", True),
        ("LUI***KLINGON*7", "LUI", True),
        ("HD*021**HLT*P1*IND", "HD", True),
        ("HD*021**DEN", "HD*021**DEN~AMT*P3*9", True),
        ("HD*021**DEN", "LX*1~NM1*P3*1*DOC", True),
        ("EC*X", "LUI*LE*SPA**7", True),
        ("EC*X", "NM1*70*1*OLD~DMG*D8*19700101*M**A", True),
        ("EC*X", "XX*1", True),
        ("PER*IP**TE*5550100", "PER*IP**TE*5550100~PER*IP**TE*5550101", True),
        ("REF*1L*OTHER", " REF*1L*OTHER", True),
        ("REF*1L*OTHER", "", True),
        ("REF*1L*OTHER", "SE*2*0001~GE*1*1", True),
    ],
)
def test_what_is_walked(
    was: str,
    becomes: str,
    walks: bool,
    before: list[tuple[str, ...]],
    by_loops: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert was in "~".join(WHOLE)
    data = file(*before, tuple("~".join(WHOLE).replace(was, becomes, 1).split("~")), BRUNO, ADA)
    found = read(data)
    assert (6 + count_of(before) in by_loops) is walks
    assert found == walked(data, monkeypatch)


def test_references_that_come_often_are_not_cut_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[str] = []
    refer = UsualReader._refer

    def counted(self: UsualReader, refs: str) -> object:
        cut.append(refs)
        return refer(self, refs)

    monkeypatch.setattr(UsualReader, "_refer", counted)
    data = file(*OFTEN, WHOLE, *[(BARE[0], "REF*0F*S9", BARE[1])] * 60, ADA)
    found = read(data)
    often = "".join(f"~{each}" for each in REFERRED[1:-1])
    # Those of the first block are walked; then as many as it takes are cut. Only one sequence is expected.
    assert cut.count(often) == 50
    assert cut.count("~REF*0F*S9") == 60
    assert "~REF*0F*S1~REF*1L*G 1~REF*17* X1~REF*DX*none" in cut
    assert found == walked(data, monkeypatch)


def test_so_many_references_as_nobody_has_never_become_part_of_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    usual = UsualReader.read

    def counted(self: UsualReader, found: re.Match[str], number: int, offset: int) -> object:
        groups.append(found.re.groups)
        return usual(self, found, number, offset)

    monkeypatch.setattr(UsualReader, "read", counted)
    many = (BARE[0], *[f"REF*{kind}*X" for kind in range(100)], BARE[1])
    found = read(file(*BEFORE, *[many] * 60, *BEFORE, ADA))
    assert len({*groups}) == 1
    assert len([item for item in found if isinstance(item, Member)]) == 2 * len(BEFORE) + 61


def test_a_single_reference_without_its_kind_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file(*BEFORE, ("INS*Y*18", "REF**X1", "NM1*IL*1*ALDER*BO****ZZ*M2"), BRUNO, ADA)
    assert read(data) == walked(data, monkeypatch)


@pytest.mark.parametrize("kind", ["PER", "EC", "AMT", "IDC", "REF"])
def test_what_the_guide_has_not_is_told_of(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = dict(CONTEXT.guide["segments"])
    segments["member"] = [each for each in segments["member"] if each != kind]
    context = type(CONTEXT)(partner="plan", guide={**CONTEXT.guide, "segments": segments})
    data = file(*BEFORE, WHOLE, BRUNO, ADA)
    found = read(data, context)
    assert any(item.findings for item in found if isinstance(item, Member))
    with monkeypatch.context() as patch:
        patch.setattr(UsualReader, "read", lambda *_: None)
        assert found == read(data, context)


def test_generated_members_are_what_the_loops_say(monkeypatch: pytest.MonkeyPatch) -> None:
    data = join(generate(3000))
    assert read(data) == walked(data, monkeypatch)


SEGMENTS = st.sampled_from(
    [
        *WHOLE[1:],
        *("REF*6O*", "REF*ZZ*a b", "DTP*357*D8*20261231", "DTP*356*RD8*x", "NM1*IL*1*X", "N3*", "N4*A*B", "N4", "LX*1"),
        *("DMG*D8*20100228*U**C^7", "DMG*D8**F", "LUI*LE*SPA", "LUI**SPA**7", "HD*021**VIS", "HD*", "COB*P*1*5", ""),
        *("DMG*D8*19800131***:RET:2106-3*******99", "INS*Y*18*030", "NM1*IL*1* \u00c9 *\u00e9", "ICM*1", "XX", "\n"),
    ]
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from([WHOLE, BARE, ADA, BRUNO]),
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["left out", "put in", "twice"]), SEGMENTS), max_size=3),
    ),
    min_size=2,
    max_size=6,
)


def _changed(member: tuple[str, ...], edits: list[tuple[int, str, str]]) -> tuple[str, ...]:
    parts = list(member)
    for at, how, segment in edits:
        place = 1 + at % max(len(parts) - 1, 1)
        if how == "left out":
            del parts[place : place + 1]
        else:
            parts.insert(place, parts[place - 1] if how == "twice" and place > 1 else segment)
    return tuple(parts)


@given(PEOPLE, st.sampled_from(["", "\n", "\r\n"]), st.sampled_from(["4", "2"]), st.sampled_from([BEFORE, OFTEN]))
@example([(WHOLE, [(8, "left out", "")]), (ADA, [])], "\n", "4", BEFORE)
@example([(WHOLE, []), (WHOLE, [(0, "put in", "REF*23*C1")]), (WHOLE, [(4, "twice", "")]), (ADA, [])], "", "2", OFTEN)
def test_any_members_are_what_the_loops_say(
    people: list[tuple[tuple[str, ...], list[tuple[int, str, str]]]],
    end: str,
    purpose: str,
    before: list[tuple[str, ...]],
) -> None:
    parts = segments(*before, *(_changed(member, edits) for member, edits in people))
    data = join([re.sub(r"^(BGN.*\*)4$", rf"\g<1>{purpose}", part) for part in parts], end=end)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert read(data) == walked(data, monkeypatch)


def _shared_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "edi834" / "samples").rglob("*") if path.is_file())


@pytest.mark.parametrize("partner", ["", *partners()])
def test_real_files_are_what_the_loops_say(shared: Path, partner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = (
        CONTEXT if not partner else type(CONTEXT)(partner="plan", guide=Tables(partner).document("guides/edi834.toml"))
    )
    looked_at = 0
    for source in sources(_shared_files(shared)):
        try:
            if recognise(source).name != "edi834":
                continue
            with source.open() as stream:
                data = stream.read()
        except UnreadableError:
            continue
        try:
            found = read(data, context)
        except UnreadableError:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(UsualReader, "read", lambda *_: None)
            assert found == read(data, context), source.name
        looked_at += 1
    assert looked_at > 40
