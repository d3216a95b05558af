"""Counts, control numbers, versions and what is no 834 at all."""

from __future__ import annotations

import pytest

from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError, UnreadableError
from fhir_equity.model import Finding, Member, Severity
from tests.adapters.edi834.files import ADA, BRUNO, GUIDE, WHOLE, codes, file, isa, join, members, read, segments


def _changed(old: str, new: str) -> bytes:
    data = file(ADA, BRUNO)
    assert data.count(old.encode()) == 1
    return data.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("SE*12*0001", "SE*13*0001", "x12.se01.count_differs", "counted 12"),
        ("SE*12*0001", "SE*x*0001", "x12.se01.count_differs", "counted 12"),
        ("SE*12*0001", "SE*\xb2*0001", "x12.se01.count_differs", "counted 12"),
        ("SE*12*0001", f"SE*{'9' * 5000}*0001", "x12.se01.count_differs", "counted 12"),
        ("SE*12*0001", "SE*12*0002", "x12.se02.control_number_differs", ""),
        ("GE*1*1", "GE*2*1", "x12.ge01.count_differs", "counted 1"),
        ("GE*1*1", "GE*1*9", "x12.ge02.control_number_differs", ""),
        ("IEA*1*000000001", "IEA*0*000000001", "x12.iea01.count_differs", "counted 1"),
        ("IEA*1*000000001", "IEA*1*000000007", "x12.iea02.control_number_differs", ""),
    ],
)
def test_counts_and_control_numbers_that_differ(old: str, new: str, code: str, message: str) -> None:
    items = read(_changed(old, new))
    assert codes(items) == [code, *(["x12.encoding.utf8"] if "\xb2" in new else [])]
    finding = next(item for item in items if isinstance(item, Finding))
    assert finding.severity is Severity.ERROR
    assert finding.message == message
    assert finding.locator.path == old.split("*")[0]


@pytest.mark.parametrize("count", ["12", "012", "12 "])
def test_a_count_may_have_zeros_or_spaces(count: str) -> None:
    assert codes(read(_changed("SE*12*0001", f"SE*{count}*0001"))) == []


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        (["TO*2", "DT*1", "ET*1"], []),
        (["TO*3"], [("x12.qty.total_differs", "counted 2")]),
        (["DT*2"], [("x12.qty.dependents_differ", "counted 1")]),
        (["ET*2"], [("x12.qty.subscribers_differ", "counted 1")]),
        (
            ["ET*0", "TO*0", "DT*0"],
            [
                ("x12.qty.total_differs", "counted 2"),
                ("x12.qty.dependents_differ", "counted 1"),
                ("x12.qty.subscribers_differ", "counted 1"),
            ],
        ),
        (["TO*x", "XX*9"], []),
    ],
)
def test_the_promised_totals_are_checked(quantities: list[str], expected: list[tuple[str, str]]) -> None:
    items = read(join(segments(ADA, BRUNO, header=[f"QTY*{quantity}" for quantity in quantities])))
    found = [item for item in items if isinstance(item, Finding)]
    assert [(item.code, item.message) for item in found] == expected
    assert {item.locator.path for item in found} <= {"SE"}


@pytest.mark.parametrize("ins", ["INS*N*19", "INS*N *19", "INS* N*19", "\n INS*N*19", "INS*N"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_dependent_is_one_however_padded(ins: str, end: str) -> None:
    quantities = ["QTY*TO*3", "QTY*DT*2", "QTY*ET*1"]
    assert codes(read(join(segments(ADA, (ins, *BRUNO[1:]), BRUNO, header=quantities), end=end))) == []


def test_totals_are_those_of_their_own_set() -> None:
    first, second = (segments(ADA, BRUNO, header=[f"QTY*DT*{dependents}"]) for dependents in (1, 2))
    items = read(join([*first[:-2], *second[2:-2], "GE*2*1", first[-1]]))
    assert [(item.code, item.message) for item in items if isinstance(item, Finding)] == [
        ("x12.qty.dependents_differ", "counted 1")
    ]


def test_a_rejected_member_counts_for_the_total() -> None:
    assert codes(read(join(segments(ADA, ("INS*X*18",), header=["QTY*TO*2"])))) == ["x12.ins01.not_in_code_list"]


def test_a_duplicate_interchange_number() -> None:
    data = file(ADA) + file(BRUNO)
    assert codes(read(data)) == ["x12.isa13.duplicate"]
    assert len(members(data)) == 2


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("005010X220A1", None),
        ("005010X220", "x12.version.shared_parts_only"),
        ("005010X307", "x12.version.shared_parts_only"),
        ("005010X220A12", "x12.version.unknown"),
        ("", None),  # GS08 says it
    ],
)
def test_the_version_decides_by_exact_match(version: str, code: str | None) -> None:
    items = read(join(segments(ADA, version=version)))
    assert codes(items) == ([code] if code else [])
    assert sum(isinstance(item, Member) for item in items) == 1


def test_a_transaction_type_in_the_wrong_element_of_bgn() -> None:
    assert codes(read(_changed("BGN*00*1*20260101*1200****4", "BGN*00*1*20260101*1200***2"))) == ["x12.bgn08.shifted"]


@pytest.mark.parametrize(
    ("bgn", "expected"),
    [
        ("00*1*20260101*1200****2", []),
        ("15*1*20260101*1200****RX", []),
        ("22 *1*20260101*1200****4 ", []),
        ("01*1*20260101*1200****4", ["x12.bgn01.not_in_code_list"]),
        ("00*1*20260101*1200****1", ["x12.bgn08.not_in_code_list"]),
        ("*1*20260101*1200", ["x12.bgn01.not_in_code_list", "x12.bgn08.not_in_code_list"]),
        ("00*1*20260101*1200***4*2", []),
        ("00*1*20260101*1200***4*3", ["x12.bgn08.not_in_code_list"]),
    ],
)
def test_what_a_set_is_for_is_checked(bgn: str, expected: list[str]) -> None:
    items = read(_changed("BGN*00*1*20260101*1200****4", f"BGN*{bgn}"))
    assert codes(items) == expected
    found = [item for item in items if isinstance(item, Finding)]
    assert {(item.severity, item.locator.number) for item in found} <= {(Severity.WARNING, 4)}
    assert sum(isinstance(item, Member) for item in items) == 2


def test_a_partner_s_guide_may_refuse_a_replacement() -> None:
    header = {**GUIDE["header"], "purposes": {**GUIDE["header"]["purposes"], "RX": "refuse"}}
    context = Context(guide={**GUIDE, "header": header})
    replacement = _changed("BGN*00*1*20260101*1200****4", "BGN*00*1*20260101*1200****RX")
    with pytest.raises(UnreadableError, match=r"^f\.834, segment 4 .*, BGN: BGN08 is RX, which this partner's"):
        read(replacement, context)
    assert len(members(file(ADA), context)) == 1
    assert len(members(replacement)) == 2
    header["purposes"]["RX"] = "refused"
    with pytest.raises(TableError, match=r"header\.purposes"):
        read(replacement, context)


@pytest.mark.parametrize(
    ("header", "version", "expected"),
    [
        (["N1*IN*PAYER"], "005010X220A1", []),
        (["N1*BO*BROKER", "N1*IN"], "005010X220A1", []),
        ([], "005010X220A1", ["x12.n1.no_payer"]),
        (["N1*TV*ADMINISTRATOR"], "", ["x12.n1.no_payer"]),
        ([], "005010X307", ["x12.version.shared_parts_only"]),  # another guide has other parties
    ],
)
def test_the_payer_must_be_named(header: list[str], version: str, expected: list[str]) -> None:
    items = read(join(segments(ADA, header=header, version=version)), Context(guide=WHOLE))
    assert codes(items) == expected
    assert [item.locator.path for item in items if isinstance(item, Finding)] == ["ST"] * len(expected)


def test_every_set_names_its_sponsor() -> None:
    named, nobody = segments(ADA, header=["N1*IN*PAYER"]), segments(BRUNO)
    parts = [*named[:-2], *(part for part in nobody[2:-2] if part[:2] != "N1"), "GE*2*1", named[-1]]
    items = read(join(parts).replace(b"SE*8*0001", b"SE*7*0001", 1), Context(guide=WHOLE))
    assert [code for code in codes(items) if "se01" not in code] == ["x12.n1.no_sponsor", "x12.n1.no_payer"]


@pytest.mark.parametrize("kind", ["999", "837", "820"])
def test_another_transaction_is_refused_in_one_sentence(kind: str) -> None:
    data = file(ADA).replace(b"ST*834*", f"ST*{kind}*".encode())
    with pytest.raises(UnreadableError, match=rf"^f\.834 is an X12 {kind}, not an 834$"):
        read(data)


def test_an_interchange_acknowledgement_is_refused_in_one_sentence() -> None:
    data = join([isa(), "TA1*000000001*260101*1200*A*000", "IEA*0*000000001"])
    with pytest.raises(UnreadableError, match=r"^f\.834 is an X12 TA1, not an 834$"):
        read(data)


@pytest.mark.parametrize("data", [join([isa(), "IEA*0*000000001"]), join([isa()])])
def test_an_interchange_without_a_set_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^f\.834 is an X12 interchange without an 834 transaction set$"):
        read(data)


def test_a_strange_transaction_name_is_not_repeated_in_the_message() -> None:
    data = file(ADA).replace(b"ST*834*", b"ST*DOE JANE*")
    with pytest.raises(UnreadableError, match="without an 834"):
        read(data)


def test_another_transaction_beside_an_834_is_a_finding_and_its_segments_are_left_alone() -> None:
    other = ["ST*820*0002", "BPR*I", "INS*Y*18", "XYZ", "SE*5*0002"]
    parts = segments(ADA)
    items = read(join([*parts[:-2], *other, "GE*2*1", parts[-1]]))
    assert codes(items) == ["x12.st01.not_834"]
    assert sum(isinstance(item, Member) for item in items) == 1


def test_members_without_a_set_are_read_with_a_finding() -> None:
    items = read(join([isa(), "GS*BE*A*B*20260101*1200*1*X*005010X220A1", *ADA, *BRUNO, "GE*0*1", "IEA*1*000000001"]))
    assert codes(items) == ["x12.st.missing", "x12.se.missing"]
    assert sum(isinstance(item, Member) for item in items) == 2


@pytest.mark.parametrize("missing", ["SE", "GE", "GS"])
def test_a_missing_segment_of_the_envelope(missing: str) -> None:
    expected = {
        "SE": ["x12.se.missing"],
        "GE": [],
        "GS": ["x12.ge02.control_number_differs", "x12.iea01.count_differs"],
    }
    items = read(join([part for part in segments(ADA, BRUNO) if not part.startswith(missing + "*")]))
    assert codes(items) == expected[missing]
    assert sum(isinstance(item, Member) for item in items) == 2


def test_an_se_without_its_st() -> None:
    parts = segments(ADA)
    assert codes(read(join([*parts[:-2], "SE*9*0001", *parts[-2:]]))) == ["x12.st.missing"]


@pytest.mark.parametrize("where", [3, 9, 11])
def test_segments_nobody_expects_are_found(where: int) -> None:
    parts = segments(ADA)
    parts[where:where] = ["INX*Y*18", "", ""]
    items = read(join(parts))
    assert codes(items)[:2] == ["x12.segment.unexpected", "x12.segment.empty"]
    assert sum(isinstance(item, Member) for item in items) == 1


def test_what_follows_the_last_iea_is_found() -> None:
    items = read(file(ADA) + b"\nGS*BE~")
    assert codes(items) == ["x12.text_after_iea"]
    finding = items[-1]
    assert isinstance(finding, Finding)
    assert (finding.locator.number, finding.locator.offset) == (13, len(file(ADA)) + 1)


@pytest.mark.parametrize("guide", [{}, {"person": {"key": [["NM109"]]}}])
def test_a_guide_may_say_nothing(guide: dict[str, object]) -> None:
    items = read(file(ADA), Context(guide=guide))
    assert "x12.version.unknown" in codes(items)
