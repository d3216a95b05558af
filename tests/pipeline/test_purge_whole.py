"""purge: however many go or are held, all of it or nothing, and what it says is so."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest

from fhir_equity.errors import StoreError, StoreLockedError, UsageError
from fhir_equity.pipeline.merge import merge
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Disclosure
from fhir_equity.store.holds import Held
from tests.conftest import engine_of
from tests.faults.points import everything
from tests.pipeline.test_purge import BEFORE, WHITE, load, opened, take


def test_a_merged_person_goes_however_far_apart_their_keys_are(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", *((f"k{number:03}", "self", "race", WHITE) for number in range(502)))
    merge(workspace, "k501", "k000", reason="r")
    done = take(workspace, tmp_path)
    assert (done.gone.counts["members"], done.gone.counts["answers"], dict(done.gone.runs)) == (502, 502, {1: 502})
    assert list(workspace.store.people) == []


def test_a_hold_on_very_many_people(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), ("b", "self", "race", WHITE))
    told = ("plan", "hie", "t", "treatment", "b", ("race",), "r1", "p1")
    workspace.store.disclosures.intend([Disclosure(who, *told, intended_at="2019-01-01") for who in ("7", "gone")])
    many = range(1, 300_000)  # more than any database takes in one statement
    held = Held(frozenset(many), frozenset(map(str, many)), frozenset())
    monkeypatch.setattr("fhir_equity.store.purge.held", lambda connection: held)
    assert take(workspace, tmp_path).gone.counts["disclosures"] == 1
    assert [each.pseudonym for each in workspace.store.disclosures.in_transmission("t")] == ["7"]
    assert len(list(workspace.store.people)) == 2


def test_who_reads_the_store_keeps_what_went_in_its_files_and_purge_says_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_equity.store.backend.BUSY_SECONDS", 1)
    with opened(url, tmp_path) as workspace:
        load(workspace, "2015-01-01", ("a", "self", "race", WHITE), rejected=b"MARKEDBYTES")
        reader = engine_of(url).connect()
        if url.startswith("sqlite"):
            reader.exec_driver_sql("BEGIN")
        assert len(reader.exec_driver_sql("SELECT * FROM quarantine").all()) == 1
        with pytest.raises(StoreLockedError, match=r"the purge is done, but .* run purge again"):
            take(workspace, tmp_path)
        assert list(workspace.store.people) == []
        reader.close()
        assert sum(take(workspace, tmp_path).gone.counts.values()) == 0
        assert not any(b"MARKEDBYTES" in file.read_bytes() for file in tmp_path.glob("*.db*"))
        assert [len(each.read_bytes()) > 0 for each in tmp_path.glob("*.certificate")] == [True, True]


def test_without_a_certificate_nothing_goes(
    workspace: Workspace, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *, exclusive: bool) -> IO[bytes]:
        assert exclusive
        path.touch()
        return Path("/dev/full").open("wb")

    load(workspace, "2015-01-01", ("a", "self", "race", WHITE))
    before = everything(url)
    file = tmp_path / "certificate.json"
    with monkeypatch.context() as patch:
        patch.setattr("fhir_equity.pipeline.purge.private_file", full)
        with pytest.raises(StoreError, match=r"No space left on device.*nothing was purged"):
            purge(workspace, BEFORE, file)
    assert not file.exists()
    assert everything(url) == before
    with pytest.raises(UsageError, match="cannot be made: No such file"):
        purge(workspace, BEFORE, tmp_path / "nowhere" / "certificate.json")


def test_the_certificate_is_there_before_anything_is_gone(
    workspace: Workspace, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE))
    before = everything(url)
    file = tmp_path / "certificate.json"

    def killed(*_: object, **__: object) -> None:
        assert b'"members": 1' in file.read_bytes()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workspace.store.trail, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            purge(workspace, BEFORE, file)
    assert everything(url) == before
    assert b'"members": 1' in file.read_bytes()  # the trail does not know its digest
