"""Every version of US Core: what it lists, what it has a place for, and the README's table of both."""

from __future__ import annotations

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.model import Coding, Event, Expressed, Loss, Origin, Received, Relationship, Resolution
from fhir_equity.vocabulary import US_CORE, Vocabulary
from fhir_equity.vocabulary.us_core import versions
from tests.conftest import ROOT

VOCABULARY = Vocabulary()
VERSIONS = ("3.1.1", "4.0.0", "5.0.1", "6.1.0", "7.0.0", "8.0.1", "9.0.0", "none")
ASKU, REFUSED = ("null-flavor", "ASKU"), ("data-absent-reason", "asked-declined")


def sent(version: str, topic: str, *codings: str, text: str = "") -> tuple[list[Expressed], list[Loss]]:
    received = Received(topic, "test", tuple(Coding(*each.split("|")) for each in codings), text)
    meaning = VOCABULARY.meaning(received)
    matter = VOCABULARY.codes.topic(topic).matter
    resolution = Resolution(matter, meaning.state, (meaning,), Event((received,), Origin()))
    return VOCABULARY.express.us_core({matter: resolution}, version=version)


def coded(expressed: Expressed) -> list[tuple[str, str]]:
    return [(coding.system, coding.code) for coding in (*expressed.categories, *expressed.details)]


def test_the_versions_oldest_first() -> None:
    assert tuple(versions(VOCABULARY.tables)) == VERSIONS
    assert US_CORE == "6.1.0"
    with pytest.raises(UsageError, match=r"US Core is written as 3\.1\.1, .*, 9\.0\.0, none$"):
        VOCABULARY.express.version("8.0.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_declined_by_version(version: str) -> None:
    (race, ethnicity), losses = sent(version, "race_ethnicity", "wording|Declined")
    assert [each.text for each in (race, ethnicity)] == ["Declined to answer"] * 2
    assert coded(race) == [REFUSED if version >= "8" else ASKU]
    assert coded(ethnicity) == ([] if version < "5" else coded(race))
    asku = Loss("state_to_absent_reasons:declined", Relationship.WIDER, "race_ethnicity")
    words = Loss("us-core.no_code_for.declined", Relationship.INEXACT, "ethnicity")
    assert losses == [asku] * (version < "8") + [words] * (version < "5")


@pytest.mark.parametrize("version", VERSIONS)
def test_not_knowing_is_no_refusal(version: str) -> None:
    (race, _), losses = sent(version, "race_ethnicity", "data-absent-reason|asked-unknown")
    assert coded(race) == [ASKU]
    assert [loss.rule for loss in losses] == ["us-core.no_code_for.dont_know"] * (version < "5")


@pytest.mark.parametrize("version", VERSIONS)
def test_categories_by_version(version: str) -> None:
    """Other Race is listed from 5.0.1 to 7.0.0, and only 7.0.0 has room for it beside five others."""
    six = ("1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1")
    (race,), losses = sent(version, "race", *(f"cdcrec|{code}" for code in six))
    assert len(race.categories) == (6 if version == "7.0.0" else 5)
    assert race.text.endswith("White; Other Race")
    rule = "us-core.code_not_listed" if version > "8" else "us-core.too_many_categories"
    assert [loss.rule for loss in losses] == [rule] * (version != "7.0.0")
    (alone,), losses = sent(version, "race", "cdcrec|2131-1")
    assert (coded(alone), alone.text) == ([("cdcrec", "2131-1")] * ("5" < version < "8"), "Other Race")
    assert losses == [Loss("us-core.code_not_listed", Relationship.UNMATCHED, "race")] * (not "5" < version < "8")


@pytest.mark.parametrize("version", VERSIONS)
def test_regions_of_languages_by_version(version: str) -> None:
    (spoken,), losses = sent(version, "language_spoken", "bcp47|en-US")
    enumerated = version in ("8.0.1", "9.0.0")
    assert coded(spoken) == [("bcp47", "en" if enumerated else "en-US")]
    assert [loss.rule for loss in losses] == ["us-core.language_without_region"] * enumerated


@pytest.mark.parametrize("version", VERSIONS)
def test_interpreter_by_version(version: str) -> None:
    needed, _ = sent(version, "interpreter_needed", "interpreter|true")
    not_needed, _ = sent(version, "interpreter_needed", "interpreter|false")
    found = [coded(each) for each in (*needed, *not_needed)]
    snomed = [[("snomed", "373066001")], [("snomed", "373067005")]]
    boolean = [[("interpreter", "true")], [("interpreter", "false")]]
    assert found == (snomed if version in ("8.0.1", "9.0.0") else boolean)


@pytest.mark.parametrize("version", VERSIONS)
def test_birth_sex_declined_by_version(version: str) -> None:
    found, losses = sent(version, "birth_sex", "wording|Declined")
    codes = [code for each in found for code in coded(each)]
    if version < "5":
        assert (codes, [loss.rule for loss in losses]) == ([], ["no_code_for.declined"])
    else:
        assert codes == [ASKU if version < "7" else REFUSED]


def test_a_value_without_words_takes_listed_codes_only() -> None:
    assert sent("8.0.1", "recorded_sex", text="Intersex") == (
        [],
        [Loss("us-core.code_not_listed", Relationship.UNMATCHED, "recorded_sex")],
    )
    (female,), losses = sent("8.0.1", "recorded_sex", "snomed|248152002")
    assert (coded(female), female.text, losses) == ([("snomed", "248152002")], "", [])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_place_is_one_that_can_be_written(version: str) -> None:
    guide = VOCABULARY.tables.document("guides/fhir.toml")["observation"]["topics"]
    written = VOCABULARY.express.version(version)
    assert bool(written.profile) == (version != "none")
    for topic, row in written.places.items():
        assert row["place"] in ("extension", "element", "observation", "both"), topic
        assert row["url"] or row["place"] in ("element", "observation"), topic
        assert topic in guide or row["place"] in ("element", "extension"), topic
    assert set(guide) <= set(written.places)


def test_labels_say_what_they_seem_to() -> None:
    labels = {row["code"]: row["status"] for row in VOCABULARY.tables.rows("codes/sensitivity.csv")}
    topics = VOCABULARY.tables.document("guides/fhir.toml")["observation"]["topics"]
    assert {labels[row["label"]] for row in topics.values()} == {"active"}
    assert all(VOCABULARY.codes.topic(topic).sensitive for topic in topics)


@pytest.mark.parametrize(
    ("topic", "coding", "words", "kept"),
    [
        ("recorded_sex", "snomed|248152002", "Female; my words", ""),
        ("interpreter_needed", "interpreter|true", "for Kurmanji", "Yes; for Kurmanji"),
    ],
)
def test_words_beside_a_value_without_words_are_a_loss(topic: str, coding: str, words: str, kept: str) -> None:
    (said,), losses = sent("6.1.0", topic, coding, text=words)
    assert losses == [Loss("us-core.no_place_for_text", Relationship.WIDER, topic)]
    assert said.text == kept


def test_several_tribes_are_told_one_by_one() -> None:
    two = ("tribal-entity|338", "tribal-entity|91")
    assert [coded(each) for each in sent("6.1.0", "tribal_affiliation", *two)[0]] == [
        [("tribal-entity", "338")],
        [("tribal-entity", "91")],
    ]


def test_the_origin_goes_along() -> None:
    received = Received("race", "test", (Coding("cdcrec", "2106-3"),))
    meaning, origin = VOCABULARY.meaning(received), Origin(method="self", collected_on="2026-01-02")
    resolution = Resolution("race_ethnicity", meaning.state, (meaning,), Event((received,), origin))
    (said,), _ = VOCABULARY.express.us_core({"race_ethnicity": resolution})
    assert said.origin == origin


# The README --------------------------------------------------------------------------------------


def place(version: str, topic: str) -> str:
    """The name of the extension a topic has in a version, and whether it is an Observation."""
    row = VOCABULARY.express.version(version).places.get(topic, {"place": "none", "url": ""})
    name = row["url"].rpartition("/")[2]
    observation = "Observation, profile" if name else "Observation"
    return {"none": "", "extension": f"`{name}`", "both": f"`{name}`, Observation"}.get(row["place"], observation)


def refusal(version: str, number: int) -> str:
    said = coded(sent(version, "race_ethnicity", "wording|Declined")[0][number])
    return f"`{said[0][1]}`" if said else "words only"


def gender(version: str) -> str:
    return "required" if VOCABULARY.express.version(version).places["sex"]["least"] == "1" else "optional"


def table() -> str:
    """The table of versions and features as the README shows it."""
    rows = {
        "Race categories, at most": lambda v: VOCABULARY.express.version(v).places["race"]["most"],
        "Declined, race": lambda v: refusal(v, 0),
        "Declined, ethnicity": lambda v: refusal(v, 1),
        "Region of a language": lambda v: f"`{sent(v, 'language_spoken', 'bcp47|en-US')[0][0].details[0].code}`",
        "Interpreter": lambda v: place(v, "interpreter_needed"),
        "Birth sex": lambda v: place(v, "birth_sex"),
        "Recorded sex": lambda v: place(v, "recorded_sex"),
        "Gender identity": lambda v: place(v, "gender_identity"),
        "Pronouns": lambda v: place(v, "pronouns"),
        "Sexual orientation": lambda v: place(v, "sexual_orientation"),
        "Tribal affiliation": lambda v: place(v, "tribal_affiliation"),
        "`Patient.gender`": gender,
    }
    head = ["| `--us-core` | " + " | ".join(VERSIONS) + " |", "|---|" + "---|" * len(VERSIONS)]
    return "\n".join([*head, *(f"| {name} | " + " | ".join(map(cell, VERSIONS)) + " |" for name, cell in rows.items())])


def test_the_table_of_the_readme() -> None:
    assert table() in (ROOT / "README.md").read_text(encoding="utf-8"), f"the README should show\n{table()}"
