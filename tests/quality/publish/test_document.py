"""An audit document as everybody may see it."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.quality.publish.document import Internal, Published, Rule, publish
from tests.quality.publish.audits import RULE, document, program, row, stratum, topic


def public(given: dict[str, Any], rule: Rule = RULE) -> dict[str, Any]:
    done = publish(given, rule)
    assert done.held
    return done.document


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


def test_of_sogi_nothing_is_told_where_all_answers_are_one() -> None:
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 300}, unmapped=0)
    rows = [row("orientation", 300, 500, "gender_identity"), row("known", 300, 500)]
    given = document(500, {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})})
    told = public(given | {"programs": {"base": program(rows, [], 500)}})
    assert "gender_identity" not in told["topics"]
    assert [each["measure"] for each in told["programs"]["base"]["rows"]] == ["known"]
    assert told["release"]["left_out"][:2] == [
        "gender_identity: all alike",
        "program base, orientation: nothing is told of its topic",
    ]


def test_a_rate_among_people_of_a_sensitive_answer_tells_of_that_answer() -> None:
    """Fifteen are more than ten and fewer than twenty."""
    rows = [row("asian", 120, 400), row("asian_among_some", 200, 215, among="gender_identity"), row("few", 0, 15)]
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 215, "b": 85}, unmapped=0)
    whole = {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})}
    told = public(document(500, whole, programs={"base": program(rows, [], 500)}))
    plain, among, few = told["programs"]["base"]["rows"]
    assert (plain["numerator"], few["denominator"]) == (120, 15)
    assert None in (among["numerator"], among["denominator"])  # the difference is 15


def test_no_rate_is_among_people_of_a_sensitive_answer_of_whom_nothing_is_told() -> None:
    rows = [row("among_all_alike", 100, 300, among="gender_identity"), row("known", 300, 500)]
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 300}, unmapped=0)
    whole = {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})}
    told = public(document(500, whole, programs={"base": program(rows, [], 500)}))
    assert [each["measure"] for each in told["programs"]["base"]["rows"]] == ["known"]


def test_whom_a_rate_is_among_is_told_of_by_their_own_rates() -> None:
    """300 of 305 hides the 300; so must the rate of something else among the same 300."""
    matters = {"race": "race_ethnicity", "ethnicity": "race_ethnicity", **RULE.matters}
    rows = [row("white", 300, 305, "race"), row("white_without_ethnicity", 100, 300, "ethnicity", "race")]
    whole = {"race_ethnicity": topic({"answered": 700, "unknown": 100})}
    given = document(800, whole, programs={"base": program(rows, [], 305)})
    given["programs"]["base"]["population"]["left_out"] = {"not_enrolled": 495}
    white, without = public(given, Rule(matters))["programs"]["base"]["rows"]
    assert white["denominator"] is None or (white["numerator"], without["denominator"]) == (None, None)


@pytest.mark.parametrize(("count", "told_of"), [(40, False), (0, True), (20, True)])
def test_of_a_program_s_people_none_are_told_to_be_all_alike(count: int, told_of: bool) -> None:
    """All 40 in the program, of 300, are said to be one thing by the row, by its values or by the table."""
    sogi = topic({"answered": 300, "unknown": 200}, values={"a": 200, "b": 100}, unmapped=0)
    values = row("values", 0, 40, "gender_identity") | {"numerator": None, "values": {"a": count, "b": 40 - count}}
    table = {"table": "t", "topic": "gender_identity", "line": "", "population": 40, "columns": ["self", "other"]}
    table["rows"] = [
        {"row": "a", "counts": {"self": count, "other": 0}},
        {"row": "b", "counts": {"self": 0, "other": 40 - count}},
    ]
    rows = [row("some", count, 40, "gender_identity"), row("known", 40, 40)]
    given = document(500, {"gender_identity": sogi, "race_ethnicity": topic({"answered": 300, "unknown": 200})})
    whole = public(given | {"programs": {"base": program([*rows, values], [table], 500)}})
    told, left_out = whole["programs"]["base"], whole["release"]["left_out"]
    names = {each["measure"] for each in told["rows"]}
    assert "known" in names
    assert ("some" in names) == told_of
    assert ("values" in names) == ("t" in {each["table"] for each in told["tables"]}) == (count == 20)
    assert ("program base, t: all alike" in left_out) == (count != 20)


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
    elsewhere = publish(later, RULE, [first.publication], partner="another")
    assert elsewhere.document["population"] == 503


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
