"""Received -> meaning: the state and the canonical codings, with the relationship kept.

Each distinct received value is understood once; seeing it again costs one dictionary look-up.
"""

from __future__ import annotations

import re

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
# Systems whose code lists are closed: a code that is not in them is no answer.
_CLOSED = frozenset(("iso639", "x12-1109", "x12-1068", "null-flavor", "data-absent-reason"))
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
        if state is State.ANSWERED and any(s in _ABSENT_ORDER for s in self.states):
            self._problem("answer_and_absence", Severity.WARNING)
        return Meaning(
            topic=self.received.topic,
            state=state,
            concepts=tuple(self.concepts),
            wording=self.received.text.strip(),
            text="; ".join(dict.fromkeys(self.words)),
            problems=tuple(dict.fromkeys(self.problems)),
        )

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
        if not system:
            system = self._guess(code)
        if self._step(system, code) or self._canonical(system, code):
            return
        self._take_unknown(system, code, coding.display)

    def _guess(self, code: str) -> str:
        """A code without a system is taken for one of the topic's own system, never in silence."""
        self._problem("system_missing", Severity.WARNING)
        if code.upper() in ("UNK", "ASKU", "NASK", "OTH"):
            return "null-flavor"
        return self.topic.code_system

    def _step(self, system: str, code: str) -> bool:
        if system in (LANGUAGE, "iso639"):
            code = code.lower()
        steps = self.crosswalks.steps(self.topic.name, self.topic.family, system, code)
        if not steps and system == "x12-1109" and code.upper() != code:
            steps = self.crosswalks.steps(self.topic.name, self.topic.family, system, code.upper())
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
                self.concepts.append(Concept(own, Relationship.UNMATCHED, steps[0].rule))
        return True

    def _apply(self, step: Step) -> None:
        if step.target_system == "state":
            self.states.append(State(step.target_code))
            return
        target = self.codes.find(step.target_system, step.target_code)
        coding = target or Coding(step.target_system, step.target_code)
        if all(known.coding != coding for known in self.concepts):
            self.concepts.append(Concept(coding, step.relationship, step.rule))

    def _canonical(self, system: str, code: str) -> bool:
        """A code of the topic's own system, in any spelling that system has."""
        language = self.topic.code_system == LANGUAGE and system in (LANGUAGE, "iso639")
        if not language and system != self.topic.code_system:
            return False
        found = self.codes.find(self.topic.code_system, code)
        if found is None:
            return False
        if all(known.coding != found for known in self.concepts):
            self.concepts.append(Concept(found, Relationship.EQUIVALENT, f"{found.system}:{found.code}"))
        return True

    def _take_unknown(self, system: str, code: str, display: str) -> None:
        """A code no table has: a misplaced CDCREC code is recognised, garbage is invalid, words stay."""
        if system == "x12-1109" and _CODE_LIKE.match(code) and self._canonical(CDCREC, code):
            self._problem("not_in_code_list", Severity.ERROR)
            return
        if system == CDCREC and _CODE_LIKE.match(code) and not check_digit_is_right(code):
            self._problem("check_digit_wrong", Severity.ERROR)
        known = system == self.topic.code_system or system in _CLOSED
        self._problem("not_in_code_list" if known else "system_unknown", Severity.ERROR if known else Severity.WARNING)
        if display or (not known and code):
            self.words.append(display or code)
        else:
            self.states.append(State.INVALID)

    def _take_wording(self, wording: str) -> None:
        """Words match exactly or not at all; words that match nothing stay an answer, unmapped."""
        folded = fold(wording)
        if self._step("wording", folded):
            unmatched = self.states and self.states[-1] is State.ANSWERED
            if unmatched or (self.concepts and self.concepts[-1].relationship is not Relationship.EQUIVALENT):
                self.words.append(wording.strip())
            return
        if self._canonical(self.topic.code_system, wording.strip()):
            return
        if not any(c.isalpha() for c in folded):
            self.states.append(State.INVALID)
            self._problem("not_a_wording", Severity.ERROR)
            return
        self.words.append(wording.strip())
        self._problem("not_mapped", Severity.INFO)

    def _take_text(self) -> None:
        """Text beside codes is kept when it says more; alone it is matched like any wording."""
        text = self.received.text.strip()
        if not text:
            return
        if not self.received.codings or (not self.concepts and not self.states and not self.words):
            self._take_wording(text)
            return
        said = {fold(concept.coding.display) for concept in self.concepts}
        said |= {fold(coding.display) for coding in self.received.codings} | {fold(w) for w in self.words}
        if not (self.concepts or self.words or State.ANSWERED in self.states):
            # "Declined" beside ASKU says more than ASKU; other words beside an absence decide nothing.
            if fold(text) not in said and not self._step("wording", fold(text)):
                self._problem("text_beside_absence", Severity.INFO)
            return
        if any(fold(part) not in said for part in re.split(r"[;,]", text)) and fold(text) not in said:
            self.words.append(text)

    def _problem(self, name: str, severity: Severity) -> None:
        self.problems.append((name, severity))
