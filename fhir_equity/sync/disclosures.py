"""What the recipient is told by a change, to be recorded before it is sent."""

from __future__ import annotations

from fhir_equity.store import Disclosure
from fhir_equity.store.hie import Planned
from fhir_equity.sync.exchange import Exchange, Ours


def disclosures(exchange: Exchange, change: Planned, ours: Ours) -> list[Disclosure]:
    """A record for each rule that lets something of the change out."""
    found = []
    for rule in {id_: exchange.release.rule(id_) for id_ in map(ours.rules.get, change.matters) if id_}.values():
        topics = tuple(matter for matter in change.matters if ours.rules[matter] == rule.id)
        found.append(
            Disclosure(
                pseudonym=ours.person.pseudonym,
                partner=ours.person.member.partner,
                recipient=exchange.settings.recipient,
                transmission=exchange.memory.journal.transmission(change),
                purpose=rule.purpose,
                basis=rule.basis,
                topics=topics,
                rule=rule.id,
                policy=exchange.release.version,
            )
        )
    return found
