"""The invented people of the demonstration: an 834, a survey that disagrees here and there, an HIE.

Everything comes from a seeded generator, so every machine tells the same story. Nobody is real: the
names are common words, the numbers start with DP, the addresses do not exist.
"""

from __future__ import annotations

import csv
import io
import random
from typing import Any

from msgspec import Struct

SEED = 2024
SUBSCRIBERS = 220
MEMBER_SYSTEM = "https://demo-plan.example/member-number"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"

_GIVEN = (
    "Ada Amir Bea Carlos Dana Eli Fatima Gus Hana Ines Jun Kira Lena Malia Noor Omar Pilar Quinn Rosa Sami "
    "Tala Uma Victor Wren Ximena Yara Zane Bram Cleo Dov Etta Finn Gita Hugo Iris Jonas"
).split()
_FAMILY = (
    "Ashgrove Birchwood Cedarhill Dunefield Elmstead Fernbrook Glenmoor Hazelton Ivybridge Juniper Kelpshore "
    "Larkspur Mapleton Northwind Oakhurst Pinecrest Quarryman Rosefield"
).split()
_STREETS = ("Invented Way", "Nowhere Lane", "Sample Street", "Example Avenue")

# DMG05 as enrollment files carry it, and how often; None: the segment ends before it.
_RACES: tuple[tuple[str | None, int], ...] = (
    (":RET:2106-3", 24),
    (":RET:2054-5", 14),
    (":RET:2135-2", 12),
    (":RET:2028-9", 6),
    (":RET:2034-7", 3),
    (":RET:2029-7", 3),
    (":RET:2118-8", 4),
    (":RET:2123-8", 2),
    (":RET:2106-3^:RET:2135-2", 6),
    (":RET:2054-5^:RET:2106-3", 4),
    (":RET:2080-0", 2),
    (":RET:1002-5", 2),
    ("C", 5),
    ("B", 3),
    ("H", 3),
    ("A", 2),
    ("7", 4),
    ("8", 1),
    (None, 16),
)
_LANGUAGES = (("ENG", 55), ("SPA", 20), ("CHI", 4), ("ARA", 3), ("VIE", 3), ("TGL", 2), (None, 30))
_CATEGORIES = (
    ("White", 22),
    ("Black or African American", 13),
    ("Hispanic or Latino", 14),
    ("Asian", 6),
    ("Chinese", 3),
    ("Filipino", 3),
    ("Middle Eastern or North African", 7),
    ("Lebanese", 3),
    ("Samoan", 2),
    ("American Indian or Alaska Native", 3),
    ("White; Hispanic or Latino", 6),
    ("Black or African American; White", 4),
    ("Ghanaian", 2),
    ("Prefer not to say", 6),
    ("Don't know", 2),
    ("", 4),
)
_SPOKEN = (("English", 60), ("Spanish", 20), ("Mandarin", 3), ("Arabic", 4), ("Prefer not to say", 2), ("", 5))
_ORIENTATION = (("Straight or heterosexual", 60), ("Lesbian or gay", 8), ("Bisexual", 8), ("Prefer not to say", 20))
_GENDER = (("Female", 40), ("Male", 40), ("Nonbinary", 5), ("Prefer not to say", 10), ("", 5))
_SAYS = {":RET:2106-3": ("2106-3", "White"), ":RET:2054-5": ("2054-5", "Black or African American")}
_SAYS |= {":RET:2028-9": ("2028-9", "Asian"), ":RET:1002-5": ("1002-5", "American Indian or Alaska Native")}
_MIXED_UP = (60, 180)  # under these members' numbers the HIE has somebody else


class Invented(Struct, frozen=True):
    """One invented person."""

    number: str
    subscriber: str
    relationship: str
    family: str
    given: str
    born: str
    sex: str
    street: str
    race: str | None
    spoken: str | None
    written: str | None


def people() -> list[Invented]:
    """Everybody in the 834: subscribers, each followed by their dependents."""
    dice = random.Random(SEED)
    found: list[Invented] = []
    for _ in range(SUBSCRIBERS):
        family, street = dice.choice(_FAMILY), f"{dice.randint(1, 99)} {dice.choice(_STREETS)}"
        head = f"DP{len(found) + 1:06d}"
        size = dice.choices((1, 2, 3, 4), (60, 20, 12, 8))[0]
        for place in range(size):
            relationship = "18" if place == 0 else dice.choice(("01", "19", "19"))
            found.append(_one(dice, len(found) + 1, head, relationship, family, street))
    return found


def _one(dice: random.Random, number: int, head: str, relationship: str, family: str, street: str) -> Invented:
    year = dice.randint(2008, 2023) if relationship == "19" else dice.randint(1945, 2004)
    speaks = relationship == "18"  # dependents usually carry no LUI
    spoken = _pick(dice, _LANGUAGES) if speaks else None
    return Invented(
        number=f"DP{number:06d}",
        subscriber=head,
        relationship=relationship,
        family=family,
        given=dice.choice(_GIVEN),
        born=f"{year}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}",
        sex=dice.choice("FM"),
        street=street,
        race=_pick(dice, _RACES),
        spoken=spoken,
        written=spoken if spoken and dice.random() < 0.4 else None,
    )


def _pick(dice: random.Random, weighted: tuple[tuple[Any, int], ...]) -> Any:
    return dice.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def enrollment(everybody: list[Invented]) -> bytes:
    """The 834: one transaction set, and two records in it that no plan can use."""
    body = ["ST*834*0001*005010X220A1", "BGN*00*DEMO1*20260101*1200****4", "N1*P5*DEMO EMPLOYER*FI*000000001"]
    body.append("N1*IN*DEMO PLAN*FI*000000002")
    for place, person in enumerate(everybody):
        if place == 40:  # a record without a name: nobody's
            body += ["INS*Y*18*030**A***FT", "REF*0F*DP999001", "DMG*D8*19800101*F**:RET:2106-3"]
        if place == 90:  # a record that is neither subscriber nor dependent
            body += ["INS*Q*18*030**A***FT", "REF*0F*DP999002", "NM1*IL*1*NOBODY*NEMO", "DMG*D8*19800101*M"]
        body += _loop(person)
    body.append(f"SE*{len(body) + 1}*0001")
    sender, receiver, blank = f"{'DEMOEMPLOYER':<15}", f"{'DEMOPLAN':<15}", " " * 10
    isa = f"ISA*00*{blank}*00*{blank}*ZZ*{sender}*ZZ*{receiver}*260101*1200*^*00501*000000001*0*T*:"
    head = [isa, "GS*BE*DEMOEMPLOYER*DEMOPLAN*20260101*1200*1*X*005010X220A1"]
    return "".join(segment + "~\n" for segment in [*head, *body, "GE*1*1", "IEA*1*000000001"]).encode()


def _loop(person: Invented) -> list[str]:
    subscriber = person.relationship == "18"
    lines = [
        f"INS*{'Y' if subscriber else 'N'}*{person.relationship}*030**A***{'FT' if subscriber else ''}".rstrip("*"),
        f"REF*0F*{person.subscriber}",
        f"NM1*IL*1*{person.family.upper()}*{person.given.upper()}****ZZ*{person.number}",
        f"N3*{person.street.upper()}",
        "N4*EXAMPLETON*NY*00001",
        f"DMG*D8*{person.born.replace('-', '')}*{person.sex}**{person.race or ''}".rstrip("*"),
    ]
    lines += [f"LUI*LE*{code}**{use}" for code, use in ((person.spoken, "7"), (person.written, "6")) if code]
    return [*lines, "HD*030**HLT", "DTP*348*D8*20260101"]


def survey(everybody: list[Invented]) -> bytes:
    """The member survey: about a third of the adults, some of whom see themselves as the 834 does not."""
    dice = random.Random(SEED + 1)
    out = io.StringIO(newline="")
    columns = ["member_id", "first_name", "last_name", "birth_date", "survey_date", "answered_by", "race_ethnicity"]
    columns += ["language_spoken", "language_written", "sexual_orientation", "gender_identity"]
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for person in everybody:
        if person.born > "2008" or dice.random() > 0.42:
            continue
        day = f"2026-{dice.randint(2, 9):02d}-{dice.randint(1, 28):02d}"
        spoken = _pick(dice, _SPOKEN)
        row = [person.number, person.given, person.family, person.born, day, "self", _pick(dice, _CATEGORIES)]
        row += [spoken, spoken if dice.random() < 0.6 else "", _pick(dice, _ORIENTATION), _pick(dice, _GENDER)]
        writer.writerow(row)
    return out.getvalue().encode()


def patients(everybody: list[Invented]) -> list[dict[str, Any]]:
    """What the HIE has: some of our members, with and without race, and people we do not know."""
    dice = random.Random(SEED + 2)
    found = []
    for place, person in enumerate(everybody):
        if dice.random() < 0.55 or place in _MIXED_UP:
            says = _SAYS.get(person.race or "")
            turn = dice.random()
            if turn < 0.35:
                says = None
            elif turn < 0.60 or says is None:
                says = dice.choice(list(_SAYS.values()))
            born = "1901-01-01" if place in _MIXED_UP else person.born
            found.append(_patient(person, born, says, "es" if dice.random() < 0.15 else None))
    for number in range(25):
        stranger = _one(dice, 900001 + number, "", "18", dice.choice(_FAMILY), "1 Elsewhere Road")
        found.append(_patient(stranger, stranger.born, dice.choice(list(_SAYS.values())), None))
    return found


def _patient(person: Invented, born: str, says: tuple[str, str] | None, language: str | None) -> dict[str, Any]:
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "meta": {"profile": [f"{US_CORE}us-core-patient"]},
        "identifier": [{"system": MEMBER_SYSTEM, "value": person.number}],
        "name": [{"family": person.family, "given": [person.given]}],
        "gender": "female" if person.sex == "F" else "male",
        "birthDate": born,
    }
    if says is not None:
        coding = {"system": CDCREC, "code": says[0], "display": says[1]}
        inner = [{"url": "ombCategory", "valueCoding": coding}, {"url": "text", "valueString": says[1]}]
        patient["extension"] = [{"url": f"{US_CORE}us-core-race", "extension": inner}]
    if language:
        coded = {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}
        patient["communication"] = [{"language": coded, "preferred": True}]
    return patient
