"""convert on Spark: pieces are written by executors, and what is lost is told once, on the driver."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from fhir_equity.adapters import Adapter, Source, adapter_named
from fhir_equity.adapters.protocol import Range, Read, Seam, join
from fhir_equity.engine import spark
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Finding, Member, Rejected
from fhir_equity.pipeline.cluster import scatter
from fhir_equity.pipeline.cluster.executor import FAILURE
from fhir_equity.pipeline.cluster.scatter import Plan, Scatter
from fhir_equity.pipeline.convert import context_of
from fhir_equity.pipeline.converting import Elsewhere
from fhir_equity.pipeline.leaving import Converted, Made, Told, Wish
from fhir_equity.pipeline.normal import GUIDE, Rows
from fhir_equity.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from fhir_equity.engine.spark import DataFrame

TABLES = ("parquet", "delta")  # what is written besides FHIR, by Spark's own writers
PIECE, LOSS, TOLD = "piece", "loss", "told"


class Far(Struct):
    """What one range tells of itself."""

    format_: str
    told: Told
    seams: list[Seam] = field(default_factory=list)
    failure: str = ""


class Converting(Struct, frozen=True):
    """The job of executors: write what stands in a range; `making` is how they begin to make pieces of items."""

    making: Callable[[Workspace], Callable[[Read], Made]]
    partner: str

    def __call__(
        self, workspace: Workspace, number: int, source: Source, adapter: Adapter, part: Range
    ) -> Iterator[tuple[str, bytes]]:
        """See `Job`: pieces, lines of the ledger, and at the end one pickle of `Far`."""
        make, far = self.making(workspace), Far(adapter.name, Told())
        try:
            for item in adapter.read(source, part, workspace.context(self.partner, adapter.name)):
                if isinstance(item, Seam):
                    far.seams.append(item)
                    continue
                far.told.members += isinstance(item, Member)
                far.told.rejected += isinstance(item, Rejected)
                made = make(item)
                far.told.add(made)
                yield from ((PIECE, line.rstrip(b"\n")) for _, line in (made.piece.parts if made.piece else ()))
                yield from ((LOSS, line.rstrip(b"\n")) for _, line in made.losses if line)
        except UnreadableError as error:
            far.failure = str(error)
        yield TOLD, pickle.dumps(far)


def convert_on_cluster(workspace: Workspace, src: str, dst: str, wish: Wish, losses: str = "") -> Converted:
    """Convert what Spark can reach into a new folder of text files, or of Parquet or Delta.

    The folder gets its name when all of it is there. Raises UsageError, UnreadableError, EngineError.
    """
    if wish.to not in (*TABLES, "fhir") or wish.form == "bulk":
        raise UsageError(f"--engine spark writes fhir (as ndjson or bundle), {' and '.join(TABLES)}")
    found = Scatter(workspace, workspace.partner(wish.partner), wish.from_, [src])
    for url in filter(None, (dst, losses)):
        found.files.require_free(url)
    making: Callable[[Workspace], Callable[[Read], Made]] = Rows(wish, bool(losses))
    if wish.to not in TABLES:  # the ids of Patients are made with the key, which goes along
        context = context_of(workspace, wish, datetime.now(UTC).isoformat(timespec="seconds"))
        making = Elsewhere(wish, context.guide, context.created, workspace.pseudonyms.secret, bool(losses))
    job = Converting(making, workspace.partner(wish.partner))
    with spark.Staging(found.session, found.files, f"{dst.rstrip('/')}.part") as staging:
        if wish.to in TABLES:
            staging.require(wish.to)
        done, made = _Gathering(found, job, staging).run()
        if done.failures and not done.members and not done.rejected:
            raise UnreadableError(done.failures[0])  # nothing is written
        if made is not None:
            if losses:
                staging.text(made, LOSS, losses)
            if wish.to in TABLES:
                staging.table(rows_of(workspace, made), wish.to, dst)
            else:
                staging.text(made, PIECE, dst)
    return done


def rows_of(workspace: Workspace, made: DataFrame) -> DataFrame:
    """Pieces of `Normalizing` as the columns of guides/frame.toml."""
    guide: Mapping[str, Any] = workspace.vocabulary().tables.document(GUIDE)
    return spark.typed(made.where(f"kind = '{PIECE}'"), spark.ddl(guide["normalized"], guide["types"]))


class _Gathering:
    """One conversion under way: what of it counts, and what is told of it."""

    def __init__(self, found: Scatter, job: Converting, staging: spark.Staging) -> None:
        self._scatter, self._job, self._staging = found, job, staging
        self._told, self._failures = Told(), dict[int, str]()
        self._left: list[str] = []  # conditions on rows that are not to be written

    def run(self) -> tuple[Converted, DataFrame | None]:
        """Everything that was made and counts, with what is told."""
        plan = self._scatter.plan()
        if plan.large:
            raise UsageError(f"{plan.large[0].name} is too large to travel whole; the local engine converts it")
        self._failures.update(plan.failures)
        made = self._staging.keep(self._scatter.frames(plan, self._job))
        for found in self._scatter.headings.values():
            self._told.findings.update(finding.code for finding in found)
        if again := self._taken(made):
            whole = [file for file in self._scatter.found if file.number in again]
            if any(file.size > scatter.MOST for file in whole):
                raise UsageError("a file whose ranges do not fit together is too large; the local engine converts it")
            others = self._counting(made)
            more = self._staging.keep(self._scatter.frames(Plan(whole=whole), self._job))
            self._taken(more)
            made = more if others is None else others.unionAll(more) if more is not None else others
        else:
            made = self._counting(made)
        failures = [self._failures[number] for number in sorted(self._failures)]
        return self._told.converted(failures), made

    def _counting(self, made: DataFrame | None) -> DataFrame | None:
        """What was made without what follows a range that broke off, and without what is to be read again."""
        left, self._left = self._left, []
        return made.where(f"NOT ({' OR '.join(left)})") if made is not None and left else made

    def _taken(self, made: DataFrame | None) -> set[int]:
        """Add up what the ranges told; returns the files whose ranges do not fit together."""
        told = [] if made is None else spark.collected(made.where(f"kind IN ('{TOLD}', '{FAILURE}')"))
        by_file: dict[int, list[Far]] = {}
        starts: dict[int, list[int]] = {}
        for row in sorted(told, key=lambda row: (row.file, row.start)):
            if row.kind == FAILURE:
                self._failures[row.file] = bytes(row.made).decode()
                continue
            by_file.setdefault(row.file, []).append(pickle.loads(bytes(row.made)))  # noqa: S301 - of our own executors
            starts.setdefault(row.file, []).append(row.start)
        again = set()
        for number, ranges in by_file.items():
            if not self._take(number, ranges, starts[number]):
                again.add(number)
                self._left.append(f"file = {number}")
        return again

    def _take(self, number: int, ranges: list[Far], starts: list[int]) -> bool:
        """What the ranges of one file tell, up to the one that broke off; False where they do not fit together."""
        broken = next((at for at, each in enumerate(ranges) if each.failure), len(ranges) - 1)
        kept = ranges[: broken + 1]
        try:
            joined = join(adapter_named(kept[0].format_), (seam for each in kept for seam in each.seams))
        except UnreadableError as error:
            joined, kept[-1].failure = [], str(error)
        if joined is None:
            return False
        for each in kept:
            self._told.take(each.told)
        self._told.findings.update(item.code for item in joined if isinstance(item, Finding))
        if kept[-1].failure:
            self._failures[number] = kept[-1].failure
            self._left.append(f"file = {number} AND start > {starts[broken]}")
        return True
