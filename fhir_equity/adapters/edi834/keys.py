"""Who a member is within a partner: the key recipes of the guide, tried in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.errors import TableError

_PARTS = ("NM109", "family_name", "given_name", "birth_date", "subscriber", "INS17")


class Person(Struct, gc=False):
    """What may identify a member, in clean values; empty where it was not sent."""

    subscriber: bool
    refs: dict[str, str]
    number: str  # NM109
    family: str
    given: str
    birth_date: str
    sequence: str  # INS17


class PersonKeys:
    """The recipes of ``[person]``: REF*0F is shared by a family and never identifies a person alone.

    Raises TableError for a recipe with a part that there is none of.
    """

    def __init__(self, person: Mapping[str, Any]) -> None:
        self._recipes = [(tuple(parts), "+".join(parts)) for parts in person.get("key", [])]
        self._packed: str = person.get("packed", "")
        # Whether NM109, where it is not REF*0F, decides whatever else there is.
        self.number_first = bool(self._recipes) and self._recipes[0][0] == ("NM109",)
        for parts, rule in self._recipes:
            if not parts or any(part not in _PARTS and not part.startswith("REF*") for part in parts):
                raise TableError(f"guides/edi834.toml, person.key: {rule or 'an empty recipe'} cannot be used")

    def number_decides(self, number: str, family: str | None, *, subscriber: bool) -> bool:
        """Whether NM109 is the key, as it mostly is: then nothing but REF*0F (`family`) has to be looked at."""
        return self.number_first and bool(number) and (subscriber or number != family)

    def of(self, person: Person) -> tuple[str, str]:
        """The key and the recipe that made it; both empty where no recipe has all its parts."""
        for recipe, rule in self._recipes:
            parts = [self._part(name, person) for name in recipe]
            if not all(parts):
                continue
            if len(parts) == 1 and not person.subscriber and parts[0] == person.refs.get("0F"):
                continue  # the subscriber's number, sent with a dependent
            return "|".join(parts), rule
        return "", ""

    def _part(self, name: str, person: Person) -> str:
        match name:
            case "NM109":
                return person.number
            case "family_name":
                return person.family.upper()
            case "given_name":
                return person.given.upper()
            case "birth_date":
                return person.birth_date
            case "subscriber":
                return "self" if person.subscriber else ""
            case "INS17":
                return person.sequence
        value = person.refs.get(name[4:], "")
        return "" if self._packed and self._packed in value else value
