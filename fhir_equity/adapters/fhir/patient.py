"""A Patient, with the Observations about them, becomes a Member; what is equal byte for byte is read once per run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from fhir_equity.adapters.fhir.elements import NOTHING, Meta, Patient, decoded, patient_at
from fhir_equity.adapters.fhir.extensions import Extension, extension_from, united_received
from fhir_equity.adapters.fhir.languages import Languages, languages_of
from fhir_equity.adapters.fhir.observation import Statement, is_about, statements, value_in
from fhir_equity.adapters.fhir.origins import Origins
from fhir_equity.adapters.fhir.person import address_of, birth_date_of, identifiers_of, key_of, name_of
from fhir_equity.adapters.fhir.provenance import subject_of, told
from fhir_equity.adapters.fhir.questionnaire_response import ELEMENT as RESPONSE
from fhir_equity.adapters.fhir.shape import Json, Problem, Problems, below, compact, loaded, objects_in, text_at
from fhir_equity.adapters.fhir.values import Value, absent, united
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import (
    Answer,
    Coding,
    Finding,
    Locator,
    Loss,
    Member,
    Origin,
    Received,
    Relationship,
    Severity,
)

# Write-ins make distinct values; the cache starts afresh before it could grow with the file.
MOST = 20_000
# The loss of an entry of Patient.communication that another one is preferred to.
PASSED = "fhir.communication.not_preferred"

# A severity and a message.
IMPUTED = (Severity.WARNING, "a machine asserted it: it is not taken for an answer")
MODIFIED = (Severity.WARNING, "a modifier extension may change what it means")

K = TypeVar("K")
V = TypeVar("V")


def answers_of(
    resource: dict[str, Any],
    source_name: str,
    context: Context,
    number: int = 0,
    beside: Iterable[dict[str, Any]] = (),
) -> Member:
    """Read one Patient in hand, as `read` would: what a server answered, for example.

    `beside` are Observations and Provenance that came with it; those that are not about this Patient are
    passed over. `source_name` and `number` become the artefact and the resource number of locators.
    Anything malformed becomes a finding of the member; nothing is raised for content.
    """
    return PatientReader(source_name, context).in_hand(resource, number, beside)


def observed_in(observations: Iterable[dict[str, Any]], source_name: str, context: Context) -> Member:
    """Read Observations in hand as the answers of a Member of whom nothing else is known."""
    reader, member = PatientReader(source_name, context), Member(context.partner, "")
    for number, observation in enumerate(observations, start=1):
        reader.add(member, observation, Locator(source_name, "resource", number))
    return member


class PatientReader:
    """Reads the Patients of one artefact, sharing one Origin and every Received that is equal."""

    def __init__(self, artefact: str, context: Context) -> None:
        self._artefact, self._context = artefact, context
        self._origins = Origins(artefact, context)
        self._labelled: dict[tuple[str, bytes], Origin | None] = {}
        self._extensions: dict[bytes, Extension] = {}
        self._united: dict[tuple[Received, ...], Received] = {}
        self._languages: dict[bytes, Languages] = {}
        self._genders: dict[tuple[str, bytes], tuple[Received | None, tuple[Problem, ...]]] = {}
        self._observed: dict[str, str] = {}  # the topics of the Observations of the member at hand, by their ids

    def line(self, raw: bytes, place: Locator) -> Member | None:
        """The Member of a Patient from its JSON, where that is as FHIR has it; None where `member` must look."""
        patient = decoded(raw)
        return None if patient is None else self._member(patient, raw, Problems(), place)

    def member(self, patient: Json, place: Locator) -> Member:
        """The Member of a Patient of any shape. `place` locates the resource; paths are added to it."""
        problems, raw = Problems(), compact(patient)
        return self._member(decoded(raw) or patient_at(patient, problems), raw, problems, place)

    def in_hand(self, resource: Json, number: int = 0, beside: Iterable[Json] = ()) -> Member:
        """The Member of a Patient in hand and of what is `beside` it: see `answers_of`."""
        place = Locator(self._artefact, "resource", number)
        member = self.member(resource, place)
        for kind in ("Observation", "Provenance"):  # a Provenance tells who said what is there already
            for each in beside:
                if each.get("resourceType") == kind:
                    self.observed(member, each, place)
        return member

    def _member(self, patient: Patient, record: bytes, problems: Problems, place: Locator) -> Member:
        self._observed.clear()
        identifiers = identifiers_of(patient, problems)
        key, rule = key_of(identifiers, patient.id, self._context.guide)
        if not key:
            key, rule = f"{place.artefact}#{place.number}", "fhir.position"
            problems.note("fhir.patient.no_identity", Severity.WARNING, "neither an identifier nor an id")
        origin = self._origin(patient.meta)
        answers: list[Answer] = []
        losses: tuple[Loss, ...] = ()
        if origin is None:
            problems.note("fhir.patient.imputed", *IMPUTED, ".meta.security")
        else:
            answers = self._extension_answers(patient, origin, place, problems)
            answers += self._gender(patient, origin, place, problems)
            losses = self._add_languages(patient, answers, origin, place, problems)
        _report(patient, problems)
        return Member(
            partner=self._context.partner,
            key=key,
            key_rule=rule,
            identifiers=identifiers,
            name=name_of(patient, problems),
            birth_date=birth_date_of(patient, problems),
            address=address_of(patient),
            answers=tuple(answers),
            findings=tuple(_findings(problems, place)) if problems else (),
            losses=losses,
            record=record,
            unit=place.unit,
            number=place.number,
            offset=place.offset,
        )

    def wants(self, resource: Json) -> bool:
        """Whether a resource that is no Patient says something of ours about one."""
        if resource["resourceType"] == "Provenance":
            return subject_of(resource) is not None
        return bool(statements(resource, self._context))

    def observed(self, member: Member, observation: Json, place: Locator) -> bool:
        """Add what an Observation says to the Member of its Patient; False where it is not about them or us.

        A Provenance says who told an answer that is there already.
        """
        if subject_of(observation) is None:  # a Provenance of Observations alone
            return told(member, observation, self._observed, self._context)
        if not self.wants(observation) or not is_about({"subject": subject_of(observation)}, member.resource or {}):
            return False
        self.add(member, observation, place)
        return True

    def add(self, member: Member, observation: Json, place: Locator) -> None:
        """Add what an Observation about a Member says, or a Provenance of theirs."""
        if observation["resourceType"] == "Provenance":
            self._tell(member, observation, place)
            return
        problems = Problems()
        origin = self._origins.of_observation(observation, problems)
        for statement in statements(observation, self._context):
            self._observed[text_at(observation, "id", "", problems)] = statement.topic
            if origin is None:
                problems.note(f"fhir.{statement.topic}.imputed", *IMPUTED, statement.path)
            elif "modifierExtension" in observation or "modifierExtension" in statement.holder:
                problems.note(f"fhir.{statement.topic}.modified", *MODIFIED, f"{statement.path}.modifierExtension")
            else:
                self._state(member, statement, origin, place, problems)
        member.findings = (*member.findings, *_findings(problems, place, "Observation"))

    def _tell(self, member: Member, provenance: Json, place: Locator) -> None:
        if not told(member, provenance, self._observed, self._context):
            problem = Problem("fhir.provenance.not_used", Severity.INFO, "", "of elements that are no answer")
            member.findings = (*member.findings, *_findings([problem], place, "Provenance"))

    def _state(self, member: Member, statement: Statement, origin: Origin, place: Locator, problems: Problems) -> None:
        """Several statements on a topic, or one in an extension and an Observation, are one answer of the person."""
        topic, holder, path = statement
        before = len(problems)
        value = value_in(statement, problems)
        if value == Value() and len(problems) == before:
            problems.note(f"fhir.{topic}.empty", Severity.WARNING, "there is no value in it", path)
        said = {name: each for name, each in holder.items() if name.startswith(("value", "dataAbsent"))}
        raw = compact(said).decode("utf-8")  # not the ids: equal answers of many people are kept once
        others = [each for each in member.answers if each.topic == topic and each.received.element != RESPONSE]
        for other in (each.received for each in others):
            value = united([Value(other.codings, other.text), value])
            raw = f"{other.raw}\n{raw}"
        received = Received(topic, "fhir.observation", value.codings, value.text, raw)
        answer = _answer(received, origin, place, f"Observation{path}")
        member.answers = (*(each for each in member.answers if each not in others), answer)

    def _origin(self, meta: Meta) -> Origin | None:
        if not meta.source and meta.security is NOTHING:
            return self._origins.attested
        source = self._origins.source_of(meta.source)
        key = (source, bytes(meta.security))
        if key not in self._labelled:
            _remember(self._labelled, key, self._origins.of_resource(source, _labels(key[1])))
        return self._labelled[key]

    def _extension_answers(self, patient: Patient, origin: Origin, place: Locator, problems: Problems) -> list[Answer]:
        answers: dict[str, Answer] = {}
        repeated: dict[str, list[Extension]] = {}
        for number, item in enumerate(patient.extension):
            raw = bytes(item)
            found = self._extensions.get(raw) or _remember(self._extensions, raw, extension_from(raw))
            if found.problems:
                problems += below(found.problems, f".extension[{number}]")
            received = found.received
            if received is None:
                continue
            where = self._origins.labelled(origin, found.labels) if found.labels else origin
            if where is None:
                problems.note(f"fhir.{received.topic}.imputed", *IMPUTED, f".extension[{number}]")
            elif received.topic in answers:
                repeated.setdefault(received.topic, []).append(found)
            else:
                answers[received.topic] = _answer(received, where, place, f"Patient.extension[{number}]")
        for topic, more in repeated.items():
            answers[topic] = self._together(answers[topic], more, place, problems)
        return list(answers.values())

    def _together(self, first: Answer, more: list[Extension], place: Locator, problems: Problems) -> Answer:
        """Several extensions about one topic as one answer; a finding where only one is allowed."""
        several = (first.received, *(each.received for each in more if each.received is not None))
        received = self._united.get(several) or _remember(self._united, several, united_received(several))
        if not all(each.many for each in more):
            path = first.path.removeprefix("Patient")
            problems.note(f"fhir.{first.topic}.repeated", Severity.WARNING, "the extension may occur once only", path)
        return _answer(received, first.origin, place, first.path)

    def _gender(self, patient: Patient, origin: Origin, place: Locator, problems: Problems) -> list[Answer]:
        key = (patient.gender, bytes(patient.beside_gender))
        received, noted = self._genders.get(key) or _remember(self._genders, key, _gender(*key))
        problems += noted
        if received is None:
            return []
        return [_answer(received, origin, place, "Patient.gender")]

    def _add_languages(
        self, patient: Patient, answers: list[Answer], origin: Origin, place: Locator, problems: Problems
    ) -> tuple[Loss, ...]:
        raw = bytes(patient.communication)
        if not raw:
            return ()
        found = self._languages.get(raw)
        if found is None:
            found = _remember(self._languages, raw, languages_of({"communication": loaded(raw)}))
        for received, number in found.received:
            answers.append(_answer(received, origin, place, f"Patient.communication[{number}]"))
        problems += found.problems
        if not found.passed:
            return ()
        return tuple(
            Loss(PASSED, Relationship.NARROWER, topic, _at(place, f".communication[{number}]"))
            for topic, number in found.passed
        )


def _answer(received: Received, origin: Origin, place: Locator, path: str) -> Answer:
    return Answer(received, origin, place.unit, place.number, place.offset, path)


def _labels(security: bytes) -> list[Json]:
    return objects_in(loaded(security)) if security else []


def _report(patient: Patient, problems: Problems) -> None:
    """Say what of a Patient is not read though it may matter."""
    if patient.modifier_extension is not NOTHING:
        problems.note("fhir.patient.modified", *MODIFIED, ".modifierExtension")
    if patient.contained is not NOTHING:
        problems.note("fhir.patient.contained", Severity.INFO, "what is contained is not read", ".contained")
    if patient.animal is not NOTHING:
        problems.note("fhir.patient.animal", Severity.WARNING, "an animal, read like a person", ".animal")


def _gender(code: str, beside: bytes) -> tuple[Received | None, tuple[Problem, ...]]:
    problems = Problems()
    codings: tuple[Coding, ...] = (Coding("administrative-gender", code),) if code else ()
    if beside:
        codings += absent({"_gender": loaded(beside)}, "gender", "", problems)
    received = Received("sex", "fhir.gender", codings, "", code or codings[0].code) if codings else None
    return received, tuple(problems)


def _remember(cache: dict[K, V], key: K, value: V) -> V:
    if len(cache) >= MOST:
        cache.clear()
    cache[key] = value
    return value


def _findings(problems: Iterable[Problem], place: Locator, kind: str = "Patient") -> list[Finding]:
    return [Finding(each.code, each.severity, _at(place, each.path, kind), each.message) for each in problems]


def _at(place: Locator, path: str, kind: str = "Patient") -> Locator:
    return Locator(place.artefact, place.unit, place.number, place.offset, f"{kind}{path}")
