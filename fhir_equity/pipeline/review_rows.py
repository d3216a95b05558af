"""Settling a value that no table has: the row that maps it, in the partner's folder of the user's overlay."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fhir_equity.contention import as_received
from fhir_equity.errors import UsageError
from fhir_equity.model import Received, Relationship, State
from fhir_equity.pipeline.codes import Places, without_row
from fhir_equity.pipeline.decided_lines import NOTE, is_left, lines_of, note_of, restored, with_row, without
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.store import Group, Otherwise, TableRow
from fhir_equity.vocabulary import Meanings, Vocabulary
from fhir_equity.vocabulary.codes import fold

STATE = "state"
RELATIONSHIPS = tuple(each.value for each in (Relationship.EQUIVALENT, Relationship.WIDER, Relationship.INEXACT))


def rows_for(workspace: Workspace, group: Group, choose: str, relationship: str = "") -> tuple[TableRow, ...]:
    """The rows that let the value of a pattern mean what somebody chose.

    `choose` is a code of the topic's own system, ``SYSTEM:CODE``, or a state such as ``declined``. Raises
    UsageError where there is no folder for rows, the code is none, or not one value only is unknown.
    """
    if workspace.settings.mappings.overlay is None:
        raise UsageError(
            "a value that no table knows is settled by a row of yours; name a folder for them: "
            "overlay below [mappings] in equity.toml"
        )
    if relationship not in ("", *RELATIONSHIPS):
        raise UsageError(f"a row says {', '.join(RELATIONSHIPS)}")
    (side,) = group.sides
    partner = workspace.partner(side.partner)
    values = _received(workspace, group)
    if not any(part for received in values for part in without_row(workspace.vocabulary(partner), received)):
        Sheets(workspace).sweep(partner, {said for _, said in side.said})
    vocabulary = workspace.vocabulary(partner)
    places, found = Places(vocabulary), dict[TableRow, None]()
    for received in values:
        parts = list(without_row(vocabulary, received))
        if len(parts) != 1:
            raise UsageError(
                f"of this value {len(parts)} parts mean nothing; write their rows: fhir-equity codes unmapped"
            )
        ((topic, system, code),) = parts
        at = places.entry(topic, system, code, 1)
        target = _target(vocabulary, at.target_system, choose)
        kept = (at.table, at.applies_to, at.system, at.code, *target, relationship or RELATIONSHIPS[0])
        found[TableRow(partner, *kept)] = None
    if not found:
        raise UsageError("the cases of this pattern have changed; see review list again")
    return tuple(found)


def _received(workspace: Workspace, group: Group) -> set[Received]:
    """The values behind a pattern: alike but for their topic, element and spelling of no account."""
    (side,) = group.sides
    store = workspace.store
    cases = store.cases.cases(group.pattern, limit=group.waiting)
    return {
        received
        for person in store.people.some(sorted({case.member for case in cases}))
        for matter, event in person.events
        for received in event.received
        if matter == group.matter and event.origin.partner == side.partner and as_received(received) == side.said
    }


def _target(vocabulary: Vocabulary, system: str, choose: str) -> tuple[str, str]:
    """System and code of what was chosen. Raises UsageError where it is no code of a known system, nor a state."""
    named, colon, code = choose.partition(":")
    if colon and (named == STATE or vocabulary.codes.system(named)[0]):
        system, choose = named if named == STATE else vocabulary.codes.system(named)[0], code
    coding = None if system == STATE else vocabulary.codes.find(system, choose)
    if coding is not None:
        return system, coding.code
    if choose in list(State) and choose not in (State.ANSWERED, State.INVALID):
        return STATE, choose
    raise UsageError(f"--choose names no code of {system}, nor a state; it may be SYSTEM:CODE")


class Sheets:
    """Changes partners' tables for decisions; what was changed is as it was before where a decision fails.

    What somebody else, who decided as soon as this had failed, has put there by then stays.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._before: dict[Path, bytes | None] = {}
        self._after: dict[Path, bytes] = {}

    @contextmanager
    def changing(self) -> Iterator[Sheets]:
        """Put everything back if it does not come to its end."""
        try:
            yield self
        except BaseException:
            for path, content in self._before.items():
                now = path.read_bytes() if path.exists() else b""
                _replace(path, restored(now, content, self._after[path], path))
            self._workspace.tables_changed()
            raise

    def lay(self, decision: int, reason: str, rows: Sequence[TableRow]) -> Otherwise:
        """Add the rows of a decision."""
        before = self._known(rows)
        for row in rows:
            path, content = self._read(row)
            self._change(path, with_row(content, row, decision, reason, path))
        return self._otherwise(before)

    def lift(self, decision: int, reason: str, rows: Sequence[TableRow]) -> Otherwise:
        """Take the rows of a decision out again. Raises UsageError where somebody has changed one meanwhile."""
        before, gone = self._known(rows), list[TableRow]()
        for row in rows:
            path, content = self._read(row)
            left = without(content, row, decision, reason, path)
            gone += [row] if left == content else []
            self._change(path, left)
        otherwise = self._otherwise(before)
        # One that is gone already was taken out by an undoing that was killed, and nobody was resolved again.
        return lambda partner, received: otherwise(partner, received) or self._is_of(received, partner, gone)

    def _is_of(self, received: Received, partner: str, rows: Sequence[TableRow]) -> bool:
        """Whether one of these rows is what a value lacks to mean anything."""
        codes = {fold(row.source_code) for row in rows if row.partner == partner}
        return bool(codes) and any(
            fold(code) in codes or "" in codes  # whose value was purged: it may be any
            for *_, code in without_row(self._workspace.vocabulary(partner), received)
        )

    def sweep(self, partner: str, codes: Collection[str]) -> None:
        """Take out what decisions left that were killed: rows for one of these codes, of no decision that holds."""
        overlay = self._workspace.settings.mappings.overlay
        if overlay is None:
            return
        with self._workspace.store.decisions.alone():
            held = {note_of(each.id) for each in self._workspace.store.decisions.all() if not each.undone_at}
            for path in sorted((overlay / "partners" / partner / "crosswalks").glob("*.csv")):
                header, lines = lines_of(path.read_bytes(), path)
                kept = [
                    line for line, cells in lines if not is_left(dict(zip(header, cells, strict=False)), codes, held)
                ]
                if len(kept) < len(lines):
                    self._change(path, b"".join(kept))
        self._workspace.tables_changed()

    def _known(self, rows: Sequence[TableRow]) -> dict[str, Meanings]:
        """What the partners' tables say, read before anything is changed."""
        found = {}
        for row in rows:
            vocabulary = self._workspace.vocabulary(row.partner)
            found[row.partner] = vocabulary.meaning
            if vocabulary.tables.has(row.place):
                vocabulary.tables.rows(row.place)  # which may be one that is read on demand only
        return found

    def _read(self, row: TableRow) -> tuple[Path, bytes]:
        overlay = self._workspace.settings.mappings.overlay
        if overlay is None:
            raise UsageError("its row is in an overlay folder; name it below [mappings] in equity.toml")
        path = overlay / "partners" / row.partner / row.place
        return path, path.read_bytes() if path.exists() else b""

    def _change(self, path: Path, content: bytes) -> None:
        self._before.setdefault(path, path.read_bytes() if path.exists() else None)
        self._after[path] = content
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content or None)

    def _otherwise(self, before: dict[str, Meanings]) -> Otherwise:
        self._workspace.tables_changed()
        after = {partner: self._workspace.vocabulary(partner).meaning for partner in before}
        return lambda partner, received: before[partner](received) != after[partner](received)


def left_over(workspace: Workspace) -> int:
    """How many rows of the overlay say that they were decided, and no decision that holds has them.

    One that is just being made is waited for. Raises TableError, StoreError, StoreLockedError.
    """
    overlay = workspace.settings.mappings.overlay
    if overlay is None or not _left_over(workspace, overlay):
        return 0
    with workspace.store.decisions.alone():
        return _left_over(workspace, overlay)


def _left_over(workspace: Workspace, overlay: Path) -> int:
    noted = list[tuple[int, str, str, str]]()
    for path in sorted(overlay.glob("partners/*/crosswalks/*.csv")):
        header, lines = lines_of(path.read_bytes(), path)
        for _, cells in lines:
            said = dict(zip(header, cells, strict=False))
            if of := NOTE.match(said.get("note", "")):
                noted.append((int(of[1]), path.parts[-3], "/".join(path.parts[-2:]), said["source_code"]))
    if not noted:
        return 0
    decisions, numbers = workspace.store.decisions, {number for number, *_ in noted}
    hold = [each.id for each in decisions.all() if each.id in numbers and not each.undone_at]
    held = {(number, row.partner, row.place, row.source_code) for number in hold for row in decisions.rows(number)}
    return sum(each not in held and (*each[:3], "") not in held for each in noted)  # or its value was purged


def _replace(path: Path, content: bytes | None) -> None:
    """Replace a file whole, as private as it was; a new one is its owner's alone, and None is none."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    other = path.with_name(f".{path.name}.{os.getpid()}")
    with private_file(other) as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    if path.exists():
        other.chmod(stat.S_IMODE(path.stat().st_mode))
    other.replace(path)
