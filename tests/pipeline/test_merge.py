"""merge and unmerge: counted once, explained together, their disclosures in one account; and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.merge import merge, merges, unmerge
from fhir_equity.pipeline.trail import disclosures
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings, TrailSettings
from fhir_equity.store import Disclosure

HEAD = "member_id,first_name,last_name,birth_date,survey_date,race_ethnicity,language_spoken\n"


@pytest.fixture
def workspace(new_url: Callable[[], str], tmp_path: Path) -> Iterator[Workspace]:
    key = PrivacySettings(key_file=tmp_path / "equity.key")
    settings = Settings(store=StoreSettings(url=new_url()), privacy=key, trail=TrailSettings(who="steward"))
    rows = ["m1,Ada,Alder,1980-02-03,2026-01-02,White,en", "m2,ADA,Alder,1980-02-03,2026-02-02,Samoan,es"]
    rows += ["m3,Ben,Birch,1970-01-01,2026-01-02,Asian,en"]
    (tmp_path / "survey.csv").write_text(HEAD + "\n".join(rows), encoding="utf-8")
    with Workspace(settings, "2026-03-01") as opened:
        ingest(opened, [tmp_path / "survey.csv"], partner="plan")
        yield opened


def test_one_person_of_two_keys_and_back(workspace: Workspace) -> None:
    before = audit(workspace, []).document
    done = merge(workspace, "m1", "m2", reason=" a new card ")
    assert (done.differs, done.joined.answers, done.joined.merging.author) == ((), 2, "steward")
    document = audit(workspace, []).document
    assert (before["population"], document["population"]) == (3, 2)
    assert document["topics"]["race_ethnicity"]["states"] == {"answered": 2}
    assert document["topics"]["language_spoken"]["values"] == {"en": 1, "es": 1}
    for name in ("m1", "m2"):
        told = explain(workspace, name, topic="race_ethnicity", show_values=True)
        assert told["member"]["pseudonym"] == done.joined.merging.into
        assert told["member"]["merged"] == [done.joined.merging.member]
        (matter,) = told["matters"]
        assert [each["place"] for each in matter["statements"]] == [1, 0]
        assert [each["answers"][0]["raw"] for each in matter["statements"]] == ["White", "Samoan"]
    assert [each.reason for each in merges(workspace)] == ["a new card"]
    undone = unmerge(workspace, 1)
    assert (undone.answers, undone.merging.undone_by) == (2, "steward")
    after = audit(workspace, []).document
    beside = {"controls", "generated"}  # how long the trail is, and when it was counted
    assert {k: v for k, v in after.items() if k not in beside} == {k: v for k, v in before.items() if k not in beside}
    assert explain(workspace, "m2")["member"]["merged"] == []


def test_names_and_birth_dates_that_differ_are_told(workspace: Workspace) -> None:
    assert merge(workspace, "m1", "m3", reason="r").differs == ("name", "birth date")


def test_what_was_disclosed_about_either_is_in_one_account(workspace: Workspace) -> None:
    found = [workspace.store.history.find(name)[0].pseudonym for name in ("m1", "m2")]
    for day, pseudonym in zip(("2026-02-02", "2026-02-01"), found, strict=True):
        each = Disclosure(pseudonym, "plan", "hie", day, "treatment", "b", ("race",), "r1", "p1", intended_at=day)
        workspace.store.disclosures.intend([each])
    merge(workspace, "m1", "m2", reason="r")
    for name in ("m1", "m2", *found):
        account = disclosures(workspace, name)
        assert account["member"] == found[0]
        assert [each["transmission"] for each in account["disclosures"]] == ["2026-02-01", "2026-02-02"]
    unmerge(workspace, 1)
    assert [each["transmission"] for each in disclosures(workspace, "m2")["disclosures"]] == ["2026-02-01"]
    gone = Disclosure("gone", "plan", "hie", "x", "treatment", "b", ("race",), "r1", "p1")
    workspace.store.disclosures.intend([gone])
    assert disclosures(workspace, "gone")["member"] == "gone"


def test_a_merge_needs_a_reason_and_two_people(workspace: Workspace) -> None:
    for into, member, reason in (("m1", "m2", " "), ("m1", "m9", "r"), ("m1", "m1", "r")):
        with pytest.raises(UsageError):
            merge(workspace, into, member, reason=reason)
    with pytest.raises(UsageError):
        unmerge(workspace, 1)
    assert merges(workspace) == []
