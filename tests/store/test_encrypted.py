"""An encrypted store: the same rows as a plain one, nothing to read without the key, clear words without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.model import Member
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import Store
from fhir_equity.store.connection import layout_of, reading
from fhir_equity.store.schema import VERSION
from fhir_equity.store.sqlite import encrypted
from tests.faults.points import CLOCKS, files
from tests.store.conftest import begin, record_of

PASSPHRASE = "it's a marked passphrase"
RAW = "0123456789abcdef" * 4
MARK = b"MARKEDNAME"
# What is different for every store: when, and what hangs together by it.
APART = {*CLOCKS, "previous", "digest"}


def saved(path: Path, key: str, member: Member) -> None:
    store = Store(str(path), key=key)
    run = begin(store)
    artefact = run.artefact("a.834", "edi834")
    run.add(artefact, [record_of(member, "2026-01-01")])
    run.close(artefact, sha256="f00", size=12, members=1, rejected=0)
    run.finish()
    written = b"".join(each.read_bytes() for each in path.parent.iterdir() if each.name.startswith(path.name))
    assert (MARK in written) is not bool(key)
    store.close()


@pytest.mark.parametrize("key", [PASSPHRASE, RAW])
def test_what_is_kept_cannot_be_read_without_the_key(tmp_path: Path, person: Callable[..., Member], key: str) -> None:
    path, member = tmp_path / "equity.db", person("m1", race="2106-3", family=MARK.decode())
    saved(path, key, member)
    saved(tmp_path / "plain.db", "", member)  # where the same is there to be read
    assert (encrypted(path), encrypted(tmp_path / "plain.db")) == (True, False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert layout_of(str(path), key) == VERSION
    store = Store(str(path), key=key)
    assert [found.member.name.family for found in store.people] == [MARK.decode()]
    store.close()
    before = path.read_bytes()
    for wrong in ("another", RAW[::-1]):
        with pytest.raises(StoreError, match=r"^the store's key is wrong, or its file is not a store$") as refused:
            Store(str(path), key=wrong)
        assert refused.value.exit_code == 2
    with pytest.raises(StoreError, match="or it is encrypted and wants its key"):
        Store(str(path))
    with pytest.raises(UsageError, match=r"^the store is not encrypted, but a key is named for it$"):
        Store(str(tmp_path / "plain.db"), key=key)
    assert path.read_bytes() == before


def test_a_server_takes_no_key() -> None:
    with pytest.raises(UsageError, match="a store on PostgreSQL takes no key"):
        Store("postgresql://127.0.0.1:9/x", key="k")


def everything(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    with reading(workspace.store.engine) as connection:
        for table in SQLModel.metadata.sorted_tables:
            columns = [c for c in table.columns if c.name not in APART] or [*table.columns]
            found[table.name] = sorted(tuple(row) for row in connection.execute(select(*columns)))
    return found


def test_the_same_deeds_leave_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = files(tmp_path)
    monkeypatch.setenv("MARKED_KEY", PASSPHRASE)
    told = []
    for name, key in (("plain.db", ""), ("secret.db", "MARKED_KEY")):
        kept = StoreSettings(url=str(tmp_path / name), key_env=key)
        settings = Settings(store=kept, privacy=PrivacySettings(key_file=tmp_path / "equity.key"))
        with Workspace(settings, "2026-01-01") as workspace:
            ingest(workspace, paths[:1], partner="plan")
            ingest(workspace, paths, partner="plan")
            retract(workspace, 2, reason="r")
            told.append(everything(workspace))
    assert told[0] == told[1]
    assert told[0]["withdrawn_answer"]
