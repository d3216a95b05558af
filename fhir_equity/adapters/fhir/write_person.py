"""Who a Patient is: identifiers, name, gender, birth date and address, telling what has no place."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from fhir_equity.adapters.fhir.person import KEY_TYPES, is_date
from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.adapters.fhir.values import ABSENT_URL
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Address, Expressed, Identifier, Loss, Member, Name, Relationship

IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
# Required bindings of R4: Patient.gender and Identifier.use.
GENDERS = ("male", "female", "other", "unknown")
IDENTIFIER_USES = ("usual", "official", "temp", "secondary", "old")
# Everything RFC 3986 lets stand in a URI; only what may not (a space) is encoded.
_URI = ":/?#[]@!$&'()*+,;=%"


class Identifiers:
    """Writes the identifiers of the members of one run; what identifiers of one kind share is made once."""

    def __init__(self, context: Context) -> None:
        self._systems = context.guide.get("identifier_systems", {})
        self._shared: dict[tuple[str, str, str, str], Json] = {}

    def __call__(self, member: Member, losses: list[Loss]) -> list[Json]:
        """The identifiers of a member but for social security numbers."""
        written: dict[tuple[str, str], Json] = {}
        for each in member.identifiers:
            if each.use == "ssn":
                losses.append(Loss("fhir.identifier.ssn_withheld", Relationship.UNMATCHED))
            elif each.value.strip():  # one number may have come under two names, in an 834 and in a survey
                shared = self._of_kind(each, member.partner)
                written.setdefault((shared["system"], each.value), {**shared, "value": each.value})
        if not written:
            losses.append(Loss("fhir.identifier.missing", Relationship.UNMATCHED))
        return list(written.values())

    def _of_kind(self, identifier: Identifier, partner: str) -> Json:
        """Everything but the value."""
        key = (identifier.system, identifier.kind, identifier.use, partner)
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self._shared_by(identifier, partner)
        return found

    def _shared_by(self, identifier: Identifier, partner: str) -> Json:
        kind = identifier.kind.strip()
        # Only types known to be of table 0203 are called so; other words of the sender stay words.
        typed = {"coding": [{"system": IDENTIFIER_TYPES, "code": kind}]} if kind in KEY_TYPES else {"text": kind}
        system = identifier.system or self._systems.get(identifier.kind)
        words = {
            "use": identifier.use if identifier.use in IDENTIFIER_USES else "",
            "type": typed if kind else None,
            "system": quote(system, safe=_URI) if system else f"urn:fhir-equity:{_part(partner)}:{_part(kind)}",
        }
        return {name: value for name, value in words.items() if value}


def _part(word: str) -> str:
    return quote(word, safe="") or "-"


def name_json(name: Name) -> Json:
    """A HumanName. us-core-6: given or family, else a data-absent-reason."""
    words: Json = {}
    if name.family.strip():
        words["family"] = name.family
    if given := [each for each in name.given if each.strip()]:
        words["given"] = given
    if not words:
        words["extension"] = [{"url": ABSENT_URL, "valueCode": "unknown"}]
    if name.prefix.strip():
        words["prefix"] = [name.prefix]
    if name.suffix.strip():
        words["suffix"] = [name.suffix]
    return words


def gender_code(sex: Sequence[Expressed] | None, losses: list[Loss], *, required: bool) -> str:
    """Patient.gender from its required value set; US Core wants one (1..1) before 8.0.0."""
    codings = (*sex[-1].details, *sex[-1].categories) if sex else ()
    if not codings:
        losses += [Loss("fhir.gender.required", Relationship.NARROWER, "sex")] * required
        return "unknown" if required else ""
    if codings[0].code not in GENDERS:
        losses.append(Loss("fhir.gender.no_code", Relationship.WIDER, "sex"))
        return "unknown"
    return codings[0].code


def birth_date_text(value: str, losses: list[Loss]) -> str:
    """Patient.birthDate; empty, with a loss, for what is no FHIR date."""
    if value and not is_date(value):
        losses.append(Loss("fhir.birth_date.invalid", Relationship.UNMATCHED))
        return ""
    return value


def address_json(address: Address) -> Json:
    """An Address; empty where nothing is known. The county is `district`."""
    words = {
        "line": [line for line in address.lines if line.strip()],
        "city": address.city.strip(),
        "district": address.county.strip(),
        "state": address.state.strip(),
        "postalCode": address.postal_code.strip(),
        "country": address.country.strip(),
    }
    return {name: value for name, value in words.items() if value}
