"""explain: what a member said in three files, which of it won, why, and what is hidden unless asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.retract import retract, runs
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.survivorship.policy import REASONS, RULES
from tests.pipeline.test_ingest import file, member

SURVEY = (
    "member_id,survey_date,race_ethnicity,gender_identity\nFX000001,2026-02-03,Samoan; Qawalangin,Decline to answer\n"
)
HIDDEN = ("Samoan", "Qawalangin", "2054-5", "2080-0", ":RET:", "White", "Black", "declined", "answered")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A store with an 834 of January, a survey of March and the 834 once more in April."""
    url = StoreSettings(url=str(tmp_path / "equity.db"))
    enrollment = file(tmp_path / "plan.834", [member(1, ":RET:2054-5"), member(2, "C")])
    survey = tmp_path / "survey.csv"
    survey.write_text(SURVEY)
    for path, day in ((enrollment, "2026-01-01"), (survey, "2026-03-01"), (enrollment, "2026-04-01")):
        with Workspace(Settings(store=url), day) as earlier:
            ingest(earlier, [path], partner="demo-plan")
    with Workspace(Settings(store=url), "2026-05-01") as opened:
        yield opened


def _matter(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [matter for matter in document["matters"] if matter["matter"] == name]
    return dict(found)


def test_the_members_own_word_wins_and_what_it_beat_is_told(workspace: Workspace) -> None:
    document = explain(workspace, "FX000001", topic="race", show_values=True)
    assert document["seen"] == {"runs": 3, "first": "2026-01-01", "last": "2026-04-01"}
    assert [each["matter"] for each in document["matters"]] == ["race_ethnicity"]
    matter = document["matters"][0]
    assert (matter["rule"], matter["state"], matter["provisional"]) == ("method", "answered", False)
    assert matter["why"].startswith("Its method ranks higher")
    first, second = matter["statements"]
    assert (first["place"], first["method"], first["first_seen"]) == (1, "unstated", "2026-01-01")
    assert (second["place"], second["method"], second["collected_on"]) == (0, "self", "2026-02-03")
    (plan,), (own,) = first["answers"], second["answers"]
    assert (plan["format"], plan["run"], plan["raw"]) == ("edi834", 1, ":RET:2054-5")
    assert plan["where"].startswith("plan.834, segment ")
    assert plan["where"].endswith("DMG05")
    assert (own["format"], own["run"], own["raw"]) == ("survey", 2, "Samoan; Qawalangin")
    assert [each["code"] for each in plan["means"]] == ["2054-5"]
    assert "2080-0" in [each["code"] for each in own["means"]]
    assert all(each["edition"] and each["relationship"] == "equivalent" for each in plan["means"])


def test_values_are_hidden_unless_asked_for(workspace: Workspace) -> None:
    told = json.dumps(explain(workspace, "FX000001"))
    assert [word for word in HIDDEN if word in told] == []
    shown = json.dumps(explain(workspace, "FX000001", show_values=True))
    assert [word for word in ("Samoan", ":RET:2054-5", "declined") if word not in shown] == []


def test_that_nothing_is_known_is_hidden_too(workspace: Workspace) -> None:
    hidden = _matter(explain(workspace, "FX000001"), "gender_identity")
    shown = _matter(explain(workspace, "FX000001", show_values=True), "gender_identity")
    assert (hidden["rule"], hidden["why"]) == ("", "")
    assert "state" not in hidden
    assert (shown["rule"], shown["state"]) == ("nothing_known", "declined")


def test_a_date_shows_what_was_believed_then(workspace: Workspace) -> None:
    with Workspace(workspace.settings, "2026-02-01") as earlier:
        matter = _matter(explain(earlier, "FX000001", show_values=True), "race_ethnicity")
    assert [each["method"] for each in matter["statements"]] == ["unstated"]
    assert matter["rule"] == "only_answer"
    with Workspace(workspace.settings, "2025-12-31") as before:
        assert explain(before, "FX000001")["matters"] == []


def test_a_member_is_found_by_key_identifier_and_pseudonym(workspace: Workspace) -> None:
    by_key = explain(workspace, "FX000002")
    assert explain(workspace, by_key["member"]["pseudonym"]) == by_key
    assert explain(workspace, "FX000002", partner="demo-plan") == by_key
    with pytest.raises(UsageError, match="no member with this"):
        explain(workspace, "FX000002", partner="other")


def test_several_people_are_named_by_pseudonym(workspace: Workspace, tmp_path: Path) -> None:
    ingest(workspace, [file(tmp_path / "other.834", [member(1, "B")])], partner="other-plan")
    with pytest.raises(UsageError, match=r"several members have it.*\(demo-plan\).*\(other-plan\)") as raised:
        explain(workspace, "FX000001")
    assert "FX000001" not in str(raised.value)
    assert explain(workspace, "FX000001", partner="other-plan")["member"]["partner"] == "other-plan"


def test_an_unknown_topic_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match=r"there is no such topic; there are: .*race_ethnicity"):
        explain(workspace, "FX000001", topic="shoe_size")


def test_every_rule_of_survivorship_has_its_sentence(workspace: Workspace) -> None:
    assert set(workspace.policy.why) == {*RULES, *REASONS}
    assert workspace.policy.telling < {*RULES, *REASONS}


def test_what_was_withdrawn_is_shown_and_decides_nothing(workspace: Workspace) -> None:
    retract(workspace, 2, reason="the survey of another plan")
    matter = _matter(explain(workspace, "FX000001", show_values=True), "race_ethnicity")
    assert [each["method"] for each in matter["statements"]] == ["unstated"]
    assert [each["method"] for each in matter["withdrawn"]] == ["self"]
    assert matter["rule"] == "only_answer"
    alone = _matter(explain(workspace, "FX000001"), "gender_identity")
    assert (alone["statements"], len(alone["withdrawn"])) == ([], 1)
    retract(workspace, 2, undo=True)
    matter = _matter(explain(workspace, "FX000001", show_values=True), "race_ethnicity")
    assert (matter["rule"], matter["withdrawn"]) == ("method", [])


def test_a_retraction_needs_a_run_and_a_reason(workspace: Workspace) -> None:
    for run, words in ((99, "there is no such run"), (-1, "there is no such run"), (2, "say it with --reason")):
        with pytest.raises(UsageError, match=words):
            retract(workspace, run, reason=" ")
    assert [(run.id, run.members, run.retracted_at) for run in runs(workspace)] == [(1, 2, ""), (2, 1, ""), (3, 2, "")]
