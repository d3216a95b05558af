"""The demonstration does the whole job, may be run again, and sends nothing that no rule lets out."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.demo import Story, demo
from fhir_equity.pipeline.demo_people import enrollment, patients, people, survey
from fhir_equity.quality.publish.document import Internal
from fhir_equity.reports.html import write_html

SOGI = (
    *(b"38628009", b"20430005", b"42035005", b"446141000124107", b"446151000124109", b"33791000087105"),
    *(b"76690-7", b"76691-5", b"genderIdentity", b"Nonbinary", b"Bisexual"),
)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, Story]:
    folder = tmp_path_factory.mktemp("work") / "equity-demo"

    def once() -> Story:
        return demo(folder, lambda _: None, lambda done, path: write_html(Internal(done.document), path))

    return once(), once()


def test_the_first_run_does_the_whole_job(twice: tuple[Story, Story]) -> None:
    story, _ = twice
    assert story.enrollment.members == len(people()) > 300
    assert story.enrollment.rejected == story.enrollment.newly_quarantined == 2
    assert {"x12.ins01.not_in_code_list", "x12.nm1.missing"} <= set(story.enrollment.findings)
    assert story.survey.members > 80
    assert story.applied is not None
    assert story.applied.statuses == {"verified": len(story.plan.changes)}
    assert {change.action for change in story.plan.changes} == {"create", "update", "tell"}
    assert {how for change in story.plan.changes for _, how in change.matters} == {"add", "replace"}
    assert {left.reason for left in story.plan.conflicts} >= {"same_standing", "name_or_birth_date_differ"}
    assert story.pulled is not None
    assert story.pulled.new_answers > 0
    assert story.pulled.pulled.echoes > 0
    assert story.pulled.pulled.unknown_here == 25
    assert story.again.changes == []


def test_what_its_probe_found_lets_patients_go_together(twice: tuple[Story, Story]) -> None:
    story, _ = twice
    told = sum(change.action == "tell" for change in story.plan.changes)
    patients_changed = len(story.plan.changes) - told
    assert story.profile.wrote
    assert story.profile.may_bundle
    assert told > 0
    # A Provenance is made and read back; Patients together take far less than a request each.
    assert 2 * told < story.requests < 2 * told + patients_changed // 2


def test_knowledge_grows(twice: tuple[Story, Story]) -> None:
    story, _ = twice
    assert story.before is not None
    assert story.after is not None
    before, after = (a.document["topics"]["race_ethnicity"]["states"]["answered"] for a in (story.before, story.after))
    assert after > before
    views = story.after.document["views"]["omb2024"]["categories"]
    assert views["Middle Eastern or North African"]["any"] > 0
    assert story.after.document["topics"]["race_ethnicity"]["methods"]["self"] > 0


def test_the_second_run_finds_nothing_left_to_do(twice: tuple[Story, Story]) -> None:
    _, story = twice
    assert (story.enrollment.new_answers, story.survey.new_answers) == (0, 0)
    assert (story.enrollment.new_members, story.enrollment.newly_quarantined) == (0, 0)
    assert story.plan.changes == story.again.changes == []
    assert story.pulled is not None
    assert story.pulled.new_answers == 0


def test_sogi_is_withheld_and_never_reaches_the_hie(twice: tuple[Story, Story]) -> None:
    story, _ = twice
    reasons = dict(story.plan.withheld.keys())
    assert reasons["sexual_orientation"] == reasons["gender_identity"] == "no_rule_sensitive"
    theirs = b"".join(path.read_bytes() for path in story.folder.glob("hie.db*"))
    assert b"us-core-race" in theirs
    assert not [mark for mark in SOGI if mark in theirs]


def test_its_files_are_private_and_the_page_needs_no_network(twice: tuple[Story, Story]) -> None:
    story, _ = twice
    assert {stat.S_IMODE(path.stat().st_mode) for path in story.folder.iterdir()} == {0o600}
    page = (story.folder / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<script" not in page
    assert "://" not in page


def test_it_refuses_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        demo(tmp_path, lambda _: None, lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_invented_people_are_the_same_on_every_machine() -> None:
    everybody = people()
    assert everybody == people()
    assert enrollment(everybody) == enrollment(people())
    assert survey(everybody) == survey(people())
    assert patients(everybody) == patients(people())
    numbers = {person.number for person in everybody}
    assert len(numbers) == len(everybody)


def test_without_its_extra_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_equity.pipeline.demo.NEEDED", ("starlette", "not_there"))
    with pytest.raises(UsageError, match=r"pip install 'fhir-equity\[demo\]'"):
        demo(tmp_path / "equity-demo", lambda _: None, lambda _done, _path: None)
    assert list(tmp_path.iterdir()) == []
