"""However the work is cut, the numbers are the same: one process, workers, a resumed ingest, any partition of files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.edi834 import ranges
from fhir_equity.adapters.fhir import layout
from fhir_equity.pipeline import ingest as ingesting
from fhir_equity.pipeline import together
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import RunWriter
from tests.benchmarks.generate_834 import file_of
from tests.benchmarks.generate_fhir import file_of as fhir_file_of

DAY = "2026-06-15"
BY = ("partner", "coverage,age", "language", "source,month")
PROGRAMS = ("base", "rdm-style", "ldm-style", "oregon")
HEADER = (
    "member_id,first_name,last_name,birth_date,collected_date,race_ethnicity,language_spoken,language_written,"
    "enrolled_from,coverage\n"
)
ANSWERS = st.sampled_from(["", "White", "Asian; White", "Samoan", "Declined", "Unknown", "Atlantean", "Don't know"])
LANGUAGES = st.sampled_from(["", "English", "Spanish", "Declined", "Klingon"])
ROW = st.tuples(
    st.integers(1, 12),
    st.sampled_from(["1980-01-31", "2018-05-05", ""]),
    st.sampled_from(["2026-02-01", "2019-02-01", ""]),
    ANSWERS,
    LANGUAGES,
    LANGUAGES,
    st.sampled_from(["2026-01-01", ""]),
    st.sampled_from(["HLT", "DEN", ""]),
)
# What is of a file, and so depends on how rows were put into files; and what only a moment is.
OF_FILES = ("run", "generated", "findings", "controls")


@pytest.fixture(autouse=True)
def _share_what_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LEAST", 1000)
    monkeypatch.setattr(layout, "GRAIN", 1000)
    monkeypatch.setattr(together, "LEAST", 1000)
    monkeypatch.setattr(ingesting, "CHUNK", 4)


def survey(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    lines = [",".join([f"M{row[0]:03}", "Ada", f"Alder{row[0]}", *map(str, row[1:])]) for row in rows]
    path.write_text(HEADER + "\n".join([*lines, ""]), encoding="utf-8")
    return path


def numbers(document: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in document.items() if name not in OF_FILES}


def of_files(files: list[Path], workers: int = 1) -> dict[str, Any]:
    with Workspace(Settings(), DAY) as workspace:
        return audit(workspace, files, partner="plan", by=BY, programs=PROGRAMS, workers=workers).document


@contextmanager
def plug(stop: int | None) -> Iterator[None]:
    """Somebody pulls it when so many chunks are written; nobody does for None."""
    add, left = RunWriter.add, [stop]

    def pulled(self: RunWriter, *given: Any, **named: Any) -> Any:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] = None if left[0] is None else left[0] - 1
        return add(self, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "add", pulled)
        yield


def ingested(opened: Settings, files: list[Path], stop: int | None) -> dict[str, int]:
    """Ingest until the plug is pulled; gives what is in the store then."""
    with Workspace(opened, DAY) as workspace:
        with suppress(KeyboardInterrupt), plug(stop):
            ingesting.ingest(workspace, files, partner="plan")
        return workspace.store.people.counts()


def of_store(folder: Path, name: str, files: list[Path], stops: list[int]) -> dict[str, Any]:
    """Ingest and audit; `stops` says after how many chunks somebody pulls the plug, again and again."""
    keys = PrivacySettings(key_file=folder / "equity.key")
    opened = Settings(store=StoreSettings(url=str(folder / f"{name}.db")), privacy=keys)
    for stop in (*stops, None):
        ingested(opened, files, stop)
    with Workspace(opened, DAY) as workspace:
        return audit(workspace, partner="plan", by=BY, programs=PROGRAMS).document


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ROW, min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=3),
    order=st.randoms(use_true_random=False),
    stops=st.lists(st.integers(0, 3), max_size=2),
)
def test_any_cut_gives_the_same_numbers(
    rows: list[tuple[Any, ...]], cuts: list[int], order: Any, stops: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = survey(folder / "whole.csv", rows)
        ends = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
        parts = [
            survey(folder / f"part{number}.csv", rows[start:stop])
            for number, (start, stop) in enumerate(pairwise(ends))
        ]
        order.shuffle(parts)
        alone = of_files([whole])
        assert numbers(of_files(parts)) == numbers(alone)
        straight = of_store(folder, "straight", parts, [])
        resumed = of_store(folder, "resumed", parts, stops)
        assert numbers(resumed) == numbers(straight)
        assert {part: straight[part] for part in ("population", "topics", "views")} == {
            part: alone[part] for part in ("population", "topics", "views")
        }


def test_two_workers_give_the_same_numbers(tmp_path: Path) -> None:
    rows = [(n, "1980-01-31", "2026-02-01", "Samoan", "Spanish", "", "", "HLT") for n in range(1, 13)]
    files = [file_of(80, tmp_path), fhir_file_of(80, tmp_path), survey(tmp_path / "a.csv", rows)]
    assert of_files(files, workers=2) | {"generated": ""} == of_files(files) | {"generated": ""}


def test_a_plug_that_is_pulled_leaves_something_to_resume(tmp_path: Path) -> None:
    """Else the property above would compare two runs to which nothing happened."""
    rows = [(n, "", "", "White", "", "", "", "") for n in range(1, 13)]
    opened = Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))
    file = survey(tmp_path / "a.csv", rows)
    assert [ingested(opened, [file], stop)["members"] for stop in (2, 0, None)] == [8, 8, 12]
