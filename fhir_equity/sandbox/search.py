"""Search parameters of the sandbox: from words to conditions.

The grammar is https://hl7.org/fhir/R4/search.html: a repeated parameter means AND, a comma means OR,
a backslash escapes. A parameter we do not know is refused rather than ignored, because a rehearsal
should find a search that a real server would answer with everyone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from fhir_equity.sandbox.outcome import RefusedError
from fhir_equity.sandbox.records import EPOCH, Condition

Parameters = Sequence[tuple[str, str]]

PAGE = 50
PAGE_LIMIT = 1000

_MOMENT = re.compile(
    r"(?P<prefix>eq|gt|ge|lt|le|)(?P<day>\d{4}-\d\d-\d\d)"
    r"(?P<time>T\d\d:\d\d(?P<seconds>:\d\d(?:\.(?P<fraction>\d{1,6}))?)?(?:Z|[+-]\d\d:\d\d))?"
)


class Search(Struct, frozen=True):
    """What to look for, how many to a page, and whether the newest change comes first."""

    conditions: list[Condition]
    count: int
    newest_first: bool = False


class Searchable(Struct, frozen=True):
    """A search parameter: its FHIR type, the resource types that have it, and how to read a value."""

    type: str
    resources: tuple[str, ...]
    read: Callable[[str, str, str], Condition]


def parse(kind: str, parameters: Parameters, base: str) -> Search:
    """Read the parameters of a search for `kind`; `base` is our own base URL.

    Raises RefusedError (400) for what is not supported or not understood.
    """
    conditions, count = [], PAGE
    newest_first = ("_sort", "-_lastUpdated") in parameters
    for name, value in parameters:
        if name == "_count":
            count = _count(value)
        elif name in ("_sort", "_format"):
            _only(name, value)
        else:
            conditions.append(_any_of(kind, name, value, base))
    return Search(conditions, count, newest_first)


def _any_of(kind: str, name: str, value: str, base: str) -> Condition:
    known = SEARCHABLE.get(name)
    if known is None or kind not in known.resources:
        names = ", ".join(name for name, known in SEARCHABLE.items() if kind in known.resources)
        raise RefusedError(400, "not-supported", f"unknown search parameter; {kind} has {names}")
    parts = _split(value, ",")
    if "" in parts:
        raise RefusedError(400, "value", f"an empty value for {name}")
    options = [known.read(part, kind, base) for part in parts]
    values = tuple(value for option in options for value in option.values)
    return Condition(" or ".join(f"({option.sql})" for option in options), values)


def _identifier(value: str, kind: str, _base: str) -> Condition:
    """``value`` (any system), ``system|value``, ``system|`` (any value) or ``|value`` (no system)."""
    words = _split(value, "|")
    plain = [_unescaped(word) for word in words]
    if len(words) == 1:
        test, values = "value = ?", plain
    elif len(words) == 2 and plain[1]:
        test, values = "system = ? and value = ?", plain
    elif len(words) == 2 and plain[0]:
        test, values = "system = ?", plain[:1]
    else:
        raise RefusedError(400, "value", "an identifier is given as value or system|value")
    sql = f"c.id in (select id from identifier where type = ? and {test})"  # noqa: S608 -- fixed pieces
    return Condition(sql, (kind, *values))


def _id(value: str, _kind: str, _base: str) -> Condition:
    return Condition("c.id = ?", (_unescaped(value),))


def _patient(value: str, _kind: str, base: str) -> Condition:
    """An id, a relative or an absolute reference (search.html#reference)."""
    plain = _unescaped(value).removeprefix(base + "/").removeprefix("Patient/")
    return Condition("c.subject in (?, ?)", (f"Patient/{plain}", f"{base}/Patient/{plain}"))


def _coded(place: str) -> Callable[[str, str, str], Condition]:
    """``system|code``, or a code of any system, among the codings at a place."""

    def condition(value: str, _kind: str, _base: str) -> Condition:
        words = [_unescaped(word) for word in _split(value, "|")]
        if len(words) > 2 or not words[-1]:
            raise RefusedError(400, "value", "a code or tag is given as code or system|code")
        each = f"select 1 from json_each(v.body, '{place}') where json_extract(value, '$.code') = ?"  # noqa: S608 -- ours
        system = " and json_extract(value, '$.system') = ?" if len(words) == 2 else ""
        return Condition(_in_body(each + system), tuple(reversed(words)))

    return condition


def _last_updated(value: str, _kind: str, _base: str) -> Condition:
    """A date or an instant stands for the whole range it covers (search.html#date)."""
    found = _MOMENT.fullmatch(_unescaped(value))
    if found is None:
        raise RefusedError(400, "value", "_lastUpdated takes a date, or a time with a zone, after eq, gt, ge, lt or le")
    try:
        moment = datetime.fromisoformat(found["day"] + (found["time"] or "T00:00:00Z")).astimezone(UTC)
        start = (moment - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise RefusedError(400, "value", "_lastUpdated has a date that does not exist") from None
    end = start + _width(found)
    prefix = found["prefix"] or "eq"
    if prefix == "eq":
        return Condition("c.updated * 1000 >= ? and c.updated * 1000 < ?", (start, end))
    if prefix in ("gt", "ge"):
        return Condition("c.updated * 1000 >= ?", (end if prefix == "gt" else start,))
    return Condition("c.updated * 1000 < ?", (start if prefix == "lt" else end,))


def _width(found: re.Match[str]) -> int:
    """How many microseconds a date or time covers as it is written."""
    if found["time"] is None:
        return 86_400_000_000
    if found["seconds"] is None:
        return 60_000_000
    return int(10 ** (6 - len(found["fraction"] or "")))


def _count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise RefusedError(400, "value", "_count is a whole number")
    return min(int(value), PAGE_LIMIT)


def _only(name: str, value: str) -> None:
    if name == "_sort" and value not in ("_lastUpdated", "-_lastUpdated"):
        raise RefusedError(400, "not-supported", "the only orders are _sort=_lastUpdated and -_lastUpdated")
    if name == "_format" and "json" not in value:
        raise RefusedError(406, "not-supported", "the only format is JSON")


def _split(value: str, mark: str) -> list[str]:
    """Split at marks that are not escaped; the escapes stay."""
    return re.findall(rf"(?:^|{re.escape(mark)})((?:\\.|[^\\{re.escape(mark)}]|\\$)*)", value, re.DOTALL)


def _unescaped(value: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", value)


def _target(value: str, _kind: str, base: str) -> Condition:
    plain = _unescaped(value).removeprefix(base + "/")
    each = "select 1 from json_each(v.body, '$.target') where json_extract(value, '$.reference') in (?, ?)"
    return Condition(_in_body(each), (plain, f"{base}/{plain}"))


def _in_body(each: str) -> str:
    newest = "v.type = c.type and v.id = c.id and v.number = c.number"
    return f"exists (select 1 from version v where {newest} and exists ({each}))"  # noqa: S608 -- fixed pieces


_BOTH = ("Patient", "Observation")
_ALL = (*_BOTH, "Provenance")
SEARCHABLE = {
    "identifier": Searchable("token", _BOTH, _identifier),
    "_id": Searchable("token", _ALL, _id),
    "_lastUpdated": Searchable("date", _ALL, _last_updated),
    "_tag": Searchable("token", _ALL, _coded("$.meta.tag")),
    "target": Searchable("reference", ("Provenance",), _target),
    "code": Searchable("token", ("Observation",), _coded("$.code.coding")),
    "patient": Searchable("reference", ("Observation",), _patient),
    "subject": Searchable("reference", ("Observation",), _patient),
}
