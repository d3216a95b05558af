"""A control number is given once, to one sender and receiver, whatever became of the file."""

from __future__ import annotations

import threading
from itertools import islice

import pytest

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.store import Store


def _take(url: str, many: int, first: int = 0, receiver: str = "STATE") -> list[int]:
    store = Store(url)
    try:
        return list(islice(store.control_numbers("PLAN", receiver, first), many))
    finally:
        store.close()


def test_numbers_go_on_where_the_last_file_stopped(url: str) -> None:
    assert _take(url, 2) == [1, 2]
    assert _take(url, 1) == [3]
    assert _take(url, 2) == [5, 6]  # what was taken and not used is not given again
    assert _take(url, 2, receiver="OTHER") == [1, 2]


def test_a_file_with_many_sets_takes_blocks(url: str) -> None:
    assert _take(url, 1500) == list(range(1, 1501))
    assert _take(url, 1) == [2003]


def test_a_first_number_is_taken_and_not_again(url: str) -> None:
    assert _take(url, 3, first=500) == [500, 501, 502]
    with pytest.raises(UsageError, match="control number 500 was passed already; the last one given is 1501"):
        _take(url, 1, first=500)
    assert _take(url, 1, first=1502) == [1502]


def test_after_the_last_one_there_is_none(url: str) -> None:
    assert _take(url, 1, first=999_999_999) == [999_999_999]
    with pytest.raises(StoreError, match="all control numbers"):
        _take(url, 1)


def test_two_at_once_never_get_the_same(url: str) -> None:
    _take(url, 1)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(_take(url, 5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 20
