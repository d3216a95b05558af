"""Invented people to be written, and the guides to write them by, as Hypothesis strategies."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Address, Coding, Enrollment, Expressed, Identifier, Member, Name, Outgoing, State
from fhir_equity.tables import Tables, partners

PARTNERS = ["", *partners()]
GUIDES: dict[str, dict[str, Any]] = {name: Tables(name).document("guides/edi834.toml") for name in PARTNERS}
ALONE = ("ca-dhcs", "or-oha")  # their sheets recognise subscribers only
MARKS = ["*:^~", "*:!~", "|>!\n", "+;,'", "\x1d\x1f\x1e\x1c", "\t:^~", "*\\^~"]
USES = ["language_spoken", "language_written", "language_reading", "language_native"]

PLAIN = ["ALDER", "O'HARA-LEE", "VAN DER BERG", "ADA", "SMITH 3RD"]
ODD = [
    "Núñez",
    "NÚÑEZ",
    "Łukasz",
    "Đặng Thị",
    "Straße",
    "Ka\u02bbiulani",
    "A*B~C^D:E|F",
    "山田",
    "a\nb",
    " X ",
    "\u212a",
    "  ",
]
WORDS = st.sampled_from(PLAIN) | st.sampled_from(ODD) | st.text(min_size=1, max_size=70)
TEXT = WORDS | st.just("")
DAY = st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(str)
RACES = st.lists(
    st.sampled_from([Coding("x12-1109", letter) for letter in "78ABCDEFGHIJNOPZ"])
    | st.sampled_from([Coding("cdcrec", code) for code in ("2106-3", "2135-2", "2118-8", "2034-7", "2186-5")])
    | st.sampled_from([Coding("cdcrec-hierarchical", code) for code in ("R5.02", "E1")]),
    max_size=12,
    unique=True,
)
LANGUAGES = st.dictionaries(
    st.sampled_from(USES),
    st.tuples(st.lists(st.sampled_from(["eng", "spa", "chi"]), max_size=2, unique=True), TEXT),
)
WRITE = st.fixed_dictionaries(
    {
        "purpose": st.sampled_from("42"),
        "members_per_set": st.integers(0, 3),
        "characters": st.sampled_from(["basic", "extended", "extended"]),
        "race_joined": st.booleans(),
        "language_qualifier": st.sampled_from(["LE", "LD"]),
        "line_end": st.sampled_from(["", "\n", "\r\n"]),
    }
)


@st.composite
def contexts(draw: st.DrawFn) -> tuple[str, Context]:
    partner, marks, said = draw(st.sampled_from(PARTNERS)), draw(st.sampled_from(MARKS)), draw(WRITE)
    said |= dict(zip(("element", "component", "repetition", "segment"), marks, strict=True))
    if marks[3] == "\n":
        said["line_end"] = ""
    guide = {**GUIDES[partner], "write": {**GUIDES[partner]["write"], **said}}
    return partner, Context(partner="plan", guide=guide, created="2026-01-15T12:30")


@st.composite
def record(draw: st.DrawFn, number: int, subscriber: bool, family: int, kinds: list[str]) -> Outgoing:
    ids = tuple(Identifier("", f"X{number}", kind) for kind in kinds)
    enrollment = Enrollment(
        subscriber,
        "18" if subscriber else "19",
        draw(st.sampled_from(["", "001", "021", "024", "030"])),
        f"F{family}",
        draw(st.sampled_from(["", "G1"])),
        draw(st.sampled_from(["", "HLT", "DEN"])),
        tuple(draw(st.lists(st.tuples(DAY, DAY | st.just("")), max_size=3))),
        draw(st.booleans()),
    )
    member = Member(
        "plan",
        f"X{number}",
        identifiers=ids,
        name=Name(draw(TEXT), tuple(draw(st.lists(WORDS, max_size=3))), draw(TEXT), draw(TEXT)),
        birth_date=draw(DAY | st.just("")),
        address=Address(tuple(draw(st.lists(WORDS, max_size=3))), draw(TEXT), "OR", "97001", "", draw(TEXT)),
        enrollment=enrollment,
    )
    sex = Expressed("sex", State.ANSWERED, details=(Coding("x12-1068", draw(st.sampled_from("MFU"))),))
    races = Expressed("race_ethnicity", State.ANSWERED, details=tuple(draw(RACES)))
    spoken = [
        Expressed(topic, State.ANSWERED, details=tuple(Coding("iso639", c) for c in found), text=words)
        for topic, (found, words) in draw(LANGUAGES).items()
    ]
    return Outgoing(member, (*((sex,) if draw(st.booleans()) else ()), races, *spoken))


@st.composite
def files(draw: st.DrawFn) -> tuple[Context, list[Outgoing]]:
    partner, context = draw(contexts())
    size = draw(st.integers(1, 5))
    families = [draw(st.integers(0, number)) for number in range(size)]
    kinds = [partner in ALONE or family == number for number, family in enumerate(families)]
    if partner in ALONE:
        families = list(range(size))
    numbers = ["REF*17", "NM109"] if "17" in GUIDES[partner]["person"]["identifiers"] else ["NM109"]
    records = [draw(record(n, kinds[n], families[n], numbers)) for n in range(size)]
    return context, draw(st.permutations(records))
