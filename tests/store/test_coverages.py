"""Product lines and spans of a person, as one record after the other speaks of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.model import Enrollment, Spans
from fhir_equity.store.coverages import laid_out, merged

DAYS = st.sampled_from(["", "2025-01-01", "2025-06-30", "2026-01-01", "2026-12-31"])
SPANS = st.lists(st.tuples(DAYS, DAYS).filter(any), max_size=3).map(tuple)
RECORDS = st.builds(
    lambda line, spans, others: Enrollment(coverage=line, spans=spans, other_coverages=tuple(others.items())),
    st.just("HLT"),
    SPANS,
    st.dictionaries(st.sampled_from(["DEN", "VIS"]), SPANS),
)


def enrolled(line: str, *spans: tuple[str, str]) -> Enrollment:
    return Enrollment(coverage=line, spans=spans)


def after(*records: Enrollment, fill: bool = False) -> dict[str, Spans]:
    known, *more = records
    for record in more:
        coverage, spans, others = laid_out(merged(known, record, fill=fill))
        known = Enrollment(coverage=coverage, spans=spans, other_coverages=others)
    return dict(known.coverages)


def test_an_end_corrects_its_span_and_a_new_beginning_is_another() -> None:
    begun, ended = enrolled("HLT", ("2026-01-01", "")), enrolled("HLT", ("2026-01-01", "2026-03-31"))
    again = enrolled("HLT", ("2026-09-01", ""))
    assert after(begun, ended) == {"HLT": (("2026-01-01", "2026-03-31"),)}
    assert after(begun, ended, again) == {"HLT": (("2026-01-01", "2026-03-31"), ("2026-09-01", ""))}
    assert after(begun, ended, begun) == {"HLT": (("2026-01-01", ""),)}  # the last word stands


def test_an_end_alone_ends_what_has_begun() -> None:
    end = enrolled("HLT", ("", "2026-03-31"))
    assert after(enrolled("HLT", ("2026-01-01", "")), end) == {"HLT": (("2026-01-01", "2026-03-31"),)}
    assert after(enrolled("HLT", ("2026-04-01", "")), end) == {"HLT": (("2026-04-01", ""), ("", "2026-03-31"))}
    assert after(Enrollment(), end, end) == {"HLT": (("", "2026-03-31"),)}


def test_the_end_of_eligibility_ends_every_line() -> None:
    known = Enrollment(coverage="HLT", spans=(("2026-01-01", ""),), other_coverages=(("DEN", (("2026-05-01", ""),)),))
    over = Enrollment(spans=(("", "2026-03-31"),))
    ended = {"HLT": (("2026-01-01", "2026-03-31"),), "DEN": (("2026-05-01", ""),), "": (("", "2026-03-31"),)}
    assert after(known, over) == after(known, over, over) == ended
    assert after(known, over, fill=True)["HLT"] == (("2026-01-01", ""),)


def test_a_beginning_that_was_corrected_keeps_nobody_enrolled() -> None:
    wrong, right = enrolled("HLT", ("2025-01-01", "")), enrolled("HLT", ("2026-01-01", ""))
    ended = enrolled("HLT", ("2026-01-01", "2026-03-31"))
    assert all(end for _, end in after(wrong, right, ended)["HLT"])


def test_lines_that_are_left_out_stay_and_known_ones_come_first() -> None:
    found = after(enrolled("HLT", ("2026-01-01", "")), enrolled("DEN"), enrolled("HLT"))
    assert list(found.items()) == [("HLT", (("2026-01-01", ""),)), ("DEN", ())]


def test_what_only_verifies_fills_what_is_empty() -> None:
    known, other = enrolled("HLT", ("2026-01-01", "")), enrolled("HLT", ("2025-01-01", "2025-02-01"))
    assert after(known, other, enrolled("DEN"), fill=True) == {"HLT": (("2026-01-01", ""),), "DEN": ()}
    assert after(enrolled("HLT"), other, fill=True) == {"HLT": (("2025-01-01", "2025-02-01"),)}


@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_the_same_records_again_change_nothing(records: list[Enrollment]) -> None:
    once = after(*records)
    assert list(after(*records, *records).items()) == list(after(*records, *records, *records).items())
    assert list(after(records[0], records[0]).items()) == list(dict(records[0].coverages).items())
    assert set(once) == {line for record in records for line, _ in record.coverages}
