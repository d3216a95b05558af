"""Run one function over pieces of work in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

from fhir_equity.errors import EngineError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

AHEAD = 2  # pieces for each process that are worked on, or wait to be taken
EVERY = 0.2  # seconds between two looks at how far the processes are

_reached: Any = None  # in a worker: how far all of them have come together


def in_order(
    work: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    workers: int,
    shown: Callable[[int], None] | None = None,
) -> Generator[Result, None, None]:
    """What `work` makes of each piece, in their order, by as many processes; it and all pieces can be pickled.

    Only some pieces are worked on ahead of whoever takes the results, so that memory has a bound. Whoever stops
    taking them (Ctrl-C, an error, closing the iterator) ends the processes at once, and so does the end of this
    process, however it comes. `shown` is called meanwhile with how far all have come, as `work` says with `reached`.
    Raises EngineError where a process was killed.
    """
    others = set(multiprocessing.active_children())
    # A fresh interpreter for each: a copy of this process would take over its threads and open files.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("Q", 0)
    pool = ProcessPoolExecutor(workers, context, _begin, (counter,))

    def result(future: Future[Result]) -> Result:
        while shown is not None and not wait([future], EVERY).done:
            shown(counter.value)
        found = future.result()
        if shown is not None:
            shown(counter.value)
        return found

    waiting: deque[Future[Result]] = deque()
    done = False
    try:
        for piece in pieces:
            waiting.append(_submitted(pool, work, piece))
            if len(waiting) > AHEAD * workers:
                yield result(waiting.popleft())
        while waiting:
            yield result(waiting.popleft())
        done = True
    except BrokenExecutor:
        raise EngineError("a worker process was killed; run this again") from None
    finally:
        if not done:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            # One that was ended in the middle of a result never sends the rest, and while this end is open whoever
            # takes results waits for it for ever.
            pool._result_queue._writer.close()  # type: ignore[attr-defined] # nothing public does it before 3.14
        # Whoever forgets this iterator may have it collected in any thread; that of the pool cannot wait for itself.
        manager: Any = pool._executor_manager_thread
        pool.shutdown(wait=threading.current_thread() is not manager, cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, work: Callable[[Piece], Result], piece: Piece) -> Future[Result]:
    """Ctrl-C at a terminal goes to every process: the workers, which start here, leave it to us."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(work, piece)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def reached(further: int) -> None:
    """Say from within `work` that so much more is done."""
    if _reached is not None:
        with _reached.get_lock():
            _reached.value += further


def _begin(counter: Any) -> None:
    """Begin a worker: it says how far it is, and waits for nobody who is gone."""
    global _reached
    _reached = counter
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
