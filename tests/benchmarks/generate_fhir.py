"""Write deterministic NDJSON of US Core Patients, of invented people, for measuring: about 1.6 KB each.

Race, ethnicity, birth sex, language, identifiers with types, name, telecom and address as US Core 6.1.0
has them; a tenth has several races, 3 % an own wording, a tenth no language. The same number of
Patients gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson

Json = dict[str, Any]
_US = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_CDCREC = "urn:oid:2.16.840.1.113883.6.238"
_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_FAMILIES = ("Alder", "Birch", "Cedar", "Dogwood", "Elmwood", "Firth", "Ginkgo", "Hazelton", "Ironwood", "Juniper")
_GIVEN = ("Ada", "Bruno", "Chiara", "Diego", "Esperanza", "Farid", "Greta", "Hiro", "Inés", "Josephine", "Kwame")
_STREETS = ("Orchard Street", "River Road", "Hillside Avenue", "Old Mill Lane", "Station Square Apartments")
_TOWNS = (("Sampleton", "OR", "97001"), ("Fixture City", "CA", "90001"), ("Mockville", "NY", "10001"))
_RACES = (
    ("2106-3", "White"),
    ("2054-5", "Black or African American"),
    ("2028-9", "Asian"),
    ("1002-5", "American Indian or Alaska Native"),
    ("2076-8", "Native Hawaiian or Other Pacific Islander"),
)
_ETHNICITIES = (("2135-2", "Hispanic or Latino"), ("2186-5", "Not Hispanic or Latino"))
_LANGUAGES = (("en", "English"), ("es", "Spanish"), ("zh", "Chinese"), ("vi", "Vietnamese"), ("ru", "Russian"))


def generate(patients: int, seed: int = 4) -> Iterator[Json]:
    """So many Patients."""
    random = Random(seed)
    for number in range(1, patients + 1):
        yield _patient(random, number)


def file_of(patients: int, folder: Path) -> Path:
    """A generated file of so many Patients in `folder`, one per line."""
    path = folder / f"bench-{patients}.ndjson"
    with path.open("wb") as out:
        out.writelines(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in generate(patients))
    return path


def _patient(random: Random, number: int) -> Json:
    town, state, code = random.choice(_TOWNS)
    sex = random.choice(("female", "male"))
    patient = {
        "resourceType": "Patient",
        "id": f"{random.getrandbits(128):032x}",
        "meta": {"profile": [_US + "patient"]},
        "extension": [*_race(random), {"url": _US + "birthsex", "valueCode": sex[0].upper()}],
        "identifier": [
            _identifier("MR", "http://hospital.example.org/mrn", f"M{number:09d}"),
            _identifier("MB", "http://plan.example.org/members", f"A{number:09d}"),
        ],
        "active": True,
        "name": [{"use": "official", "family": random.choice(_FAMILIES), "given": random.sample(_GIVEN, 2)}],
        "telecom": [{"system": "phone", "value": f"555-{random.randrange(10**7):07d}", "use": "home"}],
        "gender": sex,
        "birthDate": f"{random.randrange(1930, 2025)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}",
        "address": [
            {
                "use": "home",
                "line": [f"{random.randrange(1, 9999)} {random.choice(_STREETS)}"],
                "city": town,
                "district": f"County {random.randrange(1, 60)}",
                "state": state,
                "postalCode": code,
                "country": "US",
            }
        ],
    }
    return patient if random.random() < 0.1 else {**patient, "communication": [_communication(random)]}


def _race(random: Random) -> list[Json]:
    races = random.sample(_RACES, 2 if random.random() < 0.1 else 1)
    categories = [{"url": "ombCategory", "valueCoding": _coding(code, name)} for code, name in races]
    own = f"as I say it: {random.randrange(10**6)}" if random.random() < 0.03 else ", ".join(name for _, name in races)
    code, name = random.choice(_ETHNICITIES)
    ethnicity = [{"url": "ombCategory", "valueCoding": _coding(code, name)}, {"url": "text", "valueString": name}]
    return [
        {"url": _US + "race", "extension": [*categories, {"url": "text", "valueString": own}]},
        {"url": _US + "ethnicity", "extension": ethnicity},
    ]


def _coding(code: str, display: str) -> Json:
    return {"system": _CDCREC, "code": code, "display": display}


def _identifier(code: str, system: str, value: str) -> Json:
    return {"type": {"coding": [{"system": _TYPES, "code": code}]}, "system": system, "value": value}


def _communication(random: Random) -> Json:
    code, name = random.choice(_LANGUAGES)
    coding = {"system": "urn:ietf:bcp:47", "code": code, "display": name}
    return {"language": {"coding": [coding], "text": name}, "preferred": True}
