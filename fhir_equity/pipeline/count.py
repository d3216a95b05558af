"""One audit being counted: from files, from the store, or from what was frozen; then its document."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_equity.model import Event, Member, Severity
from fhir_equity.pipeline.reading import Failures, Input, inputs, items
from fhir_equity.pipeline.references import references
from fhir_equity.pipeline.together import share
from fhir_equity.pipeline.workers import How, Job, count_together, put_together
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.benchmark import Benchmark
from fhir_equity.quality.census import Census
from fhir_equity.quality.document import SCHEMA, body
from fhir_equity.quality.frozen import Frozen, freeze, thaw
from fhir_equity.quality.inspection import Inspection, Kept, Person
from fhir_equity.quality.programs import Program
from fhir_equity.quality.strata import Strata, Stratum
from fhir_equity.quality.tally import RACE, Counting, Tally

if TYPE_CHECKING:
    from fhir_equity.engine.spark import DataFrame
    from fhir_equity.pipeline.cluster.count import Result


class Count:
    """One audit being counted. `history`: what is counted knows when answers were first seen (a store does)."""

    def __init__(
        self,
        workspace: Workspace,
        by: Sequence[str],
        programs: tuple[Program, ...],
        workers: int,
        *,
        benchmark: Benchmark | None,
        history: bool,
    ) -> None:
        self._workspace = workspace
        self._by = tuple(by)
        self._benchmark = benchmark
        self._besides = ("county",) if benchmark is not None else ()
        self.programs = programs
        self._workers = workers
        self._key = secrets.token_bytes(32)  # for this run only
        remembered = references(workspace, programs)
        self._inspection = Inspection(
            programs, workspace.vocabulary(), workspace.as_of, history=history, remembered=remembered
        )
        self._strata = Strata(by, workspace.vocabulary().tables, workspace.as_of, self._besides)
        words = Kept(self._strata, self._inspection)
        self._census = Census(Pseudonyms(self._key), workspace.matter_of, workspace.as_of, words)
        self._counted: Census | Frozen = self._census
        self._partner = ""  # whose data this is, if it is one's

    def files(
        self, paths: Iterable[str | Path], partner: str, format_: str, failures: Failures
    ) -> list[dict[str, str | int]]:
        """Count files; returns what was read."""
        self._partner, entries, add = partner, [], self._census.add
        families: list[Input] = []
        for number, read in enumerate(inputs(self._workspace, paths, partner, format_, failures), start=1):
            self._census.begin(number, read.adapter.name, families=read.adapter.families)
            if read.adapter.families:
                families.append(read)
            if not self._together(number, read, failures):
                for item in items(self._workspace, read, failures):
                    add(item)
            if read.listed:
                entries.append(read.entry())
        self._dependents(families)
        return entries

    def _dependents(self, inputs_: Iterable[Input]) -> None:
        """Look once more for the subscribers of dependents who did not come soon after theirs."""
        self._alone(
            item
            for read in inputs_
            for item in items(self._workspace, Input(read.source, read.adapter, read.context), Failures())
        )

    def _alone(self, again: Iterable[object]) -> None:
        if not self._census.families.waiting:
            return
        subscribers = (self._census.subscriber(item) for item in again if isinstance(item, Member))
        if alone := self._census.families.alone(subscribers):
            self._census.found("x12.member.subscriber_unknown", Severity.WARNING.value, alone)

    def on_cluster(
        self, urls: Sequence[str], partner: str, format_: str, failures: Failures
    ) -> list[dict[str, str | int]]:
        """Count files that Spark can reach; returns what was read. Raises UsageError, EngineError."""
        from fhir_equity.pipeline.cluster.count import Cluster  # loads what only a cluster needs

        cluster = Cluster(self._workspace, self._how(partner), format_, urls)
        self._partner, entries, families = partner, [], []
        for result in cluster.counted():
            entries += self._result(result, partner, failures, cluster.here)
            if result.adapter is not None and result.adapter.families:
                families.append((result.file, result.adapter))
        self._alone(item for file, adapter in families for item in cluster.members(file, adapter))
        return entries

    def _result(
        self, result: Result, partner: str, failures: Failures, here: Callable[[Result], None] | None = None
    ) -> list[dict[str, str | int]]:
        """Add what came of one input elsewhere; where its ranges do not fit, it is counted `here`."""
        if result.failure or result.adapter is None:
            failures.messages.append(result.failure)
            return []
        self._census.begin(result.file.number, result.adapter.name, families=result.adapter.families)
        read = Input(result.source, result.adapter, self._workspace.context(partner, result.adapter.name))
        for finding in result.headings:
            self._census.add(finding)
        if not put_together(result.counted, read, self._census, failures) and here is not None:
            here(result)
            put_together(result.counted, read, self._census, failures)
        return [read.entry()] if read.listed else []

    def on_frame(
        self, rows: DataFrame, name: str, partner: str, format_: str, column: str, failures: Failures
    ) -> list[dict[str, str | int]]:
        """Count the rows of a table of Spark; returns what was read. Raises UsageError, EngineError."""
        from fhir_equity.pipeline.cluster.count import counted_rows

        result = counted_rows(self._workspace, self._how(partner), rows, name, format_, column)
        return self._result(result, partner, failures)

    def _how(self, partner: str) -> How:
        """How others count for this audit."""
        return How(partner, self._by, self._besides, self._key, self.programs)

    def _together(self, number: int, read: Input, failures: Failures) -> bool:
        """Let the workers count an input; False where it is not cut, and nothing was counted."""
        parts = share(read, self._workers, self._workers)
        if len(parts) < 2 or read.source.path is None:
            return False
        workspace, how = self._workspace, self._how(read.context.partner)
        job = Job(workspace.settings, workspace.as_of, how, read.source.path, number, read.adapter.name)
        shown = partial(workspace.progress, read.source.name)
        return count_together(job, parts, read, self._census, failures, shown)

    def frozen(self) -> bytes:
        """Everything that was counted, to be counted again."""
        return freeze(self._census, self._workspace.meaning_of, self._inspection.least_household)

    def thawed(self, content: bytes, partner: str) -> None:
        """Count what was frozen of a partner (or of all) under the same programs and strata."""
        self._partner = partner
        self._counted = thaw(content)

    def stored(self, partner: str) -> list[dict[str, Any]]:
        """Count the store; returns what it has read."""
        self._partner = partner
        people, partners = self._workspace.store.people, self._workspace.partners(partner)
        for code, severity, count in people.findings(partners):
            self._census.found(code, severity, count)
        if unfinished := people.unfinished(partners):  # a killed ingest: what is here is only a part
            self._census.found("store.run.unfinished", Severity.ERROR.value, unfinished)
        for rule, relationship, count in people.losses(partners):
            self._census.lost(rule, relationship, count)
        for number, person in enumerate(people.among(partners), start=1):
            self._census.stored(person.id, person.member, tuple(event for _, event in person.events))
            if number % 1000 == 0:
                self._workspace.progress("store", number)
        return people.inputs(partners)

    def document(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """The audit document of everything counted."""
        whole, strata = self._tallies()
        compared = self._benchmark.document(self._inspection.population_rule) if self._benchmark else []
        codes = self._workspace.vocabulary().codes
        matters = list(dict.fromkeys(topic.matter for topic in codes.topics.values()))
        counted = body(whole, matters)
        groups = counted["views"]["detailed"]
        languages = {code for t in counted["topics"].values() for code in t.get("values", {})}
        return {
            "schema": SCHEMA,
            "audience": "internal",
            "generated": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": software(),
            "run": {
                "as_of": self._workspace.as_of,
                "partner": self._partner,
                "by": [*self._by],
                "versions": self._workspace.versions(),
                "inputs": entries,
            },
            **counted,
            "strata": [{"by": dict(by), **body(tally, matters)} for by, tally in sorted(strata.items())],
            "programs": self._inspection.programs(),
            "scorecard": self._inspection.scorecard(),
            "concordance": self._inspection.concordance(),
            "population_comparison": compared,
            "findings": sorted(self._findings(compared), key=_worst_first),
            "losses": [
                {"rule": rule, "relationship": relationship, "count": count}
                for (rule, relationship), count in sorted(self._counted.losses().items())
            ],
            "languages": {code: known.display for code in sorted(languages) if (known := codes.language(code))},
            "groups": {
                code: {"group": codes.cdcrec[code]["display"], "category": codes.category_2024(code)} for code in groups
            },
            "rules": {rule: self._workspace.policy.why.get(rule, "") for rule in _rules_met(counted)},
            "editions": {name: entry["edition"] for name, entry in codes.tables.sources["table"].items()},
        }

    def _findings(self, compared: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Those of records and values, then those of the rules, which say what to do."""
        for (code, severity), count in self._counted.findings(self._workspace.meaning_of).items():
            yield {"code": code, "severity": severity, "count": count}
        households = self._counted.alike(self._inspection.least_household)
        yield from self._inspection.findings(households, self._workspace.meaning_of, compared)

    def _tallies(self) -> tuple[Tally, dict[Stratum, Tally]]:
        whole: Tally = Counter()
        strata: dict[Stratum, Tally] = {}
        counting = Counting(self._workspace.vocabulary(), self._workspace.as_of)
        for numbers, count in self._counted.persons():
            profiles = [self._counted.profile(number) for number in numbers]
            places = [profile.stratum for profile in profiles]
            events: list[Event] = [event for profile in profiles for event in profile.events]
            partner = places[0][0]
            resolutions = self._workspace.resolutions(partner, events)
            resolve = partial(self._workspace.resolutions, partner)
            person = Person(partner, events, resolutions, resolve, self._workspace.meaning_of)
            counting.add(whole, resolutions, person.read, count)
            words = [place[1 + self._strata.size :] for place in places]
            self._inspection.add(words, person, count)
            of_strata = [place[1 : 1 + self._strata.size] for place in places]
            if self._benchmark is not None:
                self._benchmark.add(self._strata.known("county", of_strata), resolutions.get(RACE), count)
            for stratum, counted in self._strata.places(of_strata, events, resolutions, resolve):
                counting.add(strata.setdefault(stratum, Counter()), counted, person.read, count)
        return whole, strata


def _worst_first(finding: dict[str, Any]) -> tuple[int, int, str, str]:
    return -Severity(finding["severity"]).rank, -finding["count"], finding["code"], finding.get("message", "")


def _rules_met(counted: Mapping[str, Any]) -> list[str]:
    """The rules of survivorship that decided between sources."""
    return sorted({rule for topic in counted["topics"].values() for rule in topic["settled"]})
