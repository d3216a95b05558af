"""Programs of others: built once into the user's cache, started on loopback for a test run, stopped with it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
_GIVEN: set[int] = set()  # ports that somebody was told of and may not listen on yet
PATIENCE = 600.0  # seconds until a server has to answer; the machine may be busy with the others


class ProgramError(Exception):
    """A program could not be built or does not start; the message is its own."""


def lacking(*names: str) -> str:
    """The programs of these that this machine does not have."""
    return ", ".join(name for name in names if shutil.which(name) is None)


def kept(name: str, sources: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """The folder that `make` filled, in the user's cache under the digest of `sources`; made when it is missing.

    It is made beside its place and moved: another run finds all of it or nothing. Raises ProgramError.
    """
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = home / "fhir-equity" / name / digest
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            make(made)
            with contextlib.suppress(FileExistsError, OSError):
                made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return target


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> None:
    """Run a step of building. Raises ProgramError."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise ProgramError(f"{Path(command[0]).name}: {(done.stdout + done.stderr).strip()[-500:]}")


def free_port() -> int:
    """A port of loopback that nobody listens on.

    It is below those that systems give to whoever names none (from 32768 or 49152 on): a program that takes seconds to
    start would find one of them taken by a connection of another test.
    """
    while (port := random.randrange(20_000, 32_000)) in _GIVEN or not _free(port):
        pass
    _GIVEN.add(port)
    return port


def _free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


class Program:
    """A process that serves on a port of loopback; it ends at the latest with its standard input."""

    def __init__(self, command: Sequence[str | Path], port: int, **environment: str) -> None:
        self.port = port
        self._name = Path(command[0]).name
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,  # an interrupted test run stops it in its own time
        )

    @property
    def address(self) -> str:
        """Where it listens, once it does. Raises ProgramError with its last words."""
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._said.seek(0)
                raise ProgramError(
                    f"{self._name} does not answer: {self._said.read().decode(errors='replace')[-2000:]}"
                )
            time.sleep(0.2)
        return f"http://127.0.0.1:{self.port}"

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        """Stop the process and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._said.close()


def node_packages(project: Path) -> Path:
    """The folder with what a project's package.json names, fetched by npm. Raises ProgramError."""

    def fetch(folder: Path) -> None:
        shutil.copy(project / "package.json", folder)
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--no-package-lock", "--silent")
        run(["npm", "install", *quiet], folder)

    return kept(project.name, [project / "package.json"], fetch)


def python_packages(project: Path) -> Path:
    """The folder of a virtual environment with what a project's requirements.txt names. Raises ProgramError."""

    def fetch(folder: Path) -> None:
        # Scripts of an environment name its folder, which moves: the modules are called instead.
        run([sys.executable, "-m", "venv", "--copies", folder / "venv"], folder)
        python = folder / "venv/bin/python"
        run([python, "-m", "pip", "install", "--quiet", "-r", project / "requirements.txt"], folder)

    return kept(project.name, [project / "requirements.txt"], fetch) / "venv"


def cargo_program(project: Path, name: str) -> Path:
    """A program that cargo builds, quickly rather than well, as a project's install.txt says. Raises ProgramError."""

    def build(folder: Path) -> None:
        words = (project / "install.txt").read_text().split()
        quick = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_DEV_OPT_LEVEL": "0", "CARGO_INCREMENTAL": "0"}
        target = folder / "target"
        run(["cargo", "install", "--quiet", "--root", folder, *words], folder, CARGO_TARGET_DIR=str(target), **quick)
        shutil.rmtree(target)

    return kept(project.name, [project / "install.txt"], build) / "bin" / name


def java_classes(project: Path) -> str:
    """The class path of a Maven project whose folder of results is the property `built`. Raises ProgramError."""

    def build(folder: Path) -> None:
        command = ["mvn", "-q", "-B", "-Dstyle.color=never", f"-Dbuilt={folder}/target", "process-classes"]
        run(command, project)

    sources = [project / "pom.xml", *sorted(path for path in (project / "src").rglob("*") if path.is_file())]
    target = kept(project.name, sources, build) / "target"
    libraries = (target / "classpath").read_text().strip()
    if not all(Path(jar).is_file() for jar in libraries.split(os.pathsep)):  # Maven's own cache was emptied
        shutil.rmtree(target.parent)
        target = kept(project.name, sources, build) / "target"
    return os.pathsep.join((str(target / "classes"), libraries))


def maven_jars(project: Path) -> list[Path]:
    """The jars that a Maven project names, fetched by Maven. Raises ProgramError."""

    def fetch(folder: Path) -> None:
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        run(
            ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", project / "pom.xml", goal, f"-DoutputDirectory={folder}"],
            project,
        )

    return sorted(kept(project.name, [project / "pom.xml"], fetch).glob("*.jar"))
