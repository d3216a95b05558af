"""What readers have from earlier publications, and what the next one beside it would tell."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_equity.quality.publish.document import Published, publish
from fhir_equity.quality.publish.rule import Rule
from tests.quality.publish.audits import RULE, document, program, row, stratum, topic


def of(answered: int, unknown: int) -> dict[str, Any]:
    return {"race_ethnicity": topic({"answered": answered, "unknown": unknown})}


def audit(answered: int, unknown: int, data: str = "0a", **others: Any) -> dict[str, Any]:
    given = document(answered + unknown, of(answered, unknown), **others)
    given["run"]["inputs"][0]["sha256"] = data
    return given


def after(first: Published, given: dict[str, Any], partner: str = "") -> dict[str, Any]:
    done = publish(given, RULE, [first.publication], partner)
    assert done.held
    return done.document


@pytest.mark.parametrize("more", [1, 10])
def test_a_county_that_is_called_otherwise_is_compared_with_itself(more: int) -> None:
    def counties(one: str, more: int) -> list[dict[str, Any]]:
        return [
            stratum({"county": one}, 100 + more, of(60, 40 + more)),
            stratum({"county": "B"}, 200, of(100, 100)),
        ]

    first = publish(audit(160, 140, strata=counties("A", 0)), RULE)
    later = after(first, audit(160, 140 + more, "0b", strata=counties("Alpha", more)))
    assert [each["population"] for each in later["strata"]] == [None, 200]
    assert later["strata"][0]["topics"]["race_ethnicity"]["states"]["unknown"] is None
    elsewhere = publish(audit(160, 140 + more, "0b", strata=counties("Alpha", more)), RULE)
    assert elsewhere.document["strata"][0]["population"] == 100 + more


def test_an_age_or_a_month_is_not_called_otherwise() -> None:
    ages = [stratum({"age": "1"}, 100, of(60, 40)), stratum({"age": "2"}, 200, of(100, 100))]
    first = publish(audit(160, 140, strata=ages), RULE)
    ages = [stratum({"age": "3"}, 105, of(60, 45)), stratum({"age": "4"}, 300, of(150, 150))]
    later = after(first, audit(210, 195, "0b", strata=ages))
    assert [each["population"] for each in later["strata"]] == [105, 300]


def test_everybody_less_a_partner_may_be_few() -> None:
    """Of one partner 100 are told, of all 108: the other one has 8."""
    first = publish(audit(60, 40), RULE, partner="A")
    later = after(first, audit(65, 43, "0b"))
    assert later["population"] is None
    assert set(later["topics"]["race_ethnicity"]["states"].values()) == {None}


def test_everybody_less_all_partners_may_be_few() -> None:
    publications = [publish(audit(60, 40), RULE, partner="A").publication]
    publications.append(publish(audit(90, 60, "0b"), RULE, publications, partner="B").publication)
    done = publish(audit(155, 103, "0c"), RULE, publications)
    assert done.held
    assert done.document["population"] is None
    assert publish(audit(180, 120, "0c"), RULE, publications).document["population"] == 300


def test_a_partner_may_be_everybody_but_a_few() -> None:
    everybody = publish(audit(155, 103), RULE)
    assert after(everybody, audit(152, 98, "0b"), "A")["population"] is None
    one = publish(audit(60, 40, "0b"), RULE, [everybody.publication], "A")
    done = publish(audit(92, 60, "0c"), RULE, [everybody.publication, one.publication], "B")
    assert done.held
    assert done.document["population"] is None


def test_two_programs_of_two_publications_are_compared() -> None:
    """Enrolled in the year 300, on the day 297: three are gone."""

    def under(name: str, known: int, people: int) -> dict[str, Any]:
        given = program([row("known", known, people)], [], people)
        given["population"]["left_out"] = {"not_enrolled": 500 - people}
        return audit(300, 200, programs={name: given})

    first = publish(under("year", 200, 300), RULE)
    later = after(first, under("day", 197, 297))["programs"]["day"]
    assert later["population"]["counted"] is None
    assert later["rows"][0]["denominator"] is None
    assert later["rows"][0]["numerator"] is None
    told = publish(under("day", 197, 297), RULE).document["programs"]["day"]
    assert (told["population"]["counted"], told["rows"][0]["numerator"]) == (297, 197)


def test_who_is_not_in_a_rate_may_not_be_a_few_more_than_before() -> None:
    """Of 20 new people 15 are known: 40 were not before, and 45 are not now."""

    def of_rate(known: int, people: int, data: str) -> dict[str, Any]:
        given = program([row("known", known, people)], [], people)
        given["population"]["left_out"] = {"not_enrolled": 500 - people}
        return audit(300, 200, data, programs={"p": given})

    first = publish(of_rate(60, 100, "0a"), RULE)
    (told,) = after(first, of_rate(75, 120, "0b"))["programs"]["p"]["rows"]
    assert None in (told["numerator"], told["denominator"])
    (told,) = after(first, of_rate(75, 130, "0b"))["programs"]["p"]["rows"]
    assert (told["numerator"], told["denominator"]) == (75, 130)


def test_a_threshold_that_was_raised_leaves_known_what_was_told() -> None:
    first = publish(document(500, {"race_ethnicity": topic({"answered": 400, "declined": 15, "unknown": 85})}), RULE)
    higher = Rule(RULE.matters, RULE.sensitive, floor=30)
    states = {"answered": 405, "declined": 15, "unknown": 80}
    later = document(500, {"race_ethnicity": topic(states)})
    later["run"]["inputs"][0]["sha256"] = "0b"
    done = publish(later, higher, [first.publication])
    assert done.held
    assert set(done.document["topics"]["race_ethnicity"]["states"].values()) == {None}


def test_what_was_corrected_since_is_other_data() -> None:
    """The same file, and a decision in between: of 200 who were in no method then, 30 are in one now."""

    def methods(**given: int) -> dict[str, Any]:
        return document(500, {"race_ethnicity": topic({"answered": 400, "unknown": 100}) | {"methods": given}})

    first = publish(methods(self=300), RULE)
    later = after(first, methods(self=300, proxy=30))
    assert later["topics"]["race_ethnicity"]["methods"] == {"self": 300, "proxy": 30}


def test_what_was_corrected_twice_is_read_from_the_last() -> None:
    """A program of one's own that was changed between two publications of the same files, and is not asked for now."""

    def under(known: int, asked: int, people: int) -> dict[str, Any]:
        given = program([row("known", known, people), row("asked", asked, people)], [], people)
        return audit(300, 200, programs={"own": given})

    first = publish(under(200, 250, 300), RULE)
    second = publish(under(230, 230, 320), RULE, [first.publication])
    third = publish(audit(300, 200), RULE, [first.publication, second.publication])
    assert third.held
    assert third.document["population"] == 500


@pytest.mark.parametrize(("partner", "later"), [("A", ""), ("", "A"), ("A", "B")])
def test_the_same_files_of_a_partner_and_of_everybody_are_the_same_people(partner: str, later: str) -> None:
    """Of 8 who declined one publication may not tell the 39 who answered, and the other the 13 of whom nobody knows."""
    states = {"answered": 39, "declined": 8, "unknown": 13}
    of_age = [{"answered": 16, "declined": 4, "unknown": 11}, {"answered": 23, "declined": 4, "unknown": 2}]
    ages = [
        stratum({"age": str(age)}, sum(each.values()), {"race_ethnicity": topic(each)})
        for age, each in enumerate(of_age)
    ]
    whole = {"race_ethnicity": topic(states)}
    first = publish(document(60, whole, strata=ages), RULE, partner=partner)
    told = [
        given["topics"]["race_ethnicity"]["states"]
        for given in (first.document, after(first, document(60, whole), later))
    ]
    assert len({name for given in told for name, count in given.items() if count is not None}) < 2


def test_what_two_programs_told_together_is_no_news_when_one_is_told_again() -> None:
    """Who was bridged in one and not in the other were told at once, and are not found out now."""

    def under(*names: str) -> dict[str, Any]:
        given = {name: program([row("known", 200, 300)], [], 300) for name in names}
        for number, name in enumerate(names):
            given[name] |= {"bridged": {"race": 40 + 3 * number}, "cannot_be_bridged": {}}
        return audit(300, 200, programs=given)

    first = publish(under("year", "day"), RULE)
    assert {name: each["bridged"] for name, each in first.document["programs"].items()} == {
        "year": {"race": 40},
        "day": {"race": 43},
    }
    assert after(first, under("year"))["programs"]["year"]["bridged"] == {"race": 40}


def test_what_is_known_of_everybody_is_not_hidden_of_the_only_partner() -> None:
    """Hiding there what the first publication told is in vain, and no reason to refuse the second."""

    def under(name: str, known: int, **others: Any) -> dict[str, Any]:
        of_all = {"race_ethnicity": topic({"answered": 1430, "blank": 39, "declined": 21, "unknown": 10})}
        rows = [row("known", known, 1500)]
        return document(1500, of_all, programs={name: program(rows, [], 1500)}, **others)

    first = publish(under("p", 31), RULE)
    whole = under("q", 39)
    partners = [stratum({"partner": "A"}, 1500, whole["topics"])]
    told = after(first, whole | {"strata": partners})
    assert told["strata"][0]["population"] == 1500
