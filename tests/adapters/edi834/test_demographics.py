"""DMG05 and LUI: every legal form is cut into its codes, every syntax error is told, nothing is dropped."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.edi834.demographics import ONE_ONLY
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Member, Severity
from fhir_equity.tables import Tables
from tests.adapters.edi834.files import ADA, GUIDE, answer, codings, file, isa, join, members, segments


def _member(*parts: str) -> Member:
    (member,) = members(file((*ADA[:3], *parts)))
    return member


def _told(member: Member) -> list[tuple[str, str]]:
    return [(f.code.removeprefix("x12."), f.locator.path) for f in member.findings]


RACES = [
    ("C", [("1109", "C")], []),
    (":RET:2106-3", [("RET", "2106-3")], []),
    ("C:RET:2186-5", [("1109", "C"), ("RET", "2186-5")], []),
    (":RET:R3^:RET:E1", [("RET", "R3"), ("RET", "E1")], []),
    ("B^H^:RET:2148-5", [("1109", "B"), ("1109", "H"), ("RET", "2148-5")], []),
    (" C : RET : 2106-3 ", [("1109", "C"), ("RET", "2106-3")], []),
    ("b", [("1109", "b")], []),
    ("Q", [("1109", "Q")], []),
    ("2029-7,2182-4", [("1109", "2029-7,2182-4")], []),
    ("::2106-3", [("RET", "2106-3")], [("dmg05.p0203", "DMG05:1:2")]),
    (":RET", [], [("dmg05.p0203", "DMG05:1:3")]),
    ("C^:RET:", [("1109", "C")], [("dmg05.p0203", "DMG05:2:3")]),
    (":XX:2106-3", [("XX", "2106-3")], [("dmg05.qualifier_not_in_code_list", "DMG05:1:2")]),
    ("C:RET:2106-3:X", [("1109", "C"), ("RET", "2106-3")], [("dmg05.too_many_components", "DMG05:1:4")]),
    ("C^^H", [("1109", "C"), ("1109", "H")], [("dmg05.empty_repeat", "DMG05:2")]),
    ("C^", [("1109", "C")], [("dmg05.empty_repeat", "DMG05:2")]),
]


@pytest.mark.parametrize(("raw", "expected", "told"), RACES)
def test_dmg05(raw: str, expected: list[tuple[str, str]], told: list[tuple[str, str]]) -> None:
    member = _member(f"DMG*D8*19800131*F**{raw}")
    assert codings(member, "race_ethnicity") == expected
    assert _told(member) == told
    found = answer(member, "race_ethnicity")
    assert found.received.raw == raw
    assert (found.received.element, found.received.text, found.path) == ("x12.dmg05", "", "DMG05")


@pytest.mark.parametrize("raw", ["", " ", "*", "**"])
def test_an_absent_dmg05_is_no_answer(raw: str) -> None:
    assert [a.topic for a in _member(f"DMG*D8*19800131*F**{raw}").answers] == ["sex"]


@pytest.mark.parametrize(("raw", "count"), [("^", 2), (":", 1), ("::^", 2)])
def test_separators_alone_are_no_answer_but_a_finding(raw: str, count: int) -> None:
    member = _member(f"DMG*D8*19800131*F**{raw}")
    assert [a.topic for a in member.answers] == ["sex"]
    assert [code for code, _ in _told(member)] == ["dmg05.empty_repeat"] * count


def test_an_eleventh_repeat_is_kept_and_told() -> None:
    ten = [f":RET:210{n}-1" for n in range(10)]
    assert _told(_member(f"DMG*D8*19800131*F**{'^'.join(ten)}")) == []
    member = _member(f"DMG*D8*19800131*F**{'^'.join([*ten, 'C'])}")
    assert _told(member) == [("dmg05.too_many_repeats", "DMG05:11")]
    assert len(codings(member, "race_ethnicity")) == 11
    assert codings(member, "race_ethnicity")[-1] == ("1109", "C")


def test_a_million_repeats_are_one_finding() -> None:
    member = _member(f"DMG*D8*19800131*F**{'^' * 500_000}C")
    assert [code for code, _ in _told(member)] == [*["dmg05.empty_repeat"] * 10, "dmg05.too_many_repeats"]
    assert codings(member, "race_ethnicity") == [("1109", "C")]


def test_without_a_repetition_separator_the_text_stays_whole() -> None:
    parts = segments((*ADA[:3], "DMG*D8*19800131*U**U"))
    parts[0] = isa(repetition="U")
    (member,) = members(join(parts))
    assert codings(member, "race_ethnicity") == [("1109", "U")]
    assert codings(member, "sex") == [("1068", "U")]


@pytest.mark.parametrize("letter", ["F", "M", "U", "X", "f"])
def test_dmg03_is_kept_as_sent(letter: str) -> None:
    found = answer(_member(f"DMG*D8*19800131*{letter}"), "sex")
    assert (found.received.element, found.received.raw, found.path) == ("x12.dmg03", letter, "DMG03")
    assert [(c.system, c.code) for c in found.received.codings] == [("1068", letter)]


@pytest.mark.parametrize(
    ("tail", "told"),
    [
        ("C*****REC*31", []),
        ("C*****REC", [("dmg.p1011", "DMG11")]),
        ("C******31", [("dmg.p1011", "DMG10")]),
        ("*****REC*31", [("dmg.c1105", "DMG05")]),
        ("******31", [("dmg.p1011", "DMG10"), ("dmg.c1105", "DMG05")]),
        ("C***** * ", []),
        ("C*2", []),
    ],
)
def test_the_collection_code_and_its_syntax(tail: str, told: list[tuple[str, str]]) -> None:
    assert _told(_member(f"DMG*D8*19800131*F**{tail}")) == told


def test_how_race_was_collected_is_kept_with_the_race() -> None:
    plain = answer(_member("DMG*D8*19800131*F**C"), "race_ethnicity")
    member = _member("DMG*D8*19800131*F**C*****REC*31")
    assert answer(member, "race_ethnicity").origin.question == "DMG11 31"
    assert answer(member, "race_ethnicity").origin.method == plain.origin.method == "unstated"
    assert answer(member, "sex").origin == plain.origin
    assert answer(member, "race_ethnicity").received == plain.received


def test_a_partners_sheet_says_what_a_collection_code_means() -> None:
    guide = {**GUIDE, "race": {**GUIDE["race"], "collected": {"31": "self"}}}
    said = {"question": "form-7"}
    data = file((*ADA[:3], "DMG*D8*19800131*F**C*****REC*31"), (*ADA[:2], "NM1*IL*1*ELM", "DMG*D8*1***C*****REC*32"))
    one, two = members(data, Context(partner="p", guide=guide, attestation=said))
    assert (answer(one, "race_ethnicity").origin.method, answer(one, "race_ethnicity").origin.question) == (
        "self",
        "form-7 DMG11 31",
    )
    assert answer(two, "race_ethnicity").origin.method == "unstated"


def test_what_dmg_says_of_other_things_is_lost_by_name() -> None:
    assert {loss.rule for loss in _member("DMG*D8*19800131*F*M*C*1*2*3*4").losses} == {
        f"x12.not_kept.DMG{n:02}" for n in (4, 6, 7, 8, 9)
    }
    assert _member("DMG*D8*19800131*F* *C").losses == ()


@pytest.mark.parametrize(
    ("use", "topic"),
    [("5", "language_reading"), ("6", "language_written"), ("7", "language_spoken"), ("8", "language_native")],
)
def test_lui_by_use(use: str, topic: str) -> None:
    member = _member(f"LUI*LE*SPA**{use}")
    assert codings(member, topic) == [("LE", "SPA")]
    assert answer(member, topic).received.raw == f"LUI*LE*SPA**{use}"
    assert answer(member, topic).received.element == "x12.lui02"
    assert _told(member) == []


LANGUAGES = [
    ("LUI*LD*SPA**7", [("LD", "SPA")], "", []),
    ("LUI*LE*spa**7", [("LE", "spa")], "", []),
    ("LUI*LE*SPA*Spanish*7", [("LE", "SPA")], "Spanish", []),
    ("LUI***MAYAN MAM*7", [], "MAYAN MAM", []),
    ("LUI*LE*SPA", [("LE", "SPA")], "", [("lui04.missing", "LUI04")]),
    ("LUI***ESSPANISH", [], "ESSPANISH", [("lui04.missing", "LUI04")]),
    ("LUI**SPA**7", [("LE", "SPA")], "", [("lui.p0102", "LUI01")]),
    ("LUI*XX*SPA**7", [("XX", "SPA")], "", [("lui01.not_in_code_list", "LUI01")]),
    ("LUI*LE**Spanish*7", [], "Spanish", [("lui.p0102", "LUI02")]),
]


@pytest.mark.parametrize(("segment", "expected", "words", "told"), LANGUAGES)
def test_lui(segment: str, expected: list[tuple[str, str]], words: str, told: list[tuple[str, str]]) -> None:
    member = _member(segment)
    assert codings(member, "language_spoken") == expected
    assert answer(member, "language_spoken").received.text == words
    assert answer(member, "language_spoken").path == ("LUI02" if expected else "LUI03")
    assert answer(member, "language_spoken").received.element == ("x12.lui02" if expected else "x12.lui03")
    assert _told(member) == told


@pytest.mark.parametrize(
    ("segment", "told"),
    [
        ("LUI****7", [("lui.l040203", "LUI04")]),
        ("LUI*LE*SPA**9", [("lui04.not_in_code_list", "LUI04")]),
        ("LUI*LE***7", [("lui.p0102", "LUI02"), ("lui.l040203", "LUI04")]),
        ("LUI", []),
        ("LUI*LE", [("lui.p0102", "LUI02")]),
    ],
)
def test_a_lui_that_says_nothing_is_no_answer(segment: str, told: list[tuple[str, str]]) -> None:
    member = _member(segment)
    assert member.answers == ()
    assert _told(member) == told


def test_languages_of_one_use_are_one_answer_and_of_two_uses_two() -> None:
    member = _member("LUI*LE*SPA**7", "LUI*LE*ENG**6", "LUI*LE*ENG**7", "LUI***Mam*7")
    assert codings(member, "language_spoken") == [("LE", "SPA"), ("LE", "ENG")]
    assert answer(member, "language_spoken").received.text == "Mam"
    assert answer(member, "language_spoken").received.raw == "LUI*LE*SPA**7\nLUI*LE*ENG**7\nLUI***Mam*7"
    assert codings(member, "language_written") == [("LE", "ENG")]


def test_syntax_problems_are_errors_and_habits_are_not() -> None:
    member = _member("DMG*D8*19800131*F**::2106-3^", "LUI*LE*SPA", "LUI****7", "LUI**ENG**6")
    assert {f.code.removeprefix("x12."): f.severity for f in member.findings} == {
        "dmg05.p0203": Severity.ERROR,
        "dmg05.empty_repeat": Severity.WARNING,
        "lui04.missing": Severity.INFO,
        "lui.l040203": Severity.ERROR,
        "lui.p0102": Severity.WARNING,
    }


def test_equal_values_are_one_object() -> None:
    first, second = members(file(ADA, ADA))
    assert answer(first, "race_ethnicity").received is answer(second, "race_ethnicity").received


@pytest.mark.parametrize(("said", "question"), [({}, ""), ({"question": "form-7"}, "form-7 ")])
def test_answers_of_a_file_with_one_race_of_each_person_say_so(said: dict[str, str], question: str) -> None:
    assert GUIDE["race"]["one_only"] is False
    guide = {**GUIDE, "race": {**GUIDE["race"], "one_only": True, "collected": {"2": "observed"}}}
    context = Context(guide=guide, attestation=said)
    plain, coded = members(file(ADA, (*ADA[:3], "DMG*D8*19800131*F**C*****REC*2", "LUI*LE*SPA**7")), context)
    assert answer(plain, "race_ethnicity").origin.question == f"{question}one race only"
    assert answer(plain, "sex").origin.question == answer(coded, "language_spoken").origin.question == question.strip()
    origin = answer(coded, "race_ethnicity").origin
    assert (origin.question, origin.method) == (f"{question}one race only DMG11 2", "observed")
    assert ONE_ONLY in Tables().document("policies/survivorship.toml")["one_only"]
