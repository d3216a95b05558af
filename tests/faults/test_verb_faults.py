"""merge, unmerge, retract, decide, undo, hold and purge are killed at any moment: all of it is done, or nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import pytest

from fhir_equity.pipeline.hold import hold_add
from fhir_equity.pipeline.merge import merge, unmerge
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.review import review_decide, review_undo
from fhir_equity.pipeline.split import split, split_undo
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Which
from tests.faults.points import everything, killed_in, moments
from tests.pipeline.test_purge import ASIAN, BEFORE, BLACK, WHITE, load, opened

KILLS = 6
NUMBERS = count()
Deed = Callable[[Workspace, Path], object]


def certified(workspace: Workspace, folder: Path) -> None:
    # A kill leaves a file without content, and a certificate is never overwritten.
    purge(workspace, BEFORE, folder / f"{os.getpid()}-{next(NUMBERS)}.json")


DEEDS: dict[str, tuple[list[Deed], Deed]] = {  # what comes before, and what is killed
    "merge": ([], lambda w, _: merge(w, "a", "b", reason="r")),
    "unmerge": ([lambda w, _: merge(w, "a", "b", reason="r")], lambda w, _: unmerge(w, 1)),
    "split": ([], lambda w, _: split(w, "a", Which(runs=(2,)), reason="r")),
    "split --undo": (
        [lambda w, _: split(w, "a", Which(runs=(2,)), reason="r", given="Ben")],
        lambda w, _: split_undo(w, 1),
    ),
    "retract": ([], lambda w, _: retract(w, 2, reason="r")),
    "retract --undo": ([lambda w, _: retract(w, 2, reason="r")], lambda w, _: retract(w, 2, undo=True)),
    "review decide": ([], lambda w, _: review_decide(w, "1", "1", "r")),
    "review undo": ([lambda w, _: review_decide(w, "1", "1", "r")], lambda w, _: review_undo(w, 1)),
    "review decide, a row": (
        [lambda w, _: load(w, "2025-02-01", ("c", "observed", "race", "Z9"))],
        lambda w, _: review_decide(w, "2", BLACK, "r"),
    ),
    "review undo, a row": (
        [
            lambda w, _: load(w, "2025-02-01", ("c", "observed", "race", "Z9")),
            lambda w, _: review_decide(w, "2", BLACK, "r"),
        ],
        lambda w, _: review_undo(w, 1),
    ),
    "hold": ([], lambda w, _: hold_add(w, member="a", reason="r")),
    "purge": ([], certified),
}


def made(url: str, folder: Path, deeds: Iterable[Deed]) -> None:
    """A store in which these things were done."""
    with opened(url, folder) as workspace:
        load(workspace, "2015-01-01", *((key, "observed", "race", WHITE) for key in "abcd"), rejected=b"bytes")
        load(workspace, "2025-01-01", ("a", "observed", "race", ASIAN), ("b", "self", "race", BLACK))
        for deed in deeds:
            deed(workspace, folder)


@pytest.mark.parametrize("name", DEEDS)
def test_killed_it_is_done_or_not_and_done_again_it_is_as_if_nothing_had_happened(
    new_url: Callable[[], str], tmp_path: Path, name: str
) -> None:
    before, deed = DEEDS[name]
    whole, url = new_url(), new_url()
    apart = tmp_path / "apart"  # tables of its own, but the same key
    apart.mkdir()
    made(whole, apart, before)
    (tmp_path / "equity.key").write_bytes((apart / "equity.key").read_bytes())
    with opened(whole, apart) as workspace, moments(0, lambda _: None) as counted:
        deed(workspace, apart)
    made(url, tmp_path, before)
    start, end = everything(url), everything(whole)
    assert start != end

    def again() -> None:
        with opened(url, tmp_path) as workspace:
            deed(workspace, tmp_path)

    chance, kills = random.Random(name), 0
    for point in sorted(chance.sample(range(1, counted[0] + 1), KILLS)):
        if everything(url) == end:  # the last kills came after the deed
            break
        kills += killed_in(again, point)
        assert everything(url) in (start, end)
    assert kills >= KILLS // 2
    if everything(url) == start:
        again()
    assert everything(url) == end
    sheets = [
        {path.name: path.read_bytes() for path in each.glob("overlay/partners/*/*/*")} for each in (tmp_path, apart)
    ]
    assert sheets[0] == sheets[1]
