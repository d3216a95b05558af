"""Whether a Patient is one of our making whom nobody saw made: known again by what was sent, whatever we hold since."""

from __future__ import annotations

from hashlib import sha256

import orjson

from fhir_equity.store.hie import Planned
from fhir_equity.sync.exchange import OF_THE_SERVER, REGISTRATION, Exchange, Ours, Resource

_ANSWERS = ("extension", "communication")  # where a Patient has answers; the administrative sex is never changed there


def registration(patient: Resource) -> str:
    """The digest of a Patient apart from its answers and what a server adds: the journal has that of what was sent."""
    left = {name: value for name, value in patient.items() if name not in (*_ANSWERS, *OF_THE_SERVER)}
    return sha256(orjson.dumps(left, option=orjson.OPT_SORT_KEYS)).hexdigest()


def is_of_our_making(there: Resource, sent: Planned, ours: Ours) -> bool:
    """Whether a Patient may be whom an interrupted create of ours made.

    One with anything beside answers that was not sent is somebody else's. A journal of before has no digest of what was
    sent: then what we would send today decides.
    """
    return registration(there) == (sent.etag or registration(ours.patient))


def is_still_as_made(exchange: Exchange, there: Resource, sent: Planned, ours: Ours) -> bool:
    """Whether a Patient is of our making, and says nothing but what was sent, or less: what was withdrawn meanwhile."""
    if not is_of_our_making(there, sent, ours):
        return False
    said = exchange.theirs(there).said
    return all(said[matter] == sent.said.get(matter) for matter in said if matter != REGISTRATION)
