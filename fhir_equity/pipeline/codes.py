"""codes show and codes unmapped: the tables as they are merged, and the values that no table has."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Coding, Meaning, Member, Received, State
from fhir_equity.pipeline.reading import Failures, inputs, items
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.tables import Tables, partners
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import LANGUAGE, fold

FOLDERS = (
    ("codes", ".csv"),
    ("crosswalks", ".csv"),
    ("guides", ".toml"),
    ("policies", ".toml"),
    ("questionnaires", ".toml"),
)
HEADER = ("applies_to", "source_system", "source_code", "target_system", "target_code", "relationship", "note")
# Problems of a meaning that a new row of a table would settle.
_UNMAPPED = frozenset(("not_mapped", "not_in_code_list", "system_unknown", "not_a_wording", "check_digit_wrong"))


class Shown(Struct):
    """A table as one partner sees it. Each row starts with its file and, in a CSV table, its line."""

    table: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def show(workspace: Workspace, table: str, *, partner: str = "") -> Shown:
    """The merged rows of a table with the file each came from.

    `table` is a name below mappings/, with or without folder and ending. Raises UsageError for a
    table or a partner that there is none of, TableError for one that cannot be read.
    """
    if partner and partner not in partners(workspace.settings.mappings.overlay):
        raise UsageError("no folder of tables has this partner")
    tables = workspace.vocabulary(partner or workspace.settings.partner).tables
    name = _named(tables, table)
    if name.endswith(".toml"):
        settled = tables.settled(name)
        return Shown(name, ("file", "key", "value"), [(file, key, str(value)) for key, value, file in settled])
    placed = tables.placed(name)
    columns = tuple(placed[0].row) if placed else ()
    rows = [(p.file, str(p.line), *(p.row[column] for column in columns)) for p in placed]
    return Shown(name, ("file", "line", *columns), rows)


def _named(tables: Tables, given: str) -> str:
    names = [name for folder, ending in FOLDERS for name in tables.names(folder, ending)]
    names += ["attestation.toml"] if tables.has("attestation.toml") else []
    for name in names:
        path = PurePosixPath(name)
        if given in (name, str(path.with_suffix("")), path.name, path.stem):
            return name
    raise UsageError(f"there is no table {given}; there are: {', '.join(names)}")


class Unmapped(Struct, frozen=True):
    """A code or wording that no table has. `code` is a value of a record: it is never shown unasked.

    `table` is the crosswalk where a row for it belongs, `applies_to` and `target_system` what that
    row starts from. `system` is ``wording`` for words.
    """

    topic: str
    system: str
    code: str
    count: int
    table: str
    applies_to: str
    target_system: str


class Gathered(Struct):
    """What is unmapped, the most frequent first, and the inputs that could not be read."""

    found: list[Unmapped]
    failures: list[str]

    def csv(self) -> str:
        """Rows ready to be pasted, for each crosswalk below its name and header."""
        rows: Counter[tuple[str, ...]] = Counter()  # two topics of one family share a row
        for one in self.found:
            rows[one.table, one.applies_to, one.system, one.code, one.target_system] += one.count
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for table in sorted({one.table for one in self.found}):
            out.write(f"# {table}\n")
            writer.writerow(HEADER)
            # It says that no target is known, until somebody names one.
            writer.writerows((*at[1:], "", "unmatched", _seen(n)) for at, n in rows.most_common() if at[0] == table)
        return out.getvalue()


def _seen(count: int) -> str:
    return f"seen {count} {'time' if count == 1 else 'times'}"


def unmapped(
    workspace: Workspace, paths: Sequence[str | Path] = (), *, partner: str = "", format_: str = ""
) -> Gathered:
    """The wordings and codes in files, or in the store without a path, that no table has.

    Raises UsageError, StoreError. The result holds values of records.
    """
    failures = Failures()
    if paths:
        said = _in_files(workspace, paths, workspace.partner(partner), format_, failures)
    else:
        said = _in_store(workspace, workspace.partners(partner))
    counted = Counter(said)
    found: Counter[tuple[str, str, str]] = Counter()
    spelled: dict[tuple[str, str, str], Counter[str]] = {}
    for (whose, received), count in counted.items():
        for topic, system, code in without_row(workspace.vocabulary(whose), received):
            at = (topic, system, fold(code) or code if system == "wording" else code)
            found[at] += count
            spelled.setdefault(at, Counter())[code] += count
    places = Places(workspace.vocabulary(workspace.partner(partner)))
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    listed = [places.entry(at[0], at[1], _usual(spelled[at]), count) for at, count in ordered]
    return Gathered(listed, failures.messages)


def _usual(spellings: Counter[str]) -> str:
    return min(spellings, key=lambda spelling: (-spellings[spelling], spelling))


def _in_files(
    workspace: Workspace, paths: Iterable[str | Path], partner: str, format_: str, failures: Failures
) -> Iterator[tuple[str, Received]]:
    for read in inputs(workspace, paths, partner, format_, failures):
        for item in items(workspace, read, failures):
            if isinstance(item, Member):
                yield from ((item.partner, answer.received) for answer in item.answers)


def _in_store(workspace: Workspace, whose: Sequence[str] | None) -> Iterator[tuple[str, Received]]:
    for person in workspace.store.people.among(whose):
        for _, event in person.events:
            yield from ((event.origin.partner, received) for received in event.received)


def without_row(vocabulary: Vocabulary, received: Received) -> Iterator[tuple[str, str, str]]:
    """(topic, system, code) of every part of a value that is understood neither alone nor by its words."""
    topic, element = received.topic, received.element
    for coding in received.codings:
        if not _understood(vocabulary.meaning(Received(topic, element, (coding,)))):
            yield (topic, *_as_sent(vocabulary, topic, coding))
    for words in _left_over(vocabulary, received):
        if not _understood(vocabulary.meaning(Received(topic, element, (), words))):
            yield topic, "wording", words


def _understood(meaning: Meaning) -> bool:
    if any(concept.rule != "not_mapped" for concept in meaning.concepts):
        return True
    if meaning.state not in (State.ANSWERED, State.INVALID):
        return True
    return not any(name in _UNMAPPED for name, _ in meaning.problems)


def _as_sent(vocabulary: Vocabulary, topic: str, coding: Coding) -> tuple[str, str]:
    """System and code as a crosswalk row must give them to be found."""
    system, _ = vocabulary.codes.system(coding.system)
    system = system or vocabulary.codes.topic(topic).code_system
    code = coding.code.strip()
    return system, code.lower() if system in (LANGUAGE, "iso639") else code


def _left_over(vocabulary: Vocabulary, received: Received) -> list[str]:
    """The words of the text that say more than its codes do."""
    text = received.text.strip()
    if not text or not received.codings:
        return [text] if text else []
    kept = {part.strip() for part in vocabulary.meaning(received).text.split(";")}
    return [part.strip() for part in text.split(";") if part.strip() in kept - {""}]


class Places:
    """Which crosswalk a new row belongs to: the one that has most rows of its kind."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._codes = vocabulary.codes
        tables = vocabulary.tables
        self._rows: Counter[tuple[str, str, str, str]] = Counter(
            (row["applies_to"], row["source_system"], row["target_system"], name)
            for name in tables.names("crosswalks", ".csv")
            for row in tables.rows(name)
        )

    def entry(self, topic: str, system: str, code: str, count: int) -> Unmapped:
        """The row to be, where it belongs."""
        known = self._codes.topic(topic)
        scopes = {known.name, known.family}
        same = {at: n for at, n in self._rows.items() if at[0] in scopes and at[2] == known.code_system}
        alike = next((found for of in (system, "wording") if (found := _of(same, of))), same)
        if not alike:  # a topic without any crosswalk yet
            return Unmapped(topic, system, code, count, f"crosswalks/{topic}.csv", topic, known.code_system)
        applies_to, _, target, table = min(alike, key=lambda at: (-alike[at], at))
        return Unmapped(topic, system, code, count, table, applies_to, target)


def _of(rows: dict[tuple[str, str, str, str], int], system: str) -> dict[tuple[str, str, str, str], int]:
    return {at: n for at, n in rows.items() if at[1] == system}
