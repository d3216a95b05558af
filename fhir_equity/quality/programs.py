"""What a program counts: who is in it, which answers are complete, and how much is asked for.

A program is a table, ``programs/<name>.toml``, or a user's own file of the same shape. Nothing about
a program is in code: states, methods, ages, limits and dates are all read from there, and every
measure names its source and how sure that is.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Method, Severity, State
from fhir_equity.tables import Tables

FOLDER = "programs"
UNCATEGORISED = State.ANSWERED.value  # the row of those who answered with none of the categories
SEVERAL = "several"

Share = float | None
Sure = Literal["verified", "inferred", "assumption"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Population(_Strict):
    """``[population]``: who counts.

    `enrolled` is ``anybody`` (everybody in the data), ``day`` (the day of the run), ``month_end``
    (the last month's end up to it) or ``year`` (any time in its calendar year). `without_dates` says
    whether who is listed in an enrollment file without any date counts, `without_enrollment` whether
    who is in none (a survey alone) does. `line` says what a product line is (nothing: there is one),
    `lines` what each is called; one called nothing is left out, ``*`` stands for all not named.
    """

    enrolled: Literal["anybody", "day", "month_end", "year"] = "anybody"
    without_dates: Literal["count", "leave_out"] = "count"
    without_enrollment: Literal["count", "leave_out"] = "leave_out"
    line: Literal["", "partner", "coverage", "group"] = ""
    lines: dict[str, str] = {}


class Criterion(_Strict):
    """What must be true of a person's answer to one question (`topic`).

    Empty `methods` are all, empty `categories` any; `without_categories`: none of these. `several`: more
    than one category; `detailed`: more than a minimum category; `undated`: no date of collection;
    `wordless`: nothing in the person's own words; `within_days`: collected no longer ago than that, by a
    date that is known.
    """

    topic: str
    states: tuple[State, ...] = (State.ANSWERED,)
    methods: tuple[Method, ...] = ()
    categories: tuple[str, ...] = ()
    except_categories: tuple[str, ...] = ()
    without_categories: tuple[str, ...] = ()
    several: bool = False
    detailed: bool = False
    undated: bool = False
    wordless: bool = False
    within_days: int | None = Field(default=None, ge=0)


class Measure(Criterion):
    """``[measure.NAME]``: people who meet the criterion, of those in the population.

    `among` narrows the denominator, `excluded` takes states out of it, ages (in whole years, both
    inclusive) as well. `at_least` and `at_most` are shares, asked for from `since` to `until`;
    `compliance_at_least` and `compliance_at_most` are a second pair that decides nothing. Only what
    `decides` makes the program met or not; where `nobody` says what it means that no one is in the
    denominator, such a row says that and decides nothing. `kind` ``dissimilarity`` is half the sum of differences
    from a reference distribution, ``frequency`` counts values, ``not_computed`` says why in its note.
    """

    title: str
    source: str
    sure: Sure
    note: str = ""
    kind: Literal["share", "dissimilarity", "frequency", "not_computed"] = "share"
    among: Criterion | None = None
    excluded: tuple[State, ...] = ()
    age_from: int = Field(default=0, ge=0)
    age_to: int | None = Field(default=None, ge=0)
    at_least: Share = Field(default=None, ge=0, le=1)
    at_most: Share = Field(default=None, ge=0, le=1)
    compliance_at_least: Share = Field(default=None, ge=0, le=1)
    compliance_at_most: Share = Field(default=None, ge=0, le=1)
    decides: bool = True
    nobody: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def rule(self) -> str:
        """Who is in the numerator, and who in the denominator where that is not the population, as the file says it."""
        words = (*Criterion.model_fields, "among", "excluded", "age_from", "age_to")
        said = self.model_dump(mode="json", exclude_defaults=True, include={*words}) | {"states": [*self.states]}
        return "; ".join(f"{name} = {json.dumps(said[name])}" for name in words if name in said)

    @property
    def limited(self) -> bool:
        """Whether anything is asked for."""
        return self.at_least is not None or self.at_most is not None

    def asks(self, as_of: str) -> bool:
        """Whether it asks for it on an ISO date."""
        day = date.fromisoformat(as_of)
        return self.limited and (self.since or day) <= day <= (self.until or day)


class Table(_Strict):
    """``[table.NAME]``: everybody in the population in one row and one column.

    `by` category or state. `labels` names the row of a category (``*``: of all not named) and of a
    state; `several` and ``answered`` are those with more than one category and with none of them.
    States in `unknown` are of the column `unknown_column`, whatever the method.
    """

    title: str
    topic: str
    by: Literal["category", "state"] = "category"
    labels: dict[str, str] = {}
    unknown: tuple[State, ...] = ()
    source: str
    sure: Sure
    note: str = ""


class Program(_Strict):
    """One program. `standard` says under which question race and ethnicity are looked at.

    `hispanic_alone` is what Hispanic or Latino alone, an answer to one combined question, says about
    race where race is a question of its own: nothing (``unknown``) or an ``other`` race. `columns`
    share out the methods. `reference` is a distribution by question to compare with, `compare_with`
    says which one it is; that of `snapshots` is the mean of those with these names, which must be counted under this
    program, too. `severity` changes how bad a finding is.
    """

    name: str
    title: str
    edition: str
    source: str
    sure: Sure
    note: str = ""
    standard: Literal["omb1997", "omb2024", "tmsis"] = "omb1997"
    hispanic_alone: Literal["unknown", "other"] = "unknown"
    since: date | None = None
    until: date | None = None
    population: Population = Population()
    columns: dict[str, tuple[Method, ...]] = {}
    unknown_column: str = "unknown"
    measure: dict[str, Measure] = {}
    table: dict[str, Table] = {}
    compare_with: Literal["", "previous_month", "mean_of_six", "snapshots"] = ""
    snapshots: tuple[str, ...] = ()
    reference: dict[str, dict[str, float]] = {}
    severity: dict[str, Severity] = {}

    @model_validator(mode="after")
    def _columns_share_out_the_methods(self) -> Self:
        given = [method for methods in self.columns.values() for method in methods]
        if self.table and sorted(given) != sorted(Method):
            raise ValueError("columns must hold every method exactly once")
        if any(Method.UNSTATED in methods and len(methods) > 1 for methods in self.columns.values()):
            raise ValueError("a method that nobody stated has a column of its own")
        return self

    @model_validator(mode="after")
    def _snapshots_are_named(self) -> Self:
        if bool(self.snapshots) != (self.compare_with == "snapshots"):
            raise ValueError("compare_with snapshots and their names (snapshots) go together")
        if len({*self.snapshots}) != len(self.snapshots):
            raise ValueError("a snapshot is named twice")
        return self

    @property
    def ages(self) -> tuple[int, ...]:
        """The ages at which somebody comes into a measure or leaves it, ascending."""
        found = {m.age_from for m in self.measure.values()}
        found |= {m.age_to + 1 for m in self.measure.values() if m.age_to is not None}
        return tuple(sorted(found - {0}))

    def in_effect(self, as_of: str) -> bool:
        """Whether its rules are those of an ISO date."""
        day = date.fromisoformat(as_of)
        return (self.since or day) <= day <= (self.until or day)


def program_from(document: dict[str, Any], name: str) -> Program:
    """Read a program. Raises TableError for what is missing, unknown or contradicts itself."""
    try:
        program = Program.model_validate({**document, "name": name})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise TableError(f"program {name}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    return program


def programs_from(tables: Tables, given: tuple[str, ...]) -> tuple[Program, ...]:
    """Programs by name or file (``*.toml``), each once. Raises UsageError for one that there is none of, or two."""
    found: dict[str, Program] = {}
    for program in (_program(tables, each) for each in given):
        if found.setdefault(program.name, program) != program:
            raise UsageError(f"two different programs are called {program.name}; give your file another name")
    return tuple(found.values())


def _program(tables: Tables, given: str) -> Program:
    if given.endswith(".toml"):
        return program_from(_own(Path(given)), Path(given).stem)
    table = f"{FOLDER}/{given}.toml"
    if table not in tables.names(FOLDER, ".toml"):
        known = ", ".join(Path(name).stem for name in tables.names(FOLDER, ".toml"))
        raise UsageError(f"there is no such program; there are: {known} (or name a .toml file of your own)")
    return program_from(tables.document(table), given)


def _own(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the program {path.name} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):  # the message quotes the file
        raise TableError(f"the program {path.name} is no TOML") from None
