"""The last look at what is about to leave: nothing in it may speak of what may not leave.

The rules decided before anything was built; this reads what was built, as deep as it is: extensions, codes,
narrative, what is contained, and the words of answers that are kept back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fhir_equity.adapters.fhir import mentions
from fhir_equity.model import Resolution
from fhir_equity.sync.exchange import Exchange, Ours, Resource

SHORT = 4  # a word of fewer letters stands for too much else
_COPIES = ("text", "contained")  # where copies of answers hide, and where we write nothing


def leaks(
    exchange: Exchange, ours: Ours, body: Resource, before: Resource | None, matters: Collection[str]
) -> list[str]:
    """Why a resource may not be sent, without a value; empty where it may.

    `before` is what the receiver has: what it holds already is not ours to judge. `matters` are those that the
    change is about.
    """
    context = exchange.contexts(ours.person.member.partner)
    topics, words = mentions(body, context)
    others = {topic for topic in topics if exchange.matter_of(topic) not in matters}
    secret = words & _kept_back(exchange, ours)
    if before is not None and (others or secret):
        topics_before, words_before = mentions(before, context)
        others, secret = others - topics_before, secret - words_before
    found = [f"speaks of {matter}" for matter in sorted({exchange.matter_of(topic) for topic in others})]
    if secret:
        found.append("has the words of an answer that is kept back")
    return found + [f"has {name}" for name in _COPIES if name in body and name not in (before or {})]


def _kept_back(exchange: Exchange, ours: Ours) -> set[str]:
    """The words and codes of answers that may not leave, but for those that others that may have too."""
    held, open_ = set[str](), set[str]()
    for matter, resolution in ours.resolutions.items():
        (open_ if matter in ours.said else held).update(_words(exchange, resolution))
    return held - open_


def _words(exchange: Exchange, resolution: Resolution) -> Iterator[str]:
    uris = exchange.contexts(exchange.partner).systems
    for meaning in resolution.meanings:
        for concept in meaning.concepts:
            yield f"{uris.get(concept.coding.system, concept.coding.system)}|{concept.coding.code}"
        yield from (text for text in (meaning.text, meaning.wording) if len(text) >= SHORT)
