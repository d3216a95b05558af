"""Directed crosswalks: from a received code or wording to canonical codes or a state, with the loss."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.model import Relationship, State
from fhir_equity.tables import Tables
from fhir_equity.vocabulary.codes import Codes, fold

ANY = "*"


class Step(Struct, frozen=True, gc=False):
    """One row: what the source code becomes and how well. `rule` names table and source code."""

    target_system: str
    target_code: str
    relationship: Relationship
    rule: str

    @property
    def table(self) -> str:
        """The table of the row, without the source code, which may be somebody's words."""
        return self.rule.partition(":")[0]

    @property
    def applies(self) -> bool:
        """A narrower target would say more than the person did: it is a candidate, never applied."""
        return self.relationship in (Relationship.EQUIVALENT, Relationship.WIDER, Relationship.INEXACT)


class Crosswalks:
    """All crosswalk tables under one index. Raises TableError for a row that makes no sense.

    A table that codes/systems.csv calls `on_demand` is read when its system is first asked for: most
    of all rows lead to or from systems that no file of members names.
    """

    def __init__(self, tables: Tables, codes: Codes) -> None:
        self._tables = tables
        self._inward: dict[tuple[str, str, str], list[Step]] = {}
        self._outward: dict[tuple[str, str, str], list[Step]] = {}
        self._targets: set[str] = set()
        self._canonical = {topic.code_system for topic in codes.topics.values()} | {"state", ""}
        # An overlay's rows in such a table may be about anything: they are read with the others.
        self._awaited = {system: name for system, name in codes.on_demand.items() if not tables.overlaid(name)}
        for name in tables.names("crosswalks", ".csv"):
            if name not in self._awaited.values():
                self._read(name)
        for topic, wording, coding in codes.wordings():
            self._inward.setdefault(
                (topic, "wording", wording),
                [Step(coding.system, coding.code, Relationship.EQUIVALENT, f"display:{coding.system}")],
            )

    def _read(self, name: str) -> None:
        for row in self._tables.rows(name):
            self._add(name, row)

    def _ask_for(self, system: str) -> None:
        name = self._awaited.get(system)
        if name:
            self._awaited = {other: awaited for other, awaited in self._awaited.items() if awaited != name}
            self._read(name)

    def _add(self, name: str, row: dict[str, str]) -> None:
        system, code = row["source_system"], row["source_code"]
        try:
            relationship = Relationship(row["relationship"])
        except ValueError:
            raise TableError(f"{name}: {row['relationship']!r} is no relationship") from None
        if row["target_system"] == "state" and row["target_code"] not in tuple(State):
            raise TableError(f"{name}: {row['target_code']!r} is no state")
        rule = f"{name.removeprefix('crosswalks/').removesuffix('.csv')}:{code}"
        step = Step(row["target_system"], row["target_code"], relationship, rule)
        if step.target_system in self._canonical:
            key = (row["applies_to"], system, fold(code) if system == "wording" else code)
            self._inward.setdefault(key, []).append(step)
        else:
            self._outward.setdefault((system, code, step.target_system), []).append(step)
            self._targets.add(step.target_system)

    def steps(self, topic: str, family: str, system: str, code: str) -> list[Step]:
        """The rows from a received code to canonical ones: for the topic, else its family, else any."""
        self._ask_for(system)
        for scope in (topic, family, ANY):
            found = self._inward.get((scope, system, code))
            if found is not None:
                return found
        return []

    def outward(self, system: str, code: str, target_system: str) -> list[Step]:
        """The rows from a canonical code to the codes of one target system."""
        self._ask_for(target_system)
        return self._outward.get((system, code, target_system), [])

    def leads_to(self, target_system: str) -> bool:
        """Whether any row leads to this system: a list of what a partner takes is complete where there is one."""
        return target_system in self._targets
