"""The survey guide: which headings mean which column, and how cells are cut (guides/survey.toml)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from fhir_equity.errors import TableError
from fhir_equity.model import Method
from fhir_equity.tables import Tables

NAME = "guides/survey.toml"
PERSON = ("given_name", "middle_name", "family_name", "name_prefix", "name_suffix", "birth_date")
PLACE = ("address_line", "city", "state", "postal_code", "county", "country")
ENROLLED = ("enrolled_from", "enrolled_to", "coverage")
ROW = ("dependent_number", "relationship", *ENROLLED, "collected_on", "answered_by")
DEFAULT = "default"

_MARKS = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"\d+\Z")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Box(_Strict):
    """A column that adds one wording to a question: a check-box, or a write-in (no `wording`)."""

    topic: str
    wording: str = ""
    no: str = ""


class Known(NamedTuple):
    """What a heading stands for: a role with its number (``race_2``), or a box."""

    role: str = ""
    number: int = 0
    box: Box | None = None


class Guide(_Strict):
    """Everything guides/survey.toml says; the file itself explains every key."""

    delimiters: tuple[str, ...]
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    dates: tuple[str, ...]
    topics: tuple[str, ...]
    silent_when_empty: frozenset[str]
    identifiers: tuple[str, ...]
    identifier_systems: Mapping[str, str]
    keys: tuple[tuple[str, ...], ...]
    key_joiner: str
    truthy: frozenset[str]
    falsy: frozenset[str]
    neutralised: bool
    absent: str
    separators: Mapping[str, tuple[str, ...]]
    joins: Mapping[str, str]
    columns: Mapping[str, str]
    write_ins: Mapping[str, str]
    boxes: Mapping[str, Box]
    answered_by: Mapping[str, Method]
    relationships: Mapping[str, str]
    state_wordings: Mapping[str, str]

    @model_validator(mode="after")
    def _every_role_exists(self) -> Self:
        roles = {*PERSON, *PLACE, *ROW, *self.identifiers, *self.topics, ""}
        topics = {*self.topics, ""}
        if not set(self.columns.values()) <= roles:
            raise ValueError("columns names a role that there is none of")
        if not {*self.write_ins.values(), *(box.topic for box in self.boxes.values())} <= topics:
            raise ValueError("write_ins or boxes names a topic that is not in topics")
        if DEFAULT not in self.separators:
            raise ValueError(f"separators needs {DEFAULT}")
        if not {role for recipe in self.keys for role in recipe} <= roles or not all(self.keys):
            raise ValueError("keys names a role that there is none of, or nothing")
        return self

    @cached_property
    def headings(self) -> dict[str, Known]:
        """What each plain heading stands for; a heading given twice means what `columns` says."""
        found = {plain(heading): Known(box=box) for heading, box in self.boxes.items()}
        found |= {plain(heading): Known(box=Box(topic=topic)) for heading, topic in self.write_ins.items()}
        found |= {plain(heading): Known(role=role) for heading, role in self.columns.items()}
        return {heading: known for heading, known in found.items() if known.role or (known.box and known.box.topic)}

    @cached_property
    def answerers(self) -> dict[str, Method]:
        """Method by who answered, in lower case."""
        return {word.casefold(): method for word, method in self.answered_by.items()}

    @cached_property
    def relatives(self) -> dict[str, str]:
        """INS02 code by wording, in lower case."""
        return {word.casefold(): code for word, code in self.relationships.items()}

    @cached_property
    def _affixes(self) -> tuple[list[str], list[str]]:
        return [plain(word) for word in self.prefixes], [plain(word) for word in self.suffixes]

    def known(self, heading: str) -> Known | None:
        """What a heading stands for, as it is, then without prefix, suffix and number; else None."""
        for form in self._forms(plain(heading)):
            if form in self.headings:
                return self.headings[form]
        for form in self._forms(plain(heading)):
            number = _NUMBER.search(form)
            known = self.headings.get(form[: number.start()]) if number else None
            if number and known and (known.role in self.topics or known.role == "address_line"):
                return known._replace(number=int(number[0][-9:]))
        return None

    def _forms(self, heading: str) -> list[str]:
        prefixes, suffixes = self._affixes
        forms = [heading, *(heading.removeprefix(word) for word in prefixes if heading.startswith(word))]
        return forms + [form.removesuffix(word) for form in forms for word in suffixes if form.endswith(word)]

    def separators_of(self, topic: str) -> tuple[str, ...]:
        """What separates several answers in one cell of a topic."""
        return self.separators.get(topic, self.separators[DEFAULT])

    def accepted_keys(self) -> str:
        """The headings that can make a member key, in words."""
        recipes = []
        for recipe in self.keys:
            named = ["/".join(h for h, role in self.columns.items() if role == wanted) for wanted in recipe]
            recipes.append(" together with ".join(named))
        return "; ".join(recipes)


def plain(heading: str) -> str:
    """A heading without case, accents, blanks and punctuation: what headings are compared by."""
    parts = unicodedata.normalize("NFKD", heading.casefold())
    return _MARKS.sub("", "".join(c for c in parts if not unicodedata.combining(c)))


def guide_from(document: Mapping[str, Any]) -> Guide:
    """The guide a context hands over; the built-in one where it hands over none.

    Raises TableError for a guide that is malformed.
    """
    try:
        return Guide.model_validate(document or Tables().document(NAME))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the guide"
        raise TableError(f"{NAME}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
