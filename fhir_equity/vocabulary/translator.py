"""Follow the crosswalks from one code to another system, and say what is lost on the way."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.model import Coding, Relationship
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE
from fhir_equity.vocabulary.crosswalk import ANY
from fhir_equity.vocabulary.directory import Crossing, Directory

# The language systems that are columns of codes/languages.csv. NISO Z39.53 has the codes of
# ISO 639-2/B (Library of Congress, language source list).
SPELLINGS = {
    "iso639-1": "iso639_1",
    "iso639-2b": "iso639_2b",
    "iso639-2t": "iso639_2t",
    "iso639-3": "iso639_3",
    "niso-z3953": "iso639_2b",
}
_LANGUAGES = "codes/languages.csv"
_RARE = "codes/iso639_3.csv"
_PIVOTS = (CDCREC, "state")  # where two crosswalks may meet

_LOSS = {
    Relationship.EQUIVALENT: "",
    Relationship.WIDER: "the target says less",
    Relationship.NARROWER: "the target says more than the code does: a candidate, never applied",
    Relationship.INEXACT: "the two overlap and neither holds the other",
    Relationship.UNMATCHED: "no row leads there",
}


class Translation(Struct, frozen=True):
    """One target of a code. `coding` has no code where the relationship is `unmatched`.

    `rule` names the rows that say so (``table:code``, two joined by ``>``), `applies_to` the topic
    they hold for, `loss` what the target does not carry: empty where it is equivalent. `note` is
    what the rows add.
    """

    coding: Coding
    relationship: Relationship
    rule: str = ""
    edition: str = ""
    loss: str = ""
    applies_to: str = ANY
    note: str = ""


class Translator:
    """Translations under the tables of one partner; `look` remembers them."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._codes = directory, directory.codes
        tables = directory.tables
        self._languages = {row["bcp47"]: row for row in tables.rows(_LANGUAGES)}
        self._rare = {row["code"] for row in tables.rows(_RARE)}

    def __call__(self, coding: Coding, to: str) -> tuple[Translation, ...]:
        """The targets of a code in the system `to`, at least one."""
        found = self._language(coding, to)
        if found is None:
            found = self._coded(coding, to)
        return tuple(found) or (_unmatched(to),)

    def _coded(self, coding: Coding, to: str) -> list[Translation]:
        key = self._directory.key(coding.system, coding.code)
        target = self._codes.system(to)[0]
        if key[0] == CDCREC:
            key = (CDCREC, self._canonical(key[1]))
        direct = self._direct(key, target)
        if key[0] == target and not direct:
            known = self._directory.listed.get(key)
            return (
                [Translation(known[0].coding, Relationship.EQUIVALENT, "identity", known[0].edition)] if known else []
            )
        return direct or self._through(key, target)

    def _canonical(self, code: str) -> str:
        found = self._codes.find(CDCREC, code)
        return found.code if found else code

    def _direct(self, key: tuple[str, str], target: str) -> list[Translation]:
        rows = [row for row in self._directory.outward.get(key, ()) if row.target[0] == target]
        if key[0] == CDCREC and target in ("omb2024", "omb1997"):
            decided = self._decided(key[1], target, rows)
            if decided is not None:
                return [decided]
        matched = [row for row in rows if row.target[1]]
        return [self._translation(row) for row in matched or rows]

    def _decided(self, code: str, target: str, rows: list[Crossing]) -> Translation | None:
        """A roll-up that a steward's overlay of codes/cdcrec.csv decided; None where the row says it."""
        row = self._codes.cdcrec.get(code)
        if row is None or row["abstract"]:
            return None
        category = self._codes.category_2024(code) if target == "omb2024" else row["omb1997"]
        if category in {crossing.target[1] for crossing in rows}:
            return None
        edition = self._directory.tables.edition("codes/cdcrec.csv")
        if not category:
            return _unmatched(target)
        coding = self._display(target, category)
        return Translation(
            coding, Relationship.WIDER, f"cdcrec:{code}", edition, _LOSS[Relationship.WIDER], "race_ethnicity"
        )

    def _through(self, key: tuple[str, str], target: str) -> list[Translation]:
        """Two rows that meet in a CDCREC code or in a state."""
        found: dict[tuple[Coding, str], Translation] = {}
        for first in self._directory.outward.get(key, ()):
            if first.target[0] not in _PIVOTS or not first.target[1]:
                continue
            leg = self._translation(first)
            pivot = self._directory.key(*first.target)
            for second in self._direct(pivot, target):
                scope = _scope(leg.applies_to, second.applies_to)
                if scope:
                    both = _compose(leg, second, scope)
                    found.setdefault((both.coding, both.applies_to), both)
        return list(found.values())

    def _translation(self, row: Crossing) -> Translation:
        edition = self._directory.tables.edition(row.table)
        coding = self._display(*row.target)
        loss = _loss(row.relationship, row.note)
        return Translation(coding, row.relationship, row.rule, edition, loss, row.applies_to, row.note)

    def _display(self, system: str, code: str) -> Coding:
        listed = self._directory.listed.get((system, code))
        return listed[0].coding if listed else Coding(system, code)

    def _language(self, coding: Coding, to: str) -> list[Translation] | None:
        """Languages among their systems; None where either end is something else."""
        named = coding.system if coding.system in SPELLINGS else self._codes.system(coding.system)[0]
        target = to if to in SPELLINGS else self._codes.system(to)[0]
        known = {*SPELLINGS, LANGUAGE, "iso639"}
        if named not in known or target not in known:
            return None
        if named in SPELLINGS and not self._is_spelled(named, coding.code):
            return []
        language, relationship, rule = self._tag(coding.code)
        if language is None:
            return []
        primary, _, rest = language.code.partition("-")
        table = _LANGUAGES if primary in self._languages else _RARE
        edition = self._directory.tables.edition(table)
        code = language.code if target == LANGUAGE else self._spelling(target, primary)
        if not code:
            loss = "the system has no code for it; a code of a wider group is not taken"
            return [Translation(Coding(to, ""), Relationship.UNMATCHED, rule, edition, loss, "language")]
        loss = ""
        if rest and target != LANGUAGE:
            relationship, loss = Relationship.WIDER, "region and script have no place there"
        return [Translation(Coding(target, code, language.display), relationship, rule, edition, loss, "language")]

    def _tag(self, code: str) -> tuple[Coding | None, Relationship, str]:
        """The BCP 47 language of a code in any of the systems; a withdrawn code by its crosswalk row."""
        primary, dash, rest = code.replace("_", "-").partition("-")
        rows = self._directory.outward.get((LANGUAGE, primary.lower()), ())
        step = next((row for row in rows if row.target[0] == LANGUAGE and row.target[1]), None)
        if step is not None:
            return self._codes.language(f"{step.target[1]}{dash}{rest}"), step.relationship, step.rule
        found = self._codes.language(code)
        return found, Relationship.EQUIVALENT, f"languages:{found.code}" if found else ""

    def _is_spelled(self, system: str, code: str) -> bool:
        found = self._codes.language(code)
        return found is not None and self._spelling(system, found.code) == code.lower()

    def _spelling(self, system: str, tag: str) -> str:
        row = self._languages.get(tag)
        if system == "iso639":  # what an 834 sends: the bibliographic code, else the tag's own
            return self._codes.iso639_2b(tag)[0]
        if row is None:
            return tag if system == "iso639-3" and tag in self._rare else ""
        return row[SPELLINGS[system]]


def _unmatched(to: str) -> Translation:
    return Translation(Coding(to, ""), Relationship.UNMATCHED, loss=_LOSS[Relationship.UNMATCHED])


def _scope(first: str, second: str) -> str:
    """The narrower of two scopes, empty where they do not meet."""
    if ANY in (first, second):
        return second if first == ANY else first
    return first if first == second else ""


def _compose(first: Translation, second: Translation, scope: str) -> Translation:
    rule, edition = f"{first.rule} > {second.rule}", f"{first.edition} > {second.edition}"
    relationship = _joined(first.relationship, second.relationship)
    note = "; ".join(dict.fromkeys(text for text in (first.note, second.note) if text))
    return Translation(second.coding, relationship, rule, edition, _loss(relationship, note), scope, note)


def _loss(relationship: Relationship, note: str) -> str:
    return "" if relationship is Relationship.EQUIVALENT else note or _LOSS[relationship]


def _joined(first: Relationship, second: Relationship) -> Relationship:
    """How two steps relate in one: the loss never shrinks on the way."""
    if Relationship.UNMATCHED in (first, second):
        return Relationship.UNMATCHED
    if first is Relationship.EQUIVALENT or first is second:
        return second
    return first if second is Relationship.EQUIVALENT else Relationship.INEXACT
