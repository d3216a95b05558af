"""CodeSystem, ValueSet and ConceptMap (FHIR R4) from neutral rows, in an order that never changes.

Relationships are R4's own words and are told as they stand: `wider` says that the target means more
than the source, `narrower` that it means less (http://hl7.org/fhir/R4/valueset-concept-map-equivalence.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["CodeSystem", "ValueSet", "ConceptMap"]
Content = Literal["complete", "fragment", "supplement"]
Resource = dict[str, Any]

# The properties that R4 itself defines (http://hl7.org/fhir/R4/codesystem-concept-properties.html); a
# server builds the tree from `parent` and offers no code that is `notSelectable`.
_CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_OF_R4 = {"parent": "code", "notSelectable": "boolean", "inactive": "boolean"}
_TYPES = {"code": "valueCode", "boolean": "valueBoolean", "string": "valueString"}

# R4 wants to be told in which sense these two are meant (invariant cmd-1); a row's own note says more.
_SENSE = {
    "narrower": "The target says more than the source does: a candidate for a person to decide, never applied.",
    "inexact": "The two overlap and neither holds the other.",
}


class About(Struct, frozen=True):
    """What a definition says of itself. `date` is an ISO date; what is empty is left out."""

    id: str
    url: str
    title: str
    version: str = ""
    date: str = ""
    publisher: str = ""
    description: str = ""
    copyright: str = ""


class Defined(Struct, frozen=True):
    """A code with what is known of it. A property is a word, or a boolean where R4 wants one."""

    code: str
    display: str = ""
    definition: str = ""
    properties: Mapping[str, str | bool] = {}


class Mapped(Struct, frozen=True):
    """One row of a crosswalk; systems are URIs. Without a target code the source has no match."""

    source_system: str
    source_code: str
    target_system: str
    target_code: str
    relationship: str
    note: str = ""


def code_system(about: About, defined: Sequence[Defined], content: Content, supplements: str = "") -> Resource:
    """The definition of a code system, of a part of it, or of what we add to that at `supplements`."""
    named = {name for each in defined for name in each.properties}
    own = {
        "caseSensitive": "" if supplements else True,  # the supplemented system says it
        "hierarchyMeaning": "is-a" if "parent" in named else "",
        "content": content,
        "supplements": supplements,
        "count": len(defined) if content == "complete" else "",
        "property": [_property(name) for name in sorted(named)],
        "concept": [_concept(each) for each in defined],
    }
    return _definition("CodeSystem", about, own)


def value_set(about: About, codes: Mapping[str, Mapping[str, str]]) -> Resource:
    """The list of (code -> display) of each system, retired codes too: they occur in what is received."""
    include = [
        {"system": system, "concept": [_said({"code": code, "display": shown}) for code, shown in listed.items()]}
        for system, listed in codes.items()
    ]
    return _definition("ValueSet", about, {"compose": {"inactive": True, "include": include}})


def concept_map(about: About, rows: Iterable[Mapped]) -> Resource:
    """The rows of a crosswalk: one group for each pair of systems, one element for each source code."""
    groups: dict[tuple[str, str], dict[str, list[Resource]]] = {}
    for row in rows:
        elements = groups.setdefault((row.source_system, row.target_system), {})
        elements.setdefault(row.source_code, []).append(_target(row))
    group = [
        _said(
            {
                "source": source,
                "target": target,
                "element": [{"code": code, "target": targets} for code, targets in elements.items()],
            }
        )
        for (source, target), elements in groups.items()
    ]
    return _definition("ConceptMap", about, {"group": group})


def _target(row: Mapped) -> Resource:
    comment = row.note or _SENSE.get(row.relationship, "")
    return _said({"code": row.target_code, "equivalence": row.relationship, "comment": comment})


def _definition(kind: Kind, about: About, own: Resource) -> Resource:
    said = {
        "resourceType": kind,
        "id": about.id,
        "url": about.url,
        "version": about.version,
        "name": _name(about.id),
        "title": about.title,
        "status": "active",
        "experimental": False,
        "date": about.date,
        "publisher": about.publisher,
        "description": about.description,
        "copyright": about.copyright,
    }
    return _said(said | own)


def _property(name: str) -> Resource:
    type_ = _OF_R4.get(name, "string")
    return _said({"code": name, "uri": _CONCEPT_PROPERTIES + name if name in _OF_R4 else "", "type": type_})


def _concept(each: Defined) -> Resource:
    properties = [
        {"code": name, _TYPES[_OF_R4.get(name, "string")]: value} for name, value in sorted(each.properties.items())
    ]
    return _said({"code": each.code, "display": each.display, "definition": each.definition, "property": properties})


def _said(elements: Resource) -> Resource:
    """Without what is empty, which FHIR does not allow."""
    return {name: value for name, value in elements.items() if value not in ("", [], {})}


def _name(id_: str) -> str:
    """``cdcrec-to-omb2024`` as a name that a program can use (invariant cnl-0): ``CdcrecToOmb2024``."""
    words = re.split(r"[^A-Za-z0-9]+", id_)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else f"N{joined}"
