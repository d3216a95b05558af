"""doctor says what is wrong and changes nothing; init writes settings that load."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.pipeline import doctor as module
from fhir_equity.pipeline.doctor import doctor
from fhir_equity.pipeline.init import init
from fhir_equity.pipeline.review import review_decide, review_undo
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings, load
from fhir_equity.store.schema import VERSION
from tests.pipeline.test_review import BLACK, say


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "lint", lambda _: [])
    monkeypatch.chdir(tmp_path)


def states(config: Path | None = None, store: str | None = None) -> dict[str, str]:
    return {check.name: check.state for check in doctor(config, store)}


def made(path: Path, key: str = "") -> None:
    settings = Settings(store=StoreSettings(url=str(path), key_env=key))
    with Workspace(settings) as workspace:
        assert workspace.store
        assert workspace.pseudonyms


def test_an_empty_folder_is_no_fault() -> None:
    assert states() == {
        "environment": "ok", "settings": "ok", "extras": "ok", "tables": "ok", "store": "note", "pseudonym key": "note",
    }  # fmt: skip
    assert list(Path().iterdir()) == []


def test_a_store_its_encryption_and_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    made(Path("equity.db"))
    found = states()
    assert (found["store"], found["encryption"], found["pseudonym key"], found["file modes"]) == (
        "ok",
        "note",
        "ok",
        "ok",
    )
    Path("equity.db").chmod(0o640)
    assert states()["file modes"] == "wrong"
    monkeypatch.setenv("FHIR_EQUITY_STORE_KEY", "a passphrase")
    made(Path("secret.db"), "FHIR_EQUITY_STORE_KEY")
    assert states(store="secret.db")["encryption"] == "ok"
    monkeypatch.setenv("FHIR_EQUITY_STORE_KEY", "another")
    assert states(store="secret.db")["store"] == "wrong"


def test_what_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made(Path("equity.db"))
    Path("equity.key").unlink()
    assert states()["pseudonym key"] == "wrong"
    Path("equity.key").write_text("no key")
    assert states()["pseudonym key"] == "wrong"
    Path("other.toml").write_text("[stor]\n")
    assert states(Path("other.toml")) == {"environment": "ok", "settings": "wrong"}
    monkeypatch.setattr(module, "lint", lambda _: ["a problem"])
    assert states()["tables"] == "wrong"
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert [c.words for c in doctor(store="postgresql://127.0.0.1:9/x") if c.name == "extras"][1:] == [
        "the settings need the extra postgresql, which is not installed"
    ]


def test_an_older_store_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr("fhir_equity.store.connection.VERSION", 3)
        made(Path("equity.db"))
    before = Path("equity.db").read_bytes()
    words = [check.words for check in doctor(store="equity.db") if check.name == "store"]
    assert words == [f"can be opened; layout 3, which the next command brings to {VERSION}"]
    assert Path("equity.db").read_bytes() == before


def test_rows_that_no_decision_which_holds_has_are_told(tmp_path: Path) -> None:
    config, overlay = tmp_path / "equity.toml", tmp_path / "ours"
    config.write_text('[store]\nurl = "equity.db"\n[mappings]\noverlay = "ours"\n')
    overlay.mkdir()

    def told() -> list[tuple[str, str]]:
        return [(check.state, check.words) for check in doctor(config) if check.name == "decided rows"]

    with Workspace(load(config), "2026-11-29") as workspace:
        say(workspace, ("m1", "self", "Z9"))
        review_decide(workspace, "1", BLACK, "r")
        (path,) = overlay.rglob("*.csv")
        ours = path.read_bytes()
        assert told() == []
        path.write_bytes(ours + ours.splitlines(keepends=True)[1].replace(b"Z9", b"Y7"))  # of a number given again
        assert [state for state, _ in told()] == ["note"]
        review_undo(workspace, 1)
        path.write_bytes(ours)
        ((state, words),) = told()
        assert (state, words[:16]) == ("note", "1 in the overlay")
        assert "Z9" not in words
        assert path.read_bytes() == ours
        path.write_bytes(b"no table")
        assert [state for state, _ in told()] == ["wrong"]


def test_init_writes_settings_that_load_and_never_twice() -> None:
    path = init(Path("new/folder"))
    assert load(path).store.url == "new/folder/equity.db"
    assert path.stat().st_mode & 0o777 == 0o600
    active = "".join(line.removeprefix("# ") + "\n" for line in path.read_text().splitlines()[3:])
    (path.parent / "all.toml").write_text(active)
    assert list(load(path.parent / "all.toml").hie) == ["state"]
    with pytest.raises(UsageError, match="stays as it is"):
        init(Path("new/folder"))
