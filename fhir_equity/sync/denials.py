"""What a FHIR Consent denies, and of whom it is; https://hl7.org/fhir/R4/consent.html.

What narrows a denial in a way that is not understood is not taken into account: then more is kept back, never less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_equity.store.opt_outs import ALL
from fhir_equity.sync.exchange import Exchange, Resource

DAY = len("YYYY-MM-DD")
Denial = tuple[str, str, str]  # matter (empty: all), first day, last day (empty: open)
_ABOUT = ("securityLabel", "code")  # of a provision
# What else a provision may have without being narrower: to whom, and when.
_PLAIN = {"id", "type", "period", "provision", "actor", *_ABOUT}
_PATIENT = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def denials(consent: Resource, exchange: Exchange) -> Iterator[Denial]:
    """What a Consent denies.

    The policy of a Consent is its base, of which the root provision tells only the time and the exceptions (R4,
    Consent.provision): one that denies does so whatever these let through.
    """
    if consent.get("status") != "active":
        return
    root = consent.get("provision")
    root = root if isinstance(root, dict) else {}
    if _codes([consent.get("policyRule")]) & exchange.inbound.consent_denies:
        yield ALL, *_days(consent, root)
    for each in _denying(root):
        for matter in sorted(_matters(each, exchange)):
            yield matter, *_days(consent, root, each)


def patient_of(consent: Resource, base: str) -> str:
    """The id of the Patient of the server at `base` whose Consent it is; empty for none of this server."""
    who = consent.get("patient")
    words = who.get("reference") if isinstance(who, dict) else None
    found = _PATIENT.fullmatch(words.removeprefix(f"{base.rstrip('/')}/")) if isinstance(words, str) else None
    return found[1] if found and consent.get("resourceType") == "Consent" else ""


def _days(consent: Resource, root: Resource, provision: Resource | None = None) -> tuple[str, str]:
    """The first and the last day of a provision, else of the whole, else from the day of the Consent on."""
    period = (provision or {}).get("period") or root.get("period")
    start, end = (period.get("start"), period.get("end")) if isinstance(period, dict) else (None, None)
    return _day(start or consent.get("dateTime")), _day(end)


def _denying(provision: Resource) -> Iterator[Resource]:
    """The provisions that deny: one as a whole, whatever it lets through again, else its exceptions."""
    waiting = [provision]
    while waiting:
        each = waiting.pop()
        if each.get("type") == "deny":
            yield each
        else:
            waiting += [nested for nested in _listed(each.get("provision")) if isinstance(nested, dict)]


def _matters(provision: Resource, exchange: Exchange) -> frozenset[str]:
    named = _codes(each for name in _ABOUT for each in _listed(provision.get(name)))
    topics: dict[str, str] = exchange.contexts(exchange.partner).guide.get("reading", {}).get("observations", {})
    about = {code: frozenset({exchange.matter_of(topic)}) for code, topic in topics.items()}
    about |= exchange.inbound.consent_about
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
