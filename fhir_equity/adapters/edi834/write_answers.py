"""What a member said as DMG03, DMG05, LUI and 2700: equal answers of many members are put together once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.edi834.characters import Characters, Element
from fhir_equity.adapters.edi834.write_reporting import CategoryWriter
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Loss, Relationship

_MOST = 20_000  # combinations of answers remembered
_SEX, _RACE = "sex", "race_ethnicity"
_LETTERS = "x12-1109"


class Said(Struct, frozen=True, gc=False):
    """DMG03, DMG05 with all its repeats, the LUI segments and those of loop 2700; empty where nothing was said."""

    sex: str = ""
    races: str = ""
    languages: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()


class AnswerWriter:
    """Puts answers together in the partner's spelling. What could not be carried is added to `losses`."""

    def __init__(
        self, context: Context, characters: Characters, marks: tuple[str, str, str], losses: list[Loss]
    ) -> None:
        guide: Mapping[str, Any] = context.guide["write"]
        self._element, self._component, self._repetition = marks
        self._losses = losses
        self._joined: bool = guide["race_joined"]
        self._most_races = int(context.guide.get("race", {}).get("most_repeats", 10))
        self._uses = {topic: use for use, topic in context.guide.get("language", {}).get("use", {}).items()}
        self._qualifier: str = guide["language_qualifier"]
        self._upper = guide["language_case"] == "upper" or guide["characters"] == "basic"  # which has no small letters
        self._letter = Element(characters, self._lose, 1, 1)  # data elements 1109 and 1068
        self._code = Element(characters, self._lose, 1, 30)  # 1271
        self._language = Element(characters, self._lose, 2, 80)  # 67
        self._words = Element(characters, self._lose, 1, 80, cut=True)  # 352
        self._categories = CategoryWriter(context, characters, marks[0], losses)
        self._said: dict[tuple[Expressed, ...], Said] = {}

    def of(self, expressed: tuple[Expressed, ...]) -> Said:
        """The elements and segments of one member."""
        said = self._said.get(expressed)
        if said is None:
            if len(self._said) >= _MOST:
                self._said.clear()
            said = self._said[expressed] = self._put_together(expressed)
        if said.losses:
            self._losses += said.losses
        return said

    def _put_together(self, expressed: tuple[Expressed, ...]) -> Said:
        before = len(self._losses)
        sex = races = ""
        languages: list[str] = []
        reports: list[tuple[str, str]] = []
        for each in expressed:
            if each.topic == _SEX:
                sex = self._letter["".join([coding.code for coding in each.details[:1]])]
            elif each.topic == _RACE:
                races = self._races(each.details)
            elif each.topic in self._uses:
                languages += self._spoken(each, str(self._uses[each.topic]))
            elif each.topic in self._categories:
                reports += self._categories.values(each)
            else:
                self._losses.append(Loss("edi834.no_place", Relationship.UNMATCHED, each.topic))
        losses = tuple(self._losses[before:])
        del self._losses[before:]
        return Said(sex, races, tuple(languages), self._categories.loop(reports), losses)

    def _races(self, codings: Iterable[Coding]) -> str:
        """DMG05: letters as component 1, CDC codes as 2 and 3; a letter and the code after it may share a repeat."""
        repeats: list[str] = []
        for coding in codings:
            if coding.system == _LETTERS:
                repeats.append(self._letter[coding.code])
                continue
            code = self._component.join(("", "RET", self._code[coding.code]))
            if self._joined and repeats and len(repeats[-1]) == 1:
                repeats[-1] += code
            else:
                repeats.append(code)
        if len(repeats) > self._most_races:
            self._losses.append(Loss("edi834.more_races", Relationship.UNMATCHED, _RACE))
        return self._repetition.join(repeats[: self._most_races])

    def _spoken(self, expressed: Expressed, use: str) -> list[str]:
        """A LUI for each code (LUI02) and one for the words that no code says (LUI03)."""
        segments = []
        for coding in expressed.details:
            code = self._language[coding.code.upper() if self._upper else coding.code.lower()]
            if code:
                segments.append(self._element.join(("LUI", self._qualifier, code, "", use)))
        words = self._words[expressed.text]
        if words:
            segments.append(self._element.join(("LUI", "", "", words, use)))
        return segments

    def _lose(self, rule: str) -> None:
        self._losses.append(Loss(rule, Relationship.WIDER))
