"""Reading FHIR Consents at an HIE: what they deny is kept back like what a member says, from the moment it is known.

A pull reads those that changed, a plan those of a Patient whom it finds, an apply those of whom it writes to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import structs

from fhir_equity.errors import RemoteContentError, RemoteError
from fhir_equity.store.opt_outs import Kept
from fhir_equity.sync.arrivals import Asking
from fhir_equity.sync.denials import denials, patient_of
from fhir_equity.sync.exchange import Exchange, Resource
from fhir_equity.sync.matching import replaces
from fhir_equity.sync.patients import LIST, Patients
from fhir_equity.sync.pull import later
from fhir_equity.sync.transport import UnavailableError


class Consents:
    """The Consents of one HIE. With `dry` the store is left as it is.

    `changed` is of how many members they keep back something else than before. A server that does not let Consents
    be searched (`refused`) is no reason to stop: what was known before stays kept back.
    """

    def __init__(self, exchange: Exchange, *, dry: bool = False) -> None:
        self._exchange, self._dry = exchange, dry
        self._patients = Patients(exchange.client)
        self._asks = exchange.profile.consents is not False
        self._answered = False
        self.refused = False
        self.changed = 0

    def of(
        self, patients: Mapping[str, Collection[int]], there: Resource | None = None, on: str = ""
    ) -> dict[int, set[str]]:
        """Keep back what the Consents of some Patients (id -> the members who are linked to them) deny.

        All of them are read, so that what was taken back may be sent again. Returns the matters (an empty one: all)
        that each member keeps back by them `on` a day, else as of the run's. `there` is the one Patient where it was
        just read. Raises RemoteError for a server that is away, StoreError.
        """
        kept: list[Kept] = []
        read: set[int] = set()
        for key, members in patients.items():
            found = self._all_of(key, there)
            if found is not None:
                read |= set(members)
                kept += _kept_back(self._exchange, members, found)
        if read and not self._dry:
            self.changed += self._exchange.store.opt_outs.consented(self._exchange.name, read, kept)
        today: dict[int, set[str]] = {}
        day = on or self._exchange.as_of
        for each in kept:
            if each.since <= day and (not each.until or each.until >= day):
                today.setdefault(each.member_id, set()).add(each.matter)
        return today

    def of_linked(self, keys: Sequence[str], on: str = "") -> dict[int, set[str]]:
        """The same of those of these Patients (ids) who are linked, looked up together."""
        patients = self._exchange.memory.kept_under(keys) if self._asks else dict[str, set[int]]()
        self._patients.look_up(patients, ())
        return self.of(patients, on=on)

    def read_changed(self) -> None:
        """Read the Consents of linked members that changed since this was done last; one that is refused stays new.

        Raises RemoteError for a server that is away, StoreError.
        """
        if not self._asks:
            return
        exchange, memory = self._exchange, self._exchange.memory
        asking, whose = Asking(memory.consents_since(), exchange.settings.overlap), dict[str, None]()
        try:
            for each in self._changed(asking):
                whose[patient_of(each, exchange.client.url)] = None
        except RemoteError as error:
            self._refuse(error)
        waiting = filter(None, whose)
        while some := list(islice(waiting, LIST)):
            self.of_linked(some)
        if not self.refused and asking.moment:
            memory.consents_read(asking.moment)

    def _changed(self, asking: Asking) -> Iterator[Resource]:
        """Consents that changed; `asking` learns the server's clock before the first, else when the last changed."""
        client, newest = self._exchange.client, asking.since
        for page in client.pages("Consent", asking.changed):
            asking.moment, self._answered = asking.moment or page.moment, True
            for each in page.resources:
                newest = later(newest, each)
                yield each
        asking.moment = asking.moment or newest

    def _all_of(self, key: str, there: Resource | None) -> list[Resource] | None:
        """All Consents of a Patient and of those whose place it took; None where they were not to be had."""
        if not self._asks:
            return None
        client = self._exchange.client
        try:
            keys = [key, *self._replaced(key, there)]
            found = [each for of in keys for each in client.search("Consent", {"patient": f"Patient/{of}"})]
        except RemoteError as error:
            self._refuse(error)
            return None
        self._answered = True
        return [each for each in found if patient_of(each, client.url) in keys]

    def _replaced(self, key: str, there: Resource | None) -> list[str]:
        if there is None:
            found = self._patients.read(key)
            there = found.resource if found is not None else {}
        return replaces(there)

    def _refuse(self, error: RemoteError) -> None:
        """Note a refusal; who refused the first question is not asked the same of everybody."""
        if isinstance(error, UnavailableError | RemoteContentError):
            raise error
        self.refused = True
        self._asks = self._answered


def _kept_back(exchange: Exchange, members: Iterable[int], consents: Iterable[Resource]) -> Iterator[Kept]:
    """What Consents of one Patient deny to us; of several denials of one matter the time that covers all."""
    said: dict[str, Kept] = {}
    for each in consents:
        for matter, begins, until in denials(each, exchange):
            new = Kept(0, begins or exchange.as_of, exchange.settings.recipient, matter, until)
            old = said.get(matter, new)
            last = "" if "" in (old.until, until) else max(old.until, until)
            said[matter] = structs.replace(new, since=min(old.since, new.since), until=last)
    for member in members:
        for kept in said.values():
            yield structs.replace(kept, member_id=member)
