"""What is hidden, what is hidden to protect it, and what the attacker finds."""

from __future__ import annotations

import pytest

from fhir_equity.errors import FatalError
from fhir_equity.quality.publish.attack import attack, bounds
from fhir_equity.quality.publish.cells import Cells, Key
from fhir_equity.quality.publish.protect import protect
from tests.quality.publish.tables import judged_at_size, judged_by_trying_out


def states(**counts: int) -> Cells:
    cells = Cells()
    parts = [cells.add((name,), count) for name, count in counts.items()]
    cells.adds_up(cells.add(("people",), sum(counts.values())), parts)
    return cells


def hidden(cells: Cells) -> set[str]:
    return {key[0] for key, cell in cells.cells.items() if cell.hidden}


def test_fifty_less_forty_five_is_five() -> None:
    cells = Cells()
    part, whole = cells.add(("answered",), 45), cells.add(("people",), 50)
    others = cells.within(part, whole)
    assert bounds(cells, others) == (5, 5)
    assert attack(cells, 5).found == {others: (5, 5)}
    done = protect(cells)
    assert (hidden(cells), done.primary, done.secondary, done.attack.held) == ({"answered"}, 0, 1, True)
    assert bounds(cells, others) == (1, 10)


def test_a_zero_and_eleven_are_told_and_ten_is_not() -> None:
    cells = states(none=0, ten=10, eleven=11, many=400)
    protect(cells)
    assert hidden(cells) == {"ten", "many"}  # eleven hidden would leave the ten between 1 and 10, but itself at 11


def test_the_only_small_cell_takes_another_with_it() -> None:
    cells = states(answered=400, declined=4, unknown=96)
    done = protect(cells)
    assert hidden(cells) == {"declined", "unknown"}
    assert (done.primary, done.secondary, done.attack.attacked) == (1, 1, 2)
    assert bounds(cells, ("declined",)) == (1, 10)
    assert bounds(cells, ("unknown",)) == (90, 99)


def test_small_cells_that_add_up_to_a_small_number_take_another_with_them() -> None:
    """1 and 1 of which the sum is known are both found; 3 and 4 are 7 people."""
    for few in ((1, 1), (3, 4), (5, 5)):
        cells = states(one=few[0], two=few[1], many=90, most=500)
        protect(cells)
        assert hidden(cells) == {"one", "two", "many"}
    cells = states(one=5, two=6, many=90)
    protect(cells)
    assert hidden(cells) == {"one", "two"}


def test_a_neighbour_without_room_would_not_hide_anything() -> None:
    """4 beside 12: together 16, of which the hidden neighbour is 11 at least, so the 4 would be 1 to 5."""
    cells = states(few=4, neighbour=12, many=300)
    cells.cells[("few",)].hidden = cells.cells[("neighbour",)].hidden = True
    assert attack(cells, 5).found == {("few",): (1, 5), ("neighbour",): (11, 15)}
    cells = states(few=4, neighbour=12, many=300)
    protect(cells)
    assert hidden(cells) == {"few", "many"}


def test_a_detail_follows_from_its_sisters_and_a_category_from_its_details() -> None:
    cells = states(asian=40, white=200)
    details = [cells.add((name,), count) for name, count in (("chinese", 19), ("korean", 18), ("hmong", 3))]
    cells.adds_up(("asian",), details)
    done = protect(cells)
    assert done.attack.held
    assert "hmong" in hidden(cells)
    low, high = bounds(cells, ("hmong",))
    assert high - low >= 5


def test_rows_that_overlap_do_not_add_up_and_still_tell_something() -> None:
    """Alone or in combination: what is in combination follows from both."""
    cells = Cells()
    alone, both = cells.add(("alone",), 45), cells.add(("alone or in combination",), 52)
    combined = cells.within(alone, both)
    assert cells.cells[combined].small
    protect(cells)
    assert hidden(cells) == {"alone"}


def test_who_is_counted_twice_is_no_secret_and_no_way_in() -> None:
    cells = Cells()
    parts = [cells.add((name,), count) for name, count in (("one", 30), ("two", 24))]
    cells.adds_up(cells.add(("people",), 50), parts)
    assert protect(cells).secondary == 0  # 4 people speak both, which nobody can compute: perhaps 8 gave none


def test_what_was_told_before_cannot_be_hidden_again() -> None:
    cells = states(answered=400, declined=4, unknown=96)
    cells.known(("declined",))
    assert protect(cells).attack.held  # nothing is lost that was not lost already
    assert not cells.cells[("declined",)].attacked
    cells = states(answered=400, declined=4, unknown=96)
    cells.known(("answered",))
    cells.known(("unknown",))
    cells.known(("people",))
    done = protect(cells)
    assert done.attack.found == {("declined",): (4, 4)}
    assert not done.attack.held


def test_three_more_than_last_time_is_three_people() -> None:
    cells = states(answered=403, unknown=100)
    cells.changed(("answered",), 400)
    cells.changed(("unknown",), 100)
    cells.changed(("people",), 500)
    done = protect(cells)
    assert done.attack.held
    assert {"answered", "people"} <= hidden(cells)
    low, high = bounds(cells, ("answered",))
    assert low <= 398
    assert high >= 403


def test_sums_that_are_not_true_are_refused() -> None:
    cells = states(answered=3)
    with pytest.raises(FatalError, match="counted twice"):
        cells.add(("answered",), 4)
    cells.add(("other",), 5)
    with pytest.raises(FatalError, match="does not add up"):
        cells.same(("answered",), ("other",))


def test_two_names_of_one_count_are_hidden_together() -> None:
    cells = states(answered=50, unknown=4, not_asked=30)
    cells.same(("not_asked",), cells.add(("rate of not asked",), 30))
    protect(cells)
    assert ("not_asked" in hidden(cells)) == ("rate of not asked" in hidden(cells))


def test_a_higher_floor_hides_more() -> None:
    cells = Cells()
    keys: list[Key] = [cells.add((name,), count, 20) for name, count in (("one", 15), ("two", 17), ("three", 200))]
    cells.adds_up(cells.add(("people",), 232, 20), keys)
    protect(cells)
    assert hidden(cells) == {"one", "two"}
    assert bounds(cells, ("one",)) == (13, 19)


@pytest.mark.parametrize("start", range(0, 40, 20))
def test_random_tables_against_trying_out(start: int) -> None:
    outcomes = [judged_by_trying_out(seed) for seed in range(start, start + 20)]
    assert outcomes.count("held") > 8
    assert "found out" not in outcomes


@pytest.mark.parametrize("seed", [60, 203, 900])
def test_where_hiding_every_cell_is_not_enough_the_table_is_withheld(seed: int) -> None:
    """Who knows which cells are small adds them up; of a table that is withheld nobody knows which are."""
    assert judged_by_trying_out(seed) == "held"


@pytest.mark.parametrize("start", range(0, 160, 40))
def test_random_tables_of_a_usual_size(start: int) -> None:
    assert {judged_at_size(seed) for seed in range(start, start + 40)} == {"held"}


def test_of_a_small_group_nothing_is_told_not_even_what_nobody_is() -> None:
    """Five of seven who are all known to be somebody would be 1 to 3 each."""
    cells = states(a=3, b=1, c=1, d=1, e=1, none=0)
    others = cells.add(("another group",), 200)
    cells.adds_up(cells.add(("all",), 207), [("people",), others])
    assert protect(cells).attack.held
    assert {"people", "a", "none"} <= hidden(cells)
    assert bounds(cells, ("a",)) == (0, 10)
    assert bounds(cells, ("none",)) == (0, 10)


def test_where_too_few_are_left_nothing_is_told_at_all() -> None:
    cells = states(a=3, b=1, c=1, d=1, e=1, f=1, g=1, h=1, i=1)
    assert protect(cells).attack.held
    assert hidden(cells) == {"people", *"abcdefghi"}
    low, high = bounds(cells, ("a",))
    assert high - low >= 5


def test_what_turns_out_not_to_be_needed_is_told_after_all() -> None:
    """More was hidden than two small cells need: the large ones are told again, the weightiest first."""
    cells = states(few=7, fewer=6, many=300, most=500)
    for name in ("many", "most"):
        cells.cells[(name,)].hidden = True
    done = protect(cells)
    assert done.attack.held
    assert hidden(cells) == {"few", "fewer"}
