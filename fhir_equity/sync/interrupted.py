"""Writes of ours that were interrupted before they could be read back: what stands there decides."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_equity.store.hie import UNVERIFIED, VERIFIED, Known, Planned, Settled, There
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.exchange import Exchange, Ours, id_of
from fhir_equity.sync.making import is_still_as_made
from fhir_equity.sync.observations import look
from fhir_equity.sync.telling import TELL


def settled(
    exchange: Exchange, known: Known, ours: Ours, there: Versioned | None, where: There | None
) -> Iterator[Settled]:
    """What became of the interrupted writes about one member, who is `there` now; `known` learns what is written.

    A Patient of our making is known again also when another plan did not find it yet.
    """
    said = exchange.theirs(there.resource).said if there else {}
    for sent in (*known.sent, *known.lost):
        if sent.action == "withdraw":  # recall looks at it again
            yield Settled(sent, "superseded")
        elif sent.action == TELL:  # who told is told again, and made once; what may not stay, recall looks for
            yield Settled(sent, UNVERIFIED)
        elif sent.action == "observe":
            yield _observed(exchange, known, ours, sent)
        else:
            held = {matter: word for matter, word in sent.said.items() if said.get(matter) == word}
            made = sent.action == "create"
            mine = made and there is not None and is_still_as_made(exchange, there.resource, sent, ours)
            if sent in known.lost and not mine:
                continue
            status = VERIFIED if held == sent.said else UNVERIFIED
            known.written.update(held)
            yield Settled(sent, status, held, _place(there) if mine else None if made else where)


def _place(there: Versioned | None) -> There | None:
    return (id_of(there.resource), there.etag) if there is not None else None


def _observed(exchange: Exchange, known: Known, ours: Ours, sent: Planned) -> Settled:
    (matter,) = sent.matters
    found = look(exchange, known, matter, ours.observed.get(matter, ()))
    held = {matter: found.said} if found.said == sent.said[matter] else {}
    existing = {(matter, number): (id_of(e.resource), e.etag) for number, e in found.existing.items()}
    known.written.update(held)
    return Settled(sent, VERIFIED if held else UNVERIFIED, held, None, existing)
