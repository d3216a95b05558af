"""AK2 to IK5: the answer to one transaction set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from fhir_equity.adapters.edi834.ack.elements import Fault, Position
from fhir_equity.adapters.edi834.ack.letter import Letter
from fhir_equity.adapters.edi834.ack.verdicts import Decision, Notes, Verdicts
from fhir_equity.adapters.edi834.ack.walk import Trouble, Walk
from fhir_equity.adapters.edi834.delimiters import Delimiters

_NAME = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_NO_NAME = "ZZZ"  # IK301 is required, and what stands there may be anything: a surname, half an address
_MOST_VALUE = 99  # data element 724


class Answered(Struct):
    """What was answered: interchanges, groups and sets by decision, what was found, by cause.

    `unlisted` segments are in error and beyond the most that one set's answer lists; `unchecked`
    sets follow a guide of which we have the envelope only.
    """

    interchanges: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    sets: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    unlisted: int = 0
    unchecked: int = 0

    def add(self, other: Answered) -> None:
        """Take in what another one counted."""
        self.interchanges += other.interchanges
        self.groups += other.groups
        self.sets += other.sets
        self.causes += other.causes
        self.unlisted += other.unlisted
        self.unchecked += other.unchecked


class How(Struct, frozen=True):
    """How to answer: IK404 and the subscriber's number only `with_values`; at most `most_errors` IK3 a set."""

    verdicts: Verdicts
    with_values: bool = False
    most_errors: int = 5000


class SetAnswer:
    """Follows one set and writes its AK2, IK3, CTX, IK4 and IK5.

    `walk` is None for a set that nobody checks; `letter` takes the answer.
    """

    def __init__(self, st: list[str], walk: Walk | None, letter: Letter, how: How, done: Answered) -> None:
        self.walk = walk
        self.number = 0
        self.notes = Notes(how.verdicts)
        self._letter, self._how, self._done = letter, how, done
        self._held: list[Trouble] = []  # of the member at hand, until its subscriber's number is known
        self._listed = 0
        self._subscriber = ""
        letter.segment("AK2", letter.copied(st[1], 3), letter.copied(st[2], 9), letter.copied(st[3], 35))

    def take(self, name: str, raw: str, marks: Delimiters) -> None:
        """The next segment, the ST first."""
        self.number += 1
        if self.walk is None:
            return
        if name == "INS":
            self._flush()
        elif name == "REF" and self._how.with_values:
            cells = raw.split(marks.element)
            if cells[1:2] == ["0F"]:
                self._subscriber = "".join(cells[2:3])
        self._hold(self.walk.take(name, raw, self.number))

    def note(self, cause: str) -> None:
        """Something of the whole set."""
        self.notes.add(cause)
        self._done.causes[cause] += 1

    def end(self, *, closed: bool) -> Decision:
        """IK5. `closed` is whether the SE came; without it nobody knows what else would have come."""
        if closed:
            self.number += 1
            if self.walk is not None:
                self._hold(self.walk.end(self.number))
        self._flush()
        self._letter.segment("IK5", self.notes.decision, *self.notes.codes[:5])
        self._done.sets[self.notes.decision] += 1
        self._done.unchecked += self.walk is None and self.notes.decision is not Decision.REJECTED
        return self.notes.decision

    def _hold(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            for cause in (trouble.cause, *[fault.cause for fault in trouble.faults]):
                self._weigh(cause)
            if any(f.at.element == 2 and trouble.name == "ST" for f in trouble.faults):
                self.note("ST02")
            if self._listed < self._how.most_errors:
                self._listed += 1
                self._held.append(trouble)
            else:
                self._done.unlisted += 1

    def _weigh(self, cause: str) -> None:
        verdict = self._how.verdicts.of(cause)
        self._done.causes[cause] += cause != "segment.elements"
        if cause != "segment.elements":
            self.notes.add("segment.not_by_guide" if verdict.code.startswith("I") else "segment.in_error")
        self.notes.weigh(verdict.decision)

    def _flush(self) -> None:
        for trouble in self._held:
            self._tell(trouble)
        self._held.clear()
        self._subscriber = ""

    def _tell(self, trouble: Trouble) -> None:
        letter = self._letter
        name = trouble.name if _NAME.fullmatch(trouble.name) else _NO_NAME
        loop = trouble.loop if trouble.loop[:1].isdigit() else ""
        letter.segment("IK3", name, str(trouble.number), loop, self._code(trouble.cause))
        if self._subscriber:
            number = letter.copied(self._subscriber, 35)
            letter.segment("CTX", letter.parts("SUBSCRIBER NUMBER REF02", number))
        for fault in trouble.faults:
            self._tell_fault(fault, name, trouble.number, loop)

    def _tell_fault(self, fault: Fault, name: str, number: int, loop: str) -> None:
        letter, at = self._letter, fault.at
        value = letter.copied(fault.value, _MOST_VALUE) if self._how.with_values else ""
        letter.segment("IK4", self._place(at), at.reference, self._code(fault.cause), value)
        if fault.trigger is not None:
            by = fault.trigger
            letter.segment("CTX", "SITUATIONAL TRIGGER", name, str(number), loop, self._place(by), by.reference)

    def _place(self, at: Position) -> str:
        return self._letter.parts(*(str(count or "") for count in (at.element, at.component, at.repeat)))

    def _code(self, cause: str) -> str:
        return self._how.verdicts.of(cause).code
