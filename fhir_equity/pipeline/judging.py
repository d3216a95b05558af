"""Judge what an ingest would drop, flip or erase before it is let in; the rules are in `fhir_equity.store.breaker`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice

from fhir_equity.adapters import Source
from fhir_equity.pipeline.reading import Failures, Input, inputs
from fhir_equity.pipeline.record import recorded
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.settings import LimitsSettings
from fhir_equity.store import Judgement, Record
from fhir_equity.survivorship import known_words

AT_ONCE = 2000  # members looked up together
# What may be too much, and what it is a share of.
SHARES = {"members_dropped": "members", "statements_dropped": "statements", "flipped": "known", "erased": "known"}


def judge(
    workspace: Workspace, found: Sequence[Source], partner: str, format_: str, digest: str, workers: int = 1
) -> Judgement:
    """Read the inputs and judge them; nothing is written. What was judged before it was interrupted is let on."""
    breaker = None
    if workspace.settings.store.file is None or workspace.settings.store.file.exists():
        if workspace.store.goes_on(partner, workspace.as_of, software(), digest):
            return Judgement(partner)
        breaker = workspace.store.breaker(partner, partial(known_words, meaning=workspace.vocabulary(partner).meaning))
    whole: list[bool] = []
    for read in inputs(workspace, found, partner, format_, Failures()):
        glance = breaker is None or breaker.nothing_to_lose
        members = _members(workspace, read, 1 if glance else workers)
        if breaker is None or glance:
            next(members, None)  # only what the file says of itself before it is still to be known
        else:
            while records := list(islice(members, AT_ONCE)):
                breaker.look(records)
        members.close()
        whole.append(read.source.whole)
        read.source.sha256, read.source.size = "", 0  # which say that it was read to its end
    said = bool(whole) and all(whole)
    return Judgement(partner, whole=said) if breaker is None else breaker.judgement(whole=said)


def _members(workspace: Workspace, read: Input, workers: int) -> Generator[Record, None, None]:
    with closing(recorded(workspace, read, Failures(), workers)) as found:
        for item in found:
            if isinstance(item, Record):
                yield item


def too_much(judgement: Judgement, limits: LimitsSettings) -> list[str]:
    """What is over its limit, in words without a value."""
    return list(_over(judgement, limits))


def _over(judgement: Judgement, limits: LimitsSettings) -> Iterable[str]:
    for name, of in SHARES.items():
        count, base, limit = getattr(judgement, name), getattr(judgement, of), getattr(limits, name)
        if count >= limits.at_least and count > limit * base:
            words = name.replace("_", " ")
            yield f"{words}: {count:,} of {base:,} (at most {limit:.0%})"
