"""The elements of a Patient that answer a topic, by ids that stay there: a Provenance names them.

https://hl7.org/fhir/us/core/element-level-provenance.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fhir_equity.adapters.fhir.languages import concerned, entries_of
from fhir_equity.adapters.fhir.merge_extensions import is_about
from fhir_equity.adapters.fhir.shape import Json, Problems, objects_in


def give_ids(patient: Json, topics: Collection[str]) -> None:
    """Give every element about these topics an id, in place; one that has one keeps it."""
    held = (*objects_in(patient.get("extension")), *objects_in(patient.get("communication")))
    used = {str(each["id"]) for each in held if "id" in each}
    for topic, element in _elements(patient, topics):
        if "id" not in element:
            names = (topic if number == 1 else f"{topic}-{number}" for number in range(1, len(used) + 2))
            element["id"] = next(name for name in names if name not in used)
            used.add(element["id"])


def ids_of(patient: Json, topics: Collection[str]) -> list[str]:
    """The ids of the elements about these topics; none where one of them has no id."""
    found = [element.get("id") for _, element in _elements(patient, topics)]
    ids = [each for each in found if isinstance(each, str) and each]
    return list(dict.fromkeys(ids)) if len(ids) == len(found) else []


def _elements(patient: Json, topics: Collection[str]) -> Iterator[tuple[str, Json]]:
    entries = entries_of(patient, Problems())
    for topic in topics:
        yield from ((topic, each) for each in objects_in(patient.get("extension")) if is_about(each, topic))
        yield from ((topic, entry.source) for entry in concerned(entries, topic))
