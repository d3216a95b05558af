"""Open inputs one after the other: what can be read is read, what cannot is told and passed over."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fhir_equity.adapters import Adapter, Source, adapter_named, recognise
from fhir_equity.adapters.protocol import Context, Range, Read, Seam
from fhir_equity.adapters.source import sources
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Frame, Member, Rejected
from fhir_equity.pipeline.workspace import Workspace

log = logging.getLogger(__name__)
TOLD_EVERY = 1000


class Input(Struct):
    """One input and what came of it; the counts are complete when its items have been consumed."""

    source: Source
    adapter: Adapter
    context: Context
    members: int = 0
    rejected: int = 0
    found: int = 0  # items of any kind but frames, which hold nothing themselves
    broke_off: bool = False

    @property
    def listed(self) -> bool:
        """Whether it counts as an input: it was read to its end, or something came of it."""
        return self.found > 0 or not self.broke_off

    def entry(self) -> dict[str, str | int]:
        """The input as an audit lists it."""
        return {
            "name": self.source.name,
            "sha256": self.source.sha256,
            "bytes": self.source.size,
            "format": self.adapter.name,
            "members": self.members,
            "rejected": self.rejected,
        }


class Ranged(Struct, kw_only=True):
    """What was seen of one range of an input, as `Input` counts it; `failure` is the sentence of what broke it off."""

    members: int = 0
    rejected: int = 0
    found: int = 0
    failure: str = ""


class Failures(Struct):
    """The inputs that could not be read at all, in one clear sentence each."""

    messages: list[str] = []


def sources_in(paths: Iterable[str | Path | Source]) -> list[Source]:
    """The sources below `paths`. Raises UsageError when there are none, as in a folder that is empty."""
    given = list(paths)
    found = sources(given)
    if not found:
        where = ", ".join(str(path) for path in given)
        raise UsageError(f"there is nothing to read in {where}" if where else "there is nothing to read")
    return found


def inputs(
    workspace: Workspace, paths: Iterable[str | Path | Source], partner: str, format_: str, failures: Failures
) -> Iterator[Input]:
    """Every input below `paths` whose format is known or given; what cannot be read goes to `failures`.

    Raises UsageError when there is nothing to read.
    """
    given = adapter_named(format_) if format_ else None
    for source in sources_in(paths):
        try:
            adapter = given or recognise(source)
        except UnreadableError as error:
            failures.messages.append(str(error))
            continue
        yield Input(source, adapter, workspace.context(partner, adapter.name))


def items(workspace: Workspace, read: Input, failures: Failures) -> Iterator[Read]:
    """What the adapter yields, counted; an input that breaks off is told, the others go on."""
    members = rejected = others = 0
    try:
        for item in read.adapter.read(read.source, Range(), read.context):
            if isinstance(item, Member):
                members += 1
                if members % TOLD_EVERY == 0:
                    workspace.progress(read.source.name, members)
            elif isinstance(item, Rejected):
                rejected += 1
            elif not isinstance(item, Frame):
                others += 1
            yield item
    except UnreadableError as error:
        read.broke_off = True
        failures.messages.append(str(error))
    finally:
        read.members, read.rejected, read.found = members, rejected, members + rejected + others
    log.info("input.read", extra={"format": read.adapter.name, "members": members, "rejected": rejected})


def range_items(source: Source, adapter: Adapter, part: Range, context: Context, seen: Ranged) -> Iterator[Read]:
    """What the adapter yields of one range, seams too, which are not counted; a range that breaks off is told."""
    try:
        for item in adapter.read(source, part, context):
            if not isinstance(item, Seam):
                seen.found += not isinstance(item, Frame)
                seen.members += isinstance(item, Member)
                seen.rejected += isinstance(item, Rejected)
            yield item
    except UnreadableError as error:
        seen.failure = str(error)
