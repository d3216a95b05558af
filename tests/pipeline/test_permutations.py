"""Through the store: the same statements in any order and in chunks of any size end in the same resolutions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.model import Answer, Coding, Member, Origin, Received
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.people import events_of
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import Record
from tests.conftest import select_rows
from tests.survivorship.said import CASES, EVERY, ONE, policy

Statement = tuple[str, str, tuple[tuple[str, str], ...], Origin]  # day, member, what to which topic, from whom
CODES = ("2106-3", "2108-9", "2118-8", "2028-9", "2034-7", "2080-0", "2082-6", "2135-2", "2186-5")
WORDS = {"declined": "Prefer not to answer", "dont_know": "Don't know", "unknown": "Unknown", "hmong": "Hmong"}
DAYS = ("2025-03-02", "2025-06-01", "2026-01-01")


def statements(chance: random.Random) -> list[Statement]:
    """Of one person for each rule, and of fifty others up to four each, some of them twice."""
    said = []
    for rule, (events, *_) in CASES.items():
        for event in events:
            values = tuple((received.topic, received.raw) for received in event.received)
            said.append((event.first_seen, rule, values, event.origin))
    for number in range(50):
        for _ in range(chance.randint(1, 4)):
            topics = chance.choice((("race_ethnicity",), ("race", "ethnicity"), ("race",), ("sexual_orientation",)))
            values = tuple((topic, chance.choice((*CODES, *WORDS))) for topic in topics)
            origin = Origin(
                partner=chance.choice(("state", "plan", "other")),
                collector=chance.choice(("plan", "state", "hie")),
                method=chance.choice(("self", "unstated", "unstated", "observed")),
                standard=chance.choice(("", "omb2024")),
                question=chance.choice(("", "", ONE)),
                collected_on=chance.choice(("", "2010-01-01", "2023-12-31", "2024-02-01", "2099-01-01")),
            )
            said.append((chance.choice(DAYS), f"m{number}", values, origin))
    return said + chance.sample(said, 20)


def load(workspace: Workspace, said: Sequence[Statement], chance: random.Random) -> None:
    """Block after block in this order, a run for each day of a block, in chunks of some size."""
    cuts = [0, *sorted(chance.sample(range(1, len(said)), 5)), len(said)]
    for first, last in pairwise(cuts):
        _load(workspace, sorted(said[first:last], key=lambda each: each[0]), chance)


def _load(workspace: Workspace, said: Sequence[Statement], chance: random.Random) -> None:
    start = 0
    while start < len(said):
        day, stop = said[start][0], start + 1
        while stop < len(said) and said[stop][0] == day:
            stop += 1
        run = workspace.run("plan", as_of=day)
        artefact = run.artefact("said.csv", "survey")
        while start < stop:
            size = chance.randint(1, 9)
            run.add(artefact, [record(workspace, each) for each in said[start : min(start + size, stop)]])
            start = min(start + size, stop)
        run.close(artefact, sha256="f00", size=1, members=1, rejected=0)
        run.finish()


def record(workspace: Workspace, said: Statement) -> Record:
    day, key, values, origin = said
    received = [
        Received(topic, "test.said", (Coding("cdcrec", word),) if word in CODES else (), WORDS.get(word, ""), word)
        for topic, word in values
    ]
    answers = tuple(Answer(each, origin) for each in received)
    events = events_of(answers, workspace.matter_of, day)
    member = Member("plan", key, "k", answers=answers)
    return Record(member, tuple((workspace.matter_of(event.received[0].topic), event) for event in events), ())


def kept(url: str) -> list[tuple[Any, ...]]:
    """Every resolution and what it beat, each answer by what it says and not by its number."""
    said = "SELECT answer.id, event, first_seen, received.digest, origin.digest FROM answer"
    said += " JOIN received ON received.id = received_id JOIN origin ON origin.id = origin_id"
    answer = {row[0]: row[1:] for row in select_rows(url, said)}
    query = "SELECT key, resolution.matter, state, rule, policy, provisional, refused, winner FROM resolution"
    won = select_rows(url, query + " JOIN member ON member.id = member_id ORDER BY 1, 2")
    query = "SELECT key, matter, place, answer_id FROM beaten JOIN member ON member.id = member_id ORDER BY 1, 2, 3"
    return [(*row[:-1], answer[row[-1]]) for row in (*won, *select_rows(url, query))]


@pytest.fixture
def workspace(new_url: Callable[[], str], tmp_path: Path) -> Iterator[Callable[[], Workspace]]:
    opened: list[Workspace] = []

    def make() -> Workspace:
        settings = Settings(store=StoreSettings(url=new_url()), privacy=PrivacySettings(key_file=tmp_path / "e.key"))
        opened.append(Workspace(settings, "2026-03-01"))
        opened[-1].policy = policy(**EVERY)
        return opened[-1]

    yield make
    for each in opened:
        each.store.close()


@pytest.mark.parametrize("seed", range(2))
def test_any_order_and_any_chunks_end_alike(workspace: Callable[[], Workspace], seed: int) -> None:
    chance = random.Random(seed)
    said = statements(chance)
    found = []
    for _ in range(2):
        opened = workspace()
        load(opened, said, chance)
        found.append(kept(opened.settings.store.url))
        chance.shuffle(said)
    assert found[0] == found[1]
    rules = {row[0]: row[3] for row in found[0] if row[3] in CASES and row[1] == "race_ethnicity"}
    assert {person: rules[person] for person in CASES} == dict(zip(CASES, CASES, strict=True))
