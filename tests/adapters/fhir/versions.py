"""What tests of every version share: the context that a version is written with, and answers as it holds them."""

from __future__ import annotations

from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Event, Expressed, Loss, Meaning, Origin, Received, Resolution
from fhir_equity.privacy import Pseudonyms
from fhir_equity.vocabulary import Strategy, Vocabulary
from fhir_equity.vocabulary.us_core import versions

VOCABULARY = Vocabulary()
VERSIONS = versions(VOCABULARY.tables)
KEY = b"k" * 32


def context(version: str = "6.1.0", partner: str = "acme") -> Context:
    """The context that the pipeline hands a writer of this version."""
    written = VOCABULARY.express.version(version)
    guide = VOCABULARY.tables.document("guides/fhir.toml") | {"places": written.places, "profile": written.profile}
    return Context(
        partner=partner,
        guide=guide,
        systems=VOCABULARY.codes.uris,
        created="2026-06-01T12:00:00+00:00",
        uuid=Pseudonyms(KEY).uuid,
    )


def resolved(received: list[Received], origin: Origin | None = None) -> dict[str, Resolution]:
    """Answers of one event as the winners of their matters."""
    meanings: dict[str, list[tuple[Received, Meaning]]] = {}
    for each in received:
        meaning = VOCABULARY.meaning(each)
        meanings.setdefault(VOCABULARY.codes.topic(each.topic).matter, []).append((each, meaning))
    return {
        matter: Resolution(
            matter,
            min((meaning.state for _, meaning in said), key=lambda state: state.value != "answered"),
            tuple(meaning for _, meaning in said),
            Event(tuple(each for each, _ in said), origin or Origin()),
        )
        for matter, said in meanings.items()
    }


def expressed(
    version: str, *received: Received, origin: Origin | None = None, strategy: Strategy = "faithful"
) -> tuple[tuple[Expressed, ...], list[Loss]]:
    """Answers as a version holds them, and what it cannot."""
    found, losses = VOCABULARY.express.us_core(resolved(list(received), origin), strategy, version)
    return tuple(found), losses
