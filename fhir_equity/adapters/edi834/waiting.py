"""Dependents whose subscriber has not come yet wait in a temporary file, so that memory stays constant."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from types import TracebackType

_IN_MEMORY = 1024 * 1024  # bytes; only what is more goes to the disk
_FRAME = struct.Struct(">II")  # length in bytes, number of segments


class Waiting:
    """What was written of members, kept in the order it came; the file is private and gone at the end."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the whole

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, text: bytes, segments: int) -> None:
        """Keep one member."""
        self._file.write(_FRAME.pack(len(text), segments))
        self._file.write(text)

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """Everybody who waits: their bytes and the number of their segments."""
        self._file.seek(0)
        while frame := self._file.read(_FRAME.size):
            length, segments = _FRAME.unpack(frame)
            yield self._file.read(length), segments
