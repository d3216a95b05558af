"""A small FHIR R4 endpoint on loopback, for the demo and for rehearsals; never a server of record.

Starlette and uvicorn come with the extra ``sandbox`` and are loaded when something is served, so
importing this package needs neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_equity.errors import UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["create_app", "running", "serve"]


@contextmanager
def _extra() -> Iterator[None]:
    """Say which extra to install where a library of it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("starlette", "uvicorn", "anyio", "h11"):
            raise UsageError("the sandbox needs Starlette and uvicorn: install fhir-equity[sandbox]") from None
        raise


def create_app(path: str | Path, *, token: str = "", faults: str = "") -> Starlette:
    """The endpoint as an ASGI application, its resources kept in the SQLite file `path` (0600).

    With a `token` every request except for the CapabilityStatement needs it as bearer token.
    `faults` is a specification of `fhir_equity.sandbox.faults`. Raises UsageError when the file or
    the specification cannot be used, or the extra ``sandbox`` is not installed.
    """
    with _extra():
        from fhir_equity.sandbox import app
    return app.create_app(path, token=token, faults=faults)


@contextmanager
def running(
    path: str | Path, *, port: int = 0, host: str = "127.0.0.1", token: str = "", faults: str = ""
) -> Iterator[str]:
    """Serve in a background thread and yield the base URL; port 0 takes a free one.

    Raises UsageError like `create_app`, and when the port is taken or `host` is not loopback.
    """
    with _extra():
        from fhir_equity.sandbox import server
    with server.running(create_app(path, token=token, faults=faults), host, port) as url:
        yield url


def serve(
    path: str | Path,
    port: int = 0,
    faults: str = "",
    *,
    host: str = "127.0.0.1",
    token: str = "",
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until interrupted; `ready` is called with the base URL once requests are answered.

    Raises UsageError like `running`.
    """
    with _extra():
        from fhir_equity.sandbox import server
    server.serve(create_app(path, token=token, faults=faults), host, port, ready)
