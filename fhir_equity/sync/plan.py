"""A plan: what would change at the HIE, member by member, and what we leave alone and why."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from fhir_equity.store.hie_standing import MEMBERS, Count


class Change(Struct, frozen=True):
    """One change: what to do about which matters of one member.

    ``create`` and ``update`` are about the Patient, ``observe`` about our Observations on one matter. `said` maps
    each matter to the fingerprint of what will be said, `there` to that of what they say now.
    """

    member_id: int
    pseudonym: str
    action: str
    matters: tuple[tuple[str, str], ...]  # (matter, "add" or "replace")
    said: dict[str, str]
    there: dict[str, str] = {}
    resource_id: str = ""
    etag: str = ""

    def __repr__(self) -> str:
        return f"Change({self.pseudonym}, {self.action}, {dict(self.matters)})"


class Left(Struct, frozen=True):
    """Something left alone that a person should look at.

    About the Patient: ``no_match`` (where the policy is review), ``match_not_certain``,
    ``several_matches``, ``several_members`` (of ours are this Patient),
    ``name_or_birth_date_differ``, ``not_active`` (or replaced by another), ``no_id``, ``no_version``.
    About a matter: ``same_standing`` (neither answer is better), ``declined_there``,
    ``would_remove_part``, ``contributor_only`` (the Patient is not of our making), ``not_kept_there`` (they do
    not keep what we send), and of our Observations ``changed_there`` and ``withdrawn_there``.
    """

    pseudonym: str
    matter: str
    reason: str


class Plan(Struct):
    """A plan and what it leaves alone. `name` is its name in the journal, `digest` that of what it wants done.

    `members` is how many there are, `looked` how many of them were looked at: whoever was not stands as before.
    `consents_refused` is whether the server did not let Consents be searched of those who were found.
    """

    name: str = ""
    digest: str = ""
    changes: list[Change] = field(default_factory=list)
    conflicts: list[Left] = field(default_factory=list)
    withheld: Counter[tuple[str, str]] = field(default_factory=Counter)
    theirs_kept: Counter[str] = field(default_factory=Counter)
    members: int = 0
    looked: int = 0
    agreed: int = 0
    unmatched: int = 0
    consents_refused: bool = False


def summed(changes: list[Change], totals: Counter[Count], left: list[Left]) -> Plan:
    """A plan with how everybody stands."""
    made = Plan(changes=changes, conflicts=left, members=totals[MEMBERS])
    for (kind, matter, reason), count in totals.items():
        if kind == "withheld":
            made.withheld[matter, reason] = count
        elif kind == "theirs":
            made.theirs_kept[matter] = count
    made.agreed, made.unmatched = totals["agreed", "", ""], totals["unmatched", "", ""]
    return made
