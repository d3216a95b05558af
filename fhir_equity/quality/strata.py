"""The strata of ``--by``: what is kept of a record for them, and in which of them a person counts.

``--by partner --by county`` makes two sets of strata, ``--by partner,county`` those of both at once.
`source` and `month` are strata of what was said: a person counts in each that spoke of them, there with
what it said and nothing else. All others are strata of people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product

from fhir_equity.errors import UsageError
from fhir_equity.model import Enrollment, Event, Member, Resolution
from fhir_equity.quality.ages import band, bands
from fhir_equity.quality.populations import SEVERAL, age_on
from fhir_equity.tables import Tables

RECORD = ("partner", "coverage", "relationship", "state", "county", "age")  # of a record
SAID = ("source", "month")  # of what was said
STRATA = (*RECORD, "language", *SAID)
NONE = "(none)"  # the stratum of those of whom nobody says it
SPOKEN = "language_spoken"
MONTH = len("YYYY-MM")

Stratum = tuple[tuple[str, str], ...]
Resolve = Callable[[Sequence[Event]], Mapping[str, Resolution]]


class Strata:
    """The strata of a run on an ISO date. Raises UsageError for a stratum that there is not, TableError.

    `besides` are strata of records that are kept for another purpose.
    """

    def __init__(self, by: Iterable[str], tables: Tables, as_of: str, besides: Collection[str] = ()) -> None:
        self.groups = tuple(dict.fromkeys(tuple(dict.fromkeys(names.split(","))) for names in by))
        if unknown := {name for group in self.groups for name in group} - set(STRATA):
            raise UsageError(f"there is no stratum {', '.join(sorted(unknown))}; there are: {', '.join(STRATA)}")
        wanted = {*besides, *(name for group in self.groups for name in group)}
        self._kept = tuple(name for name in RECORD if name in wanted)
        self.size = len(self._kept)
        self._as_of = as_of
        self._ages = bands(tables, "age", "from") if "age" in self._kept else ()
        self._spoken = any("language" in group for group in self.groups)

    def words(self, member: Member) -> tuple[str, ...]:
        """What is kept of a record: `size` words."""
        return tuple([self._word(name, member) for name in self._kept])

    def _word(self, name: str, member: Member) -> str:
        match name:
            case "partner":
                return member.partner
            case "coverage":
                return SEVERAL.join(line for line, _ in member.enrollment.coverages if line)
            case "relationship":
                return _relationship(member.enrollment)
            case "age":
                return self._age(member.birth_date)
        return member.address.state if name == "state" else member.address.county

    def _age(self, born: str) -> str:
        years = age_on(born, self._as_of)
        return "" if years is None else band(self._ages, years)

    def places(
        self,
        words: Sequence[Sequence[str]],
        events: Sequence[Event],
        resolutions: Mapping[str, Resolution],
        resolve: Resolve,
    ) -> Iterator[tuple[Stratum, Mapping[str, Resolution]]]:
        """Every stratum a person counts in, each once, with the answers that count there.

        `words` are those of the person's records, `resolve` decides among some of the events.
        """
        spoken = _codes(resolutions.get(SPOKEN)) if self._spoken else ""
        for group in self.groups:
            stable = [name for name in group if name not in SAID]
            records = {tuple(self._of(name, each, spoken) for name in stable) for each in words}
            for said, among in _narrowed(group, events):
                counted = resolutions if said is None else resolve(among)
                for values in combined(records):
                    known = dict(zip(stable, values, strict=True)) | (said or {})
                    yield tuple((name, known[name]) for name in group), counted

    def known(self, name: str, words: Sequence[Sequence[str]]) -> set[str]:
        """What a person's records say of one stratum that is kept; nothing where none says it."""
        place = self._kept.index(name)
        return {value for each in words for value in each[place].split(SEVERAL) if value}

    def _of(self, name: str, words: Sequence[str], spoken: str) -> str:
        return spoken if name == "language" else words[self._kept.index(name)]


def month_of(event: Event) -> str:
    """The month in which something was collected, else first seen."""
    collected = event.origin.collected_on
    return (collected if len(collected) >= MONTH else event.first_seen)[:MONTH]


def source_of(event: Event) -> str:
    """Who collected something, and how."""
    return f"{event.origin.collector}/{event.origin.method}"


def combined(records: Collection[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The values of several strata at once that the records of a person stand for.

    A record that only says less than another (a survey without a county) stands for nothing of its own; what
    a record leaves open is what the others say.
    """
    telling = [one for one in records if not any(_says_less(one, other) for other in records)]
    known = [
        {value for one in records for value in one[place].split(SEVERAL) if value} for place in range(_width(records))
    ]
    return {
        values
        for one in telling
        for values in product(*(_values(word, known[place]) for place, word in enumerate(one)))
    }


def _width(records: Collection[tuple[str, ...]]) -> int:
    return len(next(iter(records), ()))


def _says_less(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return one != other and all(not a or a == b for a, b in zip(one, other, strict=True))


def _values(word: str, known: set[str]) -> Collection[str]:
    return set(word.split(SEVERAL)) if word else known or {NONE}


def _narrowed(
    group: tuple[str, ...], events: Sequence[Event]
) -> Iterable[tuple[dict[str, str] | None, Sequence[Event]]]:
    """What was said, by source or month where a group asks for them; else all of it."""
    wanted = [name for name in SAID if name in group]
    if not wanted:
        return [(None, events)]
    found: dict[tuple[str, ...], list[Event]] = {}
    for event in events:
        told = {"source": source_of(event), "month": month_of(event)}
        found.setdefault(tuple(told[name] for name in wanted), []).append(event)
    said = sorted(found.items()) or [((NONE,) * len(wanted), [])]
    return [(dict(zip(wanted, values, strict=True)), among) for values, among in said]


def _codes(resolution: Resolution | None) -> str:
    meanings = resolution.meanings if resolution is not None else ()
    return SEVERAL.join(sorted({concept.coding.code for meaning in meanings for concept in meaning.concepts}))


def _relationship(enrollment: Enrollment) -> str:
    if enrollment == Enrollment():
        return ""
    return "subscriber" if enrollment.subscriber else "dependent"
