"""explain: why do we believe this of a member? Everything that was said, what won and why, and where it went."""

from __future__ import annotations

from typing import Any

from fhir_equity.errors import UsageError
from fhir_equity.model import Event, Meaning, Received, Resolution, State
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Decision, Found, Sent

SCHEMA = "fhir-equity/explain/1"
Document = dict[str, Any]


def explain(
    workspace: Workspace,
    member: str,
    *,
    partner: str = "",
    topic: str = "",
    show_values: bool = False,
) -> Document:
    """The explanation document of one member, as of the workspace's date.

    `member` is a pseudonym, a key or an identifier; `topic` a topic or a matter. What was said and
    what it means is left out without `show_values`. Raises UsageError for nobody or several people.
    """
    workspace.require_store()
    found = one_member(workspace, member, partner)
    return _Explanation(workspace, found, show_values=show_values).document(_matter(workspace, topic))


def one_member(workspace: Workspace, name: str, partner: str = "") -> Found:
    """The member with a pseudonym, key or identifier. Raises UsageError for nobody or several people."""
    found = workspace.store.history.find(name, partner)
    if not found:
        raise UsageError("there is no member with this pseudonym, key or identifier")
    if len(found) > 1:
        named = ", ".join(f"{each.pseudonym} ({each.partner})" for each in found)
        raise UsageError(f"several members have it; say which by pseudonym: {named}")
    return found[0]


def _matter(workspace: Workspace, topic: str) -> str:
    """The matter that a topic belongs to; empty for all."""
    if not topic:
        return ""
    topics = workspace.vocabulary().codes.topics
    matters = {each.matter for each in topics.values()}
    if topic not in topics and topic not in matters:
        raise UsageError(f"there is no such topic; there are: {', '.join(topics)}")
    return topics[topic].matter if topic in topics else topic


class _Explanation:
    """One explanation being written."""

    def __init__(self, workspace: Workspace, found: Found, *, show_values: bool) -> None:
        self._workspace = workspace
        self._found = found
        self._show_values = show_values
        self._vocabulary = workspace.vocabulary(found.partner)
        history = workspace.store.history
        self._merged = history.pseudonyms(found.id)[1:]
        self._seen = history.seen(found.id)
        self._sent = history.sent(found.id)
        self._held = history.held(found.id)
        self._places = history.places(found.id)
        self._events = self._known(withdrawn=False)
        self._withdrawn = self._known(withdrawn=True)
        self._decisions = workspace.store.decisions.about(found.id)
        self._resolutions = workspace.resolutions(found.partner, [event for _, event in self._events])

    def _known(self, *, withdrawn: bool) -> list[tuple[str, Event]]:
        person = self._workspace.store.people.one(self._found.id, withdrawn=withdrawn)
        known = [said for said in (person.events if person else ()) if said[1].first_seen <= self._workspace.as_of]
        return sorted(known, key=lambda said: said[1].first_seen)

    def document(self, only: str) -> Document:
        """Everything, or one matter only."""
        named = dict.fromkeys((*self._resolutions, *(matter for matter, _ in self._withdrawn)))
        matters = [matter for matter in named if only in ("", matter)]
        return {
            "schema": SCHEMA,
            "member": {"pseudonym": self._found.pseudonym, "partner": self._found.partner, "merged": self._merged},
            "as_of": self._workspace.as_of,
            "seen": {"runs": self._seen.runs, "first": self._seen.first, "last": self._seen.last},
            "policy": self._workspace.policy.version,
            "values_shown": self._show_values,
            "matters": [self._explained(matter, self._resolutions.get(matter, _nothing(matter))) for matter in matters],
        }

    def _explained(self, matter: str, resolution: Resolution) -> Document:
        order = {event: place for place, event in enumerate((resolution.winner, *resolution.beaten))}
        policy = self._workspace.policy
        rule = resolution.rule if self._show_values or resolution.rule not in policy.telling else ""
        document = {
            "matter": matter,
            "rule": rule,
            "why": policy.why.get(rule, ""),
            "provisional": resolution.provisional,
            "statements": [self._stated(event, order.get(event)) for about, event in self._events if about == matter],
            "withdrawn": [self._stated(event, None) for about, event in self._withdrawn if about == matter],
            "sent": [_sent(entry) for entry in self._sent if matter in entry.matters],
            "held": {hie: at for (hie, held), at in sorted(self._held.items()) if held == matter},
            "decisions": [self._decided(each) for about, each in self._decisions if about == matter],
        }
        if self._show_values:
            document |= {"state": resolution.state.value, "refused": resolution.refused}
        return document

    def _decided(self, decision: Decision) -> Document:
        reason = ("reason",) if self._show_values else ()
        names = ("id", "pattern", "at", "author", "undone_at", "undone_by", *reason)
        return {name: getattr(decision, name) for name in names}

    def _stated(self, event: Event, place: int | None) -> Document:
        """What was said together; `place` 0 won, the others lost in this order, None said the same as another."""
        origin = event.origin
        return {
            "place": place,
            "first_seen": event.first_seen,
            "collected_on": origin.collected_on,
            "collector": origin.collector,
            "method": origin.method,
            "standard": origin.standard,
            "question": origin.question,
            "answers": [self._answered(event, *each) for each in zip(event.identity, event.received, strict=True)],
        }

    def _answered(self, event: Event, answer: int, received: Received) -> Document:
        place = self._places[answer]
        document: Document = {
            "id": answer,
            "topic": received.topic,
            "element": received.element,
            "run": place.run,
            "artefact": place.locator.artefact,
            "format": place.format,
            "sha256": place.sha256,
            "where": str(place.locator),
        }
        if self._show_values:
            meaning = self._workspace.vocabulary(event.origin.partner or self._found.partner).meaning(received)
            codings = [{"system": each.system, "code": each.code} for each in received.codings]
            document |= {"raw": received.raw, "text": received.text, "codings": codings}
            document |= {"state": meaning.state.value, "means": self._means(meaning)}
        return document

    def _means(self, meaning: Meaning) -> list[Document]:
        return [
            {
                "system": concept.coding.system,
                "code": concept.coding.code,
                "display": concept.coding.display,
                "relationship": concept.relationship.value,
                "rule": concept.rule,
                "edition": self._edition(concept.rule),
            }
            for concept in meaning.concepts
        ]

    def _edition(self, rule: str) -> str:
        """The edition of the table whose row said so; ``<table>:<row>`` names it."""
        name = rule.partition(":")[0]
        entries = self._vocabulary.tables.sources["table"]
        keys = [key for key in (f"crosswalks/{name}.csv", f"codes/{name}.csv") if key in entries]
        return str(entries[keys[0]]["edition"]) if keys else ""


def _nothing(matter: str) -> Resolution:
    """What is left where everything was withdrawn."""
    return Resolution(matter, State.UNKNOWN, (), None, rule="no_answer")


def _sent(entry: Sent) -> Document:
    return {
        "hie": entry.hie,
        "plan": entry.plan,
        "action": entry.action,
        "status": entry.status,
        "planned_at": entry.planned_at,
        "done_at": entry.done_at,
    }
