"""What a range of a file is, where files may be cut, and the function that ranges are given to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from fhir_equity.engine.spark.files import File


class Slice(Struct, frozen=True):
    """Bytes `start` to `stop` (-1 = to the end) of a file, with how many units come before."""

    start: int = 0
    stop: int = -1
    before: int = 0


class Marks(Struct, frozen=True):
    """Where a file may be cut: before the last `keep` bytes of `mark`; `unit` is counted, `every` must match."""

    mark: bytes
    keep: int
    unit: bytes
    every: str = ""

    def text(self) -> str:
        """The mark as Spark is told it."""
        return self.mark.decode("latin-1")


class Layout(Struct, frozen=True):
    """How Spark cuts a file: slices by where its splits begin; `ends` is whether the last bytes are a mark."""

    file: File
    marks: Marks
    slices: dict[int, Slice]
    ends: bool = False


# What the pipeline hands over: the file's number, the slice and its bytes in blocks; yields (kind, bytes).
Work = Callable[[int, Slice, Iterator[bytes]], Iterable[tuple[str, bytes]]]
