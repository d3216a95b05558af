"""codes lint: what is wrong in the tables, the partners' folders and a user's overlay, with file and row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from fhir_equity.errors import TableError
from fhir_equity.model import Relationship, State
from fhir_equity.pipeline.codes import HEADER
from fhir_equity.pipeline.questionnaire import languages, made
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings
from fhir_equity.tables import Placed, Tables, partners
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes, check_digit_is_right, fold
from fhir_equity.vocabulary.directory import named

ABOUT = ("title", "edition", "source", "date", "licence", "sure")  # what sources.toml must say of every table
TABLES = (("codes", ".csv"), ("crosswalks", ".csv"))
DOCUMENTS = (("guides", ".toml"), ("policies", ".toml"), ("questionnaires", ".toml"))
LANGUAGES = (LANGUAGE, "iso639")
# Every code of these leads somewhere, or a row says that it is unmatched.
COVERED = (
    "x12_1109",
    "absent_reasons",
    "cdcrec",
    "omb1997",
    "v2_race_ethnicity",
    "v3_race_ethnicity",
    "tmsis",
    "cms_race",
)
BASE = "mappings/"
Problem = str  # one line; of a row it names the file and the line, never what the row says


def lint(overlay: Path | None = None) -> list[Problem]:
    """Every problem of the built-in tables, of each partner's folder and of `overlay`, once.

    Raises TableError for an overlay folder that does not exist.
    """
    found: dict[Problem, None] = {}
    with Workspace(Settings(mappings=MappingSettings(overlay=overlay))) as workspace:
        for partner in ["", *partners(overlay)]:
            tables = Tables(partner, overlay)
            broken = dict.fromkeys(_broken(workspace, tables))
            found |= broken
            if not broken:  # the rest needs tables that can be read
                found |= dict.fromkeys(_untidy(tables)) | dict.fromkeys(_wrong(tables))
    return list(found)


def _names(tables: Tables, kinds: tuple[tuple[str, str], ...] = TABLES) -> list[str]:
    return [name for folder, ending in kinds for name in tables.names(folder, ending)]


def _at(placed: Placed, text: str) -> Problem:
    return f"{placed.file}, row {placed.line}: {text}"


def _broken(workspace: Workspace, tables: Tables) -> Iterator[Problem]:
    """Files that cannot be read or laid over one another."""
    for name in _names(tables):
        try:
            tables.rows(name)
            yield from _incomplete(tables, name)
        except TableError as error:
            yield str(error)
    try:
        for name in _names(tables, DOCUMENTS):
            tables.document(name)
        for section in tables.document("attestation.toml"):
            workspace.context(tables.partner, section)
    except TableError as error:
        yield str(error)


def _incomplete(tables: Tables, name: str) -> Iterator[Problem]:
    """A column that a crosswalk cannot do without, in a file that no built-in one lies under."""
    needed = HEADER[:-1] if name.startswith("crosswalks/") else ()
    for placed in tables.placed(name)[:1]:
        for column in (c for c in needed if c not in placed.row):
            yield f"{placed.file}, row 1: the column {column} is missing"


def _untidy(tables: Tables) -> Iterator[Problem]:
    """Files that nobody reads, columns that nobody reads, and two rows with one key."""
    yield from (f"{file}: nothing is read from here" for file in tables.unread())
    for name in _names(tables):
        base: set[str] = set(HEADER) if name.startswith("crosswalks/") else set()
        for rows in tables.stacked(name):
            file = rows[0].file if rows else f"{BASE}{name}"
            if file == f"{BASE}{name}":
                base |= set(rows[0].row) if rows else set()
            elif not base:
                yield f"{file}: no table of this name is read"
            elif rows:
                unknown = sorted(set(rows[0].row) - base - {"retired"})
                yield from (f"{file}, row 1: the column {c or '(empty)'} is in no table of this name" for c in unknown)
            yield from _twice(rows, tables.key(name))


def _twice(rows: list[Placed], key: tuple[str, ...]) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    for placed in rows:
        at = tuple(placed.row.get(column, "") for column in key)
        if key and at in seen:
            yield _at(placed, f"the same key as row {seen[at]} ({', '.join(key)})")
        seen.setdefault(at, placed.line)


def _wrong(tables: Tables) -> Iterator[Problem]:
    """What merged tables say wrongly."""
    yield from _sources(tables)
    yield from _trees(tables)
    codes = Codes(tables)
    ends = _Ends(tables, codes)
    crosswalks = [placed for name in tables.names("crosswalks", ".csv") for placed in tables.placed(name)]
    for placed in crosswalks:
        yield from (_at(placed, text) for text in ends.wrong(placed))
    yield from _contradicting(codes, crosswalks)
    yield from _check_digits(tables)
    yield from _uncovered(tables, crosswalks)
    vocabulary = Vocabulary(tables)
    yield from _refused(lambda: vocabulary.meaning)
    for lang in languages(tables):
        yield from _refused(lambda lang=lang: made(vocabulary, lang))  # type: ignore[misc]


def _refused(making: Callable[[], object]) -> Iterator[Problem]:
    """Why tables that can be read make no sense together."""
    try:
        making()
    except TableError as error:
        yield str(error)


def _sources(tables: Tables) -> Iterator[Problem]:
    """Every built-in table has its licence and source; partners' and users' own files need none."""
    said = tables.sources.get("table", {})
    for name in _names(tables, (*TABLES, *DOCUMENTS)):
        if not tables.built_in(name):
            continue
        for about in (about for about in ABOUT if not said.get(name, {}).get(about)):
            yield f"{BASE}sources.toml: {name} has no {about}"
        if name in said and said[name].get("sha256") != tables.checksum(name):
            yield f"{BASE}{name}: the file is not the one that sources.toml has the checksum of"
    for name in said:
        if not tables.has(name):
            yield f"{BASE}sources.toml: {name} does not exist"


def _trees(tables: Tables) -> Iterator[Problem]:
    """Each column whose name starts with ``parent`` leads upwards within its table and ends."""
    for name in tables.names("codes", ".csv"):
        rows = tables.placed(name)
        for column in [c for c in (rows[0].row if rows else ()) if c.startswith("parent")]:
            above = {_node(p, "code"): _node(p, column) for p in rows if p.row[column]}
            known = {_node(p, "code") for p in rows}
            for placed in rows:
                if placed.row[column] and _node(placed, column) not in known:
                    yield _at(placed, f"the {column} is no code of this table")
                elif _goes_round(_node(placed, "code"), above):
                    yield _at(placed, f"the {column} leads back to the code itself")


def _node(placed: Placed, column: str) -> tuple[str, str]:
    return placed.row.get("system", ""), placed.row.get(column, "")


def _goes_round(start: tuple[str, str], above: dict[tuple[str, str], tuple[str, str]]) -> bool:
    node = above.get(start)
    for _ in above:
        if node is None or node == start:
            break
        node = above.get(node)
    return node == start


class _Ends:
    """What the two ends of a crosswalk row may be."""

    def __init__(self, tables: Tables, codes: Codes) -> None:
        self._codes = codes
        self._scopes = {"*"} | {name for t in codes.topics.values() for name in (t.name, t.family)}
        self._systems = {row["system"] for row in tables.rows("codes/systems.csv")} | {"state"}
        self._known = _known(tables)
        self._tabled = {system for system, _ in self._known}
        self._absent = {row["code"] for row in tables.rows("codes/absent_reasons.csv")}

    def wrong(self, placed: Placed) -> Iterator[str]:
        row = placed.row
        if row["applies_to"] not in self._scopes:
            yield "applies_to is no topic, no family and not *"
        if row["relationship"] not in tuple(Relationship):
            yield f"the relationship is none of {', '.join(Relationship)}"
        elif (row["relationship"] == Relationship.UNMATCHED) != (row["target_code"] == ""):
            yield "unmatched rows have no target_code, and all others have one"
        yield from self._source(placed)
        if row["target_system"] and row["target_system"] not in self._systems:
            yield "the target_system is not in codes/systems.csv"
        elif row["target_code"] and not self._exists(row["target_system"], row["target_code"]):
            yield "the target_code is not a code of the target_system"

    def _source(self, placed: Placed) -> Iterator[str]:
        """A built-in row starts from a code that exists; a partner's may start from whatever it sends."""
        system, code = placed.row["source_system"], placed.row["source_code"]
        if system == "wording":
            if not fold(code):
                yield "the wording has no letter or digit"
        elif system not in self._systems and ":" not in system:  # an address names a system by itself
            yield "the source_system is not in codes/systems.csv"
        elif placed.file.startswith(f"{BASE}crosswalks/") and not self._may_start(system, code):
            yield "the source_code is not a code of the source_system"

    def _may_start(self, system: str, code: str) -> bool:
        """Withdrawn languages and absent reasons in a foreign system are why some rows are there."""
        if system in LANGUAGES or code in self._absent or not self._codes.closed(system):
            return bool(code)
        return self._exists(system, code)

    def _exists(self, system: str, code: str) -> bool:
        if system == "state":
            return code in tuple(State)
        if system in LANGUAGES:
            return self._codes.language(code) is not None
        return system not in self._tabled or (system, code) in self._known


def _contradicting(codes: Codes, crosswalks: list[Placed]) -> Iterator[Problem]:
    """What leads to an answer and to a reason why there is none: an overlay forgot to retire a row."""
    meant = {topic.code_system for topic in codes.topics.values()} | {"state"}  # where reading a value ends
    kinds: dict[tuple[str, str, str], list[Placed]] = {}
    for placed in (placed for placed in crosswalks if placed.row["target_system"] in meant):
        row = placed.row
        code = fold(row["source_code"]) if row["source_system"] == "wording" else row["source_code"]
        kinds.setdefault((row["applies_to"], row["source_system"], code), []).append(placed)
    for rows in kinds.values():
        if len({placed.row["target_system"] == "state" for placed in rows}) > 1:
            told = "another row of this code contradicts it: one is an answer, one is none; retire one"
            yield from (_at(placed, told) for placed in rows)


def _known(tables: Tables) -> set[tuple[str, str]]:
    """(system, code) of every code table; one without a system column holds the system of its name."""
    found = set()
    for name in tables.names("codes", ".csv"):
        own = PurePosixPath(name).stem.replace("_", "-")
        found |= {(row.get("system", own), row["code"]) for row in tables.rows(name) if "code" in row}
    return found


def _check_digits(tables: Tables) -> Iterator[Problem]:
    for placed in tables.placed("codes/cdcrec.csv"):
        if not check_digit_is_right(placed.row["code"]):
            yield _at(placed, "the check digit of the code is wrong")
    for name in _names(tables):
        for placed in tables.placed(name):
            row = placed.row
            code = row.get("cdcrec", "") or (row.get("target_system") == CDCREC and row.get("target_code")) or ""
            if code and not check_digit_is_right(code):
                yield _at(placed, "the check digit of the CDCREC code is wrong")


def _uncovered(tables: Tables, crosswalks: list[Placed]) -> Iterator[Problem]:
    """Codes that no row leads from or to and that are not listed as unmatched either."""
    rows = [placed.row for placed in crosswalks]
    linked = {(row[f"{end}_system"], row[f"{end}_code"]) for row in rows for end in ("source", "target")}
    wordings = {fold(row["source_code"]) for row in rows if row["source_system"] == "wording"}
    for name in (f"codes/{covered}.csv" for covered in COVERED):
        for placed in tables.placed(name):
            if named(name, placed.row) not in linked and not placed.row.get("abstract"):
                yield _at(placed, "no crosswalk leads from or to this code, nor says unmatched")
    for placed in tables.placed("codes/omb2024.csv"):
        row = placed.row  # its own column cdcrec is a crosswalk, and its note says why there is none
        words = row["detail"] or row["category"]
        if not (row["cdcrec"] or row["note"] or ("omb2024", words) in linked or fold(words) in wordings):
            yield _at(placed, "no CDCREC code, no crosswalk, and no note that says why")
