"""What the tables know about a code, what it becomes elsewhere, and how a record looks to OMB; for one partner."""

from __future__ import annotations

from functools import lru_cache

from fhir_equity.model import Coding, Member
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Entry, Translation, View1997, View2024, Vocabulary, look


@lru_cache(maxsize=8)
def _vocabulary_of(partner: str) -> Vocabulary:
    return Vocabulary(Tables(partner))


def _vocabulary(partner: str, workspace: Workspace | None) -> Vocabulary:
    return workspace.vocabulary(partner) if workspace else _vocabulary_of(partner)


def lookup(code: str, system: str = "", *, partner: str = "", workspace: Workspace | None = None) -> tuple[Entry, ...]:
    """Everything the tables say about a code, one entry for each table that has it: see `vocabulary.lookup`.

    A workspace brings the user's overlay; without one these are our own tables and the partner's sheet.
    """
    return look.lookup(_vocabulary(partner, workspace), code, system)


def translate(
    coding: Coding, *, to: str, partner: str = "", workspace: Workspace | None = None
) -> tuple[Translation, ...]:
    """What a code becomes in the system `to`, with relationship, rule, edition and loss: see `vocabulary.translate`.

    Raises UsageError for a system that codes/systems.csv does not have.
    """
    return look.translate(_vocabulary(partner, workspace), coding, to)


def view(member: Member, schema: str, *, workspace: Workspace | None = None) -> View2024 | View1997:
    """A record's race and ethnicity as ``omb2024`` or ``omb1997`` sees them: see `vocabulary.view`.

    The tables are those of the member's partner. Raises UsageError for another schema.
    """
    return look.view(_vocabulary(member.partner, workspace), member, schema)
