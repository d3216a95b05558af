"""What a resource speaks of anywhere inside it: the topics of extensions and codes, however deep, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_equity.adapters.fhir.extensions import kind_of
from fhir_equity.adapters.fhir.observation import statements
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.protocol import Context


def mentions(resource: Json, context: Context) -> tuple[set[str], set[str]]:
    """The topics that a resource speaks of anywhere (contained, Provenance, parts of extensions), and all its words.

    A word is any text in it; a code stands with its system as ``system|code``.
    """
    topics: set[str] = set()
    words: set[str] = set()
    for holder in _objects(resource):
        kind = kind_of(holder)
        if kind is not None:
            topics.add(kind.topic)
        if isinstance(holder.get("code"), dict):
            topics.update(statement.topic for statement in statements({"code": holder["code"]}, context))
        if isinstance(holder.get("code"), str):
            words.add(f"{holder.get('system', '')}|{holder['code']}")
        words.update(value for name, value in holder.items() if isinstance(value, str) and name != "code")
        words.update(each for value in holder.values() if isinstance(value, list) for each in value if _is_text(each))
    return topics, words


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _objects(value: Any) -> Iterator[Json]:
    """Every object of a JSON value, without recursion: what somebody sent may be nested as deep as it likes."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
