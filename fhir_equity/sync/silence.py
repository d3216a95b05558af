"""Keep httpx and httpcore from logging our requests: they log addresses and headers, which hold ids.

A record of theirs is dropped while a request of ours is under way in the same thread or task; what
the same libraries log for anybody else is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A filter of a logger does not reach its children, so each one that httpcore uses is named.
_LOGGERS = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
_sending = ContextVar("_sending", default=False)


def _permitted(_record: logging.LogRecord) -> bool:
    return not _sending.get()


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_permitted)


@contextmanager
def silence() -> Iterator[None]:
    """Nothing that httpx or httpcore logs inside is seen by any handler."""
    before = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(before)
