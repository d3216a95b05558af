"""Bytes <-> model. One folder is one format; each exposes one object, ``ADAPTER``.

Adapters know bytes and not meaning: they split what arrived into received codings and text, with
origin and position, and never decide what an answer means. Formats are found by folder, so a new
format is a new folder and nothing else.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from fhir_equity.adapters.protocol import Adapter
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError, UsageError

__all__ = ["Adapter", "Source", "adapter_named", "adapters", "recognise"]


@cache
def adapters() -> dict[str, Adapter]:
    """Every format by name. Importing a format loads its own libraries and nobody else's."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            adapter: Adapter = import_module(f"{__name__}.{module.name}").ADAPTER
            found[adapter.name] = adapter
    return found


def adapter_named(name: str) -> Adapter:
    """The adapter of one format. Raises UsageError for a name there is none of."""
    if name not in adapters():
        raise UsageError(f"there is no format {name}; there are: {', '.join(sorted(adapters()))}")
    return adapters()[name]


def recognise(source: Source) -> Adapter:
    """Find the format from the content. Raises UnreadableError with one clear sentence."""
    head = source.head()
    if not head.strip():
        raise UnreadableError(f"{source.name} is empty")
    for adapter in adapters().values():
        if adapter.recognises(head, source.name):
            return adapter
    if b"\x00" in head:
        raise UnreadableError(f"{source.name} is a binary file, none of the formats we read")
    raise UnreadableError(f"{source.name} is none of the formats we read: {', '.join(sorted(adapters()))}")
