"""An audit document as everybody may see it."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.quality.publish.document import Internal, Published, publish
from fhir_equity.quality.publish.rule import Rule
from fhir_equity.reports.totals import totals
from tests.quality.publish.audits import RULE, document, program, public, row, stratum, topic


def test_what_is_large_is_told_and_what_is_internal_is_not() -> None:
    told = public(document(500, {"race_ethnicity": topic({"answered": 400, "unknown": 100})}))
    assert (told["audience"], told["population"]) == ("public", 500)
    assert told["topics"]["race_ethnicity"]["states"] == {"answered": 400, "unknown": 100}
    assert "findings" not in told
    assert "losses" not in told
    assert told["release"]["left_out"] == ["findings", "losses"]
    assert told["run"]["inputs"] == [{"name": "a.834", "sha256": "0a", "members": None, "rejected": None}]
    assert (told["release"]["found"], told["release"]["attacked"]) == (0, 0)


def test_counts_that_nobody_knows_here_are_left_out() -> None:
    given = document(500, {"race_ethnicity": topic({"answered": 400, "unknown": 100}, secret=3, worse={"deep": 4})})
    told = public(given | {"census": {"of": 5}})
    assert "secret" not in told["topics"]["race_ethnicity"]
    assert told["topics"]["race_ethnicity"]["worse"] == {}
    assert "census" in told["release"]["left_out"]


def test_a_rate_of_45_of_50_tells_of_five_and_is_not_told() -> None:
    states = {"answered": 45, "unknown": 5}
    rows = [row("known", 45, 50)]
    told = public(document(50, {"race_ethnicity": topic(states)}, programs={"base": program(rows, [], 50)}))
    assert set(told["topics"]["race_ethnicity"]["states"].values()) == {None}
    (known,) = told["programs"]["base"]["rows"]
    assert [known[name] for name in ("numerator", "rate", "met", "more")] == [None] * 4
    assert told["programs"]["base"]["met"] is None
    assert known["threshold"] == 0.2


def test_two_rates_that_differ_by_three_are_not_both_told() -> None:
    """Known 300, responded 303: three declined."""
    rows = [row("known", 300, 500), row("responded", 303, 500)]
    given = document(500, {"race_ethnicity": topic({"answered": 300, "unknown": 200})})
    told = public(given | {"programs": {"base": program(rows, [], 500)}})
    numerators = [each["numerator"] for each in told["programs"]["base"]["rows"]]
    assert numerators.count(None) >= 1
    assert told["population"] == 500


def test_strata_add_up_to_the_whole() -> None:
    """A county of 4 who did not answer follows from the other one and the whole."""
    strata = [
        stratum({"county": "A"}, 300, {"race_ethnicity": topic({"answered": 296, "unknown": 4})}),
        stratum({"county": "B"}, 200, {"race_ethnicity": topic({"answered": 104, "unknown": 96})}),
    ]
    told = public(document(500, {"race_ethnicity": topic({"answered": 400, "unknown": 100})}, strata=strata))
    one, other = (each["topics"]["race_ethnicity"]["states"] for each in told["strata"])
    assert one == {"answered": None, "unknown": None}
    assert None in other.values()
    assert [each["population"] for each in told["strata"]] == [300, 200]


def test_a_breakdown_of_two_kinds_adds_up_to_that_of_one() -> None:
    def body(answered: int, unknown: int) -> dict[str, Any]:
        return {"race_ethnicity": topic({"answered": answered, "unknown": unknown})}

    strata = [
        stratum({"age": "1"}, 300, body(200, 100)),
        stratum({"age": "2"}, 200, body(150, 50)),
        stratum({"age": "1", "state": "X"}, 100, body(96, 4)),
        stratum({"age": "1", "state": "Y"}, 200, body(104, 96)),
        stratum({"age": "2", "state": "X"}, 100, body(75, 25)),
        stratum({"age": "2", "state": "Y"}, 100, body(75, 25)),
    ]
    told = public(document(500, body(350, 150), strata=strata))
    assert told["strata"][2]["topics"]["race_ethnicity"]["states"] == {"answered": None, "unknown": None}
    assert told["strata"][3]["topics"]["race_ethnicity"]["states"]["unknown"] is None


def test_sogi_has_a_floor_of_its_own_and_no_small_areas() -> None:
    sogi = topic({"answered": 300, "declined": 15, "unknown": 185}, values={"a": 200, "b": 100}, unmapped=0)
    strata = [
        stratum({"county": "A"}, 300, {"gender_identity": topic({"answered": 200, "unknown": 100})}),
        stratum({"county": "B"}, 200, {"gender_identity": topic({"answered": 100, "unknown": 100})}),
    ]
    told = public(document(500, {"gender_identity": sogi}, strata=strata))
    assert told["topics"]["gender_identity"]["states"]["declined"] is None
    assert [each["topics"] for each in told["strata"]] == [{}, {}]
    assert "gender_identity of county=A: small area" in told["release"]["left_out"]


def test_whom_a_rate_is_among_is_told_of_by_their_own_rates() -> None:
    """300 of 305 hides the 300; so must the rate of something else among the same 300."""
    matters = {"race": "race_ethnicity", "ethnicity": "race_ethnicity", **RULE.matters}
    rows = [row("white", 300, 305, "race"), row("white_without_ethnicity", 100, 300, "ethnicity", "race")]
    whole = {"race_ethnicity": topic({"answered": 700, "unknown": 100})}
    given = document(800, whole, programs={"base": program(rows, [], 305)})
    given["programs"]["base"]["population"]["left_out"] = {"not_enrolled": 495}
    white, without = public(given, Rule(matters))["programs"]["base"]["rows"]
    assert white["denominator"] is None or (white["numerator"], without["denominator"]) == (None, None)


def test_where_a_hidden_count_stands_does_not_tell_how_many_it_is() -> None:
    """What is counted comes most frequent first; between 300 and 33 stands what is 33 to 300."""
    values = {"en": 300, "es": 60, "fr": 33, "it": 4, "de": 3}
    spoken = topic({"answered": 400, "unknown": 100}, values=values, unmapped=0)
    told = public(document(500, {"language_spoken": spoken}))["topics"]["language_spoken"]["values"]
    assert [*told.items()] == [("en", 300), ("es", 60), ("de", None), ("fr", None), ("it", None)]
    shown = {"en": 300, "es": 60, "fr": 40}
    spoken = topic({"answered": 400, "unknown": 100}, values=shown, unmapped=0)
    assert [*public(document(500, {"language_spoken": spoken}))["topics"]["language_spoken"]["values"]] == [*shown]


def test_neither_do_categories_nor_combinations() -> None:
    several = {("Asian", "White"): 31, ("Black", "White"): 30, ("Asian", "Black"): 3, ("AIAN", "White"): 2}
    alone = {"White": 300, "Black": 60, "Asian": 40, "AIAN": 4}
    any_ = {name: alone[name] + sum(n for names, n in several.items() if name in names) for name in alone}
    view = {
        "answered": 470,
        "categories": {name: {"any": any_[name], "alone": alone[name]} for name in alone},
        "combinations": [{"categories": [*names], "count": n} for names, n in several.items()],
        "multiracial_or_multiethnic": 66,
        "without_category": 0,
    }
    body = {"race_ethnicity": topic({"answered": 470, "unknown": 130})}
    strata = [stratum({"county": "A"}, 600, body) | {"views": {"omb2024": view}}]
    told = public(document(600, body, views={"omb2024": view}, strata=strata))
    found = told["views"]["omb2024"]
    for counts in (
        [(each["count"], "".join(each["categories"])) for each in found["combinations"]],
        [(each["any"], name) for name, each in found["categories"].items()],
    ):
        assert None in [count for count, _ in counts]
        assert counts == sorted(counts, key=lambda each: (each[0] is None, -(each[0] or 0), each[1]))
    assert "combinations" not in told["strata"][0]["views"]["omb2024"]  # nobody attacked those


@pytest.mark.parametrize("enrolled", [305, 500])
@pytest.mark.parametrize("excluded", [{"declined": 3}, {"age": 12, "declined": 3}])
@pytest.mark.parametrize("line", ["", "HLT"])
def test_whom_a_rate_excludes_is_not_what_is_left_of_all(enrolled: int, excluded: dict[str, int], line: str) -> None:
    """305 in the program, 302 of them in the rate: three declined."""
    out = sum(excluded.values())
    rows = [row("known", 150, enrolled - out) | {"excluded": excluded, "line": line}]
    table = {"table": "t", "topic": "race_ethnicity", "line": line, "population": enrolled, "columns": ["self"]}
    table["rows"] = [{"row": "a", "counts": {"self": enrolled}}]
    given = program(rows, [table], enrolled)
    given["population"]["left_out"] = {"not_enrolled": 600 - enrolled}
    whole = {"race_ethnicity": topic({"answered": 400, "unknown": 200})}
    told = public(document(600, whole, programs={"base": given}))["programs"]["base"]
    (rate,), (people,) = told["rows"], told["tables"]
    hidden = [rate["denominator"], *(count for why, count in rate["excluded"].items() if why != "declined")]
    assert rate["excluded"]["declined"] is None
    assert None in (people["population"], *hidden)
    assert None in (told["population"]["counted"] if not line else None, *hidden)


@pytest.mark.parametrize("name", ["undated", "provisional", "unmapped", "detailed"])
def test_of_400_answers_397_without_something_leave_three_with_it(name: str) -> None:
    given = document(500, {"race_ethnicity": topic({"answered": 400, "unknown": 100}) | {name: 397}})
    told = public(given)["topics"]["race_ethnicity"]
    assert None in (told["states"]["answered"], told[name])
    plenty = document(500, {"race_ethnicity": topic({"answered": 400, "unknown": 100}) | {name: 350}})
    assert public(plenty)["topics"]["race_ethnicity"][name] == 350


def test_an_earlier_publication_of_the_same_data_is_known() -> None:
    """First by age, then by state, each of which holds by itself."""
    whole = {"race_ethnicity": topic({"answered": 350, "unknown": 150})}
    first = publish(document(500, whole), RULE)
    again = publish(document(500, whole), RULE, [first.publication])
    assert again.held
    assert again.document["release"]["earlier"] == 1
    assert again.document["topics"] == first.document["topics"]


def test_three_more_people_than_last_month_are_not_told() -> None:
    first = publish(document(500, {"race_ethnicity": topic({"answered": 350, "unknown": 150})}), RULE)
    later = document(503, {"race_ethnicity": topic({"answered": 353, "unknown": 150})})
    later["run"]["inputs"][0]["sha256"] = "0b"
    told = publish(later, RULE, [first.publication])
    assert told.held
    assert told.document["population"] is None
    assert told.document["topics"]["race_ethnicity"]["states"]["answered"] is None
    another = document(403, {"race_ethnicity": topic({"answered": 253, "unknown": 150})})
    assert publish(another, RULE, [first.publication], partner="another").document["population"] == 403


def test_what_was_given_away_before_does_not_go_out_again() -> None:
    """Somebody told answered and the whole; now the four who declined are what is left."""
    body = {"race_ethnicity": topic({"answered": 400, "declined": 4, "unknown": 96})}
    first = publish(document(500, body), RULE)
    for _, cell in first.publication.cells:
        cell.hidden = cell.small
    done = publish(document(500, body), RULE, [first.publication])
    assert not done.held
    assert done.found == ["topics/race_ethnicity/states/declined"]


def test_an_internal_report_says_that_it_is() -> None:
    given = document(5, {})
    assert Internal(given).document is given
    with pytest.raises(ValueError, match="audience internal"):
        Internal(given | {"audience": "public"})


def test_only_publish_makes_what_may_be_published() -> None:
    done = publish(document(50, {}), RULE)
    with pytest.raises(ValueError, match="only publish"):
        Published(done.document, [], done.publication)


def test_where_nobody_answered_there_are_no_categories() -> None:
    """A view without its counts was published, of which `verify` said that it is no audit document."""
    view = {"answered": 0, "categories": {}, "multiracial_or_multiethnic": 0, "without_category": 0}
    views = {"omb2024": view, "omb1997": {"race": {}, "ethnicity": {}, "more_than_one_race": 0}}
    strata = [stratum({"age": "1"}, 30, {"race_ethnicity": topic({"unknown": 30})}) | {"views": views}]
    told = public(document(500, {"race_ethnicity": topic({"unknown": 500})}, views=views, strata=strata))
    assert told["views"] == told["strata"][0]["views"] == {}
    assert [*totals(told)] == []
