"""Nothing about people in logs, errors, pseudonyms or file permissions."""

from __future__ import annotations

import io
import logging
import os
import stat
import threading
from pathlib import Path
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity import privacy
from fhir_equity.errors import FatalError, UsageError
from fhir_equity.privacy import ALLOWED, Pseudonyms, configure_logging, describe, key_from, private_file

CANARY = "Canary Wharfinger 1970-01-01"


@pytest.fixture
def log() -> io.StringIO:
    """Our logging sent to memory."""
    stream = io.StringIO()
    configure_logging("info", stream)
    return stream


def test_a_line_is_an_event_and_allowed_fields(log: io.StringIO) -> None:
    logging.getLogger("fhir_equity.store").info(
        "chunk_written", extra={"members": 3, "artefact": "a.834", "who": CANARY}
    )
    (line,) = log.getvalue().splitlines()
    assert line.endswith(" info chunk_written artefact=a.834 members=3")
    assert CANARY not in line


def test_records_below_the_level_are_left_out(log: io.StringIO) -> None:
    logging.getLogger("fhir_equity").debug("detail")
    assert log.getvalue() == ""


def test_formatted_values_are_left_out_altogether(log: io.StringIO) -> None:
    logging.getLogger("fhir_equity").warning("member %s", CANARY)
    assert log.getvalue() == ""


@pytest.mark.parametrize("name", ["httpx", "sqlalchemy.engine", "fhir_equity_plugin", ""])
def test_other_libraries_are_silent(log: io.StringIO, capsys: pytest.CaptureFixture[str], name: str) -> None:
    logging.getLogger(name).error(CANARY)
    assert log.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_an_exception_is_its_class(log: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("fhir_equity").exception("chunk_failed")
    assert log.getvalue().endswith("chunk_failed error=ValueError\n")
    assert CANARY not in log.getvalue()


def test_a_file_name_cannot_forge_a_line(log: io.StringIO) -> None:
    logging.getLogger("fhir_equity").info("read", extra={"artefact": "a\n2026 error forged\x1b[2J"})
    assert len(log.getvalue().splitlines()) == 1
    assert log.getvalue().endswith("artefact=a?2026 error forged?[2J\n")


def test_no_allowed_field_is_about_a_person() -> None:
    assert ALLOWED.isdisjoint({"member", "name", "key", "value", "raw", "text", "url", "identifier", "message"})


def test_a_level_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="log level"):
        configure_logging("loud")


def test_an_error_is_described_without_its_words() -> None:
    def inner() -> None:
        raise KeyError(CANARY)

    try:
        try:
            inner()
        except KeyError as error:
            raise FatalError(CANARY) from error
    except FatalError as error:
        words = describe(error)
    assert CANARY not in words
    first, second = words.split(" from ")
    assert first.startswith("FatalError (test_privacy.py:")
    assert second.startswith("KeyError (test_privacy.py:")


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert describe(ValueError(CANARY)) == "ValueError"


def test_pseudonyms_are_keyed_and_stable() -> None:
    one, other = Pseudonyms(b"k" * 32), Pseudonyms(b"j" * 32)
    assert one("plan", "M1") == one("plan", "M1") == "51aaec9531f25708"
    assert one("plan", "M1") != other("plan", "M1")
    assert one("plan", "M1") != one("planM", "1")
    assert one("a\x1fb", "c") != one("a", "b\x1fc")
    number = one.numbers("plan")
    assert number("M1") == number("M1") == 960684927088421013
    assert number("M1") != other.numbers("plan")("M1")
    assert number("M1") != one.numbers("planM")("1")


def test_uuids_are_keyed_and_stable() -> None:
    one, other = Pseudonyms(b"k" * 32), Pseudonyms(b"j" * 32)
    assert one.uuid("plan", "M1") == one.uuid("plan", "M1") == "89ab7f43-5f24-8966-8fcf-a6f8b022b263"
    assert one.uuid("plan", "M1") != other.uuid("plan", "M1")
    assert one.uuid("plan", "M1") != one.uuid("planM", "1")
    found = UUID(one.uuid("plan", "M1"))
    assert (found.version, found.variant) == (8, RFC_4122)


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=3))
def test_every_identifier_has_a_pseudonym(parts: list[str]) -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    assert len(pseudonyms(*parts)) == 16
    assert str(UUID(pseudonyms.uuid(*parts))) == pseudonyms.uuid(*parts)
    assert all(0 <= pseudonyms.numbers("plan")(part) < 2**64 for part in parts)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "equity.key"
    key = key_from(path)
    assert len(key) == 32
    assert mode(path) == 0o600
    assert key_from(path) == key
    assert key_from(tmp_path / "another.key") != key


def test_the_key_of_a_faster_process_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "equity.key"
    make = privacy.private_file

    def late(path: Path, *, exclusive: bool = False) -> object:
        path.write_text("ab" * 32)
        return make(path, exclusive=exclusive)

    monkeypatch.setattr(privacy, "private_file", late)
    assert key_from(path) == b"\xab" * 32


def test_a_key_that_another_process_is_just_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "equity.key"
    monkeypatch.setattr(privacy, "_PATIENCE", 60)
    with private_file(path, exclusive=True) as file:
        written = threading.Timer(0.2, lambda: (file.write(b"ab" * 32), file.flush()))
        written.start()
        assert key_from(path) == b"\xab" * 32
        written.join()


@pytest.mark.parametrize("content", [b"", b"abcd", b"zz" * 32, b"ab" * 33, "é".encode()])
def test_a_file_without_a_key_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "equity.key"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="holds no key") as caught:
        key_from(path)
    assert caught.value.__cause__ is None
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        key_from(tmp_path / "none" / "equity.key")


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with private_file(tmp_path / "out") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "out") == 0o600


def test_a_file_that_was_open_to_all_is_replaced_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"something longer")
    path.chmod(0o666)
    with private_file(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)


def test_an_exclusive_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        private_file(path, exclusive=True)
    assert path.read_bytes() == b"old"


def test_a_device_keeps_its_permissions() -> None:
    before = mode(Path(os.devnull))
    with private_file(Path(os.devnull)) as file:
        file.write(b"x")
    assert mode(Path(os.devnull)) == before
