"""Where bytes come from: files, folders, .gz, .zip and standard input, behind one Source."""

from __future__ import annotations

import gzip
import hashlib
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from fhir_equity.errors import UnreadableError, UsageError

HEAD = 64 * 1024
BLOCK = 1024 * 1024


class Source:
    """A named stream of bytes that can be opened more than once.

    `name` is the file name (for a zip ``archive.zip!inner``), never a whole path. Reading
    decompresses; `sha256` and `size` are of the decompressed bytes.
    """

    def __init__(self, name: str, opener: Callable[[], IO[bytes]]) -> None:
        self.name = name
        self._open = opener
        self.sha256 = ""
        self.size = 0

    def open(self) -> IO[bytes]:
        """A fresh binary stream from the first byte. Raises UnreadableError."""
        try:
            return self._open()
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:
            raise UnreadableError(f"{self.name} cannot be opened ({type(error).__name__})") from error

    def head(self) -> bytes:
        """The first 64 KiB."""
        with self.open() as stream:
            return b"".join(self._blocks(stream, HEAD))

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The whole content in blocks; `sha256` and `size` are set when the last has been read."""
        digest = hashlib.sha256()
        count = 0
        with self.open() as stream:
            for block in self._blocks(stream, None, size):
                digest.update(block)
                count += len(block)
                yield block
        self.sha256, self.size = digest.hexdigest(), count

    def _blocks(self, stream: IO[bytes], most: int | None, size: int = BLOCK) -> Iterator[bytes]:
        left = most
        while left is None or left > 0:
            try:
                block = stream.read(size if left is None else min(size, left))
            except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                raise UnreadableError(f"{self.name} is damaged ({type(error).__name__})") from error
            if not block:
                return
            if left is not None:
                left -= len(block)
            yield block


def sources(paths: Iterable[str | Path]) -> list[Source]:
    """Turn paths into sources: a file, every file below a folder, a .gz, each entry of a .zip, ``-``.

    Raises UsageError for a path that does not exist.
    """
    found: list[Source] = []
    for given in paths:
        if str(given) == "-":
            found.append(_standard_input())
            continue
        path = Path(given)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            for file in inside:
                found.extend(_file(file))
        elif path.exists():
            found.extend(_file(path))
        else:
            raise UsageError(f"{path} does not exist")
    return found


def _file(path: Path) -> list[Source]:
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic.startswith(b"\x1f\x8b"):
        return [Source(path.name, lambda: gzip.open(path, "rb"))]  # type: ignore[arg-type,return-value]
    if magic == b"PK\x03\x04" and path.suffix.lower() == ".zip":
        return _zip(path)
    return [Source(path.name, lambda: path.open("rb"))]


def _zip(path: Path) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(i.filename for i in archive.infolist() if not i.is_dir())
    except zipfile.BadZipFile:
        return [Source(path.name, lambda: _refuse(path.name))]
    return [_entry(path, name) for name in names]


def _entry(path: Path, name: str) -> Source:
    return Source(f"{path.name}!{name}", lambda: zipfile.ZipFile(path).open(name))


def _refuse(name: str) -> IO[bytes]:
    raise UnreadableError(f"{name} is a damaged zip file")


def _standard_input() -> Source:
    """Standard input can be read once only, so it is spooled (to a private temporary file)."""
    spool = tempfile.SpooledTemporaryFile(max_size=BLOCK)  # noqa: SIM115 - lives as long as the source
    while block := sys.stdin.buffer.read(BLOCK):
        spool.write(block)

    def reopen() -> IO[bytes]:
        spool.seek(0)
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        while block := spool.read(BLOCK):
            copy.write(block)
        copy.seek(0)
        return copy

    return Source("-", reopen)
