"""Which of two answers says what the other says, and more: by the tree of CDCREC and the subtags of a language.

An answer says as much as another when each code of the other is one of its own or stands above one, and it has
none that stands below no code of the other. A question that the other leaves unanswered is held against neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fhir_equity.model import Meaning, State
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes
from fhir_equity.vocabulary.schema import NOT_HISPANIC

RACE, ETHNICITY, COMBINED = "race", "ethnicity", "race_ethnicity"
OMB2024 = "omb2024"
_NOT_HISPANIC = (CDCREC, NOT_HISPANIC)

Word = tuple[str, str]  # system and code; ``text`` and what was written in
Questions = Mapping[str, frozenset[Word]]


class Detail:
    """Compares answers by the code tables of one partner."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def says_more(self, more: Sequence[Meaning], less: Sequence[Meaning], standard: str) -> bool:
        """Whether one answer to a question says the same as another to that question, and more.

        Under ``omb2024`` a code stands above those of its own category only: Lebanese is no kind of White there,
        as it is in CDCREC and was in 1997.
        """
        one, other = _by_topic(more), _by_topic(less)
        return self._as_much(one, other, standard) and not self._as_much(other, one, standard)

    def says_as_combined(self, combined: Sequence[Meaning], pair: Sequence[Meaning]) -> bool:
        """Whether an answer to the combined question (SPD 15 of 2024) holds all that one to the two questions of 1997
        says. Not Hispanic is said by whoever names a race there and not Hispanic.
        """
        if {meaning.topic for meaning in combined} != {COMBINED} or not {m.topic for m in pair} <= {RACE, ETHNICITY}:
            return False
        said = self._apart(_by_topic(combined).get(COMBINED, frozenset()))
        asked = dict(_by_topic(pair))
        if asked.get(ETHNICITY) == frozenset((_NOT_HISPANIC,)) and said[RACE] and not said[ETHNICITY]:
            del asked[ETHNICITY]
            return not asked or self._as_much(said, asked, "")
        return self._as_much(said, asked, "")

    def _apart(self, said: frozenset[Word]) -> Questions:
        hispanic = frozenset(word for word in said if self._is_ethnicity(word))
        return {RACE: said - hispanic, ETHNICITY: hispanic}

    def _is_ethnicity(self, word: Word) -> bool:
        system, code = word
        return system == CDCREC and self._codes.cdcrec.get(code, {}).get("table") == "Ethnicity"

    def _as_much(self, more: Questions, less: Questions, standard: str) -> bool:
        """Whether `more` says all that `less` does, question by question, and nothing beside it."""
        asked = {question: words for question, words in less.items() if words}
        return bool(asked) and all(
            self._covers(more.get(question, frozenset()), words, standard) for question, words in asked.items()
        )

    def _covers(self, more: frozenset[Word], less: frozenset[Word], standard: str) -> bool:
        above = {word: {word, *self._above(word, standard)} for word in more}
        return all(any(word in words for words in above.values()) for word in less) and all(
            words & less for words in above.values()
        )

    def _above(self, word: Word, standard: str) -> Iterable[Word]:
        system, code = word
        if system == LANGUAGE:
            subtags = code.split("-")
            return [(system, "-".join(subtags[:length])) for length in range(1, len(subtags))]
        if system != CDCREC:
            return ()
        category = self._codes.category_2024
        above = self._codes.parents(code)
        return [(system, each) for each in above if standard != OMB2024 or category(each) == category(code)]


def _by_topic(meanings: Iterable[Meaning]) -> Questions:
    """What was answered to each question; nothing where an answer has neither a code nor words."""
    found: dict[str, frozenset[Word]] = {}
    for meaning in meanings:
        if meaning.state is State.ANSWERED:
            words = {(each.coding.system, each.coding.code) for each in meaning.concepts}
            words |= {("text", meaning.text.casefold())} if meaning.text else set()
            if not words:
                return {}
            found[meaning.topic] = found.get(meaning.topic, frozenset()) | words
    return found
