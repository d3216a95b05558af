"""Files, folders, packed files and standard input are all one kind of source, and damage is told clearly."""

from __future__ import annotations

import gc
import gzip
import hashlib
import io
import os
import stat
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import IO

import pytest

from fhir_equity.adapters import source as module
from fhir_equity.adapters.source import BLOCK, HEAD, Source, sources
from fhir_equity.errors import UnreadableError

TEXT = b"hello\n" * 1000


def _content(source: Source) -> bytes:
    return b"".join(source.blocks())


def _zip(path: Path, **entries: bytes) -> Path:
    return _packed(path, entries)


def _packed(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


class _Input:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.834"
    path.write_bytes(TEXT)
    (source,) = sources([path])
    assert source.name == "a.834"
    assert (source.sha256, source.size) == ("", 0)
    assert _content(source) == TEXT
    assert _content(source) == TEXT
    assert (source.sha256, source.size) == (hashlib.sha256(TEXT).hexdigest(), 6000)


def test_blocks_and_head_have_their_sizes(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * (2 * BLOCK + 7))
    (source,) = sources([str(path)])
    assert [len(block) for block in source.blocks()] == [BLOCK, BLOCK, 7]
    assert [len(block) for block in source.blocks(BLOCK * 2)] == [2 * BLOCK, 7]
    assert len(source.head()) == HEAD == 65536


def test_the_digest_is_unknown_until_all_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(TEXT)
    (source,) = sources([path])
    blocks = source.blocks(10)
    next(blocks)
    assert source.sha256 == ""


def test_a_folder_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.csv", "a/2.834", "a/1.834", ".hidden", ".git/config", "a/.x"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    found = sources([tmp_path / "in"])
    assert [(s.name, _content(s)) for s in found] == [("1.834", b"a/1.834"), ("2.834", b"a/2.834"), ("b.csv", b"b.csv")]


def test_a_folder_whose_own_path_is_hidden(tmp_path: Path) -> None:
    (tmp_path / ".in").mkdir()
    (tmp_path / ".in/a").write_bytes(b"x")
    assert [s.name for s in sources([tmp_path / ".in"])] == ["a"]
    assert sources([tmp_path]) == []


def test_a_missing_path() -> None:
    (missing,) = sources(["no-such-file.834"])
    with pytest.raises(UnreadableError, match=r"^no-such-file\.834 does not exist$"):
        missing.head()


def test_a_gzip_file_is_known_by_its_content(tmp_path: Path) -> None:
    for name in ("a.834.gz", "a.834"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(TEXT))
        (source,) = sources([path])
        assert source.name == name
        assert source.head() == TEXT
        assert _content(source) == TEXT
        assert source.sha256 == hashlib.sha256(TEXT).hexdigest()


@pytest.mark.parametrize("damage", ["cut", "changed", "header"])
def test_a_damaged_gzip_file(tmp_path: Path, damage: str) -> None:
    data = gzip.compress(os.urandom(1000))
    changed = {"cut": data[:-20], "changed": data[:100] + b"\xff" * 40 + data[140:], "header": data[:2] + b"\xff" * 20}
    path = tmp_path / "a.gz"
    path.write_bytes(changed[damage])
    (source,) = sources([path])
    with pytest.raises(UnreadableError, match=r"^a\.gz is damaged \(\w+\)$"):
        _content(source)


def test_each_entry_of_a_zip_file(tmp_path: Path) -> None:
    entries = {"b.csv": b"2", "in/deep/a.834": b"1", ".x": b"", "__MACOSX/b": b"", "in/.y": b""}
    path = _packed(tmp_path / "a.ZIP", entries)
    found = sources([path])
    assert [(s.name, s.head(), _content(s)) for s in found] == [
        ("a.ZIP!b.csv", b"2", b"2"),
        ("a.ZIP!in/deep/a.834", b"1", b"1"),
    ]


def test_folders_inside_a_zip_file_are_no_entries(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("in") if hasattr(archive, "mkdir") else archive.writestr("in/", b"")
        archive.writestr("in/a", b"1")
    assert [s.name for s in sources([tmp_path / "a.zip"])] == ["a.zip!in/a"]


def test_a_zip_file_under_another_name_is_one_file(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.xlsx", a=b"1")
    assert [s.name for s in sources([path])] == ["a.xlsx"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK\x03\x04" + b"x" * 100, "a.zip is a damaged zip file"),
        (b"PK\x05\x06" + b"\0" * 18, "a.zip is a zip file without files"),
        (b"PK\x05\x06", "a.zip is a damaged zip file"),
    ],
)
def test_a_zip_file_that_cannot_be_used(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    (source,) = sources([tmp_path / "a.zip"])
    assert source.name == "a.zip"
    with pytest.raises(UnreadableError, match=f"^{sentence}$"):
        source.head()


def test_a_damaged_entry(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", one=os.urandom(1000), two=b"2")
    data = bytearray(path.read_bytes())
    data[200:240] = b"\xff" * 40
    path.write_bytes(data)
    one, two = sources([path])
    with pytest.raises(UnreadableError, match=r"^a\.zip!one is damaged \(\w+\)$"):
        _content(one)
    assert _content(two) == b"2"


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", one=b"1")
    data = path.read_bytes()
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(magic) + place
        data = data[:at] + b"\x01" + data[at + 1 :]
    path.write_bytes(data)
    (source,) = sources([path])
    with pytest.raises(UnreadableError, match=r"^a\.zip!one cannot be opened \(RuntimeError\)$"):
        _content(source)


@pytest.mark.parametrize("kind", ["gz", "zip", "-"])
def test_what_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FREE", 2 * BLOCK)
    bomb = b"\0" * (10 * BLOCK)
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        _zip(path, a=bomb)
    else:
        path.write_bytes(gzip.compress(bomb))
        monkeypatch.setattr(sys, "stdin", _Input(path.read_bytes()))
    (source,) = sources(["-" if kind == "-" else path])
    assert len(source.head()) == HEAD
    seen: list[int] = []
    with pytest.raises(UnreadableError, match=r"unpacks to more than 200 times its size and is not read$"):
        seen.extend(len(block) for block in source.blocks())
    assert sum(seen) <= 3 * BLOCK


def test_all_entries_of_a_zip_file_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE", 2 * BLOCK)
    one = b"\0" * BLOCK
    few, many = _zip(tmp_path / "few.zip", a=one, b=one), _zip(tmp_path / "many.zip", a=one, b=one, c=one)
    assert [len(_content(source)) for source in sources([few])] == [BLOCK, BLOCK]
    (refused,) = sources([many])
    assert refused.name == "many.zip"
    with pytest.raises(UnreadableError, match=r"^many\.zip unpacks to more than 200 times its size and is not read$"):
        refused.head()


def test_entries_of_a_zip_file_that_share_their_bytes_are_damage(tmp_path: Path) -> None:
    """A bomb that grows with the square of its size: every entry of the directory points at the same bytes."""
    path = _zip(tmp_path / "a.zip", a=os.urandom(5000))
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02")
    entry, end = data[at : data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06") :]
    entries = b"".join(entry[:-1] + bytes([letter]) for letter in b"abcdefgh")
    size = len(entries).to_bytes(4, "little")
    path.write_bytes(data[:at] + entries + end[:8] + b"\x08\0\x08\0" + size + end[16:])
    assert len(zipfile.ZipFile(path).infolist()) == 8
    (refused,) = sources([path])
    with pytest.raises(UnreadableError, match=r"^a\.zip is a damaged zip file$"):
        refused.head()


@pytest.mark.parametrize("pack", ["gz", "zip"])
def test_what_is_packed_twice_is_unpacked_once(tmp_path: Path, pack: str) -> None:
    """However deep it is packed, a bomb inside stays packed."""
    inner = gzip.compress(b"\0" * BLOCK) if pack == "gz" else _zip(tmp_path / "in.zip", a=b"\0" * BLOCK).read_bytes()
    (tmp_path / "twice.gz").write_bytes(gzip.compress(inner))
    outer = _packed(tmp_path / "twice.zip", {f"in.{pack}": inner})
    for path in (tmp_path / "twice.gz", outer):
        (source,) = sources([path])
        assert _content(source) == inner


def test_a_zip_file_of_many_entries_is_read_in_one_go(tmp_path: Path) -> None:
    """Its directory is read twice: anew for each entry would take as long as the square of their number."""
    path = _packed(tmp_path / "a.zip", {str(number): b"x" for number in range(5000)})
    start = time.process_time()
    found = sources([path])
    assert [_content(source) for source in found] == [b"x"] * 5000
    assert time.process_time() - start < 20


def test_a_zip_file_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", one=b"1")
    assert _content(sources([path])[0]) == b"1"
    os.utime(_zip(path, two=b"22"), ns=(1, 1))
    assert [(source.name, _content(source)) for source in sources([path])] == [("a.zip!two", b"22")]


def test_what_is_not_packed_or_packed_well_is_never_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE", 100)
    text = b"".join(b"%d\n" % n for n in range(100_000))
    (tmp_path / "a").write_bytes(text)
    (tmp_path / "b").write_bytes(gzip.compress(text))
    assert [_content(source) for source in sources([tmp_path])] == [text, text]


def test_a_small_input_may_unpack_to_anything(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"\0" * BLOCK))
    assert len(_content(sources([tmp_path / "a"])[0])) == BLOCK


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_can_be_read_again(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text = os.urandom(3 * BLOCK + 5)
    monkeypatch.setattr(sys, "stdin", _Input(gzip.compress(text) if packed else text))
    (source,) = sources(["-"])
    assert source.name == "-"
    assert source.head() == text[:HEAD]
    assert _content(source) == text
    assert _content(source) == text
    first, second = source.open(), source.open()
    assert first.read(10) == second.read(10) == text[:10]
    assert first.read(5) == text[10:15]


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Input(b""))
    (source,) = sources(["-"])
    assert source.head() == b""


def test_a_pipe_is_read_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(TEXT))
    writer.start()
    (source,) = sources([path])
    writer.join()
    assert source.name == "pipe"
    assert source.head() == TEXT
    assert _content(source) == TEXT


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("secret")

    path = tmp_path / "a"
    path.write_bytes(TEXT)
    monkeypatch.setattr(Path, "open", refuse)
    (source,) = sources([path])
    with pytest.raises(UnreadableError, match=r"^a cannot be opened \(PermissionError\)$"):
        source.head()


def test_a_file_that_vanished(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(TEXT)
    (source,) = sources([path])
    path.unlink()
    with pytest.raises(UnreadableError, match=r"^a cannot be opened \(FileNotFoundError\)$"):
        source.head()


def test_a_stream_that_breaks() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("secret")

    source = Source("a", Broken)  # type: ignore[arg-type]
    with pytest.raises(UnreadableError, match=r"^a is damaged \(OSError\)$"):
        source.head()


def test_the_spool_is_private_and_goes_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[IO[bytes]] = []
    real = tempfile.TemporaryFile

    def spool() -> IO[bytes]:
        kept.append(real())
        return kept[0]

    monkeypatch.setattr(tempfile, "TemporaryFile", spool)
    monkeypatch.setattr(sys, "stdin", _Input(TEXT))
    found = sources(["-"])
    status = os.fstat(kept[0].fileno())
    assert stat.S_IMODE(status.st_mode) & 0o077 == 0
    assert status.st_nlink == 0
    found.clear()
    gc.collect()
    assert kept[0].closed
