"""How the sandbox says no: a status and an OperationOutcome with fixed words, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RefusedError(Exception):
    """A request that is answered with `status` and an OperationOutcome; never leaves the sandbox.

    `code` is of http://hl7.org/fhir/R4/valueset-issue-type.html.
    """

    def __init__(self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.headers = dict(headers or {})

    @property
    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome to answer with."""
        issue = {"severity": "error", "code": self.code, "diagnostics": self.text}
        return {"resourceType": "OperationOutcome", "issue": [issue]}
