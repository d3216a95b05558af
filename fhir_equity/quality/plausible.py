"""What cannot be, or can hardly be, in what was said about one person. Counted in people, each once.

No rule here looks at what somebody answered about sexual orientation or gender: only at whether they
were asked, and how old they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from fhir_equity.model import Event, Meaning, Origin, Received, State
from fhir_equity.quality.populations import age_on
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.vocabulary import Codes
from fhir_equity.vocabulary.codes import CDCREC
from fhir_equity.vocabulary.meaning import HISPANIC, NOT_HISPANIC

MOST = 20_000  # events remembered before the memory starts afresh
UNBORN, YOUNG = "b", "y"  # what is remembered of a record, because a birth date is not
_ASKED = (State.ANSWERED, State.DECLINED, State.DONT_KNOW)
_SILENT = (State.UNKNOWN, State.NOT_ASKED, State.BLANK)

Meant = Callable[[Received], Meaning]


class Marks:
    """What a record's birth date shows beside its dates of collection, in a word of at most two letters."""

    size = 1

    def __init__(self, rules: Rulebook, as_of: str) -> None:
        young = rules["member.asked_too_young"]
        self._topics, self._age, self._as_of = young.topics, young.limit, as_of

    def words(self, born: str, said: Iterable[tuple[Received, Origin]]) -> tuple[str]:
        """``b`` for an answer collected before birth, ``y`` for a question put before its age."""
        if not born:
            return ("",)
        unborn = young = ""
        for received, origin in said:
            collected = origin.collected_on
            if collected and collected < born[: len(collected)]:
                unborn = UNBORN
            elif received.topic in self._topics and self._too_young(born, collected):
                young = YOUNG
        return (unborn + young,)

    def fixed(self, said: Iterable[tuple[Received, Origin]]) -> bool:
        """Whether no birth date makes anything of what is said."""
        return not any(origin.collected_on or received.topic in self._topics for received, origin in said)

    def _too_young(self, born: str, collected: str) -> bool:
        years = age_on(born, collected or self._as_of)
        return years is not None and years < self._age


class Plausible:
    """Finds what one person's events show; what an event shows by itself is found once for equal events.

    One is made for each partner, whose tables say what a value means.
    """

    def __init__(self, codes: Codes, rules: Rulebook, meaning: Meant) -> None:
        self._codes = codes
        self._meaning = meaning
        self._known: dict[Event, tuple[str, ...]] = {}
        self._topics = rules["member.asked_too_young"].topics
        self._detailed = rules["answers.detail_outside_category"].topics

    def found(self, marks: set[str], events: Sequence[Event]) -> set[str]:
        """The names of the rules that the person is a case of."""
        names = {name for event in events for name in self._remembered(event)}
        if any(UNBORN in word for word in marks):
            names.add("member.collected_before_birth")
        if any(YOUNG in word for word in marks) and self._asked(events):
            names.add("member.asked_too_young")
        return names

    def _asked(self, events: Iterable[Event]) -> bool:
        said = [received for event in events for received in event.received if received.topic in self._topics]
        return any(self._meaning(received).state in _ASKED for received in said)

    def _remembered(self, event: Event) -> tuple[str, ...]:
        known = self._known.get(event)
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[event] = tuple(self.of_event(event))
        return known

    def of_event(self, event: Event) -> Iterator[str]:
        """The names of the rules that one event is a case of."""
        if event.origin.collected_on > event.first_seen:
            yield "answers.collected_after_receipt"
        meanings = [self._meaning(received) for received in event.received]
        yield from beside(meanings)
        codes = [_cdcrec(meant) for meant in meanings]
        if self._contradicts(codes):
            yield "answers.hispanic_beside_not_hispanic"
        parts = [said for said, meant in zip(codes, meanings, strict=True) if meant.topic in self._detailed]
        if self._detail_outside(set().union(*parts)):
            yield "answers.detail_outside_category"
        if any(self._codes.cdcrec[code]["status"] == "retired" for said in codes for code in said):
            yield "answers.code_retired"

    def _contradicts(self, codes: Sequence[set[str]]) -> bool:
        """Whether two values do; one that does by itself is a finding of its own (``<element>.contradiction``)."""
        no = [NOT_HISPANIC in said for said in codes]
        yes = [any(self._codes.category_2024(code) == HISPANIC for code in said) for said in codes]
        return any(no) and any(yes) and not any(a and b for a, b in zip(no, yes, strict=True))

    def _detail_outside(self, codes: set[str]) -> bool:
        """Whether categories are stated and a detailed group is below none of them, in either standard."""
        stated = {code for code in codes if self._codes.cdcrec[code]["omb1997"] == code or self._minimum(code)}
        return bool(stated) and any(self._outside(code, stated) for code in codes - stated)

    def _outside(self, code: str, stated: set[str]) -> bool:
        row = self._codes.cdcrec[code]
        above = {row["omb1997"], *self._codes.parents(code)}
        category = self._codes.category_2024(code)
        same = category and any(self._codes.category_2024(each) == category for each in stated)
        return bool(category) and not same and stated.isdisjoint(above)

    def _minimum(self, code: str) -> bool:
        return self._codes.cdcrec[code]["display"] == self._codes.category_2024(code) != ""


def beside(meanings: Sequence[Meaning]) -> Iterator[str]:
    """An absence beside an answer to the same question, in two values of one event."""
    for topic in {meant.topic for meant in meanings}:
        states = {meant.state for meant in meanings if meant.topic == topic}
        if State.ANSWERED in states and State.DECLINED in states:
            yield "answers.declined_beside_answer"
        if State.ANSWERED in states and not states.isdisjoint(_SILENT):
            yield "answers.unknown_beside_category"


def _cdcrec(meaning: Meaning) -> set[str]:
    return {c.coding.code for c in meaning.concepts if c.coding.system == CDCREC}
