"""Receivers whose lists hold less than ours: the code goes, the words stay, the loss is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Event, Expressed, Loss, Origin, Received, Relationship, Resolution, State
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

SOMALI, CHINESE, SPANISH_OF_MEXICO = Coding("cdcrec", "4186-3"), Coding("cdcrec", "2034-7"), Coding("bcp47", "es-MX")


def receiver(folder: Path, says: str) -> Vocabulary:
    (folder / "guides").mkdir()
    (folder / "guides" / "fhir.toml").write_text(f"[write]\n{says}\n", encoding="utf-8")
    return Vocabulary(Tables(overlay=folder))


def sent(vocabulary: Vocabulary, topic: str, *codings: Coding) -> tuple[list[Expressed], list[Loss]]:
    meaning = vocabulary.meaning(Received(topic, "test.element", codings))
    matter = vocabulary.codes.topic(topic).matter
    resolution = Resolution(matter, State.ANSWERED, (meaning,), Event((), Origin()))
    return vocabulary.express.us_core({matter: resolution})


def codes(expressed: Expressed) -> list[str]:
    return [coding.code for coding in expressed.details]


def test_somali_falls_back_to_text_at_an_older_receiver(tmp_path: Path) -> None:
    (race,), losses = sent(receiver(tmp_path, 'cdcrec_edition = "1.0"'), "race", SOMALI, CHINESE)
    assert codes(race) == ["2034-7"]
    assert race.text == "Somali; Chinese"
    assert {coding.code for coding in race.categories} == {"2054-5", "2028-9"}
    assert [loss for loss in losses if loss.rule != "us-core.category_added"] == [
        Loss("us-core.code_too_new", Relationship.UNMATCHED, "race")
    ]


def test_a_receiver_of_whom_nothing_is_said_takes_all(vocabulary: Vocabulary) -> None:
    (race,), losses = sent(vocabulary, "race", SOMALI)
    assert codes(race) == ["4186-3"]
    assert [loss.rule for loss in losses] == ["us-core.category_added"]
    (spoken,), losses = sent(vocabulary, "language_spoken", SPANISH_OF_MEXICO)
    assert (codes(spoken), losses) == (["es-MX"], [])


def test_languages_without_regions_are_one(tmp_path: Path) -> None:
    vocabulary = receiver(tmp_path, "regions = false")
    (spoken,), losses = sent(vocabulary, "language_spoken", SPANISH_OF_MEXICO, Coding("bcp47", "es-US"))
    assert codes(spoken) == ["es"]
    assert losses == [Loss("us-core.language_without_region", Relationship.WIDER, "language_spoken")] * 2
    (spoken,), losses = sent(vocabulary, "language_spoken", Coding("bcp47", "en-US"))
    assert codes(spoken) == ["en"]
    assert sent(vocabulary, "language_spoken", Coding("bcp47", "ase")) == (
        [
            Expressed(
                "language_spoken",
                State.ANSWERED,
                details=(Coding("bcp47", "ase", "American Sign Language"),),
                text="American Sign Language",
            )
        ],
        [],
    )


def test_an_edition_that_there_is_none_of(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cdcrec_edition is none of 1\.0, newer"):
        _ = receiver(tmp_path, 'cdcrec_edition = "1.2"').express
