"""What each rule is called, how bad what it finds is, where it begins, and what a steward does about it.

All of it is a table (``policies/rules.csv``); the rules themselves are functions of `plausible`,
`sources`, `drift`, `benchmark` and `households`. A program may say that a finding is worse or less bad.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.model import Severity
from fhir_equity.quality.programs import Program
from fhir_equity.tables import Row, Tables

TABLE = "policies/rules.csv"


class Rule(Struct, frozen=True):
    """One rule. `limit` is a share or an age, `least` the fewest people (or answers) it looks at.

    `values` are those it watches, where it does not watch all.
    """

    name: str
    severity: Severity
    message: str
    limit: float = 0.0
    least: int = 1
    topics: frozenset[str] = frozenset()
    values: tuple[str, ...] = ()


class Rulebook:
    """The rules of a run by name."""

    def __init__(self, tables: Tables, programs: Iterable[Program] = ()) -> None:
        changed = [program.severity for program in programs]
        self._rules = {row["rule"]: _rule(row, changed) for row in tables.rows(TABLE)}
        if unknown := {name for severities in changed for name in severities} - set(self._rules):
            raise TableError(f"a program changes the severity of rules that do not exist: {', '.join(sorted(unknown))}")

    def __getitem__(self, name: str) -> Rule:
        """A rule. Raises TableError for one that the table does not have."""
        if name not in self._rules:
            raise TableError(f"{TABLE} has no rule {name}")
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        """The names of all rules."""
        return iter(self._rules)


def _rule(row: Row, changed: list[dict[str, Severity]]) -> Rule:
    """A row; where several programs change its severity, the worst stands."""
    wanted = [severities[row["rule"]] for severities in changed if row["rule"] in severities]
    try:
        severity = max(wanted, key=lambda each: each.rank, default=Severity(row["severity"]))
        limit, least = float(row["limit"] or 0), int(row["least"] or 1)
    except ValueError:
        raise TableError(f"{TABLE}, {row['rule']}: a severity or a number is none") from None
    values = tuple(value.strip() for value in row["values"].split("|") if value.strip())
    return Rule(row["rule"], severity, row["message"], limit, least, frozenset(row["topics"].split()), values)
