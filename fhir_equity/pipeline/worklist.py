"""worklist: whom to ask next, why, in which language and by which channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Member, Resolution
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.due import REASONS, Due
from fhir_equity.vocabulary.codes import LANGUAGE

COLUMNS = (
    *("partner", "member", "pseudonym", "family", "given", "ask", "about", "why", "language", "interpreter"),
    *("channel", "street", "city", "state", "postal_code"),
)
LANGUAGES = {"mail": ("language_written", "language_spoken"), "": ("language_spoken", "language_written")}


class Worklist(Struct, frozen=True):
    """The list: `columns` and `rows`, people by (topic, reason), and who is not asked, by why."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    reasons: Mapping[tuple[str, str], int]
    left_out: Mapping[str, int]


def worklist(
    workspace: Workspace,
    *,
    partner: str = "",
    topics: Sequence[str] = (),
    reasons: Sequence[str] = (),
    include_sensitive: bool = False,
) -> Worklist:
    """Everybody of the store who should be asked something, and it is on the trail.

    `topics` are those of `policies/worklist.toml` unless named, `reasons` all of `REASONS`. That somebody has
    given no answer on orientation or gender is a secret, too: such topics need `include_sensitive`. Raises
    UsageError.
    """
    workspace.require_store()
    if not set(REASONS).issuperset(reasons):
        raise UsageError(f"there is no such reason; there are: {', '.join(REASONS)}")
    due = Due(workspace.vocabulary(), workspace.as_of, topics)
    if due.sensitive and not include_sensitive:
        raise UsageError("these topics are sensitive; --include-sensitive lists whom to ask about them all the same")
    rows: list[tuple[str, ...]] = []
    counted: Counter[tuple[str, str]] = Counter()
    left_out: Counter[str] = Counter()
    for number, stored in enumerate(workspace.store.people.among(workspace.partners(partner)), start=1):
        if number % 1000 == 0:
            workspace.progress("store", number)
        member = stored.member
        if why := due.left_out(member):
            left_out[why] += 1
            continue
        resolutions = workspace.resolutions(member.partner, [event for _, event in stored.events])
        found = [(t, reason) for t, reason in due.reasons(member, resolutions) if not reasons or reason in reasons]
        if found:
            counted.update(found)
            rows.append(_row(due, member, stored.pseudonym, resolutions, dict(found)))
    workspace.store.trail.record(
        "worklist",
        about={"as_of": workspace.as_of, **({"partner": partner} if partner else {})},
        counts={"listed": len(rows)},
        topics=Counter(topic for topic, _ in counted.elements()),
    )
    return Worklist(COLUMNS, tuple(rows), dict(sorted(counted.items())), dict(sorted(left_out.items())))


def _row(
    due: Due, member: Member, pseudonym: str, resolutions: Mapping[str, Resolution], found: Mapping[str, str]
) -> tuple[str, ...]:
    channel, address = due.channel(member, found), member.address
    return (
        *(member.partner, member.key, pseudonym, member.name.family, " ".join(member.name.given)),
        *(due.whom(member), " ".join(found), " ".join(found.values()), _language(channel, resolutions)),
        *(_said("interpreter_needed", resolutions), channel),
        *(", ".join(address.lines), address.city, address.state, address.postal_code),
    )


def _language(channel: str, resolutions: Mapping[str, Resolution]) -> str:
    """The language to ask in: a letter in the written one, else the spoken one; empty where none is known."""
    for topic in LANGUAGES.get(channel, LANGUAGES[""]):
        if said := _said(topic, resolutions, LANGUAGE):
            return said
    return ""


def _said(topic: str, resolutions: Mapping[str, Resolution], system: str = "") -> str:
    meanings = resolutions[topic].meanings if topic in resolutions else ()
    codings = {c.coding for meant in meanings for c in meant.concepts if not system or c.coding.system == system}
    return " ".join(sorted(coding.code for coding in codings))
