"""A plan in the making: what would change, who would be whom there, what a person has to decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fhir_equity.store import Choice, Person
from fhir_equity.store.hie import Planned, Settled, digest_of
from fhir_equity.store.hie_standing import Count, Outcome, Through
from fhir_equity.sync.deciding import Questions
from fhir_equity.sync.exchange import Exchange
from fhir_equity.sync.plan import Change, Left, Plan, summed


class Draft:
    """What was found out about some people, to become a plan.

    `claimed` says which Patient, there or to be made, our members are; `found` is what is known of it;
    `settled` what became of changes that were interrupted.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._memory = exchange, exchange.memory
        self._names: dict[int, str] = {}
        self._outcomes: dict[int, Outcome] = {}
        self.found: dict[int, tuple[str, str]] = {}
        self.claimed: dict[int, str] = {}
        self.settled: list[Settled] = []
        self.questions: dict[int, Questions] = {}
        self.changes: list[Change] = []

    def begin(self, person: Person, outcome: Outcome, choices: Sequence[Choice]) -> None:
        """What comes now is about this person, whose `outcome` is still to be found."""
        self._outcomes[person.id], self._names[person.id] = outcome, person.pseudonym
        self.questions[person.id] = Questions(person.id, choices)

    def plan(self, through: Through | None, *, dry: bool) -> Plan:
        """Take out what several members claim, and write the rest to the journal, unless it is `dry`.

        `through` is how far it has looked, None where it leaves anything out.
        """
        shared, memory, outcomes = self._shared(), self._memory, self._outcomes
        for member in {change.member_id for change in self.changes} & shared:
            outcomes[member].left = [("", "several_members")]
        changes = [change for change in self.changes if change.member_id not in shared]
        wanted = [_planned(change) for change in changes]
        totals = self._totals(whole=through is not None)
        made = summed(changes, totals, self._left(whole=through is not None))
        made.looked, made.digest = len(outcomes), digest_of(wanted)
        if not dry:
            asked = [each for questions in self.questions.values() for each in questions.openings]
            made.name = memory.journal.begin_plan(
                wanted,
                self._exchange.release.version,
                self.found,
                self.settled,
                lambda connection: memory.stand(connection, outcomes, through, asked),
            )
        return made

    def _shared(self) -> set[int]:
        """Members who are one Patient there with another member of ours."""
        claims: dict[str, set[int]] = {}
        for member, key in self.claimed.items():
            claims.setdefault(key, set()).add(member)
        for key, others in self._memory.members_of(list(claims)).items():
            claims[key] |= {other for other in others if self.claimed.get(other, key) == key}
        return {member for members in claims.values() if len(members) > 1 for member in members}

    def _totals(self, *, whole: bool) -> Counter[Count]:
        if whole:
            return self._memory.standing.totals(self._outcomes)
        return sum((outcome.counts() for outcome in self._outcomes.values()), Counter[Count]())

    def _left(self, *, whole: bool) -> list[Left]:
        others = self._memory.standing.open_but(self._outcomes) if whole else []
        mine = ((self._names[m], *left) for m, outcome in self._outcomes.items() for left in outcome.left)
        return [*(Left(*each) for each in mine), *(Left(*each) for each in others)]


def _planned(change: Change) -> Planned:
    matters = tuple(matter for matter, _ in change.matters)
    return Planned(0, change.member_id, matters, change.action, change.resource_id, change.etag, change.said)
