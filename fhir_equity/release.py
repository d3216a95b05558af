"""Who may receive what, today. Default deny; every decision names the rule that made it.

The rules are data (mappings/policies/release.toml or an overlay). A restriction on the record
(INS13 = R), what a member or their Consent keeps back, and, for sensitive topics, a later refusal win
over every rule; what a sender labelled (42 CFR Part 2) leaves only where a rule names the label.
Nothing is ever released for underwriting, and no estimate to anybody.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import date
from typing import Any

from msgspec import Struct

from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Meaning, Member, Resolution, State, labels_in
from fhir_equity.vocabulary import Codes

BEYOND = "recorded_sex"
UNDERWRITING = "underwriting"  # no recipient and no purpose of a rule
IMPUTED = "imputed"  # how the topics of estimates begin


class Rule(Struct, frozen=True):
    """One release rule. `until` is empty for an open end; `basis` is the legal one, else the agreement.

    `labels` are those of a sender (``42CFRPart2``) that do not keep an answer back.
    """

    id: str
    recipient: str
    purpose: str
    topics: frozenset[str]
    since: str
    until: str = ""
    basis: str = ""
    agreement: str = ""
    reviewer: str = ""
    labels: frozenset[str] = frozenset()

    def in_force(self, on: str) -> bool:
        """Whether it holds on an ISO date."""
        return self.since <= on <= (self.until or on)


class Decision(Struct, frozen=True):
    """Whether one matter of one member may go to one recipient, and by which rule or reason."""

    allowed: bool
    reason: str


class Release:
    """The release policy. `version` goes into every record of a disclosure."""

    def __init__(self, document: dict[str, Any], codes: Codes) -> None:
        self.version = str(document.get("version", ""))
        self._rules = [_rule(entry) for entry in document.get("rule", [])]
        self._by_id = {rule.id: rule for rule in self._rules}
        self._codes = codes
        for rule in self._rules:
            _permissible(rule)
            for topic in sorted(rule.topics):
                matter = codes.topic(topic).matter
                if matter != topic:
                    raise TableError(f"policies/release.toml: {topic} is decided together with others as {matter}")

    def require(self, recipient: str) -> None:
        """Raise UsageError for a recipient that no rule names: a typing error must not look like a denial."""
        known = sorted({rule.recipient for rule in self._rules})
        if recipient not in known:
            raise UsageError(f"no rule of policies/release.toml names this recipient; there are: {', '.join(known)}")

    def rule(self, id_: str) -> Rule:
        """The rule that a decision names. Raises KeyError for another id."""
        return self._by_id[id_]

    def in_force(self, recipient: str, on: str) -> tuple[Rule, ...]:
        """The rules that let anything out to a recipient on an ISO date."""
        return tuple(rule for rule in self._rules if rule.recipient == recipient and rule.in_force(on))

    def decide(
        self, recipient: str, member: Member, resolution: Resolution, on: str, kept_back: Container[str] = ()
    ) -> Decision:
        """Decide on an ISO date. A recipient without a rule in force gets nothing.

        `kept_back` are the matters that the member or their Consent keeps from this recipient; an empty one is all.
        """
        if member.enrollment.restricted:
            return Decision(allowed=False, reason="record_restricted")
        if resolution.matter in kept_back or "" in kept_back:
            return Decision(allowed=False, reason="opted_out")
        sensitive = is_sensitive(self._codes, resolution)
        # A sex beyond the administrative two needs the rule that recorded sex needs.
        matter = BEYOND if sensitive and resolution.matter == "sex" else resolution.matter
        if sensitive and resolution.refused:
            return Decision(allowed=False, reason="refused_later")
        if resolution.provisional:
            return Decision(allowed=False, reason="tie_undecided")
        labels = labels_in(resolution.winner.origin) if resolution.winner else frozenset[str]()
        fitting = [rule for rule in self.in_force(recipient, on) if matter in rule.topics]
        for rule in fitting:
            if labels <= rule.labels:
                return Decision(allowed=True, reason=rule.id)
        if fitting:
            return Decision(allowed=False, reason="labelled")
        return Decision(allowed=False, reason="no_rule_sensitive" if sensitive else "no_rule")


def is_sensitive(codes: Codes, resolution: Resolution) -> bool:
    """Whether a resolution is sensitive, by its topic or by what it says."""
    topic = resolution.matter
    return codes.topic(topic).sensitive or any(discloses(codes, topic, meaning) for meaning in resolution.meanings)


def discloses(codes: Codes, topic: str, meaning: Meaning) -> bool:
    """Whether an answer is sensitive: by its topic, by a code, or because nobody knows what its words say."""
    unread = meaning.state is State.ANSWERED and bool(meaning.text or not meaning.concepts)
    return codes.sensitive(topic, [each.coding for each in meaning.concepts]) or (unread and codes.may_disclose(topic))


def _permissible(rule: Rule) -> None:
    """Raise TableError for what no rule may let out."""
    if UNDERWRITING in (rule.recipient, rule.purpose):
        raise TableError(f"policies/release.toml: {rule.id}: nothing is released for underwriting")
    if any(topic.startswith(IMPUTED) for topic in rule.topics):
        raise TableError(f"policies/release.toml: {rule.id}: an estimate is released to nobody")


def _rule(entry: dict[str, Any]) -> Rule:
    try:
        return Rule(
            id=entry["id"],
            recipient=entry["recipient"],
            purpose=entry["purpose"],
            topics=frozenset(entry["topics"]),
            since=date.fromisoformat(str(entry["from"])).isoformat(),
            until=date.fromisoformat(str(entry["to"])).isoformat() if "to" in entry else "",
            basis=str(entry.get("legal_basis") or entry.get("agreement", "")),
            agreement=str(entry.get("agreement", "")),
            reviewer=str(entry.get("reviewer", "")),
            labels=frozenset(map(str, entry.get("labels", ()))),
        )
    except KeyError as error:
        raise TableError(f"policies/release.toml: a rule misses {error.args[0]!r}") from None
    except ValueError:
        raise TableError("policies/release.toml: the days of a rule are ISO dates (2026-01-31)") from None
