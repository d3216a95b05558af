"""Changes that are ready: into the journal together, sent together or one after the other, and closed together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from fhir_equity.store import Disclosure
from fhir_equity.store.hie import PLANNED, SENT, UNVERIFIED, Planned, Settled
from fhir_equity.store.hie_journal import Journal
from fhir_equity.sync.client import Versioned
from fhir_equity.sync.transactions import Part, Transactions


class Ended(Struct, frozen=True):
    """How a change ended, and what the journal is told of it: nothing where it is not known what became of it."""

    status: str
    settled: Settled | None = None


def unwritten_as(change: Planned, status: str) -> Ended:
    """Nothing was written. What may have been stays open: the next plan settles it by looking."""
    is_open = change.status == SENT or status == UNVERIFIED
    return Ended(status, None if is_open else Settled(change, status))


class Together(Struct, frozen=True):
    """What may go with others in one transaction, and what is done when it has landed, or why it has not."""

    part: Part
    landed: Callable[[Versioned | str], Ended]


class Staged(Struct, frozen=True):
    """A change that is ready: `send` sends it and reads back; `disclosed` is what it tells the recipient."""

    change: Planned
    send: Callable[[], Ended]
    disclosed: list[Disclosure] = []
    together: Together | None = None


def carry_out(
    journal: Journal,
    staged: Sequence[Staged],
    told: Callable[[str], None],
    transactions: Transactions,
    may_go: Callable[[Planned], bool],
) -> None:
    """Send what is ready; `told` hears how each ended.

    All of it is in the journal before the first is sent, but for what the journal does not want any more, which is
    not sent; nor is what may not go any more when its turn comes. Where something stops the run, what was done is
    closed, what was not begun is still to do, and what was on its way stays open. Raises RemoteError, StoreError.
    """
    if not staged:
        return
    may = journal.sending([each.change for each in staged], [told for each in staged for told in each.disclosed])
    for _ in [each for each in staged if each.change.id not in may]:
        told("stale")
    waiting = {each.change.id: each for each in staged if each.change.id in may}
    ended: list[Ended] = []
    try:
        for end in _sent(waiting, transactions, may_go):
            ended.append(end)
            told(end.status)
        for _ in waiting:
            told("stale")
    finally:
        journal.settle([each.settled for each in ended if each.settled is not None])
        journal.not_sent([each.change for each in waiting.values() if each.change.status == PLANNED])


def _sent(waiting: dict[int, Staged], transactions: Transactions, may_go: Callable[[Planned], bool]) -> Iterator[Ended]:
    """Send everything; what is on its way is not `waiting` any more."""
    apart = [each for each in waiting.values() if each.together is None]
    joined = [each for each in waiting.values() if each.together is not None]
    for portion in _portions(joined, transactions):
        some = [each for each in portion if may_go(each.change)]
        for each in some:
            del waiting[each.change.id]
        landed = transactions.send([each.together.part for each in some if each.together is not None])
        if not landed:
            waiting |= {each.change.id: each for each in some}
            apart = [*some, *apart]
        for each in some if landed else ():
            if each.together is not None:
                yield each.together.landed(landed[each.change.id])
    for each in filter(lambda staged: may_go(staged.change), apart):
        del waiting[each.change.id]
        yield each.send()


def _portions(staged: Sequence[Staged], transactions: Transactions) -> Iterator[Sequence[Staged]]:
    size = max(transactions.size, 1)
    yield from (staged[start : start + size] for start in range(0, len(staged), size))
