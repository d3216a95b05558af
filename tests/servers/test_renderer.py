"""The questionnaire in a renderer that is not ours: shown, filled in by clicks and keys, read as what was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.adapters.fhir.questionnaire_response import BLANK
from fhir_equity.model import Coding, State
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.questionnaire import questionnaire
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.store.people import Person as Known
from tests.servers.renderer import Filled, Person, RendererError, filled
from tests.servers.test_questionnaire import judged
from tests.servers.validator import Validator

Json = dict[str, Any]
PATIENT = {
    "resourceType": "Patient",
    "id": "fx1",
    "identifier": [{"system": "https://plan.example/member", "value": "FX000001"}],
    "name": [{"family": "Rosefield", "given": ["Tala"]}],
    "birthDate": "1984-05-06",
}
LANGUAGES = ("en", "es")
NARROW = 390  # CSS pixels, a telephone


@pytest.fixture(scope="module", params=LANGUAGES)
def form(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Json:
    with Workspace() as workspace:
        return questionnaire(workspace, tmp_path_factory.mktemp("form") / "q.json", lang=request.param).resource


def items_of(holder: Json) -> dict[str, Json]:
    found = {item["linkId"]: item for item in holder.get("item", ())}
    return found | {name: each for item in found.values() for name, each in items_of(item).items()}


class Doing:
    """What a person does, by the codes of what they see."""

    def __init__(self, form: Json) -> None:
        self.items = items_of(form)

    def words(self, link: str, code: str) -> str:
        options = (option["valueCoding"] for option in self.items[link]["answerOption"])
        return str(next(each["display"] for each in options if each["code"] == code))

    def choose(self, link: str, *codes: str) -> list[tuple[str, str, str]]:
        return [(link, "choose", self.words(link, code)) for code in codes]

    def pick(self, link: str, code: str) -> list[tuple[str, str, str]]:
        return [(link, "pick", self.words(link, code))]


def known(folder: Path, done: Filled) -> Known:
    """Who is in the store after the Patient and their response have come in a Bundle."""
    bundle = {"resourceType": "Bundle", "type": "collection"}
    resources = (done.response, PATIENT)
    (folder / "answered.json").write_text(json.dumps(bundle | {"entry": [{"resource": each} for each in resources]}))
    with Workspace(Settings(store=StoreSettings(url=str(folder / "store.db")))) as workspace:
        found = ingest(workspace, [folder / "answered.json"], partner="demo-plan").findings
        assert set(found) <= {"fhir.response.not_mapped"}  # one's own word for a language
        (person,) = list(workspace.store.people)
    return person


def test_filled_in_it_is_read_as_what_was_meant(
    renderer: Path, validator: Validator, form: Json, tmp_path: Path
) -> None:
    do = Doing(form)
    steps = [
        *do.choose("answered-by", "PATRPT"),
        *do.choose("race-category", "2118-8", "1002-5"),
        *do.choose("race-mena", "2123-8"),
        ("race-mena", "write", "Moroccan"),
        ("race-american-indian", "write", "Diné"),
        *do.pick("language-spoken", "cmn"),
        ("language-written", "write", "K'iche'"),
        *do.choose("interpreter", "373066001"),
        *do.choose("age-12", "373066001"),
        *do.choose("sexual-orientation", "asked-declined"),
        *do.choose("gender-identity", "33791000087105"),
        ("gender-identity", "write", "agender"),
    ]
    done = filled(renderer, form, Person(steps, patient=PATIENT))
    assert done.errors == []
    assert done.response["questionnaire"] == f"{form['url']}|{form['version']}"
    assert judged(validator, done.response, form, tmp_path) == []
    told(known(tmp_path, done), form, done)


def told(person: Known, form: Json, done: Filled) -> None:
    events = {event.received[0].topic: event for _, event in person.events}
    with Workspace() as workspace:
        meant = {topic: workspace.vocabulary().meaning(event.received[0]) for topic, event in events.items()}
    said = {
        topic: ([c.coding.code for c in each.concepts], each.text) for topic, each in meant.items() if each.concepts
    }
    assert said == {
        "race_ethnicity": (["1002-5", "2118-8", "2123-8"], "Diné; Moroccan"),
        "language_spoken": (["cmn"], ""),
        "interpreter_needed": (["true"], ""),
        "gender_identity": (["33791000087105"], "agender"),
    }
    assert (meant["language_written"].state, meant["language_written"].text) == (State.ANSWERED, "K'iche'")
    assert meant["sexual_orientation"].state is State.DECLINED
    assert events["pronouns"].received[0].codings == (BLANK,)
    (origin,) = {event.origin for event in events.values()}
    assert (origin.method, origin.standard) == ("self", "omb2024")
    assert origin.question == f"{form['url']}|{form['version']}"
    assert origin.collected_on == done.response["authored"][:10]


def test_a_parent_of_a_child_is_asked_nothing_sensitive_on_a_telephone(
    renderer: Path, form: Json, tmp_path: Path
) -> None:
    do = Doing(form)
    steps = [
        *do.choose("answered-by", "SDMRPT"),
        *do.choose("race-category", "asked-declined"),
        *do.choose("interpreter", "asked-unknown"),
        *do.choose("age-12", "373067005"),
    ]
    done = filled(renderer, form, Person(steps, NARROW, PATIENT))
    assert (done.errors, done.overflow <= 1) == ([], True)
    assert not {"sogi", "gender-identity", "race-mena"} & set(done.shown)
    person = known(tmp_path, done)
    events = {event.received[0].topic: event for _, event in person.events}
    assert set(events) == {"race_ethnicity", "language_spoken", "language_written", "interpreter_needed"}
    assert {event.origin.method for event in events.values()} == {"proxy"}
    absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    declined, unknown = (events[topic].received[0].codings[0] for topic in ("race_ethnicity", "interpreter_needed"))
    assert (declined.system, declined.code) == (absent, "asked-declined")
    assert unknown == Coding(absent, "asked-unknown", do.words("interpreter", "asked-unknown"))


@pytest.mark.parametrize("width", [1200, NARROW])
def test_everything_is_shown_in_the_language_of_the_form(renderer: Path, form: Json, width: int) -> None:
    do = Doing(form)
    categories = [each["valueCoding"]["code"] for each in do.items["race-category"]["answerOption"]]
    steps = do.choose("race-category", *categories) + do.choose("age-12", "373066001")
    done = filled(renderer, form, Person(steps, width))
    assert (done.errors, done.overflow <= 1) == ([], True)
    assert set(done.shown) == set(do.items)
    for link, item in do.items.items():
        seen = done.shown[link]
        assert item["text"] in seen
        listed = [] if "language" in link else [each["valueCoding"]["display"] for each in item.get("answerOption", ())]
        assert [words for words in listed if words not in seen] == []
        labels = [each["valueString"] for each in item.get("extension", ()) if each["url"].endswith("openLabel")]
        assert [words for words in labels if words not in seen and "language" not in link] == []


def test_the_renderer_is_awake(renderer: Path, form: Json) -> None:
    """What is not on the screen cannot be chosen."""
    hidden = Doing(form).choose("gender-identity", "446151000124109")
    with pytest.raises(RendererError, match="Timeout 2000ms"):
        filled(renderer, form, Person(hidden, patience=2000))
