"""Fetch one file of an export: in private, and from where it stopped when the line breaks."""

from __future__ import annotations

import os
from pathlib import Path

from fhir_equity.errors import RemoteError
from fhir_equity.sync.client import Client
from fhir_equity.sync.transport import Request, UnavailableError
from fhir_equity.sync.wire import Incoming


def fetched(client: Client, url: str, target: Path, *, with_token: bool) -> None:
    """Fetch a file to `target`, which is there only when it is whole.

    What came before stands beside it as ``.part`` with the tag of its version: it is gone on with (Range
    and If-Range, https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5) where the tag is a strong one,
    else begun anew. The log-in goes to the endpoint's own server only. Raises RemoteError.
    """
    part, tag = target.with_suffix(".part"), target.with_suffix(".tag")

    def make() -> Request:
        headers = {"Accept": "application/fhir+ndjson"}
        size, version = _size(part), _text(tag)
        if size and version:
            headers |= {"Range": f"bytes={size}-", "If-Range": version}
        return Request("GET", url, headers, anonymous=not with_token)

    def take(incoming: Incoming) -> None:
        if incoming.status == 416:  # what we have is no part of what is there
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            raise UnavailableError(f"{client.host} has another file than we began with", unsure=False, delay=0)
        if incoming.status not in (200, 206):
            raise RemoteError(f"{client.host} refused a file of the export with {incoming.status}")
        begun = incoming.headers.get("content-range", "").startswith(f"bytes {_size(part)}-")
        if incoming.status == 206 and not begun:
            raise RemoteError(f"{client.host} sent another part of a file than was asked for")
        if incoming.status == 200:
            version = incoming.headers.get("etag", "")
            _write(tag, version.encode() if version.startswith('"') else b"")
            _write(part, b"")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            for block in incoming.raw():
                file.write(block)

    client.fetch(make, take)
    part.replace(target)
    tag.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
