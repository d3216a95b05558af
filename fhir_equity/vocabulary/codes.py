"""Look codes up: topics, code systems, CDCREC with its true tree, languages, other answers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from msgspec import Struct

from fhir_equity.errors import TableError
from fhir_equity.model import Coding
from fhir_equity.tables import Row, Tables

CDCREC = "cdcrec"
LANGUAGE = "bcp47"
ROLLS_UP = frozenset(("direct", "inferred"))  # rows marked `review` never roll up by themselves

_TAG = re.compile(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$")


class Topic(Struct, frozen=True):
    """A slot that says which question was asked (mappings/codes/topics.csv).

    `matter` is what is decided together: a 1997 race and ethnicity are one matter, a spoken and a
    written language are two, though one `family`.
    """

    name: str
    family: str
    matter: str
    sensitive: bool
    label: str
    code_system: str


def fold(text: str) -> str:
    """A wording without case, accents, punctuation and doubled spaces, for exact comparison."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(kept.split())


def check_digit_is_right(code: str) -> bool:
    """Whether a CDCREC unique id (``2106-3``) ends in its mod-10 check digit."""
    digits = code.replace("-", "")
    if not re.fullmatch(r"\d{4}-\d", code):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


class Codes:
    """Every code table behind one reader. Built once per partner; look-ups are dictionary look-ups."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.topics = {row["topic"]: _topic(row) for row in tables.rows("codes/topics.csv")}
        systems = tables.rows("codes/systems.csv")
        self._systems, self._repaired, self.uris = _systems(systems)
        self.keys = {row["system"] for row in systems if not row["alias_of"]}
        self._closed = {row["system"] for row in systems if row["closed"] == "yes"}
        self.on_demand = {row["system"]: f"crosswalks/{row['on_demand']}.csv" for row in systems if row["on_demand"]}
        self.cdcrec = {row["code"]: row for row in tables.rows("codes/cdcrec.csv")}
        self._hierarchical = {r["hierarchical"]: r["code"] for r in self.cdcrec.values() if r["hierarchical"]}
        self._languages = _languages(tables.rows("codes/languages.csv"))
        self._iso639_3: dict[str, str] | None = None
        self._answers = {(r["system"], r["code"]): r for r in tables.rows("codes/answers.csv")}
        self._disclosing = {row["topic"] for row in self._answers.values() if row["sensitive"] == "yes"}
        self._absent = {(r["system"], r["code"]): r["display"] for r in tables.rows("codes/absent_reasons.csv")}
        self._iso639_2b = {row["bcp47"]: row["iso639_2b"] for row in tables.rows("codes/languages.csv")}
        self.x12_1109 = {row["code"]: row for row in tables.rows("codes/x12_1109.csv")}

    def topic(self, name: str) -> Topic:
        """A topic by name. Raises TableError for one that codes/topics.csv does not have."""
        if name not in self.topics:
            raise TableError(f"codes/topics.csv has no topic {name}")
        return self.topics[name]

    def system(self, named: str) -> tuple[str, bool]:
        """The key of a code system given by key, URI, OID or alias, and whether that was a repair.

        What codes/systems.csv does not know is returned unchanged.
        """
        key = self._systems.get(named, named)
        return key, named in self._repaired

    def closed(self, system: str) -> bool:
        """Whether our table of a system is the whole system, so that another code in it is illegal."""
        return system in self._closed

    def find(self, system: str, code: str) -> Coding | None:
        """A code of a canonical system with its display, or None when the system has no such code."""
        if system == CDCREC:
            return self._find_cdcrec(code)
        if system == LANGUAGE:
            return self.language(code)
        if system == "x12-1109":
            row = self.x12_1109.get(code)
            return row and Coding(system, code, row["display"])  # type: ignore[return-value]
        found = self._answers.get((system, code))
        return Coding(system, code, found["display"]) if found else None

    def _find_cdcrec(self, code: str) -> Coding | None:
        row = self.cdcrec.get(self._hierarchical.get(code.upper(), code))
        if row is None or row["abstract"]:
            return None
        return Coding(CDCREC, row["code"], row["display"])

    def language(self, code: str) -> Coding | None:
        """A BCP 47 language from a tag or an ISO 639-1, -2/B, -2/T or -3 code, in any case.

        The tag keeps its region and script; ``tl`` stays ``tl`` (RFC 5646; no canonicalisation that
        would merge two languages).
        """
        tag = code.strip().replace("_", "-")
        if not _TAG.match(tag):
            return None
        primary, _, rest = tag.partition("-")
        found = self._languages.get(primary.lower()) or self._rare(primary.lower())
        if found is None:
            return None
        bcp47, name = found
        return Coding(LANGUAGE, f"{bcp47}-{_subtags(rest)}" if rest else bcp47, name)

    def _rare(self, code: str) -> tuple[str, str] | None:
        """ISO 639-3 is read on the first miss only: most files never need its 7,500 rows."""
        if self._iso639_3 is None:
            self._iso639_3 = {row["code"]: row["name"] for row in self.tables.rows("codes/iso639_3.csv")}
        name = self._iso639_3.get(code)
        return (code, name) if name else None

    def sensitive(self, topic: str, codings: Iterable[Coding]) -> bool:
        """Whether an answer is sensitive: by its topic, or by a code that discloses (a sex of ``other``)."""
        marked = (self._answers.get((coding.system, coding.code)) for coding in codings)
        return self.topic(topic).sensitive or any(row and row["sensitive"] == "yes" for row in marked)

    def may_disclose(self, topic: str) -> bool:
        """Whether words that no table knows may be a sensitive answer to a topic, as another sex than two."""
        return topic in self._disclosing

    def absent(self, system: str, code: str) -> Coding:
        """An absent reason (null flavour or data-absent-reason) with its display."""
        return Coding(system, code, self._absent[(system, code)])

    def iso639_2b(self, tag: str) -> tuple[str, bool]:
        """The ISO 639-2/B code (= NISO Z39.53) of a BCP 47 tag, else the tag's own, and whether
        nothing was lost: regions and scripts have no place in ISO 639."""
        primary, _, rest = tag.partition("-")
        return self._iso639_2b.get(primary) or primary, not rest

    def wordings(self) -> Iterator[tuple[str, str, Coding]]:
        """(topic or family, wording, coding) of every official wording, for matching free text.

        The wordings of the OMB 2024 form come first, then the displays of the code systems.
        """
        for row in self.tables.rows("codes/omb2024.csv"):
            if row["cdcrec"]:
                yield "race_ethnicity", fold(row["detail"] or row["category"]), self._known(CDCREC, row["cdcrec"])
        yield from self._displays()
        for row in self.tables.rows("codes/languages.csv"):
            coding = Coding(LANGUAGE, row["bcp47"], _first_name(row["name"]))
            # "Spanish; Castilian" is two names; "No linguistic content; Not applicable" is no language.
            names = row["name"].split(";") if row["iso639_1"] else []
            for wording in (row["name"], *names):
                yield "language", fold(wording), coding
        for (system, code), row in self._answers.items():
            yield row["topic"], fold(row["display"]), Coding(system, code, row["display"])

    def _displays(self) -> Iterator[tuple[str, str, Coding]]:
        """CDCREC displays. One that two codes share names neither, unless the question tells which:
        Dominican is 2184-0 in the ethnicity table and 2069-3 in the race table."""
        sharing: dict[str, list[Row]] = {}
        for row in self.cdcrec.values():
            if not row["abstract"]:
                sharing.setdefault(fold(row["display"]), []).append(row)
        for wording, rows in sharing.items():
            for row in rows:
                coding = self._known(CDCREC, row["code"])
                if len(rows) == 1:
                    yield "race_ethnicity", wording, coding
                elif sum(other["table"] == row["table"] for other in rows) == 1:
                    yield row["table"].lower(), wording, coding

    def _known(self, system: str, code: str) -> Coding:
        coding = self.find(system, code)
        if coding is None:
            raise TableError(f"{system}|{code} is in no table")
        return coding

    def category_2024(self, code: str) -> str:
        """The OMB 2024 minimum category of a CDCREC code; empty where there is none or a row says review."""
        row = self.cdcrec.get(code)
        return row["omb2024"] if row and row["confidence"] in ROLLS_UP else ""

    def parents(self, code: str) -> list[str]:
        """The CDCREC codes above a code in the true tree, nearest first."""
        above: list[str] = []
        row = self.cdcrec.get(code)
        while row and row["parent"]:
            above.append(row["parent"])
            row = self.cdcrec.get(row["parent"])
        return above


def _topic(row: Row) -> Topic:
    sensitive = row["sensitive"] == "yes"
    return Topic(row["topic"], row["family"], row["matter"], sensitive, row["label"], row["code_system"])


def _systems(rows: tuple[Row, ...]) -> tuple[dict[str, str], set[str], dict[str, str]]:
    keys: dict[str, str] = {}
    repaired: set[str] = set()
    uris: dict[str, str] = {}
    for row in rows:
        target = row["alias_of"] or row["system"]
        keys[row["system"]] = target
        if row["uri"]:
            keys[row["uri"]] = target
            uris[row["system"]] = row["uri"]
        if row["repaired"]:
            repaired.add(row["system"])
    return keys, repaired, uris


def _languages(rows: tuple[Row, ...]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        for column in ("iso639_3", "iso639_2t", "iso639_2b", "iso639_1", "bcp47"):
            if row[column]:
                found[row[column].lower()] = (row["bcp47"], _first_name(row["name"]))
    return found


def _subtags(rest: str) -> str:
    """Region upper, script title, the others lower case, as RFC 5646 section 2.1.1 recommends."""
    return "-".join(p.upper() if len(p) == 2 else p.title() if len(p) == 4 else p.lower() for p in rest.split("-"))


def _first_name(names: str) -> str:
    """ISO 639-2 joins the names of a language with semicolons; the first is shown."""
    return names.split(";")[0].strip()
