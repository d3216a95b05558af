"""A PostgreSQL server of our own in a temporary folder, for as long as a test session lasts."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import NullPool, create_engine

DEBIAN = Path("/usr/lib/postgresql")  # where its packages keep what is not on the PATH
ROOM = 4e9  # bytes
PATIENCE = 600  # seconds until it has started or stopped; the machine may be busy with the others
# A server that is thrown away needs no durability; clients come through the socket in its folder only.
OPTIONS = "-c fsync=off -c listen_addresses= -c max_connections=50 -c unix_socket_directories="


def program(name: str) -> str:
    """Where a program of PostgreSQL is; empty where it is not installed."""
    found = shutil.which(name)
    return found or next((str(path) for path in sorted(DEBIAN.glob(f"*/bin/{name}"), reverse=True)), "")


def _user() -> str:
    """Who runs the server: it refuses to be root."""
    if os.geteuid():
        return ""
    return next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})


def new_schema(server: str) -> str:
    """The URL of a schema of its own on a server."""
    name = f"t{uuid4().hex[:12]}"
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    return f"{server}&options=-csearch_path%3D{name}"


def _place() -> str:
    """A folder with a short path, which sockets need; in memory where there is enough of it."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else "/tmp"  # noqa: S108


@contextmanager
def cluster() -> Iterator[str]:
    """The URL of a running server's only database, and its socket's folder as `host`."""
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="fhir-equity-pg-", dir=_place()))
    who: dict[str, Any] = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    if user:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(*words: object) -> None:
        subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)

    try:
        run(program("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        control = (program("pg_ctl"), "-D", data, "-l", folder / "log", "-s", "-w", "-t", PATIENCE)
        run(*control, "-o", f"{OPTIONS}{folder}", "start")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
