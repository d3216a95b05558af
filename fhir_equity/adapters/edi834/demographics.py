"""DMG and LUI: the composites of DMG05 and the languages, each distinct value cut once.

DMG05 is C056, up to ten repeats: -01 element 1109, -02 qualifier RET, -03 a CDC code. The syntax
notes are P0203 (-02 and -03 together), P1011, C1105 (DMG10/11), P0102 and L040203 (LUI).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from fhir_equity.adapters.edi834.delimiters import BLANK, Delimiters
from fhir_equity.adapters.edi834.envelope import decoded, text
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Loss, Origin, Received, Relationship, Severity

RACE = "x12.dmg05"
LANGUAGE = "x12.lui"
SEX = "x12.dmg03"
ONE_ONLY = "one race only"  # in the origin's question, where policies/survivorship.toml finds it
_NOT_KEPT = (4, 6, 7, 8, 9)  # marital status, citizenship, and three that the guide does not use


class Problem(Struct, frozen=True, gc=False):
    """A syntax problem of one value: finding code, severity, and path below the segment."""

    code: str
    severity: Severity
    path: str


class Cut(Struct, frozen=True, gc=False):
    """A received value and what was wrong with its syntax. `received` is None where nothing came.

    `at` says which of several segments it stands in, counted from 0.
    """

    received: Received | None
    problems: tuple[Problem, ...] = ()
    at: int = 0


class Demographics(Struct, frozen=True, gc=False):
    """DMG from DMG03 on: the answers with their origin and path, and what is wrong or not kept."""

    answers: tuple[tuple[Received, Origin, str], ...]
    problems: tuple[Problem, ...] = ()
    losses: tuple[Loss, ...] = ()


class Cutter:
    """Cuts raw text into received values, of answers that all come from one `origin`.

    ``demographics[DMG from DMG03 on]`` is one received value for the letter of DMG03 and one that
    holds every repeat of DMG05, ``languages[all LUI of a member]`` one for each use (LUI04).
    """

    def __init__(self, marks: Delimiters, context: Context, origin: Origin) -> None:
        self._marks = marks
        self._origin = origin
        guide = context.guide
        race = guide.get("race", {})
        self._collected: Mapping[str, str] = race.get("collected", {})
        self._most = int(race.get("most_repeats", 10))
        self._race_origin = _asked(origin, ONE_ONLY) if race.get("one_only", False) else origin
        language = guide.get("language", {})
        self._use: dict[str, str] = {str(k): v for k, v in language.get("use", {}).items()}
        self._unstated_use: str = language.get("unstated_use", "language_spoken")
        self.demographics: Memory[str, Demographics] = Memory(self._cut_demographics)
        self.languages: Memory[tuple[str, ...], tuple[Cut, ...]] = Memory(self._cut_languages)

    def _cut_demographics(self, raw: str) -> Demographics:
        dmg = ["", "", "", *raw.split(self._marks.element), *("",) * 12]
        answers: list[tuple[Received, Origin, str]] = []
        if text(dmg[3]):
            sex = Received("sex", SEX, (Coding("1068", text(dmg[3])),), raw=decoded(dmg[3]))
            answers.append((sex, self._origin, "DMG03"))
        problems = [*_collection_problems(dmg)]
        if text(dmg[5]):
            race = self._cut_race(dmg[5])
            problems[:0] = race.problems
            if race.received is not None:
                answers.append((race.received, self._origin_of(text(dmg[11])), "DMG05"))
        losses = [Loss(f"x12.not_kept.DMG{at:02}", Relationship.UNMATCHED) for at in _NOT_KEPT if text(dmg[at])]
        return Demographics(tuple(answers), tuple(problems), tuple(losses))

    def _origin_of(self, code: str) -> Origin:
        """DMG11 says how DMG05 was collected; what its codes mean is the partner's table, kept is it always."""
        origin = self._race_origin
        if not code:
            return origin
        return msgspec.structs.replace(_asked(origin, f"DMG11 {code}"), method=self._collected.get(code, origin.method))

    def _cut_race(self, raw: str) -> Cut:
        repeats = raw.split(self._marks.repetition) if self._marks.repetition else [raw]
        codings: list[Coding] = []
        problems: list[Problem] = []
        for number, repeat in enumerate(repeats, start=1):
            found = self._cut_composite(repeat, f"DMG05:{number}", codings)
            if number <= self._most:  # the repeats beyond are one problem, however many they are
                problems += found
        if len(repeats) > self._most:
            problems.append(Problem(f"{RACE}.too_many_repeats", Severity.ERROR, f"DMG05:{self._most + 1}"))
        if not raw.strip(BLANK + self._marks.component + self._marks.repetition):
            return Cut(None, tuple(problems))
        return Cut(Received("race_ethnicity", RACE, tuple(codings), raw=decoded(raw)), tuple(problems))

    def _cut_composite(self, raw: str, path: str, codings: list[Coding]) -> list[Problem]:
        parts = [text(part) for part in raw.split(self._marks.component)]
        letter, qualifier, code = (*parts, "", "", "")[:3]
        problems = []
        if len(parts) > 3:
            problems.append(Problem(f"{RACE}.too_many_components", Severity.ERROR, f"{path}:4"))
        if bool(qualifier) != bool(code):
            problems.append(Problem(f"{RACE}.p0203", Severity.ERROR, f"{path}:{2 if code else 3}"))
        if qualifier not in ("", "RET"):
            problems.append(Problem(f"{RACE}.qualifier_not_in_code_list", Severity.ERROR, f"{path}:2"))
        if not (letter or qualifier or code):
            problems.append(Problem(f"{RACE}.empty_repeat", Severity.WARNING, path))
        if letter:
            codings.append(Coding("1109", letter))
        if code:
            codings.append(Coding(qualifier.upper() or "RET", code))
        return problems

    def _cut_languages(self, segments: tuple[str, ...]) -> tuple[Cut, ...]:
        by_topic: dict[str, _Languages] = {}
        cuts: list[Cut] = []
        for at, segment in enumerate(segments):
            cells = [*segment.split(self._marks.element), "", "", "", ""]
            qualifier, code, words, use = map(text, cells[1:5])
            problems = _language_problems(qualifier, code, words, use)
            topic = self._use.get(use) if use else self._unstated_use
            if topic is None:
                problems.append(Problem(f"{LANGUAGE}04.not_in_code_list", Severity.ERROR, "LUI04"))
            elif code or words:
                if not use:
                    problems.append(Problem(f"{LANGUAGE}04.missing", Severity.INFO, "LUI04"))
                found = by_topic.setdefault(topic, _Languages(at))
                found.add(qualifier, code, words, decoded(segment.lstrip(BLANK)))
            if problems:
                cuts.append(Cut(None, tuple(problems), at))
        return (*(Cut(found.received(topic), at=found.at) for topic, found in by_topic.items()), *cuts)


def _asked(origin: Origin, words: str) -> Origin:
    return msgspec.structs.replace(origin, question=f"{origin.question} {words}".strip())


class _Languages(Struct):
    """The languages of one use, from one segment or several."""

    at: int
    codings: list[Coding] = []
    words: list[str] = []
    raws: list[str] = []

    def add(self, qualifier: str, code: str, words: str, raw: str) -> None:
        if code:
            self.codings.append(Coding(qualifier or "LE", code))
        if words:
            self.words.append(words)
        self.raws.append(raw)

    def received(self, topic: str) -> Received:
        element = f"{LANGUAGE}02" if self.codings else f"{LANGUAGE}03"
        return Received(topic, element, tuple(self.codings), "; ".join(self.words), "\n".join(self.raws))


def _language_problems(qualifier: str, code: str, words: str, use: str) -> list[Problem]:
    problems = []
    if bool(qualifier) != bool(code):
        problems.append(Problem(f"{LANGUAGE}.p0102", Severity.WARNING, "LUI01" if code else "LUI02"))
    if use and not code and not words:
        problems.append(Problem(f"{LANGUAGE}.l040203", Severity.ERROR, "LUI04"))
    if qualifier not in ("", "LD", "LE"):
        problems.append(Problem(f"{LANGUAGE}01.not_in_code_list", Severity.WARNING, "LUI01"))
    return problems


def _collection_problems(dmg: list[str]) -> list[Problem]:
    """P1011: DMG10 and DMG11 together; C1105: DMG11 needs DMG05."""
    race, ten, eleven = text(dmg[5]), text(dmg[10]), text(dmg[11])
    problems = []
    if bool(ten) != bool(eleven):
        problems.append(Problem("x12.dmg.p1011", Severity.ERROR, "DMG11" if ten else "DMG10"))
    if eleven and not race:
        problems.append(Problem("x12.dmg.c1105", Severity.ERROR, "DMG05"))
    return problems
