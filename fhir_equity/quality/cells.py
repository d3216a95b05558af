"""The cells a person is counted in, by name: how to ask who is behind a number.

A cell is named as the audit counts it, its words with ``/`` between them: ``state/race_ethnicity/declined``,
``omb2024/alone/Asian``, ``value/language_spoken/es``, ``group/2034-7``, ``age/race_ethnicity/5+``,
``stratum/county/06001``, ``rule/answers.code_retired``, ``program/tmsis/*/numerator/EL1.9`` (``*`` is everybody,
else a product line). ``not/`` before one is everybody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fhir_equity.errors import UsageError
from fhir_equity.model import Member, State
from fhir_equity.quality.inspection import Person
from fhir_equity.quality.measures import Measuring
from fhir_equity.quality.plausible import Marks, Plausible
from fhir_equity.quality.programs import Program
from fhir_equity.quality.rulebook import Rulebook
from fhir_equity.quality.strata import RECORD, SPOKEN, Strata
from fhir_equity.quality.tally import Counting, Tally
from fhir_equity.vocabulary import Vocabulary

NOT = "not/"
KINDS = (
    *("population", "state", "method", "source", "question", "settled", "value", "unmapped", "provisional", "age"),
    *("undated", "detailed", "group", "omb2024", "omb1997", "stratum", "rule", "program"),
)


class Cells:
    """Names the cells of people under some programs on an ISO date. Raises TableError for their tables."""

    def __init__(self, programs: Sequence[Program], vocabulary: Vocabulary, as_of: str) -> None:
        self._counting = Counting(vocabulary, as_of)
        self._measuring = [Measuring(program, vocabulary, as_of) for program in programs]
        self._strata = Strata((*RECORD, "language"), vocabulary.tables, as_of)
        self._rules = Rulebook(vocabulary.tables, programs)
        self._marks = Marks(self._rules, as_of)
        self._codes = vocabulary.codes
        self._categories = frozenset(vocabulary.schema.categories)
        self._matters = tuple(dict.fromkeys(topic.matter for topic in vocabulary.codes.topics.values()))
        self._programs = {program.name: program for program in programs}

    def check(self, cell: str) -> None:
        """Raise UsageError for a name that no cell can have."""
        kind, *more = cell.removeprefix(NOT).split("/")
        if kind not in KINDS:
            raise UsageError(f"a cell begins with one of: {', '.join(KINDS)} (or {NOT} before it)")
        if kind == "program" and more[:1] and more[0] not in self._programs:
            raise UsageError(f"name the program of a cell with --program; counted are: {', '.join(self._programs)}")
        if kind == "state" and (len(more) != 2 or more[0] not in self._matters or more[1] not in [*State]):
            topics, states = ", ".join(self._matters), ", ".join(State)
            raise UsageError(f"it is state/TOPIC/STATE; topics are: {topics}; states are: {states}")
        if kind == "omb2024" and not self._categories.issuperset(more[1:]):
            raise UsageError(f"there is no such category; there are: {', '.join(sorted(self._categories))}")
        if kind == "rule" and not set(self._rules).issuperset(more[:1]):
            raise UsageError(f"there is no such rule; there are: {', '.join(self._rules)}")

    def matters(self, cell: str) -> set[str]:
        """What a cell is about: the matters whose answers it tells something of."""
        kind, *more = cell.removeprefix(NOT).split("/")
        if kind in ("omb2024", "omb1997", "group"):
            return {"race_ethnicity"}
        if kind == "stratum":
            return {SPOKEN} if more[:1] == ["language"] else set()
        topics = set(more)
        if kind == "rule" and more:
            topics = set(self._rules[more[0]].topics)
        if kind == "program" and more:
            program = self._programs[more[0]]
            named = {name: measure.topic for name, measure in program.measure.items()}
            named |= {name: table.topic for name, table in program.table.items()}
            asked = {name: measure.among.topic for name, measure in program.measure.items() if measure.among}
            topics = {each[word] for each in (named, asked) for word in more if word in each}
        known = {name: topic.matter for name, topic in self._codes.topics.items()}
        return {known.get(topic, topic) for topic in topics if topic in known or topic in self._matters}

    def of(self, member: Member, person: Person) -> set[str]:
        """The names of all cells that a person is counted in."""
        tally: Tally = Counter()
        self._counting.add(tally, person.resolutions, person.read, 1)
        for matter in self._matters:
            if matter not in person.resolutions:
                tally[("state", matter, State.UNKNOWN.value)] = 1
        found = {"/".join(key) for key in tally}
        for measuring in self._measuring:
            counted: Tally = Counter()
            measuring.add(counted, [measuring.standing.words(member)], person.resolutions, 1)
            found |= {"/".join(("program", *key)) for key in counted}
        found |= {f"rule/{name}" for name in self._found(member, person)}
        words = [self._strata.words(member)]
        for stratum, _ in self._strata.places(words, person.events, person.resolutions, person.resolve):
            found |= {f"stratum/{name}/{value}" for name, value in stratum}
        return found

    def _found(self, member: Member, person: Person) -> Iterator[str]:
        said = [(received, event.origin) for event in person.events for received in event.received]
        marks = self._marks.words(member.birth_date, said)
        for partner, events in person.by_partner().items():
            yield from Plausible(self._codes, self._rules, person.meaning_of(partner)).found({*marks}, events)


def meets(cells: set[str], wanted: Sequence[str]) -> bool:
    """Whether somebody of these cells is in every one of those wanted."""
    return all((cell.removeprefix(NOT) in cells) != cell.startswith(NOT) for cell in wanted)
