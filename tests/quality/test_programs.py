"""Programs as tables: what is shipped, what a user's own file may say, and what is refused."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Method, Severity, State
from fhir_equity.quality.programs import Program, program_from, programs_from
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

TABLES = Tables()
SHIPPED = ("base", "covered-california", "ldm-style", "masshealth", "oregon", "rdm-style", "tmsis")
HEAD: dict[str, Any] = {"title": "t", "edition": "1", "source": "s", "sure": "verified"}
MEASURE: dict[str, Any] = {"title": "t", "topic": "race", "source": "s", "sure": "verified"}


def program(name: str) -> Program:
    return programs_from(TABLES, (name,))[0]


def test_what_is_shipped() -> None:
    assert tuple(Path(name).stem for name in TABLES.names("programs", ".toml")) == SHIPPED
    assert [each.name for each in programs_from(TABLES, (*SHIPPED, "base"))] == list(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_row_names_its_source_and_every_question_exists(name: str) -> None:
    topics = Vocabulary(TABLES).codes.topics
    for measure in program(name).measure.values():
        assert measure.source
        assert {measure.topic, *([measure.among.topic] if measure.among else [])} <= set(topics)
        assert Method.UNSTATED not in measure.methods
        assert State.NOT_APPLICABLE not in measure.excluded, "no state of race may shrink a denominator"
        assert measure.kind != "not_computed" or measure.note
    for table in program(name).table.values():
        assert table.source
        assert table.topic in topics


@pytest.mark.parametrize("name", SHIPPED)
def test_nobody_is_called_compliant(name: str) -> None:
    words = str(TABLES.document(f"programs/{name}.toml")).casefold()
    assert "compliant" not in words
    assert "ncqa-" not in words


def test_a_value_whose_method_nobody_stated_is_not_direct() -> None:
    for name in SHIPPED:
        for column, methods in program(name).columns.items():
            assert (Method.UNSTATED in methods) == (column == "source unstated")


def test_the_gate_of_rdm() -> None:
    rdm = program("rdm-style")
    decides = {name for name, measure in rdm.measure.items() if measure.decides}
    assert decides == {"race_direct_without_declined", "ethnicity_direct_without_declined"}
    assert {measure.at_least for measure in rdm.measure.values()} == {0.2}


def test_the_limits_of_cms_are_those_that_cms_published(shared: Path) -> None:
    path = shared / "policy/tmsis_rel_thresholds.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["measure_id"]: row for row in csv.DictReader(file)}
    measures = program("tmsis").measure
    assert set(measures) == set(rows)
    assert len(rows) == 30
    assert sum(row["active"] == "Y" for row in rows.values()) == 28
    assert sum(measure.limited for measure in measures.values()) == 16
    for name, row in rows.items():
        limits = [row[f"{kind}_{end}"] for kind in ("inferential", "compliance") for end in ("lower", "upper")]
        published = [float(limit) if limit not in ("", "N/A") else None for limit in limits]
        ours = measures[name]
        said = [ours.at_least, ours.at_most, ours.compliance_at_least, ours.compliance_at_most]
        assert [limit or 0 for limit in said] == [limit or 0 for limit in published], name
        assert row["active"] == "Y" or not ours.decides


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"population": {"enrolled": "sometimes"}}, "population.enrolled"),
        ({"measure": {"m": MEASURE | {"states": ["perhaps"]}}}, "measure.m.states.0"),
        ({"measure": {"m": MEASURE | {"at_least": 80}}}, "measure.m.at_least"),
        ({"measure": {"m": {**MEASURE, "sure": "certain"}}}, "measure.m.sure"),
        ({"table": {"t": MEASURE}}, "columns must hold every method exactly once"),
        ({"columns": {"direct": ["self", "unstated"]}}, "has a column of its own"),
    ],
)
def test_what_a_program_may_not_say(more: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError) as error:
        program_from(HEAD | more, "mine")
    assert str(error.value).startswith("program mine: ")
    assert said in str(error.value)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "t"\nedition = "1"\nsource = "s"\nsure = "assumption"\n', encoding="utf-8")
    (mine,) = programs_from(TABLES, (str(path),))
    assert (mine.name, mine.population.enrolled) == ("mine", "anybody")
    (tmp_path / "base.toml").write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match=r"^two different programs are called base; give your file another name$"):
        programs_from(TABLES, ("base", str(tmp_path / "base.toml")))
    path.write_text("CANARY = = 1", encoding="utf-8")
    with pytest.raises(TableError, match=r"^the program mine.toml is no TOML$"):
        programs_from(TABLES, (str(path),))
    with pytest.raises(UsageError, match=r"^the program gone.toml cannot be read: No such file"):
        programs_from(TABLES, ("gone.toml",))
    with pytest.raises(UsageError, match=r"^there is no such program; there are: base, covered-california, "):
        programs_from(TABLES, ("nowhere",))
    with pytest.raises(UsageError, match=r"^there is no such program"):
        programs_from(TABLES, ("../policies/release",))


def test_an_overlay_changes_one_limit(tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/rdm-style.toml").write_text("[measure.race_direct]\nat_least = 0.5\n", encoding="utf-8")
    (rdm,) = programs_from(Tables(overlay=tmp_path), ("rdm-style",))
    assert (rdm.measure["race_direct"].at_least, rdm.measure["ethnicity_direct"].at_least) == (0.5, 0.2)


def test_dates() -> None:
    measure = program("masshealth").measure["race"]
    assert [measure.asks(day) for day in ("2025-12-30", "2025-12-31", "2030-01-01")] == [False, True, True]
    some = program_from(HEAD | {"since": date(2026, 1, 1), "until": date(2026, 12, 31)}, "p")
    assert [some.in_effect(day) for day in ("2025-12-31", "2026-01-01", "2026-12-31", "2027-01-01")] == [
        *(False, True, True, False)
    ]


def test_ages_at_which_anything_changes() -> None:
    measures = {"a": MEASURE | {"age_from": 12}, "b": MEASURE | {"age_from": 18, "age_to": 64}, "c": MEASURE}
    assert program_from(HEAD | {"measure": measures}, "p").ages == (12, 18, 65)


def test_a_program_changes_a_severity_and_the_worst_stands() -> None:
    calm, worse = (
        program_from(HEAD | {"severity": {"source.one_value": severity}}, name)
        for name, severity in (("calm", "info"), ("worse", "error"))
    )
    assert Rulebook(TABLES)["source.one_value"].severity is Severity.WARNING
    assert Rulebook(TABLES, [calm])["source.one_value"].severity is Severity.INFO
    assert Rulebook(TABLES, [worse, calm])["source.one_value"].severity is Severity.ERROR
    with pytest.raises(TableError, match=r"rules that do not exist: source\.nothing$"):
        Rulebook(TABLES, [program_from(HEAD | {"severity": {"source.nothing": "info"}}, "p")])
    with pytest.raises(TableError, match=r"has no rule nothing$"):
        Rulebook(TABLES)["nothing"]


def test_every_rule_tells_the_steward_what_to_do() -> None:
    rules = Rulebook(TABLES)
    assert len([*rules]) == 21
    for name in rules:
        assert rules[name].message.endswith(".")
        assert len(rules[name].message) > 60
