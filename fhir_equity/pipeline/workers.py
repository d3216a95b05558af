"""Let several processes count one input: each reads a range, and what they counted is put together in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from fhir_equity.adapters import Adapter, Source, adapter_named
from fhir_equity.adapters.protocol import Range, Seam, join
from fhir_equity.adapters.source import sources
from fhir_equity.engine.local import in_order, reached
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding
from fhir_equity.pipeline.reading import TOLD_EVERY, Failures, Input, Ranged, range_items
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.census import Census
from fhir_equity.quality.inspection import Inspection, Kept
from fhir_equity.quality.programs import Program
from fhir_equity.quality.strata import Strata
from fhir_equity.settings import Settings


class How(Struct, frozen=True):
    """How ranges are counted, wherever that is; `key` is that of the run's pseudonyms."""

    partner: str
    by: tuple[str, ...]
    besides: tuple[str, ...]
    key: bytes
    programs: tuple[Program, ...] = ()


class Job(Struct, frozen=True):
    """What a worker must know to count a range of a file as this process would."""

    settings: Settings
    as_of: str
    how: How
    path: Path
    number: int  # of the input, from 1
    format_: str


class Counted(Ranged, kw_only=True):
    """What one worker counted of its range."""

    census: Census
    seams: list[Seam] = field(default_factory=list)


def count(job: Job, part: Range) -> Counted:
    """Read and count one range, in a process of its own."""
    with Workspace(job.settings, job.as_of) as workspace:
        (source,) = sources([job.path])
        return count_range(workspace, job.how, job.number, source, adapter_named(job.format_), part, reached)


def count_range(
    workspace: Workspace,
    how: How,
    number: int,
    source: Source,
    adapter: Adapter,
    part: Range,
    told: Callable[[int], None] | None = None,
) -> Counted:
    """Read and count one range of the input of this number; `told` hears meanwhile of so many more members."""
    vocabulary = workspace.vocabulary()
    strata = Strata(how.by, vocabulary.tables, workspace.as_of, how.besides)
    words = Kept(strata, Inspection(how.programs, vocabulary, workspace.as_of))
    counted = Counted(census=Census(Pseudonyms(how.key), workspace.matter_of, workspace.as_of, words))
    counted.census.begin(number, adapter.name, families=adapter.families)
    before = 0
    for item in range_items(source, adapter, part, workspace.context(how.partner, adapter.name), counted):
        if isinstance(item, Seam):
            counted.seams.append(item)
        else:
            counted.census.add(item)
            if told is not None and counted.members - before >= TOLD_EVERY:
                told(counted.members - before)
                before = counted.members
    if told is not None:
        told(counted.members - before)
    return counted


def count_together(
    job: Job, parts: Sequence[Range], read: Input, census: Census, failures: Failures, shown: Callable[[int], None]
) -> bool:
    """Count the ranges of an input in as many processes; False, and nothing counted, where they do not fit together.

    `shown` hears meanwhile how many members all of them have counted.
    """
    return put_together([*in_order(partial(count, job), parts, len(parts), shown)], read, census, failures)


def put_together(counted: list[Counted], read: Input, census: Census, failures: Failures) -> bool:
    """What the ranges of an input hold together; False, and nothing counted, where they do not fit.

    What follows a range that broke off is left out, as it is where one process reads it all.
    """
    broken = next((number for number, each in enumerate(counted, start=1) if each.failure), len(counted))
    counted = counted[:broken]
    try:
        joined = join(read.adapter, (seam for each in counted for seam in each.seams))
    except UnreadableError as error:
        joined, counted[-1].failure = [], str(error)
    if joined is None:
        return False
    for each in counted:
        census.take(each.census)
        read.members, read.rejected = read.members + each.members, read.rejected + each.rejected
        read.found += each.found
    for item in joined:
        if isinstance(item, Finding):
            read.found += 1
            census.add(item)
    if counted and counted[-1].failure:
        read.broke_off = True
        failures.messages.append(counted[-1].failure)
    return True
