"""The manifest of an export of many files: which files belong to it, and where they are on this machine.

FHIR Bulk Data Access 2.0, response of a completed export: https://hl7.org/fhir/uv/bulkdata/export.html
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct, field

# A manifest lists some thousand files at most; what is larger is none.
MOST = 4 * 1024 * 1024
_HEAD = 64 * 1024
_MARKS = (b'"transactionTime"', b'"output"')


class Listed(Struct, frozen=True):
    """One file of an export: the type of its resources and its address."""

    url: str
    type: str = ""

    @property
    def name(self) -> str:
        """The name of the file: the last step of its address; empty where that is none."""
        try:
            return PurePosixPath(unquote(urlsplit(self.url).path)).name
        except ValueError:  # no address at all
            return ""


class Manifest(Struct, frozen=True):
    """What an export consists of: resources, those deleted since, and what went wrong."""

    transaction_time: str = field(name="transactionTime")
    output: tuple[Listed, ...]
    deleted: tuple[Listed, ...] = ()
    error: tuple[Listed, ...] = ()


def is_manifest(head: bytes) -> bool:
    """Whether a head may be that of a manifest."""
    return head.lstrip().startswith(b"{") and all(mark in head[:_HEAD] for mark in _MARKS)


def manifest_in(raw: bytes) -> Manifest | None:
    """The manifest that some JSON is, or None."""
    if not is_manifest(raw):
        return None
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def listed_in(path: Path) -> list[Path]:
    """The files beside a manifest that it lists and that are there; none where `path` is no manifest."""
    try:
        small = path.suffix == ".json" and path.stat().st_size <= MOST
        manifest = manifest_in(path.read_bytes()) if small else None
    except OSError:  # told when it is read
        return []
    if manifest is None:
        return []
    listed = (*manifest.output, *manifest.deleted, *manifest.error)
    return [place for each in listed if (place := place_of(each, path)) is not None]


def place_of(listed: Listed, manifest: Path) -> Path | None:
    """Where a listed file is, packed or not, beside its manifest; None where it is not."""
    if not listed.name:
        return None
    places = (manifest.parent / f"{listed.name}{ending}" for ending in ("", ".gz"))
    return next((place for place in places if place.is_file()), None)
