"""A line that is decoded at once is read as the same line element by element; any other is left to the latter."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.fhir.elements import HumanName, decoded, patient_at
from fhir_equity.adapters.fhir.patient import PatientReader
from fhir_equity.adapters.fhir.shape import Problems, compact
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Locator
from tests.adapters.fhir.test_tolerance import FULL, JSON, places
from tests.benchmarks.generate_fhir import generate

PLACE = Locator("x", "line", 3, 40)


def test_what_is_generated_is_decoded_at_once() -> None:
    for patient in generate(50):
        raw = orjson.dumps(patient)
        read = decoded(raw)
        assert read is not None
        problems = Problems()
        assert patient_at(patient, problems) == read
        assert problems == []


@settings(deadline=None, max_examples=300)
@given(st.data())
@example(None)
def test_both_ways_read_the_same(data: st.DataObject | None) -> None:
    resource: dict[str, Any] = copy.deepcopy(FULL)
    for _ in range(0 if data is None else data.draw(st.integers(0, 3))):
        assert data is not None
        holder, step = data.draw(st.sampled_from(places(resource)))
        holder[step] = data.draw(JSON)
    raw = compact(resource)
    at_once = PatientReader("x", Context()).line(raw, PLACE)
    assert data is not None or at_once is not None
    if at_once is not None:
        slowly = PatientReader("x", Context()).member(orjson.loads(raw), PLACE)
        assert at_once.record == raw
        assert at_once.resource == slowly.resource
        assert msgspec.structs.replace(at_once, record=b"") == msgspec.structs.replace(slowly, record=b"")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceType":"Observation","id":"a"}',
        b'{"id":"a"}',
        b'{"resourceType":"Patient","id":5}',
        b'{"resourceType":"Patient","id":"a"',
        b'{"resourceType":"Patient","note":"\xe9"}',
        b'\xef\xbb\xbf{"resourceType":"Patient"}',
        b'{"resourceType":"Patient","deep":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"resourceType":"Patient","deep":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b"",
    ],
)
def test_what_is_left_to_a_second_look(raw: bytes) -> None:
    assert decoded(raw) is None


def test_what_is_decoded_at_once_can_be_had_whole() -> None:
    raw = b'{"resourceType":"Patient","deep":' + b"[" * 500 + b"]" * 500 + b"}"
    assert decoded(raw) is not None
    member = PatientReader("x", Context()).line(raw, PLACE)
    assert member is not None
    assert member.resource is not None


def test_any_utf_8_is_decoded() -> None:
    read = decoded('{"resourceType":"Patient","name":[{"family":"Nuñez"}]}'.encode())
    assert read is not None
    assert read.name == (HumanName(family="Nuñez"),)


def test_what_came_as_json_is_kept_to_the_byte() -> None:
    raw = b'{ "resourceType":"Patient", "birthDate" : "1980-01-02", "n": 1.50 }'
    member = PatientReader("x", Context()).line(raw, PLACE)
    assert member is not None
    assert member.record == raw
    assert member.resource == {"resourceType": "Patient", "birthDate": "1980-01-02", "n": 1.5}
    assert member.answers == ()


def test_extensions_are_known_by_what_they_say_not_by_how_they_are_written() -> None:
    reader = PatientReader("x", Context())
    (extension,) = (each for each in FULL["extension"] if each["url"].endswith("birthsex"))
    one = json.dumps({"resourceType": "Patient", "extension": [extension]}).encode()
    two = compact({"resourceType": "Patient", "extension": [extension]})
    first, second = reader.line(one, PLACE), reader.line(two, PLACE)
    assert first is not None
    assert second is not None
    assert first.answers == second.answers
