"""Faults on purpose, for rehearsals: what an HIE's endpoint does on a bad day, repeatable by seed.

A specification is a list such as ``429:0.2,503:0.1,drop:0.05,lost:0.1,seed=7``; the numbers are
shares of the requests, at most 1 together:

- ``429`` and ``503``: refused before anything happened, with ``Retry-After`` 0 or 1
- ``drop``: the connection is cut inside the answer, before anything happened
- ``lost``: a write happens but the answer is a 503, as when a gateway gives up waiting; requests
  that only read are served as usual
- ``503-date``: as ``503``, with ``Retry-After`` as a date (RFC 9110, 10.2.3)
- ``401``: refused before anything happened, as when a token ends in mid-run
- ``html``: a log-in page with status 200 takes the place of FHIR, before anything happened
- ``truncated``: the request is served, the answer is cut off in the middle
- ``slow``: the request is served, the answer comes ``seconds=30`` later, which is after most time-outs
- ``stale``: somebody else changes what an update is about just before it, so that its version has moved on; other
  requests are served as usual

The same specification meets the same sequence of requests with the same faults.
"""

from __future__ import annotations

import random

from msgspec import Struct

from fhir_equity.errors import UsageError

KINDS = ("429", "503", "drop", "lost", "503-date", "401", "html", "truncated", "slow", "stale")
WRITES = ("lost", "stale")  # what happens to writes only


class Fault(Struct, frozen=True):
    """What happens to one request; `retry_after` is in seconds."""

    kind: str
    retry_after: int


class Faults:
    """Draws the fault of each request. Raises UsageError for a specification it cannot read."""

    def __init__(self, specification: str = "") -> None:
        seed, self.seconds = 0, 30
        self._shares: list[tuple[str, float]] = []
        for part in filter(None, (piece.strip() for piece in specification.split(","))):
            if part.startswith("seed="):
                seed = _number(part.removeprefix("seed="))
            elif part.startswith("seconds="):
                self.seconds = _number(part.removeprefix("seconds="))
            else:
                self._shares.append(_share(part))
        if sum(share for _, share in self._shares) > 1:
            raise UsageError("the shares of the faults are more than 1 together")
        self._random = random.Random(seed)  # noqa: S311 -- repeatable on purpose

    def draw(self, *, write: bool) -> Fault | None:
        """The fault of the next request, or None."""
        # Both are drawn every time, so that the sequence does not depend on what came out.
        point, retry_after = self._random.random(), self._random.randint(0, 1)
        for kind, share in self._shares:
            if point < share:
                return None if kind in WRITES and not write else Fault(kind, retry_after)
            point -= share
        return None


def _share(part: str) -> tuple[str, float]:
    kind, _, words = part.partition(":")
    try:
        share = float(words)
    except ValueError:
        share = -1.0
    if kind not in KINDS or not 0 <= share <= 1:
        raise UsageError(f"a fault is one of {', '.join(KINDS)} with a share of 0 to 1, like 503:0.1")
    return kind, share


def _number(words: str) -> int:
    try:
        return int(words)
    except ValueError:
        raise UsageError("seed and seconds of the faults are whole numbers, like seed=7") from None
