"""Words of a search: what we write, a server must read as we meant it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.sandbox.search import parse
from fhir_equity.sync.search import query, token


def test_token_escapes_what_has_a_meaning() -> None:
    assert token("https://example.org/m", "A,1|$\\") == "https://example.org/m|A\\,1\\|\\$\\\\"


@given(st.text(min_size=1), st.text(min_size=1))
def test_token_is_read_as_it_was_meant(system: str, value: str) -> None:
    search = parse("Patient", [("identifier", token(system, value))], "http://127.0.0.1/fhir")
    assert [condition.values for condition in search.conditions] == [("Patient", system, value)]


def test_query_repeats_a_parameter_for_a_sequence() -> None:
    assert query({"a": ["1", "2 &"], "b": "x|y"}) == "a=1&a=2+%26&b=x%7Cy"
