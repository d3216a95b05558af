"""What a plan leaves to a person, as cases of review: who says what, what that rests on, and what was decided.

A decision holds for what it was made about. Who says something else by then, or what was decided and written and is
contradicted again, is asked about anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from fhir_equity.model import Member, Side
from fhir_equity.store import Choice, Opening, chosen
from fhir_equity.store.handed_in import LINK, NOBODY
from fhir_equity.store.hie import Known
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.exchange import Exchange, Ours, Resource, called, differences, id_of, is_active, same_person

DIFFER = "name_or_birth_date_differ"
PATIENT = "Patient"
NEW = "new"
THEIRS_BETTER = "theirs_better"
REMOVES = "would_remove_part"
# What a person can decide about an answer: ours goes there, or theirs stays.
ABOUT_ANSWERS = ("same_standing", REMOVES, "declined_there", "changed_there", "withdrawn_there", THEIRS_BETTER)
OURS = 0


class Questions(Struct):
    """What a person is asked about one member in this plan, and what they decided before."""

    member: int
    choices: Sequence[Choice]
    openings: list[Opening] = []

    def ask(self, opening: Opening) -> Side | None:
        """Note a case; the side that somebody chose of it, where that holds."""
        self.openings.append(opening)
        held = chosen(opening, self.choices)
        return None if held is None else held.sides[held.side]

    @property
    def asked(self) -> dict[str, str]:
        """What each case rests on, as the store keeps it."""
        return {f"{each.kind} {each.matter}": each.known for each in self.openings}


def about_answer(
    exchange: Exchange, ours: Ours, kind: str, matter: str, theirs: tuple[str, str], rests: tuple[Known, str | None]
) -> Opening:
    """A case about an answer. `theirs` is the method and the fingerprint of what they say; it rests on what was
    `Known`, and on what both agreed on last: so that what comes after a decision was carried out is new.
    """
    known, agreed = rests
    winner = ours.resolutions[matter].winner
    who = (winner.origin.partner, winner.origin.collector, winner.origin.method) if winner else ("", "", "")
    method, said = theirs
    sides = (Side(*who, _said(ours.said[matter])), Side(exchange.name, "hie", method, _said(said)))
    return Opening(ours.person.id, kind, matter, sides, exchange.as_of, _digest([agreed or "", known.tries[matter]]))


def about_link(exchange: Exchange, ours: Ours, kind: str, candidates: Iterable[Resource]) -> Opening:
    """A case about who somebody is there: one of these Patients, or nobody."""
    member, found = ours.person.member, []
    seen: list[object] = [_person(member)]
    for each in candidates:
        other = exchange.theirs(each).member
        differ = tuple(("differs", name) for name in differences(member, other))
        found.append(Side(exchange.name, "hie", PATIENT.lower(), ((PATIENT, id_of(each)), *differ)))
        seen.append((id_of(each), _person(other)))
    sides = (*found, Side(exchange.name, "hie", NOBODY, ()))
    return Opening(ours.person.id, kind, LINK, sides, exchange.as_of, _digest(seen))


def about_nobody(exchange: Exchange, ours: Ours, kind: str) -> Opening:
    """A case about somebody who is not known there: a Patient may be made of them, or not."""
    sides = tuple(Side(exchange.name, "hie", method, ()) for method in (NEW, NOBODY))
    return Opening(ours.person.id, kind, LINK, sides, exchange.as_of, _digest([_person(ours.person.member)]))


def patient_of(side: Side) -> str:
    """The id of the Patient that a side names; empty where it names none."""
    return next((value for name, value in side.said if name == PATIENT), "")


def is_accepted(exchange: Exchange, ours: Ours, there: Resource, theirs: Member) -> bool:
    """Whether a Patient, read as `theirs`, is our member: name and birth date agree, or somebody decided so."""
    if same_person(ours.person.member, theirs):
        return True
    held = chosen(about_link(exchange, ours, DIFFER, [there]), ours.choices)
    return held is not None and held.side == OURS


def unusable(there: Versioned) -> str:
    """Why a Patient cannot be written to, empty where it can."""
    if not is_active(there.resource):
        return "not_active"
    return "" if there.etag else "no_version"  # without a version an update could overwrite what nobody saw


def is_removed(ours: Ours, matters: Iterable[str]) -> bool:
    """Whether somebody decided that ours goes there although it takes away what ours says nothing about."""
    removed = {each.matter for each in ours.choices if each.kind == REMOVES and each.side == OURS}
    return not removed.isdisjoint(matters)


def refused(choices: Iterable[Choice]) -> set[str]:
    """The Patients that somebody decided are not a member of ours."""
    found = [each for each in choices if each.kind == DIFFER and each.sides[each.side].method == NOBODY]
    return {patient_of(side) for each in found for side in each.sides} - {""}


def _said(fingerprint: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.partition("|") for line in fingerprint.split("\n"))
    return tuple((system, code) for system, _, code in pairs)


def _person(member: Member) -> tuple[str, str, str]:
    return (*called(member.name), member.birth_date)


def _digest(parts: object) -> str:
    return sha256(msgspec.json.encode(parts)).hexdigest()[:16]
