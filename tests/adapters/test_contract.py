"""One contract for every format: the same invented people give the same answer, and nothing is lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters import adapters, recognise
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Finding, Frame, Locator, Member, Rejected, Severity
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
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


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_what_they_answered_on_the_questionnaire_is_the_same_answer_of_the_same_person(story: Path) -> None:
    answered = ROOT / "fixtures/responses" / f"{story.name}.json"
    assert _told(answered) == _expected(story, "questionnaire")
    with Workspace() as workspace:
        context = workspace.context("plan", "fhir")
    files = [sources([path])[0] for path in (story / "patient.json", answered)]
    people = [each for file in files for each in adapters()["fhir"].read(file, Range(), context)]
    assert len({each.key for each in people if isinstance(each, Member)}) == 1


@pytest.mark.parametrize(("story", "format_"), CASES)
def test_the_format_is_recognised_from_content_alone(story: Path, format_: str, tmp_path: Path) -> None:
    copy = tmp_path / "no-ending"
    copy.write_bytes((story / FILES[format_]).read_bytes())
    assert recognise(sources([copy])[0]).name == format_


@pytest.mark.parametrize("target", ["edi834", "fhir", "survey"])
@pytest.mark.parametrize(("story", "format_"), CASES)
def test_converting_tells_the_same_or_tells_the_loss(story: Path, format_: str, target: str, tmp_path: Path) -> None:
    out = tmp_path / f"out{adapters()[target].ending}"
    with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))) as workspace:
        done = convert(workspace, story / FILES[format_], out)
    assert done.members == 1
    before, after = _told(story / FILES[format_]), _told(out)
    if before["state"] != after["state"] or before["categories"] != after["categories"]:
        assert done.losses, "a difference without a loss entry"
    if not {"blank", "declined"} & {before["state"]}:  # only a table keeps every state
        assert after["categories"] == before["categories"]
        assert after["language"] == before["language"]


def _record(format_: str, data: bytes, place: Locator) -> bytes:
    """The verbatim bytes of the record that starts at a place, as its adapter would reject them."""
    if format_ == "fhir":  # the whole document
        return data
    end = data.index(b"SE*", place.offset) if format_ == "edi834" else len(data)
    return data[place.offset : end]


@pytest.mark.parametrize(("story", "format_"), CASES)
def test_a_record_read_again_alone_is_the_record_of_its_file(story: Path, format_: str) -> None:
    path = story / FILES[format_]
    with Workspace() as workspace:
        context = workspace.context("plan", format_)
        items = list(adapters()[format_].read(sources([path])[0], Range(), context))
        (member,) = [item for item in items if isinstance(item, Member)]
        frame = next((item.raw for item in items if isinstance(item, Frame)), b"")
        place = Locator(path.name, member.unit, member.number, member.offset)
        rejected = Rejected(_record(format_, path.read_bytes(), place), Finding("test.rejected", Severity.ERROR, place))
        assert member.number >= 1
        assert list(adapters()[format_].again(rejected, frame, context)) == [member]


@pytest.mark.parametrize("format_", FILES)
def test_what_is_no_record_is_rejected_again_at_its_place(format_: str) -> None:
    with Workspace() as workspace:
        context = workspace.context("plan", format_)
        story = STORIES[0] / FILES[format_]
        items = adapters()[format_].read(sources([story])[0], Range(), context)
        frame = next((item.raw for item in items if isinstance(item, Frame)), b"")
        place = Locator("f", "row", 30, 4000)
        garbage = Rejected(b"INS*Q~", Finding("test.rejected", Severity.ERROR, place))
        (again,) = adapters()[format_].again(garbage, frame, context)
    assert isinstance(again, Rejected)
    assert again.raw == garbage.raw
    assert (again.finding.locator.number, again.finding.locator.offset) == (30, 4000)
