"""members and worklist: whoever is behind a number is as many as the number, and nobody is listed who should not be."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.cli.lists import write_list
from fhir_equity.errors import UsageError
from fhir_equity.model import Address, Enrollment, Member
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.members import members
from fhir_equity.pipeline.worklist import worklist
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.due import Due
from fhir_equity.settings import Settings, StoreSettings
from tests.benchmarks.generate_834 import file_of

PARTNER = "demo-plan"
HEADER = "member_id,first_name,last_name,birth_date,survey_date,race_ethnicity,language_spoken,"
HEADER += "language_written,gender_identity,address,postal_code,enrolled_to\n"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    made: list[Workspace] = []

    def open_(*paths: Path, partner: str = PARTNER) -> Workspace:
        workspace = Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db"))), "2026-06-30")
        made.append(workspace)
        if paths:
            ingest(workspace, paths, partner=partner)
        return workspace

    yield open_
    for workspace in made:
        workspace.__exit__(None, None, None)


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: str) -> Path:
        path = tmp_path / "survey.csv"
        path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return path

    return write


def test_as_many_are_behind_a_number_as_it_says(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    workspace = opened(file_of(120, tmp_path))
    document = audit(workspace, by=["state", "age"], programs=["tmsis"]).document
    race, omb = document["topics"]["race_ethnicity"], document["views"]["omb2024"]
    numbers = {f"state/race_ethnicity/{state}": n for state, n in race["states"].items()}
    numbers |= {"state/sexual_orientation/unknown": document["population"], "population": document["population"]}
    numbers |= {f"omb2024/any/{name}": row["any"] for name, row in omb["categories"].items()}
    numbers |= {f"omb2024/combination/{'/'.join(row['categories'])}": row["count"] for row in omb["combinations"]}
    numbers |= {
        f"value/language_spoken/{code}": n for code, n in document["topics"]["language_spoken"]["values"].items()
    }
    numbers |= {f"group/{code}": n for code, n in document["views"]["detailed"].items()}
    numbers |= {
        f"stratum/{name}/{value}": stratum["population"]
        for stratum in document["strata"] for name, value in stratum["by"].items()
    }  # fmt: skip
    for row in document["programs"]["tmsis"]["rows"]:
        if row["kind"] == "share" and row["numerator"]:
            numbers[f"program/tmsis/*/numerator/{row['measure']}"] = row["numerator"]
    assert len(numbers) > 30
    some = {cell: n for place, (cell, n) in enumerate(sorted(numbers.items())) if place % 4 == 0}
    for cell, number in some.items():
        found = members(workspace, [cell], programs=["tmsis"], include_sensitive=True)
        assert found.people == number, cell
        others = members(workspace, [f"not/{cell}"], programs=["tmsis"], include_sensitive=True)
        assert others.people == document["population"] - number, cell


def test_a_list_says_where_an_answer_stands_and_its_value_only_when_asked(
    opened: Callable[..., Workspace], asked: Callable[..., Path]
) -> None:
    workspace = opened(asked("M1,Ada,Alder,1980-01-31,2026-02-01,Asian,,,,,,", "M2,Bo,Birch,1980-01-31,,White,,,,,,"))
    found = members(workspace, ["omb2024/alone/Asian"])
    (row,) = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert (row["member"], row["family"], row["given"], row["birth_date"]) == ("M1", "Alder", "Ada", "1980-01-31")
    assert (row["artefact"], row["unit"], row["number"], row["path"]) == ("survey.csv", "row", "2", "column 6")
    assert (row["matter"], row["collected_on"], row["first_seen"]) == ("race_ethnicity", "2026-02-01", "2026-06-30")
    assert "received" not in row
    shown = members(workspace, ["omb2024/alone/Asian"], show_values=True)
    assert shown.rows == ((*found.rows[0], "Asian"),)
    assert members(workspace, ["omb2024/alone/Asian", "omb2024/alone/White"]).people == 0
    assert members(workspace, ["not/omb2024/alone/Asian"]).rows[0][1] == "M2"


def test_a_sample_is_drawn_by_its_seed(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    workspace = opened(file_of(60, tmp_path))
    whole = members(workspace, ["population"])
    assert (whole.people, whole.drawn) == (60, 60)
    drawn = [members(workspace, ["population"], sample=10, seed=seed) for seed in ("1", "1", "2")]
    assert [(each.people, each.drawn, len(each.rows)) for each in drawn] == [(60, 10, 10)] * 3
    assert drawn[0].rows == drawn[1].rows != drawn[2].rows
    assert {*drawn[0].rows} < {*whole.rows}
    more = members(workspace, ["population"], sample=20, seed="1")
    assert more.rows[:10] == drawn[0].rows
    assert members(workspace, ["population"], sample=99).drawn == 60


def test_whom_a_measure_is_among_makes_its_cells_sensitive_too(
    opened: Callable[..., Workspace], asked: Callable[..., Path], tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    about = 'title = "t"\nsource = "s"\nsure = "assumption"\n'
    measures = '[measure.{}]\ntopic = "race"\n' + about
    among = 'among = {{ topic = "{}" }}\n'
    words = [about, 'edition = "1"\n', measures.format("a"), among.format("sexual_orientation")]
    own.write_text("".join([*words, measures.format("b"), among.format("ethnicity")]), encoding="utf-8")
    workspace = opened(asked("M1,Ada,Alder,1980-01-31,,Asian,,,,,,"))
    for part in ("denominator", "numerator"):
        with pytest.raises(UsageError, match="--include-sensitive"):
            members(workspace, [f"program/own/*/{part}/a"], programs=[str(own)])
        assert members(workspace, [f"program/own/*/{part}/b"], programs=[str(own)]).people in (0, 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "name a cell"),
        (["colour/red"], "a cell begins with one of: population"),
        (["program/rdm-style/*/population"], "name the program of a cell with --program; counted are: base"),
        (["rule/nothing"], "there is no such rule"),
        (["state/race_ethnicity/refused"], "states are: answered, declined"),
        (["state/shoe_size/declined"], "topics are: race_ethnicity"),
        (["not/state/race_ethnicity"], "it is state/TOPIC/STATE"),
        (["not/omb2024/alone/Asain"], "there is no such category; there are: American Indian"),
        (["state/gender_identity/answered"], "--include-sensitive"),
        (["not/value/sexual_orientation/x"], "--include-sensitive"),
        (["rule/member.asked_too_young"], "--include-sensitive"),
    ],
)
def test_cells_that_are_refused(
    opened: Callable[..., Workspace], asked: Callable[..., Path], cells: Any, message: str
) -> None:
    workspace = opened(asked("M1,Ada,Alder,1980-01-31,,Asian,,,,,,"))
    with pytest.raises(UsageError, match=message):
        members(workspace, cells)


def test_lists_are_on_the_trail_without_what_came_with_people(
    opened: Callable[..., Workspace], asked: Callable[..., Path]
) -> None:
    workspace = opened(asked("M1,Ada,Alder,1980-01-31,,Asian,,,,,,"))
    members(workspace, ["stratum/county/SECRET", "omb2024/any/Asian", "not/program/base/SECRET/population"])
    worklist(workspace)
    of_members, of_list = [e for e in workspace.store.trail.entries() if e.action in ("members", "worklist")]
    assert of_members.about["purpose"] == "stratum/county and omb2024/any/Asian and not/program/base/population"
    assert of_members.counts == {"people": 0, "listed": 0}
    assert (of_list.counts, of_list.topics) == ({"listed": 1}, {"language_spoken": 1, "language_written": 1})


def test_whom_to_ask_and_why(opened: Callable[..., Workspace], asked: Callable[..., Path], tmp_path: Path) -> None:
    workspace = opened(
        asked(
            "M1,Ada,Alder,1980-01-31,2026-02-01,Asian,es,fr,,1 Oak Way,97001,",
            "M2,Bo,Birch,2015-01-31,2026-02-01,Purple Martian,,,,1 Oak Way,97001,",
            "M3,Cy,Cedar,1980-01-31,2019-02-01,White,en,en,,,,",
            "M5,Ed,Elm,1980-01-31,2026-02-01,Prefer not to answer,en,en,,,,",
            "M6,Fay,Fir,1980-01-31,2026-02-01,,,,,,,2025-12-31",
        ),
        partner="local",
    )
    apart = tmp_path / "apart.csv"  # as in 1997, and local's sheet does not say otherwise
    columns = "member_id,first_name,last_name,birth_date,survey_date,race,ethnicity,language_spoken"
    apart.write_text(f"{columns}\nM4,Di,Dogwood,1980-01-31,2026-02-01,White,Not Hispanic,es\n")
    ingest(workspace, [apart], partner="local")
    found = worklist(workspace)
    rows = {row[1]: dict(zip(found.columns, row, strict=True)) for row in found.rows}
    why = {who: dict(zip(row["about"].split(), row["why"].split(), strict=True)) for who, row in rows.items()}
    assert why == {
        "M2": {"race_ethnicity": "not_mapped", "language_spoken": "never_asked", "language_written": "never_asked"},
        "M3": {"race_ethnicity": "stale", "language_spoken": "stale", "language_written": "stale"},
        "M4": {"race_ethnicity": "only_1997", "language_written": "never_asked"},
    }
    assert found.left_out == {"not_enrolled": 1}
    assert found.reasons == Counter((topic, reason) for each in why.values() for topic, reason in each.items())
    assert (rows["M2"]["ask"], rows["M2"]["channel"], rows["M2"]["street"]) == ("guardian", "mail", "1 Oak Way")
    assert (rows["M4"]["ask"], rows["M4"]["channel"], rows["M4"]["language"]) == ("member", "next_contact", "es")
    assert {row[1] for row in worklist(workspace, reasons=["stale"]).rows} == {"M3"}
    assert {row[1] for row in worklist(workspace, topics=["language_written"], reasons=["never_asked"]).rows} == {
        "M2",
        "M4",
    }


def test_identity_is_asked_about_only_when_named_and_never_of_a_minor(
    opened: Callable[..., Workspace], asked: Callable[..., Path]
) -> None:
    workspace = opened(
        asked("M1,Ada,Alder,1980-01-31,,,,,,1 Oak Way,97001,", "M2,Bo,Birch,2010-01-31,,,,,,1 Oak Way,97001,")
    )
    with pytest.raises(UsageError, match="--include-sensitive"):
        worklist(workspace, topics=["gender_identity"])
    found = worklist(workspace, topics=["gender_identity"], include_sensitive=True)
    ((_, who, *_, channel, _, _, _, _),) = found.rows
    assert (who, channel) == ("M1", "next_contact")
    with pytest.raises(UsageError, match="there is no such topic; there are: "):
        worklist(workspace, topics=["shoe"])
    with pytest.raises(UsageError, match="there is no such reason; there are: never_asked"):
        worklist(workspace, reasons=["shoe"])


def test_who_is_not_asked_at_all_and_who_is_reached_through_another() -> None:
    due = Due(Workspace().vocabulary(), "2026-06-30", ())

    def left_out(**enrollment: Any) -> str:
        return due.left_out(Member("p", "m", enrollment=Enrollment(**enrollment)))

    assert left_out() == ""
    assert left_out(restricted=True) == "restricted"
    assert left_out(deceased_on="2026-01-01") == "deceased"
    assert left_out(coverage="HLT", spans=(("2025-01-01", "2025-12-31"),)) == "not_enrolled"
    dependent = Member("p", "m", enrollment=Enrollment(subscriber=False))
    assert due.channel(dependent, ["race_ethnicity"]) == "subscriber"
    home = Member(
        "p", "m", enrollment=Enrollment(subscriber=False), address=Address(("1 Oak Way",), postal_code="97001")
    )
    assert due.channel(home, ["race_ethnicity"]) == "mail"
    sensitive = Due(Workspace().vocabulary(), "2026-06-30", ["gender_identity", "race_ethnicity"])
    assert sensitive.channel(home, ["gender_identity"]) == "next_contact"


def test_the_file_is_private_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    write_list(("a", "b", "c"), [("=1+1", "-1", 'say "x", y')], path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(csv.reader(io.StringIO(path.read_text()))) == [["a", "b", "c"], ["'=1+1", "-1", 'say "x", y']]
    with pytest.raises(UsageError, match="does not exist"):
        write_list(("a",), [], tmp_path / "none" / "list.csv")
