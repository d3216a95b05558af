"""Several Patients in one transaction, where a probe found that of one that fails nothing stays.

https://hl7.org/fhir/R4/http.html#transaction: every write keeps its own condition. What is refused is sent one by one;
a lost answer is settled by looking, never by sending again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import uuid4

from msgspec import Struct

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.store.hie import UNVERIFIED, Planned
from fhir_equity.sync import write_patient
from fhir_equity.sync.client import Conflict, OutcomeUnknownError, Versioned
from fhir_equity.sync.exchange import Exchange, Resource, id_of, is_as_sent
from fhir_equity.sync.patients import Patients
from fhir_equity.sync.replies import is_same_version, version_made
from fhir_equity.sync.transport import UnavailableError

MADE, UPDATED = 201, 200
_PLACE = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:/|$)")


class Part(Struct, frozen=True):
    """One write of a transaction."""

    change: Planned
    ready: write_patient.Ready


class Reply(Struct, frozen=True):
    """What an entry's response says: the status, the id of the Patient that it names, and the version written."""

    status: int = 0
    key: str = ""
    etag: str = ""


class Transactions:
    """Sends parts together, as many as the server was seen to take, until it refuses one for what it is."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        may = exchange.profile.may_bundle and exchange.settings.transactions
        self.size = exchange.profile.entries if may else 1

    def send(self, parts: Sequence[Part]) -> dict[int, Versioned | str]:
        """What became of each (by the id of its change): the Patient as it is now, or why there is none.

        Empty where the server refused, so that nothing was written. Raises RemoteError.
        """
        if len(parts) < 2 or self.size < 2:
            return {}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(part) for part in parts]}
        try:
            answer = self._exchange.client.transaction(bundle)
        except Conflict:
            return {}  # one of them has moved
        except OutcomeUnknownError:
            self.size = 1
            return {part.change.id: write_patient.looked_for(self._exchange, part.change, part.ready) for part in parts}
        except (UnavailableError, RemoteContentError):
            raise
        except RemoteError:
            self.size = 1
            return {}
        return self._landed(parts, answer)

    def _landed(self, parts: Sequence[Part], answer: Resource) -> dict[int, Versioned | str]:
        entries = answer.get("entry")
        replies = [_reply(each) for each in entries] if isinstance(entries, list) else []
        keys = [id_of(part.ready.body) or each.key for part, each in zip(parts, replies, strict=False)]
        if len(keys) != len(parts) or not all(keys):
            raise RemoteContentError(f"{self._exchange.client.host} does not say what became of a transaction")
        there = Patients(self._exchange.client)
        there.look_up(keys, ())
        found: dict[int, Versioned | str] = {}
        for part, key, reply in zip(parts, keys, replies, strict=True):
            now = there.read(key)
            # A create that found somebody has made nobody: ours only if an earlier attempt of this very write made it.
            mine = reply.status == MADE or (reply.status == UPDATED and not part.ready.condition)
            mine = mine or (now is not None and is_as_sent(now.resource, part.ready.body))
            found[part.change.id] = self._as_written(part, reply, now) if mine else "moved"
        return found

    def _as_written(self, part: Part, reply: Reply, now: Versioned | None) -> Versioned | str:
        """The Patient as it is now, but for one that somebody else may have changed: the next plan looks at that."""
        if now is None:
            return UNVERIFIED
        still = is_same_version(now.etag, reply.etag)
        return now if still or write_patient.says(self._exchange, now, part.change) else UNVERIFIED


def _entry(part: Part) -> Resource:
    body, key = part.ready.body, id_of(part.ready.body)
    if part.ready.condition:
        request = {"method": "POST", "url": "Patient", "ifNoneExist": part.ready.condition}
        return {"fullUrl": f"urn:uuid:{uuid4()}", "resource": body, "request": request}
    return {"resource": body, "request": {"method": "PUT", "url": f"Patient/{key}", "ifMatch": part.ready.etag}}


def _reply(entry: object) -> Reply:
    response = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(response, dict):
        return Reply()
    status, place = str(response.get("status", ""))[:3], _PLACE.search(str(response.get("location", "")))
    named = {name: str(response.get(name) or "") for name in ("etag", "location")}
    return Reply(int(status) if status.isdecimal() else 0, place[1] if place else "", version_made(named))
