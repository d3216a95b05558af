"""Received -> meaning: the state and the canonical codings, with the relationship kept.

Each distinct received value is understood once; seeing it again costs one dictionary look-up.
"""

from __future__ import annotations

import re

from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Concept, Meaning, Received, Relationship, Severity, State
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes, Topic, check_digit_is_right, fold
from fhir_equity.vocabulary.crosswalk import Crosswalks, Step

Problem = tuple[str, Severity]

# Where several absent states meet in one value, the one that tells most about the person counts.
_ABSENT_ORDER = (
    State.DECLINED,
    State.DONT_KNOW,
    State.UNABLE,
    State.NOT_ASKED,
    State.BLANK,
    State.INVALID,
    State.UNKNOWN,
    State.NOT_APPLICABLE,
)
_NULL_FLAVORS = ("UNK", "ASKU", "NASK", "OTH")  # often sent without their system
_ABSENT_SYSTEMS = ("null-flavor", "data-absent-reason")  # their codes and displays are never answers
NOT_HISPANIC, HISPANIC = "2186-5", "Hispanic or Latino"  # a CDCREC code and an OMB 2024 category
_CODE_LIKE = re.compile(r"^\d{4}-\d$")


class Meanings:
    """Understands received values under the tables of one partner."""

    def __init__(self, codes: Codes, crosswalks: Crosswalks) -> None:
        self._codes = codes
        self._crosswalks = crosswalks
        self._known: dict[Received, Meaning] = {}

    def __call__(self, received: Received) -> Meaning:
        """What a received value means. Raises TableError for a topic that no table has."""
        meaning = self._known.get(received)
        if meaning is None:
            meaning = self._known[received] = _Understanding(self._codes, self._crosswalks, received).meaning()
        return meaning


class _Understanding:
    """One received value on its way to a meaning."""

    def __init__(self, codes: Codes, crosswalks: Crosswalks, received: Received) -> None:
        self.codes, self.crosswalks, self.received = codes, crosswalks, received
        self.topic: Topic = codes.topic(received.topic)
        self.concepts: list[Concept] = []
        self.states: list[State] = []
        self.words: list[str] = []
        self.problems: list[Problem] = []

    def meaning(self) -> Meaning:
        for coding in self.received.codings:
            self._take(coding)
        self._take_text()
        state = self._state()
        if state is State.ANSWERED and set(self.states) - {State.ANSWERED, State.INVALID}:
            self._problem("answer_and_absence", Severity.WARNING)
        if self._contradicts():
            self._problem("contradiction", Severity.WARNING)
        return Meaning(
            topic=self.received.topic,
            state=state,
            concepts=tuple(self.concepts),
            wording=self.received.text.strip(),
            text="; ".join(dict.fromkeys(self.words)),
            problems=tuple(dict.fromkeys(self.problems)),
        )

    def _contradicts(self) -> bool:
        """Whether one value says both Hispanic (or what rolls up to it) and Not Hispanic; both stay as said."""
        said = {concept.coding.code for concept in self.concepts if concept.coding.system == CDCREC}
        return NOT_HISPANIC in said and any(self.codes.category_2024(code) == HISPANIC for code in said)

    def _state(self) -> State:
        if self.concepts or self.words or State.ANSWERED in self.states:
            return State.ANSWERED
        for state in _ABSENT_ORDER:
            if state in self.states:
                return state
        return State.INVALID

    def _take(self, coding: Coding) -> None:
        system, repaired = self.codes.system(coding.system)
        if system == "wording":
            self._take_wording(coding.code)
            return
        code = coding.code.strip()
        if repaired:
            self._problem("system_repaired", Severity.WARNING)
        guessed = not system
        if guessed:
            system = self._guess(code)
        if self._step(system, code) or self._canonical(system, code):
            return
        self._take_unknown(system, code, coding.display.strip(), guessed=guessed)

    def _guess(self, code: str) -> str:
        """A code without a system is taken for one of the topic's own system, never in silence."""
        self._problem("system_missing", Severity.WARNING)
        if code.upper() in _NULL_FLAVORS:
            return "null-flavor"
        return self.topic.code_system

    def _steps(self, system: str, code: str) -> list[Step]:
        return self.crosswalks.steps(self.topic.name, self.topic.family, system, code)

    def _step(self, system: str, code: str) -> bool:
        if system in (LANGUAGE, "iso639"):
            code = code.lower()
        steps = self._steps(system, code)
        if not steps and system == "x12-1109" and code.upper() != code:
            steps = self._steps(system, code.upper())
            if steps:
                self._problem("not_in_code_list", Severity.ERROR)
        if not steps:
            return False
        if system == "x12-1109" and self.codes.x12_1109.get(code, {}).get("x220a1") == "N":
            self._problem("not_allowed_in_guide", Severity.WARNING)
        applied = [step for step in steps if step.applies]
        for step in applied:
            self._apply(step)
        if not applied:  # known, but no target says exactly this: the source code stays the answer
            self.states.append(State.ANSWERED)
            own = self.codes.find(system, code) if system != "wording" else None
            if own is not None:
                self._keep(Concept(own, Relationship.UNMATCHED, steps[0].rule))
        return True

    def _keep(self, concept: Concept) -> None:
        if all(known.coding != concept.coding for known in self.concepts):
            self.concepts.append(concept)

    def _apply(self, step: Step) -> None:
        if step.target_system == "state":
            self.states.append(State(step.target_code))
            return
        coding = self.codes.find(step.target_system, step.target_code)
        if coding is None:
            raise TableError(f"crosswalks/{step.table}.csv leads to a code that {step.target_system} does not have")
        self._keep(Concept(coding, step.relationship, step.rule))

    def _canonical(self, system: str, code: str) -> bool:
        """A code of the topic's own system, in any spelling that system has."""
        language = self.topic.code_system == LANGUAGE and system in (LANGUAGE, "iso639")
        if not language and system != self.topic.code_system:
            return False
        found = self.codes.find(self.topic.code_system, code)
        rule = f"{found.system}:{found.code}" if found else ""
        if found is None and language:
            found, rule = self._withdrawn(code)
        if found is None:
            return False
        self._keep(Concept(found, Relationship.EQUIVALENT, rule))
        return True

    def _withdrawn(self, tag: str) -> tuple[Coding | None, str]:
        """``iw-IL`` is ``he-IL``: the withdrawn code is replaced, region and script stay."""
        primary, _, rest = tag.replace("_", "-").partition("-")
        step = next(iter(self._steps(LANGUAGE, primary.lower())), None)
        if not rest or step is None or step.target_system != LANGUAGE:
            return None, ""
        return self.codes.language(f"{step.target_code}-{rest}"), step.rule

    def _take_unknown(self, system: str, code: str, display: str, *, guessed: bool) -> None:
        """A code no table has: a misplaced CDCREC code is recognised, garbage is invalid, words stay.

        The words beside it are matched where its system tells us nothing; beside an illegal code
        of a system we know, only words that say why there is no answer are.
        """
        if system == "x12-1109" and _CODE_LIKE.match(code) and self._canonical(CDCREC, code):
            self._problem("not_in_code_list", Severity.ERROR)
            return
        if system == CDCREC and _CODE_LIKE.match(code) and not check_digit_is_right(code):
            self._problem("check_digit_wrong", Severity.ERROR)
        closed, own = self.codes.closed(system), system == self.topic.code_system != ""
        if closed or not own:
            severity = Severity.ERROR if closed else Severity.WARNING
            self._problem("not_in_code_list" if closed else "system_unknown", severity)
        words = display or (code if guessed else "")
        steps = self._steps("wording", fold(words))
        if steps and (guessed or not closed or all(step.target_system == "state" for step in steps)):
            self._take_wording(words)
        elif own and code and not closed and not guessed:  # a terminology of which we hold only a part
            self._problem("not_mapped", Severity.INFO)
            self._keep(Concept(Coding(system, code, display), Relationship.UNMATCHED, "not_mapped"))
        elif system in _ABSENT_SYSTEMS or not (display or (code and not closed)):
            self.states.append(State.INVALID)
        else:
            self.words.append(display or code)

    def _take_wording(self, wording: str) -> None:
        """Words match exactly or not at all; words that match nothing stay an answer, unmapped."""
        folded = fold(wording)
        steps = self._steps("wording", folded)
        if steps:
            self._step("wording", folded)
            if any(s.relationship is not Relationship.EQUIVALENT and s.target_system != "state" for s in steps):
                self.words.append(wording.strip())
            return
        if self._is_code(wording.strip()) and self._canonical(self.topic.code_system, wording.strip()):
            return
        if not any(c.isalpha() for c in folded):
            self.states.append(State.INVALID)
            self._problem("not_a_wording", Severity.ERROR)
            return
        self.words.append(wording.strip())
        self._problem("not_mapped", Severity.INFO)

    def _is_code(self, word: str) -> bool:
        """A capitalised word is a name: the language Mon is not the code mon, nor "No" Norwegian."""
        return not (self.topic.code_system == LANGUAGE and word.isalpha() and word.istitle())

    def _take_text(self) -> None:
        """Text beside codes is kept where it says more; alone or beside illegal codes it is matched."""
        text = self.received.text.strip()
        if not text:
            return
        answered = self.concepts or self.words or State.ANSWERED in self.states
        if not answered and set(self.states) <= {State.INVALID}:
            self._take_wording(text)
            return
        said = self._said()
        if fold(text) in said:
            return
        if answered:
            self.words += [part.strip() for part in text.split(";") if not self._repeats(part, said)]
        elif self._steps("wording", fold(text)):  # "Declined" beside ASKU says more than ASKU
            self._take_wording(text)
        else:  # other words beside an absence decide nothing
            self._problem("text_beside_absence", Severity.INFO)

    def _said(self) -> set[str]:
        """What codes and words say already, whole and in the parts that a text may join with ``;``."""
        known = [concept.coding.display for concept in self.concepts] + self.words
        known += [coding.display for coding in self.received.codings]
        return {fold(part) for words in known for part in (words, *words.split(";"))} | {""}

    @staticmethod
    def _repeats(part: str, said: set[str]) -> bool:
        return fold(part) in said or all(fold(word) in said for word in part.split(","))

    def _problem(self, name: str, severity: Severity) -> None:
        self.problems.append((name, severity))
