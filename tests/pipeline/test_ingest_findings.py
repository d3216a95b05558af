"""Findings across the records and files of an ingest: in its summary, in the store, and in the audit of the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.ingest import Ingested, ingest
from fhir_equity.pipeline.workspace import Workspace
from tests.pipeline.test_ingest import HEAD, file, member, rows, settings


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Ingested]:
    """`load(path, ...)`: one run of the partner plan."""

    def run(*paths: Path) -> Ingested:
        with Workspace(settings(tmp_path), "2026-01-01") as workspace:
            return ingest(workspace, paths, partner="plan")

    return run


def numbered(path: Path, control: int) -> Path:
    """The same file with another interchange control number."""
    path.write_text(path.read_text().replace("000000001", f"{control:09}"))
    return path


def dependent(number: int, of: int) -> str:
    return (
        f"INS*N*19*030**A~\nREF*0F*FX{of:06}~\nNM1*IL*1*ROSEFIELD*KIND{number}****ZZ*KX{number:06}~\n"
        "DMG*D8*20100206*M~\nHD*030**HLT~\n"
    )


def test_a_person_twice_a_dependent_alone(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    people = [dependent(1, 2), member(1, "7"), member(2, "7"), member(1, "7"), member(2, "B"), dependent(2, 9)]
    path = file(tmp_path / "a.834", people)
    done = load(path)
    assert done.findings == {"member.duplicate": 2, "x12.member.subscriber_unknown": 1}
    found = rows(tmp_path, "SELECT code, severity, unit, number, offset FROM finding ORDER BY number")
    text = path.read_bytes()
    assert found == [
        ("member.duplicate", "info", "segment", 24, text.rindex(b"INS*Y*18*030**A***FT~\nREF*0F*FX000001")),
        ("member.duplicate", "warning", "segment", 30, text.rindex(b"INS*Y*18*030**A***FT~\nREF*0F*FX000002")),
        ("x12.member.subscriber_unknown", "warning", "segment", 36, text.rindex(b"INS*N")),
    ]
    with Workspace(settings(tmp_path)) as workspace:
        told = {(f["code"], f["severity"]): f["count"] for f in audit(workspace).document["findings"]}
    assert told == {
        ("member.duplicate", "warning"): 1,
        ("x12.member.subscriber_unknown", "warning"): 1,
        ("member.duplicate", "info"): 1,
    }


def test_a_daily_and_a_full_file_that_do_not_agree(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    full = file(tmp_path / "full.834", [member(n, "7") for n in range(1, 5)])
    daily = numbered(file(tmp_path / "daily.834", [member(2, "7"), member(3, "B"), dependent(1, 4)]), 2)
    assert load(full, daily).findings == {"member.seen_in_two_files": 1}
    assert rows(tmp_path, "SELECT name, number FROM finding JOIN artefact ON artefact.id = artefact_id") == [
        ("daily.834", 13)
    ]


def test_a_control_number_of_another_file(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    first, second = (file(tmp_path / f"{name}.834", [member(n, "7")]) for n, name in enumerate("ab", start=1))
    assert load(first).findings == {}
    assert load(second).findings == {"x12.isa13.seen_before": 1}
    assert rows(tmp_path, "SELECT unit, number, offset, path FROM finding") == [("segment", 1, 0, "ISA")]
    assert load(first).findings == {}
    assert load(numbered(second, 7)).findings == {}


def test_an_interchange_in_which_nothing_is_leaves_no_trace(tmp_path: Path, load: Callable[..., Ingested]) -> None:
    empty = tmp_path / "empty.834"
    empty.write_text(f"{HEAD.splitlines()[0]}\nIEA*0*000000001~\n")
    done = load(empty, file(tmp_path / "a.834", [member(1, "7")]))
    assert done.failures == ["empty.834 is an X12 interchange without an 834 transaction set"]
    assert done.findings == {}
    assert rows(tmp_path, "SELECT name, control FROM frame JOIN artefact ON artefact.id = artefact_id") == [
        ("a.834", "SENDER|000000001")
    ]
