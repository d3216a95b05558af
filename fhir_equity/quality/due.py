"""Who should be asked next, why, by which channel and in which language. A refusal is never on the list.

Reasons: ``never_asked`` (nobody asked, or nothing is known), ``unable`` (could not be asked then), ``stale``
(older than `policies/worklist.toml` lets it stand), ``only_1997`` (asked as in 1997, or apart and nobody says how),
``not_mapped`` (an answer, or a code, that no table can read).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from fhir_equity.errors import UsageError
from fhir_equity.model import Member, Resolution, State
from fhir_equity.quality.ages import date_of
from fhir_equity.quality.populations import Standing, age_on
from fhir_equity.quality.programs import Population, Program
from fhir_equity.quality.said import SPLIT
from fhir_equity.quality.tally import RACE
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Vocabulary

TABLE = "policies/worklist.toml"
REASONS = ("never_asked", "not_mapped", "only_1997", "stale", "unable")
MEMBER, GUARDIAN = "member", "guardian"
MAIL, SUBSCRIBER, NEXT = "mail", "subscriber", "next_contact"
_SILENT = (State.UNKNOWN, State.NOT_ASKED, State.BLANK)


def stale_before(tables: Tables, as_of: str) -> dict[str, str]:
    """By matter, the ISO date before which an answer is to be asked again, seen from the day of the run."""
    day, limits = date.fromisoformat(as_of), tables.document(TABLE)["stale"]
    return {matter: (day - timedelta(days=days)).isoformat() for matter, days in limits.items()}


class Due:
    """Decides for people of the store on an ISO date. Raises UsageError for a topic that there is not."""

    def __init__(self, vocabulary: Vocabulary, as_of: str, topics: Collection[str]) -> None:
        policy: Mapping[str, Any] = vocabulary.tables.document(TABLE)
        known = vocabulary.codes.topics
        matters = {topic.matter: topic for topic in known.values()}
        self.topics = tuple(topics) or tuple(policy["topics"])
        if not set(matters).issuperset(self.topics):
            raise UsageError(f"there is no such topic; there are: {', '.join(sorted(matters))}")
        self.sensitive = {name for name in self.topics if any(t.sensitive for t in known.values() if t.matter == name)}
        self._schema = vocabulary.schema
        self._systems = {name: topic.code_system for name, topic in matters.items()}
        self._stale = stale_before(vocabulary.tables, as_of)
        self._as_of, self._adult = as_of, int(policy["adult"])
        self._channels: list[str] = policy["channels"]
        everybody = Population(enrolled="day", without_enrollment="count")
        about: dict[str, Any] = {"name": "worklist", "title": "", "edition": "", "source": "", "sure": "assumption"}
        self._standing = Standing(Program(**about, population=everybody), as_of)

    def left_out(self, member: Member) -> str:
        """Why somebody is not asked at all: ``deceased``, ``restricted``, ``not_enrolled``; else nothing."""
        enrollment = member.enrollment
        if enrollment.deceased_on:
            return "deceased"
        if enrollment.restricted:
            return "restricted"
        return self._standing.place([self._standing.words(member)]).reason

    def reasons(self, member: Member, resolutions: Mapping[str, Resolution]) -> Iterator[tuple[str, str]]:
        """(topic, reason) for everything that somebody should be asked; of a minor nothing sensitive."""
        for topic in self.topics:
            if topic in self.sensitive and self.whom(member) != MEMBER:
                continue
            reason = self._reason(topic, resolutions.get(topic))
            if reason:
                yield topic, reason

    def _reason(self, topic: str, resolution: Resolution | None) -> str:
        if resolution is None or resolution.winner is None or resolution.state in _SILENT:
            return "never_asked"
        if resolution.state is State.UNABLE:
            return "unable"
        if resolution.state is State.INVALID:
            return "not_mapped"
        if resolution.state is not State.ANSWERED:
            return ""
        if not self._mapped(topic, resolution):
            return "not_mapped"
        if topic == RACE and self._of_1997(resolution):
            return "only_1997"
        return "stale" if date_of(resolution.winner) < self._stale.get(topic, "") else ""

    def _mapped(self, topic: str, resolution: Resolution) -> bool:
        if topic == RACE:
            return bool(self._schema.omb2024(resolution.meanings).categories)
        system = self._systems[topic]
        return any(c.coding.system == system for meant in resolution.meanings for c in meant.concepts)

    def _of_1997(self, resolution: Resolution) -> bool:
        winner = resolution.winner
        standard = winner.origin.standard if winner is not None else ""
        apart = any(meaning.topic in SPLIT for meaning in resolution.meanings)
        return standard == "omb1997" or (apart and standard != "omb2024")

    def whom(self, member: Member) -> str:
        """The member, or a guardian where they are no adult yet. Who has no birth date is taken for an adult."""
        years = age_on(member.birth_date, self._as_of)
        return GUARDIAN if years is not None and years < self._adult else MEMBER

    def channel(self, member: Member, topics: Collection[str]) -> str:
        """The first channel of the table that is possible; what is sensitive never goes to another or by mail."""
        address = member.address
        possible = {NEXT}
        if not self.sensitive.intersection(topics):
            possible |= {MAIL} if address.lines and address.postal_code else set()
            possible |= set() if member.enrollment.subscriber else {SUBSCRIBER}
        return next((channel for channel in self._channels if channel in possible), NEXT)
