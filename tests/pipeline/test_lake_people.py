"""People who were merged, across partners too, or split come back from an exported folder as what they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from fhir_equity.errors import UnreadableError
from fhir_equity.model import Member, Name
from fhir_equity.pipeline.explain import explain
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.lake import export
from fhir_equity.pipeline.merge import merge, merges, unmerge
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.split import split
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import StoreSettings
from fhir_equity.store import Disclosure, Which
from fhir_equity.store.lake import Lake, Met
from tests.conftest import ROOT
from tests.pipeline.test_lake import held_in
from tests.pipeline.test_merge_across import ASIAN, BLACK, WHITE, say, won
from tests.pipeline.test_merge_across import workspace as workspace
from tests.pipeline.test_split import people
from tests.pipeline.test_split import say as say_twins

Bring = Callable[..., AbstractContextManager[Workspace]]


@pytest.fixture
def brought(workspace: Workspace, new_url: Callable[[], str], tmp_path: Path) -> Bring:
    """Another store, with what the first one exports."""
    return partial(_brought, workspace, new_url, tmp_path)


@contextmanager
def _brought(workspace: Workspace, new_url: Callable[[], str], tmp_path: Path) -> Iterator[Workspace]:
    export(workspace, tmp_path / "lake", include_sensitive=True)
    settings = workspace.settings.model_copy(update={"store": StoreSettings(url=new_url())})
    with Workspace(settings, "2026-03-02") as other:
        ingest(other, [tmp_path / "lake"])
        assert held_in(other.store) == held_in(workspace.store)
        ingest(other, [tmp_path / "lake"])
        assert held_in(other.store)[::2] == held_in(workspace.store)[::2]  # but for findings, which were met again
        assert resolve(other, dry_run=True).changed == 0
        assert other.store.trail.verify().problems == []
        yield other


def test_a_merge_with_somebody_who_is_not_in_the_folder_is_refused_without_a_word_of_who(
    workspace: Workspace, new_url: Callable[[], str], tmp_path: Path
) -> None:
    merge(workspace, "n1", "s1", reason="moved")
    export(workspace, tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake" / "members" / "partner=north")
    settings = workspace.settings.model_copy(update={"store": StoreSettings(url=new_url())})
    with (
        Workspace(settings, "2026-03-02") as other,
        pytest.raises(UnreadableError, match=r"^lake has merges of members who are not in it \(1\)$") as refused,
    ):
        ingest(other, [tmp_path / "lake"])
    assert "n1" not in str(refused.value)


def test_a_merge_that_was_undone_here_is_not_brought_again(
    workspace: Workspace, brought: Bring, tmp_path: Path
) -> None:
    with brought() as other:
        merge(other, "n2", "n1", reason="a new card")
        merge(workspace, "n1", "s1", reason="moved")
        export(workspace, tmp_path / "again", include_sensitive=True)
        ingest(other, [tmp_path / "again"])  # n1 is part of n2 here
        assert [each.reason for each in merges(other) if not each.undone_at] == ["a new card", "moved"]
        unmerge(other, 2)
        ingest(other, [tmp_path / "again"])
        assert [each.reason for each in merges(other) if not each.undone_at] == ["a new card"]


def test_who_was_merged_across_partners_comes_back_and_apart(workspace: Workspace, brought: Bring) -> None:
    merge(workspace, "n2", "s1", reason="a mistake")
    unmerge(workspace, 1)
    merge(workspace, "n1", "s1", reason="moved")
    merge(workspace, "n2", "n1", reason="a new card")
    with brought() as other:
        assert merges(other) == merges(workspace)
        for name in ("n1", "s1", "n2"):
            assert won(other, name) == won(workspace, name) == ("newest", [BLACK, ASIAN, WHITE])
        for each in (other, workspace):
            say(each, "south", "2026-03-01", ("s1", ASIAN))  # a later file of either partner goes on
        assert won(other, "n1") == won(workspace, "n1")
        for number in (3, 2):
            undone = [unmerge(each, number) for each in (other, workspace)]
            assert undone[0].answers == undone[1].answers
            assert [won(other, name) for name in ("n1", "s1", "n2")] == [won(workspace, n) for n in ("n1", "s1", "n2")]
        assert [explain(other, name)["member"]["partner"] for name in ("n1", "s1")] == ["north", "south"]


def test_an_unmerge_where_they_were_loaded_stays_when_the_folder_comes_again(
    workspace: Workspace, brought: Bring, tmp_path: Path
) -> None:
    merge(workspace, "n1", "s1", reason="r")
    with brought() as other:
        unmerge(other, 1)
        ingest(other, [tmp_path / "lake"])
        assert won(other, "n1") == ("only_answer", [WHITE])
        merge(other, "n2", "s1", reason="r")  # and who is another one by now is merged as that person
        ingest(other, [tmp_path / "lake"])
        assert won(other, "n2")[1] == [BLACK, ASIAN]
        assert resolve(other, dry_run=True).changed == 0


def test_what_two_keys_of_one_person_said_alike_comes_back_under_each(workspace: Workspace, brought: Bring) -> None:
    say(workspace, "north", "2026-02-01", ("n3", ASIAN), ("n4", ASIAN))
    merge(workspace, "n4", "n3", reason="r")
    with brought() as other:
        assert won(other, "n3") == ("only_answer", [ASIAN])
        unmerge(other, 1)
        assert [won(other, name) for name in ("n3", "n4")] == [("only_answer", [ASIAN])] * 2


def test_who_was_retracted_is_still_nobody_when_unmerged(
    workspace: Workspace, brought: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_second = "2026-03-02T12:00:00+00:00"  # in which both are unmerged
    monkeypatch.setattr("fhir_equity.store.merges.now", lambda: one_second)
    late = say(workspace, "south", "2026-02-02", ("s2", ASIAN))
    merge(workspace, "s2", "n1", reason="called by the one who goes")
    retract(workspace, late, reason="r")
    with brought() as other:
        assert won(other, "s2") == ("only_answer", [WHITE])
        unmerge(other, 1)
        unmerge(workspace, 1)
        assert held_in(other.store) == held_in(workspace.store)


def test_who_was_met_lately_is_not_old_where_they_were_loaded(
    workspace: Workspace, brought: Bring, tmp_path: Path
) -> None:
    for day in ("2015-01-01", "2026-02-01"):
        say_twins(workspace, day, ("Ada", "race", WHITE), file="monthly.csv")
    say_twins(workspace, "2015-01-01", ("Ben", "race", WHITE), key="gone")
    with brought() as other:
        gone = [
            purge(each, "2020-01-01", tmp_path / f"{place}.certificate").gone.counts
            for place, each in enumerate((other, workspace))
        ]
        assert gone[0]["members"] == gone[1]["members"] == 1
        assert won(other, "k") == ("only_answer", [WHITE])


def test_the_people_of_one_partner_are_whole(workspace: Workspace, tmp_path: Path) -> None:
    merge(workspace, "n1", "s1", reason="r")
    north = export(workspace, tmp_path / "north", partner="north")
    assert (north.merged, north.elsewhere, north.rows["members"], north.rows["merges"]) == (1, 0, 3, 1)
    south = export(workspace, tmp_path / "south", partner="south")
    assert (south.merged, south.elsewhere, south.rows["members"], south.rows["merges"]) == (0, 1, 0, 0)


@pytest.mark.parametrize("who", [{"given": "Ben"}, {"given": "Ada", "born": "2010-01-02"}, {}])
def test_who_was_split_comes_back_as_two(who: dict[str, str], workspace: Workspace, brought: Bring) -> None:
    for day, given, code in (("2026-01-01", "Ada", WHITE), ("2026-02-01", "Ben", BLACK)):
        say_twins(workspace, day, (given, "race", code), (given, "language_spoken", "en"))
    split(workspace, "k", Which(file="2026-02-01.csv"), reason="r", partner="plan", **who)
    with brought() as other:
        said = [sorted(people(each).values()) for each in (other, workspace)]
        assert said[0] == said[1]
        for each in (other, workspace):  # and a later record goes to the same one of them
            say_twins(each, "2026-03-01", ("Ben", "race", ASIAN))
        assert sorted(people(other).values()) == sorted(people(workspace).values())


def test_who_was_told_of_before_they_were_loaded_keeps_their_account(
    workspace: Workspace, new_url: Callable[[], str], tmp_path: Path
) -> None:
    for day, given, born in (("2026-01-01", "Ada", "1980-01-01"), ("2026-02-01", "Ben", "1990-01-01")):
        say_twins(workspace, day, (given, "race", WHITE), born=born)
    say_twins(workspace, "2026-02-02", ("Ada", "race", BLACK), born="1980-01-01")
    export(workspace, tmp_path / "lake", partner="plan")
    settings = workspace.settings.model_copy(update={"store": StoreSettings(url=new_url())})
    with Workspace(settings, "2026-03-02") as other:
        for given, born in (("Ben", "1990-01-01"), ("Cy", "2000-01-01"), ("Ada", "1980-01-01")):
            told = Disclosure("", "plan", "hie", given, "p", "b", ("race",), "r1", "v1")
            who = Member("plan", "k", name=Name("Alder", (given,)), birth_date=born)
            other.store.disclosures.intend_of([(who, [told])], other.pseudonyms)
        for _ in range(2):
            ingest(other, [tmp_path / "lake"])
            named = {person.member.name.given: person for person in other.store.people}
            assert {name: len(person.events) for name, person in named.items()} == {("Ada",): 2, ("Ben",): 1}
            for (name,), person in named.items():
                assert [each.transmission for each in other.store.disclosures.of(person.pseudonym)] == [name]


def test_one_of_two_who_comes_alone_is_whom_a_file_brought(
    workspace: Workspace, new_url: Callable[[], str], tmp_path: Path
) -> None:
    """Where they are the first under the key, because nobody has brought the other."""
    first = say_twins(workspace, "2026-01-01", ("Ada", "race", WHITE), born="1980-01-01")
    say_twins(workspace, "2026-02-01", ("Ben", "race", WHITE), born="1990-01-01")
    retract(workspace, first, reason="r")
    export(workspace, tmp_path / "lake", partner="plan")
    settings = workspace.settings.model_copy(update={"store": StoreSettings(url=new_url())})
    with Workspace(settings, "2026-03-02") as other:
        say_twins(other, "2026-02-02", ("Ben", "race", BLACK), born="1990-01-01")
        for _ in range(2):
            ingest(other, [tmp_path / "lake"])
            said = [(person.member.name.given, len(person.events)) for person in other.store.people]
            assert said == [(("Ben",), 2)]


def test_a_folder_of_layout_1_is_still_read(workspace: Workspace) -> None:
    """It was written when people who were merged were in it as one member."""
    done = ingest(workspace, [ROOT / "tests" / "pipeline" / "lakes" / "layout_1"])
    assert (done.new_members, done.new_answers) == (2, 3)
    assert won(workspace, "o1") == ("newest", [BLACK, WHITE])
    assert won(workspace, "o3") == ("only_answer", [ASIAN])


def test_a_folder_of_layout_2_is_still_read(workspace: Workspace) -> None:
    """It was written when nothing was in it of what was decided, kept back or held."""
    done = ingest(workspace, [ROOT / "tests" / "pipeline" / "lakes" / "layout_2"])
    assert (done.new_members, done.new_answers) == (3, 3)
    assert won(workspace, "e1") == won(workspace, "o1") == ("newest", [BLACK, WHITE])
    unmerge(workspace, 1)
    assert won(workspace, "e1") == ("only_answer", [BLACK])


def test_what_is_said_while_a_folder_is_exported_is_not_in_it(
    workspace: Workspace, new_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(workspace, "n1", "s1", reason="moved")
    before, met = held_in(workspace.store), Lake._met

    def meanwhile(self: Lake, members: list[int], runs: dict[int, str]) -> Met:
        monkeypatch.undo()
        say(workspace, "south", "2026-03-01", ("s1", ASIAN))
        return met(self, members, runs)

    monkeypatch.setattr(Lake, "_met", meanwhile)
    export(workspace, tmp_path / "lake", include_sensitive=True)
    assert held_in(workspace.store) != before
    settings = workspace.settings.model_copy(update={"store": StoreSettings(url=new_url())})
    with Workspace(settings, "2026-03-02") as other:
        ingest(other, [tmp_path / "lake"])
        assert won(other, "n1") == ("newest", [BLACK, WHITE])
    assert won(workspace, "n1")[1][0] == ASIAN
