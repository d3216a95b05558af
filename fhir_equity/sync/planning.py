"""plan: decide about everybody for whom anything may have changed; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import structs

from fhir_equity.model import State
from fhir_equity.store import Person
from fhir_equity.store.handed_in import NOBODY
from fhir_equity.store.hie import Known, There
from fhir_equity.store.hie_standing import Outcome
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.consents import Consents
from fhir_equity.sync.deciding import (
    ABOUT_ANSWERS,
    DIFFER,
    OURS,
    THEIRS_BETTER,
    about_answer,
    about_link,
    about_nobody,
    patient_of,
    unusable,
)
from fhir_equity.sync.draft import Draft
from fhir_equity.sync.exchange import Exchange, Ours, Resource, Theirs, id_of, same_person
from fhir_equity.sync.interrupted import settled
from fhir_equity.sync.looking import WHOLE, Looked, Looking, Selection
from fhir_equity.sync.matching import NO_MATCH, Uncertain, matched
from fhir_equity.sync.observations import WITHDRAWN, about, look, tags_of
from fhir_equity.sync.patients import LIST, Patients
from fhir_equity.sync.plan import Change, Plan
from fhir_equity.sync.telling import TELL, marked, untold
from fhir_equity.sync.told import Told
from fhir_equity.sync.verdict import CHANGES, Last, to_say, verdict


def plan(exchange: Exchange, told: Told, selection: Selection = WHOLE, *, dry: bool = False) -> Plan:
    """Look at everybody for whom anything may have changed, and write the plan to the journal; nothing is sent.

    With `dry` it is not written either. Raises RemoteError (nothing was planned then), StoreError, and UsageError
    for an HIE whose settings do not let anything be sent.
    """
    exchange.check_sending()
    looking = Looking(exchange, selection)
    planning = _Planning(exchange, looking, selection, dry=dry)
    waiting, number = iter(looking.people()), 0
    while portion := list(islice(waiting, LIST)):
        for _ in planning.people(portion):
            number += 1
            told(exchange.name, number, looking.chosen)
            if selection.limit and planning.changing >= selection.limit:
                return planning.finish()
    return planning.finish()


class _Planning:
    """A plan in the making, some people at a time."""

    def __init__(self, exchange: Exchange, looking: Looking, selection: Selection, *, dry: bool) -> None:
        self._exchange, self._looking, self._selection, self._dry = exchange, looking, selection, dry
        self._patients = Patients(exchange.client, exchange.settings.identifier_systems)
        self._consents = Consents(exchange, dry=dry)
        self._draft = Draft(exchange)

    def people(self, portion: Sequence[Looked]) -> Iterator[Looked]:
        """Look up some people together and decide about one after the other."""
        exchange = self._exchange
        both = [(looked, exchange.ours(looked.person, looked.kept_back, looked.choices)) for looked in portion]
        asked = [(looked.known.link, ours) for looked, ours in both if self._to_say(ours)]
        links = [link[0] for link, _ in asked if link]
        tokens = [exchange.tokens(ours.patient) for link, ours in asked if not link]
        if links or any(tokens):
            self._looking.mark()
        self._patients.look_up(links, tokens)
        for looked, ours in both:
            self._person(looked, ours)
            yield looked

    def _person(self, looked: Looked, ours: Ours) -> None:
        person, outcome = looked.person, Outcome(last=dict(looked.before.last))
        self._draft.begin(person, outcome, looked.choices)
        outcome.withheld = dict(ours.withheld)
        if not self._to_say(ours):  # nobody is looked up for whom there is nothing to send, nor was
            self._settle_unsaid(looked, ours)
            return
        there = self._there(ours, looked.known)
        if isinstance(there, Uncertain):
            there = self._meant(ours, there, outcome)
        elif there is None:
            self._unknown(looked, ours, outcome)
        if there is not None:
            self._patient(looked, ours, there, outcome)
        outcome.asked = self._draft.questions[person.id].asked

    @property
    def changing(self) -> int:
        """How many changes there are."""
        return len(self._draft.changes)

    def finish(self) -> Plan:
        """The plan, in the journal unless it is only to be seen."""
        refused = self._consents.refused
        if refused and not self._dry:  # who is linked now may have one from before the last pull
            self._exchange.memory.consents_read("")
        made = self._draft.plan(self._looking.through(), dry=self._dry)
        made.consents_refused = refused
        return made

    def _to_say(self, ours: Ours) -> list[str]:
        only = self._selection.only
        return [matter for matter in to_say(ours) if not only or matter in only]

    def _there(self, ours: Ours, known: Known) -> Versioned | Uncertain | None:
        """The Patient there who is this person, or why none can be taken, or None where there is none."""
        exchange, link = self._exchange, known.link[0] if known.link is not None else ""
        # Who keeps Patients of their own there is not looking for the HIE's golden record.
        match = exchange.settings.match and exchange.settings.mode == "editor"
        tokens = exchange.tokens(ours.patient)
        return matched(exchange.client, self._patients, ours.patient, tokens, link, match=match)

    def _meant(self, ours: Ours, uncertain: Uncertain, outcome: Outcome) -> Versioned | None:
        """The one of several whom somebody decided for."""
        side = None
        if uncertain.candidates:
            case = about_link(self._exchange, ours, uncertain.reason, uncertain.candidates)
            side = self._draft.questions[ours.person.id].ask(case)
        there = self._patients.read(patient_of(side)) if side is not None and patient_of(side) else None
        if side is None or (there is None and side.method != NOBODY):
            outcome.left.append(("", uncertain.reason))
        elif side.method == NOBODY:
            outcome.unmatched = True
        return there

    def _unknown(self, looked: Looked, ours: Ours, outcome: Outcome) -> None:
        exchange, person = self._exchange, ours.person
        self._settle_sent(looked, ours, None, None)
        tokens = exchange.tokens(ours.patient)
        matters = self._to_say(ours)
        answered = any(ours.resolutions[matter].state is State.ANSWERED for matter in matters)
        if exchange.settings.unmatched == "skip" or not tokens or not answered:
            outcome.unmatched = True
            return
        if exchange.settings.unmatched == "review":
            side = self._draft.questions[person.id].ask(about_nobody(exchange, ours, NO_MATCH))
            if side is None:
                outcome.left.append(("", NO_MATCH))
            if side is None or side.method == NOBODY:
                outcome.unmatched = side is not None
                return
        self._draft.claimed[person.id], before = "|".join(tokens[0]), len(self._draft.changes)
        only = self._selection.only
        mine = {m: said for m, said in ours.said.items() if m not in ours.observed and (not only or m in only)}
        self._add(person, "create", dict.fromkeys(mine, "add"), ours)
        for matter in matters:
            if matter in ours.observed:
                self._add(person, "observe", {matter: "add"}, ours)
        self._tell(looked, ours, before, ({}, {}))

    def _tell(self, looked: Looked, ours: Ours, before: int, there: tuple[Resource, dict[str, str]]) -> None:
        """Who told what we write now (the changes from `before` on), or wrote and what can be named there still."""
        known, now = looked.known, {matter for change in self._draft.changes[before:] for matter, _ in change.matters}
        for matter in self._to_say(ours):
            mark, said = marked(matter), untold(self._exchange, ours, known, matter, None if matter in now else there)
            tried = not self._selection.everybody and known.unkept.get(mark) == said
            if said and not tried:
                how = "replace" if mark in known.written else "add"
                person = ours.person
                self._draft.changes.append(Change(person.id, person.pseudonym, TELL, ((matter, how),), {mark: said}))

    def _patient(self, looked: Looked, ours: Ours, there: Versioned, outcome: Outcome) -> None:
        exchange, person = self._exchange, ours.person
        theirs = exchange.theirs(there.resource)
        if problem := unusable(there):
            outcome.left.append(("", problem))
            if same_person(person.member, theirs.member):  # whom nothing can be written to may have got something
                self._settle_sent(looked, ours, there, None)
            return
        if not same_person(person.member, theirs.member):
            side = self._draft.questions[person.id].ask(about_link(exchange, ours, DIFFER, [there.resource]))
            if side is None:
                outcome.left.append(("", DIFFER))
            if side is None or side.method == NOBODY:
                outcome.unmatched = side is not None
                return
        key = id_of(there.resource)
        self._draft.claimed[person.id], self._draft.found[person.id] = key, (key, there.etag)
        self._settle_sent(looked, ours, there, self._draft.found[person.id])
        ours = self._consented(looked, ours, there.resource, outcome)
        before = len(self._draft.changes)
        self._update(looked, ours, theirs, there, outcome)
        for matter in self._to_say(ours):
            if matter in ours.observed:
                self._observe(looked, ours, matter, outcome)
        self._tell(looked, ours, before, (there.resource, theirs.said))

    def _consented(self, looked: Looked, ours: Ours, there: Resource, outcome: Outcome) -> Ours:
        """Our side without what the Consents deny of a Patient who was not known to be this person before."""
        person, key = looked.person, id_of(there)
        if looked.known.link is not None and looked.known.link[0] == key:
            return ours
        keeper = self._exchange.memory.keepers({person.id})[person.id]
        denied = self._consents.of({key: {keeper}}, there).get(keeper)
        if not denied:
            return ours
        ours = self._exchange.ours(person, looked.kept_back | denied, looked.choices)
        outcome.withheld = dict(ours.withheld)
        return ours

    def _update(self, looked: Looked, ours: Ours, theirs: Theirs, there: Versioned, outcome: Outcome) -> None:
        exchange, person, key = self._exchange, ours.person, id_of(there.resource)
        wanted: dict[str, str] = {}
        for matter in self._to_say(ours):
            if matter not in ours.observed:
                last = self._last(looked, matter, key)
                found = verdict(exchange, ours, theirs, matter, last)
                if found in ABOUT_ANSWERS:
                    they = (theirs.events[matter].origin.method, theirs.said[matter])
                    found = self._disputed(looked, ours, found, matter, they)
                if found in CHANGES and not self._is_unkept(looked, ours, matter):
                    wanted[matter] = found
                else:
                    _note(outcome, matter, "not_kept_there" if found in CHANGES else found, ours.said[matter])
        if wanted and exchange.settings.mode == "contributor" and not self._is_made_by_us(key):
            outcome.left += [(matter, "contributor_only") for matter in wanted]
        elif wanted:
            said = {matter: theirs.said[matter] for matter in wanted if matter in theirs.said}
            self._add(person, "update", wanted, ours, said, key, there.etag)

    def _disputed(self, looked: Looked, ours: Ours, kind: str, matter: str, theirs: tuple[str, str]) -> str:
        """What becomes of an answer that a person has to decide about: as they decided, else it is left."""
        rests = (looked.known, looked.before.last.get(matter))
        case = about_answer(self._exchange, ours, kind, matter, theirs, rests)
        side = self._draft.questions[ours.person.id].ask(case)
        if side is None:
            return "theirs" if kind == THEIRS_BETTER else kind
        return "replace" if side == case.sides[OURS] else "theirs"

    def _settle_unsaid(self, looked: Looked, ours: Ours) -> None:
        """What became of what was sent of somebody of whom nothing may be said by now; what stays is for a recall."""
        if (looked.known.sent or looked.known.lost) and not to_say(ours):
            there = self._there(ours, looked.known)
            if not isinstance(there, Uncertain):
                self._settle_sent(looked, ours, there, None)

    def _settle_sent(self, looked: Looked, ours: Ours, there: Versioned | None, where: There | None) -> None:
        if not self._dry:
            self._draft.settled += settled(self._exchange, looked.known, ours, there, where)

    def _is_made_by_us(self, key: str) -> bool:
        """Whether we made a Patient there, also when we were interrupted before we could read it back."""
        found = (each.there[0] for each in self._draft.settled if each.there and each.change.action == "create")
        return key in found or self._exchange.memory.is_made_by_us(key)

    def _is_unkept(self, looked: Looked, ours: Ours, matter: str) -> bool:
        """Whether this very answer was sent before and not kept; asked for everybody, it is tried again."""
        return not self._selection.everybody and looked.known.unkept.get(matter) == ours.said[matter]

    def _observe(self, looked: Looked, ours: Ours, matter: str, outcome: Outcome) -> None:
        patient, _ = self._draft.found[ours.person.id]
        found = look(self._exchange, looked.known, matter, about(patient, ours.observed[matter]))
        if found.verdict in ABOUT_ANSWERS:
            said = ("", found.said or f"status|{WITHDRAWN}")
            found = structs.replace(found, verdict=self._disputed(looked, ours, found.verdict, matter, said))
        if found.verdict in CHANGES:
            there = {matter: found.said} if found.said else {}
            self._add(ours.person, "observe", {matter: found.verdict}, ours, there, "", tags_of(found.existing))
        else:
            _note(outcome, matter, found.verdict, ours.said[matter])

    def _add(
        self,
        person: Person,
        action: str,
        matters: dict[str, str],
        ours: Ours,
        there: dict[str, str] | None = None,
        key: str = "",
        etag: str = "",
    ) -> None:
        said = {matter: ours.said[matter] for matter in matters}
        how = tuple(matters.items())
        self._draft.changes.append(Change(person.id, person.pseudonym, action, how, said, there or {}, key, etag))

    def _last(self, looked: Looked, matter: str, key: str) -> Last:
        """What we last wrote, and what both said last, about a matter of the very Patient that is looked at."""
        known = looked.known
        same = (known.link is not None and known.link[0] == key) or any(c.action != "observe" for c in known.sent)
        return Last(known.written.get(matter), looked.before.last.get(matter)) if same else Last()


def _note(outcome: Outcome, matter: str, found: str, said: str) -> None:
    """Note a matter that is left as it is."""
    if found == "agreed":
        outcome.agreed[matter] = outcome.last[matter] = said
    elif found == "theirs":
        outcome.theirs.append(matter)
    elif found:
        outcome.left.append((matter, found))
