"""Reading the quarantine: what is told of a record, which are selected, and the frame each stood in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_equity.model import Finding, Frame, Locator, Member, Rejected, Severity
from fhir_equity.store import Held, RunWriter, Selection, Store, quarantine

Rows = Callable[..., list[tuple[Any, ...]]]


def bad(number: int, code: str = "x12.nm1.missing") -> Rejected:
    place = Locator("a.834", "segment", number, number * 10, "INS")
    return Rejected(b"INS*%d~" % number, Finding(code, Severity.ERROR, place))


@pytest.fixture
def filled(store: Store, run: Callable[..., RunWriter]) -> Store:
    """Five records of two partners; the second interchange of the first file starts at byte 250."""
    writer = run()
    artefact = writer.artefact("a.834", "edi834")
    frames = [Frame(b"ISA|", Locator("a.834", "segment", 1, 0)), Frame(b"ISA+", Locator("a.834", "segment", 25, 250))]
    writer.add(artefact, [], [bad(10), bad(24)], frames=frames[:1])
    writer.add(artefact, [], [bad(30, "x12.member.no_identity")], frames=frames[1:])
    other = run(partner="second", as_of="2026-02-01")
    other.add(other.artefact("b.834", "edi834"), [], [bad(10), bad(40)])
    return store


def ids(store: Store, selection: Selection | None = None, **how: Any) -> list[int]:
    return [record.id for record in store.quarantine.held(selection or Selection(), **how)]


def test_what_is_told_of_a_record(filled: Store) -> None:
    first = next(iter(filled.quarantine.held(Selection())))
    assert first == Held(
        id=1, run=1, as_of="2026-01-01", partner="plan", artefact_id=1, artefact="a.834", format="edi834",
        code="x12.nm1.missing", unit="segment", number=10, offset=100, path="INS", size=7,
    )  # fmt: skip


def test_which_are_selected(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "PAGE", 2)
    assert ids(filled) == [1, 2, 3, 4, 5]
    assert ids(filled, Selection(partner="second")) == [4, 5]
    assert ids(filled, Selection(code="x12.member.no_identity")) == [3]
    assert ids(filled, Selection(ids=(5, 1, 5, 77))) == [1, 5]
    assert ids(filled, Selection(partner="plan", ids=(4, 2))) == [2]


def test_a_record_comes_with_the_frame_it_stood_in(filled: Store) -> None:
    found = [filled.quarantine.content(record) for record in filled.quarantine.held(Selection())]
    assert found == [
        (b"INS*10~", b"ISA|"),
        (b"INS*24~", b"ISA|"),
        (b"INS*30~", b"ISA+"),
        (b"INS*10~", b""),
        (b"INS*40~", b""),
    ]


def test_settled_in_the_transaction_of_the_members(
    filled: Store, run: Callable[..., RunWriter], record: Callable[..., Any], person: Callable[..., Member], rows: Rows
) -> None:
    writer = run()
    writer.add(1, [record(person("m1", race="2106-3"), "2026-01-01")], settled=[2])
    writer.add(1, [], settled=[2])  # a second try at once changes nothing
    assert ids(filled, waiting=True) == [1, 3, 4, 5]
    (found,) = filled.quarantine.held(Selection(ids=(2,)))
    assert (found.settled_run, found.settled_at[:2]) == (3, "20")
    assert rows("SELECT quarantine_id, run_id FROM settled") == [(2, 3)]
    assert rows("SELECT artefact_id FROM answer") == [(1,)]
