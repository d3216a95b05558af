"""Check a Patient against the R4B model of fhir.resources, telling where and what kind, never a value."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

# Element names and list positions are safe to show; a key that is neither may be anything.
_ELEMENT = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}|resource_type")


def validate(resource: dict[str, Any]) -> list[str]:
    """The errors of a Patient as ``path: kind``, sorted; empty when it is valid FHIR R4B.

    The model is loaded on first use. It checks structure, types, cardinalities and choices, not
    terminology bindings and not profiles (https://hl7.org/fhir/R4B/patient.html).
    """
    from fhir.resources.R4B.patient import Patient

    try:
        Patient.model_validate(resource)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return sorted({f"{_path(each['loc'])}: {each['type']}" for each in found})
    return []


def _path(location: tuple[int | str, ...]) -> str:
    words = ["Patient"]
    for step in location:
        if isinstance(step, int):
            words.append(f"[{step}]")
        else:
            words.append(f".{step if _ELEMENT.fullmatch(step) else '?'}")
    return "".join(words)
