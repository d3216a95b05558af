"""What members are asked: OMB's categories and check boxes, codes that the tables know, words in each language."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters.fhir import validate
from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Coding, Received, Relationship, State
from fhir_equity.pipeline.questionnaire import QUESTIONS, languages, questionnaire
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import fold

Json = dict[str, Any]
VOCABULARY = Vocabulary()
TABLES = VOCABULARY.tables
LANGUAGES = languages(TABLES)
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
EXCLUSIVE = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive"


def emitted(folder: Path, lang: str = "en", overlay: Path | None = None, partner: str = "") -> Json:
    with Workspace(Settings(mappings=MappingSettings(overlay=overlay))) as workspace:
        questionnaire(workspace, folder / "q.json", lang=lang, partner=partner)
    found: Json = json.loads((folder / "q.json").read_bytes())
    return found


def items_of(holder: Json) -> Iterator[Json]:
    for item in holder.get("item", ()):
        yield item
        yield from items_of(item)


@pytest.fixture(scope="module", params=LANGUAGES)
def form(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Json:
    return emitted(tmp_path_factory.mktemp("form"), request.param)


@pytest.fixture(scope="module")
def items(form: Json) -> dict[str, Json]:
    found = list(items_of(form))
    named = {item["linkId"]: item for item in found}
    assert len(named) == len(found)
    return named


def codings(item: Json) -> list[Json]:
    return [option["valueCoding"] for option in item.get("answerOption", ())]


def codes(item: Json) -> list[str]:
    return [coding["code"] for coding in codings(item)]


def topics() -> dict[str, str]:
    asked = TABLES.document(QUESTIONS)["item"]
    return {name: item["topic"] for name, item in asked.items() if "topic" in item}


# What is asked ---------------------------------------------------------------------------------


def test_it_is_valid_and_says_what_it_is(form: Json) -> None:
    assert validate(form, "Questionnaire") == []
    assert form["url"] == "https://fhir-equity.example/Questionnaire/member-reported"
    assert form["version"] == f"2026-11-22-{form['language']}"
    assert form["id"] == f"member-reported-{form['language']}"
    assert form["name"] == f"MemberReported{form['language'].capitalize()}"
    assert form["subjectType"] == ["Patient"]
    assert "LOINC" in form["copyright"]


def test_an_unreviewed_translation_says_so(tmp_path: Path) -> None:
    assert LANGUAGES == ["en", "es"]
    told = {lang: emitted(tmp_path, lang) for lang in LANGUAGES}
    assert {lang: each["status"] for lang, each in told.items()} == {"en": "active", "es": "draft"}
    assert "has not been reviewed" in told["es"]["description"]
    assert "reviewed" not in told["en"]["description"]


def test_the_combined_question_has_the_categories_of_omb_and_may_be_declined(items: dict[str, Json]) -> None:
    category = items["race-category"]
    minimum = [row["cdcrec"] for row in TABLES.rows("codes/omb2024.csv") if row["kind"] == "minimum"]
    assert codes(category) == [*minimum, "asked-unknown", "asked-declined"]
    assert (category["type"], category["repeats"]) == ("choice", True)
    alone = [o["valueCoding"]["code"] for o in category["answerOption"] if "extension" in o]
    assert alone == ["asked-unknown", "asked-declined"]
    assert category["answerOption"][-1]["extension"] == [{"url": EXCLUSIVE, "valueBoolean": True}]


def test_every_category_has_its_check_boxes_and_a_write_in(items: dict[str, Json]) -> None:
    rows = TABLES.rows("codes/omb2024.csv")
    wanted = {
        minimum["cdcrec"]: [
            r["cdcrec"] for r in rows if r["kind"] == "checkbox" and r["category"] == minimum["category"]
        ]
        for minimum in rows
        if minimum["kind"] == "minimum"
    }
    found = {}
    for item in items["race-ethnicity"]["item"][1:]:
        (when,) = item["enableWhen"]
        assert (when["question"], when["operator"]) == ("race-category", "=")
        assert when["answerCoding"] in codings(items["race-category"])
        found[when["answerCoding"]["code"]] = codes(item)
        assert item["type"] == ("open-choice" if codes(item) else "string")
        assert item.get("repeats", False) is bool(codes(item))
    assert found == wanted


def test_the_english_words_are_those_of_omb(tmp_path: Path) -> None:
    found = {item["linkId"]: item for item in items_of(emitted(tmp_path))}
    shown = {coding["code"]: coding["display"] for item in found.values() for coding in codings(item)}
    rows = [row for row in TABLES.rows("codes/omb2024.csv") if row["kind"] in ("minimum", "checkbox")]
    assert len(rows) == 43
    for row in rows:
        assert shown[row["cdcrec"]] == (row["detail"] or row["category"])
    written = "".join(json.dumps(found[name]) for name in found if name.startswith("race-"))
    examples = [row["detail"] for row in TABLES.rows("codes/omb2024.csv") if row["kind"] == "write-in-example"]
    assert [example for example in examples if example not in written] == []


def test_speech_writing_and_interpreter_are_three_questions(items: dict[str, Json]) -> None:
    asked = [item["linkId"] for item in items["language"]["item"]]
    assert asked == ["language-spoken", "language-written", "interpreter"]
    assert [items[name]["type"] for name in asked] == ["open-choice", "open-choice", "choice"]
    assert not any(items[name].get("repeats") for name in asked)


def test_sensitive_questions_come_after_their_reason_from_twelve_years_on(form: Json, items: dict[str, Json]) -> None:
    sensitive = {name for name, topic in topics().items() if VOCABULARY.codes.topic(topic).sensitive}
    assert sensitive == {"sexual-orientation", "gender-identity", "pronouns"}
    group = items["sogi"]
    (when,) = group["enableWhen"]
    assert (when["question"], when["answerCoding"]["code"]) == ("age-12", "373066001")
    assert codes(items["age-12"]) == ["373066001", "373067005"]
    why, *asked = group["item"]
    assert {item["linkId"] for item in asked} == sensitive
    assert (form["item"][0]["type"], why["type"]) == ("display", "display")
    assert all("2026-11-22" in text["text"] for text in (form["item"][0], why))


def test_every_question_with_a_topic_may_be_declined_and_none_must_be_answered(items: dict[str, Json]) -> None:
    for name in topics():
        offered = items["race-category"] if name == "race-ethnicity" else items[name]
        assert {"system": ABSENT, "code": "asked-declined"}.items() <= codings(offered)[-1].items()
    assert not any("required" in item for item in items.values())


# Codes and words -------------------------------------------------------------------------------


def test_every_answer_means_exactly_its_code(items: dict[str, Json]) -> None:
    below = {item["linkId"] for item in items_of(items["race-ethnicity"])}
    for name, item in items.items():
        topic = "race_ethnicity" if name in below else topics().get(name, "")
        for coding in codings(item) if topic else ():
            got = VOCABULARY.meaning(Received(topic, "x", (Coding(coding["system"], coding["code"]),)))
            assert got.problems == ()
            if coding["system"] == ABSENT:
                wanted = {"asked-declined": State.DECLINED, "asked-unknown": State.DONT_KNOW}[coding["code"]]
                assert (got.state, got.concepts) == (wanted, ())
            else:
                (concept,) = got.concepts
                assert concept.relationship is Relationship.EQUIVALENT, coding


def test_the_words_of_an_answer_mean_nothing_else(items: dict[str, Json]) -> None:
    """Where a crosswalk has the words of an answer, in either language, it leads to the same code."""
    looked = 0
    for name, topic in topics().items():
        for item in (items[name], *items_of(items[name])):
            for coding in codings(item):
                family = VOCABULARY.codes.topic(topic).family
                steps = VOCABULARY.crosswalks.steps(topic, family, "wording", fold(coding["display"]))
                received = Received(topic, "x", (Coding(coding["system"], coding["code"]),))
                meant = VOCABULARY.meaning(received)
                same = {concept.coding.code for concept in meant.concepts} or {meant.state.value}
                if item["linkId"] != "language-written":  # a script is more than a wording of a language says
                    assert {step.target_code for step in steps} <= same, (name, coding)
                looked += bool(steps)
    assert looked > 20


def test_languages_say_the_same_things() -> None:
    words = {lang: TABLES.document(f"questionnaires/member-reported.{lang}.toml") for lang in LANGUAGES}
    for section in ("item", "write_in", "option"):
        assert len({frozenset(each[section]) for each in words.values()}) == 1, section
        keys = set(words["en"][section])
        asked = TABLES.document(QUESTIONS)["item"]
        used = {option for item in asked.values() for option in item.get("options", ())}
        opens = {name for name, item in asked.items() if item["type"] == "open-choice"}
        assert keys == {"item": set(asked), "write_in": opens, "option": used}[section]
    assert [k for k, v in words["es"]["item"].items() if v == words["en"]["item"][k]] == []


def test_the_guide_reads_what_is_asked() -> None:
    guide = TABLES.document("guides/fhir.toml")
    asked = TABLES.document(QUESTIONS)
    read = guide["response"][asked["url"]]
    assert read["topics"] == topics()
    gated = {topic: "age-12" for name, topic in topics().items() if asked["item"][name].get("within") == "sogi"}
    assert read["only_if"] == gated
    assert [f"snomed|{code}" for code in read["yes"]] == list(asked["item"]["sogi"]["when"].values())
    assert set(read["beside"]) == {"answered-by", "age-12"}
    notes = {row["code"]: row["note"] for row in TABLES.rows("codes/information_source.csv")}
    offered = [option.partition("|")[2] for option in asked["item"][read["answered_by"]]["options"]]
    assert {code: guide["answerers"][code] for code in offered} == {code: notes[code] for code in offered}


def test_loinc_codes_are_those_of_the_guide() -> None:
    asked = TABLES.document(QUESTIONS)
    known = TABLES.document("guides/fhir.toml")["observation"]["topics"]
    for item in asked["item"].values():
        if item.get("topic") in known:
            row = known[item["topic"]]
            assert (item["loinc"], asked["loinc"][item["loinc"]]) == (row["code"], row["display"])


# As a partner or a user leaves it --------------------------------------------------------------


def put(folder: Path, text: str, name: str = QUESTIONS) -> Path:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return folder


def test_a_group_that_is_not_asked_is_left_out_with_all_in_it(tmp_path: Path) -> None:
    own = put(tmp_path / "own", 'version = "plan-3"\n[item.sogi]\nask = false\n[item.age-12]\nask = false\n')
    made = emitted(tmp_path, overlay=own)
    asked = {item["linkId"] for item in items_of(made)}
    assert made["version"] == "plan-3-en"
    assert not asked & {"sogi", "age-12", "gender-identity"}
    assert {"race-category", "interpreter"} <= asked


def test_a_partner_has_words_and_languages_of_their_own(tmp_path: Path) -> None:
    words = (Path(str(TABLES.layers[0].folder)) / "questionnaires/member-reported.en.toml").read_text(encoding="utf-8")
    name = "partners/acme/questionnaires/member-reported.xx.toml"
    own = put(tmp_path / "own", words.replace('interpreter = "', 'interpreter = "Xx '), name)
    made = emitted(tmp_path, "xx", own, "acme")
    assert next(each for each in items_of(made) if each["linkId"] == "interpreter")["text"].startswith("Xx Do you")
    with pytest.raises(UsageError, match=r"one of en, es$"):
        emitted(tmp_path, "xx", own)
    with pytest.raises(UsageError, match="no folder of tables has this partner"):
        emitted(tmp_path, partner="nobody")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[item.interpreter]\noptions = ["snomed|1"]\n', "no table has snomed|1 as an answer to interpreter_needed"),
        (
            '[item.race-mena]\noptions = ["cdcrec|2123-9"]\n',
            "no table has cdcrec|2123-9 as an answer to race_ethnicity",
        ),
        ('[item.race-mena]\noptions = ["cdcrec|2129-5"]\n', "no words for cdcrec|2129-5"),
        ('[item.interpreter]\noptions = ["nonsense|1"]\n', "no URI for nonsense"),
        ('[item.interpreter]\nexclusive = ["snomed|1"]\n', "interpreter has no option"),
        ('[item.interpreter]\nwithin = "age-12"\n', "age-12, which is no group"),
        ('[item.interpreter]\nwithin = "nowhere"\n', "nowhere, which is no group"),
        ('[item.interpreter]\nwhen = { age-12 = "x" }\n', "interpreter waits for an answer that age-12 does not have"),
        ("[item.age-12]\nask = false\n", "sogi waits for an answer"),
        ('[item.interpreter]\nkind = "x"\n', "unknown field `kind`"),
        ('[item.interpreter]\ntype = "chioce"\n', "Invalid enum value 'chioce'"),
        ('[item.new]\ntype = "display"\n', "no words for new"),
        ("[item.language]\nask = false\n[item.race-ethnicity]\nask = 7\n", "Expected `bool`"),
        ('id = "of four words"\n', "no valid FHIR: Questionnaire.id"),
    ],
)
def test_tables_that_make_no_questionnaire(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError) as raised:
        emitted(tmp_path, overlay=put(tmp_path / "own", text))
    assert message in str(raised.value)
    assert not (tmp_path / "q.json").exists()


def test_the_same_tables_give_the_same_private_bytes(tmp_path: Path) -> None:
    with Workspace() as workspace:
        first = questionnaire(workspace, tmp_path / "a.json")
        questionnaire(workspace, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "a.json").read_bytes()) == first.resource
    assert first.questions == sum(item["type"] not in ("group", "display") for item in items_of(first.resource))
    assert Tables().overlaid(QUESTIONS) is False
