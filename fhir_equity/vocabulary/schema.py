"""The two ways to look at race and ethnicity: OMB 2024 (one question) and OMB 1997 (two questions).

Views are computed and never stored. What a view derives, because the person was asked the other
question, is marked `bridged` and counted. Sources: SPD 15 (2024), 89 FR 22182; no official
deterministic crosswalk between the two standards exists, so every bridge here is ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fhir_equity.model import Meaning, State
from fhir_equity.vocabulary.codes import CDCREC, Codes, fold

HISPANIC, NOT_HISPANIC, WHITE, OTHER_RACE = "2135-2", "2186-5", "2106-3", "2131-1"
MENA = "Middle Eastern or North African"


class View2024(Struct, frozen=True, gc=False):
    """The OMB 2024 minimum categories of one person. `detailed` is true with any code below them."""

    categories: tuple[str, ...] = ()
    detailed: bool = False


class View1997(Struct, frozen=True, gc=False):
    """The OMB 1997 race categories and ethnicity of one person.

    `bridged`: something was derived (MENA counted as White; Not Hispanic from a combined question).
    `cannot_be_bridged`: an answer to a combined question that the two questions cannot hold
    (Hispanic alone states no race; "Asian or Pacific Islander" is two categories).
    `lost_multiracial`: two 2024 categories became one. `other_race`: Other Race was answered, which
    is no OMB category.
    """

    race: tuple[str, ...] = ()
    ethnicity: str = ""
    bridged: bool = False
    cannot_be_bridged: bool = False
    lost_multiracial: bool = False
    other_race: bool = False


class Schemas:
    """Computes both views from meanings, by the tables of one partner."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        rows = codes.tables.rows("codes/omb2024.csv")
        self.categories = tuple(row["category"] for row in rows if row["kind"] == "minimum")
        self._minimum = {row["cdcrec"] for row in rows if row["kind"] == "minimum"}
        rows = codes.tables.rows("codes/omb1997.csv")
        self._official_1997 = [r["category"] for r in rows if r["question"] == "race" and r["official"] == "yes"]
        self.races_1997 = {row["code"]: row["category"] for row in rows if row["question"] == "race"}
        self.ethnicities_1997 = {row["code"]: row["category"] for row in rows if row["question"] == "ethnicity"}

    def omb2024(self, meanings: Iterable[Meaning], standard: str = "") -> View2024:
        """The view of one event. `standard` is the origin's (``omb1997``, ``omb2024`` or empty)."""
        found: set[str] = set()
        detailed = False
        for meaning in meanings:
            codes = _cdcrec(meaning)
            rolled = self._without_rollup(meaning, codes, standard)
            found |= {self._codes.category_2024(code) for code in rolled}
            detailed = detailed or any(self.is_detail(code) for code in codes)
        return View2024(tuple(c for c in self.categories if c in found), detailed)

    def is_detail(self, code: str) -> bool:
        """Whether a CDCREC code says more than a minimum category of either standard."""
        return code not in self._minimum and code not in self.races_1997 and code not in self.ethnicities_1997

    def details(self, meanings: Iterable[Meaning]) -> list[str]:
        """The detailed groups (CDCREC codes) that were named, each once."""
        return sorted({code for meaning in meanings for code in _cdcrec(meaning) if self.is_detail(code)})

    def _without_rollup(self, meaning: Meaning, codes: list[str], standard: str) -> list[str]:
        """Drop a White that only the 1997 roll-up of a MENA detail put there.

        A 1997 race question has no MENA box: US Core can state Lebanese only as a detail under the
        category White, so there the pair is one answer. White stays where the words name it too.
        """
        if meaning.topic != "race" or standard == "omb2024" or WHITE not in codes:
            return codes
        said = {fold(part) for part in meaning.wording.split(";")} if ";" in meaning.wording else set()
        if fold("White") in said or not any(self._codes.category_2024(code) == MENA for code in codes):
            return codes
        return [code for code in codes if code != WHITE]

    def omb1997(self, meanings: Iterable[Meaning], standard: str = "") -> View1997:
        """The view of one event. Not Hispanic is derived only for a 2024 question that named a race."""
        answered = [meaning for meaning in meanings if meaning.state is State.ANSWERED]
        codes = [code for meaning in answered for code in _cdcrec(meaning)]
        race = {self._race_1997(code) for code in codes} - {""}
        ethnicity, derived = self._ethnicity_1997(codes, race, standard)
        view_2024 = self.omb2024(answered, standard)
        mena = MENA in view_2024.categories
        combined = any(meaning.topic == "race_ethnicity" for meaning in answered)
        ordered = tuple(c for c in self._official_1997 if c in race)
        return View1997(
            race=ordered,
            other_race=len(ordered) < len(race),
            ethnicity=ethnicity,
            bridged=mena or derived,
            cannot_be_bridged=combined and not race,
            lost_multiracial=mena and "White" in view_2024.categories,
        )

    def _race_1997(self, code: str) -> str:
        row = self._codes.cdcrec[code]
        return self.races_1997.get(row["omb1997"] or code, "") if row["table"] == "Race" else ""

    def _ethnicity_1997(self, codes: list[str], race: set[str], standard: str) -> tuple[str, bool]:
        if any(self._codes.cdcrec[code]["omb1997"] == HISPANIC for code in codes):
            return self.ethnicities_1997[HISPANIC], False
        if NOT_HISPANIC in codes:
            return self.ethnicities_1997[NOT_HISPANIC], False
        if standard == "omb2024" and race:
            return self.ethnicities_1997[NOT_HISPANIC], True
        return "", False


def _cdcrec(meaning: Meaning) -> list[str]:
    return [c.coding.code for c in meaning.concepts if c.coding.system == CDCREC]
