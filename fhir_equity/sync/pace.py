"""How much is asked of one server: requests at a time and a minute, patience in all, and a rest when it is down."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_equity.settings import LimitSettings

MINUTE = 60.0


class Pace:
    """The pace of one run against one server, shared by its threads."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(limits.connections)
        self._all = _Rate(limits.requests_per_minute)
        self._writes = _Rate(limits.writes_per_minute)
        self._waited = 0.0
        self._failures = 0
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Whether the server is left alone: too many requests in a row came to nothing.

        After the rest one failure more is enough for the next one.
        """
        with self._lock:
            return self._failures >= self._limits.failures and time.monotonic() < self._until

    @property
    def patient(self) -> bool:
        """Whether this run may wait once more for a busy server."""
        with self._lock:
            return self._waited < self._limits.budget

    def waited(self, seconds: float) -> None:
        """Count what was spent on waiting for a busy server."""
        with self._lock:
            self._waited += seconds

    def ended(self, *, well: bool) -> None:
        """Tell how a request ended, after all its attempts."""
        with self._lock:
            self._failures = 0 if well else self._failures + 1
            if self._failures >= self._limits.failures:
                self._until = time.monotonic() + self._limits.rest

    @contextmanager
    def turn(self, *, write: bool) -> Iterator[None]:
        """Wait until one more request is allowed; it is under way while the context lasts."""
        with self._slots:
            for rate in (self._all, self._writes) if write else (self._all,):
                while (seconds := rate.take()) > 0:
                    time.sleep(seconds)
            yield


class _Rate:
    """At most so many in any minute; 0 is as many as you like."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: deque[float] = deque(maxlen=most or 1)
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take one, or say how many seconds to wait before asking again."""
        with self._lock:
            now = time.monotonic()
            if self._most and len(self._taken) == self._most and now - self._taken[0] < MINUTE:
                return MINUTE - (now - self._taken[0])
            self._taken.append(now)
            return 0.0
