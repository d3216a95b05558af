"""Property: wherever a generated file is cut for workers, the audit is that of one process, to the last count."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.edi834 import ranges
from fhir_equity.adapters.fhir import layout
from fhir_equity.adapters.protocol import Range
from fhir_equity.pipeline import count as counting
from fhir_equity.pipeline import workers
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.reading import Input
from fhir_equity.pipeline.workspace import Workspace
from tests.adapters.edi834.files import join
from tests.benchmarks.generate_834 import generate
from tests.benchmarks.generate_fhir import file_of as fhir_file_of
from tests.pipeline.test_partitions_of_audit import ROW, survey

DAY = "2026-06-15"
BY = ("relationship", "coverage,age", "language,month", "source")
PROGRAMS = ("base", "rdm-style", "tmsis", "oregon")
SPOILED = (
    ("DMG*D8*", "DMG*XX*"),
    ("NM1*IL*1*", "NM1*ZZ*1*"),
    ("REF*0F*S", "REF*0F*T"),
    ("SE*", "SE*9"),
    ("INS*Y", "INS*?"),
)
MEMBERS, FINEST = 12, 400


def edi834(folder: Path, random: Random) -> Path:
    """Some sets of families; a few segments are spoiled, or come twice, or in another place."""
    segments = [*generate(MEMBERS, random.randrange(1000))]
    for _ in range(random.randrange(4)):
        place = random.randrange(3, len(segments) - 2)
        kind = random.randrange(3)
        if kind == 0:
            old, new = random.choice(SPOILED)
            segments[place:] = [each.replace(old, new) for each in segments[place : place + 20]] + segments[
                place + 20 :
            ]
        elif kind == 1:
            segments[place:place] = segments[place : place + random.randrange(40)]
        else:
            segments[place:place] = ["SE*9*0001", "ST*834*0002*005010X220A1", *segments[3:6]]
    path = folder / "cut.834"
    path.write_bytes(join(segments))
    return path


def patients(folder: Path, random: Random) -> Path:
    """Lines of Patients, some twice, some that are none."""
    lines = fhir_file_of(MEMBERS, folder).read_bytes().splitlines()
    random.shuffle(lines)
    for line in (b"", b"{", json.dumps({"resourceType": "Patient"}).encode(), lines[0]):
        if random.random() < 0.5:
            lines.insert(random.randrange(len(lines)), line)
    path = folder / "cut.ndjson"
    path.write_bytes(b"\n".join(lines) + random.choice((b"", b"\n")))
    return path


def anywhere(random: Random, taken: list[int]) -> Callable[[Input, int, int], list[Range]]:
    """What stands for `share`: some of the places at which the format may be cut, anywhere."""

    def cut(read: Input, workers: int, pieces: int = 0) -> list[Range]:
        finest = read.adapter.split(read.source, FINEST)
        share = 2 * random.random()  # half of the time at every one
        starts = [0, *(place for place in range(1, len(finest)) if random.random() < share), len(finest)]
        found = [
            Range(finest[at].start, finest[end - 1].stop, finest[at].before, finest[at].opened)
            for at, end in pairwise(starts)
        ]
        taken.append(len(found))
        return found

    return cut


def here(work: Callable[[Any], Any], parts: Iterable[Any], *_: Any) -> Iterator[Any]:
    """What stands for processes: what goes to them and comes from them is copied as it is for them."""
    for part in parts:
        yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(work))(part)))  # noqa: S301 - our own


def audited(paths: list[Path], cut: Callable[[Input, int, int], list[Range]] | None = None) -> tuple[Any, list[str]]:
    with pytest.MonkeyPatch.context() as patch, Workspace(as_of=DAY) as workspace:
        if cut is not None:
            patch.setattr(counting, "share", cut)
            patch.setattr(workers, "in_order", here)
        patch.setattr(ranges, "LEAST", 1)
        patch.setattr(layout, "GRAIN", 1)
        done = audit(workspace, paths, partner="plan", by=BY, programs=PROGRAMS)
    return {name: part for name, part in done.document.items() if name != "generated"}, done.failures


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), rows=st.lists(ROW, min_size=1, max_size=8))
def test_wherever_files_are_cut_the_numbers_are_the_same(seed: int, rows: list[tuple[Any, ...]]) -> None:
    random, taken = Random(seed), list[int]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [edi834(folder, random), patients(folder, random), survey(folder / "whole.csv", rows)]
        assert audited(paths, anywhere(random, taken)) == audited(paths)
    assert len(taken) == len(paths)
    assert taken[-1] == 1, "a survey is never cut"


def test_files_are_cut_at_nearly_every_member_and_line(tmp_path: Path) -> None:
    """Else the property above would compare one with one."""
    taken: list[int] = []
    path = tmp_path / "plain.834"
    path.write_bytes(join([*generate(MEMBERS)]))
    lines = fhir_file_of(MEMBERS, tmp_path)
    most = Random(0)
    most.random = lambda: 0.5  # type: ignore[method-assign]
    assert audited([path, lines], anywhere(most, taken)) == audited([path, lines])
    assert min(taken) >= MEMBERS - 2
