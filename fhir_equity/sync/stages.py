"""Changes that are ready: into the journal together, sent one after the other, and closed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from fhir_equity.store import Disclosure
from fhir_equity.store.hie import PLANNED, Planned, Settled
from fhir_equity.store.hie_journal import Journal


class Ended(Struct, frozen=True):
    """How a change ended, and what the journal is told of it: nothing where it is not known what became of it."""

    status: str
    settled: Settled | None = None


class Staged(Struct, frozen=True):
    """A change that is ready: `send` sends it and reads back; `disclosed` is what it tells the recipient."""

    change: Planned
    send: Callable[[], Ended]
    disclosed: list[Disclosure] = []


def carry_out(journal: Journal, staged: Sequence[Staged], told: Callable[[str], None]) -> None:
    """Send what is ready; `told` hears how each ended.

    All of it is in the journal before the first is sent, but for what the journal does not want any more, which is
    not sent. Where something stops the run, what was done is closed,
    what was not begun is still to do, and the one in between stays open. Raises RemoteError, StoreError.
    """
    if not staged:
        return
    may = journal.sending([each.change for each in staged], [told for each in staged for told in each.disclosed])
    for _ in [each for each in staged if each.change.id not in may]:
        told("stale")
    staged = [each for each in staged if each.change.id in may]
    ended: list[Ended] = []
    try:
        for each in staged:
            ended.append(each.send())
            told(ended[-1].status)
    finally:
        journal.settle([each.settled for each in ended if each.settled is not None])
        left = [each.change for each in staged[len(ended) + 1 :]]
        journal.not_sent([change for change in left if change.status == PLANNED])
