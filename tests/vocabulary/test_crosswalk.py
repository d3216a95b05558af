"""Crosswalks: scopes, relationships, and rows that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Received, Relationship, State
from fhir_equity.tables import Row, Tables
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.crosswalk import Step

HEADER = "applies_to,source_system,source_code,target_system,target_code,relationship,note\n"


def overlaid(folder: Path, rows: str) -> Vocabulary:
    """The vocabulary of an overlay with one crosswalk of its own."""
    (folder / "crosswalks").mkdir()
    (folder / "crosswalks" / "own.csv").write_text(HEADER + rows, encoding="utf-8")
    return Vocabulary(Tables(overlay=folder))


@pytest.mark.parametrize(
    ("relationship", "applies"),
    [
        (Relationship.EQUIVALENT, True),
        (Relationship.WIDER, True),
        (Relationship.INEXACT, True),
        (Relationship.NARROWER, False),
        (Relationship.UNMATCHED, False),
    ],
)
def test_a_target_that_says_more_is_never_applied(relationship: Relationship, *, applies: bool) -> None:
    assert Step("cdcrec", "2028-9", relationship, "table:A").applies is applies


def test_the_topic_wins_over_its_family_and_the_family_over_any(vocabulary: Vocabulary) -> None:
    steps = vocabulary.crosswalks.steps
    any_topic = steps("sex", "sex", "null-flavor", "NA")
    family = steps("race", "race_ethnicity", "null-flavor", "NA")
    assert [s.target_code for s in any_topic] == ["not_applicable"]
    assert [s.target_code for s in family] == ["unknown"]
    assert [s.target_code for s in steps("race", "race_ethnicity", "wording", "dominican")] == ["2069-3"]
    assert [s.target_code for s in steps("ethnicity", "race_ethnicity", "wording", "dominican")] == ["2184-0"]
    assert steps("race", "race_ethnicity", "wording", "no such words") == []


def test_steps_name_their_row(vocabulary: Vocabulary) -> None:
    (step,) = vocabulary.crosswalks.steps("race_ethnicity", "race_ethnicity", "x12-1109", "B")
    assert step == Step("cdcrec", "2054-5", Relationship.EQUIVALENT, "x12_1109_to_cdcrec:B")
    assert step.table == "x12_1109_to_cdcrec"


def test_outward_is_another_direction(vocabulary: Vocabulary) -> None:
    (step,) = vocabulary.crosswalks.outward("cdcrec", "2106-3", "x12-1109")
    assert step.target_code == "C"
    assert vocabulary.crosswalks.outward("cdcrec", "2106-3", "x12-1068") == []


def test_an_unknown_relationship_is_a_table_error(tmp_path: Path) -> None:
    vocabulary = overlaid(tmp_path, "race,wording,Purple,cdcrec,2106-3,similar,\n")
    with pytest.raises(TableError, match="'similar' is no relationship"):
        _ = vocabulary.crosswalks


def test_an_unknown_state_is_a_table_error(tmp_path: Path) -> None:
    vocabulary = overlaid(tmp_path, "race,wording,Purple,state,refused,equivalent,\n")
    with pytest.raises(TableError, match="'refused' is no state"):
        _ = vocabulary.crosswalks


def test_a_row_to_a_code_that_does_not_exist_stops_without_quoting_the_words(tmp_path: Path) -> None:
    vocabulary = overlaid(tmp_path, "race,wording,Purple,cdcrec,2106-4,equivalent,\n")
    with pytest.raises(TableError, match=r"own\.csv leads to a code that cdcrec does not have") as caught:
        vocabulary.meaning(Received("race", "test", text="Purple"))
    assert "purple" not in str(caught.value).lower()


def test_an_unmatched_local_code_is_still_an_answer(tmp_path: Path) -> None:
    vocabulary = overlaid(tmp_path, "race,urn:local,W9,,,unmatched,\n")
    meaning = vocabulary.meaning(Received("race", "test", (Coding("urn:local", "W9"),)))
    assert (meaning.state, meaning.concepts, meaning.problems) == (State.ANSWERED, (), ())


def test_a_row_of_the_user_s_own_folder_is_used(tmp_path: Path) -> None:
    vocabulary = overlaid(tmp_path, "race,urn:local,W9,cdcrec,2106-3,wider,\n")
    (step,) = vocabulary.crosswalks.steps("race", "race_ethnicity", "urn:local", "W9")
    assert step == Step("cdcrec", "2106-3", Relationship.WIDER, "own:W9")


# Tables that only a look-up needs --------------------------------------------------------------


class Watched(Tables):
    """Tables that remember which of them were read."""

    def __init__(self, overlay: Path | None = None) -> None:
        super().__init__(overlay=overlay)
        self.read: list[str] = []

    def rows(self, name: str) -> tuple[Row, ...]:
        self.read.append(name)
        return super().rows(name)


ON_DEMAND = Vocabulary().codes.on_demand


@pytest.mark.parametrize(("system", "name"), ON_DEMAND.items())
def test_a_table_is_read_when_its_system_is_asked_for_and_then_once(system: str, name: str) -> None:
    watched = Watched()
    vocabulary = Vocabulary(watched)
    vocabulary.meaning(Received("race", "test.element", (Coding("cdcrec", "2106-3"),), "White"))
    assert vocabulary.express
    assert not set(watched.read) & set(ON_DEMAND.values())
    for _ in range(2):
        vocabulary.crosswalks.steps("race", "race_ethnicity", system, "no such code")
        vocabulary.crosswalks.outward("cdcrec", "no such code", system)
        assert [read for read in watched.read if read in ON_DEMAND.values()] == [name]


@pytest.mark.parametrize("name", sorted(set(ON_DEMAND.values())))
def test_no_row_of_such_a_table_is_missed(name: str, vocabulary: Vocabulary) -> None:
    """Each is found from the system that it waits for: as its source, or as its target beyond our own systems."""
    rows = vocabulary.tables.rows(name)
    waiting = {system for system, table in ON_DEMAND.items() if table == name}
    own = {topic.code_system for topic in vocabulary.codes.topics.values()} | {"state", ""}
    assert rows
    for row in rows:
        assert row["source_system" if row["target_system"] in own else "target_system"] in waiting
    first = rows[0]
    steps = vocabulary.crosswalks.outward(first["source_system"], first["source_code"], first["target_system"])
    steps = steps or vocabulary.crosswalks.steps("", first["applies_to"], first["source_system"], first["source_code"])
    assert [step.target_code for step in steps] == [first["target_code"]]


def test_an_overlay_of_such_a_table_is_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "crosswalks").mkdir()
    row = "race_ethnicity,x12-1109,K,cdcrec,2118-8,wider,letter\n"
    (tmp_path / "crosswalks" / "cdcrec_to_tmsis.csv").write_text(HEADER + row, encoding="utf-8")
    watched = Watched(tmp_path)
    vocabulary = Vocabulary(watched)
    steps = vocabulary.crosswalks.steps("race", "race_ethnicity", "x12-1109", "K")
    assert [step.target_code for step in steps] == ["2118-8"]
    assert "crosswalks/cdcrec_to_tmsis.csv" in watched.read
    assert "crosswalks/cdcrec_to_omb2024.csv" not in watched.read
    assert vocabulary.crosswalks.outward("cdcrec", "2106-3", "tmsis-race")
