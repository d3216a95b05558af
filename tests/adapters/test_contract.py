"""One contract for every format: the same invented people give the same answer, and nothing is lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters import adapters, recognise
from fhir_equity.adapters.source import sources
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.workspace import Workspace
from tests.conftest import ROOT

STORIES = sorted(path.parent for path in (ROOT / "fixtures/people").glob("*/expected.json"))
FILES = {"edi834": "enrollment.834", "fhir": "patient.json", "survey": "survey.csv"}
CASES = [pytest.param(s, f, id=f"{s.name}-{f}") for s in STORIES for f in FILES]


def _expected(story: Path, format_: str) -> dict[str, Any]:
    document = json.loads((story / "expected.json").read_text())
    return {**document["expected"], **document["where a format cannot say it"].get(format_, {})}


def _told(path: Path) -> dict[str, Any]:
    with Workspace() as workspace:
        document = audit(workspace, [path]).document
    race, language = document["topics"]["race_ethnicity"], document["topics"]["language_spoken"]
    assert document["population"] == 1
    return {
        "state": next(iter(race["states"])),
        "categories": sorted(document["views"]["omb2024"]["categories"]),
        "detailed": race["detailed"],
        "language": language["values"],
    }


def test_every_format_has_its_file_in_every_story() -> None:
    assert set(FILES) == set(adapters())
    assert len(STORIES) >= 8
    assert all((story / name).is_file() for story in STORIES for name in FILES.values())


@pytest.mark.parametrize(("story", "format_"), CASES)
def test_the_same_person_gives_the_same_answer_in_every_format(story: Path, format_: str) -> None:
    assert _told(story / FILES[format_]) == _expected(story, format_)


@pytest.mark.parametrize(("story", "format_"), CASES)
def test_the_format_is_recognised_from_content_alone(story: Path, format_: str, tmp_path: Path) -> None:
    copy = tmp_path / "no-ending"
    copy.write_bytes((story / FILES[format_]).read_bytes())
    assert recognise(sources([copy])[0]).name == format_


@pytest.mark.parametrize("target", ["edi834", "fhir", "survey"])
@pytest.mark.parametrize(("story", "format_"), CASES)
def test_converting_tells_the_same_or_tells_the_loss(story: Path, format_: str, target: str, tmp_path: Path) -> None:
    out = tmp_path / f"out{adapters()[target].ending}"
    with Workspace() as workspace:
        done = convert(workspace, story / FILES[format_], out)
    assert done.members == 1
    before, after = _told(story / FILES[format_]), _told(out)
    if before["state"] != after["state"] or before["categories"] != after["categories"]:
        assert done.losses, "a difference without a loss entry"
    if not {"blank", "declined"} & {before["state"]}:  # only a table keeps every state
        assert after["categories"] == before["categories"]
        assert after["language"] == before["language"]
