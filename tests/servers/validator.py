"""HAPI's instance validator as a referee: build the Java project once, ask it about resources line by line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

PROJECT = Path(__file__).with_name("hapi-validator")

# A short life on a small machine: the quick compiler, the small collector. Messages in English.
_JAVA = ("java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en")


class BuildError(Exception):
    """The Java project could not be built here; the message is Maven's."""


@dataclass(frozen=True)
class Message:
    """One line of the referee: how bad, where, why."""

    severity: str
    location: str
    message: str

    @property
    def refuses(self) -> bool:
        """Whether this alone makes the resource invalid."""
        return self.severity in ("error", "fatal")


class Validator:
    """The referee's process. It reads US Core packages and terminology from files and no network."""

    def __init__(self, classpath: str, shared: Path) -> None:
        folders = (
            shared / "standards/packages",
            shared / "servers/us-core-terminology-supplement",
            PROJECT / "terminology",
        )
        command = [*_JAVA, "-cp", classpath, "referee.Referee", *map(str, folders)]
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, encoding="utf-8"
        )

    def __enter__(self) -> Validator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        with contextlib.suppress(BrokenPipeError), self._complaints, self._process:
            pass  # closes the files and waits; a question that nobody reads any more is lost

    def messages(
        self, resource: dict[str, Any], package: str = "", profile: str = "", definitions: Path | None = None
    ) -> list[Message]:
        """Everything the referee says about a resource under US Core `package` (empty: R4 alone) and `profile`.

        It knows the definitions in the folder `definitions` too.
        """
        question = {"resource": resource, "package": package, "profile": profile}
        said = self._ask(question | {"definitions": str(definitions or "")})
        return [Message(**each) for each in said["messages"]]

    def expanded(self, value_set: dict[str, Any], definitions: Path) -> list[str]:
        """The codes of a value set as ``system|code``, as a terminology server lists them."""
        codes: list[str] = self._ask({"expand": value_set, "definitions": str(definitions)})["codes"]
        return codes

    def translated(self, code: str, concept_map: str, definitions: Path) -> str:
        """What a map makes of a code, as ``system|code``; empty without a match, or why the engine refuses."""
        said = self._ask({"translate": code, "map": concept_map, "definitions": str(definitions)})
        return str(said.get("coding", said.get("refused")))

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Raises RuntimeError with what Java complained about when the process has died of the question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the validator stopped: {self._last_words()}")
        said: dict[str, Any] = json.loads(answer)
        return said

    def errors(self, resource: dict[str, Any], package: str = "", profile: str = "") -> list[Message]:
        """What makes the resource invalid; empty when it is valid."""
        return [each for each in self.messages(resource, package, profile) if each.refuses]

    def _last_words(self) -> str:
        self._process.wait()
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")[-2000:]


def built() -> str:
    """The class path of the Java project, compiled by Maven when this machine has not done it yet.

    What Maven makes stays in the user's cache folder, under the digest of the sources, so that the
    checkout stays clean and the next run starts at once. Raises BuildError.
    """
    target = _cache() / _digest()
    classpath = target / "classpath"
    if not classpath.is_file() or not all(Path(jar).is_file() for jar in classpath.read_text().split(os.pathsep)):
        _build(target)
    return os.pathsep.join((str(target / "classes"), classpath.read_text().strip()))


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "fhir-equity" / "referee"


def _digest() -> str:
    sources = [PROJECT / "pom.xml", *sorted((PROJECT / "src").rglob("*.java"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def _build(target: Path) -> None:
    """Build beside the target and move: another run finds all of it or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        command = ["mvn", "-q", "-B", "-Dstyle.color=never", f"-Dreferee.target={made}/target", "process-classes"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError((done.stdout + done.stderr).strip()[:500])
        shutil.rmtree(target, ignore_errors=True)
        Path(made, "target").rename(target)
