"""Which answers a pull takes from an HIE, and what it must leave there (mappings/policies/inbound.toml)."""

from __future__ import annotations

from datetime import date
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir import objects_in
from fhir_equity.errors import TableError
from fhir_equity.model import Method
from fhir_equity.vocabulary import Codes

ANY = "*"


class Rule(Struct, frozen=True):
    """One rule; `methods` empty is any, `until` empty is an open end."""

    id: str
    hie: str
    purpose: str
    matters: frozenset[str]
    methods: frozenset[str]
    since: str
    until: str


class Inbound:
    """The inbound policy. Raises TableError for a rule that cannot be meant."""

    def __init__(self, document: dict[str, Any], codes: Codes) -> None:
        self.version = str(document.get("version", ""))
        self._codes = codes
        self._labels = frozenset(document.get("part_2", ()))
        consent = document.get("consent", {})
        self.consent_denies = frozenset(consent.get("denies", ()))
        self.consent_about = {
            label: frozenset(codes.topic(str(topic)).matter for topic in topics)
            for label, topics in consent.get("about", {}).items()
        }
        self._rules = [self._rule(entry) for entry in document.get("rule", [])]

    def accepts(self, hie: str, matter: str, method: str, as_of: str) -> bool:
        """Whether an answer of an HIE about a matter, with this method, is taken in on a day."""
        return any(
            rule.hie in (ANY, hie)
            and matter in rule.matters
            and (not rule.methods or method in rule.methods)
            and rule.since <= as_of <= (rule.until or as_of)
            for rule in self._rules
        )

    def wants(self, hie: str, matter: str, as_of: str) -> bool:
        """Whether any answer of an HIE about a matter may be taken in on a day: else it is not asked for."""
        return any(self.accepts(hie, matter, method.value, as_of) for method in Method)

    def is_part_2(self, resource: dict[str, Any]) -> bool:
        """Whether a resource is marked as from a Part 2 programme."""
        meta = resource.get("meta")
        labels = meta.get("security") if isinstance(meta, dict) else None
        return any(f"{each.get('system', '')}|{each.get('code', '')}" in self._labels for each in objects_in(labels))

    def _rule(self, entry: dict[str, Any]) -> Rule:
        name = str(entry.get("id", ""))
        place = f"policies/inbound.toml, rule {name or 'without id'}"
        if lacking := [key for key in ("id", "hie", "purpose", "topics", "from") if not entry.get(key)]:
            raise TableError(f"{place}: {', '.join(lacking)} is missing")
        methods = frozenset(map(str, entry.get("methods", ())))
        if unknown := sorted(methods - {each.value for each in Method}):
            raise TableError(f"{place}: there is no method {unknown[0]}")
        for day in (entry["from"], entry.get("to", entry["from"])):
            try:
                date.fromisoformat(str(day))
            except ValueError:
                raise TableError(f"{place}: from and to are dates such as 2026-01-31") from None
        matters = frozenset(self._codes.topic(str(topic)).matter for topic in entry["topics"])
        until = str(entry.get("to", ""))
        return Rule(name, str(entry["hie"]), str(entry["purpose"]), matters, methods, str(entry["from"]), until)
