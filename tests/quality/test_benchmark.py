"""People beside a population table."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.model import Coding, Event, Origin, Received, Resolution
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.benchmark import Benchmark, differing, population_from
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.tables import Tables

WORKSPACE = Workspace(as_of="2026-01-01")
SCHEMA = WORKSPACE.vocabulary().schema
RULE = Rulebook(Tables())["population.differs"]
HEAD = "county,category,people\n"


def race(*codes: str) -> Resolution:
    received = tuple(Received("race_ethnicity", "x", (Coding("cdcrec", code),), "", code) for code in codes)
    event = Event(received, Origin("plan"), "2026-01-01")
    return WORKSPACE.resolutions("", [event])["race_ethnicity"]


def table(path: Path, rows: str) -> Path:
    path.write_text(HEAD + rows, encoding="utf-8")
    return path


def test_worked_out_by_hand(tmp_path: Path) -> None:
    rows = "06001,White,300\n06001,Hispanic or Latino,100\n06001,Multiracial,50\n06001,Multiracial,50\n,White,1\n"
    benchmark = Benchmark(population_from(table(tmp_path / "acs.csv", rows), SCHEMA.categories), SCHEMA)
    people = [
        (["06001"], race("2106-3"), 20),
        (["06001"], race("2118-8"), 10),  # Middle Eastern, of which the table knows nothing
        (["06001", "06003"], race("2135-2", "2106-3"), 25),
        (["06001"], race("2106-3", "2028-9"), 5),
        ([], race("2106-3"), 40),
        (["06001"], None, 9),
    ]
    for counties, resolution, count in people:
        benchmark.add(counties, resolution, count)
    whole, county = benchmark.document(RULE)
    assert (whole["county"], whole["people"], whole["population"]) == ("", 100, 1)
    assert (county["county"], county["people"], county["population"]) == ("06001", 60, 500)
    rows_ = {row["category"]: row for row in county["categories"]}
    assert {name: row["people"] for name, row in rows_.items()} == {
        "Hispanic or Latino": 25, "Multiracial": 5, "White": 30,
    }  # fmt: skip
    assert rows_["White"]["difference"] == pytest.approx(-0.1)
    assert not rows_["White"]["differs"]  # ten points are not more than ten
    assert rows_["Hispanic or Latino"]["differs"]
    assert county["dissimilarity"] == pytest.approx((abs(25 / 60 - 0.2) + abs(5 / 60 - 0.2) + 0.1) / 2)
    found = list(differing([county]))
    assert found == [("06001", "Hispanic or Latino", 25), ("06001", "Multiracial", 5)]


def test_too_few_people_differ_from_nothing(tmp_path: Path) -> None:
    benchmark = Benchmark(population_from(table(tmp_path / "acs.csv", ",Asian,9\n"), SCHEMA.categories), SCHEMA)
    benchmark.add([], race("2106-3"), 49)
    (whole,) = benchmark.document(RULE)
    assert whole["dissimilarity"] == 1
    assert [*differing([whole])] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + ",Purple,3\n", "row 2: no category of OMB 2024"),
        (HEAD + ",White,x\n", "row 2: no category"),
        (HEAD + ",White\n", "row 2: no category"),
        ("county,people\n", "must have the columns county, category, people"),
        (HEAD, "has no people"),
        (HEAD + ",White,\xff\n", "is not UTF-8 text"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "acs.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=message):
        population_from(path, SCHEMA.categories)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        population_from(tmp_path / "acs.csv", SCHEMA.categories)
