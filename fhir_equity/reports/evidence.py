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
from fhir_equity.reports.totals import totals

SCHEMA = "fhir-equity/evidence/1"
ABOUT = ("audience", "generated", "software", "run", "editions")
MANIFEST, DOCUMENT, PAGE = "manifest.json", "audit.json", "report.html"


def write_bundle(report: Report, folder: Path) -> list[str]:
    """Write the bundle into a new or empty folder; gives the names of its files.

    Raises UsageError where something is in the folder already, or without the extra ``reports``.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder.name} is not an empty folder")
    document = report.document
    files = _files(document)
    digests = {name: _digest(content) for name, content in files.items()}
    files[MANIFEST] = orjson.dumps({**_about(document), "files": digests}, option=orjson.OPT_INDENT_2)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in files.items():
        with private_file(folder / name) as file:
            file.write(content)
    return [*files]


def _about(document: Document) -> dict[str, Any]:
    """What the manifest says of the document."""
    return {"schema": SCHEMA, **{name: document.get(name) for name in ABOUT}}


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
        made = _made_anew(folder, manifest["files"], document)
        return [*_manifest(manifest, document), *_digests(folder, manifest["files"]), *made, *totals(document)]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UnreadableError(f"{folder.name}/{DOCUMENT} is not an audit document") from None


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        raise UnreadableError(f"{folder.name} is no evidence bundle: {name} is missing or no JSON") from None
    if not isinstance(found, dict):
        raise UnreadableError(f"{folder.name}/{name} is no JSON object")
    return found


def _manifest(manifest: Mapping[str, Any], document: Document) -> Iterator[str]:
    """The manifest, which nothing has the digest of, says of the document what it says itself, and no more."""
    about = orjson.loads(orjson.dumps(_about(document)))
    for name in sorted((about.keys() | manifest.keys()) - {"files"}):
        if name not in about or manifest.get(name) != about[name]:
            yield f"{MANIFEST}: {name} is not that of {DOCUMENT}"


def _digests(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    there = {path.name for path in folder.iterdir()} - {MANIFEST}
    for name in sorted(there - files.keys()):
        yield f"{name} is not in the manifest"
    for name, digest in sorted(files.items()):
        if name not in there:
            yield f"{name} is missing"
        elif not (folder / name).is_file() or _digest((folder / name).read_bytes()) != digest:
            yield f"{name} is not what the manifest has the digest of"


def _made_anew(folder: Path, listed: Mapping[str, str], document: Document) -> Iterator[str]:
    """The page and the tables are there and say what the document says."""
    for name, content in _files(document).items():
        path = folder / name
        if name not in listed:
            yield f"{name} is missing from the manifest"
        elif name != DOCUMENT and path.is_file() and path.read_bytes() != content:
            yield f"{name} does not say what {DOCUMENT} says"
