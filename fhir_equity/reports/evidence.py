"""An evidence bundle: the audit as page, document and CSV with digests, and the check of one that somebody has kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.privacy import private_file
from fhir_equity.quality.publish.document import Report
from fhir_equity.reports.figures import Document
from fhir_equity.reports.html import html
from fhir_equity.reports.spreadsheet import csv_of
from fhir_equity.reports.tidy import tidy

SCHEMA = "fhir-equity/evidence/1"
MANIFEST, DOCUMENT, PAGE = "manifest.json", "audit.json", "report.html"


def write_bundle(report: Report, folder: Path) -> list[str]:
    """Write the bundle into a new or empty folder; gives the names of its files.

    Raises UsageError where something is in the folder already, or without the extra ``reports``.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder.name} is not an empty folder")
    document = report.document
    files = _files(document)
    manifest = {name: document.get(name) for name in ("audience", "generated", "software", "run", "editions")}
    digests = {name: _digest(content) for name, content in files.items()}
    files[MANIFEST] = orjson.dumps({"schema": SCHEMA, **manifest, "files": digests}, option=orjson.OPT_INDENT_2)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in files.items():
        with private_file(folder / name) as file:
            file.write(content)
    return [*files]


def _files(document: Document) -> dict[str, bytes]:
    return {
        DOCUMENT: orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n",
        PAGE: html(document).encode("utf-8", "backslashreplace"),
        **{f"{table.name}.csv": csv_of(table) for table in tidy(document)},
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def verify(folder: Path) -> list[str]:
    """What does not add up in a bundle, in sentences: digests, files made anew from the document, every total.

    Raises UnreadableError for something that is no bundle.
    """
    manifest, document = (_read(folder, name) for name in (MANIFEST, DOCUMENT))
    if manifest.get("schema") != SCHEMA or not isinstance(manifest.get("files"), dict):
        raise UnreadableError(f"{folder.name}/{MANIFEST} is not of schema {SCHEMA}")
    try:
        return [*_digests(folder, manifest["files"]), *_made_anew(folder, document), *totals(document)]
    except (KeyError, TypeError, AttributeError):
        raise UnreadableError(f"{folder.name}/{DOCUMENT} is not an audit document") from None


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        raise UnreadableError(f"{folder.name} is no evidence bundle: {name} is missing or no JSON") from None
    if not isinstance(found, dict):
        raise UnreadableError(f"{folder.name}/{name} is no JSON object")
    return found


def _digests(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    there = {path.name for path in folder.iterdir()} - {MANIFEST}
    for name in sorted(there - files.keys()):
        yield f"{name} is not in the manifest"
    for name, digest in sorted(files.items()):
        if name not in there:
            yield f"{name} is missing"
        elif _digest((folder / name).read_bytes()) != digest:
            yield f"{name} is not what the manifest has the digest of"


def _made_anew(folder: Path, document: Document) -> Iterator[str]:
    """The page and the tables say what the document says."""
    for name, content in _files(document).items():
        path = folder / name
        if name != DOCUMENT and path.is_file() and path.read_bytes() != content:
            yield f"{name} does not say what {DOCUMENT} says"


def totals(document: Document) -> Iterator[str]:
    """Every total and rate of a document that does not follow from its parts, in sentences."""
    yield from _body("", document)
    for stratum in document.get("strata", ()):
        yield from _body(" of " + ", ".join(f"{name}={value}" for name, value in stratum["by"].items()), stratum)
    for program, given in document.get("programs", {}).items():
        for row in given["rows"]:
            yield from _rate(f"{program}: {row['measure']} {row['line']}".rstrip(), row)
        for table in given["tables"]:
            cells = [count for row in table["rows"] for count in row["counts"].values()]
            yield from _sum(
                f"{program}: the table {table['table']} {table['line']}".rstrip(), cells, table["population"]
            )


def _body(where: str, body: Document) -> Iterator[str]:
    for topic, given in body["topics"].items():
        yield from _sum(f"the states of {topic}{where}", given["states"].values(), body["population"])
        for source in given.get("sources", ()):
            yield from _sum(
                f"{source['source']} of {topic}{where}", source["states"].values(), source.get("population")
            )
    view = body["views"].get("omb2024")
    if view:
        alone = [given["alone"] for given in view["categories"].values()]
        people = [view["multiracial_or_multiethnic"], view["without_category"]]
        yield from _sum(f"OMB 2024 alone{where}", [*alone, *people], view["answered"])
        if "combinations" in view:
            several = [given["count"] for given in view["combinations"]]
            yield from _sum(f"OMB 2024 combinations{where}", several, view["multiracial_or_multiethnic"])


def _sum(what: str, counts: Any, whole: int | None) -> Iterator[str]:
    """A sum that is not what it should be; one with a hidden count cannot be told."""
    counts = [*counts]
    if whole is not None and None not in counts and sum(counts) != whole:
        yield f"{what}: {sum(counts)} and not {whole}"


def _rate(what: str, row: Mapping[str, Any]) -> Iterator[str]:
    part, whole = row.get("numerator"), row.get("denominator")
    if part is None or whole is None:
        return
    if part > whole:
        yield f"{what}: {part} of {whole}"
    elif whole and row["rate"] != part / whole:
        yield f"{what}: {part} of {whole} is not {row['rate']}"
