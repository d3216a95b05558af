"""Write Members as Patients of one version of US Core, with Observations and Provenance beside them.

Telling what has no place is part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.write_answers import Answers, Said
from fhir_equity.adapters.fhir.write_observations import (
    URIS,
    is_observed,
    named,
    restricted_of,
    secured,
    sensitivity_of,
)
from fhir_equity.adapters.fhir.write_person import Identifiers, address_json, birth_date_text, name_json
from fhir_equity.adapters.fhir.write_provenance import Provenances, elements
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Enrollment, Loss, Member, Origin, Outgoing, Relationship, labels_in

PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
_NOT_ENROLLED = Enrollment()
_NO_ENROLLMENT = Loss("fhir.patient.no_enrollment", Relationship.UNMATCHED)

# What refers to a resource of a kind by its id: a relative reference, or within a transaction a URN.
Reference = Callable[[str, str], str]


def relative(kind: str, name: str) -> str:
    """A reference from one resource of a server or of a file to another."""
    return f"{kind}/{name}"


class Writer:
    """Writes the members of one run.

    The context's ``systems`` turns keys of code systems into URIs, its guide's ``identifier_systems`` gives
    identifiers without a system one, and the guide's ``places`` and ``profile`` say what the version to be written
    has a place for (the rows of guides/us_core.csv) and claims; without them that is race and ethnicity alone.
    `alone` leaves out what stands beside a Patient, `named` gives their elements ids all the same.
    https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-patient.html
    """

    def __init__(
        self, context: Context, reference: Reference = relative, *, alone: bool = False, named: bool = False
    ) -> None:
        self._context, self._reference = context, reference
        profile = context.guide.get("profile", PROFILE)
        self._meta = {"meta": {"profile": [profile]}} if profile else {}
        self._missing = "name" in context.guide.get("places", {})  # the Patient itself says that there is no name
        self._identifiers = Identifiers(context)
        self._provenances = Provenances(context)
        self._answers = Answers(context, self._provenances, alone=alone, named=named or not alone)

    def patient(self, outgoing: Outgoing) -> tuple[dict[str, Any], list[Loss]]:
        """A Patient without an id, for a server to give it one, and the losses."""
        said = self._answers(outgoing.expressed)
        losses = list(said.losses)
        patient = {"resourceType": "Patient", **self._body(outgoing.member, said, losses)}
        return self._labelled(patient, outgoing), losses

    def resources(self, outgoing: Outgoing) -> tuple[list[dict[str, Any]], list[Loss]]:
        """A Patient with an id, the Observations about them, who told it, and the losses.

        Ids are keyed: the same for the same first identifier, whatever else is said, and they tell neither who it
        is nor what was answered. The Patient has one whether or not there is an Observation.
        """
        said = self._answers(outgoing.expressed)
        losses = list(said.losses)
        body = self._body(outgoing.member, said, losses)
        name = self._name(body, outgoing.member)
        patient = {"resourceType": "Patient", "id": name, **body}
        found: list[dict[str, Any]] = [self._labelled(patient, outgoing)]
        if said.observations or said.told:
            found += self._beside(said, name)
        return found, losses

    def observations(self, outgoing: Outgoing) -> list[tuple[str, dict[str, Any]]]:
        """(topic, Observation) of a member, about nobody yet: without an id and a subject, which a server gives.

        The identifier of each is keyed and stays the same whatever it says; see `resources`.
        """
        name = self._known_as(outgoing.member)
        seen: Counter[str] = Counter()
        found = []
        for expressed, observation in self._answers(outgoing.expressed).observations:
            seen[expressed.topic] += 1
            own = self.observation_name(name, expressed.topic, seen[expressed.topic])
            known = named(observation, own, "")
            found.append((expressed.topic, {k: v for k, v in known.items() if k not in ("id", "subject")}))
        return found

    def tells(self, origin: Origin) -> bool:
        """Whether there is anything to tell of who gave an answer."""
        return self._provenances.tells(origin)

    def elements(self, subject: str, names: Iterable[str]) -> list[dict[str, Any]]:
        """Targets of a Provenance: elements of the Patient to whom `subject` refers, by their ids."""
        return elements(subject, names)

    def provenance(
        self, member: Member, origin: Origin, matter: str, targets: list[dict[str, Any]], subject: str
    ) -> dict[str, Any]:
        """Who told a matter, for a server to give it an id; known by a keyed tag, the same whatever it tells."""
        found = self._provenances.about(origin, targets, "", subject, sensitivity_of(matter, self._context))
        meta = {**found.get("meta", {}), "tag": [self.told_as(member, matter)]}
        return {"resourceType": "Provenance", "meta": meta} | {
            k: v for k, v in found.items() if k not in ("id", "meta")
        }

    def told_as(self, member: Member, matter: str) -> dict[str, str]:
        """The tag by which the Provenance of a matter is known, whether or not one was ever written."""
        return {"system": URIS, "code": f"urn:uuid:{self._context.uuid('Provenance', self._known_as(member), matter)}"}

    def observed_as(self, member: Member, topic: str, number: int) -> dict[str, str]:
        """The identifier by which the `number`-th Observation on a topic is known, whether or not one was written."""
        return {"system": URIS, "value": f"urn:uuid:{self.observation_name(self._known_as(member), topic, number)}"}

    def observation_name(self, name: str, topic: str, number: int) -> str:
        """The keyed id of the `number`-th Observation on a topic about the Patient of that name."""
        return self._context.uuid("Observation", name, topic, str(number))

    def _labelled(self, patient: Json, outgoing: Outgoing) -> Json:
        """A Patient with the labels of the answers in it that came with any."""
        if not any(labels_in(each.origin) for each in outgoing.expressed):
            return patient
        inside = [each for each in outgoing.expressed if not is_observed(each.topic, self._context)]
        return secured(patient, restricted_of(inside, self._context))

    def _known_as(self, member: Member) -> str:
        """The id of a member's Patient; see `resources`."""
        return self._name(self._body(member, self._answers(()), []), member)

    def _name(self, body: Json, member: Member) -> str:
        identifiers = body.get("identifier")
        if identifiers:
            return self._context.uuid("Patient", identifiers[0]["system"], identifiers[0]["value"])
        return self._context.uuid("Patient", member.partner, member.key)

    def _body(self, member: Member, said: Said, losses: list[Loss]) -> Json:
        name, address = name_json(member.name), address_json(member.address)
        reason = name["extension"] if self._missing and "extension" in name else []
        patient = {
            **self._meta,
            "extension": said.extension + reason,
            "identifier": self._identifiers(member, losses),
            "name": [name],
            "gender": said.gender,
            "birthDate": birth_date_text(member.birth_date, losses),
            "address": [address] if address else None,
            "communication": said.communication,
        }
        if member.enrollment != _NOT_ENROLLED:
            losses.append(_NO_ENROLLMENT)
        return {name: value for name, value in patient.items() if value}

    def _beside(self, said: Said, name: str) -> list[Json]:
        """Observations, then the Provenance of elements of the Patient, then that of Observations."""
        uuid, subject = self._context.uuid, self._reference("Patient", name)
        found: list[Json] = []
        targets: dict[tuple[Origin, str], list[Json]] = {}
        seen: Counter[str] = Counter()
        for expressed, observation in said.observations:
            seen[expressed.topic] += 1
            own = self.observation_name(name, expressed.topic, seen[expressed.topic])
            found.append(named(observation, own, subject))
            if self._provenances.tells(expressed.origin):
                target = {"reference": self._reference("Observation", own)}
                targets.setdefault((expressed.origin, expressed.topic), []).append(target)
        told = [(each.origin, each.labelled, "Patient", elements(subject, each.ids)) for each in said.told]
        told += [(origin, topic, topic, about) for (origin, topic), about in targets.items()]
        for number, (origin, labelled, kind, about) in enumerate(told, start=1):
            own, labels = uuid("Provenance", name, kind, str(number)), sensitivity_of(labelled, self._context)
            found.append(self._provenances.about(origin, about, own, subject, labels))
        return found


def patient_from(outgoing: Outgoing, context: Context) -> tuple[dict[str, Any], list[Loss]]:
    """A Patient by itself for a member with what may be written about them, and the losses: see `Writer.patient`."""
    return Writer(context, alone=True).patient(outgoing)


def resources_from(outgoing: Outgoing, context: Context) -> tuple[list[dict[str, Any]], list[Loss]]:
    """A member's Patient and what stands beside it, and the losses: see `Writer.resources`."""
    return Writer(context).resources(outgoing)
