"""convert: one format into another, telling the losses on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from fhir_equity.adapters import Adapter, adapter_named, adapters
from fhir_equity.adapters.fhir import bind_bulk
from fhir_equity.adapters.protocol import Context, Piece
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import Loss
from fhir_equity.pipeline.change import BGN08, context_834
from fhir_equity.pipeline.converting import Conversion, Elsewhere
from fhir_equity.pipeline.disclosing import Disclosing, disclosing
from fhir_equity.pipeline.leaving import Converted, Leaving, Lost, Made, Told, Wish
from fhir_equity.pipeline.patients import context_fhir
from fhir_equity.pipeline.reading import Failures, inputs
from fhir_equity.pipeline.together import made
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.pipeline.writing import written, written_folder
from fhir_equity.privacy import private_file
from fhir_equity.vocabulary import US_CORE

ENGINES = ("local", "spark")
ENDINGS = {".834": "edi834", ".edi": "edi834", ".x12": "edi834", ".ndjson": "fhir", ".json": "fhir", ".csv": "survey"}


def convert(
    workspace: Workspace,
    src: str | Path,
    dst: str | Path,
    *,
    wish: Wish | None = None,
    losses: str | Path | None = None,
    engine: str = "local",
    workers: int = 1,
) -> Converted:
    """Convert the members of `src` into one file `dst` (``-`` for standard output), or a folder in the form ``bulk``.

    It appears whole or not at all. Without a recipient this is internal use: sensitive topics
    are left out, with a loss entry, unless `include_sensitive`. What a recipient is told of whom is written down in
    the account of disclosures before it is handed over, and on the trail (`disclosing`). A change file (834) corrects
    what the store knows, where there is one: who is as known is left out. Large plain files are converted by `workers`
    processes (such corrections by one); what is written is the same, byte by byte, for any number of them.

    With the engine ``spark`` these are URLs that Spark can reach, `dst` and `losses` new folders: of lines, or in the
    format ``parquet`` or ``delta`` the table `normalized` of guides/frame.toml. `wish` is a `pipeline.leaving.Wish`.
    Raises UsageError, UnreadableError where nothing of `src` could be read, and EngineError where Spark gives up or a
    worker was killed.
    """
    wish = wish or Wish()
    if engine not in ENGINES:
        raise UsageError(f"--engine is one of {', '.join(ENGINES)}")
    if engine == "spark":
        return _on_cluster(workspace, str(src), str(dst), wish, str(losses or ""))
    target = adapter_named(wish.to or _format_of(dst, wish))
    wish = msgspec.structs.replace(wish, to=target.name)
    require_sense(workspace, wish)
    if str(dst) != "-" and Path(dst).exists() and Path(src).exists() and Path(dst).samefile(src):
        raise UsageError("SRC and DST are the same file")
    with disclosing(workspace, wish, dst) as account, contextlib.ExitStack() as files:
        work = _Run(workspace, target, wish, workers, account)
        if wish.form == "bulk":
            folder = files.enter_context(written_folder(dst))
            ledger = files.enter_context(_ledger(losses))
            work.lose(bind_bulk(work.pieces(src, ledger), folder, work.context), ledger)
        else:
            out = files.enter_context(written(dst))
            ledger = files.enter_context(_ledger(losses))
            work.lose(target.bind(work.pieces(src, ledger), out, work.context), ledger)
        done = work.told.converted(work.failures.messages)
        if done.failures and not done.members and not done.rejected:
            raise UnreadableError(done.failures[0])  # DST keeps what it held
    return done


def _on_cluster(workspace: Workspace, src: str, dst: str, wish: Wish, losses: str) -> Converted:
    from fhir_equity.pipeline.cluster.convert import TABLES, convert_on_cluster  # loads what only a cluster needs

    ending = Path(dst).suffix.removeprefix(".")
    wish = msgspec.structs.replace(wish, to=wish.to or (ending if ending in TABLES else _format_of(dst, wish)))
    if wish.to not in TABLES:
        require_sense(workspace, wish)
    elif wish.recipient:
        workspace.release.require(wish.recipient)
    if wish.recipient:
        raise UsageError("what a recipient is told is accounted for member by member: use --engine local")
    return convert_on_cluster(workspace, src, dst, wish, losses)


def require_sense(workspace: Workspace, wish: Wish) -> None:
    """Raise UsageError for what does not go together, and for a recipient that there is no rule for."""
    if not adapter_named(wish.to).writes:
        raise UsageError(f"the format {wish.to} is read but not written")
    if (wish.purpose != "as-guide" or wish.control_number) and wish.to != "edi834":
        raise UsageError("--purpose and --control-number are for an 834")
    if (wish.us_core != US_CORE or wish.form != "ndjson") and wish.to != "fhir":
        raise UsageError("--us-core and --form are for FHIR")
    if wish.recipient:
        workspace.release.require(wish.recipient)


def _format_of(dst: str | Path, wish: Wish) -> str:
    """What the name of DST says; where it says nothing, a form does, which FHIR alone has."""
    found = ENDINGS.get(Path(str(dst)).suffix.lower()) or ("fhir" if wish.form != "ndjson" else "")
    if not found:
        raise UsageError(f"give --to, one of {', '.join(sorted(adapters()))}: the name of DST does not say the format")
    return found


def context_of(workspace: Workspace, wish: Wish, created: str) -> Context:
    """What the writer of the format is handed: `created` is when the file says it was made."""
    context = workspace.context(workspace.partner(wish.partner), wish.to)
    context = msgspec.structs.replace(context, created=created)
    if wish.to == "edi834":
        return context_834(workspace, context, wish.purpose, wish.control_number)
    if wish.to != "fhir":
        return context
    version = workspace.vocabulary(workspace.partner(wish.partner)).express.version(wish.us_core)
    return context_fhir(workspace, context, version, wish.form)


class _Run:
    """One conversion under way."""

    def __init__(
        self, workspace: Workspace, target: Adapter, wish: Wish, workers: int, account: Disclosing | None
    ) -> None:
        self._workspace, self._target, self._wish, self._workers = workspace, target, wish, workers
        self._account = account
        self.context = context_of(workspace, wish, datetime.now(UTC).isoformat(timespec="seconds"))
        self.told, self.failures = Told(), Failures()

    def pieces(self, src: str | Path, ledger: IO[bytes] | None) -> Iterator[Piece]:
        """What is to be written, in the order of the input."""
        correcting = False
        if self._target.name == "edi834":
            change = self.context.guide["write"]["purpose"] == BGN08["change"]
            correcting = change and self._workspace.has_store
        told = ledger is not None
        kept_back = {} if self._account is None else self._account.kept_back
        here = Conversion(
            self._workspace, self._wish, self.context, ledger=told, correcting=correcting, kept_back=kept_back
        )
        key = self._workspace.pseudonyms.secret if self._target.name == "fhir" and self._workers > 1 else b""
        elsewhere = Elsewhere(self._wish, self.context.guide, self.context.created, key, told, kept_back)
        partner = self._workspace.partner(self._wish.partner)
        for read in inputs(self._workspace, [src], partner, self._wish.from_, self.failures):
            workers = 1 if correcting else self._workers
            items: Iterator[Made] = made(self._workspace, read, self.failures, here.made, elsewhere, workers)
            for each in items if self._account is None else self._account.before(items):
                self.told.add(each)
                _write_down(ledger, each.losses)
                if each.piece is not None:
                    yield each.piece
            self.told.members += read.members
            self.told.rejected += read.rejected

    def lose(self, losses: Iterator[Loss], ledger: IO[bytes] | None) -> None:
        """Write, and tell what only the whole has lost."""
        leaving = Leaving(self._workspace, self._wish, ledger=ledger is not None)
        for loss in losses:
            lost = leaving.lost(loss)
            self.told.losses[loss.rule] += 1
            _write_down(ledger, [lost])


def _write_down(ledger: IO[bytes] | None, losses: Iterable[Lost]) -> None:
    if ledger is not None:
        ledger.writelines(line for _, line in losses)


@contextlib.contextmanager
def _ledger(path: str | Path | None) -> Iterator[IO[bytes] | None]:
    """The loss ledger: one JSON object a line; none when nobody asked for it."""
    if path is None:
        yield None
        return
    with private_file(Path(path)) as ledger:
        yield ledger
