"""A Bulk Data export: its manifest and the files beside it are read as one source, Observations to their Patients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from fhir_equity.adapters.fhir.read import TYPES, Run, waiting_in
from fhir_equity.adapters.manifest import Manifest, place_of
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source, sources
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Severity


def read_export(source: Source, manifest: Manifest, context: Context) -> Iterator[Read]:
    """Read what a manifest lists; positions are those in each file.

    A file that is listed and is not there is a finding, as are files of errors and of deletions, which are not
    applied. Afterwards the digest and size of `source` are those of everything that was read.
    Raises UnreadableError where the manifest is no file of a folder.
    """
    if source.path is None:
        raise UnreadableError(f"{source.name} is the manifest of an export, which is read from its folder only")
    yield from _told(source, manifest)
    files = [
        (each.type, file)
        for each in manifest.output
        if (place := place_of(each, source.path)) is not None
        for file in sources([place])
    ]
    waiting = waiting_in(source.name, context)
    read = [file for kind, file in files if kind in TYPES]
    for file in read:
        waiting.look(Run(file.name, context, waiting).beside(file))
    patients = 0
    for file in read:
        run = Run(file.name, context, waiting)
        yield from run.whole(file, Range())
        yield from run.unused()
        patients += run.patients
    run = Run(source.name, context, waiting)
    yield from run.alone()
    patients += run.patients
    yield from waiting.findings()
    if not patients:
        yield Finding("fhir.patient.none", Severity.WARNING, Locator(source.name), "there is no Patient in this export")
    _sum(source, source.path, read)


def _told(source: Source, manifest: Manifest) -> Iterator[Finding]:
    place = Locator(source.name)
    path = source.path or Path()
    for name, listed in (("output", manifest.output), ("deleted", manifest.deleted), ("error", manifest.error)):
        for number, each in enumerate(listed):
            if place_of(each, path) is None:
                at = Locator(source.name, path=f"{name}[{number}]")
                yield Finding("fhir.manifest.missing", Severity.ERROR, at, "a file that is listed is not there")
    unread = {each.type for each in manifest.output if each.type not in TYPES and each.type.isalpha()}
    for kind in sorted(unread):
        yield Finding("fhir.resource.not_used", Severity.INFO, place, f"{kind} is not read: its files")
    for name, listed in (("deleted", manifest.deleted), ("error", manifest.error)):
        if listed:
            message = f"files of the kind {name} are not read: {len(listed)}"
            yield Finding(f"fhir.manifest.{name}", Severity.WARNING, place, message)


def _sum(source: Source, path: Path, read: list[Source]) -> None:
    digest = hashlib.sha256(path.read_bytes())
    for file in read:
        digest.update(bytes.fromhex(file.sha256))
    source.sha256, source.size = digest.hexdigest(), path.stat().st_size + sum(file.size for file in read)
