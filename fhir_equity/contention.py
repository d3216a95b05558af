"""Where answers of one person contradict one another so that somebody should decide, and what cases have in common.

Only answers about one matter are held against one another: a difference between birth sex, gender and
administrative sex is no contradiction. Of administrative sex only what cannot be decided is a case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from fhir_equity.model import CHOSEN, Contention, Event, Meaning, Method, Received, Resolution, Side, State
from fhir_equity.survivorship import DECIDED, Elsewhere, meanings_of, what_is_said

TIE, SELF, SOURCES, DETAIL, UNMAPPED = KINDS = (
    "tie",  # different answers rank the same: nothing is sent
    "self_against_self",  # two self-reports say different things
    "source_against_source",  # sources say different things
    "detail_against_category",  # one answer contradicts itself
    "unmapped",  # no table knows what was said
)
ONLY_TIES = ("sex",)
REPEATED = ("combined", "detail")  # rules by which two answers say the same, one of them in less detail
_UNKNOWN = frozenset(("not_mapped", "not_in_code_list", "system_unknown", "not_a_wording", "check_digit_wrong"))

Said = tuple[tuple[str, str], ...]
Key = tuple[str, str, str, Said]  # partner, collector, method, what they say
Sides = dict[Key, list[int]]  # with the places of their events
Read = Callable[[Event], Sequence[Meaning]]
_NOBODY: Elsewhere = {}


def contentions(
    events: Sequence[Event],
    decided: Mapping[str, Resolution],
    undecided: Mapping[str, Resolution],
    matter_of: Callable[[str], str],
    meaning: Callable[[Received], Meaning],
    elsewhere: Elsewhere = _NOBODY,
) -> tuple[Contention, ...]:
    """What somebody should decide about the events of one person. What came through partners `elsewhere` is read there.

    `decided` is what survivorship makes of them by matter, `undecided` what it would without any decision.
    """
    places: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        places.setdefault(matter_of(event.received[0].topic), []).append(place)
    read = partial(meanings_of, meaning=meaning, elsewhere=elsewhere)
    found: list[Contention] = []
    for matter, mine in sorted(places.items()):
        found += _conflicts(matter, events, mine, (decided[matter], undecided[matter]), read)
        if matter not in ONLY_TIES:
            found += _values(matter, events, mine, read)
    return tuple(found)


def _conflicts(
    matter: str,
    events: Sequence[Event],
    mine: Sequence[int],
    resolutions: tuple[Resolution, Resolution],
    read: Read,
) -> Iterator[Contention]:
    """The answers of a matter against one another."""
    decided, undecided = resolutions
    sides: Sides = {}
    for place in mine:
        meanings = read(events[place])
        if any(each.state is State.ANSWERED for each in meanings):
            said = tuple(sorted(what_is_said(events[place], meanings)))
            sides.setdefault((*_who(events[place]), said), []).append(place)
    different = {said for *_, said in sides}
    if len(different) < 2 or (len(different) == 2 and undecided.rule in REPEATED):
        return
    kind = TIE if undecided.provisional else _kind(sides)
    if kind and (kind == TIE or matter not in ONLY_TIES):
        before = any(event.decided == CHOSEN for event in (events[place] for place in mine))
        state = "decided" if decided.rule == DECIDED else "reopened" if before else "open"
        yield _contention(kind, matter, sides, events, state)


def _values(matter: str, events: Sequence[Event], mine: Sequence[int], read: Read) -> Iterator[Contention]:
    """Single values: those that contradict themselves, and those that no table knows."""
    for place in mine:
        event = events[place]
        for received, meaning in zip(event.received, read(event), strict=True):
            problems = {name for name, _ in meaning.problems}
            kinds = [DETAIL] * ("contradiction" in problems) + [UNMAPPED] * bool(problems & _UNKNOWN)
            for kind in kinds:
                state = "decided" if event.decided == CHOSEN and kind == DETAIL else "open"
                yield _contention(kind, matter, {(*_who(event), as_received(received)): [place]}, events, state)


def _who(event: Event) -> tuple[str, str, str]:
    return event.origin.partner, event.origin.collector, event.origin.method


def as_received(received: Received) -> Said:
    """What a side that no table knows says: codes and words as they came."""
    codes = {(coding.system, coding.code) for coding in received.codings}
    return tuple(sorted(codes | ({("text", received.text)} if received.text else set())))


def _kind(sides: Iterable[Key]) -> str:
    """Which conflict it is; empty where one source has changed what it says."""
    keys = list(sides)
    if len({said for *_, method, said in keys if method == Method.SELF}) > 1:
        return SELF
    return SOURCES if len({key[:3] for key in keys}) > 1 else ""


def _contention(kind: str, matter: str, sides: Sides, events: Sequence[Event], state: str) -> Contention:
    ordered = sorted(sides.items())
    since = max(events[place].first_seen for _, places in ordered for place in places)
    who = tuple(Side(*key) for key, _ in ordered)
    return Contention(kind, matter, who, tuple(tuple(places) for _, places in ordered), state, since)
