"""FHIR Consents at an HIE: what they deny is kept back like what a member says; https://hl7.org/fhir/R4/consent.html.

What narrows a denial in a way that is not understood is not taken into account: then more is kept back, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.store.opt_outs import ALL, Kept
from fhir_equity.sync.arrivals import Asking
from fhir_equity.sync.exchange import Exchange, Resource
from fhir_equity.sync.inbound import Inbound
from fhir_equity.sync.patients import LIST
from fhir_equity.sync.transport import UnavailableError

DAY = len("YYYY-MM-DD")
Denial = tuple[str, str, str]  # matter (empty: all), first day, last day (empty: open)
_ABOUT = ("securityLabel", "code")  # of a provision
# What else a provision may have without being narrower: to whom, and when.
_PLAIN = {"id", "type", "period", "provision", "actor", *_ABOUT}


def read_consents(exchange: Exchange, inbound: Inbound, asking: Asking) -> int:
    """Keep back what the Consents that changed there deny; of how many members something changed.

    All Consents of such a member are read again, so that what was taken back may be sent again. A server that
    does not let Consents be searched is no reason to stop. Raises RemoteError, StoreError.
    """
    client, changed = exchange.client, 0
    try:
        waiting = iter(dict.fromkeys(map(patient_of, client.search("Consent", asking.changed))))
        while some := list(islice(filter(None, waiting), LIST)):
            members = exchange.memory.members_of(some)
            kept: list[Kept] = []
            for patient, people in members.items():
                found = client.search("Consent", {"patient": f"Patient/{patient}"})
                theirs = [each for each in found if patient_of(each) == patient]
                kept += _kept_back(exchange, inbound, people, theirs)
            changed += exchange.store.opt_outs.consented(exchange.name, set().union(*members.values()), kept)
    except (UnavailableError, RemoteContentError):
        raise
    except RemoteError:
        asking.consents_refused = True
    return changed


def _kept_back(
    exchange: Exchange, inbound: Inbound, people: Iterable[int], consents: Iterable[Resource]
) -> Iterator[Kept]:
    """What Consents of one Patient deny to us; of several denials of one matter the time that covers all."""
    said: dict[str, tuple[str, str]] = {}
    for each in consents:
        for matter, begins, until in denials(each, exchange, inbound):
            since = begins or exchange.as_of
            first, last = said.get(matter, (since, until))
            said[matter] = (min(first, since), "" if "" in (last, until) else max(last, until))
    for member in people:
        for matter, (since, until) in said.items():
            yield Kept(member, since, exchange.settings.recipient, matter, until)


def denials(consent: Resource, exchange: Exchange, inbound: Inbound) -> Iterator[Denial]:
    """What a Consent denies."""
    provision = consent.get("provision")
    if consent.get("status") != "active":
        return
    if not isinstance(provision, dict):
        if _codes([consent.get("policyRule")]) & inbound.consent_denies:
            yield ALL, _day(consent.get("dateTime")), ""
        return
    for each in _denying(provision):
        period = each.get("period") or provision.get("period")
        start, end = (period.get("start"), period.get("end")) if isinstance(period, dict) else (None, None)
        for matter in sorted(_matters(each, exchange, inbound)):
            yield matter, _day(start or consent.get("dateTime")), _day(end)


def _denying(provision: Resource) -> Iterator[Resource]:
    """The provisions that deny: one as a whole, whatever it lets through again, else its exceptions."""
    waiting = [provision]
    while waiting:
        each = waiting.pop()
        if each.get("type") == "deny":
            yield each
        else:
            waiting += [nested for nested in _listed(each.get("provision")) if isinstance(nested, dict)]


def _matters(provision: Resource, exchange: Exchange, inbound: Inbound) -> frozenset[str]:
    named = _codes(each for name in _ABOUT for each in _listed(provision.get(name)))
    topics: dict[str, str] = exchange.contexts(exchange.partner).guide.get("reading", {}).get("observations", {})
    about = {code: frozenset({exchange.matter_of(topic)}) for code, topic in topics.items()} | inbound.consent_about
    if not named or not named <= about.keys() or not provision.keys() <= _PLAIN:
        return frozenset({ALL})
    return frozenset[str]().union(*(about[code] for code in named))


def _codes(concepts: Iterable[Any]) -> set[str]:
    """``system|code`` of codings, alone or in a CodeableConcept."""
    held = [each for each in concepts if isinstance(each, dict)]
    codings = [coding for each in held for coding in (_listed(each.get("coding")) if "coding" in each else [each])]
    return {f"{each.get('system', '')}|{each.get('code', '')}" for each in codings if isinstance(each, dict)}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _day(moment: object) -> str:
    """The day of a FHIR dateTime; empty where it names none, which is the more careful reading of either end."""
    return moment[:DAY] if isinstance(moment, str) and len(moment) >= DAY else ""


def patient_of(consent: Resource) -> str:
    """The id of the Patient whose Consent it is; empty for none of this server."""
    who = consent.get("patient")
    words = who.get("reference") if isinstance(who, dict) else None
    kind, _, key = words.rpartition("/") if isinstance(words, str) else ("", "", "")
    return key if kind.rsplit("/", 1)[-1] == "Patient" and consent.get("resourceType") == "Consent" else ""
