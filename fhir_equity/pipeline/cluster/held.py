"""Bytes that are at hand, as a source."""

from __future__ import annotations

import gzip
import io
from typing import IO, cast

from fhir_equity.adapters import Source

GZIP = b"\x1f\x8b"


def held(name: str, content: bytes) -> Source:
    """A source whose bytes are at hand, packed or not."""
    if content.startswith(GZIP):
        return Source(name, lambda: cast("IO[bytes]", gzip.open(io.BytesIO(content), "rb")), len(content))
    return Source(name, lambda: io.BytesIO(content))
