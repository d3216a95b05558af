"""Files of others: every sample is answered, and the one whose 999 we have gets that 999."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fhir_equity.errors import UnreadableError
from tests.adapters.edi834.ack.answers import answer_of, segments_of
from tests.conftest import ROOT

DATED = {0: (9, 10), 1: (4, 5)}  # ISA09/10 and GS04/05: when it was written


def test_the_sample_with_its_own_999(shared: Path) -> None:
    folder = shared / "edi834/samples"
    theirs = segments_of((folder / "azoner__834_ls_le_ls_5010.999.txt").read_bytes())
    ours = segments_of(answer_of((folder / "azoner__834_ls_le_ls.txt").read_bytes()))
    assert ours.pop(1).endswith("*A*000")
    for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        mine, yours = our.replace("X231A1", "X231").split("*"), their.split("*")  # A1 is the errata of X231
        for at in DATED.get(place, ()):
            mine[at] = yours[at]
        assert mine == yours


def test_every_sample_is_answered(shared: Path) -> None:
    folder = shared / "edi834/samples"
    with (folder / "INDEX.csv").open(encoding="utf-8", newline="") as index:
        kinds = {row["file"]: row["kind"] for row in csv.DictReader(index)}
    for name, kind in kinds.items():
        data = (folder / name).read_bytes()
        if kind != "834":
            with pytest.raises(UnreadableError, match="acknowledgements only"):
                answer_of(data)
            continue
        answer = segments_of(answer_of(data))
        assert [segment[:4] for segment in answer[:2]] == ["ISA*", "TA1*"], name
        assert sum(segment.startswith("AK1") for segment in answer) == data.count(b"GS*BE*"), name


@pytest.mark.parametrize("path", sorted((ROOT / "fixtures").glob("p*/*/enrollment.834")), ids=lambda p: p.parent.name)
def test_our_own_fixtures_are_accepted_without_a_remark(path: Path) -> None:
    assert not segments_of(answer_of(path.read_bytes()), "IK3")
    assert {s.split("*")[1] for s in segments_of(answer_of(path.read_bytes()), "IK5", "AK9")} == {"A"}
