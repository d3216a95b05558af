"""audit: how complete and how good is what we hold, or what is in these files?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Severity
from fhir_equity.pipeline.accounts import accounts, counted
from fhir_equity.pipeline.count import Count
from fhir_equity.pipeline.reading import Failures
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.benchmark import Benchmark, population_from
from fhir_equity.quality.document import SCHEMA
from fhir_equity.quality.programs import program_from, programs_from
from fhir_equity.quality.trend import trend

# What a snapshot must give again: all numbers, and nothing about the day and the program that made them.
NUMBERS = ("population", "topics", "views", "strata", "programs", "concordance", "findings", "losses")

ENGINES = ("local", "spark")


class Audit(Struct):
    """The audit document and the inputs that could not be read."""

    document: dict[str, Any]
    failures: list[str]

    def worst(self) -> Severity | None:
        """The worst severity among the findings; None without findings."""
        found = [Severity(f["severity"]) for f in self.document["findings"]]
        return max(found, key=lambda severity: severity.rank, default=None)

    def reaches(self, severity: Severity) -> bool:
        """Whether any finding is at least this bad."""
        worst = self.worst()
        return worst is not None and worst.rank >= severity.rank

    def unmet(self, required: Iterable[str]) -> list[str]:
        """Which of these programs are not met, or cannot be told to be."""
        names = dict.fromkeys(Path(given).stem if given.endswith(".toml") else given for given in required)
        return [name for name in names if self.document["programs"][name]["met"] is not True]


def audit(
    workspace: Workspace,
    paths: Sequence[str | Path] = (),
    *,
    partner: str = "",
    format_: str = "",
    by: Sequence[str] = (),
    programs: Sequence[str] = (),
    workers: int = 1,
    population: Path | None = None,
    engine: str = "local",
    snapshot: str = "",
    since: str = "",
) -> Audit:
    """Audit files, or the store when no path is given; or count a snapshot again, with the programs and strata it has.

    `by` names strata (`STRATA`), several at once with commas between them; `programs` says what is counted
    under: names or files (``*.toml``), those of the settings where there are none. Large plain files are
    counted by `workers` processes; the result is the same. With the engine ``spark`` the paths are files and
    folders that Spark can reach, and its executors count them, with the same result. `population` is a table to
    compare with (see `benchmark`), `since` a snapshot or an earlier audit document (file) to tell changes from.
    Raises UsageError, and EngineError where Spark gives up.
    """
    if engine not in ENGINES or (engine != "local" and not paths):
        raise UsageError(f"--engine is for files, one of {', '.join(ENGINES)}")
    if snapshot and (paths or by or programs or population or partner):
        raise UsageError("a snapshot has its own people, programs and strata; name nothing beside it")
    before = _before(workspace, since) if since else None
    done = (
        _recounted(workspace, snapshot)
        if snapshot
        else _counted(workspace, paths, partner, format_, by, programs, workers, population, engine)
    )
    done.document["controls"] = [counted(done.document), *done.document.get("controls", ())]
    if before is not None:
        done.document["trend"] = trend(before, done.document, Path(since).name)
    return done


def counting(
    workspace: Workspace,
    *,
    by: Sequence[str] = (),
    programs: Sequence[str] = (),
    workers: int = 1,
    population: Path | None = None,
    history: bool = True,
) -> Count:
    """Begin to count under programs by name or file. Raises UsageError."""
    named = tuple(programs) or workspace.settings.audit.programs
    chosen = programs_from(workspace.vocabulary().tables, named)
    schema = workspace.vocabulary().schema
    benchmark = None if population is None else Benchmark(population_from(population, schema.categories), schema)
    return Count(workspace, by, chosen, workers, benchmark=benchmark, history=history)


def _counted(
    workspace: Workspace,
    paths: Sequence[str | Path],
    partner: str,
    format_: str,
    by: Sequence[str],
    programs: Sequence[str],
    workers: int,
    population: Path | None,
    engine: str,
) -> Audit:
    if not paths:
        workspace.require_store("ingest files first, or name files to audit")
    count = counting(workspace, by=by, programs=programs, workers=workers, population=population, history=not paths)
    failures = Failures()
    whose = workspace.partner(partner)
    if engine == "spark":
        entries = count.on_cluster([str(path) for path in paths], whose, format_, failures)
    else:
        entries = count.files(paths, whose, format_, failures) if paths else count.stored(partner)
    document = count.document(entries)
    if not paths:
        document |= accounts(workspace, partner)
    return Audit(document, failures.messages)


def _recounted(workspace: Workspace, name: str) -> Audit:
    """Count a snapshot again, and say whether the numbers are those that were frozen."""
    workspace.require_store()
    held = workspace.store.snapshots.named(name)
    settings, frozen = msgspec.json.decode(held.settings), msgspec.json.decode(held.document)
    workspace.as_of = held.as_of
    programs = tuple(program_from(given, given["name"]) for given in settings["programs"])
    count = Count(workspace, settings["by"], programs, 1, benchmark=None, history=True)
    count.thawed(held.content, settings["partner"])
    document = count.document(settings["inputs"])
    again = as_told(msgspec.json.decode(msgspec.json.encode(document)), frozen)
    tables = workspace.vocabulary().tables.checksums()
    differs = [part for part in NUMBERS if again[part] != frozen[part]]
    document["snapshot"] = {
        **{part: getattr(held, part) for part in ("name", "at", "digest")},
        "software": settings["software"],
        "same": not differs,
        "differs": differs,
        "tables_changed": sorted(
            t for t in {*tables, *settings["tables"]} if tables.get(t) != settings["tables"].get(t)
        ),
    }
    return Audit(document, [])


def as_told(again: dict[str, Any], frozen: dict[str, Any]) -> dict[str, Any]:
    """A document whose program rows say no more of themselves than those of an earlier version of this software did."""
    for name, program in again["programs"].items():
        rows = frozen["programs"].get(name, {"rows": []})["rows"]
        if len(rows) == len(program["rows"]):
            program["rows"] = [
                {part: value for part, value in row.items() if part in before}
                for row, before in zip(program["rows"], rows, strict=True)
            ]
    return again


def _before(workspace: Workspace, since: str) -> dict[str, Any]:
    """The document of a snapshot, or of a file."""
    path = Path(since)
    content = path.read_bytes() if path.is_file() else workspace.store.snapshots.named(since).document
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict) and (found.get("schema"), found.get("audience")) == (SCHEMA, "internal"):
        return found
    raise UsageError(f"{path.name} is no audit document of ours for internal use")
