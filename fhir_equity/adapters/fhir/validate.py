"""Check a resource against the R4B model of fhir.resources, telling where and what kind, never a value."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

# Element names and list positions are safe to show; a key that is neither may be anything.
_ELEMENT = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}|resource_type")


def validate(resource: dict[str, Any], kind: str = "Patient") -> list[str]:
    """The errors of a resource of one kind as ``path: type``, sorted; empty when it is valid FHIR R4B.

    The model is loaded on first use. It checks structure, types, cardinalities and choices, not
    terminology bindings and not profiles (https://hl7.org/fhir/R4B/patient.html).
    """
    model: type[BaseModel] = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    try:
        model.model_validate(resource)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return sorted({f"{_path(kind, each['loc'])}: {each['type']}" for each in found})
    return []


def _path(kind: str, location: tuple[int | str, ...]) -> str:
    words = [kind]
    for step in location:
        if isinstance(step, int):
            words.append(f"[{step}]")
        else:
            words.append(f".{step if _ELEMENT.fullmatch(step) else '?'}")
    return "".join(words)
