"""Who is in a program's population: enrolled when, in which product line, how old.

All that is kept of a person are a few short words (a place in each program), which become part of
the stratum of their profile: memory depends on distinct places, not on people.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache

from msgspec import Struct

from fhir_equity.model import Enrollment, Member
from fhir_equity.quality.programs import Population, Program

# What a record says about enrollment: nothing, listed without a date, not in the period; else a line.
NOTHING, LISTED, OUT, IN = "", "?", "-", "+"
SEVERAL = "\x1f"  # between what a record with several coverages says of each
NO_LINE = ""  # the product line where a program has none
FULL_DATE = len("YYYY-MM-DD")
REMEMBERED = 20_000


class Place(Struct, frozen=True, cache_hash=True):
    """Where a person stands in a program.

    `lines` they count in; empty when left out, and `reason` says why (``not_enrolled``,
    ``without_dates``, ``without_enrollment``, ``line_left_out``). `assumed`: counted though no date
    says so. `age` is the least age of the person's age band, None where no birth date is known.
    """

    lines: tuple[str, ...]
    reason: str = ""
    assumed: bool = False
    age: int | None = None


EVERYBODY = Place((NO_LINE,))


class Standing:
    """The place of records and people in one program on an ISO date; in little time for equal records."""

    def __init__(self, program: Program, as_of: str) -> None:
        self.population = program.population
        self.period = period(program.population, as_of)
        self._by_coverage = program.population.line == "coverage"
        self._cuts = program.ages
        self._enrolled = lru_cache(REMEMBERED)(self._enrolled_in)
        self._band = lru_cache(REMEMBERED)(self._band_of)
        self.asks_enrollment = program.population != Population()
        self.size = self.asks_enrollment + bool(self._cuts)

    def words(self, member: Member) -> tuple[str, ...]:
        """What a record says about its person's place: `size` words."""
        found: tuple[str, ...] = ()
        if self.asks_enrollment:
            enrollment = member.enrollment
            listed, deceased_on = _listed(enrollment), enrollment.deceased_on
            if not self._by_coverage:
                spans = enrollment.spans
                for _, more in enrollment.other_coverages:
                    spans += more
                found = (self._enrolled(listed, spans, deceased_on, self._line(member)),)
            elif not enrollment.other_coverages:
                found = (self._enrolled(listed, enrollment.spans, deceased_on, enrollment.coverage),)
            else:
                each = (self._enrolled(listed, spans, deceased_on, line) for line, spans in enrollment.coverages)
                found = (SEVERAL.join(each),)
        if self._cuts:
            found += (self._band(member.birth_date),)
        return found

    def place(self, said: Iterable[Sequence[str]]) -> Place:
        """The place of a person from the words of all their records, whatever their order."""
        if not self.size:
            return EVERYBODY
        records = list(said)
        bands = {words[-1] for words in records} - {NOTHING} if self._cuts else set()
        age = _least_age(min(bands), self._cuts) if bands else None
        if not self.asks_enrollment:
            return Place((NO_LINE,), age=age)
        return self._among({word for words in records for word in words[0].split(SEVERAL)}, age)

    def _among(self, said: set[str], age: int | None) -> Place:
        inside = {words[1:] for words in said if words.startswith(IN)}
        listed = {words[1:] for words in said if words.startswith(LISTED)}
        if inside:
            return self._lines(inside, age)
        if OUT in said:
            return Place((), "not_enrolled", age=age)
        if listed and self.population.without_dates == "count":
            return self._lines(listed, age, assumed=True)
        if listed:
            return Place((), "without_dates", age=age)
        if self.population.without_enrollment == "count":
            return Place((NO_LINE,), assumed=True, age=age)
        return Place((), "without_enrollment", age=age)

    def _lines(self, given: set[str], age: int | None, *, assumed: bool = False) -> Place:
        lines = {self._called(line) for line in given} if self.population.line else {NO_LINE}
        kept = tuple(sorted(line for line in lines if line or not self.population.line))
        return Place(kept, "" if kept else "line_left_out", assumed, age)

    def _called(self, line: str) -> str:
        names = self.population.lines
        return names.get(line, names.get("*", line or "(none)"))

    def _line(self, member: Member) -> str:
        values = {"partner": member.partner, "group": member.enrollment.group}
        return values.get(self.population.line, NO_LINE)

    def _enrolled_in(self, listed: str, spans: tuple[tuple[str, str], ...], deceased_on: str, line: str) -> str:
        if not listed:
            return NOTHING
        if self.population.enrolled == "anybody":
            return IN + line
        start, stop = self.period
        last = min(stop, deceased_on or stop)
        if start > last or not any(_covers(span, start, last) for span in spans or (("", ""),)):
            return OUT
        return (IN if spans else listed) + line

    def _band_of(self, born: str) -> str:
        years = age_on(born, self.period[1])
        return NOTHING if years is None else f"{bisect_right(self._cuts, years):03}"


def _covers(span: tuple[str, str], start: str, last: str) -> bool:
    """Whether a span has a day in these; one that ends before it begins has none: it was taken back."""
    begin, end = span
    return begin <= last and (not end or (end >= start and begin <= end))


def _listed(enrollment: Enrollment) -> str:
    """Whether a record is one of an enrollment file: only those have a maintenance type, coverage or dates."""
    return LISTED if enrollment.maintenance or enrollment.coverages else NOTHING


def _least_age(band: str, cuts: Sequence[int]) -> int:
    number = int(band)
    return cuts[number - 1] if number else 0


def period(population: Population, as_of: str) -> tuple[str, str]:
    """The first and last day (ISO, both inclusive) of a population, seen from the day of the run."""
    day = date.fromisoformat(as_of)
    if population.enrolled == "year":
        return f"{day.year}-01-01", f"{day.year}-12-31"
    if population.enrolled == "month_end":
        tomorrow = day + timedelta(days=1)
        end = tomorrow.replace(day=1) - timedelta(days=1)
        return end.isoformat(), end.isoformat()
    return as_of, as_of


def age_on(born: str, day: str) -> int | None:
    """Whole years on an ISO date; None where the birth date is no whole date or later than the day."""
    if len(born) != FULL_DATE or not born.replace("-", "").isdecimal() or born > day:
        return None
    return int(day[:4]) - int(born[:4]) - (day[5:] < born[5:])
