"""Race in a partner's own spelling, and what becomes of a code that the partner does not take."""

from __future__ import annotations

import pytest

from fhir_equity.model import Coding, Loss, Meaning, Received, Relationship, Resolution, State
from fhir_equity.tables import Tables
from fhir_equity.vocabulary import Strategy, Vocabulary

RACE = "race_ethnicity"
FFE = Vocabulary(Tables("cms-ffe"))
BASE = Vocabulary()


def _told(
    vocabulary: Vocabulary, *codes: str, race: str = "RET", strategy: Strategy = "faithful"
) -> tuple[list[str], list[tuple[str, str]]]:
    received = Received(RACE, "test", tuple(Coding("cdcrec", code) for code in codes))
    meaning: Meaning = BASE.meaning(received)
    resolution = Resolution(RACE, State.ANSWERED, (meaning,), None)
    found, losses = vocabulary.express.x12({RACE: resolution}, race, strategy)
    return [_spelled(c) for e in found for c in e.details], [_plain(loss) for loss in losses]


def _spelled(coding: Coding) -> str:
    return f"{coding.system}|{coding.code}"


def _plain(loss: Loss) -> tuple[str, str]:
    assert loss.topic == RACE
    return loss.rule, loss.relationship.value


def test_what_the_partner_lists_goes_as_it_is() -> None:
    assert _told(FFE, "2106-3", "2135-2", "2500-7") == (["cdcrec|2106-3", "cdcrec|2135-2", "cdcrec|2500-7"], [])


def test_the_partner_s_row_has_the_last_word() -> None:
    mena = ("cdcrec_to_x12_ret:2118-8", "unmatched")
    assert _told(FFE, "2118-8", "2106-3") == (["cdcrec|2106-3"], [mena])
    assert _told(FFE, "2118-8") == ([], [mena, ("x12.nothing_to_say", "unmatched")])
    assert _told(FFE, "2028-9") == (["cdcrec|2028-9"], [("cdcrec_to_x12_ret:2028-9", "inexact")])


def test_mena_goes_as_its_own_code_where_it_is_taken() -> None:
    assert _told(BASE, "2118-8", "2120-4") == (["cdcrec|2118-8", "cdcrec|2120-4"], [])
    assert _told(BASE, "2118-8", strategy="rollup-1997") == (["cdcrec|2118-8"], [])


def test_a_detail_goes_as_the_nearest_code_above_that_says_the_same_of_2024() -> None:
    wider = ("x12.nearest_code_taken", "wider")
    assert _told(FFE, "2035-4") == (["cdcrec|2028-9"], [wider])  # Taiwanese
    assert _told(FFE, "2035-4", "2028-9")[0] == ["cdcrec|2028-9"]  # and is said once
    assert _told(FFE, "1004-1") == (["cdcrec|1002-5"], [wider])


@pytest.mark.parametrize("code", ["2120-4", "2129-5"])
def test_nobody_becomes_white_who_did_not_say_so(code: str) -> None:
    """Egyptian is below White in CDCREC's tree, Arab is under review."""
    assert _told(FFE, code)[0] == []
    assert ("x12.code_not_taken", "unmatched") in _told(FFE, code)[1]


def test_unless_omb_1997_was_asked_for() -> None:
    rolled = ("rollup-1997.mena_as_white", "wider")
    assert _told(FFE, "2118-8", strategy="rollup-1997") == (["cdcrec|2106-3"], [rolled])
    assert _told(FFE, "2120-4", strategy="rollup-1997") == (["cdcrec|2106-3"], [rolled])
    assert _told(FFE, "2129-5", strategy="rollup-1997")[0] == []


@pytest.mark.parametrize(
    ("race", "spelled"),
    [
        ("RET", ["cdcrec|2106-3", "cdcrec|2186-5", "cdcrec|2118-8"]),
        ("1109", ["x12-1109|C", "cdcrec|2186-5", "cdcrec|2118-8"]),
        ("both", ["x12-1109|C", "cdcrec|2106-3", "cdcrec|2186-5", "cdcrec|2118-8"]),
        ("hierarchical", ["cdcrec-hierarchical|R5", "cdcrec-hierarchical|E2", "cdcrec-hierarchical|R5.02"]),
    ],
)
def test_every_spelling_of_race(race: str, spelled: list[str]) -> None:
    assert _told(BASE, "2106-3", "2186-5", "2118-8", race=race) == (spelled, [])


def test_a_code_without_a_hierarchical_one_keeps_its_own() -> None:
    without = [code for code, row in BASE.codes.cdcrec.items() if not row["hierarchical"] and row["abstract"] != "yes"]
    for code in without[:1]:
        assert _told(BASE, code, race="hierarchical")[0] == [f"cdcrec|{code}"]


def test_every_partner_takes_the_codes_of_its_rows() -> None:
    for partner in ("cms-ffe", "covered-california"):
        vocabulary = Vocabulary(Tables(partner))
        rows = vocabulary.codes.tables.rows("crosswalks/cdcrec_to_x12_ret.csv")
        taken = [row["source_code"] for row in rows if row["target_code"]]
        assert len(taken) == (20 if partner == "cms-ffe" else 26)
        assert all(_told(vocabulary, code)[0] == [f"cdcrec|{code}"] for code in taken)
        assert {row["relationship"] for row in rows} == {"equivalent", "inexact", Relationship.UNMATCHED.value}
