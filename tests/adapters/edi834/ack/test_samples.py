"""Files of others: every sample is answered, and the one whose 999 we have gets that 999."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fhir_equity.errors import UnreadableError
from tests.adapters.edi834.ack.answers import answer_of, segments_of
from tests.conftest import ROOT


def test_the_sample_with_its_own_999(shared: Path) -> None:
    folder = shared / "edi834/samples"
    theirs = segments_of((folder / "azoner__834_ls_le_ls_5010.999.txt").read_bytes())
    ours = segments_of(answer_of((folder / "azoner__834_ls_le_ls.txt").read_bytes()))
    dated = {0: (9, 10), 2: (4, 5)}  # ISA09/10 and GS04/05 are when it was written; X231A1 is the errata of X231
    assert ours.pop(1).endswith("*A*000")
    assert len(ours) == len(theirs) == 10
    for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        passed_over = dated.get(place - (place > 0) + (place > 0), ()) if place == 0 else dated[2] if place == 1 else ()
        mine, yours = (segment.replace("X231A1", "X231").split("*") for segment in (our, their))
        differing = [at for at, (a, b) in enumerate(zip(mine, yours, strict=True)) if a != b]
        assert set(differing) <= set(passed_over), our


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
