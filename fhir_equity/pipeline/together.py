"""Read one input with several processes, item by item in its order: nothing depends on how many they are."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec import field

from fhir_equity.adapters import adapter_named
from fhir_equity.adapters.protocol import Range, Read, Seam
from fhir_equity.adapters.source import sources
from fhir_equity.engine.local import in_order
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Frame
from fhir_equity.pipeline.reading import Failures, Input, Ranged, items, range_items
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings

log = logging.getLogger(__name__)

LEAST = 8 * 1024 * 1024  # bytes of a file that is shared: less is read sooner than a process is started
RANGE = 1024 * 1024  # bytes of a range, about

Made = TypeVar("Made")
Make = Callable[[Read], Made]  # what is made of an item
Making = Callable[[Workspace], Make[Made]]  # how to begin to make it in another process; can be pickled


class Task(Generic[Made]):
    """What a worker must know to read a range of a file as this process would; every copy is equal to it."""

    def __init__(self, workspace: Workspace, read: Input, path: Path, making: Making[Made]) -> None:
        self.settings: Settings = workspace.settings
        self.as_of = workspace.as_of
        self.partner, self.format_, self.path = read.context.partner, read.adapter.name, path
        self.making = making
        self._name = secrets.token_hex(8)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)


class Portion(Ranged, kw_only=True):
    """What came of one range, in order: what was made, and seams."""

    items: list[Any] = field(default_factory=list)


def share(read: Input, workers: int, pieces: int = 0) -> list[Range]:
    """The ranges that workers read an input in, at most `pieces`; one where it is read here."""
    path = read.source.path
    if workers < 2 or path is None or path.stat().st_size < LEAST:
        return [Range()]
    return read.adapter.split(read.source, pieces or max(workers, path.stat().st_size // RANGE))


def made(
    workspace: Workspace, read: Input, failures: Failures, make: Make[Made], making: Making[Made], workers: int
) -> Generator[Made, None, None]:
    """What is made of each item of an input, in its order: here by `make`, in other processes by what `making` begins.

    An input that breaks off is told, the others go on. Raises EngineError where a process was killed.
    """
    parts, path = share(read, workers), read.source.path
    if len(parts) < 2 or path is None:
        yield from map(make, items(workspace, read, failures))
        return
    given = 0
    together = _Together(workspace, read, make)
    try:
        with closing(together.items(Task(workspace, read, path, making), parts, workers)) as found:
            for each in found:
                given += 1
                yield each
    except UnreadableError as error:
        read.broke_off = True
        failures.messages.append(str(error))
    if together.fits:
        log.info("input.read", extra={"format": read.adapter.name, "members": read.members, "rejected": read.rejected})
        return
    read.members = read.rejected = read.found = 0  # what came before is right, and comes again
    yield from islice(map(make, items(workspace, read, failures)), given, None)


class _Together(Generic[Made]):
    """One input being read by several; `fits` is whether its ranges do."""

    def __init__(self, workspace: Workspace, read: Input, make: Make[Made]) -> None:
        self._workspace, self._read, self._make = workspace, read, make
        self._joint = read.adapter.joint()
        self.fits = True

    def items(self, task: Task[Made], parts: list[Range], workers: int) -> Generator[Made, None, None]:
        """What was made, in order, up to where the ranges do not fit. Raises UnreadableError, EngineError."""
        read = self._read
        with closing(in_order(partial(portion, task), parts, min(workers, len(parts)))) as portions:
            for each in portions:
                read.members, read.rejected = read.members + each.members, read.rejected + each.rejected
                read.found += each.found
                for item in each.items:
                    if not isinstance(item, Seam):
                        yield item
                        continue
                    shown = self._joint.take(item)
                    if shown is None:
                        self.fits = False
                        return
                    yield from self._shown(shown)
                self._workspace.progress(read.source.name, read.members)
                if each.failure:
                    raise UnreadableError(each.failure)
        yield from self._shown(self._joint.end())
        read.source.whole = self._joint.whole

    def _shown(self, shown: list[Read]) -> Iterator[Made]:
        for item in shown:
            self._read.found += not isinstance(item, Frame)
            yield self._make(item)


def portion(task: Task[Made], part: Range) -> Portion:
    """Read one range, in a process of its own."""
    workspace, make = _begun(task)
    (source,) = sources([task.path])
    done, context = Portion(), workspace.context(task.partner, task.format_)
    for item in range_items(source, adapter_named(task.format_), part, context, done):
        done.items.append(item if isinstance(item, Seam) else make(item))
    return done


@lru_cache(maxsize=1)
def _begun(task: Task[Made]) -> tuple[Workspace, Make[Made]]:
    """A workspace and what makes, once for all ranges that a process is given."""
    workspace = Workspace(task.settings, task.as_of)
    return workspace, task.making(workspace)
