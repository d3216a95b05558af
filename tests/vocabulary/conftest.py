"""What the tests of meaning share: one vocabulary, and short ways to receive and to resolve."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_equity.model import Coding, Event, Meaning, Origin, Received, Resolution, State
from fhir_equity.vocabulary import Vocabulary

Understand = Callable[..., Meaning]
Resolve = Callable[..., Resolution]


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary()


@pytest.fixture(scope="session")
def understand(vocabulary: Vocabulary) -> Understand:
    """understand("race", "cdcrec|2106-3", "wording|White", text="...") -> Meaning."""

    def call(topic: str, *codings: str | Coding, text: str = "") -> Meaning:
        taken = tuple(c if isinstance(c, Coding) else Coding(*c.split("|", 1)) for c in codings)
        return vocabulary.meaning(Received(topic, "test.element", taken, text))

    return call


@pytest.fixture(scope="session")
def resolve() -> Resolve:
    """The resolution in which the given meanings of one event won."""

    def call(matter: str, *meanings: Meaning, standard: str = "") -> Resolution:
        states = {meaning.state for meaning in meanings}
        state = State.ANSWERED if State.ANSWERED in states else meanings[0].state
        return Resolution(matter, state, meanings, Event((), Origin(standard=standard)))

    return call
