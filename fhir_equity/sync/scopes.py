"""Scopes of SMART: which are asked for, and whether what was granted covers them.

Source: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html; version 1 says ``read`` and
``write`` where version 2 says ``rs`` and ``cud``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# What a mode asks for where the settings name no scopes. Observations and Provenance come with Patients. What not every
# server has or grants is left to the settings, since a scope that is not granted is an error: to read Consents, and to
# delete Provenance (by a recall) and the Patients of a probe.
SCOPES = {
    "read-only": ("system/Patient.rs", "system/Observation.rs", "system/Provenance.rs"),
    "writing": ("system/Patient.crus", "system/Observation.crus", "system/Provenance.crus"),
}
_SCOPE = re.compile(r"(system|user|patient)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|[cruds]+)")
_VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}


def missing(asked: Iterable[str], granted: Iterable[str]) -> list[str]:
    """The scopes asked for that were not granted.

    A scope with a query (``system/Observation.rs?category=...``) grants nothing but itself.
    """
    granted = list(granted)
    rights: dict[tuple[str, str], set[str]] = {}
    for scope in granted:
        if found := _SCOPE.fullmatch(scope):
            rights.setdefault((found[1], found[2]), set()).update(_letters(found[3]))

    def covered(scope: str) -> bool:
        found = _SCOPE.fullmatch(scope)
        if scope in granted or found is None:
            return scope in granted
        held = rights.get((found[1], found[2]), set()) | rights.get((found[1], "*"), set())
        return set(_letters(found[3])) <= held

    return [scope for scope in asked if not covered(scope)]


def _letters(words: str) -> str:
    return _VERSION_1.get(words, words)
