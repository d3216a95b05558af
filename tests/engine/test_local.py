"""Processes of this machine: results in order, not far ahead of whoever takes them, and nobody is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from fhir_equity.engine.local import AHEAD, in_order, reached
from fhir_equity.errors import EngineError


def squared(number: int) -> int:
    time.sleep(0.02 * (number % 3))
    return number * number


def stuck(number: int) -> int:
    time.sleep(600)
    return number


def dying(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def large(number: int) -> bytes:
    return bytes([number]) * 60_000_000  # more than a pipe takes at once: somebody is always in the middle of one


HELD: list[Generator[object, None, None]] = []
FAILED: list[Exception] = []
CLOSED = threading.Event()


class Closing:
    """A result that closes the iterator it is for, in the thread of the pool, as a collector may do there."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return close_held, ()


def close_held() -> None:
    try:
        HELD.pop().close()
    except RuntimeError as error:
        FAILED.append(error)
    finally:
        CLOSED.set()


def closing(asked: str) -> Closing | None:
    if not asked:
        return None
    while not Path(asked).exists():
        time.sleep(0.01)
    return Closing()


def stepwise(number: int) -> int:
    for _ in range(3):
        reached(number)
        time.sleep(0.6)
    return number


def test_how_far_all_are_is_shown_meanwhile() -> None:
    shown: list[int] = []
    assert list(in_order(stepwise, [1, 10], 2, shown.append)) == [1, 10]
    assert shown == sorted(shown)
    assert shown[-1] == 33
    assert any(0 < each < 33 for each in shown)


def test_results_are_in_order_and_few_are_ahead() -> None:
    asked: list[int] = []
    pieces = (asked.append(number) or number for number in range(30))  # type: ignore[func-returns-value]
    found = []
    for result in in_order(squared, pieces, 2):
        found.append(result)
        assert len(asked) <= len(found) + AHEAD * 2
    assert found == [number * number for number in range(30)]
    assert multiprocessing.active_children() == []


def test_who_stops_does_not_wait_for_the_rest_of_a_result() -> None:
    for _ in range(3):
        results = in_order(large, range(8), 2)
        assert next(results)[:1] == b"\0"
        results.close()
    assert multiprocessing.active_children() == []


def test_who_stops_ends_the_processes_at_once() -> None:
    started = time.monotonic()
    results = in_order(stuck, iter([0] * 20), 2)
    with pytest.raises(ZeroDivisionError):
        next(in_order(squared, (1 // (number - number) for number in range(9)), 2))
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 3)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert time.monotonic() - started < 60
    assert multiprocessing.active_children() == []


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(EngineError, match="a worker process was killed; run this again"):
        list(in_order(dying, range(5), 2))
    assert multiprocessing.active_children() == []


def test_whoever_forgets_it_may_have_it_closed_by_the_pool_itself(tmp_path: Path) -> None:
    results = in_order(closing, ["", str(tmp_path / "asked")], 1)
    assert next(results) is None
    HELD.append(results)
    (tmp_path / "asked").touch()
    assert CLOSED.wait(60)
    assert FAILED == []
    assert list(results) == []
