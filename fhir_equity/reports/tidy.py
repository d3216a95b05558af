"""The audit as tidy tables: one row for each count, real numbers, for spreadsheets, CSV and evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from fhir_equity.reports import labels
from fhir_equity.reports.assurance import NOT_MEASURED
from fhir_equity.reports.figures import Document

Value = str | int | float | bool | None
Row = tuple[Value, ...]


class Tidy(Struct, frozen=True):
    """A table by name. A count or rate that is withheld is None, and `hidden` of its row is True."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def tidy(document: Document) -> list[Tidy]:
    """Every count of the document. Each `count` has its `whole`; where that is given, the counts of one kind that it
    has add up to it unless people can be in several (values, sources, categories in combination).
    """
    counts = [row for by, body in _bodies(document) for row in _body(by, body)]
    tables = [
        Tidy("about", ("name", "value"), tuple(_about(document))),
        Tidy("inputs", _INPUT, tuple(tuple(given.get(name) for name in _INPUT) for given in document["run"]["inputs"])),
        Tidy("counts", ("stratum", "part", "topic", "source", "name", "count", "whole", "hidden"), tuple(counts)),
        Tidy("populations", ("program", *_PEOPLE), tuple(_populations(document))),
        Tidy("rates", ("program", *_RATE, "hidden", *_RULE), tuple(_rates(document))),
        Tidy("excluded", ("program", *_EXCLUDED), tuple(_excluded(document))),
        Tidy("distributions", ("program", *_VALUE, "hidden"), tuple(_distributions(document))),
        Tidy("tables", ("program", *_CELL, "hidden"), tuple(_cells(document))),
        Tidy("scorecard", _SCORE, tuple(_listed(document.get("scorecard", ()), _SCORE))),
        Tidy("agreement", ("topic", "source", "people", *_AGREEMENT), tuple(_agreement(document))),
        Tidy("comparison", ("county", *_COMPARED), tuple(_compared(document))),
        Tidy("cases", ("topic", "kind", "state", "days", "count"), tuple(_cases(document))),
        Tidy("disclosures", _TOLD, tuple(_listed(document.get("disclosures", ()), _TOLD))),
        Tidy("kept_back", _KEPT, tuple(_listed(document.get("kept_back", ()), _KEPT))),
        Tidy("controls", _CONTROL, tuple(_listed(document.get("controls", ()), _CONTROL))),
        Tidy("trend", ("part", "name", "then", "now"), tuple(_trend(document))),
        Tidy("findings", _FINDING, tuple(_listed(document.get("findings", ()), _FINDING))),
        Tidy("losses", _LOSS, tuple(_listed(document.get("losses", ()), _LOSS))),
    ]
    return [table for table in tables if table.rows]


_OTHERS = ("methods", "questions", "settled")
_INPUT = ("name", "format", "sha256", "bytes", "members", "rejected")
_RATE = ("measure", "topic", "line", "numerator", "denominator", "rate", "threshold", "met", "source", "sure")
# What a row asks for, and whom it counts: with these the verdicts can be checked, too.
_RULE = (
    *("title", "kind", "rule", "at_least", "at_most", "compliance_at_least", "compliance_at_most", "compliant"),
    *("decides", "more", "stale", "nobody", "note"),
)
_EXCLUDED = ("measure", "topic", "line", "why", "count", "denominator")
_VALUE = ("measure", "topic", "line", "value", "count", "whole", "reference")
_CELL = ("table", "topic", "line", "row", "column", "count", "whole")
_FINDING = ("code", "severity", "count", "message")
_LOSS = ("rule", "relationship", "count")
_PEOPLE = ("enrolled", "from", "to", "counted", "assumed", "left_out", "title", "edition", "source", "sure", "note")
_SCORE = ("source", "topic", "answered", "not_mapped", "detailed", "stale", "dated", "commonest", "cases")
_AGREEMENT = (
    *("category", "both", "self_only", "source_only", "neither"),
    *("sensitivity", "ppv", "specificity", "kappa"),
)
_COMPARED = ("category", "people", "share", "population_share", "difference", "differs")
_TOLD = (
    *("recipient", "topics", "purpose", "basis", "rule", "state"),
    *("records", "people", "first", "last"),
)
_KEPT = ("recipient", "topic", "members")
_CONTROL = ("control", "checked", "found", "passed")


def _about(document: Document) -> Iterator[Row]:
    for name in ("schema", "audience", "generated", "software", "population"):
        yield name, document.get(name)
    run = document["run"]
    yield "as_of", run["as_of"]
    yield "partner", run.get("partner", "")
    yield "by", "; ".join(run.get("by", ()))
    for name, version in run.get("versions", {}).items():
        yield f"version of {name}", version
    yield from NOT_MEASURED.items()
    for rule, why in document.get("rules", {}).items():
        yield f"rule {rule}", why
    for name, value in document.get("release", {}).items():
        yield f"release {name}", ", ".join(value) if isinstance(value, list) else value
    for name, edition in document.get("editions", {}).items():
        yield f"edition of {name}", edition


def _bodies(document: Document) -> Iterator[tuple[str, Document]]:
    yield "", document
    for stratum in document.get("strata", ()):
        yield ", ".join(f"{name}={value}" for name, value in stratum["by"].items()), stratum


def _body(by: str, body: Document) -> Iterator[Row]:
    people = body["population"]
    yield _count(by, "population", "", "", "people", people, None)
    for topic, given in body.get("topics", {}).items():
        answered = given["states"].get("answered", 0)
        for part, whole in (
            ("states", people),
            ("ages", answered),
            ("values", answered),
            *((p, None) for p in _OTHERS),
        ):
            for name, count in given.get(part, {}).items():
                yield _count(by, part, topic, "", name, count, whole)
        for name in ("detailed", "unmapped", "provisional", "undated"):
            if name in given:
                yield _count(by, name, topic, "", name, given[name], answered)
        for source in given.get("sources", ()):
            for name, count in source["states"].items():
                yield _count(by, "source", topic, source["source"], name, count, source["population"])
    yield from _views(by, body.get("views", {}))


def _agreement(document: Document) -> Iterator[Row]:
    for topic, sources in document.get("concordance", {}).items():
        for source in sources:
            for given in source["categories"]:
                yield topic, source["source"], source["people"], *(given[name] for name in _AGREEMENT)


def _compared(document: Document) -> Iterator[Row]:
    for county in document.get("population_comparison", ()):
        yield from ((county["county"], *(given[name] for name in _COMPARED)) for given in county["categories"])


def _cases(document: Document) -> Iterator[Row]:
    for given in document.get("cases", ()):
        about = given["topic"], given["kind"]
        yield *about, "decided", "", given["decided"]
        yield from ((*about, "waiting", days, count) for days, count in given["days"].items())


def _trend(document: Document) -> Iterator[Row]:
    given = document.get("trend")
    if given is None:
        return
    for each in given["known"]:
        yield "known", each["topic"], each["before"], each["now"]
    for each in given["programs"]:
        name = f"{each['program']}: {each['measure']} {each['line']}".rstrip()
        name += labels.OTHERWISE if each.get("counted_otherwise") else ""
        yield "rate", name, each["before"], each["now"]
    for became, entries in given["findings"].items():
        for each in entries:
            then, now = each.get("before", each["count"]), each["count"]
            yield became, each["code"], *{"new": (None, now), "resolved": (then, None)}.get(became, (then, now))


def _views(by: str, views: Mapping[str, Any]) -> Iterator[Row]:
    new, old = views.get("omb2024", {}), views.get("omb1997", {})
    for name, given in new.get("categories", {}).items():
        for way in ("any", "alone"):
            yield _count(by, f"omb2024 {way}", "race_ethnicity", "", name, given[way], new["answered"])
    for name in ("multiracial_or_multiethnic", "without_category"):
        if name in new:
            yield _count(by, "omb2024 alone", "race_ethnicity", "", name, new[name], new["answered"])
    for given in new.get("combinations", ()):
        name, several = " + ".join(given["categories"]), new["multiracial_or_multiethnic"]
        yield _count(by, "omb2024 combination", "race_ethnicity", "", name, given["count"], several)
    for part, given in old.items():
        for name, count in (given if isinstance(given, Mapping) else {part: given}).items():
            yield _count(by, f"omb1997 {part}", "race_ethnicity", "", name, count, new.get("answered"))
    for name, count in views.get("detailed", {}).items():
        yield _count(by, "detailed group", "race_ethnicity", "", name, count, new.get("answered"))


def _count(by: str, part: str, topic: str, source: str, name: str, count: int | None, whole: int | None) -> Row:
    return by, part, topic, source, name, count, whole, count is None


def _populations(document: Document) -> Iterator[Row]:
    for program, given in sorted(document.get("programs", {}).items()):
        about = {**given, **given["population"]}
        about["left_out"] = "; ".join(f"{why}: {people}" for why, people in about["left_out"].items())
        yield program, *(about.get(name) for name in _PEOPLE)


def _rates(document: Document) -> Iterator[Row]:
    for program, given in sorted(document.get("programs", {}).items()):
        for row in given["rows"]:
            hidden = row.get("denominator") is None or (row.get("numerator") is None and "values" not in row)
            yield program, *(row.get(name) for name in _RATE), hidden, *(row.get(name) for name in _RULE)


def _excluded(document: Document) -> Iterator[Row]:
    """Who of the population is not in the denominator of a row, where it says why."""
    for program, row in _rows(document):
        about = (program, row["measure"], row["topic"], row["line"])
        yield from ((*about, why, count, row["denominator"]) for why, count in row.get("excluded", {}).items())


def _distributions(document: Document) -> Iterator[Row]:
    """What a frequency or an index of dissimilarity is made of: a count of each value, and what it is compared with."""
    for program, row in _rows(document):
        if row["kind"] in ("frequency", "dissimilarity"):
            counts, reference = row.get("values", {}), row.get("reference") or {}
            known = [count for count in counts.values() if count is not None]
            whole = sum(known) if len(known) == len(counts) else None
            about = (program, row["measure"], row["topic"], row["line"])
            for value in sorted({*counts, *reference}):
                count = counts.get(value, 0)
                yield *about, value, count, whole, reference.get(value), count is None


def _rows(document: Document) -> Iterator[tuple[str, Document]]:
    for program, given in sorted(document.get("programs", {}).items()):
        yield from ((program, row) for row in given["rows"])


def _cells(document: Document) -> Iterator[Row]:
    for program, given in sorted(document.get("programs", {}).items()):
        for table in given["tables"]:
            about = (program, table["table"], table["topic"], table["line"])
            for row in table["rows"]:
                for column, count in row["counts"].items():
                    yield *about, row["row"], column, count, table["population"], count is None


def _listed(entries: Any, names: tuple[str, ...]) -> Iterator[Row]:
    for entry in entries:
        values = (entry.get(name) for name in names)
        yield tuple(", ".join(value) if isinstance(value, list | tuple) else value for value in values)
