"""bulk: ask an HIE for everything at once (``$export``), wait, fetch its files, and tidy up there.

Source: https://hl7.org/fhir/uv/bulkdata/export.html. What has come so far is in the store and in a
private folder: interrupted anywhere, the next call goes on with the same job and in the middle of a file.
"""

from __future__ import annotations

import gzip
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urljoin

import orjson
from msgspec import Struct, field

from fhir_equity.errors import RemoteContentError, UsageError
from fhir_equity.settings.hie import safe_url
from fhir_equity.store.endpoint import EndpointMemory
from fhir_equity.store.schema.endpoint import Export, ExportFile
from fhir_equity.sync.client import Client, Resource
from fhir_equity.sync.fetch import fetched
from fhir_equity.sync.replies import issue_code
from fhir_equity.sync.search import is_same_origin
from fhir_equity.sync.told import Told
from fhir_equity.sync.transport import retry_after

TYPES = ("Patient", "Observation", "Provenance")
NDJSON = "application/fhir+ndjson"
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between two questions where the server names none
GROUP = re.compile(r"group/([A-Za-z0-9\-.]{1,64})")
RUNNING, COMPLETE = "running", "complete"
_GZIP = b"\x1f\x8b"


class Exported(Struct):
    """An export that has arrived: its files, and what was counted about it.

    `moment` is the server's own instant of the export, `errors` the codes of what it could not
    export, `deleted` how many resources are gone there since.
    """

    memory: EndpointMemory
    folder: Path
    moment: str = ""
    errors: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    malformed: int = 0

    def __repr__(self) -> str:
        return f"Exported({self.moment})"

    def resources(self, kind: str) -> Iterator[Resource]:
        """The resources of a type, in the order of the files. What is no resource is counted."""
        for each in self.memory.export_files():
            if each.purpose == "output" and each.kind == kind:
                yield from self._read(each)

    def beside(self) -> None:
        """Count what the server could not export, and what is gone there."""
        for each in self.memory.export_files():
            if each.purpose == "error":
                for outcome in self._read(each):
                    issues = outcome.get("issue")
                    self.errors.update(map(issue_code, issues if isinstance(issues, list) else []))
            elif each.purpose == "deleted":
                for bundle in self._read(each):
                    entries = bundle.get("entry")
                    self.deleted += len(entries) if isinstance(entries, list) else 0

    def _read(self, file: ExportFile) -> Iterator[Resource]:
        for line in lines(path_of(self.folder, file)):
            try:
                resource = orjson.loads(line)
            except orjson.JSONDecodeError:
                resource = None
            if isinstance(resource, dict):
                yield resource
            else:
                self.malformed += 1


def export(client: Client, memory: EndpointMemory, level: str, since: str, folder: Path, told: Told) -> Exported:
    """Begin an export of a level (``system``, ``patient``, ``group/ID``) or go on with one; returns when all is here.

    `told` hears how often was asked and how many files have come. Raises UsageError for a level that is
    none, or where an export of another level goes on, RemoteError, RemoteContentError, StoreError.
    """
    path = _path(level)
    job = memory.export()
    if job is not None and job.level != level:
        raise UsageError(f"an export of {job.level} goes on at this HIE; pull it first")
    if job is None:
        job = _kicked_off(client, memory, level, path, since, folder)
    if job.status == RUNNING:
        _awaited(client, memory, job, told)
    where = Path(job.folder)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, each in enumerate(memory.export_files(), start=1):
        target = path_of(where, each)
        if not target.exists():
            fetched(client, each.url, target, with_token=is_same_origin(each.url, client.url))
        told("files", number)
    after = memory.export()
    exported = Exported(memory, where, after.moment if after is not None else "")
    exported.beside()
    return exported


def finish(client: Client, memory: EndpointMemory, folder: Path) -> None:
    """All was taken in: delete the job there, and the files and the memory of it here.

    A server that does not know the job any more, or does not delete any, is no reason to stop.
    """
    job = memory.export()
    if job is not None:
        client.asked("DELETE", job.poll, {})
    memory.export_ended()
    shutil.rmtree(folder, ignore_errors=True)


def path_of(folder: Path, file: ExportFile) -> Path:
    """Where a file of an export is kept."""
    return folder / f"{file.number:06}.ndjson"


def lines(path: Path) -> Iterator[bytes]:
    """The lines of an NDJSON file, which may be compressed; empty ones are passed over."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    with gzip.open(path, "rb") if packed else path.open("rb") as content:
        for line in content:
            if line.strip():
                yield line


def _path(level: str) -> str:
    if level == "system":
        return "$export"
    if level == "patient":
        return "Patient/$export"
    found = GROUP.fullmatch(level)
    if found is None:
        raise UsageError("--bulk takes system, patient or group/ID")
    return f"Group/{found[1]}/$export"


def _kicked_off(client: Client, memory: EndpointMemory, level: str, path: str, since: str, folder: Path) -> Export:
    words = {"_outputFormat": NDJSON, "_type": ",".join(TYPES)} | ({"_since": since} if since else {})
    reply = client.asked("GET", f"{client.url}/{path}?{urlencode(words)}", {"Prefer": "respond-async"})
    if reply.status != 202:
        raise client.refusal(reply)
    place = urljoin(client.url + "/", reply.headers.get("content-location", ""))
    if not reply.headers.get("content-location") or not is_same_origin(place, client.url):
        raise RemoteContentError("the server began an export and does not say where to ask for it")
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    shutil.rmtree(folder, ignore_errors=True)
    job = Export(hie="", level=level, poll=place, since=since, begun_at=begun, folder=str(folder))
    memory.export_began(job)
    return job


def _awaited(client: Client, memory: EndpointMemory, job: Export, told: Told) -> None:
    """Ask until the files are written; a job that failed or is unknown is forgotten: the next call begins anew."""
    wait, asked = FIRST_WAIT, 0
    while True:
        reply = client.asked("GET", job.poll, {"Accept": "application/json"})
        asked += 1
        told("waiting for the export", asked)
        if reply.status == 200:
            moment, files = _manifest(client.parsed(reply), client.url)
            memory.export_completed(moment, files)
            return
        if reply.status != 202:
            memory.export_ended()
            raise client.refusal(reply)
        named = retry_after(reply.headers)
        time.sleep(wait if named is None else max(named, FIRST_WAIT))
        wait = min(wait * 2, LONGEST_WAIT)


def _manifest(document: Resource, here: str) -> tuple[str, list[ExportFile]]:
    """The server's instant, and the files. Raises RemoteContentError for addresses that may not be asked."""
    files: list[ExportFile] = []
    for purpose in ("output", "error", "deleted"):
        found = document.get(purpose)
        for each in found if isinstance(found, list) else ():
            kind, url = (each.get("type"), each.get("url")) if isinstance(each, dict) else (None, None)
            try:
                place = safe_url(urljoin(here + "/", url if isinstance(url, str) and url else "ftp:"))
            except ValueError:
                raise RemoteContentError("a file of the export has an address that may not be asked") from None
            if purpose != "output" or kind in TYPES:
                files.append(
                    ExportFile(hie="", number=len(files) + 1, purpose=purpose, kind=str(kind or ""), url=place)
                )
    moment = document.get("transactionTime")
    return moment if isinstance(moment, str) else "", files
