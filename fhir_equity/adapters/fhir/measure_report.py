"""FHIR R4 MeasureReports of counts, stratified.

http://hl7.org/fhir/R4/measurereport.html . A count that may not be told is no number: its element stays and says
``masked`` (http://hl7.org/fhir/R4/extension-data-absent-reason.html), so that it is neither 0 nor forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir.values import ABSENT_URL

Resource = dict[str, Any]
Counts = Mapping[str, int | None]  # by the code of a population; None: it may not be told
By = tuple[tuple[str, str], ...]

_POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"
_EVERYBODY, _WHOLE, _PART = "initial-population", "denominator", "numerator"
_NO_ID = re.compile(r"[^A-Za-z0-9.-]+")  # what an id cannot have


class Stratum(Struct, frozen=True):
    """People of a group that have these values of these things; `score` is their rate."""

    by: By
    counts: Counts
    score: float | None = None


class Stratifier(Struct, frozen=True):
    """One way to break a group down, with its strata."""

    code: str
    text: str
    strata: Sequence[Stratum]


class Group(Struct, frozen=True):
    """One thing measured: `counts` as `people` gives them, `score` the rate, `source` what it rests on."""

    code: str
    text: str
    counts: Counts
    score: float | None = None
    stratifiers: Sequence[Stratifier] = ()
    source: str = ""


class Measured(Struct, frozen=True):
    """What one measure is and what was counted under it from `start` to `stop` (ISO dates, both inclusive).

    `notice` says who may see it, `about` where it comes from: both stand in the narrative.
    """

    name: str
    title: str
    notice: str
    about: str
    start: str
    stop: str
    groups: Sequence[Group]


def bundle(measured: Iterable[Measured], base: str, at: str, software: str) -> Resource:
    """A collection of one MeasureReport for each; addresses are below `base`, `at` is the moment of counting."""
    reports = [_report(each, base, at, software) for each in measured]
    entries = [{"fullUrl": f"{base}/MeasureReport/{each['id']}", "resource": each} for each in reports]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": at, "entry": entries}


def resources(made: Resource) -> Iterator[Resource]:
    """The resources of a bundle, one after the other."""
    return (entry["resource"] for entry in made["entry"])


def people(everybody: int | None, part: int | None = None, *, rated: bool = True) -> Counts:
    """`part` of everybody by the codes of FHIR; of what is no proportion (not `rated`) everybody alone."""
    return {_EVERYBODY: everybody, _WHOLE: everybody, _PART: part} if rated else {_EVERYBODY: everybody}


def rated(whole: int | None, part: int | None) -> Counts:
    """`part` of those whom a rate is of, who may be fewer than everybody."""
    return {_WHOLE: whole, _PART: part}


def _report(measured: Measured, base: str, at: str, software: str) -> Resource:
    id_ = _NO_ID.sub("-", measured.name)[:64]
    told = (f"{group.text}: {group.source}" for group in measured.groups if group.source)
    return {
        "resourceType": "MeasureReport",
        "id": id_,
        "text": _narrative(measured.title, measured.notice, measured.about, *told),
        "status": "complete",
        "type": "summary",
        "measure": f"{base}/Measure/{id_}",
        "date": at,
        "reporter": {"display": software},
        "period": {"start": measured.start, "end": measured.stop},
        "group": [_group(group, f"{base}/CodeSystem/{id_}") for group in measured.groups],
    }


def _group(group: Group, system: str) -> Resource:
    return _said(
        {
            "code": _said({"coding": [{"system": system, "code": group.code}], "text": group.text}),
            "population": _populations(group.counts),
            "measureScore": _score(group.score),
            "stratifier": [
                {"code": [{"text": each.text}], "stratum": [_stratum(stratum) for stratum in each.strata]}
                for each in group.stratifiers
            ],
        }
    )


def _stratum(stratum: Stratum) -> Resource:
    """One thing is a value, several are components: R4 lets a stratum have one or the other (mrp-2)."""
    values = [{"code": {"text": name}, "value": {"text": value}} for name, value in stratum.by]
    where: Resource = {"value": values[0]["value"]} if len(values) == 1 else {"component": values}
    return _said({**where, "population": _populations(stratum.counts), "measureScore": _score(stratum.score)})


def _populations(counts: Counts) -> list[Resource]:
    return [
        {"code": {"coding": [{"system": _POPULATION, "code": name}]}, **_count(count)} for name, count in counts.items()
    ]


def _count(count: int | None) -> Resource:
    if count is None:
        return {"_count": {"extension": [{"url": ABSENT_URL, "valueCode": "masked"}]}}
    return {"count": count}


def _score(score: float | None) -> Resource:
    """The rate; the counts beside it are exact, and more places than eight some readers refuse."""
    return {} if score is None else {"value": round(score, 8), "system": "http://unitsofmeasure.org", "code": "1"}


def _narrative(*words: str) -> Resource:
    told = "".join(f"<p>{escape(each, quote=False)}</p>" for each in words if each)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{told}</div>'}


def _said(elements: Resource) -> Resource:
    """Without what is empty, which FHIR does not allow."""
    return {name: value for name, value in elements.items() if value not in ("", [], {})}
