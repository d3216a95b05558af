"""A resolution in a target's own codes, with what the target cannot say.

`faithful` sends what the person said and nothing else; `rollup-1997` adds the OMB 1997 category or
ethnicity that a receiver needs, and each addition is a loss entry. A null flavour is never written
as if somebody had been asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_equity.model import Coding, Expressed, Loss, Relationship, Resolution, State
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes
from fhir_equity.vocabulary.crosswalk import Crosswalks
from fhir_equity.vocabulary.saying import concepts_of, in_full, inexact, no_code, worth_saying
from fhir_equity.vocabulary.schema import MENA, WHITE, Schemas
from fhir_equity.vocabulary.us_core import RACE, US_CORE, Strategy, UsCore

X12_RET = "x12-ret"  # a CDC code in DMG05 as one partner takes it


class Express:
    """Turns resolutions by matter into what one kind of target can write."""

    def __init__(self, codes: Codes, crosswalks: Crosswalks, schemas: Schemas) -> None:
        self._codes, self._crosswalks, self._schemas = codes, crosswalks, schemas
        self._texts = {row["state"]: row["text"] for row in codes.tables.rows("codes/states.csv")}
        self._versions = {US_CORE: UsCore(codes, crosswalks, schemas)}

    def us_core(
        self, resolutions: Mapping[str, Resolution], strategy: Strategy = "faithful", version: str = US_CORE
    ) -> tuple[list[Expressed], list[Loss]]:
        """A Patient of one version of US Core: race, ethnicity, communication, sex and gender, interpreter.

        ``us-core-race.ombCategory`` and ``us-core-ethnicity.ombCategory`` hold the OMB 1997
        categories only, so Middle Eastern or North African goes to ``detailed`` and ``text``. What
        guides/fhir.toml says of an older receiver is heeded (`Receiver`). Raises UsageError for a
        version that guides/us_core.csv does not have.
        """
        return self.version(version)(resolutions, strategy)

    def version(self, version: str = US_CORE) -> UsCore:
        """What one version of US Core holds. Raises UsageError for one that is not ours."""
        if version not in self._versions:
            self._versions[version] = UsCore(self._codes, self._crosswalks, self._schemas, version)
        return self._versions[version]

    def x12(
        self, resolutions: Mapping[str, Resolution], race: str = "RET", strategy: Strategy = "faithful"
    ) -> tuple[list[Expressed], list[Loss]]:
        """834 DMG05, LUI and DMG03.

        `race` is ``RET`` (CDC codes), ``hierarchical`` (CDC codes of that spelling), ``1109`` (letters
        where one exists, else CDC codes) or ``both``. Where a partner's sheet lists the codes it takes
        (``crosswalks/cdcrec_to_x12_ret.csv``), the others are told as their row or the tree says.
        """
        losses = inexact(resolutions)
        expressed: list[Expressed] = []
        for matter, resolution in resolutions.items():
            if matter == RACE:
                expressed += self._x12_race(resolution, race, strategy, losses)
            elif matter == "sex":
                expressed += self._x12_sex(resolution, losses)
            elif self._codes.topic(matter).code_system == LANGUAGE:
                expressed += self._x12_language(matter, resolution, losses)
            else:
                expressed += self._or_nothing(matter, resolution, losses)
        return expressed, losses

    def plain(self, resolutions: Mapping[str, Resolution]) -> tuple[list[Expressed], list[Loss]]:
        """Canonical codes and words, for a table that people read."""
        losses = inexact(resolutions)
        expressed: list[Expressed] = []
        for matter, resolution in resolutions.items():
            if resolution.state is not State.ANSWERED and (text := self._texts[resolution.state.value]):
                expressed.append(Expressed(matter, resolution.state, text=text))
            else:
                expressed += self._or_nothing(matter, resolution, losses)
        return expressed, losses

    def _x12_race(self, resolution: Resolution, form: str, strategy: Strategy, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            steps = self._crosswalks.outward("state", resolution.state.value, "x12-1109")
            losses += [Loss(s.rule, s.relationship, RACE) for s in steps if s.relationship != Relationship.EQUIVALENT]
            details = tuple(Coding("x12-1109", step.target_code) for step in steps)
            if not details:
                no_code("x12.", resolution, losses)
            return [Expressed(RACE, resolution.state, details=details)] if details else []
        losses += [Loss("x12.no_place_for_text", Relationship.UNMATCHED, RACE) for m in resolution.meanings if m.text]
        taken = [self._x12_taken(c.coding, strategy, losses) for c in concepts_of(resolution)]
        said = dict.fromkeys([code for coding in taken if coding for code in self._x12_codes(coding, form)])
        return worth_saying([Expressed(RACE, State.ANSWERED, details=tuple(said))], "x12", RACE, losses)

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
        code = next((c.coding.code for c in concepts_of(resolution)), "")
        source = ("administrative-gender", code) if code else ("state", "unknown")
        steps = self._crosswalks.outward(*source, "x12-1068")
        losses += [Loss(s.rule, s.relationship, "sex") for s in steps if s.relationship != Relationship.EQUIVALENT]
        return [Expressed("sex", resolution.state, details=tuple(Coding("x12-1068", s.target_code) for s in steps))]

    def _x12_language(self, matter: str, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            no_code("x12.", resolution, losses)
            return []
        details = []
        for concept in concepts_of(resolution):
            code, exact = self._codes.iso639_2b(concept.coding.code)
            details.append(Coding("iso639", code, concept.coding.display))
            if not exact:
                losses.append(Loss("x12.language_without_region", Relationship.WIDER, matter))
        words = "; ".join(m.text for m in resolution.meanings if m.text)
        return worth_saying(
            [Expressed(matter, State.ANSWERED, details=tuple(details), text=words)], "x12", matter, losses
        )

    def _or_nothing(self, matter: str, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is State.ANSWERED:
            return in_full(matter, resolution, losses)
        no_code("", resolution, losses)
        return []
