"""ack: from files to one answer, with the partner's own tables."""

from __future__ import annotations

import gzip
import io
import stat
from pathlib import Path

import pytest

from fhir_equity import Workspace, ack
from fhir_equity.adapters.edi834.ack import Wish
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.pipeline.ack import guides
from fhir_equity.settings import MappingSettings, Settings
from fhir_equity.tables import Tables
from tests.adapters.edi834.ack.answers import ADA, HEADER, enrolled, interchange, one_set, segments_of
from tests.adapters.edi834.files import join

GOOD = join(interchange(one_set(*HEADER, *ADA)))
BAD = enrolled("LUI*LE*SPA**9")


def test_one_file_answers_every_input_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.834").write_bytes(GOOD)
    (folder / "b.834.gz").write_bytes(gzip.compress(BAD))
    (folder / "c.834").write_bytes(b"")
    with Workspace() as workspace:
        done = ack(workspace, folder, tmp_path / "out.999")
    found = segments_of((tmp_path / "out.999").read_bytes(), "TA1", "IK4", "AK9")
    assert [segment.split("*")[0] for segment in found] == ["TA1", "AK9", "TA1", "IK4", "AK9"]
    assert done.answered.interchanges == {"A": 2}
    assert (done.answered.groups, done.answered.sets) == ({"A": 1, "E": 1}, {"A": 1, "E": 1})
    assert done.answered.causes == {"element.not_in_code_list": 1}
    assert done.failures == ["c.834 is empty"]
    assert stat.S_IMODE((tmp_path / "out.999").stat().st_mode) == 0o600


def test_nothing_is_written_where_nothing_can_be_answered(tmp_path: Path) -> None:
    (tmp_path / "out.999").write_text("what was there before")
    (tmp_path / "a.834").write_bytes(b"ISA*00")
    with Workspace() as workspace, pytest.raises(UnreadableError, match="ends inside its first segment"):
        ack(workspace, tmp_path / "a.834", tmp_path / "out.999")
    assert (tmp_path / "out.999").read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.834", "out.999"]


def test_an_answer_never_replaces_what_it_answers(tmp_path: Path) -> None:
    (tmp_path / "a.834").write_bytes(GOOD)
    with Workspace() as workspace, pytest.raises(UsageError, match="same file"):
        ack(workspace, tmp_path / "a.834", tmp_path / "a.834")
    assert (tmp_path / "a.834").read_bytes() == GOOD


def answer(workspace: Workspace, data: bytes, tmp_path: Path, partner: str = "") -> list[str]:
    (tmp_path / "in.834").write_bytes(data)
    ack(workspace, tmp_path / "in.834", tmp_path / "out.999", partner=partner, wish=Wish(ta1=False))
    return segments_of((tmp_path / "out.999").read_bytes(), "IK3", "IK4", "IK5", "AK9")


def test_a_partner_allows_a_code_and_another_one_rejects_for_it(tmp_path: Path) -> None:
    overlay = tmp_path / "ours"
    lax, strict = overlay / "partners/lax/guides", overlay / "partners/strict/guides"
    (lax / "005010X220A1").mkdir(parents=True)
    strict.mkdir(parents=True)
    header = "loop,segment,number,element,component,codes\n"
    (lax / "005010X220A1/elements.csv").write_text(header + "2100A,LUI,1,4,,5 6 7 8 9\n")
    (strict / "x12_acknowledgement.csv").write_text("element,code,cause,decision\nIK403,7,element.not_in_code_list,R\n")
    (strict / "edi834.toml").write_text("[acknowledge]\nmost_errors = 1\n")
    with Workspace(Settings(mappings=MappingSettings(overlay=overlay))) as workspace:
        bad = enrolled("LUI*LE*SPA**9", "LUI*LE*ENG**9")
        faults = ["IK3*LUI*9*2100A*8", "IK4*4*1303*7", "IK3*LUI*10*2100A*8", "IK4*4*1303*7"]
        assert answer(workspace, bad, tmp_path) == [*faults, "IK5*E*5", "AK9*E*1*1*1"]
        assert answer(workspace, bad, tmp_path, "lax") == ["IK5*A", "AK9*A*1*1*1"]
        assert answer(workspace, bad, tmp_path, "strict") == [*faults[:2], "IK5*R*5", "AK9*R*1*1*0"]


def test_a_guide_is_whole_where_there_are_tables_for_it(tmp_path: Path) -> None:
    known = guides(Tables())
    assert set(known.structures) == {"005010X220A1"}
    assert {"005010X307", "005010X220A1"} <= known.versions
    folder = tmp_path / "guides/005010X307"
    folder.mkdir(parents=True)
    for name in ("loops", "segments", "elements"):
        rows = Tables().rows(f"guides/005010X220A1/{name}.csv")
        text = "\n".join(",".join(f'"{cell}"' for cell in row.values()) for row in rows)
        (folder / f"{name}.csv").write_text(f"{','.join(rows[0])}\n{text}\n".replace("005010X220A1", "005010X307"))
    assert set(guides(Tables(overlay=tmp_path)).structures) == {"005010X220A1", "005010X307"}


def test_standard_output(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    class Standard:
        buffer = io.BytesIO(GOOD)

    monkeypatch.setattr("sys.stdin", Standard)
    with Workspace() as workspace:
        ack(workspace, "-")
    assert segments_of(capsysbinary.readouterr().out, "AK9") == ["AK9*A*1*1*1"]
