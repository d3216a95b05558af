"""A resolution in a target's own codes, with what the target cannot say.

`faithful` sends what the person said and nothing else; `rollup-1997` adds the OMB 1997 category or
ethnicity that a receiver needs, and each addition is a loss entry. A null flavour is never written
as if somebody had been asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fhir_equity.model import Coding, Concept, Expressed, Loss, Relationship, Resolution, State
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes
from fhir_equity.vocabulary.crosswalk import Crosswalks
from fhir_equity.vocabulary.receiver import Receiver
from fhir_equity.vocabulary.schema import HISPANIC, MENA, NOT_HISPANIC, OTHER_RACE, WHITE, Schemas

RACE = "race_ethnicity"
X12_RET = "x12-ret"  # a CDC code in DMG05 as one partner takes it
MOST_CATEGORIES = 5  # us-core-race.ombCategory is 0..5 before US Core 7.0.0
Strategy = Literal["faithful", "rollup-1997"]


class Express:
    """Turns resolutions by matter into what one kind of target can write."""

    def __init__(self, codes: Codes, crosswalks: Crosswalks, schemas: Schemas) -> None:
        self._codes, self._crosswalks, self._schemas = codes, crosswalks, schemas
        self._texts = {row["state"]: row["text"] for row in codes.tables.rows("codes/states.csv")}
        self._receiver = Receiver(codes)

    def us_core(
        self, resolutions: Mapping[str, Resolution], strategy: Strategy = "faithful"
    ) -> tuple[list[Expressed], list[Loss]]:
        """US Core 6.1.0 Patient: race, ethnicity, communication, gender.

        ``us-core-race.ombCategory`` and ``us-core-ethnicity.ombCategory`` hold the OMB 1997
        categories only, so Middle Eastern or North African goes to ``detailed`` and ``text``. What
        guides/fhir.toml says of an older receiver is heeded (`Receiver`).
        """
        losses = _inexact(resolutions)
        expressed: list[Expressed] = []
        for matter, resolution in resolutions.items():
            if matter == RACE:
                expressed += self._us_core_race(resolution, strategy, losses)
            else:
                expressed += self._plain(matter, resolution, losses, null_flavors=False)
        return [self._receiver(each, losses) for each in expressed], losses

    def x12(
        self, resolutions: Mapping[str, Resolution], race: str = "RET", strategy: Strategy = "faithful"
    ) -> tuple[list[Expressed], list[Loss]]:
        """834 DMG05, LUI and DMG03.

        `race` is ``RET`` (CDC codes), ``hierarchical`` (CDC codes of that spelling), ``1109`` (letters
        where one exists, else CDC codes) or ``both``. Where a partner's sheet lists the codes it takes
        (``crosswalks/cdcrec_to_x12_ret.csv``), the others are told as their row or the tree says.
        """
        losses = _inexact(resolutions)
        expressed: list[Expressed] = []
        for matter, resolution in resolutions.items():
            if matter == RACE:
                expressed += self._x12_race(resolution, race, strategy, losses)
            elif matter == "sex":
                expressed += self._x12_sex(resolution, losses)
            elif self._codes.topic(matter).code_system == LANGUAGE:
                expressed += self._x12_language(matter, resolution, losses)
            else:
                expressed += self._plain(matter, resolution, losses, null_flavors=False)
        return expressed, losses

    def plain(self, resolutions: Mapping[str, Resolution]) -> tuple[list[Expressed], list[Loss]]:
        """Canonical codes and words, for a table that people read."""
        losses = _inexact(resolutions)
        expressed: list[Expressed] = []
        for matter, resolution in resolutions.items():
            expressed += self._plain(matter, resolution, losses, null_flavors=True)
        return expressed, losses

    def _us_core_race(self, resolution: Resolution, strategy: Strategy, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            return self._absent(("race", "ethnicity"), resolution.state, losses)
        concepts = _concepts(resolution)
        race = [c.coding for c in concepts if self._table(c) == "Race"]
        ethnicity = [c.coding for c in concepts if self._table(c) == "Ethnicity"]
        words = {topic: self._uncoded(resolution, topic) for topic in ("race", "ethnicity", RACE)}
        losses += [Loss("us-core.no_code", Relationship.UNMATCHED, RACE) for said in words.values() for _ in said]
        # Words stay with their question. Those of a combined one stand with the race, or with the
        # ethnicity where that is all there is.
        words["race" if race or not ethnicity else "ethnicity"] += words[RACE]
        said_race, said_ethnicity = _text(race, words["race"]), _text(ethnicity, words["ethnicity"])
        if strategy == "rollup-1997":
            said_ethnicity = self._roll_up(resolution, race, ethnicity, losses) or said_ethnicity
        found = [self._race(race, said_race, losses), self._ethnicity(ethnicity, said_ethnicity, losses)]
        return _worth_saying(found, "us-core", RACE, losses)

    def _race(self, race: list[Coding], said: str, losses: list[Loss]) -> Expressed:
        categories = [c for c in race if c.code in self._schemas.races_1997]
        details = [c for c in race if c.code not in self._schemas.races_1997]
        for detail in details:  # Chinese is Asian under both standards; MENA is White only under one
            row = self._codes.cdcrec[detail.code]
            parent = self._codes.find(CDCREC, row["omb1997"]) if row["omb1997"] else None
            same = parent and self._codes.category_2024(parent.code) == self._codes.category_2024(detail.code)
            if parent and same and all(c.code != parent.code for c in categories):
                categories.append(parent)
                losses.append(Loss("us-core.category_added", Relationship.WIDER, "race"))
        if len(categories) > MOST_CATEGORIES:  # Other Race has no category of its own; the text keeps it
            categories = [c for c in categories if c.code != OTHER_RACE]
            losses.append(Loss("us-core.too_many_categories", Relationship.UNMATCHED, "race"))
        return Expressed("race", State.ANSWERED, tuple(categories), tuple(details), said)

    def _ethnicity(self, ethnicity: list[Coding], said: str, losses: list[Loss]) -> Expressed:
        """One category at most: Hispanic or Latino wins over its denial, and the text keeps both."""
        categories = [c for c in ethnicity if c.code in self._schemas.ethnicities_1997]
        details = [c for c in ethnicity if c.code not in self._schemas.ethnicities_1997]
        hispanic = self._codes.find(CDCREC, HISPANIC)
        rolls_up = any(self._codes.category_2024(c.code) for c in details)  # not what is under review
        if rolls_up and hispanic and hispanic not in categories:
            categories.append(hispanic)
            losses.append(Loss("us-core.category_added", Relationship.WIDER, "ethnicity"))
        if len(categories) > 1:
            categories = [c for c in categories if c.code == HISPANIC]
            losses.append(Loss("us-core.one_ethnicity_only", Relationship.UNMATCHED, "ethnicity"))
        return Expressed("ethnicity", State.ANSWERED, tuple(categories), tuple(details), said)

    def _roll_up(self, resolution: Resolution, race: list[Coding], ethnicity: list[Coding], losses: list[Loss]) -> str:
        """Add what OMB 1997 needs and the person did not say. The race text stays the person's own,
        so that a reader (ours included) can tell the added White; returns a text for a derived ethnicity."""
        standard = resolution.winner.origin.standard if resolution.winner else ""
        old = self._schemas.omb1997(resolution.meanings, standard)
        white = self._codes.find(CDCREC, WHITE)
        if white and white not in race and any(self._codes.category_2024(c.code) == MENA for c in race):
            race.append(white)
            losses.append(Loss("rollup-1997.mena_as_white", Relationship.WIDER, "race"))
        derived = self._codes.find(CDCREC, NOT_HISPANIC)
        if derived and old.ethnicity and not ethnicity:
            ethnicity.append(derived)
            losses.append(Loss("rollup-1997.not_hispanic_derived", Relationship.NARROWER, "ethnicity"))
            return f"{derived.display} (derived)"
        return ""

    def _x12_race(self, resolution: Resolution, form: str, strategy: Strategy, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            steps = self._crosswalks.outward("state", resolution.state.value, "x12-1109")
            losses += [Loss(s.rule, s.relationship, RACE) for s in steps if s.relationship != Relationship.EQUIVALENT]
            details = tuple(Coding("x12-1109", step.target_code) for step in steps)
            if not details:
                _no_code("x12.", resolution, losses)
            return [Expressed(RACE, resolution.state, details=details)] if details else []
        losses += [Loss("x12.no_place_for_text", Relationship.UNMATCHED, RACE) for m in resolution.meanings if m.text]
        taken = [self._x12_taken(c.coding, strategy, losses) for c in _concepts(resolution)]
        said = dict.fromkeys([code for coding in taken if coding for code in self._x12_codes(coding, form)])
        return _worth_saying([Expressed(RACE, State.ANSWERED, details=tuple(said))], "x12", RACE, losses)

    def _x12_taken(self, coding: Coding, strategy: Strategy, losses: list[Loss]) -> Coding | None:
        """The CDC code that the partner takes for this one; None, with a loss, where there is none."""
        if coding.system != CDCREC or not self._crosswalks.leads_to(X12_RET):
            return coding
        category = self._codes.category_2024(coding.code)
        own = self._crosswalks.outward(CDCREC, coding.code, X12_RET)
        if own and own[0].applies:
            losses += [Loss(own[0].rule, own[0].relationship, RACE)] * (own[0].relationship != Relationship.EQUIVALENT)
            return self._codes.find(CDCREC, own[0].target_code)
        for above in () if own else self._codes.parents(coding.code):
            taken = any(step.applies for step in self._crosswalks.outward(CDCREC, above, X12_RET))
            if taken and self._codes.category_2024(above) == category:  # never from one OMB 2024 category to another
                losses.append(Loss("x12.nearest_code_taken", Relationship.WIDER, RACE))
                return self._codes.find(CDCREC, above)
        if strategy == "rollup-1997" and category == MENA:
            losses.append(Loss("rollup-1997.mena_as_white", Relationship.WIDER, RACE))
            return self._codes.find(CDCREC, WHITE)
        losses.append(Loss(own[0].rule if own else "x12.code_not_taken", Relationship.UNMATCHED, RACE))
        return None

    def _x12_codes(self, coding: Coding, form: str) -> list[Coding]:
        """A code in the partner's spelling: a letter of 1109, a CDC code, or both."""
        if coding.system != CDCREC:
            return [coding]
        hierarchical = self._codes.cdcrec[coding.code]["hierarchical"]
        if form == "hierarchical" and hierarchical:
            return [Coding("cdcrec-hierarchical", hierarchical, coding.display)]
        letters = [letter for letter in [self._letter(coding)] if letter and form in ("1109", "both")]
        return [*letters, *([coding] if form == "both" or not letters else [])]

    def _letter(self, coding: Coding) -> Coding | None:
        for step in self._crosswalks.outward(CDCREC, coding.code, "x12-1109"):
            allowed = self._codes.x12_1109.get(step.target_code, {}).get("x220a1") == "Y"
            if step.relationship is Relationship.EQUIVALENT and allowed:
                return Coding("x12-1109", step.target_code)
        return None

    def _x12_sex(self, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        code = next((c.coding.code for c in _concepts(resolution)), "")
        source = ("administrative-gender", code) if code else ("state", "unknown")
        steps = self._crosswalks.outward(*source, "x12-1068")
        losses += [Loss(s.rule, s.relationship, "sex") for s in steps if s.relationship != Relationship.EQUIVALENT]
        return [Expressed("sex", resolution.state, details=tuple(Coding("x12-1068", s.target_code) for s in steps))]

    def _x12_language(self, matter: str, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            _no_code("x12.", resolution, losses)
            return []
        details = []
        for concept in _concepts(resolution):
            code, exact = self._codes.iso639_2b(concept.coding.code)
            details.append(Coding("iso639", code, concept.coding.display))
            if not exact:
                losses.append(Loss("x12.language_without_region", Relationship.WIDER, matter))
        words = "; ".join(m.text for m in resolution.meanings if m.text)
        return _worth_saying(
            [Expressed(matter, State.ANSWERED, details=tuple(details), text=words)], "x12", matter, losses
        )

    def _plain(self, matter: str, resolution: Resolution, losses: list[Loss], *, null_flavors: bool) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            if null_flavors and self._texts[resolution.state.value]:
                return [Expressed(matter, resolution.state, text=self._texts[resolution.state.value])]
            _no_code("", resolution, losses)
            return []
        codings = [concept.coding for concept in _concepts(resolution)]
        words = [m.text for m in resolution.meanings if m.text]
        said = Expressed(matter, State.ANSWERED, details=tuple(codings), text=_text(codings, words))
        return _worth_saying([said], "plain", matter, losses)

    def _absent(self, topics: tuple[str, ...], state: State, losses: list[Loss]) -> list[Expressed]:
        steps = self._crosswalks.outward("state", state.value, "null-flavor")
        if not steps:
            if state not in (State.UNKNOWN, State.NOT_ASKED):
                losses.append(Loss(f"us-core.no_code_for.{state.value}", Relationship.UNMATCHED, RACE))
            return []
        losses += [Loss(s.rule, s.relationship, RACE) for s in steps if s.relationship != Relationship.EQUIVALENT]
        codes = tuple(self._codes.absent(step.target_system, step.target_code) for step in steps)
        return [Expressed(topic, state, categories=codes, text=self._texts[state.value]) for topic in topics]

    def _uncoded(self, resolution: Resolution, topic: str) -> list[str]:
        """What one question was answered with and no CDC code says: ambiguous letters, then words."""
        meanings = [meaning for meaning in resolution.meanings if meaning.topic == topic]
        loose = [c.coding.display for meaning in meanings for c in meaning.concepts if not self._table(c)]
        return [*loose, *(meaning.text for meaning in meanings if meaning.text)]

    def _table(self, concept: Concept) -> str:
        coding = concept.coding
        return self._codes.cdcrec[coding.code]["table"] if coding.system == CDCREC else ""


def _concepts(resolution: Resolution) -> list[Concept]:
    return list({c.coding: c for m in resolution.meanings for c in m.concepts}.values())


def _text(codings: list[Coding], words: list[str]) -> str:
    """The person's answer in words, always in the same order: codes first, then their own words."""
    return "; ".join(dict.fromkeys([*(c.display for c in codings if c.display), *words]))


def _worth_saying(found: list[Expressed], target: str, matter: str, losses: list[Loss]) -> list[Expressed]:
    """Leave out what has neither code nor words; an answer of which nothing is left is a loss ("other", no words)."""
    kept = [e for e in found if e.categories or e.details or e.text]
    if not kept:
        losses.append(Loss(f"{target}.nothing_to_say", Relationship.UNMATCHED, matter))
    return kept


def _no_code(prefix: str, resolution: Resolution, losses: list[Loss]) -> None:
    """The target cannot say why there is no answer; where there was none at all nothing is lost."""
    if resolution.winner is not None:
        losses.append(Loss(f"{prefix}no_code_for.{resolution.state.value}", Relationship.UNMATCHED, resolution.matter))


def _inexact(resolutions: Mapping[str, Resolution]) -> list[Loss]:
    """What was already less than exact when it was understood: X12 O is White that may hide others.

    A rule that starts from somebody's words is named by its table only.
    """
    told = (Relationship.WIDER, Relationship.INEXACT)
    return [
        Loss(c.rule.partition(":")[0] if c.rule.startswith("wordings") else c.rule, c.relationship, matter)
        for matter, resolution in resolutions.items()
        for meaning in resolution.meanings
        for c in meaning.concepts
        if c.relationship in told
    ]
