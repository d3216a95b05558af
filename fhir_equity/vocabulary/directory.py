"""Every code of every table and every crosswalk row, by the code: what `look` answers from."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fhir_equity.model import Coding, Relationship
from fhir_equity.tables import Row, Tables, own_tables, partners
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes, fold

# The tables whose rows have no `system` column, and the column that holds the code.
_ONE_SYSTEM = (
    ("codes/cdcrec.csv", CDCREC, "code"),
    ("codes/x12_1109.csv", "x12-1109", "code"),
    ("codes/omb1997.csv", "omb1997", "code"),
    ("codes/languages.csv", LANGUAGE, "bcp47"),
    ("codes/iso639_3.csv", LANGUAGE, "code"),
    ("codes/states.csv", "state", "state"),
)
OMB2024 = "codes/omb2024.csv"
DISPLAYS = ("display", "detail", "category", "name", "label")  # the first that a row has
WORDING = "wording"

Key = tuple[str, str]


class Listed(Struct, frozen=True):
    """One row of one code table."""

    coding: Coding
    table: str
    edition: str
    status: str
    note: str


class Crossing(Struct, frozen=True):
    """One row of one crosswalk, with its ends in canonical systems."""

    source: Key
    target: Key
    relationship: Relationship
    rule: str
    applies_to: str
    note: str
    table: str


class Directory:
    """The index over the tables of one partner, built on first use."""

    def __init__(self, codes: Codes) -> None:
        self.codes = codes
        self.tables = codes.tables
        self.listed: dict[Key, list[Listed]] = {}
        self.spelled: dict[str, list[Key]] = {}
        self.outward: dict[Key, list[Crossing]] = {}
        self.inward: dict[Key, list[Crossing]] = {}
        for name in self.tables.names("codes", ".csv"):
            for listed in _listed(self.tables, name):
                self._add(listed)
        for name in self.tables.names("crosswalks", ".csv"):
            for row in self.tables.rows(name):
                self._link(name, row)
        for row in codes.cdcrec.values():
            self._spell(row["hierarchical"], (CDCREC, row["code"]))
        self._name_codes()

    def _name_codes(self) -> None:
        """The official wordings of codes are words too, where no row of a crosswalk says otherwise."""
        for topic, wording, coding in self.codes.wordings():
            known = self.outward.setdefault((WORDING, wording), [])
            named = self.listed.get((coding.system, coding.code))
            if named and all(row.applies_to != topic for row in known):
                rule, table = f"display:{coding.system}", named[0].table
                target = (coding.system, coding.code)
                known.append(Crossing((WORDING, wording), target, Relationship.EQUIVALENT, rule, topic, "", table))

    def _add(self, listed: Listed) -> None:
        key = (listed.coding.system, listed.coding.code)
        self.listed.setdefault(key, []).append(listed)
        self._spell(listed.coding.code, key)

    def _spell(self, code: str, key: Key) -> None:
        keys = self.spelled.setdefault(code.casefold(), [])
        if key not in keys:
            keys.append(key)

    def _link(self, name: str, row: Row) -> None:
        rule = f"{name.removeprefix('crosswalks/').removesuffix('.csv')}:{row['source_code']}"
        source = self.key(row["source_system"], row["source_code"])
        target = self.key(row["target_system"], row["target_code"])
        relationship = Relationship(row["relationship"])
        link = Crossing(source, target, relationship, rule, row["applies_to"], row["note"], name)
        self.outward.setdefault(source, []).append(link)
        if row["target_code"]:
            self.inward.setdefault(target, []).append(link)
        self._spell(source[1], source)

    def key(self, system: str, code: str) -> Key:
        """A code under its canonical system; words are folded, as they are compared."""
        system = self.codes.system(system)[0]
        return system, fold(code) if system == WORDING else code

    def treated_otherwise(self) -> dict[str, set[Key]]:
        """For every partner with a sheet, the codes that the sheet treats otherwise than the base."""
        base = Tables(overlay=self.tables.overlay)
        return {name: self._differing(base, Tables(name, base.overlay)) for name in partners(base.overlay)}

    def _differing(self, base: Tables, partner: Tables) -> set[Key]:
        differing: set[Key] = set()
        for name in own_tables(partner.partner, partner.overlay):
            ours = self._rows(base, name) if base.has(name) else {}
            theirs = self._rows(partner, name)
            differing |= {key for key in ours.keys() | theirs if ours.get(key) != theirs.get(key)}
        return differing

    def _rows(self, tables: Tables, name: str) -> dict[Key, list[Row]]:
        """The rows of a table by code, without the cells that are empty (an overlay may add columns)."""
        found: dict[Key, list[Row]] = {}
        for row in tables.rows(name):
            key = self.key(*named(name, row))
            found.setdefault(key, []).append({column: cell for column, cell in row.items() if cell})
        return found


def named(name: str, row: Row) -> Key:
    """The system and the code that a row of a table is about; empty for tables of something else."""
    if name.startswith("crosswalks/"):
        return row["source_system"], row["source_code"]
    for table, system, column in _ONE_SYSTEM:
        if name == table:
            return system, row[column]
    if name == OMB2024:
        return "omb2024", row["category"] if row["kind"] == "minimum" else f"{row['category']}: {row['detail']}"
    return (row["system"], row["code"]) if "system" in row and "code" in row else ("", "")


def _listed(tables: Tables, name: str) -> Iterator[Listed]:
    edition = ""
    for row in tables.rows(name):
        system, code = named(name, row)
        if code:
            edition = edition or tables.edition(name)
            own = row.get("edition", "")
            status = row.get("status") or "active"
            yield Listed(Coding(system, code, display_of(row)), name, own or edition, status, row.get("note", ""))


def display_of(row: Row) -> str:
    """What the code of a row is called, in the column that its table has for that."""
    return next((row[column] for column in DISPLAYS if row.get(column)), "")
