"""Settings: which source wins, what is refused, and that no secret or value is ever quoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.settings import HieSettings, Settings, StoreSettings, load

FULL = """
partner = "demo-plan"
[store]
url = "answers.db"
[mappings]
overlay = "ours"
[privacy]
key_file = "secret.key"
[hie.north]
url = "https://north.example/fhir/"
recipient = "north"
token_file = "north.token"
"""


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the person who runs the tests."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("FHIR_EQUITY_CONFIG", "FHIR_EQUITY_STORE"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "equity.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults() -> None:
    assert load() == Settings()
    assert load().store.url == "equity.db"


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path, FULL))
    assert settings.partner == "demo-plan"
    assert settings.store.url == str(tmp_path / "answers.db")
    assert settings.mappings.overlay == tmp_path / "ours"
    assert settings.privacy.key_file == tmp_path / "secret.key"
    assert settings.hie_named("north").token_file == tmp_path / "north.token"
    assert settings.hie_named("north").url == "https://north.example/fhir"


def test_a_database_url_is_no_path(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[store]\nurl = "postgresql://db/equity"\n'))
    assert settings.store.url == "postgresql://db/equity"


def test_the_file_of_the_working_folder_is_found() -> None:
    written(Path(), 'partner = "here"\n')
    assert load().partner == "here"


def test_the_environment_names_the_file_and_the_option_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.setenv("FHIR_EQUITY_CONFIG", str(written(tmp_path, 'partner = "environment"\n')))
    assert load().partner == "environment"
    assert load(written(tmp_path / "a", 'partner = "option"\n')).partner == "option"


def test_the_store_option_wins_over_the_environment_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(tmp_path, FULL)
    monkeypatch.setenv("FHIR_EQUITY_STORE", "environment.db")
    assert load(config).store.url == "environment.db"
    assert load(config, store="option.db").store.url == "option.db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partner = ", "equity.toml: "),
        ("colour = 1", "equity.toml: colour: there is no such setting"),
        ("[hie.x]\nmode = 'editor'", "equity.toml: hie.x.url: Field required"),
        ("[hie.x]\nurl = 'https://x.example'\nmode = 'guess'", "equity.toml: hie.x.mode: "),
        ("[hie.x]\nurl = 'https://x.example'\ntimeout = 0", "equity.toml: hie.x.timeout: "),
        ("[hie.x]\nurl = 'https://x.example'\nattempts = 21", "equity.toml: hie.x.attempts: "),
        ("[hie.x]\nurl = 'https://x.example'\npage_size = 0", "equity.toml: hie.x.page_size: "),
    ],
)
def test_wrong_files_say_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text))
    assert str(caught.value).startswith(message)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "equity.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        load(path)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "url",
    ["https://north.example/fhir", "http://localhost:8000/fhir", "http://127.0.0.1/fhir", "http://[::1]:8000"],
)
def test_urls_that_are_safe(url: str) -> None:
    assert HieSettings(url=url + "/").url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://north.example/fhir", "plain http is refused"),
        ("http://10.0.0.1/fhir", "plain http is refused"),
        ("http://localhost.example/fhir", "plain http is refused"),
        ("ftp://north.example", "must start with https"),
        ("north.example/fhir", "must start with https"),
        ("https://", "must start with https"),
        ("https://secret-name:secret-word@north.example/fhir", "credentials do not belong"),
        ("https://secret-name@north.example/fhir", "credentials do not belong"),
    ],
)
def test_urls_that_are_not(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(written(tmp_path, f'[hie.x]\nurl = "{url}"\n'))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_hie_that_is_not_configured() -> None:
    with pytest.raises(UsageError, match=r"no \[hie\.south\] \(configured: none\)"):
        Settings().hie_named("south")
    configured = Settings(hie={"b": HieSettings(url="https://b.example"), "a": HieSettings(url="https://a.example")})
    with pytest.raises(UsageError, match="configured: a, b"):
        configured.hie_named("south")


def test_nothing_may_write_to_an_hie_unless_it_says_so() -> None:
    hie = HieSettings(url="https://north.example")
    assert (hie.mode, hie.unmatched, hie.omb, hie.us_core, hie.recipient) == (
        "read-only",
        "skip",
        "faithful",
        "6.1.0",
        "",
    )


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH_TOKEN", " from-environment\n")
    (tmp_path / "token").write_text("from-file\n", encoding="utf-8")
    url = "https://north.example"
    assert HieSettings(url=url).token() == ""
    assert HieSettings(url=url, token_env="NORTH_TOKEN").token() == "from-environment"
    assert HieSettings(url=url, token_env="NORTH_TOKEN", token_file=tmp_path / "token").token() == "from-file"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b" \n", "is empty"), (b"\xffsecret", "is not text")],
)
def test_a_token_file_without_a_token(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        HieSettings(url="https://north.example", token_file=path).token()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_token_variable_without_a_token(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("NORTH_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("NORTH_TOKEN", value)
    with pytest.raises(UsageError, match="NORTH_TOKEN is not set"):
        HieSettings(url="https://north.example", token_env="NORTH_TOKEN").token()


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("equity.db", "equity.db"),
        ("sqlite:///some/equity.db", "some/equity.db"),
        ("sqlite+pysqlite:////var/equity.db?timeout=3", "/var/equity.db"),
        (":memory:", None),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://me:secret@host/equity.db", None),
    ],
)
def test_the_file_of_a_store(url: str, file: str | None) -> None:
    assert StoreSettings(url=url).file == (None if file is None else Path(file))


def test_files_of_an_hie_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    text = '[hie.north]\nurl = "https://north.example"\n[hie.north.smart]\nclient_id = "c"\nkey_file = "k.jwks"\n'
    text += '[hie.north.tls]\nca_file = "ca.pem"\ncertificate_file = "/etc/c.pem"\n'
    hie = load(written(tmp_path, text)).hie_named("north")
    assert hie.smart is not None
    assert hie.smart.key_file == tmp_path / "k.jwks"
    assert (hie.tls.ca_file, hie.tls.certificate_file) == (tmp_path / "ca.pem", Path("/etc/c.pem"))
    assert hie.tls.key_file is hie.token_file is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('token_env = "T"\n[hie.x.basic]\nusername = "u"', "three ways to log in"),
        ('[hie.x.basic]\nusername = "u"\n[hie.x.smart]\nclient_id = "c"\nkey_file = "k"', "three ways to log in"),
        ('[hie.x.tls]\nkey_file = "k"', "needs a certificate_file"),
        ('[hie.x.basic]\nusername = "u:p"', "username"),
        ('[hie.x.smart]\nclient_id = "c"\nkey_file = "k"\ntoken_url = "http://login.example"', "plain http is refused"),
        ('[hie.x.smart]\nclient_id = "c"\nkey_file = "k"\nalgorithm = "none"', "algorithm"),
        ("[hie.x.limits]\nconnections = 0", "connections"),
    ],
)
def test_log_ins_that_make_no_sense(tmp_path: Path, words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(written(tmp_path, f'[hie.x]\nurl = "https://x.example"\n{words}\n'))


def test_who_acts_comes_from_the_environment_else_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "equity.toml").write_text('[trail]\nwho = "night job"\n')
    monkeypatch.delenv("FHIR_EQUITY_WHO", raising=False)
    assert load(tmp_path / "equity.toml").trail.who == "night job"
    monkeypatch.setenv("FHIR_EQUITY_WHO", "x" * 300)
    assert load(tmp_path / "equity.toml").trail.who == "x" * 200
