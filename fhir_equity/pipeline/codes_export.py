"""codes export: the tables as CodeSystems, ValueSets and ConceptMaps that a terminology server can load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec
import orjson
from msgspec import Struct

from fhir_equity.adapters.fhir.terminology import (
    About,
    Content,
    Defined,
    Kind,
    Mapped,
    Resource,
    code_system,
    concept_map,
    value_set,
)
from fhir_equity.adapters.fhir.validate import validate
from fhir_equity.errors import TableError, UsageError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.tables import Row, partners
from fhir_equity.vocabulary import Vocabulary
from fhir_equity.vocabulary.codes import LANGUAGE
from fhir_equity.vocabulary.crosswalk import ANY
from fhir_equity.vocabulary.directory import DISPLAYS, display_of, named
from fhir_equity.vocabulary.translator import SPELLINGS

GUIDE = "guides/terminology.toml"
CONTENTS: dict[str, Content] = {"complete": "complete", "fragment": "fragment", "supplement": "supplement"}
# What a definition says elsewhere than among the properties of a code.
_NO_PROPERTY = {"system", "code", "bcp47", "state", "definition", "abstract", "retired", *DISPLAYS}


class Wanted(Struct, forbid_unknown_fields=True):
    """A value set as the guide asks for it: the rows of one table that say what `where` says."""

    title: str
    table: str
    where: dict[str, str | list[str]] = {}
    without: dict[str, str | list[str]] = {}
    system: str = ""
    column: str = ""


class Guide(Struct, forbid_unknown_fields=True):
    """guides/terminology.toml. `base` is the address below which our own definitions stand."""

    base: str
    publisher: str
    value_set: dict[str, Wanted] = {}


def export(workspace: Workspace, folder: Path, *, partner: str = "") -> Counter[str]:
    """Write every definition into `folder` as ``Kind-id.json`` and count them by kind.

    The same tables give the same bytes. Raises UsageError for a partner that there is none of,
    TableError for a table that cannot be read or that makes no valid FHIR.
    """
    if partner and partner not in partners(workspace.settings.mappings.overlay):
        raise UsageError("no folder of tables has this partner")
    written: Counter[str] = Counter()
    found = list(definitions(workspace.vocabulary(partner)))  # all of it or nothing
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for resource in found:
        with private_file(folder / f"{resource['resourceType']}-{resource['id']}.json") as file:
            file.write(orjson.dumps(resource, option=orjson.OPT_INDENT_2) + b"\n")
        written[resource["resourceType"]] += 1
    return written


def definitions(vocabulary: Vocabulary) -> Iterator[Resource]:
    """The definitions that the tables of one partner make, checked against the models of fhir.resources."""
    _ = vocabulary.crosswalks  # a row that makes no sense is refused before anything is told of it
    making = _Making(vocabulary)
    told: set[tuple[str, str]] = set()
    for resource in (*making.code_systems(), *making.value_sets(), *making.concept_maps()):
        kind, id_ = resource["resourceType"], resource["id"]
        wrong = validate(resource, kind)
        if wrong:
            raise TableError(f"{kind} {id_} would not be valid FHIR: {'; '.join(wrong[:3])}")
        if (kind, id_) in told:
            raise TableError(f"two tables would both be the {kind} {id_}: give one of them another name")
        told.add((kind, id_))
        yield resource


class _Making:
    """What all definitions of one partner's tables share: addresses, sources, rows by system."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tables, self._codes = vocabulary.tables, vocabulary.codes
        try:
            self._guide = msgspec.convert(self._tables.document(GUIDE), Guide)
        except msgspec.ValidationError as error:
            raise TableError(f"{GUIDE}: {error}") from None
        self._base = self._guide.base.rstrip("/")
        self._systems = {row["system"]: row for row in self._tables.rows("codes/systems.csv")}
        self._rows: dict[str, list[tuple[str, str, Row]]] = {}
        for table in self._tables.names("codes", ".csv"):
            for row in self._tables.rows(table):
                system, code = named(table, row)
                self._rows.setdefault(system, []).append((table, code, row))
        self._listed = {(system, code) for system, rows in self._rows.items() for _, code, _ in rows}
        self._absent = {row["code"] for row in self._tables.rows("codes/absent_reasons.csv")}

    def code_systems(self) -> Iterator[Resource]:
        """One for each system of codes/systems.csv that has a table and that we may tell of."""
        for system, rows in sorted(self._rows.items()):
            content = self._systems.get(system, {}).get("content", "")
            if content and content not in CONTENTS:
                raise TableError(f"codes/systems.csv: {content!r} is no content; there are: {', '.join(CONTENTS)}")
            if content:
                yield self._code_system(system, rows, CONTENTS[content])

    def _code_system(self, system: str, rows: list[tuple[str, str, Row]], content: Content) -> Resource:
        uri = self._uri(system)
        tables = dict.fromkeys(table for table, _, _ in rows)
        title = self._systems[system]["title"]
        if content != "supplement":
            return code_system(self._about(system, uri, tables, title), _merged(rows), content)
        id_ = f"{system}-supplement"  # it adds to a system of others, under an address of ours
        about = self._about(id_, self._address("CodeSystem", id_), tables, f"{title}: what we add")
        return code_system(about, _merged(rows), content, uri)

    def value_sets(self) -> Iterator[Resource]:
        """Those that the guide lists; one that nothing is left in is not written, for FHIR has no empty list."""
        for id_, wanted in sorted(self._guide.value_set.items()):
            codes = self._chosen(id_, wanted)
            if codes:
                about = self._about(id_, self._address("ValueSet", id_), [wanted.table], wanted.title)
                yield value_set(about, codes)

    def _chosen(self, id_: str, wanted: Wanted) -> dict[str, dict[str, str]]:
        rows = self._tables.rows(wanted.table)
        unknown = {*wanted.where, *wanted.without, wanted.column or "code"} - {"code", *(rows[0] if rows else ())}
        if unknown:
            raise TableError(f"{GUIDE}: {wanted.table} has no column {min(unknown)} (value set {id_})")
        codes: dict[str, dict[str, str]] = {}
        for row in rows:
            own = named(wanted.table, row)
            system, code = (wanted.system, row[wanted.column]) if wanted.column else own
            if code and all(_says(row, wanted.where)) and not any(_says(row, wanted.without)):
                codes.setdefault(self._uri(system), {}).setdefault(code, display_of(row))
        return codes

    def concept_maps(self) -> Iterator[Resource]:
        """One for each crosswalk and each topic that its rows apply to: a map has no other place for that."""
        for table in self._tables.names("crosswalks", ".csv"):
            scopes: dict[str, list[Row]] = {}
            for row in self._tables.rows(table):
                scopes.setdefault(row["applies_to"], []).append(row)
            for scope, rows in sorted(scopes.items()):
                yield self._concept_map(table, scope, rows)
        yield self._spellings()

    def _spellings(self) -> Resource:
        """Languages in their systems: codes/languages.csv is the crosswalk, an empty cell says unmatched."""
        tables = ("codes/languages.csv", "codes/iso639_3.csv")
        common, rare = (self._tables.rows(table) for table in tables)
        spelled = [(system, row["bcp47"], row[column]) for system, column in SPELLINGS.items() for row in common]
        spelled += [("iso639-3", row["code"], row["code"]) for row in rare]
        id_ = "languages"
        about = self._about(id_, self._address("ConceptMap", id_), tables, "Languages in ISO 639 and NISO Z39.53")
        source = self._uri(LANGUAGE)
        return concept_map(
            about,
            (
                # An alias in what is received, yet a system of its own in a map: its codes differ.
                Mapped(source, tag, f"{self._base}/CodeSystem/{system}", code, "equivalent" if code else "unmatched")
                for system, tag, code in spelled
            ),
        )

    def _concept_map(self, table: str, scope: str, rows: list[Row]) -> Resource:
        topic = "any" if scope == ANY else scope
        id_ = f"{PurePosixPath(table).stem}-{topic}".replace("_", "-")
        title = self._source(table).get("title", PurePosixPath(table).stem)
        title += ", for any topic" if scope == ANY else f", for {topic.replace('_', ' ')}"
        about = self._about(id_, self._address("ConceptMap", id_), [table], title)
        return concept_map(about, (self._mapped(row) for row in rows))

    def _mapped(self, row: Row) -> Mapped:
        return Mapped(
            self._source_uri(row["source_system"], row["source_code"]),
            row["source_code"],
            self._uri(row["target_system"]),
            row["target_code"],
            row["relationship"],
            row.get("note", ""),
        )

    def _source_uri(self, named_: str, code: str) -> str:
        """Of an absent reason that senders put into a foreign system: that system has no such code, so the
        address is ours and not its publisher's."""
        system, _ = self._codes.system(named_)
        misplaced = code in self._absent and (system, code) not in self._listed
        return f"{self._base}/CodeSystem/{system}" if misplaced else self._uri(system)

    def _uri(self, named_: str) -> str:
        """The publisher's address of a system, else one of ours; empty for none."""
        system, _ = self._codes.system(named_)
        if not system or ":" in system:
            return system
        published = self._systems.get(system, {}).get("published_as")
        return published or self._codes.uris.get(system) or f"{self._base}/CodeSystem/{system}"

    def _address(self, kind: Kind, id_: str) -> str:
        """Ours. What one partner's folder makes of the tables is another definition."""
        return "/".join(part for part in (self._base, self._tables.partner, kind, id_) if part)

    def _source(self, table: str) -> dict[str, str]:
        found: dict[str, str] = self._tables.sources.get("table", {}).get(table, {})
        return found

    def _about(self, id_: str, url: str, tables: Iterable[str], title: str) -> About:
        sources = [self._source(table) for table in tables]
        editions = [*_each(sources, "edition"), *([f"as of {self._tables.partner}"] if self._tables.partner else [])]
        told = [f"{text}: {'; '.join(said)}." for text, name in _TOLD if (said := _each(sources, name))]
        return About(
            id=id_,
            url=url,
            title=title,
            version="; ".join(editions),
            date=max(_each(sources, "date"), default=""),
            publisher=self._guide.publisher,
            description=" ".join([f"{title}.", *told]),
            copyright="; ".join(_each(sources, "licence")),
        )


_TOLD = (("Source", "source"), ("How sure we are", "sure"))


def _each(sources: Iterable[Mapping[str, str]], name: str) -> list[str]:
    return list(dict.fromkeys(source[name] for source in sources if source.get(name)))


def _says(row: Row, wanted: Mapping[str, str | list[str]]) -> Iterator[bool]:
    return (row[column] in ([words] if isinstance(words, str) else words) for column, words in wanted.items())


def _merged(rows: list[tuple[str, str, Row]]) -> list[Defined]:
    """One definition for each code: of a code that several rows have, the first row names it."""
    merged: dict[str, Defined] = {}
    for _, code, row in rows:
        properties = _properties(row)
        if code in merged:
            properties |= merged[code].properties
        first = merged.get(code) or Defined(code, display_of(row), row.get("definition", ""))
        merged[code] = Defined(code, first.display, first.definition, properties)
    return list(merged.values())


def _properties(row: Row) -> dict[str, str | bool]:
    shown = next((column for column in DISPLAYS if row.get(column)), "")
    said: dict[str, str | bool] = {
        column: cell for column, cell in row.items() if cell and column not in _NO_PROPERTY and column != shown
    }
    if row.get("abstract") == "yes":
        said["notSelectable"] = True
    if row.get("status") == "retired":
        said["inactive"] = True
    if row.get("kind") and row.get("detail"):  # a detail of the OMB 2024 form stands below its category
        said["parent"] = row["category"]
    return said
