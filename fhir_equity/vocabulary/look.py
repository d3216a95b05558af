"""Look a code up, translate it, view a member: what the tables know, asked from outside.

Nothing is decided here. `lookup` shows every row about a code, `translate` follows the crosswalks
(one row, or two that meet in a CDCREC code or a state) and says the loss, `view` computes a view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.model import Coding, Member, Relationship
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE
from fhir_equity.vocabulary.directory import WORDING, Crossing, Directory, Key, Listed
from fhir_equity.vocabulary.schema import Schemas, View1997, View2024
from fhir_equity.vocabulary.translator import SPELLINGS, Translation, Translator

if TYPE_CHECKING:
    from fhir_equity.vocabulary import Vocabulary

_RACE = "race_ethnicity"
_APPLIED = (Relationship.EQUIVALENT, Relationship.WIDER, Relationship.INEXACT)


class Link(Struct, frozen=True):
    """One crosswalk row seen from one of its ends. `system` and `code` are the other end."""

    system: str
    code: str
    relationship: Relationship
    rule: str
    applies_to: str
    note: str = ""


class Entry(Struct, frozen=True):
    """What one table says about one code.

    `omb2024` and `omb1997` are the categories it counts in, empty where there is none, where a row
    says review, or where it could be several. `partners` have a sheet that treats the code otherwise.
    """

    system: str
    code: str
    display: str
    table: str
    edition: str
    status: str = "active"
    note: str = ""
    parents: tuple[Coding, ...] = ()
    omb2024: str = ""
    omb1997: str = ""
    to: tuple[Link, ...] = ()
    from_: tuple[Link, ...] = ()
    partners: tuple[str, ...] = ()


class Look:
    """Answers of one vocabulary, each worked out once."""

    def __init__(self, directory: Directory, schemas: Schemas) -> None:
        self.directory, self._codes, self._schemas = directory, directory.codes, schemas
        self._translator = Translator(directory)
        self._partners: dict[str, set[Key]] | None = None
        self.looked_up: dict[tuple[str, str], tuple[Entry, ...]] = {}
        self.translated: dict[tuple[Coding, str], tuple[Translation, ...]] = {}

    def lookup(self, code: str, system: str) -> tuple[Entry, ...]:
        """The entries of a code in any spelling, of one system or of all."""
        entries = [entry for key in self._keys(code, system) for entry in self._entries(key)]
        return tuple(entries)

    def translate(self, coding: Coding, to: str) -> tuple[Translation, ...]:
        """What the code becomes in another system. Raises UsageError for a system no table has."""
        if to not in SPELLINGS and self._codes.system(to)[0] not in self._codes.keys:
            raise UsageError(f"codes/systems.csv has no system {to}")
        return self._translator(coding, to)

    def _keys(self, code: str, system: str) -> list[Key]:
        wanted = LANGUAGE if system in SPELLINGS else self._codes.system(system)[0] if system else ""
        wanted = {"iso639": LANGUAGE, "cdcrec-hierarchical": CDCREC}.get(wanted, wanted)
        keys = list(self.directory.spelled.get(code.strip().casefold(), ()))
        words = self.directory.key(WORDING, code)
        if words in self.directory.outward and words not in keys:
            keys.append(words)
        language = self._codes.language(code)
        if language is not None:
            keys = [key for key in keys if key != (LANGUAGE, code.strip().casefold())]
            keys.insert(0, (LANGUAGE, language.code))
        return [key for key in keys if wanted in ("", key[0])]

    def _entries(self, key: Key) -> list[Entry]:
        system, code = key
        found = self.directory.listed.get(key, [])
        if not found and system == LANGUAGE and "-" in code:  # a region is part of no table
            language = self._codes.language(code)
            primary = self.directory.listed.get((LANGUAGE, code.partition("-")[0]), [])
            found = [
                Listed(language, row.table, row.edition, row.status, "With subtags: RFC 5646")
                for row in primary
                if language is not None
            ]
        if not found:  # a code that only crosswalks know: a withdrawn one, a partner's, words
            found = [
                Listed(Coding(system, code), table, self.directory.tables.edition(table), "", "")
                for table in dict.fromkeys(row.table for row in self.directory.outward.get(key, ()))
            ]
        return [self._entry(key, listed) for listed in found]

    def _entry(self, key: Key, listed: Listed) -> Entry:
        system, code = key
        cdcrec = self._cdcrec(key)
        return Entry(
            system=system,
            code=code,
            display=listed.coding.display,
            table=listed.table,
            edition=listed.edition,
            status=listed.status,
            note=listed.note,
            parents=self._parents(key),
            omb2024=_only({self._codes.category_2024(code) for code in cdcrec}),
            omb1997=_only({self._category_1997(code) for code in cdcrec}),
            to=tuple(_link(row, row.target) for row in self.directory.outward.get(key, ())) + self._spellings(key),
            from_=tuple(_link(row, row.source) for row in self.directory.inward.get(key, ())),
            partners=self._treating_otherwise(key),
        )

    def _cdcrec(self, key: Key) -> list[str]:
        if key[0] == CDCREC:
            return [key[1]]
        rows = self.directory.outward.get(key, ())
        return [row.target[1] for row in rows if row.target[0] == CDCREC and row.relationship in _APPLIED]

    def _category_1997(self, code: str) -> str:
        row = self._codes.cdcrec[code]
        known = self._schemas.races_1997 | self._schemas.ethnicities_1997
        return known.get(row["omb1997"], "")

    def _parents(self, key: Key) -> tuple[Coding, ...]:
        system, code = key
        if system == CDCREC:
            rows = self._codes.cdcrec
            return tuple(Coding(CDCREC, above, rows[above]["display"]) for above in self._codes.parents(code))
        category, colon, _ = code.partition(": ")
        return (Coding(system, category, category),) if system == "omb2024" and colon else ()

    def _spellings(self, key: Key) -> tuple[Link, ...]:
        if key[0] != LANGUAGE:
            return ()
        found = [self._translator(Coding(*key), system)[0] for system in SPELLINGS]
        return tuple(Link(t.coding.system, t.coding.code, t.relationship, t.rule, "language", t.loss) for t in found)

    def _treating_otherwise(self, key: Key) -> tuple[str, ...]:
        if self._partners is None:
            self._partners = self.directory.treated_otherwise()
        return tuple(name for name, keys in self._partners.items() if key in keys)


def lookup(vocabulary: Vocabulary, code: str, system: str = "") -> tuple[Entry, ...]:
    """Everything the tables say about a code, in any spelling: one entry for each table that has it."""
    look = vocabulary.look
    found = look.looked_up.get((code, system))
    if found is None:
        found = look.looked_up[code, system] = look.lookup(code, system)
    return found


def translate(vocabulary: Vocabulary, coding: Coding, to: str) -> tuple[Translation, ...]:
    """What a code becomes in another system, with relationship, rule, edition and loss.

    Where nothing says it, one translation without a code and with the relationship `unmatched`.
    A `narrower` translation says more than the code does: a candidate for a person to decide.
    Raises UsageError for a target system that codes/systems.csv does not have.
    """
    look = vocabulary.look
    found = look.translated.get((coding, to))
    if found is None:
        found = look.translated[coding, to] = look.translate(coding, to)
    return found


def view(vocabulary: Vocabulary, member: Member, schema: str) -> View2024 | View1997:
    """One record's race and ethnicity as ``omb2024`` or ``omb1997`` sees them.

    Answers are united only within one collection event; of several in the record the one collected
    last is taken. Which source wins across records is survivorship, not a view. Raises UsageError
    for another schema.
    """
    if schema not in ("omb2024", "omb1997"):
        raise UsageError("a view is omb2024 or omb1997")
    answers = [a for a in member.answers if vocabulary.codes.topic(a.topic).family == _RACE]
    latest = max((a.origin for a in answers), key=lambda origin: origin.collected_on, default=None)
    meanings = [vocabulary.meaning(a.received) for a in answers if a.origin == latest]
    standard = latest.standard if latest else ""
    schemas = vocabulary.schema
    return schemas.omb2024(meanings, standard) if schema == "omb2024" else schemas.omb1997(meanings, standard)


def _link(row: Crossing, other: Key) -> Link:
    return Link(*other, row.relationship, row.rule, row.applies_to, row.note)


def _only(categories: set[str]) -> str:
    found = categories - {""}
    return found.pop() if len(found) == 1 else ""
