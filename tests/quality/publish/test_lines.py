"""Product lines, which some people are in several of: what is subtracted from all of them."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.quality.publish.document import publish
from tests.quality.publish.audits import RULE, document, program, row, topic


def of_line(line: str, known: int, people: int) -> dict[str, Any]:
    return row("known", known, people) | {"line": line}


@pytest.mark.parametrize("twice", [0, 1, 3])
def test_a_line_is_what_the_others_leave_of_all(twice: int) -> None:
    """Of 305 five are not known: 400 less 100, give or take whoever is in both, which are no more than people are."""
    rows = [of_line("A", 300, 305), of_line("B", 100, 200), of_line("", 400 - twice, 505 - twice)]
    given = document(505 - twice, {"race_ethnicity": topic({"answered": 400 - twice, "unknown": 105})})
    done = publish(given | {"programs": {"rdm": program(rows, [], 505 - twice)}}, RULE)
    assert done.held
    known, people = (
        [each[name] for each in done.document["programs"]["rdm"]["rows"]] for name in ("numerator", "denominator")
    )
    assert None in (known[0], people[0])
    assert people[0] is None or None in known[1:]
    assert known[0] is None or twice or None in people[1:]


def test_a_table_of_a_line_too() -> None:
    def table(line: str, white: int, people: int) -> dict[str, Any]:
        rows = [{"row": "White", "counts": {"self": white}}, {"row": "Black", "counts": {"self": people - white}}]
        about = {"table": "t", "topic": "race_ethnicity", "line": line, "population": people, "columns": ["self"]}
        return about | {"rows": rows}

    tables = [table("A", 300, 305), table("B", 100, 200), table("", 400, 505)]
    rows = [of_line("A", 200, 305), of_line("B", 100, 200), of_line("", 300, 505)]
    given = document(505, {"race_ethnicity": topic({"answered": 300, "unknown": 205})})
    done = publish(given | {"programs": {"rdm": program(rows, tables, 505)}}, RULE)
    assert done.held
    told = [[each["counts"]["self"] for each in t["rows"]] for t in done.document["programs"]["rdm"]["tables"]]
    assert None in (told[1][1], told[2][1])
    assert None in (told[1][0], told[2][0], *(t["population"] for t in done.document["programs"]["rdm"]["tables"][:1]))
