"""DMG and LUI: the composites of DMG05 and the languages, each distinct value cut once.

DMG05 is C056, up to ten repeats: -01 element 1109, -02 qualifier RET, -03 a CDC code. The syntax
notes are P0203 (-02 and -03 together), P1011, C1105 (DMG10/11), P0102 and L040203 (LUI).
"""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.adapters.edi834.envelope import Delimiters, text
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Received, Severity

RACE = "x12.dmg05"
LANGUAGE = "x12.lui"
SEX = "x12.dmg03"


class Problem(Struct, frozen=True, gc=False):
    """A syntax problem of one value: finding code, severity, and path below the segment."""

    code: str
    severity: Severity
    path: str


class Cut(Struct, frozen=True, gc=False):
    """A received value and what was wrong with its syntax. `received` is None where nothing came."""

    received: Received | None
    problems: tuple[Problem, ...] = ()


class Cutter:
    """Cuts raw element text into received values, remembering every text it has seen."""

    def __init__(self, marks: Delimiters, context: Context) -> None:
        self._marks = marks
        guide = context.guide
        self._most = int(guide.get("race", {}).get("most_repeats", 10))
        language = guide.get("language", {})
        self._use: dict[str, str] = {str(k): v for k, v in language.get("use", {}).items()}
        self._unstated_use: str = language.get("unstated_use", "language_spoken")
        self._races: dict[str, Cut] = {}
        self._languages: dict[tuple[str, ...], tuple[Cut, ...]] = {}
        self._sexes: dict[str, Received] = {}

    def race(self, raw: str) -> Cut:
        """DMG05 -> one received value holding every repeat."""
        found = self._races.get(raw)
        if found is None:
            found = self._races[raw] = self._cut_race(raw)
        return found

    def sex(self, raw: str) -> Received:
        """DMG03 -> a received value; the letter as sent."""
        found = self._sexes.get(raw)
        if found is None:
            found = Received("sex", SEX, (Coding("1068", raw.strip()),), raw=raw)
            self._sexes[raw] = found
        return found

    def languages(self, segments: tuple[str, ...]) -> tuple[Cut, ...]:
        """All LUI segments of a member -> one received value per use (LUI04)."""
        found = self._languages.get(segments)
        if found is None:
            found = self._languages[segments] = self._cut_languages(segments)
        return found

    def _cut_race(self, raw: str) -> Cut:
        if not raw.strip():
            return Cut(None)
        repeats = raw.split(self._marks.repetition) if self._marks.repetition else [raw]
        codings: list[Coding] = []
        problems: list[Problem] = []
        for number, repeat in enumerate(repeats, start=1):
            self._cut_composite(repeat, f"DMG05:{number}", codings, problems)
        if len(repeats) > self._most:
            problems.append(Problem(f"{RACE}.too_many_repeats", Severity.ERROR, f"DMG05:{self._most + 1}"))
        received = Received("race_ethnicity", RACE, tuple(codings), raw=text(raw))
        return Cut(received, tuple(problems))

    def _cut_composite(self, raw: str, path: str, codings: list[Coding], problems: list[Problem]) -> None:
        parts = [part.strip() for part in raw.split(self._marks.component)]
        letter, qualifier, code = (*parts, "", "", "")[:3]
        if len(parts) > 3:
            problems.append(Problem(f"{RACE}.too_many_components", Severity.ERROR, f"{path}:4"))
        if bool(qualifier) != bool(code):
            problems.append(Problem(f"{RACE}.p0203", Severity.ERROR, f"{path}:{2 if code else 3}"))
        if qualifier not in ("", "RET"):
            problems.append(Problem(f"{RACE}.qualifier_not_in_code_list", Severity.ERROR, f"{path}:2"))
        if not letter and not code:
            problems.append(Problem(f"{RACE}.empty_repeat", Severity.WARNING, path))
        if letter:
            codings.append(Coding("1109", letter))
        if code:
            codings.append(Coding(qualifier or "RET", code))

    def _cut_languages(self, segments: tuple[str, ...]) -> tuple[Cut, ...]:
        by_topic: dict[str, list[tuple[Coding | None, str, str]]] = {}
        problems: list[Problem] = []
        for segment in segments:
            parts = [*segment.split(self._marks.element), "", "", "", ""]
            qualifier, code, words, use = (part.strip() for part in parts[1:5])
            problems += _language_problems(qualifier, code, words, use)
            topic = self._use.get(use) if use else self._unstated_use
            if topic is None:
                problems.append(Problem(f"{LANGUAGE}04.not_in_code_list", Severity.ERROR, "LUI04"))
            elif code or words:
                if not use:
                    problems.append(Problem(f"{LANGUAGE}04.missing", Severity.INFO, "LUI04"))
                coding = Coding(qualifier or "LE", code) if code else None
                by_topic.setdefault(topic, []).append((coding, text(words), text(segment)))
        cuts = [Cut(_united(topic, found)) for topic, found in by_topic.items()]
        return (*cuts, Cut(None, tuple(problems))) if problems else tuple(cuts)


def _united(topic: str, found: list[tuple[Coding | None, str, str]]) -> Received:
    codings = tuple(coding for coding, _, _ in found if coding is not None)
    words = "; ".join(words for _, words, _ in found if words)
    return Received(
        topic, f"{LANGUAGE}02" if codings else f"{LANGUAGE}03", codings, words, "\n".join(r for _, _, r in found)
    )


def _language_problems(qualifier: str, code: str, words: str, use: str) -> list[Problem]:
    problems = []
    if bool(qualifier) != bool(code):
        problems.append(Problem(f"{LANGUAGE}.p0102", Severity.WARNING, "LUI01" if code else "LUI02"))
    if use and not code and not words:
        problems.append(Problem(f"{LANGUAGE}.l040203", Severity.ERROR, "LUI04"))
    if qualifier not in ("", "LD", "LE"):
        problems.append(Problem(f"{LANGUAGE}01.not_in_code_list", Severity.WARNING, "LUI01"))
    return problems
