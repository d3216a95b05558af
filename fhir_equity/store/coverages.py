"""What a person's product lines and their spans are, after another record spoke of them."""

from __future__ import annotations

from fhir_equity.model import Coverage, Enrollment, Spans


def merged(old: Enrollment, new: Enrollment, *, fill: bool) -> dict[str, Spans]:
    """The spans of each line, those known first, so that the same records again change nothing.

    A line that `new` leaves out stays, but an end of the member's eligibility (dates without a line) ends what
    is open in all of them. With `fill` it changes no line that has spans, it adds what is missing.
    """
    over = sorted(end for line, spans in new.coverages if not line for _, end in spans if end and not fill)
    found = {
        line: tuple([(begin, end or _ended(begin, over)) for begin, end in spans]) if over and line else spans
        for line, spans in old.coverages
    }
    for line, said in new.coverages:
        known = found.get(line, ())
        found[line] = known if fill and known else _spans(known, said)
    return found


def laid_out(found: dict[str, Spans]) -> tuple[str, Spans, tuple[Coverage, ...]]:
    """The first line, its spans, and the others, as an Enrollment keeps them."""
    (line, spans), *others = found.items() or [("", ())]
    return line, spans, tuple(others)


def _spans(known: Spans, said: Spans) -> Spans:
    """What is known and what is said now: of spans that begin on one day the last word stands.

    An end also ends what is open and was not said again, so that a start which was corrected in between
    keeps nobody enrolled. The same words again change nothing, not even an order.
    """
    begins = {begin for begin, _ in said if begin}
    ends = sorted(end for _, end in said if end)
    kept = [(begin, end or _ended(begin, ends)) for begin, end in known if begin not in begins]
    new = [(begin, end) for begin, end in said if begin or not _is_known(end, known)]
    found = (*kept, *new)
    return known if sorted(found) == sorted(known) else found


def _ended(begin: str, ends: list[str]) -> str:
    return next((end for end in ends if begin <= end), "")


def _is_known(end: str, known: Spans) -> bool:
    """Whether an end without a beginning is that of a span already, or ends one now."""
    return any(stop == end or (not stop and begin <= end) for begin, stop in known)
