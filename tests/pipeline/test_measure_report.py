"""The numbers of an audit in FHIR are those of its document, and what is published stays hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from fhir_equity.errors import FatalError
from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.demo_people import enrollment, people, survey
from fhir_equity.pipeline.measure_report import measure_report
from fhir_equity.pipeline.publish import publish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.publish.document import Internal, Published
from fhir_equity.settings import Settings, StoreSettings

Json = dict[str, Any]
PROGRAMS = ("base", "rdm-style", "ldm-style", "tmsis", "covered-california", "masshealth", "oregon")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Json, Json, Published, Json]:
    """The document of the demonstration, its reports in FHIR, and both as they may be published."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "a.834").write_bytes(enrollment(people()))
    (folder / "a.csv").write_bytes(survey(people()))
    with Workspace(Settings(store=StoreSettings(url=str(folder / "equity.db"))), "2026-11-29") as workspace:
        files = [folder / "a.834", folder / "a.csv"]
        done = audit(workspace, files, partner="demo-plan", programs=PROGRAMS, by=["county", "age,language"])
        shown = audit(workspace, files, partner="demo-plan", by=["age"])
        told = publish(workspace, shown, "demo-plan")
        internal = measure_report(workspace, Internal(done.document))
        return done.document, internal, told, measure_report(workspace, told)


def reports(made: Json) -> dict[str, Json]:
    return {entry["resource"]["id"]: entry["resource"] for entry in made["entry"]}


def counts(element: Json) -> dict[str, Any]:
    return {each["code"]["coding"][0]["code"]: each.get("count") for each in element["population"]}


def group(report: Json, code: str) -> Json:
    found: Json
    (found,) = [each for each in report["group"] if each["code"]["coding"][0]["code"] == code]
    return found


def strata(element: Json, text: str) -> dict[str, Json]:
    (found,) = [each for each in element["stratifier"] if each["code"][0]["text"] == text]
    return {
        stratum["value"]["text"]
        if "value" in stratum
        else "/".join(c["value"]["text"] for c in stratum["component"]): stratum
        for stratum in found["stratum"]
    }


def test_there_is_one_for_the_topics_and_one_for_each_program(made: tuple[Json, Json, Published, Json]) -> None:
    assert set(reports(made[1])) == {"fhir-equity-completeness", *PROGRAMS}


def test_topics_have_their_states_sources_categories_and_strata(made: tuple[Json, Json, Published, Json]) -> None:
    document, internal, _, _ = made
    race = group(reports(internal)["fhir-equity-completeness"], "race_ethnicity")
    given = document["topics"]["race_ethnicity"]
    answered = given["states"]["answered"]
    assert counts(race) == {"initial-population": 354, "denominator": 354, "numerator": answered}
    assert race["measureScore"]["value"] == round(answered / 354, 8)
    states = strata(race, "State of the answer")
    assert {name: counts(each)["initial-population"] for name, each in states.items()} == {
        "Answered": answered,
        "Declined": given["states"]["declined"],
        "Left blank": given["states"]["blank"],
        "Unknown": given["states"]["unknown"],
    }
    sources = strata(race, "Source")
    assert {name: counts(each)["numerator"] for name, each in sources.items()} == {
        source["source"]: source["states"].get("answered", 0) for source in given["sources"]
    }
    alone = strata(race, "OMB 2024, alone")
    assert sum(counts(each)["initial-population"] for each in alone.values()) == answered
    both = strata(race, "age and language")
    wanted = {
        f"{stratum['by']['age']}/{stratum['by']['language']}": stratum["topics"]["race_ethnicity"]["states"].get(
            "answered", 0
        )
        for stratum in document["strata"]
        if "age" in stratum["by"]
    }
    assert {name: counts(each)["numerator"] for name, each in both.items()} == wanted
    assert len(wanted) > 5


def test_programs_have_their_rates_lines_values_and_tables(made: tuple[Json, Json, Published, Json]) -> None:
    document, internal, _, _ = made
    found = reports(internal)
    rdm, rows = found["rdm-style"], document["programs"]["rdm-style"]["rows"]
    for row in rows:
        direct = group(rdm, row["measure"])
        assert counts(direct)["numerator"] == row["numerator"]
        assert direct["measureScore"]["value"] == round(row["rate"], 8)
        assert counts(strata(direct, "Product line")["demo-plan"])["denominator"] == 354
    assert rdm["period"] == {"start": "2026-01-01", "end": "2026-12-31"}
    cells = strata(group(rdm, "table-race"), "Row and column of demo-plan")
    assert sum(counts(each)["initial-population"] for each in cells.values()) == 354
    assert counts(cells["White/direct"]) == {"initial-population": 44}
    for row in document["programs"]["tmsis"]["rows"]:  # whom a rate is among are not all people of the program
        if row["kind"] == "share":
            rate = {"initial-population": 354, "denominator": row["denominator"], "numerator": row["numerator"]}
            assert counts(group(found["tmsis"], row["measure"])) == rate
    assert list(counts(strata(direct, "Product line")["demo-plan"])) == ["denominator", "numerator"]
    frequency = group(found["tmsis"], "EL1.7")
    (values,) = [row["values"] for row in document["programs"]["tmsis"]["rows"] if row["measure"] == "EL1.7"]
    told = {name: counts(each)["initial-population"] for name, each in strata(frequency, "Value").items()}
    assert told == values
    assert list(counts(frequency)) == ["initial-population"]
    assert "CMSgov" in found["tmsis"]["text"]["div"]
    assert "Internal: counts are not suppressed" in found["tmsis"]["text"]["div"]


def test_what_is_published_has_no_number_that_its_document_hides(made: tuple[Json, Json, Published, Json]) -> None:
    _, _, told, public = made
    report = reports(public)["fhir-equity-completeness"]
    race = group(report, "race_ethnicity")
    shown = told.document["topics"]["race_ethnicity"]
    assert told.document["audience"] == "public"
    assert "Published: small counts are suppressed" in report["text"]["div"]
    states = strata(race, "State of the answer")
    assert None in {*shown["states"].values()}
    assert {counts(each)["initial-population"] for each in states.values()} == {*shown["states"].values()}
    assert b'"masked"' in orjson.dumps(report)
    for resource in reports(public).values():
        for each in resource["group"]:
            if None in counts(each).values():
                assert "measureScore" not in each


def test_what_is_no_fhir_stops(tmp_path: Path, made: tuple[Json, Json, Published, Json]) -> None:
    with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db")))) as workspace:
        wrong = made[0] | {"software": ["not", "a", "text"]}
        with pytest.raises(FatalError, match=r"MeasureReport/fhir-equity-completeness: MeasureReport\.reporter"):
            measure_report(workspace, Internal(wrong))
