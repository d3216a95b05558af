"""Values in X12's character sets: no delimiter, no accent, nothing longer than its element; what changed is told."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from fhir_equity.errors import TableError

_MOST, _LONGEST = 20_000, 100  # values remembered for one element, and their longest


class Characters:
    """The characters that one receiver takes: ``[write] characters`` of the guide, less its delimiters.

    `basic` has capitals, digits and some punctuation, `extended` small letters and more of it (X12.6,
    character sets). Raises TableError for another name.
    """

    def __init__(self, guide: Mapping[str, Any], marks: str) -> None:
        name, sets = guide["characters"], guide["character_sets"]
        if name not in sets:
            raise TableError(f"guides/edi834.toml, write.characters: there are {', '.join(sorted(sets))}")
        self._small = name != "basic"
        allowed = sets["basic"] + (sets[name] if self._small else "")
        self._allowed = frozenset(allowed) - frozenset(marks)
        self._marks = frozenset(marks)
        self._letters: Mapping[str, str] = guide["letters"]

    def pattern(self, least: int, most: int) -> re.Pattern[str]:
        """Matches a value that may be written as it is: of this length without spaces around it, or empty."""
        one = f"[{re.escape(''.join(sorted(self._allowed)))}]"
        return re.compile(f"(?! ){one}{{{least},{most}}}(?<! )|")

    def plain(self, value: str) -> tuple[str, list[str]]:
        """The value as it may be written, and the names of what happened to it."""
        done: dict[str, None] = {}
        composed = unicodedata.normalize("NFC", value)
        text = "".join([c if c in self._allowed else self._instead(c, done) for c in composed]).strip(" ")
        if text != value and not done:  # spaces around it, or another form of a letter that we have
            done["characters"] = None
        return text, list(done)

    def _instead(self, character: str, done: dict[str, None]) -> str:
        """What stands for a character that cannot be sent."""
        if character in self._marks:
            done["delimiter_replaced"] = None
            return " "
        if character.isascii():
            done["capitals" if character.upper() in self._allowed else "characters"] = None
            return self._nearest(character)
        letters = self._letters.get(character) or _without_marks(character)
        if letters:
            done["transliterated"] = None
            return "".join(map(self._nearest, letters))
        done["characters"] = None
        return self._nearest("?") if character.isalpha() else " "

    def _nearest(self, character: str) -> str:
        """The character, else its capital, else a space."""
        return next((c for c in (character, character.upper()) if c in self._allowed), " ")


class Element(dict[str, str]):
    """``element[value]`` is the value as it may be written; one seen before costs a look-up.

    `least` and `most` are X12's lengths in characters. Words (`cut`) that are too long are cut; a code
    or a number is left out, because a part of it would mean another thing. What happens is told to
    `lose` each time, by rule.
    """

    def __init__(
        self, characters: Characters, lose: Callable[[str], None], least: int, most: int, *, cut: bool = False
    ) -> None:
        super().__init__()
        self._characters, self._lose = characters, lose
        self._fits = characters.pattern(least, most).fullmatch
        self._least, self._most, self._cut = least, most, cut

    def __missing__(self, value: str) -> str:
        if not self._fits(value):
            return self._changed(value)
        if len(self) < _MOST and len(value) <= _LONGEST:  # numbers never come again, and what does comes early
            self[value] = value
        return value

    def once(self, value: str) -> str:
        """The same for a value that hardly comes again, such as a member's number: it is not remembered."""
        return value if self._fits(value) else self._changed(value)

    def _changed(self, value: str) -> str:
        text, rules = self._characters.plain(value)
        if len(text) > self._most:
            rules.append("shortened" if self._cut else "too_long")
            text = text[: self._most].rstrip(" ") if self._cut else ""
        elif text and len(text) < self._least:
            rules.append("too_short")
            text = ""
        for rule in rules:
            self._lose(f"edi834.{rule}")
        return text


def _without_marks(character: str) -> str:
    """The ASCII letters of a letter with accents; empty where there are none."""
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
