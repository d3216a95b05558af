"""A resolution as one version of US Core holds it: its lists, how often, and whether there is a place at all.

Which version lists what is in ``guides/us_core_categories.csv`` and ``codes/us_core_answers.csv``,
where it stands in ``guides/us_core.csv``. The version ``none`` is FHIR R4 with the extensions of Gender Harmony.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from fhir_equity.errors import UsageError
from fhir_equity.model import Coding, Concept, Expressed, Loss, Origin, Relationship, Resolution, State
from fhir_equity.tables import Row, Tables
from fhir_equity.vocabulary.codes import CDCREC, Codes
from fhir_equity.vocabulary.crosswalk import Crosswalks, Step
from fhir_equity.vocabulary.receiver import Receiver
from fhir_equity.vocabulary.saying import concepts_of, in_full, inexact, no_code, words_of, worth_saying
from fhir_equity.vocabulary.schema import HISPANIC, MENA, NOT_HISPANIC, OTHER_RACE, WHITE, Schemas

RACE = "race_ethnicity"
US_CORE = "6.1.0"
PLACES = "guides/us_core.csv"
_LISTS = ("guides/us_core_categories.csv", "codes/us_core_answers.csv")
Strategy = Literal["faithful", "rollup-1997"]

# Where a list has both, the reason that says declined is the better one.
_ABSENT = ("data-absent-reason", "null-flavor")
_EQUIVALENT = Relationship.EQUIVALENT
_CLOSED = ("valueCode", "valueCoding")  # a value without words: what the list lacks cannot be told
_OBSERVED = ("observation", "both")


def versions(tables: Tables) -> list[str]:
    """The versions of US Core that can be written, oldest first; ``none`` is the last."""
    return list(dict.fromkeys(row["version"] for row in tables.rows(PLACES)))


class UsCore:
    """Turns resolutions into what a Patient of one version holds. Raises UsageError for a version that is not ours.

    `places` has the row of ``guides/us_core.csv`` for each topic that the version has a place for. `profile` is
    the one that its Patients claim; empty for none.
    """

    def __init__(self, codes: Codes, crosswalks: Crosswalks, schemas: Schemas, version: str = US_CORE) -> None:
        known = versions(codes.tables)
        if version not in known:
            raise UsageError(f"US Core is written as {', '.join(known)}")
        self._codes, self._crosswalks, self._schemas = codes, crosswalks, schemas
        self._texts = {row["state"]: row["text"] for row in codes.tables.rows("codes/states.csv")}
        rows = [row for row in codes.tables.rows(PLACES) if row["version"] == version]
        self.places: dict[str, Row] = {row["topic"]: row for row in rows if row["topic"]}
        self.profile = next((row["url"] for row in rows if not row["topic"]), "")
        listed = [row for name in _LISTS for row in codes.tables.rows(name) if row[version]]
        self._listed = {(row["topic"], row["system"], row["code"]): row for row in listed}
        self._receiver = Receiver(codes, regions=all(row["regions"] for row in rows if row["value"] == "communication"))

    def __call__(
        self, resolutions: Mapping[str, Resolution], strategy: Strategy = "faithful"
    ) -> tuple[list[Expressed], list[Loss]]:
        """Resolutions by matter as expressed answers, and what was lost."""
        losses = inexact(resolutions)
        expressed: list[Expressed] = []
        for matter, resolution in resolutions.items():
            origin = resolution.winner.origin if resolution.winner else Origin()
            said = [e for e in self._said(matter, resolution, strategy, losses) if e.details or e.categories or e.text]
            expressed += [msgspec.structs.replace(self._receiver(each, losses), origin=origin) for each in said]
        return expressed, losses

    def _said(self, matter: str, resolution: Resolution, strategy: Strategy, losses: list[Loss]) -> Iterable[Expressed]:
        """What one matter is told as, each of several answers by itself where the place is for one at a time."""
        if matter == RACE:
            return self._race_and_ethnicity(resolution, strategy, losses)
        if resolution.state is not State.ANSWERED:
            return self._reason(matter, resolution, losses)
        found = (self._apart if self._is_one_at_a_time(matter) else in_full)(matter, resolution, losses)
        return [self._fitted(each, losses) for each in found]

    def _is_observed(self, topic: str) -> bool:
        return topic in self.places and self.places[topic]["place"] in _OBSERVED

    def _is_one_at_a_time(self, topic: str) -> bool:
        """Whether an Observation or an extension that may be repeated holds one answer of several."""
        place = self.places.get(topic)
        return self._is_observed(topic) or (
            place is not None and place["place"] == "extension" and place["most"] == "*"
        )

    def _apart(self, matter: str, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        """Each of several answers by itself; a wording stays with the one code that says less."""
        found: list[Expressed] = []
        for meaning in resolution.meanings:
            first = next(iter(meaning.concepts), None)
            if first and meaning.text and len(meaning.concepts) == 1 and first.relationship is not _EQUIVALENT:
                found.append(_one(resolution, (first.coding,), meaning.text))  # Lesbian, coded as homosexual
                continue
            found += [_one(resolution, (each.coding,), each.coding.display) for each in meaning.concepts]
            found += [_one(resolution, (), meaning.text)] * bool(meaning.text)
        return worth_saying(list(dict.fromkeys(found)), "plain", matter, losses)

    def _fitted(self, said: Expressed, losses: list[Loss]) -> Expressed:
        """The answer in the codes of the version's list; words stay where the value has a place for them."""
        value = self.places.get(said.topic, {}).get("value")
        closed = value in _CLOSED
        if (closed or value == "valueBoolean") and said.details and said.text != words_of(said.details, ()):
            losses.append(Loss("us-core.no_place_for_text", Relationship.WIDER, said.topic))
        fitted = [self._of_the_list(said.topic, coding, closed=closed) for coding in said.details]
        kept = tuple(coding for coding in fitted if coding is not None)
        if len(kept) < len(fitted) or (closed and not kept):
            losses.append(Loss("us-core.code_not_listed", Relationship.UNMATCHED, said.topic))
        return msgspec.structs.replace(said, details=kept, text="" if closed else said.text)

    def _of_the_list(self, topic: str, coding: Coding, *, closed: bool) -> Coding | None:
        """The listed code that means the same, else the code itself unless the list is closed."""
        if (topic, coding.system, coding.code) in self._listed:
            return coding
        family = self._codes.topic(topic).family
        for (about, system, code), row in self._listed.items():
            steps = self._crosswalks.steps(topic, family, system, code) if about == topic else []
            same = Coding(coding.system, coding.code)
            if [Coding(s.target_system, s.target_code) for s in steps if s.relationship is _EQUIVALENT] == [same]:
                return Coding(system, code, row["display"])
        return None if closed else coding

    def _reason(self, matter: str, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        """Why there is no answer, where the list of the topic has a code for it."""
        step = self._absent(matter, resolution.state)
        if step is None and self._is_observed(matter):  # an Observation always has a place for the reason
            step = next(iter(self._crosswalks.outward("state", resolution.state.value, _ABSENT[0])), None)
        if step is None:
            no_code("", resolution, losses)
            return []
        losses += [Loss(step.rule, step.relationship, matter)] * (step.relationship is not _EQUIVALENT)
        coding = self._codes.absent(step.target_system, step.target_code)
        return [_one(resolution, (coding,), self._texts[resolution.state.value])]

    def _absent(self, topic: str, state: State) -> Step | None:
        steps = [step for system in _ABSENT for step in self._crosswalks.outward("state", state.value, system)]
        return next((s for s in steps if (topic, s.target_system, s.target_code) in self._listed), None)

    def _race_and_ethnicity(self, resolution: Resolution, strategy: Strategy, losses: list[Loss]) -> list[Expressed]:
        if resolution.state is not State.ANSWERED:
            return self._not_answered(resolution, losses)
        concepts = concepts_of(resolution)
        race = [c.coding for c in concepts if self._table(c) == "Race"]
        ethnicity = [c.coding for c in concepts if self._table(c) == "Ethnicity"]
        words = {topic: self._uncoded(resolution, topic) for topic in ("race", "ethnicity", RACE)}
        losses += [Loss("us-core.no_code", Relationship.UNMATCHED, RACE) for said in words.values() for _ in said]
        # Words stay with their question. Those of a combined one stand with the race, or with the
        # ethnicity where that is all there is.
        words["race" if race or not ethnicity else "ethnicity"] += words[RACE]
        said_race, said_ethnicity = words_of(race, words["race"]), words_of(ethnicity, words["ethnicity"])
        if strategy == "rollup-1997":
            said_ethnicity = self._roll_up(resolution, race, ethnicity, losses) or said_ethnicity
        found = [self._race(race, said_race, losses), self._ethnicity(ethnicity, said_ethnicity, losses)]
        return worth_saying(found, "us-core", RACE, losses)

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
        if len(categories) > int(self.places["race"]["most"]):  # Other Race is the one that says least
            categories = [c for c in categories if c.code != OTHER_RACE]
            losses.append(Loss("us-core.too_many_categories", Relationship.UNMATCHED, "race"))
        listed = [c for c in categories if ("race", CDCREC, c.code) in self._listed]
        if len(listed) < len(categories):  # Other Race, which the text keeps
            losses.append(Loss("us-core.code_not_listed", Relationship.UNMATCHED, "race"))
        return Expressed("race", State.ANSWERED, tuple(listed), tuple(details), said)

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

    def _not_answered(self, resolution: Resolution, losses: list[Loss]) -> list[Expressed]:
        """Both questions, each with the code that its list has for the state, else with the words alone."""
        state = resolution.state
        steps = {topic: self._absent(topic, state) for topic in ("race", "ethnicity")}
        if not any(steps.values()):
            if state not in (State.UNKNOWN, State.NOT_ASKED):
                losses.append(Loss(f"us-core.no_code_for.{state.value}", Relationship.UNMATCHED, RACE))
            return []
        told = (Loss(s.rule, s.relationship, RACE) for s in steps.values() if s and s.relationship is not _EQUIVALENT)
        losses += dict.fromkeys(told)
        found = []
        for topic, step in steps.items():
            codes = (self._codes.absent(step.target_system, step.target_code),) if step else ()
            losses += [Loss(f"us-core.no_code_for.{state.value}", Relationship.INEXACT, topic)] * (not codes)
            found.append(Expressed(topic, state, categories=codes, text=self._texts[state.value]))
        return found

    def _uncoded(self, resolution: Resolution, topic: str) -> list[str]:
        """What one question was answered with and no CDC code says: ambiguous letters, then words."""
        meanings = [meaning for meaning in resolution.meanings if meaning.topic == topic]
        loose = [c.coding.display for meaning in meanings for c in meaning.concepts if not self._table(c)]
        return [*loose, *(meaning.text for meaning in meanings if meaning.text)]

    def _table(self, concept: Concept) -> str:
        coding = concept.coding
        return self._codes.cdcrec[coding.code]["table"] if coding.system == CDCREC else ""


def _one(resolution: Resolution, details: tuple[Coding, ...], text: str) -> Expressed:
    return Expressed(resolution.matter, resolution.state, details=details, text=text)
