"""The resolutions that are kept are those that the people's answers resolve to, whatever order they came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.model import Answer, Coding, Member, Origin, Received
from fhir_equity.pipeline import ingest as module
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import RunWriter, resolutions
from tests.conftest import select_rows

HEAD = "member_id,survey_date,race_ethnicity,language_spoken\n"
Load = Callable[..., None]


@pytest.fixture
def workspace(url: str, tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    opened: list[Workspace] = []

    def make(as_of: str) -> Workspace:
        settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=tmp_path / "equity.key"))
        opened.append(Workspace(settings, as_of))
        return opened[-1]

    yield make
    for each in opened:
        each.store.close()


@pytest.fixture
def load(workspace: Callable[..., Workspace], tmp_path: Path) -> Load:
    """`load("2026-01-01", "m1,,Samoan,es", ...)`: a survey of that day."""

    def survey(as_of: str, *lines: str) -> None:
        path = tmp_path / "survey.csv"
        path.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
        ingest(workspace(as_of), [path], partner="plan")

    return survey


def kept(url: str) -> list[tuple[Any, ...]]:
    query = "SELECT key, resolution.matter, state, first_seen, rule, policy, provisional, refused FROM resolution"
    query += " JOIN member ON member.id = resolution.member_id LEFT JOIN answer ON answer.id = winner ORDER BY 1, 2"
    return select_rows(url, query)


def beaten(url: str) -> list[tuple[Any, ...]]:
    query = "SELECT key, beaten.matter, place, first_seen FROM beaten JOIN answer ON answer.id = answer_id"
    return select_rows(url, query + " JOIN member ON member.id = beaten.member_id ORDER BY 1, 2, 3")


def computed(workspace: Workspace) -> list[tuple[Any, ...]]:
    """What is decided about everybody now, from their answers alone."""
    policy, found = workspace.policy.version, []
    for person in workspace.store.people:
        events = [event for _, event in person.events]
        for matter, said in workspace.resolutions("plan", events).items():
            seen = said.winner.first_seen if said.winner else None
            row = (person.member.key, matter, str(said.state), seen, said.rule, policy, said.provisional, said.refused)
            found.append(row)
    return sorted(found)


def test_what_wins_is_kept_with_its_rule_and_policy(url: str, load: Load, workspace: Callable[..., Workspace]) -> None:
    load("2026-01-01", "m1,2025-01-01,Samoan,es", "m2,2025-01-01,Chinese,")
    load("2026-02-01", "m1,2026-01-15,Tongan,es", "m2,2026-01-15,Prefer not to answer,")
    policy = workspace("2026-02-01").policy.version
    assert policy
    rows = [row for row in kept(url) if row[1] == "race_ethnicity"]
    assert rows == [
        ("m1", "race_ethnicity", "answered", "2026-02-01", "newest", policy, False, False),
        ("m2", "race_ethnicity", "answered", "2026-01-01", "known_over_unknown", policy, False, True),
    ]
    assert [row for row in beaten(url) if row[1] == "race_ethnicity"] == [
        ("m1", "race_ethnicity", 0, "2026-01-01"),
        ("m2", "race_ethnicity", 0, "2026-02-01"),
    ]
    assert kept(url) == computed(workspace("2026-02-01"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_order_of_the_files_changes_nothing(
    url: str, load: Load, workspace: Callable[..., Workspace], order: tuple[int, ...]
) -> None:
    months = [
        ("2026-01-01", "m1,,Samoan,es", "m2,,Chinese,zh"),
        ("2026-02-01", "m1,,Tongan,es", "m3,,White,"),
        ("2026-03-01", "m1,,Samoan,en", "m2,,Chinese,"),
    ]
    for number in order:
        load(*months[number])
    assert kept(url) == computed(workspace("2026-03-01"))
    race = {row[0]: row[3] for row in kept(url) if row[1] == "race_ethnicity"}
    assert race == {"m1": "2026-02-01", "m2": "2026-01-01", "m3": "2026-02-01"}


def test_what_was_learnt_in_a_chunk_that_fails_is_forgotten(
    url: str, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that is written again may give other values the ids that were never kept."""
    opened = workspace("2026-01-01")
    run = opened.run("plan")
    artefact = run.artefact("survey.csv", "survey")
    monkeypatch.setattr(RunWriter, "_log", interrupt)
    with pytest.raises(ZeroDivisionError):
        run.add(artefact, [said(opened, "m1", "")])
    monkeypatch.undo()
    run.add(artefact, [said(opened, "m1", "2131-1")])
    assert kept(url) == computed(workspace("2026-01-01"))
    assert [row[2] for row in kept(url)] == ["answered"]


def interrupt(*_: object) -> None:
    raise ZeroDivisionError


def said(workspace: Workspace, key: str, code: str) -> Any:
    codings = (Coding("cdcrec", code),) if code else ()
    answer = Answer(Received("race_ethnicity", "test.race", codings, "", code), Origin("plan", "survey.csv"))
    return record_of(workspace, Member("plan", key, "k", answers=(answer,)))


def test_what_is_remembered_has_a_bound(
    url: str, load: Load, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolutions, "MOST", 1)
    monkeypatch.setattr(module, "CHUNK", 1)
    load("2026-01-01", *(f"m{n},,{race},es" for n, race in enumerate(("Samoan", "Tongan", "White", "Samoan"))))
    assert kept(url) == computed(workspace("2026-01-01"))


def test_the_same_again_writes_nothing(url: str, load: Load) -> None:
    load("2026-01-01", "m1,,Samoan,es")
    before = (kept(url), beaten(url))
    load("2026-02-01", "m1,,Samoan,es")
    assert (kept(url), beaten(url)) == before
    assert len(before[0]) >= 2
