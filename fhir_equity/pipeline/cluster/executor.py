"""What executors are given: a job, and how to read the range, the file or the rows that it is to be done with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from fhir_equity.adapters import Adapter, Source, adapter_named, recognise
from fhir_equity.adapters.protocol import Range
from fhir_equity.adapters.source import Passing
from fhir_equity.engine import spark
from fhir_equity.errors import UnreadableError
from fhir_equity.pipeline.cluster.held import held
from fhir_equity.pipeline.cluster.tables import adapter_of_rows
from fhir_equity.pipeline.luggage import Luggage
from fhir_equity.pipeline.workspace import Workspace

FAILURE = "failure"  # the kind of result that is a sentence: why something cannot be read


class Known(Struct, frozen=True):
    """What executors must know of a file that was cut: its format, and its first bytes; of a table there are none."""

    name: str
    format_: str
    head: bytes = b""


class Job(Protocol):
    """What is done with one range; it can be pickled and carries its own secrets."""

    def __call__(
        self, workspace: Workspace, number: int, source: Source, adapter: Adapter, part: Range
    ) -> Iterator[tuple[str, bytes]]:
        """Results by kind, bytes each."""


class OnExecutor:
    """The function that executors are given: one range, or one whole file, read as it would be here."""

    def __init__(
        self, luggage: Luggage, job: Job, format_: str, names: dict[int, str], known: dict[int, Known]
    ) -> None:
        self._luggage = luggage
        self._job = job
        self._format = format_
        self._names = names
        self._known = known

    def __call__(self, number: int, part: spark.Slice, blocks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
        """What the job makes of it, or the sentence of what cannot be read."""
        workspace, known = self._luggage.open(), self._known.get(number)
        if known is not None and known.head:
            source: Source = Passing(known.name, known.head, blocks)
            adapter, range_ = adapter_named(known.format_), Range(part.start, part.stop, part.before)
        elif known is not None:
            source, adapter, range_ = held(known.name, b"".join(blocks)), adapter_of_rows(known.format_), Range()
        else:
            source, range_ = held(self._names[number], b"".join(blocks)), Range()
            try:
                adapter = adapter_named(self._format) if self._format else recognise(source)
            except UnreadableError as error:
                yield FAILURE, str(error).encode()
                return
        yield from self._job(workspace, number, source, adapter, range_)
