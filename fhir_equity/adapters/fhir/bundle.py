"""The resources of a parsed JSON value, one by one with their places: a resource, a Bundle of any type, a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_equity.adapters.fhir.layout import is_resource
from fhir_equity.adapters.fhir.respondent import named
from fhir_equity.adapters.fhir.shape import Json, compact
from fhir_equity.model import Finding, Locator, Rejected, Severity


class Found(NamedTuple):
    """A resource, where it stands, and the `fullUrl` of its entry in a Bundle."""

    resource: Json
    place: Locator
    full_url: str = ""


class _Entry(NamedTuple):
    path: str
    value: Any
    full_url: str = ""


def resources(value: Any, place: Locator, *, numbered: bool) -> Iterator[Found | Rejected]:
    """Each resource; Bundles are opened where they stand (an explicit stack: no depth limit).

    Where `numbered`, the resources of a Bundle or a list count from 1; else `place` has the number.
    """
    if is_resource(value) and value["resourceType"] != "Bundle":
        yield Found(value, place)
        return
    stack = (_entries(value, place.path) if is_resource(value) else _items(value))[::-1]
    number = 0
    while stack:
        entry = stack.pop()
        number += 1
        at = Locator(place.artefact, place.unit, number if numbered else place.number, place.offset, entry.path)
        if not is_resource(entry.value):
            yield Rejected(compact(entry.value), no_resource(at))
        elif entry.value["resourceType"] == "Bundle":
            number -= 1
            stack += _entries(entry.value, entry.path)[::-1]
        else:
            yield Found(entry.value, at, entry.full_url)


def no_resource(place: Locator) -> Finding:
    """What is JSON, but no resource."""
    return Finding("fhir.json.not_a_resource", Severity.ERROR, place, "JSON, but not a FHIR resource")


def _items(found: list[Any]) -> list[_Entry]:
    return [_Entry(f"[{number}]", each) for number, each in enumerate(found)]


def _entries(bundle: Json, path: str) -> list[_Entry]:
    """What stands where a Bundle has resources. An entry may have none (a response, a deletion)."""
    path = f"{path}.resource" if path else "Bundle"
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        return [_Entry(f"{path}.entry", entries)]
    found = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            found.append(_Entry(f"{path}.entry[{number}]", entry))
        elif "resource" in entry:
            url = entry.get("fullUrl")
            found.append(_Entry(f"{path}.entry[{number}]", entry["resource"], url if isinstance(url, str) else ""))
    values = named([(each.value, each.full_url) for each in found])
    return [each._replace(value=value) for each, value in zip(found, values, strict=True)]
