"""fhir-equity ack: its exit codes, its words and its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.edi834.ack.answers import ADA, HEADER, enrolled, interchange, one_set, segments_of
from tests.adapters.edi834.files import join
from tests.cli.conftest import Run

GOOD = join(interchange(one_set(*HEADER, *ADA)))
FILES = {
    "good": GOOD,
    "errors": enrolled("LUI*LE*SPA**9"),
    "set": GOOD.replace(b"SE*9*0001", b"SE*8*0001"),
    "interchange": GOOD.replace(b"IEA*1", b"IEA*2"),
    "isa": GOOD.replace(b"*0*T*:", b"*2*T*:"),
}


@pytest.mark.parametrize(
    ("name", "errors", "rejected"),
    [("good", 0, 0), ("errors", 1, 0), ("isa", 1, 0), ("set", 1, 1), ("interchange", 1, 1)],
)
def test_gates(run: Run, tmp_path: Path, name: str, errors: int, rejected: int) -> None:
    (tmp_path / "f.834").write_bytes(FILES[name])
    assert run("ack", "f.834").returncode == 0
    assert run("ack", "f.834", "--fail-on", "errors").returncode == errors
    assert run("ack", "f.834", "--fail-on", "rejected").returncode == rejected


def test_the_answer_is_data_and_the_words_are_words(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.834").write_bytes(FILES["errors"])
    done = run("ack", "f.834")
    assert done.stdout.startswith(b"ISA*00*")
    assert segments_of(done.stdout, "TA1", "AK9") == ["TA1*000000001*260101*1200*A*000", "AK9*E*1*1*1"]
    words = done.stderr.decode()
    assert "accepted, with errors" in words
    assert "element.not_in_code_list" in words
    assert run("--quiet", "ack", "f.834").stderr == b""


def test_options(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.834").write_bytes(FILES["errors"])
    assert [s[:3] for s in segments_of(run("ack", "f.834", "--only", "ta1").stdout)] == ["ISA", "TA1", "IEA"]
    assert not segments_of(run("ack", "f.834", "--only", "999").stdout, "TA1")
    assert segments_of(run("ack", "f.834", "--control", "77").stdout, "GE", "IEA") == ["GE*1*77", "IEA*1*000000077"]
    assert b"IK4*4*1303*7*9" in run("ack", "f.834", "--with-values").stdout
    assert run("ack", "f.834", "--out", "out.999").stdout == b""
    assert b"IK4*4*1303*7~" in (tmp_path / "out.999").read_bytes()


def test_a_guide_that_we_have_not_whole_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.834").write_bytes(GOOD.replace(b"005010X220A1", b"005010X307"))
    assert b"Of 1 sets only the envelope was checked" in run("ack", "f.834").stderr
    (tmp_path / "equity.toml").write_text('[mappings]\noverlay = "ours"\n')
    (tmp_path / "ours/guides").mkdir(parents=True)
    (tmp_path / "ours/guides/edi834.toml").write_text("[acknowledge]\nmost_errors = 1\n")
    (tmp_path / "f.834").write_bytes(enrolled(*["LUI*LE*SPA**9"] * 4))
    assert b"3 more segments are in error than the 999 lists" in run("ack", "f.834").stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere.834"], 3),
        (["text.txt"], 3),
        (["f.834", "--control", "-1"], 2),
        (["f.834", "--control", "1000000000"], 2),
        (["f.834", "--only", "997"], 2),
        (["f.834", "--out", "f.834"], 2),
        (["f.834", "--out", "nowhere/f.999"], 2),
        (["f.834", "--partner", "a/b"], 2),
    ],
)
def test_what_ends_otherwise(run: Run, tmp_path: Path, arguments: list[str], code: int) -> None:
    (tmp_path / "f.834").write_bytes(GOOD)
    (tmp_path / "text.txt").write_text("no interchange\n")
    done = run("ack", *arguments)
    assert done.returncode == code
    assert done.stdout == b""
    assert done.stderr.startswith(b"error: ")
