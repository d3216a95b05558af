"""Write Members as Patients of one version of US Core, with Observations and Provenance beside them.

Telling what has no place is part of it. Equal answers are written once per run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir.express import OMB_URLS, communication_of, extensions_of, is_extension, omb_extension
from fhir_equity.adapters.fhir.languages import SPOKEN, WRITTEN
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.write_observations import is_observed, named, observation_of, sensitivity_of
from fhir_equity.adapters.fhir.write_person import Identifiers, address_json, birth_date_text, gender_code, name_json
from fhir_equity.adapters.fhir.write_provenance import Provenances, elements
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Enrollment, Expressed, Loss, Member, Origin, Outgoing, Relationship

PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
MOST = 50_000  # answers remembered before the memory starts afresh
_LANGUAGES = (SPOKEN, WRITTEN)

# What refers to a resource of a kind by its id: a relative reference, or within a transaction a URN.
Reference = Callable[[str, str], str]


def relative(kind: str, name: str) -> str:
    """A reference from one resource of a server or of a file to another."""
    return f"{kind}/{name}"


class _Said(Struct, frozen=True, gc=False):
    """What answers are on a Patient, what stands beside it, and what was lost; shared by all who gave them."""

    elements: Json
    observations: tuple[tuple[Expressed, Json], ...]
    # The ids of elements by the origin of their answers, those of a topic that has labels apart from all others.
    told: tuple[tuple[Origin, str, tuple[str, ...]], ...]
    losses: tuple[Loss, ...]


class Writer:
    """Writes the members of one run.

    The context's ``systems`` turns keys of code systems into URIs, its guide's ``identifier_systems`` gives
    identifiers without a system one, and the guide's ``places`` and ``profile`` say what the version to be written
    has a place for (the rows of guides/us_core.csv) and claims; without them that is race and ethnicity alone.
    https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-patient.html
    """

    def __init__(self, context: Context, reference: Reference = relative) -> None:
        self._context, self._reference = context, reference
        self._places = context.guide.get("places", {})
        profile = context.guide.get("profile", PROFILE)
        self._meta = {"meta": {"profile": [profile]}} if profile else {}
        self._gender_required = self._places.get("sex", {}).get("least") != "0"
        self._missing = "name" in self._places  # the Patient itself says that there is no name
        self._identifiers = Identifiers(context)
        self._provenances = Provenances(context)
        self._said: dict[tuple[tuple[Expressed, ...], bool], _Said] = {}

    def patient(self, outgoing: Outgoing) -> tuple[dict[str, Any], list[Loss]]:
        """A Patient without an id, for a server to give it one, and the losses.

        What would stand beside it has no place.
        """
        said = self._answers(outgoing.expressed, alone=True)
        losses = list(said.losses)
        return {"resourceType": "Patient", **self._body(outgoing.member, said, losses)}, losses

    def resources(self, outgoing: Outgoing) -> tuple[list[dict[str, Any]], list[Loss]]:
        """A Patient with an id, the Observations about them, who told it, and the losses.

        Ids are keyed: the same for the same first identifier, whatever else is said, and they tell neither who it
        is nor what was answered. The Patient has one whether or not there is an Observation.
        """
        said = self._answers(outgoing.expressed, alone=False)
        losses = list(said.losses)
        body = self._body(outgoing.member, said, losses)
        name = self._name(body, outgoing.member)
        found: list[dict[str, Any]] = [{"resourceType": "Patient", "id": name, **body}]
        if said.observations or said.told:
            found += self._beside(said, name)
        return found, losses

    def _name(self, body: Json, member: Member) -> str:
        identifiers = body.get("identifier")
        if identifiers:
            return self._context.uuid("Patient", identifiers[0]["system"], identifiers[0]["value"])
        return self._context.uuid("Patient", member.partner, member.key)

    def _body(self, member: Member, said: _Said, losses: list[Loss]) -> Json:
        address, elements, name = address_json(member.address), said.elements, name_json(member.name)
        patient = {
            **self._meta,
            "extension": elements["extension"] + (name["extension"] if self._missing and "extension" in name else []),
            "identifier": self._identifiers(member, losses),
            "name": [name],
            "gender": elements["gender"],
            "birthDate": birth_date_text(member.birth_date, losses),
            "address": [address] if address else None,
            "communication": elements["communication"],
        }
        if member.enrollment != _NOT_ENROLLED:
            losses.append(_NO_ENROLLMENT)
        return {name: value for name, value in patient.items() if value}

    def _beside(self, said: _Said, name: str) -> list[Json]:
        """Observations, then the Provenance of elements of the Patient, then that of Observations."""
        uuid, subject = self._context.uuid, self._reference("Patient", name)
        found: list[Json] = []
        targets: dict[tuple[Origin, str], list[Json]] = {}
        seen: Counter[str] = Counter()
        for expressed, observation in said.observations:
            seen[expressed.topic] += 1
            own = uuid("Observation", name, expressed.topic, str(seen[expressed.topic]))
            found.append(named(observation, own, subject))
            if self._provenances.tells(expressed.origin):
                target = {"reference": self._reference("Observation", own)}
                targets.setdefault((expressed.origin, expressed.topic), []).append(target)
        for number, (origin, topic, ids) in enumerate(said.told, start=1):
            own, labels = uuid("Provenance", name, "Patient", str(number)), sensitivity_of(topic, self._context)
            found.append(self._provenances.about(origin, elements(subject, ids), own, subject, labels))
        for number, ((origin, topic), about) in enumerate(targets.items(), start=1):
            own, labels = uuid("Provenance", name, topic, str(number)), sensitivity_of(topic, self._context)
            found.append(self._provenances.about(origin, about, own, subject, labels))
        return found

    def _answers(self, expressed: tuple[Expressed, ...], *, alone: bool) -> _Said:
        found = self._said.get((expressed, alone))
        if found is None:
            if len(self._said) >= MOST:
                self._said.clear()
            found = self._said[(expressed, alone)] = self._express(expressed, alone=alone)
        return found

    def _express(self, expressed: tuple[Expressed, ...], *, alone: bool) -> _Said:
        losses: list[Loss] = []
        context = self._context
        apart = [each for each in expressed if not alone and is_observed(each.topic, context)]
        by_topic = {each.topic: each for each in expressed}
        groups = {topic: [omb_extension(by_topic[topic], context, losses)] for topic in OMB_URLS if topic in by_topic}
        others = [each for each in expressed if each.topic not in OMB_URLS and is_extension(each.topic, context)]
        for topic in dict.fromkeys(each.topic for each in others):
            groups[topic] = [*extensions_of((each for each in others if each.topic == topic), context, losses)]
        extensions = {topic: [each for each in found if each] for topic, found in groups.items()}
        languages = communication_of(by_topic, context, losses)
        gender = gender_code(by_topic.get("sex"), losses, required=self._gender_required)
        placed = {*groups, "sex", *_LANGUAGES, *(each.topic for each in apart)}
        losses += [Loss("fhir.no_place", Relationship.UNMATCHED, topic) for topic in by_topic if topic not in placed]
        written = {**extensions, **languages}
        said = {
            "extension": [extension for found in extensions.values() for extension in found],
            "gender": gender,
            "communication": [entry for found in languages.values() for entry in found],
        }
        told = () if alone else self._told(by_topic, written)
        return _Said(said, tuple((each, observation_of(each, context)) for each in apart), told, tuple(losses))

    def _told(
        self, by_topic: dict[str, Expressed], written: dict[str, list[Json]]
    ) -> tuple[tuple[Origin, str, tuple[str, ...]], ...]:
        """Give the elements of which somebody told an id each; the ids by who told."""
        told: dict[tuple[Origin, str], list[str]] = {}
        for topic, found in written.items():
            origin = by_topic[topic].origin
            if self._provenances.tells(origin):
                labelled = topic if sensitivity_of(topic, self._context) else ""
                for number, element in enumerate(found, start=1):
                    element["id"] = topic if number == 1 else f"{topic}-{number}"
                    told.setdefault((origin, labelled), []).append(element["id"])
        return tuple((origin, topic, tuple(names)) for (origin, topic), names in told.items())


_NOT_ENROLLED = Enrollment()
_NO_ENROLLMENT = Loss("fhir.patient.no_enrollment", Relationship.UNMATCHED)


def patient_from(outgoing: Outgoing, context: Context) -> tuple[dict[str, Any], list[Loss]]:
    """A Patient for a member with what may be written about them, and the losses: see `Writer.patient`."""
    return Writer(context).patient(outgoing)


def resources_from(outgoing: Outgoing, context: Context) -> tuple[list[dict[str, Any]], list[Loss]]:
    """A member's Patient and what stands beside it, and the losses: see `Writer.resources`."""
    return Writer(context).resources(outgoing)
