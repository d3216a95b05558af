"""The journal of one HIE: what a plan wants done, written down before it is sent and closed when it was read back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, select, update

from fhir_equity.errors import UsageError
from fhir_equity.store import disclosures
from fhir_equity.store.changed import touch
from fhir_equity.store.connection import reading, writing
from fhir_equity.store.disclosures import Disclosure, Disclosures
from fhir_equity.store.hie_held import as_kept, gone, held, planned
from fhir_equity.store.hie_members import keepers
from fhir_equity.store.merged import parts_of, person_of
from fhir_equity.store.planned import (
    PLANNED,
    QUARANTINED,
    SENT,
    UNSEEN,
    UNVERIFIED,
    VERIFIED,
    Planned,
    Settled,
    There,
    digest_of,
)
from fhir_equity.store.rows import among, now, slices, upsert
from fhir_equity.store.schema import JournalEntry, Link, Observed, StoredPlan, core
from fhir_equity.store.schema import Written as WrittenRow

# What became of what was disclosed; after anything else it may have arrived.
_BECAME = {VERIFIED: disclosures.VERIFIED, "moved": disclosures.FAILED, "refused": disclosures.FAILED}


class Journal:
    """What is to be done at one HIE and what became of it. Every method raises StoreError, StoreLockedError."""

    def __init__(self, engine: Engine, hie: str) -> None:
        self._engine, self._hie = engine, hie
        self._disclosures = Disclosures(engine)

    def begin_plan(
        self,
        changes: Iterable[Planned],
        policy: str,
        found: Mapping[int, There],
        settled: Collection[Settled] = (),
        beside: Callable[[Connection], None] = lambda _: None,
    ) -> str:
        """Write a plan and the links it `found` before anything is sent; returns its name.

        What an earlier plan left undone is superseded: it was decided on what has been looked at again.
        `settled` is what became of changes that were interrupted, `beside` writes more in the same transaction.
        """
        plans, journal = core(StoredPlan), core(JournalEntry)
        left = and_(journal.c.hie == self._hie, journal.c.status == PLANNED)
        with writing(self._engine) as connection:
            self._settle(connection, settled)
            touch(connection, set(connection.execute(select(journal.c.member_id).where(left)).scalars()))
            connection.execute(update(journal).where(left).values(status="superseded", done_at=now()))
            number = connection.execute(select(func.count()).select_from(plans)).scalar_one() + 1
            name = f"{self._hie}-{number}"
            wanted = self._kept(connection, list(changes))
            about = {"hie": self._hie, "policy": policy, "made_at": now(), "digest": digest_of(wanted)}
            connection.execute(plans.insert().values(name=name, **about))
            rows = [self._row(change, name, policy) for change in wanted]
            if rows:
                connection.execute(journal.insert(), rows)
            keeping = keepers(connection, self._hie, found)
            self._link(connection, {keeping[person]: there for person, there in found.items()})
            beside(connection)
        return name

    def _kept(self, connection: Connection, changes: Sequence[Planned]) -> list[Planned]:
        """Changes as they are kept: with the member whom the HIE knows a person by."""
        keeping = keepers(connection, self._hie, {change.member_id for change in changes})
        return [structs.replace(change, member_id=keeping[change.member_id]) for change in changes]

    def _row(self, change: Planned, plan: str, policy: str) -> dict[str, Any]:
        return {
            "plan": plan,
            "hie": self._hie,
            "policy": policy,
            "member_id": change.member_id,
            "matters": " ".join(change.matters),
            "action": change.action,
            "resource_id": change.resource_id,
            "etag": change.etag,
            "said": msgspec.json.encode(change.said).decode(),
            "status": PLANNED,
            "planned_at": now(),
            "done_at": "",
        }

    def _link(self, connection: Connection, found: Mapping[int, There]) -> None:
        """Remember which resource each member is; what we wrote into another one is no longer theirs."""
        if not found:
            return
        links, ours = core(Link), core(WrittenRow)
        rows = [{"hie": self._hie, "member_id": m, "resource_id": r, "etag": e} for m, (r, e) in found.items()]
        moved = and_(links.c.member_id == ours.c.member_id, links.c.resource_id != bindparam("now"))
        elsewhere = select(links.c.member_id).where(links.c.hie == self._hie, moved).exists()
        forget = delete(ours).where(ours.c.hie == self._hie, ours.c.member_id == bindparam("who"), elsewhere)
        connection.execute(forget, [{"who": m, "now": r} for m, (r, _) in found.items()])
        upsert(connection, Link, ("hie", "member_id"), rows)

    def undone(self) -> set[int]:
        """The members about whom a plan wants something that was not done, or not read back."""
        journal = core(JournalEntry)
        query = select(journal.c.member_id).where(journal.c.status.in_((PLANNED, SENT)), journal.c.hie == self._hie)
        with reading(self._engine) as connection:
            return set(person_of(connection, set(connection.execute(query).scalars())).values())

    def pending(self) -> dict[str, int]:
        """How many changes are ``planned`` and not sent, or ``sent`` and not read back."""
        journal = core(JournalEntry)
        query = select(journal.c.status, func.count()).where(journal.c.hie == self._hie).group_by(journal.c.status)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(journal.c.status.in_((PLANNED, SENT)))).all()
        found = {row[0]: int(row[1]) for row in rows}
        return {status: found.get(status, 0) for status in (PLANNED, SENT)}

    def latest_plan(self) -> tuple[str, list[Planned]]:
        """The newest plan and its changes that are still to do; ("", []) when there is none."""
        plans, journal = core(StoredPlan), core(JournalEntry)
        newest = select(plans.c.name).where(plans.c.hie == self._hie).order_by(plans.c.id.desc()).limit(1)
        with reading(self._engine) as connection:
            name = str(connection.execute(newest).scalar() or "")
            open_ = select(journal).where(journal.c.plan == name, journal.c.status.in_((PLANNED, SENT)))
            return name, list(planned(connection, open_.order_by(journal.c.id)))

    def is_as_planned(self, name: str) -> bool:
        """Whether the journal still wants what a plan wanted when it was made; so does one of an older layout."""
        plans, journal = core(StoredPlan), core(JournalEntry)
        with reading(self._engine) as connection:
            said = connection.execute(select(plans.c.digest).where(plans.c.name == name)).scalar()
            rows = select(journal).where(journal.c.plan == name).order_by(journal.c.id)
            return not said or said == digest_of(as_kept(connection, rows))

    def sent(self) -> list[Planned]:
        """The changes of any plan that were interrupted after the request may have left."""
        journal = core(JournalEntry)
        query = select(journal).where(journal.c.hie == self._hie, journal.c.status == SENT)
        with reading(self._engine) as connection:
            return list(planned(connection, query.order_by(journal.c.id)))

    def in_doubt(self) -> list[Planned]:
        """What may be there of members of whom something was sent that was not seen as it was sent; see `held`."""
        journal = core(JournalEntry)
        query = select(journal.c.member_id).where(journal.c.hie == self._hie).distinct()
        doubtful = query.where(journal.c.status.in_((SENT, UNVERIFIED, QUARANTINED)))
        with reading(self._engine) as connection:
            members = list(parts_of(connection, set(connection.execute(doubtful).scalars())))
            found = [held(connection, self._hie, some) for some in slices(members)]
        return [change for each in found for changes in each.values() for change in changes]

    def sending(self, changes: Sequence[Planned], disclosed: Iterable[Disclosure] = ()) -> set[int]:
        """Record that changes are about to be sent, and what they disclose, so that an interruption leaves a trace.

        Returns which of them (ids) may be sent: somebody may have decided otherwise since they were read.
        """
        journal = core(JournalEntry)
        with writing(self._engine) as connection:
            open_ = select(journal.c.id).where(journal.c.status.in_((PLANNED, SENT)))
            ids = {number for (number,) in among(connection, open_, journal.c.id, [each.id for each in changes])}
            still = [each for each in changes if each.id in ids]
            self._mark(connection, still, SENT)
            made = [{"number": each.id, "known_by": each.etag} for each in still if each.action == "create"]
            if made:
                tagged = update(journal).where(journal.c.id == bindparam("number"))
                connection.execute(tagged.values(etag=bindparam("known_by")), made)
            told = {self.transmission(each) for each in still}
            self._disclosures.intend([each for each in disclosed if each.transmission in told], connection=connection)
        return ids

    def not_sent(self, changes: Sequence[Planned]) -> None:
        """Record that the run ended before these changes were sent: they are still to do, and told nobody anything."""
        if changes:
            with writing(self._engine) as connection:
                self._mark(connection, changes, PLANNED)
                failed = {self.transmission(change): disclosures.FAILED for change in changes}
                self._disclosures.became(connection, failed)

    def _mark(self, connection: Connection, changes: Sequence[Planned], status: str) -> None:
        journal = core(JournalEntry)
        for some in slices([change.id for change in changes]):
            connection.execute(update(journal).where(journal.c.id.in_(some)).values(status=status))

    def transmission(self, change: Planned) -> str:
        """The name under which the account of disclosures has a change."""
        return self._named(change.id)

    def _named(self, change: int) -> str:
        return f"{self._hie}/{change}"

    def settle(self, settled: Collection[Settled]) -> None:
        """Record what became of changes, what the HIE holds from us, and where."""
        if settled:
            with writing(self._engine) as connection:
                self._settle(connection, settled)

    def _settle(self, connection: Connection, settled: Collection[Settled]) -> None:
        if not settled:
            return
        journal, at = core(JournalEntry), now()
        done = update(journal).where(journal.c.id == bindparam("number"))
        rows = [{"number": e.change.id, "became": e.status, "at": at} for e in settled]
        connection.execute(done.values(status=bindparam("became"), done_at=bindparam("at")), rows)
        where = [{"number": e.change.id, "where": e.there[0]} for e in settled if e.there]
        if where:
            connection.execute(done.values(resource_id=bindparam("where")), where)
        self._seen(connection, (e for e in settled if e.change.status != PLANNED))
        became = {self.transmission(e.change): _BECAME.get(e.status, disclosures.SENT) for e in settled}
        self._disclosures.standing(connection, {self.transmission(e.change): e.held for e in settled if e.there})
        self._disclosures.became(connection, became)
        touch(connection, {e.change.member_id for e in settled if e.status != VERIFIED})
        kept = keepers(connection, self._hie, {e.change.member_id for e in settled})
        self._link(connection, {kept[e.change.member_id]: e.there for e in settled if e.there})
        self._hold(connection, settled, kept, at)

    def _seen(self, connection: Connection, settled: Iterable[Settled]) -> None:
        """Whom a create has made is known by now: what was withdrawn from them unseen was withdrawn there.

        What stands there was not: nobody was found then.
        """
        journal = core(JournalEntry)
        unseen = update(journal).where(journal.c.hie == self._hie, journal.c.resource_id == UNSEEN)
        for each in settled:
            if each.there and each.change.action == "create":
                theirs = journal.c.member_id.in_(parts_of(connection, {each.change.member_id}))
                gone_there = unseen.where(theirs, journal.c.matters.not_in(each.held))
                connection.execute(gone_there.values(resource_id=each.there[0]))

    def _hold(self, connection: Connection, settled: Collection[Settled], kept: Mapping[int, int], at: str) -> None:
        """Remember what the HIE holds from us; of two words about one matter the later stands."""
        held = {(kept[e.change.member_id], matter): said for e in settled for matter, said in e.held.items()}
        rows = [{"hie": self._hie, "member_id": m, "matter": of, "said": s, "at": at} for (m, of), s in held.items()]
        upsert(connection, WrittenRow, ("hie", "member_id", "matter"), rows)
        seen = {(kept[e.change.member_id], *place): there for e in settled for place, there in e.observed.items()}
        observed = [
            {"hie": self._hie, "member_id": m, "matter": of, "number": n, "resource_id": key, "etag": etag}
            for (m, of, n), (key, etag) in seen.items()
        ]
        upsert(connection, Observed, ("hie", "member_id", "matter", "number"), observed)

    def held(self) -> dict[int, list[Planned]]:
        """member id -> what the HIE may hold from us, as changes that would withdraw it; see `held`."""
        with reading(self._engine) as connection:
            return held(connection, self._hie)

    def withdrawn(self, change: Planned, status: str) -> None:
        """Record what became of withdrawing something, in the account of disclosures too."""
        journal, ours = core(JournalEntry), core(WrittenRow)
        with writing(self._engine) as connection:
            done = {"status": status, "done_at": now()}
            connection.execute(update(journal).where(journal.c.id == change.id).values(**done))
            touch(connection, {change.member_id})
            if status == VERIFIED:
                theirs = parts_of(connection, {change.member_id})
                mine = and_(ours.c.hie == self._hie, ours.c.member_id.in_(theirs))
                connection.execute(delete(ours).where(mine, ours.c.matter.in_(change.matters)))
                withdrawn = gone(connection, self._hie, theirs)
                self._disclosures.recalled(connection, {self._named(sent): of for sent, of in withdrawn.items()})


def supersede(connection: Connection, members: Collection[int]) -> None:
    """What plans want of these people was wanted before something was decided about them: it is not done any more."""
    journal = core(JournalEntry)
    for some in slices(sorted(parts_of(connection, members))):
        planned_ = update(journal).where(journal.c.member_id.in_(some), journal.c.status == PLANNED)
        connection.execute(planned_.values(status="superseded", done_at=now()))


def refuse_interrupted(connection: Connection, members: Collection[int]) -> None:
    """Raises UsageError where a change of these people at an HIE is on its way and nobody knows what became of it."""
    journal = core(JournalEntry)
    sent = select(journal.c.hie).where(journal.c.member_id.in_(parts_of(connection, members)), journal.c.status == SENT)
    if hie := connection.execute(sent.limit(1)).scalar():
        raise UsageError(f"a change of theirs at {hie} was interrupted; run: fhir-equity sync apply --hie {hie}")
