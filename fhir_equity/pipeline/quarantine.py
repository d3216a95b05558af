"""quarantine list, show and retry: the records that could not be read, and another try with the tables of today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby, islice

from msgspec import Struct, field

from fhir_equity.adapters import adapter_named
from fhir_equity.adapters.protocol import Context, Read
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Finding, Locator, Loss, Member, Rejected, Severity
from fhir_equity.pipeline.ingest import CHUNK
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Held, RunWriter, Selection


class Retried(Struct):
    """What came of another try: how many records are settled, what that added, and what is kept, by code.

    `failures` are sentences about records that cannot be tried at all.
    """

    settled: int = 0
    new_members: int = 0
    new_answers: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def quarantine_list(workspace: Workspace, *, partner: str = "", code: str = "") -> Iterator[Held]:
    """The quarantined records of a partner, with a code, or all, in constant memory and without their bytes.

    Raises UsageError where there is no store.
    """
    workspace.require_store()
    return workspace.store.quarantine.held(Selection(partner, code))


def quarantine_show(workspace: Workspace, number: int) -> tuple[Held, bytes]:
    """One quarantined record and its verbatim bytes, which are values of a person. Raises UsageError."""
    workspace.require_store()
    (record,) = _named(workspace, (number,))
    content = workspace.store.quarantine.content(record)
    if content is None:
        raise _missing((number,))
    return record, content[0]


def quarantine_retry(workspace: Workspace, *, partner: str = "", code: str = "", ids: Sequence[int] = ()) -> Retried:
    """Read quarantined records again with the tables and guides of today.

    What is a member now enters the store as if it had been read with its file: from that artefact
    and position, first seen on the date of that run. What still is none stays as it is. Run twice,
    or run again after it was killed, it ends alike. Raises UsageError, StoreError, StoreLockedError.
    """
    workspace.require_store()
    _named(workspace, ids)
    waiting = workspace.store.quarantine.held(Selection(partner, code, tuple(ids)), waiting=True)
    attempt = _Attempt(workspace)
    for _, records in groupby(waiting, key=_artefact):
        while some := list(islice(records, CHUNK)):
            attempt.chunk(some)
    return attempt.end()


def _artefact(record: Held) -> int:
    return record.artefact_id


def _named(workspace: Workspace, ids: Sequence[int]) -> list[Held]:
    found = list(workspace.store.quarantine.held(Selection(ids=tuple(ids)))) if ids else []
    if missing := set(ids) - {record.id for record in found}:
        raise _missing(missing)
    return found


def _missing(ids: Iterable[int]) -> UsageError:
    return UsageError(f"there is no quarantined record {', '.join(map(str, sorted(ids)))}")


class _Attempt:
    """One retry under way, with a run for each partner and date that records were first read on."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._context = cache(workspace.context)
        self._runs: dict[tuple[str, str], RunWriter] = {}
        self._kept: Counter[str] = Counter()
        self._failures: dict[str, None] = {}
        self._settled = 0
        self._tried = 0

    def chunk(self, records: Sequence[Held]) -> None:
        """Records of one artefact; those that can be read now are written and settled in one transaction."""
        settled: list[int] = []
        items: list[Read] = []
        for record in records:
            read = self._again(record)
            if read is not None:
                settled.append(record.id)
                items += read
        self._tried += len(records)
        self._workspace.progress("quarantine", self._tried)
        if settled:
            self._run(records[0]).add(
                records[0].artefact_id,
                [record_of(self._workspace, item) for item in items if isinstance(item, Member)],
                findings=[item for item in items if isinstance(item, Finding)],
                losses=[item for item in items if isinstance(item, Loss)],
                settled=settled,
            )
            self._settled += len(settled)

    def _again(self, record: Held) -> list[Read] | None:
        """What a record is now; None where it is kept, or was purged meanwhile."""
        place = Locator(record.artefact, record.unit, record.number, record.offset, record.path)
        content = self._workspace.store.quarantine.content(record)
        if content is None:
            return None
        raw, frame = content
        rejected = Rejected(raw, Finding(record.code, Severity.ERROR, place))
        context: Context = self._context(record.partner, record.format)
        try:
            items = list(adapter_named(record.format).again(rejected, frame, context))
        except UnreadableError as error:
            self._failures[str(error)] = None
            self._kept[record.code] += 1
            return None
        codes = [item.finding.code for item in items if isinstance(item, Rejected)]
        self._kept.update(codes)
        return None if codes else items

    def _run(self, record: Held) -> RunWriter:
        whose = (record.partner, record.as_of)
        if whose not in self._runs:
            self._runs[whose] = self._workspace.run(*whose, action="quarantine retry")
        return self._runs[whose]

    def end(self) -> Retried:
        """End the runs and count."""
        written = [run.finish() for run in self._runs.values()]
        members, answers = sum(w.members for w in written), sum(w.answers for w in written)
        return Retried(self._settled, members, answers, dict(self._kept.most_common()), list(self._failures))
