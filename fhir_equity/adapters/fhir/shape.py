"""Tolerant access to JSON of unknown shape: a wrong type is noted with its path and read as absent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson
from msgspec import Struct

from fhir_equity.model import Severity

Json = dict[str, Any]
_NOTHING: list[Any] = []


class Problem(Struct, frozen=True, gc=False):
    """Something met while reading, at a path below the element that was read. Never a value."""

    code: str
    severity: Severity
    path: str = ""
    message: str = ""


class Problems(list[Problem]):
    """The problems of one element; the getters below note wrong types in it."""

    def malformed(self, path: str) -> None:
        """Note that the JSON type at `path` is not the one FHIR has there."""
        self.append(Problem("fhir.patient.malformed", Severity.ERROR, path, "not the JSON type that FHIR has here"))

    def note(self, code: str, severity: Severity, message: str, path: str = "") -> None:
        """Note anything else."""
        self.append(Problem(code, severity, path, message))


def below(problems: Iterable[Problem], path: str) -> list[Problem]:
    """The problems of an element that stands at `path`."""
    return [Problem(each.code, each.severity, path + each.path, each.message) for each in problems]


def text_at(holder: Json, name: str, path: str, problems: Problems) -> str:
    """A string element; empty where there is none."""
    value = holder.get(name, "")
    if isinstance(value, str):
        return value
    problems.malformed(f"{path}.{name}")
    return ""


def object_at(holder: Json, name: str, path: str, problems: Problems) -> Json:
    """An object element; empty where there is none."""
    if name not in holder:
        return {}
    value = holder[name]
    if isinstance(value, dict):
        return value
    problems.malformed(f"{path}.{name}")
    return {}


def objects_in(value: object) -> list[Json]:
    """The objects of what should be a list; nothing where it is none, and nobody is told."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def objects_at(holder: Json, name: str, path: str, problems: Problems) -> list[tuple[int, Json]]:
    """The objects of a list element with their positions."""
    found: list[tuple[int, Json]] = []
    if name not in holder:
        return found
    for number, value in enumerate(_list_at(holder, name, path, problems)):
        if isinstance(value, dict):
            found.append((number, value))
        else:
            problems.malformed(f"{path}.{name}[{number}]")
    return found


def texts_at(holder: Json, name: str, path: str, problems: Problems) -> tuple[str, ...]:
    """The strings of a list element. A null is a place that only has extensions (R4 JSON, 2.6.2)."""
    found = []
    for number, value in enumerate(_list_at(holder, name, path, problems)):
        if isinstance(value, str):
            found.append(value)
        elif value is not None:
            problems.malformed(f"{path}.{name}[{number}]")
    return tuple(found)


def _list_at(holder: Json, name: str, path: str, problems: Problems) -> list[Any]:
    value = holder.get(name, _NOTHING)
    if isinstance(value, list):
        return value
    problems.malformed(f"{path}.{name}")
    return []


def compact(value: object) -> bytes:
    """JSON without spaces; lone surrogates and huge integers, which orjson refuses, are kept escaped."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def loaded(raw: bytes) -> Any:
    """What `compact` wrote, or bytes that were found to be JSON before."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


def parse(raw: bytes) -> tuple[Any, bool]:
    """Parse JSON leniently: the value, and whether the bytes were UTF-8 (RFC 8259) at all.

    A byte order mark is passed over; bytes that are no UTF-8 are taken as Latin-1. Raises
    ValueError (its text has the position and no content) for bytes that are no JSON.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(raw), True
    except orjson.JSONDecodeError as error:
        failure = ValueError(f"line {error.lineno}, column {error.colno}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return orjson.loads(raw.decode("latin-1")), False
        except orjson.JSONDecodeError as error:
            failure = ValueError(f"line {error.lineno}, column {error.colno}")
    raise failure
