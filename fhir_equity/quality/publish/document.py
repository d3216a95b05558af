"""An audit document -> the one that may be published, with how that was tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.quality.publish.body import Body
from fhir_equity.quality.publish.cells import Key
from fhir_equity.quality.publish.counts import Counts, Path
from fhir_equity.quality.publish.earlier import Publication, compare, remembered
from fhir_equity.quality.publish.programs import take_programs
from fhir_equity.quality.publish.protect import Protection, protect
from fhir_equity.quality.publish.rule import Rule
from fhir_equity.quality.publish.selection import select
from fhir_equity.quality.publish.strata import take_strata

# What is taken over without counts. All else is left out unless it is a count that was taken in.
ABOUT = ("schema", "generated", "software", "languages", "groups", "editions")
LIMITS = ("threshold", "at_least", "at_most", "compliance_at_least", "compliance_at_most")
DROPPED = object()
_MADE_HERE = object()


class Internal(Struct):
    """A document that is not suppressed, and says so. Raises ValueError for one that does not."""

    document: dict[str, Any]

    def __post_init__(self) -> None:
        if self.document.get("audience") != "internal":
            raise ValueError("an internal report needs a document of audience internal")

    @property
    def held(self) -> bool:
        """Nothing is hidden, so nothing can be found out."""
        return True


class Published(Struct):
    """A document of audience ``public``, whether it may go out, and what is remembered of it when it does.

    `found` names the cells that the attacker found out, without their values. Only `publish` makes one: what takes
    a Published cannot be handed counts that nobody has attacked. Raises ValueError for anybody else's.
    """

    document: dict[str, Any]
    found: list[str]
    publication: Publication
    made: object = None

    def __post_init__(self) -> None:
        if self.made is not _MADE_HERE:
            raise ValueError("only publish() makes what may be published")

    @property
    def held(self) -> bool:
        """Whether the attacker found nothing."""
        return not self.found


Report = Internal | Published  # what a report is written of


def publish(
    document: Mapping[str, Any], rule: Rule, earlier: Iterable[Publication] = (), partner: str = ""
) -> Published:
    """Hide what must not be told in an audit document, and attack the result.

    `earlier` are the publications that readers have; `partner` is the one that was audited, if it was one.
    Raises UsageError without scipy (the extra ``reports``).
    """
    selected = select(document, rule)
    document, left_out = selected.document, selected.left_out
    counts = Counts(rule.least, selected.silent)
    body = Body(counts, (), (), document, [*document["topics"]])
    lines = take_strata(counts, document["strata"])
    take_programs(counts, document["programs"], body, rule.matters, lines)
    data = _data(document)
    scope: Key = ("strata", f"partner={partner}") if partner else ()
    compared = compare(counts.cells, scope, [*earlier], data)
    protection = protect(counts.cells, rule.width)
    public = _Public(counts).of(document, left_out)
    public["release"] = _release(rule, protection, left_out, compared)
    found = sorted("/".join(key) for key in protection.attack.found)
    return Published(public, found, remembered(counts.cells, scope, data, document["generated"]), _MADE_HERE)


def _data(document: Mapping[str, Any]) -> str:
    """What the numbers were counted from: the same digest means the same data."""
    run = document["run"]
    return " ".join(sorted(str(given.get("sha256", "")) for given in run["inputs"])) + f" {run['as_of']}"


class _Public:
    """Copies what may be told: words, limits, and counts that are not hidden."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def of(self, document: Mapping[str, Any], left_out: list[str]) -> dict[str, Any]:
        public = {name: document[name] for name in ABOUT if name in document}
        public |= {"audience": "public", "run": _run(document["run"])}
        for part in ("population", "topics", "views", "strata", "programs"):
            public[part] = self._copy((part,), document.get(part, {}))
        for program in public["programs"].values():
            _judge(program)
        told = public["views"].get("detailed", {})
        if "groups" in public:
            public["groups"] = {
                code: public["groups"][code] for code in told if told[code] and code in public["groups"]
            }
        left_out += sorted(set(document) - set(public) - {"audience"})
        return dict(sorted(public.items(), key=lambda item: [*document].index(item[0])))

    def _copy(self, path: Path, value: Any) -> Any:
        if path in self._counts.silent:
            return DROPPED
        if isinstance(value, Mapping):
            copies = {name: self._copy((*path, name), inner) for name, inner in value.items()}
            return _ordered({name: copy for name, copy in copies.items() if copy is not DROPPED})
        if isinstance(value, list):
            copies_ = (self._copy((*path, place), inner) for place, inner in enumerate(value))
            told = [copy for copy in copies_ if copy is not DROPPED and copy != {}]
            return sorted(told, key=_most_first) if path[-1] == "combinations" else told
        if path in self._counts.places:
            cell = self._counts.cells.cells[self._counts.places[path]]
            return None if cell.hidden else cell.value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return DROPPED if number and path[-1] not in (*LIMITS, "rate", "more") else value


def _ordered(copies: dict[str, Any]) -> dict[str, Any]:
    """Counts of which some are hidden, in an order that does not tell between which others those are."""
    counts = [copy["any"] if isinstance(copy, Mapping) and "any" in copy else copy for copy in copies.values()]
    if None not in counts or any(isinstance(each, bool) or not isinstance(each, int | None) for each in counts):
        return copies
    keys = {name: (each is None, -(each or 0), name) for name, each in zip(copies, counts, strict=True)}
    return {name: copies[name] for name in sorted(copies, key=keys.__getitem__)}


def _most_first(entry: Mapping[str, Any]) -> tuple[bool, int, list[str]]:
    """The same for combinations."""
    return entry["count"] is None, -(entry["count"] or 0), entry["categories"]


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    """The day and the digests of what was read; sizes and counts of records are nobody's business."""
    inputs = [
        {name: given[name] for name in ("name", "sha256", "format") if name in given}
        | {"members": None, "rejected": None}
        for given in run["inputs"]
    ]
    about = {name: run[name] for name in ("as_of", "partner", "by", "versions") if name in run}
    return {**about, "inputs": inputs}


def _judge(program: dict[str, Any]) -> None:
    """Take away what tells a hidden count: rates, limits met, how many more are asked for."""
    for row in program["rows"]:
        told = [row["denominator"], *row.get("values", {}).values()]
        told += [] if "values" in row else [row["numerator"]]
        if None in told:
            row |= {"rate": None, "met": None, "compliant": None, "more": None}
    if any(row["decides"] and row["met"] is None for row in program["rows"]):
        program["met"] = None


def _release(rule: Rule, protection: Protection, left_out: list[str], compared: int) -> dict[str, Any]:
    """How the document was made fit to publish, and how that was tested."""
    return {
        "floor": rule.floor,
        "sensitive_floor": rule.least_sensitive,
        "width": rule.width,
        "hidden_small": protection.primary,
        "hidden_to_protect": protection.secondary,
        "attacked": protection.attack.attacked,
        "found": len(protection.attack.found),
        "rounds": protection.rounds,
        "earlier": compared,
        "left_out": left_out,
    }
