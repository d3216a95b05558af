"""ingest: read files into the store, answers with their origin, bad records into quarantine."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from fhir_equity.adapters import Source, adapters
from fhir_equity.adapters.protocol import Read
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Frame, Loss, Rejected
from fhir_equity.pipeline.judging import judge, too_much
from fhir_equity.pipeline.lake_load import cover_of, is_lake, load
from fhir_equity.pipeline.reading import Failures, Input, inputs, sources_in
from fhir_equity.pipeline.record import recorded
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Record, RunWriter

CHUNK = 2000  # members in one transaction


class Ingested(Struct):
    """What an ingest read and what it changed in the store."""

    inputs: list[dict[str, str | int]] = field(default_factory=list)
    members: int = 0
    new_members: int = 0
    new_answers: int = 0
    rejected: int = 0
    newly_quarantined: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    too_much: list[str] = field(default_factory=list)
    stopped: bool = False


def ingest(
    workspace: Workspace,
    paths: Sequence[str | Path],
    *,
    partner: str = "",
    format_: str = "",
    accept_drop: bool = False,
    workers: int = 1,
) -> Ingested:
    """Read files into the store. The same file twice changes nothing but the sightings.

    Files that drop, flip or erase more of what is known than the settings allow (``[breaker]``) are `stopped`:
    nothing of them is written, `too_much` says why. `accept_drop` lets them in, on record. Large plain files are read
    by `workers` processes while this one writes; the store is the same, row by row, for any number of them.

    Interrupted at any moment and run again with the same files on the same `as_of`, it ends as if
    nothing had happened. Raises UsageError, StoreError, StoreLockedError, StoreUnavailableError,
    StoreVersionError; inputs that cannot be read are listed in `failures`, the others are done.
    """
    done, failures = Ingested(), Failures()
    lakes = [Path(path) for path in paths if is_lake(path)]
    for folder in lakes:
        _lake(workspace, folder, done)
    paths = [path for path in paths if not is_lake(path)]
    if lakes and not paths:
        return done
    named = workspace.partner(partner)
    found = sources_in(paths)
    run: RunWriter | None = None
    counted: Counter[str] = Counter()
    digest = _digest(workspace, found, named, format_)
    judgement = judge(workspace, found, named, format_, digest, workers)
    done.too_much = too_much(judgement, workspace.settings.breaker.of(named))
    judgement.accepted = accept_drop and bool(done.too_much)
    if done.too_much and not accept_drop:
        done.stopped = True
        workspace.store.stopped(judgement)
        return done
    for read in inputs(workspace, found, named, format_, failures):
        run = run or workspace.run(named, inputs=digest, judgement=judgement)
        _one(run, read, _chunks(recorded(workspace, read, failures, workers), counted))
        if read.listed:
            done.inputs.append(read.entry())
        done.members += read.members
        done.rejected += read.rejected
    if run is not None:
        written = run.finish()
        done.new_members, done.new_answers = done.new_members + written.members, done.new_answers + written.answers
        done.newly_quarantined = written.quarantined
        counted.update(written.findings)
    done.findings, done.failures = dict(counted.most_common()), failures.messages
    return done


def _lake(workspace: Workspace, folder: Path, done: Ingested) -> None:
    """A folder that `export` wrote."""
    for run in load(workspace, folder):
        done.new_members += run.written.members
        done.new_answers += run.written.answers
    members = cover_of(folder)["rows"]["members"]
    done.inputs.append({"name": folder.name, "format": "lake", "members": members, "rejected": 0})
    done.members += members


def _digest(workspace: Workspace, found: Sequence[Source], partner: str, format_: str) -> str:
    """The digest of what will be read, and of all that decides into which items and chunks it is cut."""
    contexts = [workspace.context(partner, adapter.name) for adapter in adapters().values()]
    how = [[context.guide, context.attestation] for context in contexts]
    what = [[source.name, _content(source)] for source in found]
    return hashlib.sha256(msgspec.json.encode([format_, CHUNK, how, what], order="sorted")).hexdigest()


def _content(source: Source) -> str:
    """The digest of a source as far as it can be read; that it cannot is told when its turn comes."""
    digest = hashlib.sha256()
    with contextlib.suppress(UnreadableError):
        for block in source.blocks():
            digest.update(block)
    source.sha256, source.size = "", 0  # which say that an adapter has read it to its end
    return digest.hexdigest()


def _one(run: RunWriter, read: Input, chunks: Iterator[_Chunk]) -> None:
    """One input in chunks, each one transaction; of an input that cannot be read at all nothing is kept."""
    artefact = 0
    for chunk in chunks:
        if read.listed:
            artefact = artefact or run.artefact(read.source.name, read.adapter.name, families=read.adapter.families)
            run.add(artefact, chunk.records, chunk.rejected, chunk.findings, chunk.losses, frames=chunk.frames)
    if artefact:
        source = read.source
        run.close(artefact, sha256=source.sha256, size=source.size, members=read.members, rejected=read.rejected)


def _chunks(found: Iterable[Record | Read], counted: Counter[str]) -> Iterator[_Chunk]:
    """What the input yields, in portions; the last may be empty."""
    chunk = _Chunk()
    for item in found:
        if isinstance(item, Record):
            chunk.records.append(item)
            counted.update(finding.code for finding in item.findings)
        elif isinstance(item, Rejected):
            counted[item.finding.code] += 1
            chunk.rejected.append(item)
        elif isinstance(item, Finding):
            counted[item.code] += 1
            chunk.findings.append(item)
        elif isinstance(item, Frame):
            chunk.frames.append(item)
        elif isinstance(item, Loss):
            chunk.losses.append(item)
        if chunk.full():
            yield chunk
            chunk = _Chunk()
    yield chunk


class _Chunk(Struct):
    """What goes into one transaction."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def full(self) -> bool:
        parts = (self.records, self.rejected, self.findings, self.losses, self.frames)
        return any(len(each) >= CHUNK for each in parts)
