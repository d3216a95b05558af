"""What the sandbox says of itself (https://hl7.org/fhir/R4/capabilitystatement.html)."""

from __future__ import annotations

from typing import Any

from fhir_equity.sandbox.search import SEARCHABLE

RESOURCES = ("Patient", "Observation", "Provenance")
_INTERACTIONS = ("create", "read", "vread", "update", "delete", "search-type")
# The date of this description, not of the server's start: it changes when what follows changes.
_DATE = "2025-11-01"


def capability(base: str) -> dict[str, Any]:
    """The CapabilityStatement of the endpoint at `base`."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "fhir-equity sandbox"},
        "implementation": {"description": "A rehearsal endpoint, not a server of record", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(kind) for kind in RESOURCES],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def _resource(kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "searchParam": [
            {"name": name, "type": known.type} for name, known in SEARCHABLE.items() if kind in known.resources
        ],
    }
