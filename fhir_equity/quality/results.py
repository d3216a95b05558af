"""The counts of a program -> its part of the audit document (``programs``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import Any

from fhir_equity.errors import FatalError
from fhir_equity.quality.measures import ALL
from fhir_equity.quality.populations import period
from fhir_equity.quality.programs import Measure, Program, Table
from fhir_equity.quality.tally import Tally

Under = Mapping[tuple[str, ...], int]


def result(
    program: Program,
    tally: Tally,
    as_of: str,
    earlier: Mapping[str, Mapping[str, Fraction]] | None = None,
    told: str = "",
) -> dict[str, Any]:
    """What a program asks for and what was counted, with the source of every row.

    A dissimilarity is one from the program's own reference, else from what was counted `earlier`, by measure; what
    is `told` of that stands with the notes of its rows.

    `met` of the whole is that of the rows that decide: False when one is not met, None when nothing
    is asked for, or when one cannot be told and none fails. Raises FatalError where a table does not
    add up to its population, which no input may bring about.
    """
    counts = _under(tally, program.name)
    lines = _lines(program, counts)
    rows = [
        _row(program, name, measure, line, _under(counts, line), as_of, (earlier or {}).get(name))
        for line in lines
        for name, measure in program.measure.items()
    ]
    for row in rows:
        if row["kind"] == "dissimilarity" and told:
            row["note"] = f"{row['note']} {told}".strip()
    return {
        **_about(program, as_of),
        "population": _population(program, counts, as_of),
        "met": met(rows),
        "rows": rows,
        "tables": [
            _table(program, name, table, line, _under(counts, line))
            for line in lines
            for name, table in program.table.items()
        ],
        "bridged": _by_question(counts, "bridged"),
        "cannot_be_bridged": _by_question(counts, "cannot_be_bridged"),
    }


def _about(program: Program, as_of: str) -> dict[str, Any]:
    known = {name: getattr(program, name) for name in ("title", "edition", "source", "sure", "note", "standard")}
    return {**known, "in_effect": program.in_effect(as_of)}


def _population(program: Program, counts: Under, as_of: str) -> dict[str, Any]:
    start, stop = period(program.population, as_of)
    whole = _under(counts, ALL)
    left_out = {key[0]: count for key, count in _under(counts, "left_out").items()}
    return {
        "enrolled": program.population.enrolled,
        "from": start,
        "to": stop,
        "counted": whole.get(("population",), 0),
        "assumed": whole.get(("assumed",), 0),
        "left_out": dict(sorted(left_out.items())),
    }


def _lines(program: Program, counts: Under) -> list[str]:
    """The product lines, then everybody where there are several (or none)."""
    if not program.population.line:
        return [ALL]
    found = sorted({key[0] for key in counts if key[1:] == ("population",)} - {ALL})
    return found if len(found) == 1 else [*found, ALL]


def _row(
    program: Program,
    name: str,
    measure: Measure,
    line: str,
    counts: Under,
    as_of: str,
    earlier: Mapping[str, Fraction] | None,
) -> dict[str, Any]:
    asks = measure.asks(as_of) and program.in_effect(as_of)
    denominator = counts.get(("denominator", name), 0)
    values = {key[0]: count for key, count in _under(counts, "value", name).items()}
    nobody = "" if denominator else measure.nobody
    row: dict[str, Any] = {
        "measure": name,
        "title": measure.title,
        "topic": measure.topic,
        "among": "" if measure.among is None else measure.among.topic,
        "line": "" if line == ALL else line,
        "kind": measure.kind,
        "decides": measure.decides and asks and not nobody and not _together(program, line, counts),
        "nobody": nobody,
        "numerator": counts.get(("numerator", name), 0),
        "denominator": denominator,
        "stale": None if measure.within_days is None else counts.get(("stale", name), 0),
        "excluded": {key[0]: count for key, count in sorted(_under(counts, "excluded", name).items())},
        "source": measure.source,
        "sure": measure.sure,
        "note": measure.note,
        "rule": measure.rule,
    }
    reference = program.reference.get(measure.topic) or earlier
    share = _share(measure, row["numerator"], denominator, values, reference)
    if measure.kind != "share":
        row |= {"numerator": None, "values": dict(sorted(values.items()))}
    if measure.kind == "dissimilarity":
        row["reference"] = None if reference is None else {name: float(part) for name, part in reference.items()}
    asked = measure if asks else None
    return row | {
        "rate": None if share is None else float(share),
        "threshold": None if asked is None else asked.at_most if asked.at_least is None else asked.at_least,
        "at_least": asked and asked.at_least,
        "at_most": asked and asked.at_most,
        "met": None if asked is None else within(share, asked.at_least, asked.at_most),
        "compliance_at_least": measure.compliance_at_least,
        "compliance_at_most": measure.compliance_at_most,
        "compliant": within(share, measure.compliance_at_least, measure.compliance_at_most),
        "more": None if asked is None else _asked_for(row["numerator"], denominator, asked),
    }


def _together(program: Program, line: str, counts: Under) -> bool:
    """Whether this is everybody beside the lines that decide."""
    return line == ALL and bool(program.population.line) and bool(counts)


def _share(
    measure: Measure,
    numerator: int,
    denominator: int,
    values: Mapping[str, int],
    reference: Mapping[str, float] | Mapping[str, Fraction] | None,
) -> Fraction | None:
    """The exact rate; None without anybody, or where the kind of measure has none."""
    if measure.kind == "share":
        return Fraction(numerator, denominator) if denominator else None
    if measure.kind != "dissimilarity" or not reference or not values:
        return None
    return dissimilarity(values, reference)


def dissimilarity(values: Mapping[str, int], reference: Mapping[str, float] | Mapping[str, Fraction]) -> Fraction:
    """Half the sum of the differences between two distributions: 0 where they agree, 1 where nothing is shared.

    https://www.medicaid.gov/tmsis/dataguide/data-quality-measures/el-1-008-7. Both are made to add up to 1.
    """
    whole, other = sum(values.values()), sum(map(_exact, reference.values()))
    shares = {name: _exact(part) / other for name, part in reference.items()}
    parts = (Fraction(values.get(n, 0), whole) - shares.get(n, Fraction()) for n in {*values, *reference})
    return sum((abs(part) for part in parts), Fraction()) / 2


def within(share: Fraction | None, at_least: float | None, at_most: float | None) -> bool | None:
    """Whether a share keeps to its limits, both of which may be reached; None without either."""
    if share is None or (at_least is None and at_most is None):
        return None
    return (at_least is None or share >= _exact(at_least)) and (at_most is None or share <= _exact(at_most))


def _asked_for(numerator: int, denominator: int, measure: Measure) -> int | None:
    """How many of the people counted must still be asked to reach `at_least`.

    Only of measures of whether an answer is there: nobody is asked to give a certain one.
    """
    certain = measure.categories or measure.except_categories or measure.without_categories or measure.several
    if measure.kind != "share" or measure.at_least is None or certain:
        return None
    return more(numerator, denominator, measure.at_least)


def more(numerator: int, denominator: int, at_least: float) -> int:
    """How many are missing from a numerator to reach a share; 0 where it is reached."""
    return max(0, ceil(_exact(at_least) * denominator) - numerator)


def _exact(number: float | Fraction) -> Fraction:
    """The number as it is written in the table: 0.2 is a fifth, and not the float beside it."""
    return number if isinstance(number, Fraction) else Fraction(str(number))


def met(rows: Iterable[Mapping[str, Any]]) -> bool | None:
    """Whether the rows that decide are met: not where one is not, None where one cannot be told or none decides."""
    found = {row["met"] for row in rows if row["decides"]}
    if False in found:
        return False
    return None if None in found or not found else True


def _table(program: Program, name: str, table: Table, line: str, counts: Under) -> dict[str, Any]:
    population = counts.get(("population",), 0)
    cells = _under(counts, "table", name)
    if sum(cells.values()) != population:
        raise FatalError(f"program {program.name}: the table {name} does not add up to its population")
    columns = list(dict.fromkeys((*program.columns, program.unknown_column)))
    named = [label for label in dict.fromkeys(table.labels.values()) if any(row == label for row, _ in cells)]
    others = sorted({row for row, _ in cells} - set(named))
    return {
        "table": name,
        "title": table.title,
        "topic": table.topic,
        "line": "" if line == ALL else line,
        "population": population,
        "columns": columns,
        "rows": [
            {"row": row, "counts": {column: cells.get((row, column), 0) for column in columns}}
            for row in (*others, *named)
        ],
        "source": table.source,
        "sure": table.sure,
        "note": table.note,
    }


def _by_question(counts: Under, what: str) -> dict[str, int]:
    return {key[0]: count for key, count in sorted(_under(_under(counts, ALL), what).items())}


def _under(counts: Under, *prefix: str) -> dict[tuple[str, ...], int]:
    size = len(prefix)
    return {key[size:]: count for key, count in counts.items() if key[:size] == prefix and count}
