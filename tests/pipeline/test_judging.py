"""The circuit breaker: what drops, flips or erases too much is stopped with nothing written; the rest goes in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_equity.pipeline.ingest import Ingested, ingest
from fhir_equity.pipeline.merge import merge
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import BreakerSettings, LimitsSettings, PrivacySettings, Settings, StoreSettings
from tests.conftest import select_rows
from tests.faults.points import everything
from tests.pipeline.test_ingest import file, member

Load = Callable[..., Ingested]
HEAD = "member_id,survey_date,race_ethnicity\n"
LIMITS = BreakerSettings(
    at_least=3, partner={"easy": LimitsSettings(at_least=3, flipped=1, erased=1, members_dropped=1)}
)


@pytest.fixture
def load(url: str, tmp_path: Path) -> Load:
    """`load("2026-01-01", path)`"""

    def one(day: str, path: Path, *, partner: str = "plan", accept_drop: bool = False) -> Ingested:
        kept = {"store": StoreSettings(url=url), "privacy": PrivacySettings(key_file=tmp_path / "equity.key")}
        with Workspace(Settings(breaker=LIMITS, **kept), day) as workspace:
            return ingest(workspace, [path], partner=partner, accept_drop=accept_drop)

    return one


@pytest.fixture
def full(tmp_path: Path) -> Callable[..., Path]:
    """`full(1, 2, 3, dmg05="C")`: a full 834 of these members, each with DMG05."""

    def write(*numbers: int, dmg05: str = "C", purpose: str = "4", name: str = "plan.834") -> Path:
        path = file(tmp_path / name, [member(number, dmg05) for number in numbers])
        text = path.read_text(encoding="ascii")
        assert "****4~" in text
        path.write_text(text.replace("****4~", f"****{purpose}~"), encoding="ascii")
        return path

    return write


@pytest.fixture
def survey(tmp_path: Path) -> Callable[..., Path]:
    def write(day: str, said: str, people: int) -> Path:
        path = tmp_path / "survey.csv"
        path.write_text(HEAD + "".join(f"M{number},{day},{said}\n" for number in range(people)), encoding="utf-8")
        return path

    return write


def test_people_whom_a_full_file_drops(url: str, load: Load, full: Callable[..., Path]) -> None:
    load("2026-01-01", full(*range(1, 11)))
    before = everything(url)
    done = load("2026-02-01", full(1, 2, 3, 4, 5))
    assert done == Ingested(too_much=["members dropped: 5 of 10 (at most 20%)"], stopped=True)
    after = everything(url)
    assert {name for name in before if before[name] != after[name]} == {"judgement", "trail", "trail_head"}
    accepted = load("2026-02-01", full(1, 2, 3, 4, 5), accept_drop=True)
    assert (accepted.stopped, accepted.members) == (False, 5)
    assert select_rows(url, "SELECT run_id, accepted, members, members_dropped FROM judgement ORDER BY id") == [
        (1, False, 0, 0), (None, False, 10, 5), (2, True, 10, 5),
    ]  # fmt: skip
    told = [row[0] for row in select_rows(url, "SELECT action || ' ' || outcome FROM trail ORDER BY id")]
    assert told.count("ingest failed") == 1
    assert told.count("ingest accept-drop done") == 1
    assert load("2026-03-01", full(1, 2, 3, 4)).too_much == []  # beside the last full file, which had five


def test_a_partner_whose_members_are_part_of_others_has_something_to_lose(
    url: str, tmp_path: Path, load: Load, full: Callable[..., Path]
) -> None:
    load("2026-01-01", full(1, 2, 3, 4, name="north.834"), partner="north")
    load("2026-01-01", full(5, 6, 7, 8, name="south.834"), partner="south")
    kept = {"store": StoreSettings(url=url), "privacy": PrivacySettings(key_file=tmp_path / "equity.key")}
    with Workspace(Settings(**kept), "2026-02-01") as workspace:
        keys = {p: [w.member.key for w in workspace.store.people if w.member.partner == p] for p in ("north", "south")}
        for into, who in zip(keys["north"], keys["south"], strict=True):
            merge(workspace, into, who, reason="moved")
    done = load("2026-02-02", full(5, 6, 7, 8, dmg05="7", name="south.834"), partner="south")
    assert done.too_much == ["erased: 4 of 12 (at most 10%)"]


def test_changes_and_surveys_drop_nobody(load: Load, full: Callable[..., Path], survey: Callable[..., Path]) -> None:
    load("2026-01-01", full(*range(1, 11)))
    assert load("2026-02-01", full(1, purpose="2", name="change.834")).too_much == []
    assert load("2026-02-01", survey("2026-02-01", "White", 1)).too_much == []
    assert load("2026-02-02", full(1)).stopped  # and they are not what the next full file is held against


def test_statements_that_a_full_file_leaves_out(load: Load, full: Callable[..., Path]) -> None:
    load("2026-01-01", full(*range(1, 11)))
    done = load("2026-02-01", full(*range(1, 11), dmg05=""))
    assert [words.partition(":")[0] for words in done.too_much] == ["statements dropped"]
    assert load("2026-02-01", full(*range(1, 11), dmg05="", purpose="2")).too_much == []


def test_flipped_and_erased(load: Load, survey: Callable[..., Path]) -> None:
    load("2026-01-01", survey("2026-01-01", "White", 10))
    assert load("2026-02-01", survey("2026-02-01", "White", 10)).too_much == []
    assert load("2026-03-01", survey("2026-03-01", "Samoan", 2)).too_much == []  # fewer than at_least
    assert load("2026-03-02", survey("2026-03-02", "Samoan", 9)).too_much == ["flipped: 7 of 10 (at most 10%)"]
    erased = load("2026-03-02", survey("2026-03-02", "Prefer not to answer", 3))
    assert erased.too_much == ["erased: 3 of 10 (at most 10%)"]


def test_what_two_ways_always_told_differently_is_no_flip(
    load: Load, full: Callable[..., Path], tmp_path: Path
) -> None:
    load("2026-01-01", full(*range(1, 11)))
    path = tmp_path / "own.csv"
    path.write_text(HEAD + "".join(f"FX{number:06},2026-02-01,Samoan\n" for number in range(1, 11)))
    assert load("2026-02-01", path, partner="plan").too_much == []


def test_a_partner_has_limits_of_its_own(load: Load, survey: Callable[..., Path]) -> None:
    load("2026-01-01", survey("2026-01-01", "White", 10), partner="easy")
    assert load("2026-02-01", survey("2026-02-01", "Samoan", 10), partner="easy").too_much == []


def test_a_retracted_full_file_is_no_measure(url: str, load: Load, full: Callable[..., Path], tmp_path: Path) -> None:
    load("2026-01-01", full(1, 2, 3, 4))
    load("2026-02-01", full(*range(1, 11)))
    kept = {"store": StoreSettings(url=url), "privacy": PrivacySettings(key_file=tmp_path / "equity.key")}
    with Workspace(Settings(**kept)) as workspace:
        retract(workspace, 2, reason="r")
    assert load("2026-03-01", full(1, 2, 3, 4)).too_much == []
