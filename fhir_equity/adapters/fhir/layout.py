"""How FHIR JSON is laid out in a file: one document, or one resource per line; and where to cut it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir.shape import parse
from fhir_equity.adapters.protocol import Cut, Range
from fhir_equity.adapters.source import HEAD, Source

# Lines are taken for a layout when more than this share of the head is resources.
MOSTLY = 0.5
# Ranges are cut no finer than this, so that the positions of a large file need no memory.
GRAIN = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_XML = re.compile(rb"<[^>]*xmlns\s*=\s*[\"']http://hl7\.org/fhir[\"']")
_TYPED = re.compile(rb'"resourceType"\s*:\s*"')
_OTHER = re.compile(rb'resourceType"\s*:\s*"(?!Patient")[A-Za-z]+"')
_SEAM = 64
_PATIENT_FIRST = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"Patient"')
_PATIENT_OR_BLANK = r'^\s*(?:$|\{\s*"resourceType"\s*:\s*"Patient")'


class Line(Struct, frozen=True, gc=False):
    """One line of a file: its number from 1, its byte offset, its bytes without the line end."""

    number: int
    offset: int
    raw: bytes


def recognises(head: bytes) -> bool:
    """Whether a head is FHIR: a resource, a Bundle, a list or lines of resources, or FHIR XML."""
    text = head.removeprefix(_BOM).strip()
    if is_xml(text):
        return True
    if any(is_resource(value) for value in map(_object, text.splitlines()) if value):
        return True
    if text[:1] not in (b"{", b"[") or not _TYPED.search(text):
        return False
    try:
        value, _ = parse(text)
    except ValueError:
        return True
    return any(is_resource(each) for each in (value if isinstance(value, list) else [value]))


def is_xml(head: bytes) -> bool:
    """Whether a head is FHIR XML (its root is in the namespace http://hl7.org/fhir)."""
    text = head.removeprefix(_BOM).lstrip()
    return text.startswith(b"<") and _XML.search(text) is not None


def is_resource(value: object) -> bool:
    """Whether a JSON value is a resource: an object that names its type."""
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def lines(source: Source, part: Range) -> Iterator[Line]:
    """The lines of a range in constant memory, numbered as in the whole file.

    A range starts and stops at line starts, as `split` makes them.
    """
    number, offset = part.before, part.start
    rest: list[bytes] = []
    for block in source.blocks() if part == Range() else source.part(part.start, part.stop):
        *whole_lines, last = block.split(b"\n")
        if whole_lines:
            whole_lines[0] = b"".join((*rest, whole_lines[0]))
            rest = []
        for raw in whole_lines:
            number += 1
            yield Line(number, offset, raw)
            offset += len(raw) + 1
        rest.append(last)
    if raw := b"".join(rest):
        yield Line(number + 1, offset, raw)


def has_others(source: Source) -> bool:
    """Whether there may be resources of another type than Patient anywhere in a source."""
    end = b""
    for block in source.part(0, -1):
        if _OTHER.search(block) or _OTHER.search(end + block[:_SEAM]):
            return True
        end = block[-_SEAM:]
    return False


def share_of_lines(source: Source) -> float:
    """How much of the head is lines that are resources: 1 where the first is whole and more follow.

    A document has 0, or little if somebody printed each resource of a Bundle on its own line.
    """
    first: Line | None = None
    seen = good = 0
    for line in lines(source, Range()):
        if not line.raw.strip():
            continue
        if first is None:
            first, seen = line, 1
            continue
        if seen == 1 and _object(first.raw) is not None:
            return 1.0
        seen += 1
        good += is_resource(_object(line.raw))
        if line.offset > HEAD:
            break
    return good / seen if seen > 1 else 0.0


def cut(head: bytes) -> Cut | None:
    """At line starts, where the first line is a Patient and so is every other that is not blank."""
    first, _, rest = head.removeprefix(_BOM).lstrip().partition(b"\n")
    value = _object(first) if rest.strip() else None
    return Cut(b"\n", 0, b"\n", _PATIENT_OR_BLANK) if value and value.get("resourceType") == "Patient" else None


def split(source: Source, pieces: int) -> list[Range]:
    """Cut lines of Patients into at most `pieces` ranges; anything else stays whole.

    A file with other resources is not cut because their numbers are told once, at its end.
    """
    if pieces == 1 or share_of_lines(source) <= MOSTLY:
        return [Range()]
    starts = {0: 0}  # offsets of lines, with how many lines come before
    latest = size = 0
    for line in lines(source, Range()):
        if not _PATIENT_FIRST.match(line.raw) and line.raw.strip():
            value = _object(line.raw)
            if value is not None and value.get("resourceType") != "Patient":
                return [Range()]
        if line.offset >= latest + GRAIN:
            latest = line.offset
            starts[latest] = line.number - 1
        size = line.offset + len(line.raw)
    return _ranges(starts, size, pieces)


def _ranges(starts: dict[int, int], size: int, pieces: int) -> list[Range]:
    edges = [0]
    for piece in range(1, pieces):
        edge = next((start for start in starts if start >= size * piece // pieces), size)
        if edges[-1] < edge < size:
            edges.append(edge)
    return [Range(start, stop, starts[start]) for start, stop in zip(edges, [*edges[1:], -1], strict=True)]


def _object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, or None. The ends are looked at first: most lines are no object."""
    text = raw.removeprefix(_BOM).strip()
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return None
    try:
        value, _ = parse(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
