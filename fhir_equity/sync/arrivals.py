"""What comes from an HIE: Patients, each with the Observations and Provenance about them; by search or by export."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby, islice

from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.sync.bulk import Exported
from fhir_equity.sync.client import Client, Resource
from fhir_equity.sync.exchange import id_of
from fhir_equity.sync.search import Params
from fhir_equity.sync.transport import UnavailableError

BESIDE = ("Observation", "Provenance")
PORTION = 50  # codes in one search
_PATIENT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:$|/)")


class Arrived(Struct, frozen=True):
    """A Patient and what stands beside it."""

    patient: Resource
    beside: tuple[Resource, ...] = ()

    def __repr__(self) -> str:
        return f"Arrived({len(self.beside)} beside)"


class Asking(Struct):
    """How a search goes: what is asked since, and what was learned on the way.

    `moment` is the server's own clock when it began to answer. `included` is whether the server sends what
    stands beside a Patient with it, `by_code` whether Observations of some Patients are found by what they are about:
    then no others are asked for. `refused` is whether it does not let Observations be searched.
    """

    since: str = ""
    overlap: int = 0
    codes: tuple[str, ...] = ()
    included: bool = False
    by_code: bool = False
    moment: str = ""
    refused: bool = False

    @property
    def changed(self) -> dict[str, str]:
        """The condition of what changed, a little before the last pull's end."""
        if not self.since:
            return {}
        try:
            moment = datetime.fromisoformat(self.since) - timedelta(seconds=self.overlap)
        except (ValueError, OverflowError):
            return {"_lastUpdated": f"ge{self.since}"}
        return {"_lastUpdated": f"ge{moment.isoformat()}"}


def by_search(client: Client, asking: Asking, wanted: Callable[[Resource], bool]) -> Iterator[Arrived]:
    """Patients that changed since, then those of whom only an Observation did. Raises RemoteError.

    Where it can be asked so, Observations are asked for by what they are about, of those Patients that are `wanted`.
    """
    apart = asking.by_code and bool(asking.codes)
    included = ["Provenance:target"] if apart else ["Observation:subject", "Provenance:target"]
    more = {"_revinclude": included} if asking.included else {}
    seen: set[str] = set()
    for page in client.pages("Patient", {**asking.changed, **more}):
        asking.moment = asking.moment or page.moment
        patients = [each for each in page.resources if each.get("resourceType") not in BESIDE]
        observed = _of(client, asking, [id_of(each) for each in patients if wanted(each)]) if apart else []
        for arrived in _joined([*page.resources, *observed]):
            seen.add(str(arrived.patient.get("id", "")))
            yield arrived
    # Of a first pull everybody was asked about.
    beside: Iterable[Resource] = () if apart and not asking.since else _observed(client, asking)
    if asking.included or apart:  # what stands beside those came with them
        beside = (each for each in beside if subject_of(each) not in seen)
    for key, about in groupby(sorted(beside, key=subject_of), key=subject_of):
        found = client.read("Patient", key) if key else None
        if found is not None:
            yield Arrived(found.resource, tuple(about))


def _of(client: Client, asking: Asking, keys: list[str]) -> list[Resource]:
    """The Observations of some Patients on what is asked for, whenever they changed."""
    found: list[Resource] = []
    waiting = iter(filter(None, keys))
    while some := list(islice(waiting, PORTION)):
        words: Params = {"patient": ",".join(some), "code": ",".join(asking.codes)}
        found += _searched(client, asking, words)
    return found


def by_export(client: Client, exported: Exported, wanted: Callable[[Resource], bool]) -> Iterator[Arrived]:
    """The Patients of an export; what stands beside them is kept of those that are `wanted` only."""
    ours = {str(each.get("id", "")) for each in exported.resources("Patient") if wanted(each)}
    beside: dict[str, list[Resource]] = {}
    for kind in BESIDE:
        for each in exported.resources(kind):
            subject = subject_of(each)
            if subject in ours or wanted({"id": subject}):
                beside.setdefault(subject, []).append(each)
    for patient in exported.resources("Patient"):
        yield Arrived(patient, tuple(beside.pop(str(patient.get("id", "")), ())))
    for key, about in beside.items():  # the Patients themselves did not change
        found = client.read("Patient", key)
        if found is not None:
            yield Arrived(found.resource, tuple(about))


def subject_of(resource: Resource) -> str:
    """The id of the Patient that an Observation or a Provenance is about; empty for none."""
    if resource.get("resourceType") == "Provenance":
        targets = resource.get("target")
        named = [_key(each) for each in targets] if isinstance(targets, list) else []
        return next(filter(None, named), "")
    return _key(resource.get("subject"))


def _key(reference: object) -> str:
    words = reference.get("reference") if isinstance(reference, dict) else None
    found = _PATIENT.search(words) if isinstance(words, str) else None
    return found[1] if found else ""


def _joined(resources: Iterable[Resource]) -> Iterator[Arrived]:
    """The Patients of a page, each with what came with it."""
    resources = list(resources)
    beside: dict[str, list[Resource]] = {}
    for each in resources:
        if each.get("resourceType") in BESIDE:
            beside.setdefault(subject_of(each), []).append(each)
    for each in resources:
        if each.get("resourceType") not in BESIDE:
            yield Arrived(each, tuple(beside.get(str(each.get("id", "")), ())))


def _observed(client: Client, asking: Asking) -> Iterator[Resource]:
    """The Observations of ours to ask about that changed; none where the server does not let them be searched."""
    if not asking.codes:
        return
    yield from _searched(client, asking, {**asking.changed, "code": ",".join(asking.codes)})


def _searched(client: Client, asking: Asking, words: Params) -> Iterator[Resource]:
    if asking.refused:
        return
    try:
        yield from client.search("Observation", words)
    except (UnavailableError, RemoteContentError):
        raise
    except RemoteError:  # not among our scopes, or it cannot search by code: told, and Patients are taken all the same
        asking.refused = True
