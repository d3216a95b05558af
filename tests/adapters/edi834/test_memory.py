"""A text seen before costs one look-up; what is remembered is bounded."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.edi834 import memory
from fhir_equity.adapters.edi834.memory import Memory


def test_each_text_is_cut_once() -> None:
    asked: list[str] = []

    def cut(raw: str) -> int:
        asked.append(raw)
        return len(raw)

    known: Memory[str, int] = Memory(cut)
    assert [known["aa"], known["b"], known["aa"]] == [2, 1, 2]
    assert asked == ["aa", "b"]


def test_too_many_are_all_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST", 3)
    known: Memory[str, str] = Memory(str.upper)
    assert [known[letter] for letter in "abcd"] == list("ABCD")
    assert dict(known) == {"d": "D"}


@pytest.mark.parametrize("raw", ["x" * 1001, ("x" * 600, "y" * 401)])
def test_long_texts_are_not_kept(raw: str | tuple[str, ...]) -> None:
    known: Memory[str | tuple[str, ...], int] = Memory(len)
    assert known[raw] == len(raw)
    assert len(known) == 0
    assert known[raw[:1]] == 1
    assert len(known) == 1
