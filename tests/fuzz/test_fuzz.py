"""The fuzzer's rules hold of its corpus and of a seeded walk through it; and they can be broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Member, Rejected
from tests.fuzz.check import Dribble, check, outcome, people, single
from tests.fuzz.mutate import mutated
from tests.fuzz.soak import CORPUS, command, follow, seeds

RICH = (CORPUS / "rich.834").read_bytes()

WALKS = 120  # mutants of each seed


@pytest.mark.parametrize("path", seeds(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_seed_and_its_mutants(path: Path) -> None:
    data = path.read_bytes()
    start = time.process_time()
    check(data)
    for seed in range(WALKS):
        data = mutated(data if seed % 5 else path.read_bytes(), seed, 20_000)
        check(data)
    assert time.process_time() - start < 0.2 * WALKS


def test_a_mutant_is_the_same_every_time_and_no_longer_than_asked() -> None:
    made = [mutated(RICH, seed, 900) for seed in range(50)]
    assert made == [mutated(RICH, seed, 900) for seed in range(50)]
    assert len(set(made)) > 40
    assert max(map(len, made)) == 900
    assert [mutated(b"", seed, 9) for seed in range(300)]


def test_mutants_are_read_deeply() -> None:
    """Most mutants still hold members: a fuzzer that only breaks envelopes would see nothing."""
    found = [outcome(mutated(RICH, seed, 20_000))[0] for seed in range(200)]
    assert sum(any(isinstance(item, Member) for item in items) for items in found) > 120
    assert len({finding.code for items in found for finding in _findings(items)}) > 20


def _findings(items: list[Read]) -> Iterator[Finding]:
    for item in items:
        yield from item.findings if isinstance(item, Member) else [item] if isinstance(item, Finding) else []


def test_people_are_found_plainly() -> None:
    marks = single(RICH)
    assert marks is not None
    starts = [RICH.index(b"INS*Y"), RICH.index(b"INS*N*01"), RICH.index(b"INS*N*19")]
    assert people(RICH, marks) == starts
    assert people(RICH.replace(b"ST*834", b"ST*837"), marks) == []
    assert people(RICH.replace(b"ST*834*0001*005010X220A1~", b""), marks) == [start - 25 for start in starts]
    assert single(RICH + RICH) is None
    assert single(b"ISA") is None


def _spoiled(kind: str, items: Iterator[Read]) -> Iterator[Read]:
    """What a reader with a defect would yield."""
    for item in items:
        match kind, item:
            case "offset", Member() if item.answers:
                moved = msgspec.structs.replace(item.answers[0], offset=item.answers[0].offset + 1)
                yield msgspec.structs.replace(item, answers=(moved, *item.answers[1:]))
            case "number", Finding():
                place = msgspec.structs.replace(item.locator, number=item.locator.number + 1)
                yield msgspec.structs.replace(item, locator=place)
            case "beyond", Finding():
                yield msgspec.structs.replace(item, locator=msgspec.structs.replace(item.locator, offset=10**6))
            case "message", Finding():
                yield msgspec.structs.replace(item, message="ALDER")
            case "raw", Rejected():
                yield msgspec.structs.replace(item, raw=item.raw[:-1] + b"?")
            case ("lost", Rejected()) | ("nobody", Member()):
                pass
            case "twice", Member():
                yield item
                yield item
            case "exception", Member():
                raise IndexError
            case "path", Finding() if item.locator.path:
                yield msgspec.structs.replace(item, locator=msgspec.structs.replace(item.locator, path="ZZZ"))
            case _:
                yield item


KINDS = [
    "offset",
    "number",
    "beyond",
    "message",
    "raw",
    "lost",
    "nobody",
    "twice",
    "exception",
    "path",
    "block",
    "early",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_can_be_broken(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = RICH.replace(b"INS*Y", b"INS*?").replace(b"SE*", b"SE*9")
    check(data)
    real = type(ADAPTER).read

    def read(self: object, source: Source, part: Range, context: Context) -> Iterator[Read]:
        stream = source.open()
        if kind == "early":
            return iter(())
        if kind == "block" and isinstance(stream, Dribble):
            source = Source(source.name, lambda: Dribble(data[:-9], 10**6))
        return _spoiled(kind, real(ADAPTER, source, part, context))

    monkeypatch.setattr(type(ADAPTER), "read", read)
    with pytest.raises(IndexError if kind == "exception" else AssertionError):
        check(data)


def test_a_refusal_is_no_breach() -> None:
    check(b"")
    assert outcome(b"x") == ([], "f.834 is no X12 interchange: it does not start with ISA")
    with pytest.raises(UnreadableError):
        list(ADAPTER.read(Source("f", lambda: Dribble(b"x", 1)), Range(), Context()))


LINES = (
    "INFO: seed corpus: files: 44\n",
    "#45\tINITED cov: 600 ft: 2200 corp: 40/34Kb exec/s: 0 rss: 50Mb\n",
    "#900\tNEW    cov: 640 ft: 2300 corp: 41/35Kb lim: 8192 exec/s: 9 rss: 51Mb L: 1/2 MS: 1 Custom-\n",
    "#12000\tDONE   cov: 700 ft: 2500 corp: 99/99Kb lim: 8192 exec/s: 200 rss: 53Mb\n",
    "Done 12000 runs in 60 second(s)\n",
)


def test_a_soak_tells_its_start_and_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.fuzz.soak._EVERY", 0)
    told, rest = follow(LINES)
    assert told.splitlines() == [
        "start: 45 executions, 600 edges and 2200 features covered, 50 MB resident",
        "end:   12,000 executions, 700 edges and 2500 features covered, 53 MB resident",
    ]
    assert rest == LINES[0] + LINES[-1]
    assert capsys.readouterr().out.splitlines()[1].startswith("900 executions, 640 edges")
    assert follow([]) == ("it did not start", "")


def test_the_limits_of_a_soak(tmp_path: Path) -> None:
    options = command(7, tmp_path)
    assert "-max_total_time=7" in options
    assert "-timeout=20" in options
    assert "-rss_limit_mb=512" in options
    assert options[-1] == str(tmp_path / "corpus")
