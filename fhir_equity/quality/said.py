"""What a person's decided answer says to one question of one standard: a state and categories.

Race and ethnicity are decided together and may have been asked together or apart; a program looks at
them under one standard. What that derives or cannot derive is marked, so that it can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from fhir_equity.model import Meaning, Method, Resolution, State
from fhir_equity.quality.tally import RACE
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE
from fhir_equity.vocabulary.schema import MENA, NOT_HISPANIC, OTHER_RACE

SPLIT = ("race", "ethnicity")
_STATES = list(State)  # answered first, then by how much the state tells
TMSIS = "crosswalks/cdcrec_to_tmsis.csv"
TMSIS_OTHER = "018"  # https://medicaid.gov/tmsis/dataguide/data-elements/elg016214: RACE-OTHER goes with it
MOST = 20_000  # answers remembered before the memory starts afresh


class Said(Struct, frozen=True, cache_hash=True):
    """One person's answer to one question.

    `bridged`: derived from another question than the one that the standard asks; `cannot_be_bridged`:
    answered, but the answer says nothing to this question; `written`: in words of their own that no code
    says as they do. `collected_on` is an ISO date or empty.
    """

    state: State = State.UNKNOWN
    categories: tuple[str, ...] = ()
    method: str = Method.UNSTATED.value
    collected_on: str = ""
    detailed: bool = False
    bridged: bool = False
    cannot_be_bridged: bool = False
    written: bool = False


NOTHING = Said()


class Reading:
    """Reads resolutions as one standard asks: ``omb1997`` and ``tmsis`` ask for race and ethnicity
    apart, ``omb2024`` together. `hispanic_alone` is ``unknown`` or ``other`` (see `Program`)."""

    def __init__(self, vocabulary: Vocabulary, standard: str, hispanic_alone: str) -> None:
        self._codes = vocabulary.codes
        self._schema = vocabulary.schema
        self._standard = standard
        self._other = hispanic_alone == "other"
        self._tmsis = _tmsis(vocabulary) if standard == "tmsis" else {}
        self._systems = {topic.matter: topic.code_system for topic in vocabulary.codes.topics.values()}
        self._known: dict[tuple[str, int], tuple[Resolution, Said]] = {}  # by identity, as in `Counting`

    def matter(self, question: str) -> str:
        """The matter that answers a question."""
        return self._codes.topic(question).matter

    def said(self, question: str, resolutions: Mapping[str, Resolution]) -> Said:
        """What is said to a question (a topic). Raises TableError for a topic that no table has."""
        resolution = resolutions.get(self.matter(question))
        if resolution is None or resolution.winner is None:
            return NOTHING
        known = self._known.get((question, id(resolution)))
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            said = structs.replace(self._read(question, resolution), written=_written(question, resolution))
            known = self._known[question, id(resolution)] = resolution, said
        return known[1]

    def _read(self, question: str, resolution: Resolution) -> Said:
        if resolution.matter != RACE:
            return self._plain(resolution)
        return self._split(question, resolution) if question in SPLIT else self._combined(resolution)

    def _plain(self, resolution: Resolution) -> Said:
        system = self._systems[resolution.matter]
        codes = {c.coding.code for m in resolution.meanings for c in m.concepts if c.coding.system == system}
        if system == LANGUAGE:
            codes = {code.partition("-")[0] for code in codes}  # a region is the same language
            if self._tmsis and resolution.state is State.ANSWERED and not codes:
                return self._without_code(resolution.matter, resolution)
        return _said(resolution, resolution.state, tuple(sorted(codes)))

    def _combined(self, resolution: Resolution) -> Said:
        if resolution.state is not State.ANSWERED or resolution.winner is None:
            return _said(resolution, resolution.state)
        standard = resolution.winner.origin.standard
        view = self._schema.omb2024(resolution.meanings, standard)
        apart = any(meaning.topic in SPLIT for meaning in resolution.meanings) or standard == "omb1997"
        return _said(resolution, State.ANSWERED, view.categories, detailed=view.detailed, bridged=apart)

    def _split(self, question: str, resolution: Resolution) -> Said:
        """Race or ethnicity of an event that may have asked both, apart or together."""
        own = [meaning for meaning in resolution.meanings if meaning.topic in (question, RACE)]
        state = min((meaning.state for meaning in own), key=_STATES.index, default=State.UNKNOWN)
        if state is not State.ANSWERED or resolution.winner is None:
            return _said(resolution, state)
        view = self._schema.omb1997(resolution.meanings, resolution.winner.origin.standard)
        codes = _cdcrec(resolution.meanings)
        if question == "race":
            found = (*view.race, *((self._schema.races_1997[OTHER_RACE],) if view.other_race else ()))
        else:
            found = (view.ethnicity,) if view.ethnicity else ()
        bridged = self._derived(question, codes, found)
        if self._tmsis:
            found = self._in_tmsis(question, codes, found)
        together = any(meaning.topic == RACE for meaning in own)
        if not found and together and (codes or question == "ethnicity"):
            return self._not_told(question, resolution, view.ethnicity)
        if not found and self._tmsis:
            return self._without_code(question, resolution)
        detailed = any(self._schema.is_detail(code) for code in codes)
        return _said(resolution, state, found, detailed=detailed, bridged=bridged)

    def _derived(self, question: str, codes: list[str], found: tuple[str, ...]) -> bool:
        """Whether a race is one of 1997 only by its definition (MENA), or an ethnicity was never said."""
        if question == "race":
            return any(self._codes.category_2024(code) == MENA for code in codes)
        return found == (self._schema.ethnicities_1997[NOT_HISPANIC],) and NOT_HISPANIC not in codes

    def _not_told(self, question: str, resolution: Resolution, ethnicity: str) -> Said:
        """A combined answer that says nothing to this question: Hispanic alone names no race."""
        if question == "race" and ethnicity and self._other:
            category = TMSIS_OTHER if self._tmsis else self._schema.races_1997[OTHER_RACE]
            return _said(resolution, State.ANSWERED, (category,), bridged=True)
        return _said(resolution, State.UNKNOWN, cannot_be_bridged=True)

    def _without_code(self, question: str, resolution: Resolution) -> Said:
        """An answer that T-MSIS has no code for: a race is Other, with RACE-OTHER; nothing else takes words."""
        if question == "race":
            return _said(resolution, State.ANSWERED, (TMSIS_OTHER,))
        return _said(resolution, State.INVALID)

    def _in_tmsis(self, question: str, codes: list[str], found: tuple[str, ...]) -> tuple[str, ...]:
        """T-MSIS codes; of a group and something within it only the latter, as its list has both."""
        above = {parent for code in codes for parent in self._codes.parents(code)}
        system = f"tmsis-{question}"
        coded = {self._tmsis.get((system, code), "") for code in codes if code not in above} - {""}
        if not coded and question == "ethnicity" and found:  # derived: a race of a 2024 question, nothing Hispanic
            coded = {"0"}
        return tuple(sorted(coded))


def _said(
    resolution: Resolution,
    state: State,
    categories: tuple[str, ...] = (),
    *,
    detailed: bool = False,
    bridged: bool = False,
    cannot_be_bridged: bool = False,
) -> Said:
    origin = resolution.winner.origin if resolution.winner else None
    method = origin.method if origin else Method.UNSTATED.value
    collected_on = origin.collected_on if origin else ""
    return Said(state, categories, method, collected_on, detailed, bridged, cannot_be_bridged)


def _written(question: str, resolution: Resolution) -> bool:
    """Whether there are words to this question; those to the other of two that were asked apart are not."""
    asked = (question, resolution.matter)
    return any(m.text for m in resolution.meanings if question == resolution.matter or m.topic in asked)


def _cdcrec(meanings: Iterable[Meaning]) -> list[str]:
    return [c.coding.code for m in meanings for c in m.concepts if c.coding.system == CDCREC]


def _tmsis(vocabulary: Vocabulary) -> dict[tuple[str, str], str]:
    rows = vocabulary.tables.rows(TMSIS)
    return {(row["target_system"], row["source_code"]): row["target_code"] for row in rows if row["target_code"]}
