"""Where answers are kept: append-only, with their origin, in SQLite or PostgreSQL.

A `Store` is opened by URL or file name; `run` writes, `people` reads back what decisions are made
from, `history` the past of one member, `retractions` takes runs back, `merges` makes one person of two
members and `splits` two of one, `purge` takes what is too old and `holds` what it may not take,
`quarantine` what could not be read, `hie` holds what synchronising needs to remember, `cases` what people
have to decide, `decisions` what they decided, `disclosures` who was told what, `accounts` counts both,
`trail` who did what, `publications` what readers were told, `snapshots` measurements that were frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhir_equity.store.accounts import Accounts, CaseCount, Told
from fhir_equity.store.answers import Record
from fhir_equity.store.breaker import Breaker, Judgement, Meant
from fhir_equity.store.cases import Case, Cases, Group
from fhir_equity.store.connection import open_engine, reading, writing
from fhir_equity.store.control_numbers import control_numbers
from fhir_equity.store.decided_elsewhere import Chosen, Made
from fhir_equity.store.decided_rows import Laying, Otherwise, TableRow
from fhir_equity.store.decisions import Decision, Decisions, Wanted
from fhir_equity.store.disclosures import Disclosure, Disclosures
from fhir_equity.store.endpoint import EndpointMemory
from fhir_equity.store.handed_in import WAITING, Choice, Opening, chosen
from fhir_equity.store.hie import HieMemory
from fhir_equity.store.history import Found, History, Place, Sent
from fhir_equity.store.holds import Hold, Holds
from fhir_equity.store.ingest import RunWriter, Written
from fhir_equity.store.kept import Placed
from fhir_equity.store.lake import Lake
from fhir_equity.store.merges import Brought, Joined, Merges, Merging
from fhir_equity.store.opt_outs import Kept, OptOuts
from fhir_equity.store.people import People, Person
from fhir_equity.store.progress import unfinished
from fhir_equity.store.publications import Publications
from fhir_equity.store.purge import Cutoffs, Gone, Purge
from fhir_equity.store.quarantine import Held, Quarantine, Selection
from fhir_equity.store.resolutions import Judge
from fhir_equity.store.resolve import Side, Turned, resolve_again
from fhir_equity.store.retractions import Ran, Retractions
from fhir_equity.store.snapshots import Snapshots
from fhir_equity.store.split_choice import Which
from fhir_equity.store.splits import Parted, Splits, Splitting
from fhir_equity.store.standing import Changed
from fhir_equity.store.trail import FAILED, Entry, Head, Signature, Trail, Verified

__all__ = [
    "WAITING",
    "Brought",
    "Case",
    "CaseCount",
    "Changed",
    "Choice",
    "Chosen",
    "Cutoffs",
    "Decision",
    "Disclosure",
    "Entry",
    "Found",
    "Gone",
    "Group",
    "Head",
    "Held",
    "Hold",
    "Joined",
    "Judge",
    "Judgement",
    "Kept",
    "Laying",
    "Made",
    "Merging",
    "Opening",
    "Otherwise",
    "Parted",
    "Person",
    "Place",
    "Placed",
    "Ran",
    "Record",
    "RunWriter",
    "Selection",
    "Sent",
    "Side",
    "Signature",
    "Splitting",
    "Store",
    "TableRow",
    "Told",
    "Turned",
    "Verified",
    "Wanted",
    "Which",
    "Written",
    "chosen",
]


_UNSIGNED = Signature()


class Store:
    """One store. `signature` says on the trail who uses it, and with what; `key` opens an encrypted file.

    Raises StoreError, StoreLockedError, StoreVersionError, UsageError on opening.
    """

    def __init__(self, url: str, signature: Signature = _UNSIGNED, key: str = "") -> None:
        self.engine = open_engine(url, key)
        self.trail = Trail(self.engine, signature)
        self.disclosures = Disclosures(self.engine)
        self.cases = Cases(self.engine)
        self.decisions = Decisions(self.engine, self.trail)
        self.accounts = Accounts(self.engine)
        self.people = People(self.engine)
        self.quarantine = Quarantine(self.engine)
        self.history = History(self.engine)
        self.lake = Lake(self.engine)
        self.retractions = Retractions(self.engine, self.trail)
        self.merges = Merges(self.engine, self.trail)
        self.splits = Splits(self.engine, self.trail)
        self.holds = Holds(self.engine, self.trail)
        self.purge = Purge(self.engine, self.trail)
        self.snapshots = Snapshots(self.engine, self.trail)
        self.opt_outs = OptOuts(self.engine)
        self.publications = Publications(self.engine)

    def run(
        self,
        partner: str,
        as_of: str,
        software: str,
        pseudonym: Callable[[str, str], str],
        inputs: str = "",
        judge: Judge | None = None,
        action: str = "ingest",
        judgement: Judgement | None = None,
    ) -> RunWriter:
        """Begin a run of one partner, or go on with one that was interrupted.

        `as_of` is the ISO date that new answers are first seen on. `inputs` is the digest of what will be
        read, and how: an unfinished run of the same goes on. Without it every run is a new one. `judge`
        decides which answers win; without one that is not kept. `action` is what the trail calls it.
        `judgement` is what the circuit breaker found, kept with a new run.
        """
        return RunWriter(
            self.engine,
            partner,
            as_of,
            software,
            pseudonym,
            inputs,
            judge,
            trail=self.trail,
            action=action,
            judgement=judgement,
        )

    def breaker(self, partner: str, meant: Meant) -> Breaker:
        """What judges an ingest before anything is written; `meant` says what an event says, apart from how."""
        return Breaker(self.engine, partner, meant)

    def stopped(self, judgement: Judgement) -> None:
        """Put on record that an ingest was stopped."""
        with writing(self.engine) as connection:
            judgement.keep(connection, None)
            names = ("members_dropped", "statements_dropped", "flipped", "erased")
            counts = {name: getattr(judgement, name) for name in names}
            about = {"partner": judgement.partner}
            self.trail.record("ingest", connection=connection, outcome=FAILED, about=about, counts=counts)

    def goes_on(self, partner: str, as_of: str, software: str, inputs: str) -> bool:
        """Whether a run of these inputs was interrupted and would be gone on with."""
        with reading(self.engine) as connection:
            who = {"partner": partner, "as_of": as_of, "software": software, "inputs": inputs}
            return bool(unfinished(connection, who))

    def resolve(self, judge: Callable[[str], Judge], *, dry_run: bool) -> Iterator[list[Turned]]:
        """Resolve everybody again, page by page; what turns out otherwise, and unless `dry_run` it is kept.

        `judge` gives who decides about a partner's people. Raises StoreError, StoreLockedError.
        """
        return resolve_again(self.engine, self.trail, judge, dry_run=dry_run)

    def hie(self, name: str) -> HieMemory:
        """What is remembered about one HIE: links, plans, what we wrote, how far we pulled."""
        return HieMemory(self.engine, name)

    def endpoint(self, name: str) -> EndpointMemory:
        """What is remembered about an HIE's endpoint: its profile, the export that goes on there."""
        return EndpointMemory(self.engine, name)

    def control_numbers(self, sender: str, receiver: str, first: int = 0) -> Iterator[int]:
        """Control numbers of the 834 that were never given before. Raises UsageError, StoreError."""
        return control_numbers(self.engine, sender, receiver, first)

    def close(self) -> None:
        """Release the database."""
        self.engine.dispose()
