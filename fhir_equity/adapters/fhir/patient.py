"""A Patient as parsed JSON, with the Observations about them, becomes a Member; equal answers are read once per run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from fhir_equity.adapters.fhir.extensions import Kind, Reading, kind_of, raw_of, reading_of, united_reading
from fhir_equity.adapters.fhir.languages import Languages, languages_of
from fhir_equity.adapters.fhir.observation import is_about, topic_of, value_in
from fhir_equity.adapters.fhir.person import address_of, birth_date_of, identifiers_of, is_date, key_of, name_of
from fhir_equity.adapters.fhir.questionnaire_response import ELEMENT as RESPONSE
from fhir_equity.adapters.fhir.shape import Json, Problem, Problems, compact, objects_at, text_at
from fhir_equity.adapters.fhir.values import Value, absent, united
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import (
    Answer,
    Coding,
    Collector,
    Finding,
    Locator,
    Loss,
    Member,
    Method,
    Origin,
    Received,
    Relationship,
    Severity,
)

# Write-ins make distinct values; the cache starts afresh before it could grow with the file.
MOST = 50_000
# The loss of an entry of Patient.communication that another one is preferred to.
PASSED = "fhir.communication.not_preferred"

K = TypeVar("K")
V = TypeVar("V")


def answers_of(resource: dict[str, Any], source_name: str, context: Context, number: int = 0) -> Member:
    """Read one Patient in hand, as `read` would: what a server answered, for example.

    `source_name` and `number` become the artefact and the resource number of locators. Anything
    malformed becomes a finding of the member; nothing is raised for content.
    """
    return PatientReader(source_name, context).member(resource, Locator(source_name, "resource", number))


class PatientReader:
    """Reads the Patients of one artefact, sharing one Origin and every Received that is equal."""

    def __init__(self, artefact: str, context: Context) -> None:
        attestation = context.attestation
        self._context = context
        self._origin = Origin(
            partner=context.partner,
            artefact=artefact,
            collector=attestation.get("collector", Collector.OTHER.value),
            method=attestation.get("method", Method.UNSTATED.value),
            standard=attestation.get("standard", ""),
            question=attestation.get("question", ""),
        )
        self._readings: dict[str, Reading] = {}
        self._languages: dict[bytes, Languages] = {}
        self._genders: dict[tuple[Coding, ...], Received] = {}

    def member(self, patient: Json, place: Locator) -> Member:
        """The Member of a Patient. `place` locates the resource; paths are added to it."""
        problems = Problems()
        identifiers = identifiers_of(patient, problems)
        key, rule = key_of(identifiers, text_at(patient, "id", "", problems), self._context.guide)
        if not key:
            key, rule = f"{place.artefact}#{place.number}", "fhir.position"
            problems.note("fhir.patient.no_identity", Severity.WARNING, "neither an identifier nor an id")
        member = Member(
            partner=self._context.partner,
            key=key,
            key_rule=rule,
            identifiers=identifiers,
            name=name_of(patient, problems),
            birth_date=birth_date_of(patient, problems),
            address=address_of(patient, problems),
            resource=patient,
            unit=place.unit,
            number=place.number,
            offset=place.offset,
        )
        answers = self._extension_answers(patient, place, problems)
        answers += self._gender(patient, place, problems)
        self._add_languages(member, answers, place, problems)
        member.answers = tuple(answers)
        if problems:
            member.findings = tuple(_findings(problems, place))
        return member

    def observed(self, member: Member, observation: Json, place: Locator) -> bool:
        """Add what an Observation says to the Member of its Patient; False where it is not about them or us."""
        topic = topic_of(observation, self._context)
        if not topic or not is_about(observation, member.resource or {}):
            return False
        problems = Problems()
        value = value_in(observation, problems)
        if value == Value() and not problems:
            problems.note(f"fhir.{topic}.empty", Severity.WARNING, "there is no value in it")
        said = {name: each for name, each in observation.items() if name.startswith(("value", "dataAbsent"))}
        raw = compact(said).decode("utf-8")  # not the ids: equal answers of many people are kept once
        others = [each for each in member.answers if each.topic == topic and each.received.element != RESPONSE]
        if others:  # several answers, or the same one in an extension too, are one answer of the person
            before = others[0].received
            value = united([Value(before.codings, before.text), value])
            raw = f"{before.raw}\n{raw}"
        received = Received(topic, "fhir.observation", value.codings, value.text, raw)
        on = text_at(observation, "effectiveDateTime", "", problems)[:10]
        origin = msgspec.structs.replace(self._origin, collected_on=on) if is_date(on) else self._origin
        answer = Answer(received, origin, place.unit, place.number, place.offset, "Observation")
        member.answers = (*(each for each in member.answers if each not in others), answer)
        member.findings = (*member.findings, *_findings(problems, place, "Observation"))
        return True

    def _answer(self, received: Received, place: Locator, path: str) -> Answer:
        return Answer(received, self._origin, place.unit, place.number, place.offset, path)

    def _extension_answers(self, patient: Json, place: Locator, problems: Problems) -> list[Answer]:
        groups: dict[str, list[tuple[int, Kind, Json]]] = {}
        for number, extension in objects_at(patient, "extension", "", problems):
            kind = kind_of(extension)
            if kind is not None:
                groups.setdefault(kind.topic, []).append((number, kind, extension))
            elif not isinstance(extension.get("url"), str):
                problems.malformed(f".extension[{number}].url")
        return [self._group_answer(group, place, problems) for group in groups.values()]

    def _group_answer(self, group: list[tuple[int, Kind, Json]], place: Locator, problems: Problems) -> Answer:
        readings = [self._reading(kind, extension) for _, kind, extension in group]
        for (number, _, _), reading in zip(group, readings, strict=True):
            problems += _below(reading.problems, f".extension[{number}]")
        first, kind, _ = group[0]
        path = f".extension[{first}]"
        reading = readings[0]
        if len(group) > 1:
            raw = "[" + ",".join(each.received.raw for each in readings) + "]"
            reading = self._readings.get(raw) or _remember(self._readings, raw, united_reading(kind, readings, raw))
            problems += _below(reading.problems, path)
        return self._answer(reading.received, place, f"Patient{path}")

    def _reading(self, kind: Kind, extension: Json) -> Reading:
        raw = raw_of(extension)
        return self._readings.get(raw) or _remember(self._readings, raw, reading_of(kind, extension, raw))

    def _gender(self, patient: Json, place: Locator, problems: Problems) -> list[Answer]:
        code = text_at(patient, "gender", "", problems)
        codings: tuple[Coding, ...] = (Coding("administrative-gender", code),) if code else ()
        if "_gender" in patient:
            codings += absent(patient, "gender", "", problems)
        if not codings:
            return []
        received = self._genders.get(codings)
        if received is None:
            raw = code or codings[0].code
            received = _remember(self._genders, codings, Received("sex", "fhir.gender", codings, "", raw))
        return [self._answer(received, place, "Patient.gender")]

    def _add_languages(self, member: Member, answers: list[Answer], place: Locator, problems: Problems) -> None:
        patient = member.resource or {}
        if "communication" not in patient:
            return
        raw = compact(patient["communication"])
        found = self._languages.get(raw) or _remember(self._languages, raw, languages_of(patient))
        for received, number in found.received:
            answers.append(self._answer(received, place, f"Patient.communication[{number}]"))
        member.losses = tuple(
            Loss(PASSED, Relationship.NARROWER, topic, _at(place, f".communication[{number}]"))
            for topic, number in found.passed
        )
        problems += found.problems


def _remember(cache: dict[K, V], key: K, value: V) -> V:
    if len(cache) >= MOST:
        cache.clear()
    cache[key] = value
    return value


def _below(problems: Iterable[Problem], path: str) -> list[Problem]:
    return [Problem(each.code, each.severity, path + each.path, each.message) for each in problems]


def _findings(problems: Iterable[Problem], place: Locator, kind: str = "Patient") -> list[Finding]:
    return [Finding(each.code, each.severity, _at(place, each.path, kind), each.message) for each in problems]


def _at(place: Locator, path: str, kind: str = "Patient") -> Locator:
    return Locator(place.artefact, place.unit, place.number, place.offset, f"{kind}{path}")
