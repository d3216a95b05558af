"""Meaning without bytes: what codes and wordings mean, how sure that is, and what is lost on the way.

Received values come in, canonical codings with their relationship go out; nothing received is ever
overwritten. All knowledge is in mappings/, read through `fhir_equity.tables`.
"""

from __future__ import annotations

from functools import cached_property

from fhir_equity.tables import Tables
from fhir_equity.vocabulary.codes import Codes, Topic
from fhir_equity.vocabulary.crosswalk import Crosswalks
from fhir_equity.vocabulary.detail import Detail
from fhir_equity.vocabulary.directory import Directory
from fhir_equity.vocabulary.express import Express
from fhir_equity.vocabulary.look import Entry, Link, Look, lookup, translate, view
from fhir_equity.vocabulary.meaning import Meanings
from fhir_equity.vocabulary.schema import Schemas, View1997, View2024
from fhir_equity.vocabulary.translator import Translation
from fhir_equity.vocabulary.us_core import US_CORE, Strategy

__all__ = [
    "US_CORE",
    "Codes",
    "Crosswalks",
    "Detail",
    "Entry",
    "Express",
    "Link",
    "Meanings",
    "Schemas",
    "Strategy",
    "Topic",
    "Translation",
    "View1997",
    "View2024",
    "Vocabulary",
    "lookup",
    "translate",
    "view",
]


class Vocabulary:
    """Everything one partner's tables know, built on first use."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()

    @cached_property
    def codes(self) -> Codes:
        """Code systems and topics."""
        return Codes(self.tables)

    @cached_property
    def crosswalks(self) -> Crosswalks:
        """Directed maps between them."""
        return Crosswalks(self.tables, self.codes)

    @cached_property
    def meaning(self) -> Meanings:
        """Received -> Meaning."""
        return Meanings(self.codes, self.crosswalks)

    @cached_property
    def schema(self) -> Schemas:
        """Meanings -> OMB views."""
        return Schemas(self.codes)

    @cached_property
    def detail(self) -> Detail:
        """Which of two answers says the same, and more."""
        return Detail(self.codes)

    @cached_property
    def express(self) -> Express:
        """Resolutions -> a target's own codes."""
        return Express(self.codes, self.crosswalks, self.schema)

    @cached_property
    def look(self) -> Look:
        """What the tables know about a code, for `lookup` and `translate`."""
        return Look(Directory(self.codes), self.schema)
