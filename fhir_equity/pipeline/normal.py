"""Members as rows of one table, whatever format they came in: the columns are in guides/frame.toml."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.adapters.protocol import Piece, Read
from fhir_equity.model import Answer, Finding, Loss, Meaning, Member, Rejected, Relationship, Resolution
from fhir_equity.pipeline.leaving import Leaving, Made, Wish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.people import events_of
from fhir_equity.quality.rules import findings

Row = dict[str, Any]
GUIDE = "guides/frame.toml"
_ORIGIN = ("collector", "method", "standard", "question", "collected_on")


class Normalizing:
    """Makes a row (JSON) of every item but frames: of one that is no member, the key is null."""

    def __init__(self, workspace: Workspace, wish: Wish, *, ledger: bool = False) -> None:
        self._workspace = workspace
        self._leaving = Leaving(workspace, wish, ledger=ledger)
        self._layout = layout_name(workspace)

    def made(self, item: Read) -> Made:
        """What comes of one item of a reader."""
        if isinstance(item, Member):
            return self._member(item)
        if isinstance(item, Rejected):
            return self._alone(item.finding)
        return self._alone(item) if isinstance(item, Finding | Loss) else Made()

    def _member(self, member: Member) -> Made:
        meaning = self._workspace.vocabulary(member.partner).meaning
        found = findings(member, meaning, self._workspace.as_of)
        events = events_of(member.answers, self._workspace.matter_of, self._workspace.as_of)
        resolutions = self._workspace.resolutions(member.partner, events)
        released, lost, _ = self._leaving.released(member, resolutions)
        answers = []
        for answer in member.answers:
            meant, matter = meaning(answer.received), self._workspace.matter_of(answer.topic)
            if matter not in released:
                continue
            if self._leaving.withheld(matter, meant):  # beaten by one that may go
                lost = [*lost, Loss("release.sensitive_left_out", Relationship.UNMATCHED, matter)]
            else:
                answers.append(self._answer(answer, meant, matter, released[matter]))
        losses = (*member.losses, *lost)
        row = {
            **{name: getattr(member, name) for name in ("partner", "key", "key_rule", "unit", "number", "offset")},
            "artefact": member.answers[0].origin.artefact if member.answers else "",
            "answers": answers,
            "findings": [_finding(each) for each in found],
            "losses": [_loss(each) for each in losses],
        }
        told = tuple(self._leaving.lost(loss, member) for loss in losses)
        return Made(self._piece(row), told, tuple(each.code for each in found))

    def _answer(self, answer: Answer, meaning: Meaning, matter: str, resolution: Resolution) -> Row:
        received, origin, winner = answer.received, answer.origin, resolution.winner
        return {
            **{name: getattr(received, name) for name in ("topic", "element", "text", "raw")},
            **{name: getattr(origin, name) for name in _ORIGIN},
            "matter": matter,
            "path": answer.path,
            "codings": [msgspec.structs.asdict(each) for each in received.codings],
            "state": meaning.state.value,
            "concepts": [
                {**msgspec.structs.asdict(each.coding), "relationship": each.relationship.value, "rule": each.rule}
                for each in meaning.concepts
            ],
            "wins": winner is not None and winner.origin == origin and received in winner.received,
        }

    def _alone(self, item: Finding | Loss) -> Made:
        """A row about a record that is no member, or about a file."""
        place = item.locator
        row: Row = {"answers": [], "findings": [], "losses": []}
        if place is not None:
            row |= {name: getattr(place, name) for name in ("artefact", "unit", "number", "offset")}
        if isinstance(item, Loss):
            return Made(self._piece(row | {"losses": [_loss(item)]}), (self._leaving.lost(item),))
        return Made(self._piece(row | {"findings": [_finding(item)]}), (), (item.code,))

    def _piece(self, row: Row) -> Piece:
        row["layout"] = self._layout
        try:
            return Piece((("", msgspec.json.encode(row)),))
        except UnicodeEncodeError:  # half a surrogate pair is no text and has no bytes in UTF-8
            return Piece((("", json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")),))


class Rows(Struct, frozen=True):
    """How another process begins to make such rows."""

    wish: Wish
    ledger: bool = False

    def __call__(self, workspace: Workspace) -> Callable[[Read], Made]:
        """What makes a row of each item."""
        return Normalizing(workspace, self.wish, ledger=self.ledger).made


def layout_name(workspace: Workspace) -> str:
    """The version of the tables, as every row of them says."""
    return f"frame/{workspace.vocabulary().tables.document(GUIDE)['version']}"


def _finding(finding: Finding) -> Row:
    place = finding.locator
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        **{name: getattr(place, name) for name in ("unit", "number", "path")},
    }


def _loss(loss: Loss) -> Row:
    return {"rule": loss.rule, "relationship": loss.relationship.value, "topic": loss.topic}
