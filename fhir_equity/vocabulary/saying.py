"""What every target shares in telling an answer: its concepts, its words, and what is not worth saying."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fhir_equity.model import Coding, Concept, Expressed, Loss, Relationship, Resolution, State


def concepts_of(resolution: Resolution) -> list[Concept]:
    """The concepts of all its meanings, each coding once."""
    return list({c.coding: c for m in resolution.meanings for c in m.concepts}.values())


def words_of(codings: Iterable[Coding], words: Iterable[str]) -> str:
    """The person's answer in words, always in the same order: codes first, then their own words."""
    return "; ".join(dict.fromkeys([*(c.display for c in codings if c.display), *words]))


def in_full(matter: str, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
    """An answered resolution in canonical codes and words."""
    codings = [concept.coding for concept in concepts_of(resolution)]
    words = [m.text for m in resolution.meanings if m.text]
    said = Expressed(matter, State.ANSWERED, details=tuple(codings), text=words_of(codings, words))
    return worth_saying([said], "plain", matter, losses)


def worth_saying(found: list[Expressed], target: str, matter: str, losses: list[Loss]) -> list[Expressed]:
    """Leave out what has neither code nor words; an answer of which nothing is left is a loss ("other", no words)."""
    kept = [e for e in found if e.categories or e.details or e.text]
    if not kept:
        losses.append(Loss(f"{target}.nothing_to_say", Relationship.UNMATCHED, matter))
    return kept


def no_code(prefix: str, resolution: Resolution, losses: list[Loss]) -> None:
    """The target cannot say why there is no answer; where there was none at all nothing is lost."""
    if resolution.winner is not None:
        losses.append(Loss(f"{prefix}no_code_for.{resolution.state.value}", Relationship.UNMATCHED, resolution.matter))


def inexact(resolutions: Mapping[str, Resolution]) -> list[Loss]:
    """What was already less than exact when it was understood: X12 O is White that may hide others.

    A rule that starts from somebody's words is named by its table only.
    """
    told = (Relationship.WIDER, Relationship.INEXACT)
    return [
        Loss(c.rule.partition(":")[0] if c.rule.startswith("wordings") else c.rule, c.relationship, matter)
        for matter, resolution in resolutions.items()
        for meaning in resolution.meanings
        for c in meaning.concepts
        if c.relationship in told
    ]
