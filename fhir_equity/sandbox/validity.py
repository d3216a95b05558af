"""What the sandbox asks of a resource before it keeps it: far less than a real server would."""

from __future__ import annotations

from typing import Any

from fhir_equity.sandbox.outcome import RefusedError

# Elements with a minimum of one: https://hl7.org/fhir/R4/observation.html and provenance.html
_REQUIRED = {"Patient": (), "Observation": ("status", "code"), "Provenance": ("target", "recorded", "agent")}


def check(kind: str, body: object) -> dict[str, Any]:
    """The body as a resource of type `kind`. Raises RefusedError (400 for shape, 422 for content)."""
    if not isinstance(body, dict):
        raise RefusedError(400, "structure", "the body is not a JSON object")
    if body.get("resourceType") != kind:
        raise RefusedError(400, "invalid", "the resourceType is not the one in the address")
    missing = [name for name in _REQUIRED[kind] if not body.get(name)]
    if missing:
        raise RefusedError(422, "required", f"{kind} needs {' and '.join(missing)}")
    _shaped(kind, body)
    return body


def _shaped(kind: str, body: dict[str, Any]) -> None:
    """Hold the elements that searching reads to their types."""
    identifiers = body.get("identifier", [])
    if not isinstance(identifiers, list) or not all(_strings(item, "system", "value") for item in identifiers):
        raise RefusedError(422, "structure", f"{kind}.identifier is a list of Identifier")
    if not _strings(body.get("subject", {}), "reference"):
        raise RefusedError(422, "structure", f"{kind}.subject is a Reference")
    if not isinstance(body.get("meta", {}), dict):
        raise RefusedError(422, "structure", f"{kind}.meta is a Meta")


def _strings(element: object, *names: str) -> bool:
    return isinstance(element, dict) and all(isinstance(element.get(name, ""), str) for name in names)
