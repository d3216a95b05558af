"""Serve the sandbox with uvicorn, on loopback only and without a word in any log."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import uvicorn
from starlette.applications import Starlette

from fhir_equity.errors import FatalError, UsageError
from fhir_equity.sandbox.app import ROOT


class _Server(uvicorn.Server):
    """A server that tells when it has started."""

    def __init__(self, app: Starlette, ready: Callable[[], object]) -> None:
        # uvicorn logs addresses and tracebacks, and both may hold values of a record.
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


@contextmanager
def running(app: Starlette, host: str, port: int) -> Iterator[str]:
    """Serve `app` in a background thread; yields the base URL. Raises UsageError, FatalError."""
    started = threading.Event()
    with _listening(host, port) as listener:
        server = _Server(app, started.set)
        thread = threading.Thread(target=server.run, args=([listener],), name="fhir-equity-sandbox")
        thread.start()
        try:
            while not started.wait(0.05):
                if not thread.is_alive():
                    raise FatalError("the sandbox did not start")
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def serve(app: Starlette, host: str, port: int, ready: Callable[[str], object] | None) -> None:
    """Serve `app` until interrupted, which is the usual way to end it. Raises UsageError."""
    with _listening(host, port) as listener:

        def tell() -> None:
            if ready is not None:
                ready(_url(listener))

        with suppress(KeyboardInterrupt):
            _Server(app, tell).run([listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket on loopback and nowhere else: the sandbox has no protection worth the name."""
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise UsageError("the sandbox is served on a loopback address, such as 127.0.0.1") from None
    if not address.is_loopback:
        raise UsageError("the sandbox is served on loopback only")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
    except (OSError, OverflowError):
        listener.close()
        raise UsageError(f"port {port} cannot be used; 0 takes a free one") from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}{ROOT}" if ":" in host else f"http://{host}:{port}{ROOT}"
