"""X12's characters: what is sent as it is, what is replaced, and that the rest of a file never suffers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.adapters.edi834.characters import Characters, Element
from fhir_equity.errors import TableError
from tests.adapters.edi834.files import GUIDE

WRITE: dict[str, Any] = GUIDE["write"]
EXTENDED = Characters(WRITE, "*:^~")
BASIC = Characters({**WRITE, "characters": "basic"}, "*:^~")


@pytest.mark.parametrize(
    ("value", "extended", "basic"),
    [
        ("O'Hara-Lee 3", ("O'Hara-Lee 3", []), ("O'HARA-LEE 3", ["capitals"])),
        ("ALDER", ("ALDER", []), ("ALDER", [])),
        ("a_b%", ("a_b%", []), ("A B", ["capitals", "characters"])),
        ("NÚÑEZ", ("NUNEZ", ["transliterated"]), ("NUNEZ", ["transliterated"])),
        ("NU\u0301N\u0303EZ", ("NUNEZ", ["transliterated"]), ("NUNEZ", ["transliterated"])),
        ("Łukasz", ("Lukasz", ["transliterated"]), ("LUKASZ", ["transliterated", "capitals"])),
        ("Straße", ("Strasse", ["transliterated"]), ("STRASSE", ["capitals", "transliterated"])),
        ("Đặng", ("Dang", ["transliterated"]), ("DANG", ["transliterated", "capitals"])),
        ("Ka\u02bbiulani", ("Ka'iulani", ["transliterated"]), ("KA'IULANI", ["capitals", "transliterated"])),
        ("A*B~C", ("A B C", ["delimiter_replaced"]), ("A B C", ["delimiter_replaced"])),
        ("*A*", ("A", ["delimiter_replaced"]), ("A", ["delimiter_replaced"])),
        ("山田", ("??", ["characters"]), ("??", ["characters"])),
        ("A\tB\u2028C", ("A B C", ["characters"]), ("A B C", ["characters"])),
        (" A ", ("A", ["characters"]), ("A", ["characters"])),
        ("\u212a", ("K", ["characters"]), ("K", ["characters"])),
        ("", ("", []), ("", [])),
    ],
)
def test_what_becomes_of_a_value(value: str, extended: tuple[str, list[str]], basic: tuple[str, list[str]]) -> None:
    assert EXTENDED.plain(value) == extended
    assert BASIC.plain(value) == basic


def test_a_question_mark_that_is_a_delimiter_stands_for_nothing() -> None:
    assert Characters(WRITE, "?:^~").plain("山A") == ("A", ["characters"])


def test_there_are_two_sets() -> None:
    with pytest.raises(TableError, match="there are basic, extended"):
        Characters({**WRITE, "characters": "utf-8"}, "*:^~")


def _element(least: int, most: int, *, cut: bool) -> tuple[Element, list[str]]:
    losses: list[str] = []
    return Element(EXTENDED, losses.append, least, most, cut=cut), losses


def test_words_that_are_too_long_are_cut_and_codes_are_left_out() -> None:
    words, losses = _element(1, 5, cut=True)
    assert [words["ABCDE"], words["ABCDEF"], words["ABCD EF"], words[""]] == ["ABCDE", "ABCDE", "ABCD", ""]
    assert losses == ["edi834.shortened"] * 2
    code, losses = _element(2, 5, cut=False)
    assert [code["ABCDE"], code["ABCDEF"], code["A"], code["AB"]] == ["ABCDE", "", "", "AB"]
    assert losses == ["edi834.too_long", "edi834.too_short"]


def test_a_loss_is_told_every_time_and_only_clean_values_are_remembered() -> None:
    words, losses = _element(1, 60, cut=True)
    assert [words["É"], words["É"], words["E"], words["X" * 60], words["A\n"]] == ["E", "E", "E", "X" * 60, "A"]
    assert losses == ["edi834.transliterated", "edi834.transliterated", "edi834.characters"]
    assert set(words) == {"E", "X" * 60}


def test_long_values_are_not_remembered_and_no_more_than_some_thousand() -> None:
    words, _ = _element(1, 200, cut=True)
    assert words["X" * 101] == "X" * 101
    assert not words
    for number in range(20_001):
        assert words[str(number)] == str(number)
    assert len(words) == 20_000
    assert "20000" not in words


@given(st.text(), st.sampled_from([EXTENDED, BASIC]), st.integers(1, 9))
def test_any_text_fits_and_what_fits_stays(value: str, characters: Characters, most: int) -> None:
    losses: list[str] = []
    element = Element(characters, losses.append, 1, most, cut=True)
    text = element[value]
    assert len(text) <= most
    assert text.isascii()
    assert text == text.strip()
    assert not set(text) & set("*:^~\r\n")
    assert (text == value) == (not losses)
    assert Element(characters, losses.append, 1, most)[text] == text
