"""Keep the libraries that send from logging our requests: they log addresses and headers, which hold ids.

A record of theirs is dropped while a request of ours is under way in the same thread or task; what
the same libraries log for anybody else is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A filter of a logger does not reach its children, so each one is named.
_LOGGERS = (
    *("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks"))),
    *("hpack.hpack", "hpack.table"),  # every header of HTTP/2
    *("urllib3.connection", "urllib3.connectionpool", "urllib3.response", "urllib3.util.retry"),
)
_sending = ContextVar("_sending", default=False)


def _permitted(_record: logging.LogRecord) -> bool:
    return not _sending.get()


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_permitted)


@contextmanager
def silence() -> Iterator[None]:
    """Nothing that these libraries log inside is seen by any handler."""
    before = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(before)
