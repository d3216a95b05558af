"""What does not follow from its parts in an audit document: sums, rates, and whether limits are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from fhir_equity.quality.results import met, more, within
from fhir_equity.reports.figures import Document


def totals(document: Document) -> Iterator[str]:
    """Every total and rate of a document that does not follow from its parts, in sentences."""
    yield from _body("", document)
    for stratum in document.get("strata", ()):
        yield from _body(" of " + ", ".join(f"{name}={value}" for name, value in stratum["by"].items()), stratum)
    for program, given in document.get("programs", {}).items():
        for row in given["rows"]:
            yield from _rate(f"{program}: {row['measure']} {row['line']}".rstrip(), row)
        if given["met"] is not None or document.get("audience") != "public":  # who publishes may keep it back
            yield from _met(program, given)
        for table in given["tables"]:
            cells = [count for row in table["rows"] for count in row["counts"].values()]
            yield from _sum(
                f"{program}: the table {table['table']} {table['line']}".rstrip(), cells, table["population"]
            )


def _body(where: str, body: Document) -> Iterator[str]:
    for topic, given in body["topics"].items():
        yield from _sum(f"the states of {topic}{where}", given["states"].values(), body["population"])
        for source in given.get("sources", ()):
            yield from _sum(
                f"{source['source']} of {topic}{where}", source["states"].values(), source.get("population")
            )
    view = body["views"].get("omb2024")
    if view:
        alone = [given["alone"] for given in view["categories"].values()]
        people = [view["multiracial_or_multiethnic"], view["without_category"]]
        yield from _sum(f"OMB 2024 alone{where}", [*alone, *people], view["answered"])
        if "combinations" in view:
            several = [given["count"] for given in view["combinations"]]
            yield from _sum(f"OMB 2024 combinations{where}", several, view["multiracial_or_multiethnic"])


def _sum(what: str, counts: Any, whole: int | None) -> Iterator[str]:
    """A sum that is not what it should be; one with a hidden count cannot be told."""
    counts = [*counts]
    if whole is not None and None not in counts and sum(counts) != whole:
        yield f"{what}: {sum(counts)} and not {whole}"


def _rate(what: str, row: Mapping[str, Any]) -> Iterator[str]:
    part, whole = row.get("numerator"), row.get("denominator")
    if part is None or whole is None:
        return
    share = Fraction(part, whole) if whole else None
    if part > whole:
        yield f"{what}: {part} of {whole}"
    elif row["rate"] != (None if share is None else float(share)):
        yield f"{what}: {part} of {whole} is not {row['rate']}"
    else:
        yield from _limits(what, row, share)


def _limits(what: str, row: Mapping[str, Any], share: Fraction | None) -> Iterator[str]:
    """Whether what is asked for is met, and how many more are: a limit that is not asked for is none in the row."""
    for name, prefix in (("met", ""), ("compliant", "compliance_")):
        limits = [row.get(f"{prefix}{limit}") for limit in ("at_least", "at_most")]
        if row.get(name) != within(share, *limits):
            yield f"{what}: {name} is not {row.get(name)}"
    if row.get("more") is not None and row["more"] != more(row["numerator"], row["denominator"], row["at_least"]):
        yield f"{what}: {row['more']} more are not what is missing"


def _met(program: str, given: Mapping[str, Any]) -> Iterator[str]:
    """A program is met as its rows are."""
    if given["met"] is not met(given["rows"]):
        yield f"{program}: met is not {given['met']}"
