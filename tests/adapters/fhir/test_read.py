"""Documents, Bundles and lines become Members, Rejected and Findings."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest

from fhir_equity.adapters.fhir import ADAPTER, answers_of, patient
from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Member, Rejected, Severity

PATIENT = {"resourceType": "Patient", "id": "a", "gender": "female"}
COVERAGE = {"resourceType": "Coverage", "id": "c"}


def read(raw: bytes | dict[str, Any] | list[Any], name: str = "x.json") -> list[Read]:
    content = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return list(ADAPTER.read(Source(name, lambda: io.BytesIO(content)), Range(), Context(partner="acme")))


def bundle(*resources: object) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]}


def members(found: list[Read]) -> list[Member]:
    return [each for each in found if isinstance(each, Member)]


def test_a_resource_is_one_member_kept_as_read() -> None:
    (member,) = read(PATIENT)
    assert isinstance(member, Member)
    assert member.resource == PATIENT
    assert (member.partner, member.key, member.key_rule) == ("acme", "Patient/a", "fhir.id")
    assert member.answers[0].locator == Locator("x.json", "resource", 1, -1, "Patient.gender")


def test_pretty_printed_json_is_one_document() -> None:
    assert len(members(read(json.dumps(PATIENT, indent=2).encode()))) == 1


def test_bundles_number_their_resources_nested_ones_included() -> None:
    found = read(bundle(COVERAGE, PATIENT, bundle(PATIENT, COVERAGE), PATIENT))
    assert [member.answers[0].number for member in members(found)] == [2, 3, 5]
    assert found[-1] == Finding("fhir.resource.not_used", Severity.INFO, Locator("x.json"), "Coverage is not read: 2")
    assert len(found) == 4


def test_a_broken_entry_does_not_stop_the_others() -> None:
    value = {"resourceType": "Bundle", "entry": [7, {"resource": "x"}, {"fullUrl": "u"}, {"resource": PATIENT}]}
    found = read(value)
    rejected = [each for each in found if isinstance(each, Rejected)]
    assert [(each.raw, each.finding.locator.path) for each in rejected] == [
        (b"7", "Bundle.entry[0]"),
        (b'"x"', "Bundle.entry[1]"),
    ]
    assert {each.finding.code for each in rejected} == {"fhir.json.not_a_resource"}
    assert len(members(found)) == 1


def test_paths_in_nested_bundles() -> None:
    found = read(bundle(PATIENT, bundle(COVERAGE, 5)))
    (rejected,) = (each for each in found if isinstance(each, Rejected))
    assert rejected.finding.locator == Locator("x.json", "resource", 3, -1, "Bundle.entry[1].resource.entry[1]")


@pytest.mark.parametrize("entry", ["x", 1, None, {"a": 1}])
def test_an_entry_list_of_another_type_is_rejected(entry: object) -> None:
    rejected, none = read({"resourceType": "Bundle", "entry": entry})
    assert isinstance(rejected, Rejected)
    assert rejected.raw == json.dumps(entry, separators=(",", ":")).encode()
    assert rejected.finding.locator.path == "Bundle.entry"
    assert isinstance(none, Finding)
    assert (none.code, none.severity) == ("fhir.patient.none", Severity.WARNING)


def test_bundles_nested_beyond_the_recursion_limit() -> None:
    inner: dict[str, Any] = PATIENT
    raw = json.dumps(inner)
    for _ in range(300):
        raw = '{"resourceType":"Bundle","entry":[{"resource":' + raw + "}]}"
    assert len(members(read(raw.encode()))) == 1


def test_a_list_of_resources_is_read() -> None:
    found = read([PATIENT, 3, PATIENT])
    assert [member.answers[0].number for member in members(found)] == [1, 3]
    (rejected,) = (each for each in found if isinstance(each, Rejected))
    assert rejected.finding.locator.path == "[1]"


def test_no_patient_at_all() -> None:
    assert read(COVERAGE) == [
        Finding("fhir.resource.not_used", Severity.INFO, Locator("x.json"), "Coverage is not read: 1"),
        Finding("fhir.patient.none", Severity.WARNING, Locator("x.json"), "there is no Patient in this file"),
    ]


def test_a_resource_type_that_is_no_word_is_not_repeated() -> None:
    assert "Anna 1980" not in repr(read({"resourceType": "Anna 1980"}))


def test_one_bad_line_does_not_stop_the_rest() -> None:
    line, broken = json.dumps(PATIENT).encode(), b'{"resourceType":"Patient","name":['
    found = read(b"\r\n".join([line, broken, b"", line, b"[1]"]), "p.ndjson")
    assert [member.answers[0].locator for member in members(found)] == [
        Locator("p.ndjson", "line", 1, 0, "Patient.gender"),
        Locator("p.ndjson", "line", 4, len(line) + len(broken) + 6, "Patient.gender"),
    ]
    rejected = [each for each in found if isinstance(each, Rejected)]
    assert rejected[0].raw == broken + b"\r"
    bad = Locator("p.ndjson", "line", 2, len(line) + 2)
    assert rejected[0].finding == Finding("fhir.json.invalid", Severity.ERROR, bad, "not valid JSON")
    assert rejected[1].finding.code == "fhir.json.not_a_resource"
    assert len(found) == 4


def test_a_broken_first_line_is_rejected_and_the_second_is_read() -> None:
    line = json.dumps(PATIENT).encode()
    rejected, member = read(b"Ada Broken\n" + line + b"\n")
    assert isinstance(rejected, Rejected)
    assert rejected.raw == b"Ada Broken"
    assert isinstance(member, Member)


def test_a_bundle_on_a_line_is_located_by_its_line() -> None:
    line = json.dumps(bundle(COVERAGE, PATIENT)).encode()
    found = read(line + b"\n" + line + b"\n")
    assert [(m.answers[0].unit, m.answers[0].number, m.answers[0].offset) for m in members(found)] == [
        ("line", 1, 0),
        ("line", 2, len(line) + 1),
    ]


def test_latin_1_is_read_with_a_finding() -> None:
    raw = json.dumps({**PATIENT, "name": [{"family": "Nuñez"}]}, ensure_ascii=False).encode("latin-1")
    finding, member = read(raw)
    assert isinstance(finding, Finding)
    assert (finding.code, finding.locator) == ("fhir.encoding.not_utf8", Locator("x.json"))
    assert isinstance(member, Member)
    assert member.name.family == "Nuñez"
    lines = read(json.dumps(PATIENT).encode() + b"\n" + raw)
    assert [each.locator.number for each in lines if isinstance(each, Finding)] == [2]


def test_a_byte_order_mark_is_passed_over() -> None:
    line = b"\xef\xbb\xbf" + json.dumps(PATIENT).encode()
    assert len(read(line)) == 1
    assert len(members(read(line + b"\n" + line))) == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"resourceType":"Patient","name":"Ada', "x.json is not valid JSON (line 1, column "),
        (b'\xef\xbb\xbf{"resourceType":"Patient",\n "name":Ada}', "x.json is not valid JSON (line 2, column 9)"),
        (b'{"name":"\xe9', "x.json is not valid JSON (line 1, column "),
        (b'{"name": "Ada"}', "x.json is JSON without a FHIR resource"),
        (b"[]", "x.json is JSON without a FHIR resource"),
    ],
)
def test_what_cannot_be_read_says_so_without_content(raw: bytes, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(raw)
    assert str(caught.value).startswith(message)
    assert "Ada" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nesting_without_end_costs_one_line_only() -> None:
    deep = '[{"url":"' + RACE + '","extension":' + "[" * 1015 + "]" * 1015 + "}]"
    line = ('{"resourceType":"Patient","id":"a","extension":' + deep + "}").encode()
    first, member = read(line + b"\n" + json.dumps(PATIENT).encode())
    assert isinstance(member, Member)
    if isinstance(first, Member):  # newer Pythons go this deep
        return
    assert isinstance(first, Rejected)
    assert (first.raw, first.finding.code) == (line, "fhir.json.too_deep")
    with pytest.raises(UnreadableError, match=r"^x\.json is nested too deeply to be read$"):
        read(line)


def test_lone_surrogates_and_huge_numbers_are_kept_escaped() -> None:
    extension = {"url": RACE, "valueString": "\ud800", "id": 1 << 70}
    found = answers_of({"resourceType": "Patient", "id": "a", "extension": [extension]}, "x", Context())
    assert json.loads(found.answers[0].received.raw) == extension


def test_equal_answers_are_shared_within_a_run() -> None:
    line = json.dumps({**PATIENT, "communication": [{"language": {"text": "Ewe"}}]}).encode()
    first, second = members(read(line + b"\n" + line))
    assert len(first.answers) == 2
    for one, other in zip(first.answers, second.answers, strict=True):
        assert one.received is other.received
        assert one.origin is other.origin


RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"


def test_the_cache_starts_afresh_before_it_grows_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient, "MOST", 3)
    reader = patient.PatientReader("x", Context())
    for number in range(20):
        extension = {"url": RACE, "valueString": str(number)}
        language = [{"language": {"text": str(number)}}]
        resource = {"id": "a", "gender": str(number), "extension": [extension], "communication": language}
        texts = [each.received.text for each in reader.member(resource, Locator("x")).answers]
        assert texts == [str(number), "", str(number)]
    sizes = [len(cache) for cache in (reader._extensions, reader._languages, reader._genders)]
    assert max(sizes) <= 3


class _Endless(io.BytesIO):
    """A file of many Patients that is nowhere in memory."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def read(self, size: int | None = -1) -> bytes:
        if self._left <= 0:
            return b""
        self._left -= 100
        return b"".join(b'{"resourceType":"Patient","id":"%d"}\n' % (self._left + at) for at in range(100))


def test_lines_are_read_in_constant_memory() -> None:
    source = Source("x", lambda: _Endless(40_000))
    tracemalloc.start()
    count = sum(isinstance(each, Member) for each in ADAPTER.read(source, Range(), Context()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 4_000_000
