"""Counts as MeasureReports: what is hidden is masked, several things are components, and rates are proportions."""

from __future__ import annotations

from typing import Any

from fhir_equity.adapters.fhir.measure_report import Group, Measured, Stratifier, Stratum, bundle, people, resources
from fhir_equity.adapters.fhir.validate import validate

MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}


def report(*groups: Group, name: str = "known") -> dict[str, Any]:
    measured = Measured(name, "Known & <told>", "Internal", "us", "2026-01-01", "2026-12-31", groups)
    (made,) = resources(bundle([measured], "https://plan.example", "2026-11-29T01:02:03+00:00", "software 1"))
    assert validate(made, "MeasureReport") == []
    return made


def populations(element: dict[str, Any]) -> dict[str, Any]:
    return {each["code"]["coding"][0]["code"]: each.get("count", each.get("_count")) for each in element["population"]}


def test_a_proportion_has_its_parts_and_its_rate() -> None:
    made = report(Group("race", "Race known", people(300, 100), 1 / 3, source="a law (verified)"))
    (group,) = made["group"]
    assert populations(group) == {"initial-population": 300, "denominator": 300, "numerator": 100}
    assert group["measureScore"] == {"value": 0.33333333, "system": "http://unitsofmeasure.org", "code": "1"}
    assert group["code"]["coding"] == [{"system": "https://plan.example/CodeSystem/known", "code": "race"}]
    assert made["measure"] == "https://plan.example/Measure/known"
    assert made["period"] == {"start": "2026-01-01", "end": "2026-12-31"}
    assert (made["status"], made["type"], made["date"]) == ("complete", "summary", "2026-11-29T01:02:03+00:00")


def test_who_may_see_it_and_the_sources_are_told_in_words() -> None:
    made = report(Group("race", "Race known", people(3, 1), source="a law (verified)"))
    told = "<p>Known &amp; &lt;told&gt;</p><p>Internal</p><p>us</p><p>Race known: a law (verified)</p>"
    assert made["text"]["div"] == f'<div xmlns="http://www.w3.org/1999/xhtml">{told}</div>'


def test_what_is_hidden_is_masked_and_has_no_rate() -> None:
    (group,) = report(Group("race", "Race", people(300, None)))["group"]
    assert populations(group) == {"initial-population": 300, "denominator": 300, "numerator": MASKED}
    assert "measureScore" not in group


def test_one_thing_is_a_value_and_several_are_components() -> None:
    strata = [
        Stratum((("county", "Inventia"),), people(5, rated=False)),
        Stratum((("county", "Inventia"), ("age", "0-5")), people(4, 2), 0.5),
    ]
    (group,) = report(Group("race", "Race", people(9, 3), 1 / 3, [Stratifier("place", "By place", strata)]))["group"]
    (stratifier,) = group["stratifier"]
    one, several = stratifier["stratum"]
    assert stratifier["code"] == [{"text": "By place"}]
    assert one == {
        "value": {"text": "Inventia"},
        "population": [{"code": {"coding": [coding("initial-population")]}, "count": 5}],
    }
    assert [(c["code"]["text"], c["value"]["text"]) for c in several["component"]] == [
        ("county", "Inventia"),
        ("age", "0-5"),
    ]
    assert "value" not in several
    assert several["measureScore"]["value"] == 0.5


def coding(code: str) -> dict[str, str]:
    return {"system": "http://terminology.hl7.org/CodeSystem/measure-population", "code": code}


def test_a_name_that_is_no_id_becomes_one() -> None:
    made = report(Group("race", "Race", people(3, 1)), name="Größe 2026_" + "x" * 80)
    assert made["id"] == ("Gr-e-2026-" + "x" * 80)[:64]


def test_the_bundle_says_where_each_stands() -> None:
    measured = Measured("known", "Known", "Internal", "", "2026-01-01", "2026-01-01", [])
    made = bundle([measured, measured], "https://plan.example", "2026-11-29T01:02:03+00:00", "software 1")
    assert validate(made, "Bundle") == []
    assert (made["type"], made["timestamp"]) == ("collection", "2026-11-29T01:02:03+00:00")
    assert [entry["fullUrl"] for entry in made["entry"]] == ["https://plan.example/MeasureReport/known"] * 2
