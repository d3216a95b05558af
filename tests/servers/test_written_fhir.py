"""The referee judges what we write: every state, topic, strategy and version, and real Patients written again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import islice, zip_longest
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from fhir_equity.adapters.fhir import ADAPTER, merge, resources_from
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import (
    Coding,
    Event,
    Identifier,
    Meaning,
    Member,
    Method,
    Name,
    Origin,
    Outgoing,
    Received,
    Resolution,
    State,
)
from fhir_equity.vocabulary import Strategy
from tests.adapters.fhir.versions import VERSIONS, VOCABULARY, context, expressed, resolved
from tests.servers.patients import US_CORE, US_CORE_PATIENT, Json
from tests.servers.test_validator import HARMLESS, PACKAGES, UNDECIDED
from tests.servers.validator import Message, Validator

CODES = VOCABULARY.codes
TOPICS = (
    *("race_ethnicity", "language_spoken", "language_written", "interpreter_needed", "tribal_affiliation", "sex"),
    *("sexual_orientation", "gender_identity", "pronouns", "birth_sex", "recorded_sex"),
)
RACES = ("2106-3", "2028-9", "2054-5", "2076-8", "1002-5", "2118-8", "2120-4", "2129-5", "2135-2", "2148-5", "2182-4")
LANGUAGES = ("en", "es-MX", "zh", "ar", "vi", "ase")


def answered(topic: str) -> list[Received]:
    """Every code of a topic, or some of the many, alone and together with words; words alone."""
    listed = [row["code"] for row in VOCABULARY.tables.rows("codes/answers.csv") if row["topic"] == topic]
    system = CODES.topic(topic).code_system
    some = {"race_ethnicity": RACES, "tribal_affiliation": ("338", "91")}.get(topic, listed or LANGUAGES)
    codings = tuple(Coding(system, code) for code in some)
    said = [Received(topic, "test", (coding,)) for coding in codings]
    return [
        *said,
        Received(topic, "test", codings[:2]),
        Received(topic, "test", codings),
        Received(topic, "test", codings[:1], "words of my own"),
        Received(topic, "test", (), "nothing but words"),
    ]


def every_resolution(topic: str, origin: Origin) -> list[dict[str, Resolution]]:
    """Every answer to a topic, and every state in which there is none."""
    matter = CODES.topic(topic).matter
    event = Event((Received(topic, "test"),), origin)
    states = [
        {matter: Resolution(matter, state, (Meaning(topic, state),), event)}
        for state in State
        if state is not State.ANSWERED
    ]
    return [*(resolved([received], origin) for received in answered(topic)), *states]


def generated(version: str, strategy: Strategy) -> Iterator[Json]:
    """The resources of members who between them say everything that can be said."""
    methods = list(Method)
    columns = [
        every_resolution(topic, Origin(method=methods[n % len(methods)], collector="plan", collected_on="2026-01-02"))
        for n, topic in enumerate(TOPICS)
    ]
    for number, row in enumerate(zip_longest(*columns, fillvalue={})):
        resolutions = {matter: each for one in row for matter, each in one.items()}
        said, _ = VOCABULARY.express.us_core(resolutions, strategy, version)
        name = Name("Rosefield", ("Tala",)) if number else Name()
        member = Member("acme", str(number), identifiers=(Identifier("urn:x", str(number)),), name=name)
        yield from resources_from(Outgoing(member, tuple(said)), context(version))[0]


def judged(validator: Validator, resource: Json, version: str) -> list[Message]:
    """What the referee says of a resource of a version, but for the harmless and what it cannot decide."""
    kind = resource["resourceType"]
    claimed = {"Patient": US_CORE_PATIENT, "Provenance": f"{US_CORE}us-core-provenance"}.get(kind, "")
    # provenance-1 of 5.0.1 refuses whoever cannot be looked up, which 6.1.0 mended.
    profile = "" if version == "none" or (version == "5.0.1" and kind == "Provenance") else claimed
    said = validator.messages(resource, PACKAGES.get(version, "8.0.0"), profile)
    heard = [each for each in said if each.refuses or not each.message.startswith(HARMLESS)]
    return [each for each in heard if not each.message.startswith((*UNDECIDED, *_UNDECIDED)) and not _is_mistaken(each)]


# Extensions of hl7.fhir.uv.extensions.r4, which is not here; words where a code is only wanted; and a participant
# type of US Core's own, judged without US Core.
_UNDECIDED = (
    "Unknown extension http://hl7.org/fhir/StructureDefinition/individual-",
    "No code provided, and a code should be provided from the value set",
    "None of the codings provided are in the value set 'US Core Sexual Orientation'",
    "None of the codings provided are in the value set 'Common Languages'",
    "None of the codings provided are in the value set 'Provenance participant type'",
)


def _is_mistaken(message: Message) -> bool:
    """R4 prefers the common languages and takes all of BCP 47 (Patient.communication.language)."""
    return message.message.endswith("is not in valueset: http://hl7.org/fhir/ValueSet/languages")


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_that_can_be_said_is_valid(validator: Validator, version: str) -> None:
    lines = {json.dumps(each) for strategy in get_args(Strategy) for each in generated(version, strategy)}
    kinds = Counter(json.loads(line)["resourceType"] for line in lines)
    assert kinds["Patient"] >= 20
    assert kinds["Observation"] >= 40
    assert kinds["Provenance"] >= 40
    assert [each for line in lines for each in judged(validator, json.loads(line), version)] == []


@pytest.mark.parametrize("found_by", ["id", "identifier"])
def test_transactions_are_valid(validator: Validator, found_by: str) -> None:
    """As Bundles; what is in them is judged above."""
    origin = Origin(method="self", collected_on="2026-01-02")
    guide = {**context().guide, "form": "bundle", "transaction": {"patient": found_by}}
    out = BytesIO()
    member = Member("acme", "1", identifiers=(Identifier("urn:x", "1"),), name=Name("Rosefield", ("Tala",)))
    outgoing = Outgoing(member, expressed("6.1.0", *NEW, origin=origin)[0])
    for _ in ADAPTER.write([outgoing], out, msgspec.structs.replace(context(), guide=guide)):
        continue
    bundle = json.loads(out.getvalue())
    assert {each["resource"]["resourceType"] for each in bundle["entry"]} == {"Patient", "Observation", "Provenance"}
    assert validator.errors(bundle, "6.1.0") == []
    del bundle["entry"][0]["request"]
    assert "bdl-3" in validator.errors(bundle, "6.1.0")[0].message


def test_a_word_too_many_is_noticed(validator: Validator) -> None:
    """The referee is awake over all three kinds of resource."""
    patient, *beside = generated("6.1.0", "faithful")
    first = {each["resourceType"]: each for each in beside}
    for broken in (
        patient | {"extension": [{"url": f"{US_CORE}us-core-race", "extension": []}]},
        first["Observation"] | {"status": "finished"},
        first["Provenance"] | {"agent": []},
        {name: value for name, value in first["Provenance"].items() if name != "recorded"},
    ):
        assert any(each.refuses for each in judged(validator, broken, "6.1.0"))


NEW = (
    Received("race_ethnicity", "test", (Coding("cdcrec", "2118-8"), Coding("cdcrec", "2148-5"))),
    Received("language_spoken", "test", (Coding("bcp47", "ar"),)),
    Received("birth_sex", "test", (Coding("us-core-birthsex", "F"),)),
    Received("interpreter_needed", "test", (Coding("interpreter", "true"),)),
    Received("gender_identity", "test", text="my own"),
)


def real(shared: Path) -> Iterator[Member]:
    """Some Patients of every real R4 file."""
    for source in sources([shared / "data/real/fhir-r4"]):
        if not ADAPTER.recognises(source.head(), source.name) or source.head().lstrip()[:1] == b"<":
            continue
        read = (each for each in ADAPTER.read(source, Range(), Context()) if isinstance(each, Member))
        yield from islice(read, 10)


def test_real_patients_that_were_valid_stay_valid(validator: Validator, shared: Path) -> None:
    """With new answers put into them, in the version that they were valid in."""
    valid: Counter[str] = Counter()
    broken = []
    for member in real(shared):
        patient = member.resource or {}
        for version in ("3.1.1", "6.1.0", "8.0.1"):
            if validator.errors(patient, PACKAGES[version], US_CORE_PATIENT):
                continue
            answers, _ = expressed(version, *NEW)
            changed, _ = merge(patient, Outgoing(member, answers), context(version))
            assert changed != patient
            valid[version] += 1
            broken += [(version, each) for each in validator.errors(changed, PACKAGES[version], US_CORE_PATIENT)]
    assert broken == []
    assert min(valid.values()) > 20, valid
