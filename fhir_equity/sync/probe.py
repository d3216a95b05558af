"""probe: what a server says of itself, and what invented Patients find out about it.

Only `canary` writes. Its Patients are invented, carry an identifier of a system of our own, and are
deleted at the end; what could not be deleted is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from msgspec import Struct, structs

from fhir_equity.adapters.fhir import objects_in
from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.sync.client import PATCH, Client, Resource
from fhir_equity.sync.profile import Profile, with_quirks
from fhir_equity.sync.search import query, token
from fhir_equity.sync.transport import UnavailableError

SYSTEM = "https://fhir-equity.example/canary"
INCLUDES = ("Observation:subject", "Provenance:target")
SIZES = (2, 10, 50, 100, 200)
_STALE = (409, 412)
_MADE = (200, 201)
_RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
_ETHNICITY = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"
_CDCREC = "urn:oid:2.16.840.1.113883.6.238"


class Probed(Struct, frozen=True):
    """A profile, and how many canaries could not be deleted again."""

    profile: Profile
    left: int = 0


def probe(client: Client, quirks: Iterable[Mapping[str, str]], *, write: bool) -> Probed:
    """Find out what the server does; with `write` by making, changing and deleting Patients there.

    Raises RemoteError when the server is unavailable or speaks another version of FHIR than R4, and without `write`
    when it has no CapabilityStatement.
    """
    profile = _said(client, write=write)
    left = 0
    if write:
        canary = _Canary(client)
        try:
            found = canary.findings()
        finally:
            left = canary.clean()
        profile = structs.replace(profile, **found, wrote=True)
    profile = structs.replace(profile, retry_after=client.told_when_busy)
    return Probed(with_quirks(profile, quirks), left)


def _said(client: Client, *, write: bool) -> Profile:
    """What the server says of itself; of one that says nothing a canary can still find out what it does."""
    try:
        statement = client.capability()
    except UnavailableError:
        raise
    except RemoteError:
        if not write:
            raise
        return Profile(probed_at=_now())
    return _declared(statement)


def _declared(statement: Resource) -> Profile:
    """What a CapabilityStatement tells (https://hl7.org/fhir/R4/capabilitystatement.html)."""
    fhir = _text(statement, "fhirVersion")
    if fhir and not fhir.startswith("4."):
        raise RemoteError("the server speaks another version of FHIR than R4")
    software, rest = statement.get("software"), _listed(statement, "rest")
    server = rest[0] if rest else {}
    kinds = {_text(each, "type"): _operations(each) for each in _listed(server, "resource")}
    included = [each.get("searchRevInclude") for each in _listed(server, "resource") if each.get("type") == "Patient"]
    levels = {"system": _operations(server), "patient": kinds.get("Patient", ()), "group": kinds.get("Group", ())}
    exports = [level for level, names in levels.items() if {"export", f"{level}-export"} & set(names)]
    return Profile(
        software=_text(software, "name") if isinstance(software, dict) else "",
        version=_text(software, "version") if isinstance(software, dict) else "",
        fhir=fhir,
        probed_at=_now(),
        match="match" in kinds.get("Patient", ()),
        exports=tuple(exports),
        consents="Consent" in kinds,
        provenance="Provenance" in kinds,
        by_code={"code", "patient"} <= _parameters(server, "Observation"),
        includes=any(isinstance(each, list) and {*INCLUDES} <= {*map(str, each)} for each in included),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parameters(server: Resource, kind: str) -> set[str]:
    """What a type of resource can be searched by."""
    of = [each for each in _listed(server, "resource") if each.get("type") == kind]
    return {_text(each, "name") for resource in of for each in _listed(resource, "searchParam")}


def _operations(thing: Resource) -> tuple[str, ...]:
    return tuple(_text(each, "name").removeprefix("$") for each in _listed(thing, "operation"))


def _listed(thing: Resource, name: str) -> list[Resource]:
    return objects_in(thing.get(name))


def _text(thing: Resource, name: str) -> str:
    """A word of the server about itself, shortened and in printable letters: it is shown on a terminal."""
    found = thing.get(name)
    return "".join(c for c in found[:80] if c.isprintable()) if isinstance(found, str) else ""


class _Canary:
    """Invented Patients at a test endpoint."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._run = uuid4().hex
        self._used: list[str] = []
        self._made: set[str] = set()

    def findings(self) -> dict[str, Any]:
        """What was found out, by the names of `Profile`. Raises RemoteError where nothing can be made at all."""
        first = self._create(self._patient())
        if not first:
            raise RemoteError("the server does not let a Patient be created")
        checks: dict[str, Callable[[str], object]] = {
            "conditional_create": self._conditional_create,
            "if_match": self._if_match,
            "conditional_if_match": self._conditional_if_match,
            "patch": self._patch,
            "rollback": self._rollback,
            "entries": self._entries,
            "paging": self._paging,
        }
        return {name: check(first) for name, check in checks.items()}

    def clean(self) -> int:
        """Delete every canary, also those that nobody said were made; returns how many are left."""
        for value in self._used:
            self._made |= {str(each.get("id", "")) for each in self._found(value)}
        left = 0
        for key in sorted(self._made - {""}):
            try:
                self._client.delete("Patient", key)
                left += self._client.read("Patient", key) is not None
            except RemoteError:
                left += 1
        return left

    def _patient(self) -> Resource:
        value = f"{self._run}-{len(self._used)}"
        self._used.append(value)
        return {
            "resourceType": "Patient",
            "active": True,
            "identifier": [{"system": SYSTEM, "value": value}],
            "name": [{"family": "Canary", "given": ["Invented"]}],
            "birthDate": "1900-01-01",
            "extension": [_nested(_RACE, "2028-9", "Asian", "2034-7", "Chinese")],
        }

    def _create(self, patient: Resource, **headers: str) -> str:
        """The id of what was made, or was there; empty where nothing was."""
        reply = self._client.tried("POST", "Patient", patient, headers)
        if reply.status not in _MADE:
            return ""
        value = str(patient["identifier"][0]["value"])
        keys = [str(each.get("id", "")) for each in self._found(value)]
        self._made |= set(keys)
        return keys[0] if keys else ""

    def _found(self, *values: str) -> list[Resource]:
        words = ",".join(token(SYSTEM, value) for value in values)
        return list(self._client.search("Patient", {"identifier": words}))

    def _conditional_create(self, first: str) -> bool:
        patient = self._patient()
        condition = query({"identifier": token(SYSTEM, str(patient["identifier"][0]["value"]))})
        for _ in range(2):
            self._create(patient, **{"If-None-Exist": condition})
        return len(self._found(self._used[-1])) == 1

    def _if_match(self, first: str) -> bool | None:
        there = self._client.read("Patient", first)
        if there is None or not there.etag:
            return None
        stale, changed = there.etag, there.resource | {"birthDate": "1900-01-02"}
        good = self._client.tried("PUT", f"Patient/{first}", changed, {"If-Match": stale})
        if good.status not in _MADE:
            return None
        late = changed | {"birthDate": "1900-01-03"}
        return self._client.tried("PUT", f"Patient/{first}", late, {"If-Match": stale}).status in _STALE

    def _conditional_if_match(self, first: str) -> bool | None:
        there = self._client.read("Patient", first)
        if there is None or not there.etag:
            return None
        body = {name: value for name, value in there.resource.items() if name not in ("id", "meta")}
        path = f"Patient?{query({'identifier': token(SYSTEM, self._used[0])})}"
        good = self._client.tried("PUT", path, body | {"birthDate": "1900-01-04"}, {"If-Match": there.etag})
        if good.status not in _MADE:
            return None
        late = body | {"birthDate": "1900-01-05"}
        return self._client.tried("PUT", path, late, {"If-Match": there.etag}).status in _STALE

    def _patch(self, first: str) -> bool:
        there = self._client.read("Patient", first)
        if there is None:
            return False
        added = _nested(_ETHNICITY, "2135-2", "Hispanic or Latino", "2148-5", "Mexican")
        kinds = {"Content-Type": PATCH, "If-Match": there.etag}
        wrong = [{"op": "test", "path": "/active", "value": False}, {"op": "add", "path": "/gender", "value": "other"}]
        refused = self._client.tried("PATCH", f"Patient/{first}", wrong, kinds).status
        right = [
            {"op": "test", "path": "/active", "value": True},
            {"op": "add", "path": "/extension/-", "value": added},
        ]
        taken = self._client.tried("PATCH", f"Patient/{first}", right, kinds).status
        late = self._client.tried("PATCH", f"Patient/{first}", right, kinds).status
        after = self._client.read("Patient", first)
        if after is None or not (400 <= refused < 500) or taken != 200 or late not in _STALE:
            return False
        before = there.resource.get("extension", [])
        return "gender" not in after.resource and after.resource.get("extension") == [*before, added]

    def _rollback(self, first: str) -> bool | None:
        there, patient = self._client.read("Patient", first), self._patient()
        if there is None:
            return None
        made = {"request": {"method": "POST", "url": "Patient"}, "resource": patient, "fullUrl": f"urn:uuid:{uuid4()}"}
        wrong = {"method": "PUT", "url": f"Patient/{first}", "ifMatch": 'W/"999999"'}
        entries = [made, {"request": wrong, "resource": there.resource}]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        refused = self._client.tried("POST", "", bundle, {}).status >= 400
        stayed = bool(self._found(self._used[-1]))
        return not stayed if refused or stayed else None

    def _entries(self, first: str) -> int:
        """The largest of the sizes that a batch of reads may have."""
        most = 1
        for size in SIZES:
            entries = [{"request": {"method": "GET", "url": f"Patient/{first}"}}] * size
            reply = self._client.tried("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries}, {})
            if reply.status != 200:
                break
            most = size
        return most

    def _paging(self, first: str) -> bool:
        self._create(self._patient())
        words = ",".join(token(SYSTEM, value) for value in (self._used[0], self._used[-1]))
        try:
            found = [each.get("id") for each in self._client.search("Patient", {"identifier": words, "_count": "1"})]
        except (UnavailableError, RemoteContentError):
            raise
        except RemoteError:  # there are two, it gives one, and no link to the next page
            return False
        return len(found) == len(set(found)) == 2


def _nested(url: str, category: str, word: str, detail: str, narrower: str) -> Resource:
    parts = [("ombCategory", category, word), ("detailed", detail, narrower)]
    inner: list[Resource] = [
        {"url": name, "valueCoding": {"system": _CDCREC, "code": code, "display": display}}
        for name, code, display in parts
    ]
    return {"url": url, "extension": [*inner, {"url": "text", "valueString": narrower}]}
