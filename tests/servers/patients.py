"""Invented Patients for the referee: one that is sound, and what it must refuse, remark on or let pass."""

from __future__ import annotations

from typing import Any, NamedTuple

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
US_CORE_PATIENT = f"{US_CORE}us-core-patient"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"

Json = dict[str, Any]


class Case(NamedTuple):
    """A Patient, where the referee must speak of it, and a word of what it must say."""

    name: str
    patient: Json
    location: str
    words: str


def sound(**changes: Any) -> Json:
    """A Patient that every part of US Core 6.1.0 accepts, with some elements changed (None removes)."""
    patient: Json = {
        "resourceType": "Patient",
        "meta": {"profile": [US_CORE_PATIENT]},
        "extension": [
            race(omb("2106-3"), omb("2028-9"), detailed("2118-8"), detailed("2034-7"), text()),
            ethnicity(omb("2186-5"), text()),
            {"url": f"{US_CORE}us-core-birthsex", "valueCode": "F"},
        ],
        "identifier": [{"system": "https://plan.example/member", "value": "FX000001"}],
        "name": [{"family": "Rosefield", "given": ["Tala"]}],
        "gender": "female",
        "birthDate": "1984-05-06",
        "communication": [language("ar")],
    }
    return {element: value for element, value in (patient | changes).items() if value is not None}


def race(*parts: Json) -> Json:
    return {"url": f"{US_CORE}us-core-race", "extension": list(parts)}


def ethnicity(*parts: Json) -> Json:
    return {"url": f"{US_CORE}us-core-ethnicity", "extension": list(parts)}


def omb(code: str, system: str | None = CDCREC) -> Json:
    return {"url": "ombCategory", "valueCoding": {"system": system, "code": code} if system else {"code": code}}


def detailed(code: str, system: str = CDCREC) -> Json:
    return {"url": "detailed", "valueCoding": {"system": system, "code": code}}


def text(words: str = "as the member said it") -> Json:
    return {"url": "text", "valueString": words}


def language(code: str, system: str = "urn:ietf:bcp:47") -> Json:
    return {"language": {"coding": [{"system": system, "code": code}]}, "preferred": True}


def _carrying(*extensions: Json) -> Json:
    return sound(extension=list(extensions))


_FIRST = "Patient.extension[0]"
_CODE = "Patient.extension[0].extension[0].value.ofType(Coding)"
_VALUE = "Patient.extension[0].value.ofType"

REFUSED = (
    # the resource as such
    Case("birth date is a number", sound(birthDate=19840506), "Patient.birthDate", "must be a string"),
    Case("birth date is not ISO", sound(birthDate="05/06/1984"), "Patient.birthDate", "Not a valid date"),
    Case("element unknown", sound(race="White"), "Patient", "Unrecognized property 'race'"),
    Case("gender of another table", sound(gender="F"), "Patient.gender", "'AdministrativeGender'"),
    Case("name is no list", sound(name={"family": "Rosefield"}), "Patient.name", "must be a JSON Array"),
    Case(
        "preferred is a word",
        sound(communication=[language("ar") | {"preferred": "yes"}]),
        "Patient.communication[0].preferred",
        "boolean",
    ),
    Case("extension without URL", _carrying({"valueString": "x"}), _FIRST, "Extension.url"),
    Case("id with a space", sound(id="a b"), "Patient.id", "Invalid Resource id"),
    Case("language of the resource", sound(language="zz-nonsense"), "Patient.language", "not in valueset"),
    Case(
        "profile that nobody knows",
        sound(meta={"profile": ["http://plan.example/none"]}),
        "Patient.meta.profile[0]",
        "could not be found",
    ),
    # the US Core Patient
    Case("no identifier", sound(identifier=None), "Patient", "Patient.identifier: minimum"),
    Case(
        "identifier without system",
        sound(identifier=[{"value": "FX000001"}]),
        "Patient.identifier[0]",
        "system: minimum",
    ),
    Case(
        "identifier without value",
        sound(identifier=[{"system": "https://plan.example/member"}]),
        "Patient.identifier[0]",
        "value: minimum",
    ),
    Case("no name", sound(name=None), "Patient", "Patient.name: minimum"),
    Case("name of nobody", sound(name=[{"use": "official"}]), "Patient.name[0]", "us-core-6"),
    Case("no gender", sound(gender=None), "Patient", "Patient.gender: minimum"),
    Case(
        "communication without language",
        sound(communication=[{"preferred": True}]),
        "Patient.communication[0]",
        "language: minimum",
    ),
    # race
    Case("race without text", _carrying(race(omb("2106-3"))), _FIRST, "Extension.extension:text"),
    Case(
        "race with two texts", _carrying(race(omb("2106-3"), text(), text())), _FIRST, "extension:text: max allowed = 1"
    ),
    Case("race twice", _carrying(race(text()), race(text())), "Patient", "Patient.extension:race: max"),
    Case("race is empty", _carrying({"url": f"{US_CORE}us-core-race"}), _FIRST, "ext-1"),
    Case(
        "race as in old files",
        _carrying({"url": f"{US_CORE}us-core-race", "valueCodeableConcept": {"text": "White"}}),
        _FIRST,
        "found type CodeableConcept",
    ),
    Case(
        "race with a part of its own",
        _carrying(race({"url": "category", "valueString": "x"}, text())),
        f"{_FIRST}.extension[0][url='category']",
        "not defined",
    ),
    Case(
        "six categories",
        _carrying(race(*[omb("2106-3")] * 6, text())),
        _FIRST,
        "extension:ombCategory: max allowed = 5",
    ),
    Case("MENA as a category", _carrying(race(omb("2118-8"), text())), _CODE, "'OMB Race Categories'"),
    Case("detailed race as a category", _carrying(race(omb("2029-7"), text())), _CODE, "'OMB Race Categories'"),
    Case("ethnicity as a race category", _carrying(race(omb("2135-2"), text())), _CODE, "'OMB Race Categories'"),
    Case("X12 code as a category", _carrying(race(omb("C"), text())), _CODE, "'OMB Race Categories'"),
    Case(
        "race of an unknown system",
        _carrying(race(omb("2106-3", "https://plan.example/race"), text())),
        _CODE,
        "'OMB Race Categories'",
    ),
    Case(
        "race of HL7 version 3",
        _carrying(race(omb("2106-3", "http://terminology.hl7.org/CodeSystem/v3-Race"), text())),
        _CODE,
        "'OMB Race Categories'",
    ),
    Case("wrong null flavour", _carrying(race(omb("NI", NULL_FLAVOR), text())), _CODE, "'OMB Race Categories'"),
    Case("detailed race does not exist", _carrying(race(detailed("9999-9"), text())), _CODE, "'Detailed Race'"),
    Case("category as detailed race", _carrying(race(detailed("2106-3"), text())), _CODE, "'Detailed Race'"),
    Case("ethnicity as detailed race", _carrying(race(detailed("2148-5"), text())), _CODE, "'Detailed Race'"),
    Case(
        "detailed race of an unknown system",
        _carrying(race(detailed("2118-8", "https://plan.example/race"), text())),
        _CODE,
        "'Detailed Race'",
    ),
    # ethnicity
    Case("ethnicity without text", _carrying(ethnicity(omb("2135-2"))), _FIRST, "Extension.extension:text"),
    Case("race as ethnicity", _carrying(ethnicity(omb("2106-3"), text())), _CODE, "'OMB Ethnicity Categories'"),
    Case(
        "both ethnicities",
        _carrying(ethnicity(omb("2135-2"), omb("2186-5"), text())),
        _FIRST,
        "extension:ombCategory: max allowed = 1",
    ),
    Case("race as detailed ethnicity", _carrying(ethnicity(detailed("2118-8"), text())), _CODE, "'Detailed ethnicity'"),
    # sex, gender and tribe
    Case(
        "birth sex of no table",
        _carrying({"url": f"{US_CORE}us-core-birthsex", "valueCode": "X"}),
        f"{_VALUE}(code)",
        "'Birth Sex'",
    ),
    Case(
        "birth sex as a coding",
        _carrying({"url": f"{US_CORE}us-core-birthsex", "valueCoding": {"code": "F"}}),
        _FIRST,
        "found type Coding",
    ),
    Case(
        "sex as in 8.0.0",
        _carrying({"url": f"{US_CORE}us-core-sex", "valueCoding": {"code": "248152002"}}),
        _FIRST,
        "found type Coding",
    ),
    Case(
        "gender identity as words",
        _carrying({"url": f"{US_CORE}us-core-genderIdentity", "valueString": "x"}),
        _FIRST,
        "found type string",
    ),
    Case(
        "enrolled in no tribe",
        _carrying(
            {"url": f"{US_CORE}us-core-tribal-affiliation", "extension": [{"url": "isEnrolled", "valueBoolean": True}]}
        ),
        _FIRST,
        "extension:tribalAffiliation",
    ),
)

# What the referee cannot decide, but does not pass over in silence: bindings that are only
# extensible, extensions nobody defined, and value sets that US Core 6.1.0 takes from VSAC and that
# nobody here has.
REMARKED = (
    Case(
        "language that does not exist",
        sound(communication=[language("klingon")]),
        "Patient.communication[0].language",
        "None of the codings provided",
    ),
    Case(
        "three letters where BCP 47 has two",
        sound(communication=[language("eng")]),
        "Patient.communication[0].language",
        "None of the codings provided",
    ),
    Case(
        "language of another system",
        sound(communication=[language("eng", "urn:oid:2.16.840.1.113883.6.121")]),
        "Patient.communication[0].language",
        "None of the codings provided",
    ),
    Case(
        "language as words alone",
        sound(communication=[{"language": {"text": "Arabic"}}]),
        "Patient.communication[0].language",
        "No code provided",
    ),
    Case("category without system", _carrying(race(omb("2106-3", None), text())), _CODE, "A code with no system"),
    Case(
        "text that says nothing",
        _carrying(race(text(" "))),
        f"{_FIRST}.extension[0].value.ofType(string)",
        "whitespace",
    ),
    Case(
        "extension US Core does not have",
        _carrying({"url": f"{US_CORE}us-core-rase", "valueString": "x"}),
        _FIRST,
        "Unknown extension",
    ),
    Case(
        "sex of no table",
        _carrying({"url": f"{US_CORE}us-core-sex", "valueCode": "female"}),
        f"{_VALUE}(code)",
        "1.4.1240.3' not found",
    ),
    Case(
        "gender identity of no table",
        _carrying({"url": f"{US_CORE}us-core-genderIdentity", "valueCodeableConcept": {"coding": [{"code": "x"}]}}),
        f"{_VALUE}(CodeableConcept)",
        "1.4.1021.32' not found",
    ),
)

# What no validator sees, because nothing in US Core 6.1.0 forbids it.
UNSEEN = {
    "text that contradicts the code": _carrying(race(omb("2028-9"), text("White"))),
    "the same category twice": _carrying(race(omb("2028-9"), omb("2028-9"), text())),
    "detailed race outside its category": _carrying(race(omb("2028-9"), detailed("2118-8"), text())),
    "no answer beside an answer": _carrying(race(omb("ASKU", NULL_FLAVOR), omb("2028-9"), text())),
    "MENA rolled up to White": _carrying(race(omb("2106-3"), detailed("2118-8"), text())),
    "born in the future": sound(birthDate="2999-01-01"),
}
