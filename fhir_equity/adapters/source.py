"""Where bytes come from: files, folders, .gz, .zip and standard input, behind one Source."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any, cast

from fhir_equity.adapters.manifest import listed_in
from fhir_equity.errors import UnreadableError

HEAD = 64 * 1024
BLOCK = 1024 * 1024
# A packed input may unpack to so many times its own size; text of enrolments or FHIR reaches some dozens.
# Below FREE bytes nobody is hurt and nothing is refused.
RATIO, FREE = 200, 64 * 1024 * 1024
_TOO_MUCH = f"unpacks to more than {RATIO} times its size and is not read"

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # with entries, without

Opener = Callable[[], IO[bytes]]


class Source:
    """A named stream of bytes that can be opened more than once.

    `name` is the file name (for a zip ``archive.zip!inner``), never a whole path. Reading
    decompresses; `sha256` and `size` are of the decompressed bytes. `packed` is the size before, -1
    where nothing is packed. `path` is that of a plain file, of which any part can be read alone.
    `whole` is set by an adapter that has read all of it: whoever it leaves out is gone.
    """

    def __init__(self, name: str, opener: Opener, packed: int = -1, path: Path | None = None) -> None:
        self.name = name.encode("utf-8", "backslashreplace").decode()  # a name that is no UTF-8 stays readable
        self._open = opener
        self._packed = packed
        self.path = path
        self.whole = False
        self.sha256 = ""
        self.size = 0

    def open(self) -> IO[bytes]:
        """A fresh binary stream from the first byte. Raises UnreadableError."""
        try:
            return self._open()
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:
            raise UnreadableError(f"{self.name} cannot be opened ({type(error).__name__})") from error

    def head(self) -> bytes:
        """The first 64 KiB. Raises UnreadableError."""
        with self.open() as stream:
            return b"".join(self._blocks(stream, HEAD, HEAD))

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The whole content in blocks; `sha256` and `size` are set when the last has been read.

        Raises UnreadableError when it is damaged, or unpacks to more than RATIO times its size.
        """
        digest = hashlib.sha256()
        count = 0
        with self.open() as stream:
            for block in self._blocks(stream, None, size):
                digest.update(block)
                count += len(block)
                if self._packed >= 0 and count > _allowed(self._packed):
                    raise UnreadableError(f"{self.name} {_TOO_MUCH}")
                yield block
        self.sha256, self.size = digest.hexdigest(), count

    def part(self, start: int, stop: int, size: int = BLOCK) -> Iterator[bytes]:
        """The bytes from `start` to before `stop` (-1 = to the end) in blocks. Raises UnreadableError."""
        with self.open() as stream:
            stream.seek(start)
            yield from self._blocks(stream, None if stop < 0 else stop - start, size)

    def _blocks(self, stream: IO[bytes], most: int | None, size: int) -> Iterator[bytes]:
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


class Passing(Source):
    """A range of a source, or all of it, that comes by once; its `head` is known beside it."""

    def __init__(self, name: str, head: bytes, blocks: Iterable[bytes]) -> None:
        super().__init__(name, lambda: io.BytesIO(head))
        self._passing = iter(blocks)

    def part(self, start: int, stop: int, size: int = BLOCK) -> Iterator[bytes]:
        """The bytes of the range, whatever its edges; the second time there is nothing left."""
        for block in self._passing:
            yield from (block[at : at + size] for at in range(0, len(block), size))


def sources(paths: Iterable[str | Path | Source]) -> list[Source]:
    """Turn paths into sources: a file, every file below a folder, a .gz, each entry of a .zip, ``-``.

    A folder with the manifest of an export is one source for it and for the files that it lists.

    Names that start with a dot are passed over in folders and zip files; sources stay as they are.
    A path that does not exist is told when its source is read.
    """
    found: list[Source] = []
    for given in paths:
        if isinstance(given, Source):
            found.append(given)
            continue
        if str(given) == "-":
            found.append(_once("-", sys.stdin.buffer))
            continue
        path = Path(given)
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path).parts))
            listed = {place for file in files for place in listed_in(file)}  # read with their manifest
            for file in files:
                found.extend(_file(file) if file not in listed else [])
        elif path.is_file():
            found.extend(_file(path))
        elif path.exists():  # a pipe
            with path.open("rb") as stream:
                found.append(_once(path.name, stream))
        else:
            found.append(Source(path.name, partial(_absent, path)))
    return found


def _hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _absent(path: Path) -> IO[bytes]:
    raise UnreadableError(f"{path} does not exist")


def _file(path: Path) -> list[Source]:
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError:  # told when it is read, so that the others go on
        magic = b""
    if magic.startswith(_GZIP):
        return [Source(path.name, lambda: cast("IO[bytes]", gzip.open(path, "rb")), path.stat().st_size)]
    if path.suffix.lower() == ".zip" and magic in _ZIP:
        return _zip(path)
    return [Source(path.name, lambda: path.open("rb"), path=path)]


def _zip(path: Path) -> list[Source]:
    """Each file of a zip file as it is: what is packed once more inside stays packed, and is no format we know."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
        size = path.stat().st_size
    except (zipfile.BadZipFile, OSError, ValueError):
        return [Source(path.name, lambda: _refuse(f"{path.name} is a damaged zip file"))]
    found = [e for e in entries if not e.is_dir() and not _hidden(e.filename.split("/"))]
    if sum(entry.compress_size for entry in found) > size:
        return [Source(path.name, lambda: _refuse(f"{path.name} is a damaged zip file"))]  # entries that overlap
    # No entry yields more than its directory says, nor more than is allowed for it alone (see `Source.blocks`).
    if sum(min(entry.file_size, _allowed(entry.compress_size)) for entry in found) > _allowed(size):
        return [Source(path.name, lambda: _refuse(f"{path.name} {_TOO_MUCH}"))]
    packed = [_entry(path, entry) for entry in found]
    return packed or [Source(path.name, lambda: _refuse(f"{path.name} is a zip file without files"))]


def _allowed(packed: int) -> int:
    """How many bytes so many packed ones may become."""
    return max(FREE, packed * RATIO)


def _entry(path: Path, entry: zipfile.ZipInfo) -> Source:
    def opened() -> IO[bytes]:
        return _archive(path, path.stat().st_mtime_ns).open(entry)

    return Source(f"{path.name}!{entry.filename}", opened, entry.compress_size)


@lru_cache(maxsize=1)
def _archive(path: Path, _changed: int) -> zipfile.ZipFile:
    """The zip file that was opened last, so that its directory is not read anew for each of its entries."""
    return zipfile.ZipFile(path)


def _refuse(sentence: str) -> IO[bytes]:
    raise UnreadableError(sentence)


def _once(name: str, stream: IO[bytes]) -> Source:
    """A stream that can be read only once."""
    spool = _Spool(stream)
    if spool.file.read(2) == _GZIP:
        return Source(name, lambda: cast("IO[bytes]", gzip.GzipFile(fileobj=_Again(spool), mode="rb")), spool.size)
    return Source(name, lambda: io.BufferedReader(_Again(spool)))


class _Spool:
    """What a stream held, in a private temporary file without a name; gone with the last of its readers."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __del__
        shutil.copyfileobj(stream, self.file, BLOCK)
        self.size = self.file.tell()
        self.file.seek(0)

    def __del__(self) -> None:
        self.file.close()


class _Again(io.RawIOBase):
    """Another reader of a spool, with a position of its own."""

    def __init__(self, spool: _Spool) -> None:
        self._spool = spool
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from where this reader is."""
        self._spool.file.seek(self._at)
        view = memoryview(buffer)
        data = self._spool.file.read(len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
