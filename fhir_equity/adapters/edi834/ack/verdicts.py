"""Which code an acknowledgement gives for a cause, and what it decides: ``guides/x12_acknowledgement.csv``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.tables import Row


class Decision(StrEnum):
    """TA104, AK901 and IK501, from the mildest to the worst."""

    ACCEPTED = "A"
    ERRORS = "E"
    PARTLY = "P"
    REJECTED = "R"


_ORDER = list(Decision)
LEVELS = ("TA105", "AK905", "IK502", "IK304", "IK403")


class Verdict(Struct, frozen=True):
    """One row: the element that carries the code, the code, what it decides."""

    element: str
    code: str
    decision: Decision


class Verdicts:
    """The rows of the table by cause. Raises TableError for one that is malformed."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._of: dict[str, Verdict] = {}
        for row in rows:
            if row["element"] not in LEVELS or row["decision"] not in ("A", "E", "R") or not row["code"]:
                raise TableError("guides/x12_acknowledgement.csv: a row has no known element, code or decision")
            self._of[row["cause"]] = Verdict(row["element"], row["code"], Decision(row["decision"]))

    def of(self, cause: str) -> Verdict:
        """What a cause means here. Raises TableError where the table has no row for it."""
        verdict = self._of.get(cause)
        if verdict is None:
            raise TableError(f"guides/x12_acknowledgement.csv has no row for {cause or 'no error'}")
        return verdict

    def level(self, cause: str) -> str:
        """The element that tells a cause, empty for a finding that no acknowledgement speaks of."""
        verdict = self._of.get(cause)
        return verdict.element if verdict else ""


class Notes:
    """What was noted about one interchange, group or set: its codes in order of weight, and its decision."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._found: dict[str, Decision] = {}  # code -> decision
        self.decision = Decision.ACCEPTED

    def add(self, cause: str) -> None:
        """Note a cause. Raises TableError where the table has no row for it."""
        verdict = self._verdicts.of(cause)
        known = self._found.get(verdict.code, Decision.ACCEPTED)
        self._found[verdict.code] = max(known, verdict.decision, key=_ORDER.index)
        self.weigh(verdict.decision)

    def weigh(self, decision: Decision) -> None:
        """Let something below have its say."""
        self.decision = max(self.decision, decision, key=_ORDER.index)

    @property
    def codes(self) -> list[str]:
        """The codes, those that reject first."""
        return sorted(self._found, key=lambda code: self._found[code] is not Decision.REJECTED)
