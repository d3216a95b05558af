"""The guide's tables: they fit together, agree with our other tables, and a broken one is refused."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.edi834.ack import Structure, Verdicts
from fhir_equity.adapters.edi834.ack.structure import Loop, Segment
from fhir_equity.errors import TableError
from fhir_equity.tables import Row
from tests.adapters.edi834.ack.answers import GUIDES, TABLES
from tests.adapters.edi834.files import GUIDE

NAME = "guides/005010X220A1"
ROWS = [TABLES.rows(f"{NAME}/{table}.csv") for table in ("loops", "segments", "elements")]
KINDS = TABLES.rows("guides/x12_data_elements.csv")
STRUCTURE = GUIDES.structures["005010X220A1"]


def below(loop: Loop) -> list[Loop]:
    return [loop, *[inner for child in loop.children if isinstance(child, Loop) for inner in below(child)]]


def test_every_row_is_in_the_tree() -> None:
    found = below(STRUCTURE.root)
    assert {loop.name for loop in found} == {row["loop"] for row in ROWS[0]}
    segments = [child for loop in found for child in loop.children if isinstance(child, Segment)]
    assert len(segments) == len(ROWS[1]) - 2  # ISA and GS stand around the set
    assert all(isinstance(loop.children[0], Segment) for loop in found)
    assert {row["data_element"] for row in ROWS[2]} - {row["data_element"] for row in KINDS} == {
        *("C001", "C040", "C052", "C056")
    }


def test_the_guide_and_the_race_table_agree() -> None:
    race = TABLES.rows("codes/x12_1109.csv")
    (element,) = [row for row in KINDS if row["data_element"] == "1109"]
    allowed = {row["codes"] for row in ROWS[2] if row["data_element"] == "1109"}
    assert [set(codes.split()) for codes in allowed] == [{row["code"] for row in race if row["x220a1"] == "Y"}]
    more = {row["code"] for row in race if row["base_005010"] == "Y" and row["x220a1"] == "N"}
    assert set(element["also_in_standard"].split()) == more


def test_the_guide_and_the_reader_know_the_same_segments() -> None:
    read = {"INS", "ST", *GUIDE["segments"]["header"], *GUIDE["segments"]["member"]}
    assert STRUCTURE.names - {"ISA", "GS"} == read


def test_repeats_of_race_and_uses_of_language() -> None:
    race = next(r for r in ROWS[2] if (r["loop"], r["segment"], r["element"]) == ("2100A", "DMG", "5"))
    assert int(race["repeat"]) == GUIDE["race"]["most_repeats"]
    use = next(r for r in ROWS[2] if (r["segment"], r["element"]) == ("LUI", "4"))
    assert use["codes"].split() == list(GUIDE["language"]["use"])


def without(rows: tuple[Row, ...], **cells: str) -> list[Row]:
    return [row for row in rows if any(row[column] != cell for column, cell in cells.items())]


@pytest.mark.parametrize(
    ("place", "rows"),
    [
        (0, without(ROWS[0], loop="2300")),
        (0, without(ROWS[0], loop="ST")),
        (0, [{**row, "order": "?"} for row in ROWS[0]]),
        (1, without(ROWS[1], segment="ISA")),
        (1, without(ROWS[1], segment="GS")),
        (1, [{**row, "syntax": "Z0102"} for row in ROWS[1]]),
        (1, [{**row, "syntax": "P01"} for row in ROWS[1]]),
        (1, [{**row, "syntax": "P01023"} for row in ROWS[1]]),
        (2, without(ROWS[2], segment="COB")),
    ],
)
def test_tables_that_do_not_fit_are_refused(place: int, rows: list[Row]) -> None:
    loops, segments, elements = (rows if at == place else table for at, table in enumerate(ROWS))
    with pytest.raises(TableError, match="do not fit together"):
        Structure(loops, segments, elements, KINDS)


@pytest.mark.parametrize("cells", [{"element": "AK304"}, {"decision": "P"}, {"decision": ""}, {"code": ""}])
def test_a_malformed_acknowledgement_row_is_refused(cells: dict[str, str]) -> None:
    row = {"element": "IK304", "code": "1", "cause": "segment.unrecognised", "decision": "E", "display": "x"}
    assert Verdicts([row]).of("segment.unrecognised").code == "1"
    with pytest.raises(TableError, match="no known element"):
        Verdicts([{**row, **cells}])


def test_a_cause_without_a_row_is_told() -> None:
    with pytest.raises(TableError, match=r"has no row for segment\.missing"):
        Verdicts([]).of("segment.missing")
    assert Verdicts([]).level("segment.missing") == ""


def test_no_demographic_error_rejects() -> None:
    for row in TABLES.rows("guides/x12_acknowledgement.csv"):
        assert row["decision"] == "E" or row["element"] not in ("IK304", "IK403"), row["cause"]
